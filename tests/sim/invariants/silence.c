/* 9. Harm from silence: a vote or an entry is taken away only from a member that the spec does not want, or
 * whose disk is known to be another one: never because nothing is heard of it. */
#include "tests/sim/world.h"

enum {
    SPEC_LATE_MS = 60000, /* so long a controller may still work on an older spec */
    MENDED_MS =
        90000, /* so long a new disk may have its data again before its vote is taken, given back, … */
};

/* Now, or so lately that it is being mended. */
static bool lost_its_data(const struct world *world, int ordinal)
{
    const struct member_slot *slot = &world->slots[ordinal];
    int64_t lost_ms = world->lost_ms[ordinal];
    bool lacks = !slot->disk.exists || (!world->wishes[ordinal].arbiter && !slot->disk.data->synced);
    return lost_ms && (lacks || world->now_ms - lost_ms < MENDED_MS);
}

void check_silence(struct world *world, const struct configuration *base, const struct configuration *config)
{
    for (int i = 0; i < base->count; i++) {
        const struct entry *before = &base->entries[i], *after = config_find(config, before->id);
        int ordinal = world->id_owner[before->id & 255];
        if ((after && after->votes >= before->votes) || !ordinal)
            continue;
        if (!wish_counts(world, ordinal) || !world->wishes[ordinal].votes)
            world->unwanted_ms[ordinal] = world->now_ms;
        bool unwanted =
            world->unwanted_ms[ordinal] && world->now_ms - world->unwanted_ms[ordinal] < SPEC_LATE_MS;
        if (!unwanted && !lost_its_data(world, ordinal))
            violate(world, 9, "node%d loses its %s, though the spec wants it and it has its data", ordinal,
                    after ? "vote" : "place");
    }
}
