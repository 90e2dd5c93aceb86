/* The access token of the agent's service account, from the metadata server of its machine or pod. It is kept
 * in memory until shortly before it expires, never logged and never written. Sources:
 * cloud.google.com/compute/docs/metadata/querying-metadata,
 * cloud.google.com/kubernetes-engine/docs/concepts/workload-identity (the server "might not be ready in the
 * first seconds of a new Pod": so whatever goes wrong is tried again for as long as a token is wanted). */
#ifndef ATOLL_GCE_METADATA_H
#define ATOLL_GCE_METADATA_H

#include <stdbool.h>
#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/http_client.h"

enum {
    METADATA_ANSWER_BYTES_MAX = 16 * 1024,
    METADATA_TOKEN_MAX = 4096,
    METADATA_ATTEMPT_MS = 15000, /* it is slow on a node that has just started */
    METADATA_RETRY_FIRST_MS = 300,
    METADATA_RETRY_MOST_MS = 10000,
    METADATA_EARLY_MS = 225000, /* so long before its end a token isn't used any more: the server has the next
                                   one from 300 s before */
    METADATA_LIFE_MAX_S = 86400,
};

struct metadata; /* one per Compute API client */

struct metadata_options {
    uv_loop_t *loop;
    struct http_client *http;
    const struct clock *clock;
    const struct random *random;
    const char *host; /* "host" or "host:port"; NULL or "": the environment's GCE_METADATA_HOST, or
                         metadata.google.internal */
    /* From the loop: a token is there (`err` NULL), or it is not yet, and is asked for again. */
    void (*changed)(void *context, const struct error *err);
    void *context;
};

/* Dials nothing yet. NULL on error. */
struct metadata *metadata_create(const struct metadata_options *options, struct error *err);

/* The memory goes when the loop has closed its handles and its call has ended. NULL is tolerated. */
void metadata_destroy(struct metadata *metadata);

/* The token, valid until the next call of any function here, and its number; or NULL: then metadata_want()
 * gets one. */
const char *metadata_token(struct metadata *metadata, unsigned *number);

/* A token is wanted (it is asked for from then on until there is one), or isn't any more. `changed` is never
 * called from within. */
void metadata_want(struct metadata *metadata, bool wanted);

/* The API does not take the token of that number: it is given up. */
void metadata_refuse(struct metadata *metadata, unsigned number);

/* Reads an answer of the server into `token`. Pure; for tests and the fuzzer. */
int metadata_read(const char *body, size_t length, char token[METADATA_TOKEN_MAX + 1], int64_t *life_ms,
                  struct error *err);

#endif
