/* One entry of a journal: everything that a plan was made on, and the plan. Reading is bounded and strict.
 * Pure. */
#ifndef ATOLL_CONTROLLER_JOURNAL_ENTRY_H
#define ATOLL_CONTROLLER_JOURNAL_ENTRY_H

#include "controller/decide/plan.h"
#include "proto/base/json.h"

/* Number, moment and spec of an entry. */
struct entry_stamp {
    int64_t sequence; /* counts what was recorded, also what was dropped since */
    int64_t revision; /* of the spec */
};

/* A new JSON object {"sequence","at","nowMs","revision","previous","observation","ledger","plan"}; NULL when
 * memory is out. */
struct json *entry_write(const struct entry_stamp *stamp, const struct plan_input *input,
                         const struct plan *plan);

/* What the planner is given, read back: all but the spec. Everything lives in `arena`. */
struct entry_input {
    int64_t now_ms;
    struct observation observation;
    struct ledger ledger;
    bool has_previous;
    struct plan previous; /* only what a plan takes over */
};

int entry_read(const struct json *json, const char *set, struct arena *arena, struct entry_stamp *stamp,
               struct entry_input *out, struct error *err);

#endif
