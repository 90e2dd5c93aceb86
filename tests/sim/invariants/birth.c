/* 4. Two births: a set is initiated once, by one node, with a positive word from every zone. */
#include "tests/sim/world.h"

/* The spec in force, not the one that was written a moment ago, says whose word is needed. */
static void check_heard(struct world *world, const struct brain *brain)
{
    struct federation_view view;
    controller_view(brain->controller, &view);
    for (size_t i = 0; view.set_count && i < view.sets[0].set->member_count; i++) {
        const struct spec_member *member = &view.sets[0].set->members[i];
        if (!member->absent && !(brain->heard >> (member->zone[1] - '1') & 1))
            violate(world, 4, "a set is born before zone %s has been heard", member->zone);
    }
}

/* Who lost the store may choose anew when all say that they are new, but not while the first command may yet
 * arrive. */
static bool still_told(const struct world *world)
{
    int told = 0;
    for (int i = 0; i < ACTIONS_MAX; i++)
        told +=
            world->actions[i].active && world->actions[i].kind == ACTION_INITIATE && !world->actions[i].code;
    return told > 1;
}

void check_told_to_initiate(struct world *world, const struct brain *brain, struct member_slot *target,
                            const struct configuration *config)
{
    if (world->told_before && world->initiated != target->ordinal && (!world->forgotten || still_told(world)))
        violate(world, 4, "%s is told to initiate, but %s was told before", slot_name(target),
                slot_name(&world->slots[world->initiated]));
    if (brain->controller && (!world->told_before || world->forgotten) &&
        !brain->intended_before) /* then the word of all was there before */
        check_heard(world, brain);
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *slot = &world->slots[i];
        if (slot != target && slot->disk.exists && slot->disk.data->config.version)
            violate(world, 4, "a set is born although %s belongs to one", slot_name(slot));
    }
    world->told_before = true;
    world->initiated = target->ordinal;
    check_ids(world, NULL, config);
}

void check_birth(struct world *world, const struct configuration *config)
{
    (void)config;
    if (world->births++)
        violate(world, 4, "replSetInitiate succeeded a second time");
}
