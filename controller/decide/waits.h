/* Whatever is not finished carries a wait: made here from the row that fired. */
#ifndef ATOLL_CONTROLLER_DECIDE_WAITS_H
#define ATOLL_CONTROLLER_DECIDE_WAITS_H

#include "controller/decide/rules.h"
#include "controller/decide/sentence.h"
#include "controller/decide/situation.h"

/* The row's sentence about a member, or about the set and the situation's subject. */
const char *member_sentence(const struct situation *situation, const struct member_situation *member,
                            const char *pattern);
const char *set_sentence(const struct situation *situation, const struct plan *plan, const char *pattern);

/* Fills in the member's wait, with `since` carried over from the plan before. */
void member_wait(const struct situation *situation, const struct member_situation *member,
                 const struct rule *rule, struct member_plan *out);

/* The same for the set: no wait when the row has no reason. */
void set_wait(const struct situation *situation, const struct rule *rule, struct plan *plan);

#endif
