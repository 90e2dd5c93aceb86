/* 4. Two births: a set is initiated once, by one node, with a positive word from every zone. */
#include "tests/sim/world.h"

void check_told_to_initiate(struct world *world, const struct brain *brain, struct member_slot *target,
                            const struct configuration *config)
{
    if (world->told_before && world->initiated != target->ordinal)
        violate(world, 4, "%s is told to initiate, but %s was told before", slot_name(target),
                slot_name(&world->slots[world->initiated]));
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *slot = &world->slots[i];
        if (wish_counts(world, i) && !(brain->heard >> slot->zone & 1))
            violate(world, 4, "a set is born before zone z%d has been heard", slot->zone + 1);
        if (slot != target && slot->disk.exists && slot->disk.data->config.version)
            violate(world, 4, "a set is born although %s belongs to one", slot_name(slot));
    }
    world->told_before = true;
    world->initiated = target->ordinal;
    check_ids(world, config);
}

void check_birth(struct world *world, const struct configuration *config)
{
    (void)config;
    if (world->births++)
        violate(world, 4, "replSetInitiate succeeded a second time");
}
