/* How the agent comes by its certificate, and keeps it good.
 *
 * Without one it enrols: it takes the controller's CA and believes it only if its SHA-256 is the one in the
 * join token, makes a key, sends a request with the token over a connection that this CA vouches for, and
 * waits until somebody has approved it. With one it renews by itself, over connections that its present
 * certificate makes: after two thirds of its life, or when the controller says so since another CA signs by
 * now; and it fetches the bundle of CAs again when it has changed. */
#ifndef ATOLL_ZONE_AGENT_ENROLMENT_H
#define ATOLL_ZONE_AGENT_ENROLMENT_H

#include <uv.h>

#include "proto/base/clock.h"
#include "zone-agent/identity.h"

enum {
    ENROLMENT_RETRY_FIRST_MS = 500,
    ENROLMENT_RETRY_MOST_MS = 10000,
    ENROLMENT_POLL_MS = 2000,   /* while somebody has to approve */
    ENROLMENT_CHECK_MS = 60000, /* between two looks at the certificate's age */
    ENROLMENT_SPREAD_MS = 3000, /* not all zones renew at one instant */
    ENROLMENT_CALL_MS = 10000,
    ENROLMENT_TOKEN_MAX = 256,
};

struct enrolment_events {
    void *context;
    void (*ready)(void *context); /* there is a certificate, for the first time in this life; also soon after
                                     the start when there was one */
    void (*changed)(void *context); /* another certificate, or other CAs: dial anew */
    void (*note)(void *context, bool is_problem, const char *sentence);
};

struct enrolment_options {
    uv_loop_t *loop;
    struct http_client *client;
    const struct clock *clock;
    const struct random *random;
    const char *url, *zone;    /* https://…; copied */
    const char *token_file;    /* NULL: none; read at each attempt, so that it can be replaced. Copied */
    struct identity *identity; /* outlives it */
    struct enrolment_events events;
};

struct enrolment;

/* NULL and `err` when it can't start; also when there is neither a certificate nor a token. */
struct enrolment *enrolment_create(const struct enrolment_options *options, struct error *err);

/* What the controller says beside its answers: the hash of the bundle in force ("" when it doesn't say), and
 * whether it wants a renewal. */
void enrolment_told(struct enrolment *enrolment, const char *bundle_hash, bool renew);

/* The controller, or who stands in its place, won't speak with the certificate that there is: it was revoked
 * or has expired, or the CA is another one by now. Where a join token is given it is tried, as at the
 * beginning; the certificate is kept meanwhile. */
void enrolment_refused(struct enrolment *enrolment);
/* The certificate is good after all. */
void enrolment_accepted(struct enrolment *enrolment);

/* No more events; then run the loop until it has nothing left. NULL is tolerated. */
void enrolment_destroy(struct enrolment *enrolment);

#endif
