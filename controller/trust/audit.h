/* The audit log: who wanted to change what, from where, what for, and whether it was done. It only grows (the
 * store keeps the last STORE_LINES_MAX), and each end of an entry is a line of the daemon's log too, so that
 * it can be kept elsewhere.
 *
 * A change is written down before it is made: while that can't be done, nothing is changed. An entry that has
 * no end is of a change that the controller was stopped in: what became of it is not known. */
#ifndef ATOLL_CONTROLLER_TRUST_AUDIT_H
#define ATOLL_CONTROLLER_TRUST_AUDIT_H

#include <stdint.h>

#include "controller/act/store.h"
#include "controller/trust/access.h"
#include "proto/base/json.h"

enum { AUDIT_WHY_MAX = 512, AUDIT_PATH_MAX = 256, AUDIT_DETAIL_MAX = 256, AUDIT_FROM_MAX = 64 };

enum audit_outcome {
    AUDIT_BEGUN,
    AUDIT_DONE,
    AUDIT_REFUSED, /* not allowed: 401, 403, 429 */
    AUDIT_FAILED   /* allowed, and didn't work */
};

struct audit_entry {
    int64_t id; /* of the store */
    int64_t at_ms;
    struct caller caller;
    char from[AUDIT_FROM_MAX]; /* address and port */
    char method[8];
    char path[AUDIT_PATH_MAX];     /* longer ones are cut */
    char why[AUDIT_WHY_MAX];       /* the caller's own words */
    char detail[AUDIT_DETAIL_MAX]; /* ours: what changed, or why not */
    enum audit_outcome outcome;
    int status; /* HTTP; 0: none yet, or the client went away */
};

/* What an answer's status makes of a change. */
enum audit_outcome audit_outcome_of(int status);
const char *audit_outcome_name(enum audit_outcome outcome); /* "begun", "done", "refused", "failed" */

/* Writes it down, durable; fills in its id. A `store` without a log is ERROR_INTERNAL. */
int audit_begin(struct store *store, struct audit_entry *entry, struct error *err);
/* Its outcome, status and detail; with a line in the daemon's log, which is written even when the store
 * fails. */
int audit_end(struct store *store, const struct audit_entry *entry, struct error *err);

/* {"entries":[{"id","at","outcome","status","who":{"kind","name","zone","proof","mark"},"from","method","path","why","detail"}]},
 * newest first, those with an id below `before` (0: all). NULL on error. */
struct json *audit_list(struct store *store, int64_t before, size_t most, struct error *err);

#endif
