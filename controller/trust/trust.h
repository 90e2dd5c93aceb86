/* What was issued, to whom, and what of it still counts: the federation's CA with its records of zones and
 * people. It decides and remembers; it knows no files, no sockets and no HTTP: records go out through one
 * function, and are durable before anything that relies on them is told to anybody.
 *
 * A zone's way:   join token (made by an admin, ten minutes, once)
 *              -> its agent sends a request for a certificate with it: the zone waits
 *              -> an admin approves (unless the token was made so that it needs none)
 *              -> the agent takes its certificate, and renews it over a connection that the certificate
 * itself made.
 *
 * There are no revocation lists. A certificate counts only while its serial number is the one on record for
 * its zone or person, so that removing is at once. Of a zone the newest counts, and the one before it until
 * the newest has been used (an answer may be lost). A renewal needs the certificate that counts, and is for
 * that zone's name alone: whoever has another zone's, or an old copy, gets nothing (CVE-2026-4740 was a
 * renewal of that kind). */
#ifndef ATOLL_CONTROLLER_TRUST_TRUST_H
#define ATOLL_CONTROLLER_TRUST_TRUST_H

#include "controller/trust/access.h"
#include "controller/trust/ca.h"
#include "proto/base/clock.h"

enum {
    TRUST_ZONES_MAX = 1200,
    TRUST_PEOPLE_MAX = 256,
    TRUST_JOINS_MAX = 128,                   /* join tokens that are neither used nor expired */
    TRUST_RECORDS_MAX = 1 + TRUST_JOINS_MAX, /* in one write: a zone, and all tokens */
    TRUST_JOIN_LIFETIME_S = 600,
    TRUST_JOIN_TOKEN_MAX = 192,       /* bytes of a token's text, with the zero */
    TRUST_WAITING_MOST_S = 7 * 86400, /* a request that nobody approved is forgotten after that */
    TRUST_WARN_S = 21 * 86400, /* so long before its end a certificate that nobody renews is a warning */
    TRUST_CA_WARN_S = 365 * 86400,
};

#define TRUST_RECORD_PREFIX "trust/"

struct trust;

struct trust_record {
    char key[128];
    const void *data; /* NULL: to be removed */
    size_t length;
};

struct trust_environment {
    const struct clock *clock;
    /* All of these or none, durable when it returns 0. */
    int (*remember)(void *context, const struct trust_record *records, size_t count, struct error *err);
    void *context;
};

/* ---- life: create, load each record, open ---- */

int trust_create(const struct trust_environment *environment, struct trust **out, struct error *err);
void trust_destroy(struct trust *trust); /* NULL is tolerated */

/* A record whose key begins with TRUST_RECORD_PREFIX, as it was remembered. One that can't be understood is
 * an error. */
int trust_load(struct trust *trust, const char *key, const void *data, size_t length, struct error *err);

/* Opens the CA with its passphrase, or makes it when there is none yet. `made` (may be NULL) says which. */
int trust_open(struct trust *trust, const char *passphrase, bool *made, struct error *err);

/* ---- the CA ---- */

const char *trust_bundle(const struct trust *trust);
const char *
trust_bundle_hash(const struct trust *trust); /* of its text: who holds another one fetches it again */
const struct ca *trust_ca(const struct trust *trust);

/* The next step of an exchange of the CA (ca.h). ERROR_CONFLICT, with the names of zones, while some have not
 * done what the step relies on: fetched the bundle before a switch, renewed before the previous one is
 * dropped; `force` goes on regardless. The passphrase, which is not kept, may be another one than it was
 * opened with: from here on it is this one. */
int trust_exchange_ca(struct trust *trust, const char *passphrase, bool force, struct error *err);

/* The controller's own certificate, for the listener. End `key` with pki_forget(). */
int trust_issue_own(struct trust *trust, const char *const *sans, size_t san_count, struct buffer *key,
                    struct buffer *certificate, struct pki_facts *facts, struct error *err);

/* What a member's certificate is to be. */
struct trust_member {
    const char *set, *node;
    const char *request;      /* PEM, by the agent of the member's zone: the caller has made sure of that */
    const char *const *names; /* addresses and DNS names that it must bear */
    size_t name_count;
    const char *present;     /* PEM, the one that it has; "": none */
    bool addresses_as_names; /* see struct ca_identity */
    bool keep_foreign;       /* refuse to replace one that another CA signed: its time has not come */
};

/* A member's certificate: the present one again while it still fits (key, names, issuer, two thirds of its
 * life, made since the CA's bundle is what it is), or a new one. Whoever loads it has thereby loaded the
 * bundle of its time, too. Not on record: members trust the CA alone, and theirs are replaced when they move.
 * ERROR_CONFLICT: see `keep_foreign`. */
int trust_certify_member(struct trust *trust, const struct trust_member *member, struct buffer *out,
                         struct pki_facts *facts, struct error *err);

/* ---- zones ---- */

enum trust_zone_state {
    TRUST_ZONE_NONE,
    TRUST_ZONE_WAITING,
    TRUST_ZONE_APPROVED,
    TRUST_ZONE_JOINED,
    TRUST_ZONE_REMOVED
};
const char *trust_zone_state_name(
    enum trust_zone_state state); /* "unknown", "waiting", "approved", "joined", "removed" */

struct trust_zone_view {
    const char *name;
    enum trust_zone_state state;
    const char *waiting_key;  /* SHA-256 of the public key that waits for approval; "" when none does */
    const char *waiting_from; /* the address that it was sent from */
    int64_t requested_at_s, joined_at_s, expires_at_s; /* 0: not */
    const char *serial;                                /* of the certificate that counts */
    bool renewal_wanted;                               /* another CA signs by now */
    bool has_bundle; /* has fetched the bundle that is in force, in this life of the controller */
};

/* `pre_approved`: the token alone is enough, nobody approves later. */
int trust_make_join_token(struct trust *trust, const char *zone, bool pre_approved,
                          char out[TRUST_JOIN_TOKEN_MAX], int64_t *expires_at_s, struct error *err);

/* An agent's request. The same request with the same token may come again (an answer may be lost); anything
 * else that is wrong with the token is ERROR_REFUSED. */
int trust_enrol(struct trust *trust, const char *zone, const char *token, const char *request_pem,
                const char *from, struct error *err);

/* How far the request with this key has come: *certificate is NULL while it waits. ERROR_NOT_FOUND when there
 * is none. */
int trust_enrolment(struct trust *trust, const char *zone, const char *key_hash, const char **certificate,
                    struct error *err);

/* ERROR_CONFLICT when nothing waits there; with `key_prefix` (may be NULL) only a request whose key's hash
 * begins so. */
int trust_approve(struct trust *trust, const char *zone, const char *key_prefix, struct error *err);

/* No certificate of the zone counts from here on. ERROR_NOT_FOUND when the zone was never heard of. */
int trust_remove_zone(struct trust *trust, const char *zone, struct error *err);

/* `serial` is the certificate's that made the connection. */
int trust_renew(struct trust *trust, const char *zone, const char *serial, const char *request_pem,
                struct buffer *certificate, struct error *err);

size_t trust_zone_count(const struct trust *trust);
struct trust_zone_view trust_zone_at(const struct trust *trust, size_t index);
/* False when nothing is known of it. */
bool trust_zone_find(const struct trust *trust, const char *zone, struct trust_zone_view *out);
/* The agent of the zone was given the bundle. */
void trust_bundle_was_sent(struct trust *trust, const char *zone);

/* ---- people ---- */

struct trust_person_view {
    const char *name, *role, *serial;
    int64_t issued_at_s, expires_at_s;
};

/* Signs a request that the person's own machine made. */
int trust_certify_person(struct trust *trust, enum caller_kind role, const char *name,
                         const char *request_pem, struct buffer *certificate, struct pki_facts *facts,
                         struct error *err);
int trust_revoke_person(struct trust *trust, const char *serial, struct error *err);
size_t trust_person_count(const struct trust *trust);
struct trust_person_view trust_person_at(const struct trust *trust, size_t index);

/* ---- every request ---- */

/* Whether the certificate that `caller` was found out by still counts; if not, it becomes NOBODY with the
 * flaw. */
void trust_check_caller(struct trust *trust, struct caller *caller);

#endif
