/* 13. Every wait has a reason, a sentence, somebody who ends it, and a moment in reach at which it is looked
 * at again; and then somebody does look. */
#include <string.h>

#include "tests/sim/world.h"

enum {
    LOOK_MOST_MS = CONTROLLER_LOOK_AGAIN_MOST_MS, /* so far ahead the next look may be put */
    /* a store that takes no writes is tried again no sooner, and a look may come late by a fault's second */
    LOOKED_MOST_MS = CONTROLLER_STORE_RETRY_MOST_MS + LOOK_MOST_MS + 3000,
};

static void check_moments(struct world *world, const struct wait *wait, const struct plan_input *input,
                          const struct plan *plan)
{
    if (wait->since_ms > input->now_ms)
        violate(world, 13, "a wait of row %d began %lld ms from now: \"%s\"", wait->rule,
                (long long)(wait->since_ms - input->now_ms), wait->message);
    if (!wait->until_ms)
        return;
    if (wait->until_ms < input->now_ms || wait->until_ms < wait->since_ms)
        violate(world, 13, "a wait of row %d has a deadline that passed %lld ms ago: \"%s\"", wait->rule,
                (long long)(input->now_ms - wait->until_ms), wait->message);
    if (plan->look_again_at_ms > wait->until_ms)
        violate(world, 13, "a wait of row %d is not looked at when its deadline comes: \"%s\"", wait->rule,
                wait->message);
}

static void check_wait(struct world *world, const struct wait *wait, const struct plan_input *input,
                       const struct plan *plan)
{
    if (!*wait->reason || !*wait->message || !*wait->ended_by || !wait->rule)
        violate(world, 13, "a wait of row %d names no reason, sentence or ender: \"%s\"", wait->rule,
                wait->message);
    if (wait->since_ms <= 0 || strchr(wait->message, '{'))
        violate(world, 13, "a wait of row %d is not said properly: \"%s\"", wait->rule, wait->message);
    check_moments(world, wait, input, plan);
}

void check_waits(struct world *world, const struct plan_input *input, const struct plan *plan)
{
    bool waits = plan->wait_count > 0;
    for (size_t i = 0; i < plan->wait_count; i++)
        check_wait(world, &plan->waits[i], input, plan);
    for (size_t i = 0; i < plan->member_count; i++) {
        waits |= plan->members[i].waiting;
        if (plan->members[i].waiting)
            check_wait(world, &plan->members[i].wait, input, plan);
    }
    if (plan->phase != PHASE_HEALTHY && plan->phase != PHASE_REMOVED && !waits &&
        plan->action.kind == ACTION_NONE && !plan->ledger_changed)
        violate(world, 13, "the set is %s and nothing is waited for", set_phase_name(plan->phase));
    for (int i = 0; i < CONDITION_COUNT; i++)
        if (plan->conditions[i].since_ms > input->now_ms)
            violate(world, 13, "condition %s is said to hold from a moment that is yet to come",
                    condition_type_name(plan->conditions[i].type));
    if (plan->look_again_at_ms < input->now_ms || plan->look_again_at_ms > input->now_ms + LOOK_MOST_MS)
        violate(world, 13, "the set is looked at again in %lld ms",
                (long long)(plan->look_again_at_ms - input->now_ms));
}

void check_looked(struct world *world)
{
    for (int i = 0; i < BRAINS; i++) {
        const struct brain *brain = &world->brains[i];
        if (brain->controller && brain->planned_ms && world->now_ms - brain->planned_ms > LOOKED_MOST_MS)
            violate(world, 13, "for %lld s nobody has looked at the set again",
                    (long long)(world->now_ms - brain->planned_ms) / 1000);
    }
}
