/* Which change of membership is due, and for whom. */
#ifndef ATOLL_CONTROLLER_DECIDE_MEMBERSHIP_H
#define ATOLL_CONTROLLER_DECIDE_MEMBERSHIP_H

#include "controller/decide/rules.h"
#include "controller/decide/situation.h"

/* Whom a row speaks of: the first member for which the fact holds that the row asks for. NULL: the set as a
 * whole. */
const struct member_situation *membership_subject(const struct situation *situation, const struct rule *rule);

/* Whether a majority of the other voters is healthy without this one's vote, and an electable member remains.
 */
bool vote_is_spared(const struct situation *situation, const struct member_situation *member);

/* A member whose host the next configuration changes, when one that has moved is followed. */
bool moves_along(const struct situation *situation, const struct member_situation *member);

/* A member that may be added now. */
bool may_join(const struct member_situation *member);

#endif
