/* 11, 12, 13: when faults stop, the set becomes what the spec wants within a bounded time; crashes don't
 * change the end; and whatever is not finished says what it waits for and when it is looked at again. */
#include <stdio.h>
#include <string.h>

#include "controller/decide/rules.h"
#include "tests/sim/world.h"

/* ---- the end ---- */

static const struct entry *entry_for(const struct world *world, const struct configuration *config,
                                     int ordinal)
{
    for (int i = 0; i < config->count; i++)
        if (strcmp(config->entries[i].host, world->slots[ordinal].address) == 0)
            return &config->entries[i];
    return NULL;
}

static bool serves(const struct member_slot *slot)
{
    return slot->node.up && (slot->node.state == MEMBER_PRIMARY || slot->node.state == MEMBER_SECONDARY ||
                             slot->node.state == MEMBER_ARBITER);
}

static bool member_settled(const struct world *world, const struct configuration *config, int ordinal)
{
    const struct wish *wish = &world->wishes[ordinal];
    const struct member_slot *slot = &world->slots[ordinal];
    const struct entry *entry = entry_for(world, config, ordinal);
    if (!wish_counts(world, ordinal))
        return !slot->pod && !slot->controller && !slot->service;
    if (slot->disk_stale || slot->disk_small || slot->service_stale || slot->controller_stale ||
        slot->secrets_stale)
        return false; /* what somebody edited is put right */
    if (!papers_bear(world, &slot->loaded, slot->address) || slot->loaded.serial != slot->brought.serial ||
        strcmp(slot->loaded.key_id, slot->brought.key_id) != 0)
        return false;
    return entry && serves(slot) && entry->votes == wish->votes && entry->priority == wish->priority &&
           entry->arbiter == wish->arbiter && (*entry->tag != 0) == (wish->tagged && !wish->arbiter);
}

static bool has_primary(const struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].node.up && world->slots[i].node.state == MEMBER_PRIMARY)
            return true;
    return false;
}

/* With a zone lost for good the set is Degraded, also when the spec takes away what nobody can take down
 * there; or, to a controller that has never heard of that zone, Joining. Where whom the spec takes away had
 * left before, or who holds them was never heard, it is Healthy. */
static bool phase_fits(const struct world *world, enum set_phase phase)
{
    bool missing = false, left = false;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        bool lost = world->wishes[i].named && world->sites[world->slots[i].zone].lost;
        missing |= lost && wish_counts(world, i);
        left |= lost && !wish_counts(world, i);
    }
    if (!missing && phase == PHASE_HEALTHY)
        return true;
    return (missing || left) && (phase == PHASE_DEGRADED || phase == PHASE_JOINING);
}

bool check_settled(struct world *world)
{
    const struct configuration *config = newest_committed(world);
    int wanted = 0, listed = config ? config->count : 0;
    enum set_phase phase = brain_phase(&world->brains[0]);
    if (!config || !has_primary(world) || !phase_fits(world, phase))
        return false;
    if (!world->lost_for_good && (world->exchanges || world->brains[0].image.authority.other))
        return false; /* an exchange of the CA comes to its end */
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        bool reachable = !world->sites[world->slots[i].zone].lost;
        wanted += wish_counts(world, i);
        if (reachable && (world->wishes[i].named || wish_counts(world, i)) &&
            !member_settled(world, config, i))
            return world->lost_for_good && wish_counts(world, i) && !entry_for(world, config, i);
    }
    return world->lost_for_good || wanted == listed;
}

static bool find_rule(const struct plan *plan, int number)
{
    for (size_t i = 0; i < plan->rule_count; i++)
        if (plan->rules[i] == number)
            return true;
    return false;
}

void check_never_settled(struct world *world)
{
    struct federation_view view;
    if (!world->brains[0].controller) {
        violate(world, 12, "the controller does not come back");
        return;
    }
    controller_view(world->brains[0].controller, &view);
    const struct plan *plan = view.set_count ? view.sets[0].plan : NULL;
    if (plan && plan->rule == 23 && world->lost_ms[world->initiated ? world->initiated : 1]) {
        world->operator_needed =
            true; /* by design a person decides whether a birth on a lost disk happened */
        return;
    }
    if (plan && ((plan->rule == 73 && world->lost_for_good) || plan->rule == 88 || plan->rule == 89 ||
                 find_rule(plan, 216) || find_rule(plan, 229))) {
        world->operator_needed = true; /* nor whose an entry is after the store was lost */
        return;
    }
    const struct configuration *config = newest_committed(world);
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct papers *loaded = &world->slots[i].loaded, *brought = &world->slots[i].brought;
        if (config && world->wishes[i].named && !member_settled(world, config, i))
            world_trace(world, "end", "node%d is not what the spec wants", i);
        if (world->slots[i].node.up)
            world_trace(world, "end", "node%d: certificate %d, has loaded %d; keyfile %s, has loaded %s", i,
                        brought->serial, loaded->serial, brought->key_id, loaded->key_id);
    }
    violate(world, 11, "%lld s after the last fault the set is %s: (row %d) %s",
            (long long)(world->now_ms - world->settle_from_ms) / 1000,
            plan ? set_phase_name(plan->phase) : "not planned", plan ? plan->rule : 0,
            plan ? plan->sentence : "");
    size_t count;
    const struct rule *rules = rules_of(RULES_OF_SET, &count);
    for (size_t i = 0; plan && i < count && rules[i].number != plan->rule; i++)
        if (rules[i].number >= 40) /* why no row before it was taken */
            world_trace(world, "end", "row %d lacks: %s", rules[i].number,
                        rule_unmet(RULES_OF_SET, &rules[i], plan->facts));
    for (size_t i = 0; plan && i < plan->member_count; i++)
        world_trace(world, "end", "node%d: %s (row %d) %s", plan->members[i].ordinal,
                    member_phase_name(plan->members[i].phase), plan->members[i].rule,
                    plan->members[i].sentence);
}

/* ---- waits ---- */

static void check_wait(struct world *world, const struct wait *wait, int64_t now_ms)
{
    if (!*wait->reason || !*wait->message || !*wait->ended_by || !wait->rule)
        violate(world, 13, "a wait of row %d names no reason, sentence or ender: \"%s\"", wait->rule,
                wait->message);
    if (wait->since_ms <= 0 || strchr(wait->message, '{'))
        violate(world, 13, "a wait of row %d is not said properly: \"%s\"", wait->rule, wait->message);
    (void)now_ms;
}

void check_plan(struct world *world, const struct plan_input *input, const struct plan *plan)
{
    bool waits = plan->wait_count > 0;
    for (size_t i = 0; i < plan->wait_count; i++)
        check_wait(world, &plan->waits[i], input->now_ms);
    for (size_t i = 0; i < plan->member_count; i++) {
        waits |= plan->members[i].waiting;
        if (plan->members[i].waiting)
            check_wait(world, &plan->members[i].wait, input->now_ms);
    }
    if (plan->phase != PHASE_HEALTHY && plan->phase != PHASE_REMOVED && !waits &&
        plan->action.kind == ACTION_NONE && !plan->ledger_changed)
        violate(world, 13, "the set is %s and nothing is waited for", set_phase_name(plan->phase));
    if (plan->look_again_at_ms <= 0)
        violate(world, 13, "nobody looks at the set again");
}
