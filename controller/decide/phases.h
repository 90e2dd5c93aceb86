/* What people see of a set at a glance: its phase, its conditions, the phase of each member. */
#ifndef ATOLL_CONTROLLER_DECIDE_PHASES_H
#define ATOLL_CONTROLLER_DECIDE_PHASES_H

#include "controller/decide/rules.h"
#include "controller/decide/situation.h"

enum member_phase member_phase_of(const struct member_situation *member);
enum member_phase member_phase_next(const struct member_situation *member);

/* From the facts, the row that fired, and the members' plans. */
enum set_phase set_phase_of(const struct situation *situation, const struct rule *rule,
                            const struct plan *plan);

void plan_conditions(const struct situation *situation, struct plan *plan);

#endif
