/* Who speaks, and what they may do. Pure: a caller was found out before (by a certificate, a token, or the
 * listener that they came to); here it is held against what a path asks for.
 *
 * People have one of three roles, each of which may do what the one before it may:
 *   viewer    reads: status, events, metrics, the spec, explanations
 *   operator  changes sets: applies specs, pauses rollouts, runs drills and backups
 *   admin     says who else may do what, and what is secret: tokens, zones, the audit log, access settings
 * An agent has no role: it speaks for its own zone, and reads nothing else. */
#ifndef ATOLL_CONTROLLER_TRUST_ACCESS_H
#define ATOLL_CONTROLLER_TRUST_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/model.h"

enum { CALLER_NAME_MAX = 63, CALLER_MARK_MAX = 40 };

/* In the order of what they may. */
enum caller_kind { CALLER_NOBODY, CALLER_VIEWER, CALLER_OPERATOR, CALLER_ADMIN, CALLER_AGENT };

enum caller_proof {
    PROOF_NONE,
    PROOF_LOOPBACK, /* plain HTTP on a loopback listener that changes things: whoever can reach it is trusted
                     */
    PROOF_CERTIFICATE, /* of the federation's own CA, verified */
    PROOF_TOKEN,       /* Authorization: Bearer */
    PROOF_SESSION      /* the dashboard's cookie; reads alone */
};

/* What is wrong with an identity that was shown: then the kind is NOBODY. */
enum caller_flaw {
    FLAW_NONE,
    FLAW_UNKNOWN, /* no such token; a certificate of another CA, or of a group that we don't know */
    FLAW_EXPIRED,
    FLAW_REVOKED
};

struct caller {
    enum caller_kind kind;
    enum caller_proof proof;
    enum caller_flaw flaw;
    char name[CALLER_NAME_MAX + 1]; /* of a person or token; "" when there is none */
    char zone[NAME_LENGTH_MAX + 1]; /* AGENT: the only one that it speaks for */
    char mark[CALLER_MARK_MAX + 1]; /* the certificate's serial (hex) or the token's id, for the audit log */
};

/* A name that may be given to people and tokens: letters, digits and . _ @ -, beginning with a letter or
 * digit, at most CALLER_NAME_MAX bytes. */
bool caller_name_is_good(const char *name);

/* "nobody", "viewer", "operator", "admin", "agent" */
const char *caller_kind_name(enum caller_kind kind);
/* "viewer", "operator" or "admin" alone: what tokens and people's certificates can have. False when it is
 * none of them. */
bool caller_role_from_name(const char *name, enum caller_kind *out);
/* "none", "loopback", "certificate", "token", "session" */
const char *caller_proof_name(enum caller_proof proof);

/* The caller as logs and the audit name them: "admin alice (token 7f3c…)", "agent us-east1-b (certificate
 * 01ab…)", "nobody". Cut to `size`. */
void caller_write(const struct caller *caller, char *out, size_t size);

enum access_rule {
#define X(name, least, reading, need) ACCESS_##name,
#include "controller/trust/access.def"
#undef X
    ACCESS_RULE_COUNT
};

const char *access_rule_name(enum access_rule rule);
/* Whether the reading listener serves it too. */
bool access_rule_reads(enum access_rule rule);

/* What is asked for, and where. */
struct access_question {
    enum access_rule rule;
    bool reading_listener; /* plain, loopback, without any login, and nothing can be changed there */
    bool anonymous_status; /* the spec's access.anonymousStatus */
    const char *zone;      /* AGENT: the zone in the path; else NULL */
};

enum access_verdict {
    ACCESS_ALLOWED,
    ACCESS_LOGIN,    /* 401: nobody has shown who they are, or what was shown doesn't count */
    ACCESS_REFUSED,  /* 403: known, and not allowed */
    ACCESS_ELSEWHERE /* 403: not on the reading listener */
};

struct access_answer {
    enum access_verdict verdict;
    int status;        /* 200, 401, 403 */
    char message[256]; /* what is missing and how to get it; "" when allowed, and with ELSEWHERE (only the
                          listener knows where) */
};

void access_decide(const struct caller *caller, const struct access_question *question,
                   struct access_answer *out);

#endif
