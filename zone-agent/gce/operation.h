/* What the Compute API says, as values: operations, refusals, disks, addresses. Pure. Readers are lenient
 * about what they don't use, and strict about what they do; strings live in the arena. Sources:
 * cloud.google.com/compute/docs/reference/rest/v1/{zoneOperations,disks,addresses},
 * cloud.google.com/apis/design/errors. */
#ifndef ATOLL_GCE_OPERATION_H
#define ATOLL_GCE_OPERATION_H

#include "proto/base/arena.h"
#include "proto/base/json.h"
#include "zone-agent/gce/compute.h"

enum { OPERATION_NAME_MAX = 128, COMPUTE_TEXT_MAX = 400 /* of what Google says, in our sentences */ };

/* An operation may be done and yet have failed. */
struct operation {
    const char *name;
    bool done;
    const char *error_code; /* "ZONE_RESOURCE_POOL_EXHAUSTED" …; "" when there is no error */
    const char *error_message;
    int error_status; /* the HTTP status that fits the error; 0 when not said */
};

/* Why a request was refused. */
struct refusal {
    const char *reason;  /* "quotaExceeded" …; "" when not said */
    const char *message; /* "" when not said */
};

int operation_read(const struct json *json, struct arena *arena, struct operation *out, struct error *err);

/* Of whatever came with a status that is not 2xx: proxies answer in HTML. `json` may be NULL. */
struct refusal refusal_read(const struct json *json, struct arena *arena);

/* `out->handle` is made of what was asked for, not of what came. */
int compute_disk_read(const struct json *json, const char *project, const char *zone, struct arena *arena,
                      struct compute_disk *out, struct error *err);

/* `description` is where our mark is. */
int compute_address_read(const struct json *json, struct arena *arena, struct compute_address *out,
                         const char **description, struct error *err);

/* One line, printable, at most COMPUTE_TEXT_MAX bytes. */
const char *compute_text(struct arena *arena, const char *text);

#endif
