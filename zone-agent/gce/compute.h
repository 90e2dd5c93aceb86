/* Google's Compute API, as far as a member needs it: its disk, and the address that its Service is reached
 * by. One task is one struct with a `done` callback; in between, it reads what is there, asks for what is
 * missing, follows operations, and tries again what heals by trying again. Nothing in here can delete a disk
 * or an address, make one smaller, or attach one (CSI does). Sources:
 * cloud.google.com/compute/docs/reference/rest/v1/{disks,addresses,zoneOperations,regionOperations}.
 *
 * A disk of the wanted name that exists is compared, then adopted or refused with a sentence:
 *   - it bears our labels with the same federation, set and ordinal: it is this member's own, made before (by
 * an agent that died since, or for the member's earlier life);
 *   - it bears them with other values: refused (disk_foreign);
 *   - it bears none: refused (disk_foreign), but with `adopt` it gets them, for the user has named it;
 *   - another type: refused (disk_mismatch); smaller: grown; larger: taken as it is. */
#ifndef ATOLL_GCE_COMPUTE_H
#define ATOLL_GCE_COMPUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/http_client.h"
#include "proto/model.h"

enum {
    COMPUTE_TASKS_MAX = 256,   /* under way or waiting, one client */
    COMPUTE_IN_FLIGHT_MAX = 4, /* requests sent at a time */
    COMPUTE_ANSWER_BYTES_MAX = 256 * 1024,
    COMPUTE_DEADLINE_MS = 300000, /* of a task, where it names none */
    COMPUTE_ATTEMPT_MS = 30000,   /* of one request */
    COMPUTE_RETRY_FIRST_MS = 500,
    COMPUTE_RETRY_MOST_MS = 30000,
    COMPUTE_POLL_FIRST_MS = 100, /* between two looks at an operation */
    COMPUTE_POLL_MOST_MS = 5000,
    COMPUTE_LABELS_MAX = 64,   /* Google's own bound for one resource */
    COMPUTE_NAME_MAX = 63,     /* [a-z]([-a-z0-9]*[a-z0-9])? */
    COMPUTE_PROJECT_MAX = 127, /* "example.com:my-project" */
    COMPUTE_URL_MAX = 512,
};

/* What can go wrong: the code for a disk, for an address, whether trying again without a change in the world
 * is no use, and what people can do. Codes are stable: `atoll explain` and scripts show them. */
#define COMPUTE_PROBLEMS(X)                                                                                  \
    X(COMPUTE_QUOTA, "disk_quota", "address_quota", true,                                                    \
      "ask Google for more of this quota in the region, or free some; the member goes on by itself then")    \
    X(COMPUTE_STOCKOUT, "disk_stockout", "address_stockout", false,                                          \
      "the zone has no room for it now: wait, it is tried again; or choose another storage type or zone")    \
    X(COMPUTE_DENIED, "disk_denied", "address_denied", true,                                                 \
      "give the agent's service account the role that deploy/gke/README.md names, and see that the Compute " \
      "API is enabled in the project")                                                                       \
    X(COMPUTE_INVALID, "disk_invalid", "address_invalid", true,                                              \
      "correct the zone, project, storage size or type in the spec")                                         \
    X(COMPUTE_FOREIGN, "disk_foreign", "address_foreign", true,                                              \
      "it is left alone: rename or remove it yourself, or name another one in the spec")                     \
    X(COMPUTE_MISMATCH, "disk_mismatch", "address_mismatch", true,                                           \
      "make the spec say what it is, or name another one in the spec")                                       \
    X(COMPUTE_BROKEN, "disk_failed", "address_failed", true, "look at it in the Google Cloud console")       \
    X(COMPUTE_MISSING, "disk_missing", "address_missing", true,                                              \
      "see who took it away: it is not made again without being asked for")                                  \
    X(COMPUTE_BUSY, "disk_api_busy", "address_api_busy", false, "nothing: it is tried again")                \
    X(COMPUTE_UNREACHABLE, "disk_api_unreachable", "address_api_unreachable", false,                         \
      "see that the agent can reach the Compute API (network policy, private access, DNS); it is tried "     \
      "again")                                                                                               \
    X(COMPUTE_NO_TOKEN, "disk_no_token", "address_no_token", false,                                          \
      "see that the agent's Kubernetes service account is bound to a Google one (Workload Identity); it is " \
      "tried again")                                                                                         \
    X(COMPUTE_PROTOCOL, "disk_api_answer", "address_api_answer", false,                                      \
      "see whether the Compute URL is right; it is tried again")                                             \
    X(COMPUTE_CANCELED, "disk_canceled", "address_canceled", false, "nothing")

enum compute_problem_kind {
#define X(name, disk, address, lasting, advice) name,
    COMPUTE_PROBLEMS(X)
#undef X
};

struct compute_problem {
    enum compute_problem_kind kind;
    const char *code;    /* "disk_quota" … */
    const char *message; /* what was being done, to what, what went wrong, what to do next; at most
                            SENTENCE_LENGTH_MAX bytes */
    bool lasting;        /* the same again is no use before somebody has changed something */
    int status;          /* HTTP's; 0 when nobody answered */
};

/* Whose it is: a disk's labels atoll-federation, atoll-set, atoll-ordinal; an address' description (labels
 * can't be given with an address' insert). Lower-case letters, digits, dashes and underscores, as Google's
 * labels want it. */
struct compute_owner {
    const char *federation, *set;
    int ordinal;
};

#define COMPUTE_LABEL_FEDERATION "atoll-federation"
#define COMPUTE_LABEL_SET "atoll-set"
#define COMPUTE_LABEL_ORDINAL "atoll-ordinal"

struct compute_disk {
    const char *name;
    const char *id;     /* Google's own number for it: another disk of the same name has another */
    const char *type;   /* "pd-ssd" */
    const char *status; /* "READY", "CREATING", "FAILED" … */
    const char *handle; /* "projects/P/zones/Z/disks/NAME": CSI's volumeHandle */
    int64_t size_bytes;
    bool attached;                  /* some machine uses it now */
    bool ever_attached;             /* it may hold data */
    const struct key_value *labels; /* all, also foreign ones */
    size_t label_count;
};

struct compute_address {
    const char *name, *id;
    const char *address; /* "34.23.1.2" */
    const char *status;  /* "RESERVED", "IN_USE" … */
};

/* Valid during the call to `done` alone. Exactly one of problem and (disk or address) is not NULL; but a READ
 * of what isn't there gives neither. */
struct compute_result {
    const struct compute_disk *disk;
    const struct compute_address *address;
    bool created; /* by this task */
    bool adopted; /* it was there and bore no mark of ours */
    const struct compute_problem *problem;
};

#define COMPUTE_TASKS(X)                                                                                     \
    X(COMPUTE_DISK_READ, "reading disk")                                                                     \
    X(COMPUTE_DISK_ENSURE, "creating disk") /* or taking what is there, as said above */                     \
    X(COMPUTE_DISK_UPDATE, "updating disk") /* labels, growth; what is gone is a problem (disk_missing) */   \
    X(COMPUTE_ADDRESS_READ, "reading address")                                                               \
    X(COMPUTE_ADDRESS_ENSURE, "reserving address") /* regional, EXTERNAL, PREMIUM */

enum compute_task_kind {
#define X(name, text) name,
    COMPUTE_TASKS(X)
#undef X
};

struct compute_task {
    enum compute_task_kind kind;
    const char *project, *zone, *name; /* an address is reserved in the zone's region */
    struct compute_owner owner;        /* not used by READs */
    int64_t size_bytes;                /* of a disk, rounded up to whole GiB; 0 with UPDATE: as it is */
    const char *type;                  /* of a disk: "pd-ssd"; "": pd-balanced with ENSURE, any with UPDATE */
    const struct key_value *labels; /* of a disk: further ones that it must bear, like the replica set's id */
    size_t label_count;
    bool adopt;          /* the user has named it: one that bears no mark of ours may be taken */
    int64_t deadline_ms; /* with all attempts; 0: COMPUTE_DEADLINE_MS */
    /* Exactly once, never from within compute_start(). */
    void (*done)(void *context, uint64_t id, const struct compute_result *result);
    /* Something went wrong that is tried again: for `explain`, in the meantime. Each time; may be NULL. */
    void (*retrying)(void *context, uint64_t id, const struct compute_problem *problem);
    void *context;
};

struct compute; /* one per agent */

struct compute_options {
    uv_loop_t *loop;
    struct http_client *http;
    const struct clock *clock; /* these two must outlive the client */
    const struct random *random;
    const char *url; /* of the API without path; NULL or "": https://compute.googleapis.com */
    const char *
        metadata_host; /* "host" or "host:port"; NULL or "": GCE_METADATA_HOST, or metadata.google.internal */
};

/* Dials nothing yet. NULL on error. */
struct compute *compute_create(const struct compute_options *options, struct error *err);

/* Each task under way is answered COMPUTE_CANCELED, from within this call. The memory goes when the loop has
 * closed the client's handles: run it until it has nothing left. Before http_client_destroy(). NULL is
 * tolerated. */
void compute_destroy(struct compute *compute);

/* Starts a task (all strings are copied): its id (never 0), or 0 and `err` (bad names, too many tasks); then
 * `done` is not called. */
uint64_t compute_start(struct compute *compute, const struct compute_task *task, struct error *err);

/* `done` is called soon, from the loop, with COMPUTE_CANCELED; what was asked for may happen still. An
 * unknown id is tolerated. */
void compute_cancel(struct compute *compute, uint64_t id);

/* "us-east1" of "us-east1-b"; false when it is no zone's name or has no room in `region`. */
bool compute_region(const char *zone, char region[COMPUTE_NAME_MAX + 1]);

#endif
