/* The federation's own certificate authority: it signs for the controller, agents, people and members, and
 * nobody else's signature counts between them. It knows no files and no clock: its sealed form goes into the
 * store, the time is passed in.
 *
 * It is exchanged in three steps, so that nobody ever meets a certificate that he can't check (an overlap of
 * two): CA_STEADY     one CA, which signs CA_ANNOUNCED  a second one is in the bundle that everybody gets,
 * and doesn't sign yet CA_SWITCHED   the second one signs, and everybody renews; the first is still trusted,
 * its key is gone and then CA_STEADY with the second alone.
 *
 * Keys: the CA's are ECDSA P-384 and live ten years, sealed by PBKDF2 (HMAC-SHA-256, 600,000 rounds) and
 * AES-256; leafs are ECDSA P-256 or P-384, 90 days.
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html (PBKDF2)
 * https://cabforum.org/working-groups/server/baseline-requirements/requirements/ (serials, key sizes) */
#ifndef ATOLL_CONTROLLER_TRUST_CA_H
#define ATOLL_CONTROLLER_TRUST_CA_H

#include "proto/base/pki.h"

enum {
    CA_SEALED_MAX = 64 * 1024,
    CA_REQUEST_MAX = 8 * 1024, /* bytes of a certificate request's PEM */
    CA_SANS_MAX = 32,          /* names and addresses in one certificate */
    CA_PASSPHRASE_LEAST = 16,
    CA_PASSPHRASE_MOST = 1024
};

enum { CA_BACKDATED_S = 300 }; /* for clocks that are a little behind */

#define CA_LIFETIME_S ((int64_t)3650 * 86400)
#define CA_LEAF_LIFETIME_S ((int64_t)90 * 86400)

/* Who is who, as in Kubernetes: the common name says who, the organization says which group. */
#define CA_ORGANIZATION_CONTROLLER "atoll:controller"
#define CA_ORGANIZATION_AGENTS "atoll:agents"
#define CA_ORGANIZATION_VIEWERS "atoll:viewers"
#define CA_ORGANIZATION_OPERATORS "atoll:operators"
#define CA_ORGANIZATION_ADMINS "atoll:admins"
#define CA_ORGANIZATION_MEMBERS "atoll:members"

enum ca_stage { CA_STEADY, CA_ANNOUNCED, CA_SWITCHED };

struct ca;

/* What a certificate is to say. The request's own wishes beside its key and its name are never followed. */
struct ca_identity {
    const char *organization;
    const char *unit; /* NULL for none; a member's set */
    const char *name;
    const char *const *sans; /* IP addresses and DNS names, told apart by their form */
    size_t san_count;
    bool server, client;     /* extended key usage */
    bool addresses_as_names; /* IP addresses also as DNS names: mongod before 4.1.4 looks for them there
                                (SERVER-39298) */
};

/* A new CA. */
int ca_create(int64_t now_s, struct ca **out, struct error *err);

/* To and from the form that is stored: its certificates, and its keys under the passphrase. A wrong
 * passphrase is ERROR_REFUSED. */
int ca_seal(const struct ca *ca, const char *passphrase, struct buffer *out, struct error *err);
int ca_unseal(const char *sealed, const char *passphrase, struct ca **out, struct error *err);

void ca_destroy(struct ca *ca); /* clears the keys; NULL is tolerated */

/* The CA certificates that are trusted, as PEM; the one that signs first. Valid until the CA changes. */
const char *ca_bundle(const struct ca *ca);
const struct pki_facts *
ca_issuer(const struct ca *ca); /* the one that signs; its `hash` is what join tokens carry */
const struct pki_facts *ca_other(const struct ca *ca); /* the second, NULL when there is one alone */
enum ca_stage ca_stage(const struct ca *ca);
int64_t ca_changed_at_s(const struct ca *ca);   /* since when the bundle is what it is */
const char *ca_stage_name(enum ca_stage stage); /* "steady", "announced", "switched" */

/* Signs a request for the identity. Refused: a request that isn't signed by its own key, that isn't for a key
 * on P-256 or P-384, whose common name (or, where it names one, organization or unit) is another than the
 * identity's. The certificate ends with the CA at the latest. `facts` may be NULL. */
int ca_sign(struct ca *ca, const char *request_pem, const struct ca_identity *identity, int64_t now_s,
            int64_t lifetime_s, struct buffer *out, struct pki_facts *facts, struct error *err);

/* A key made here, and its certificate: the controller's own. End `key` with pki_forget(). */
int ca_issue(struct ca *ca, const struct ca_identity *identity, int64_t now_s, int64_t lifetime_s,
             struct buffer *key, struct buffer *certificate, struct pki_facts *facts, struct error *err);

/* The three steps of an exchange, each ERROR_CONFLICT in any other stage than the one before it. Seal and
 * store it after each, before anybody is told. */
int ca_announce_next(struct ca *ca, int64_t now_s, struct error *err); /* steady -> announced */
int ca_switch(struct ca *ca, int64_t now_s, struct error *err);        /* announced -> switched */
int ca_drop_previous(struct ca *ca, int64_t now_s, struct error *err); /* switched -> steady */

#endif
