/* A plan as a journal keeps it: all that it decided, with the rows that decided it. Pure. */
#ifndef ATOLL_CONTROLLER_JOURNAL_DECISION_H
#define ATOLL_CONTROLLER_JOURNAL_DECISION_H

#include "controller/decide/plan.h"
#include "proto/base/json.h"

/* A new JSON object; NULL when memory is out. */
struct json *decision_write(const struct plan *plan);

/* Whether both say the same of the set: rows, phases, what intents would hold, the action, the ledger. Ages,
 * lags and the sentences that tell them are no news. */
bool decision_same(const struct plan *a, const struct plan *b);

/* One place where two decisions differ. Texts are "" where nothing stands. */
struct decision_difference {
    const char *path; /* "members[1].rule" */
    const char *recorded, *decided;
};

enum { DECISION_DIFFERENCES_MAX = 50 };

/* The first DECISION_DIFFERENCES_MAX places where two JSON values differ, in `arena`; their number, or -1
 * when memory is out. */
int decision_compare(const struct json *recorded, const struct json *decided, struct arena *arena,
                     struct decision_difference out[DECISION_DIFFERENCES_MAX]);

#endif
