/* The zone's decisions, pure: what the intent wants of one member and what the zone holds of it -> at most
 * one next step, and what the member waits for. The rows are in rules.def, their conditions in facts.def. */
#ifndef ATOLL_ZONE_AGENT_DECIDE_RECONCILE_H
#define ATOLL_ZONE_AGENT_DECIDE_RECONCILE_H

#include "proto/base/buffer.h"
#include "proto/model.h"
#include "zone-agent/driver.h"

enum decision_outcome { DECISION_STEP, DECISION_WAIT, DECISION_DONE };

struct decision {
    int rule;         /* number of the row */
    const char *name; /* of the row */
    enum decision_outcome outcome;
    enum step_kind step;    /* of DECISION_STEP */
    bool reached;           /* the intent is made true for this member */
    struct problem waiting; /* code "" when it is reached; strings live in the arena or for ever */
};

/* The next step for one member. `wanted` NULL: the intent does not name it. `held` NULL: the zone holds
 * nothing of it. */
void reconcile(const struct intent_member *wanted, const struct member_holding *held, struct arena *arena,
               struct decision *out);

/* Why row `rule` does not apply: its first condition that is unmet, as a text for people; NULL when all are
 * met (then it applies unless an earlier row does), or when there is no such row. */
const char *reconcile_unmet(int rule, const struct intent_member *wanted, const struct member_holding *held);

/* The table as text, for the golden file and the documentation. */
int reconcile_rules_dump(struct buffer *out, struct error *err);

#endif
