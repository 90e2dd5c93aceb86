/* 9. Harm from silence: a vote or an entry is taken away only from a member that the spec does not want, or
 * whose disk is known to be another one: never because nothing is heard of it. */
#include "tests/sim/world.h"

enum { SPEC_LATE_MS = 60000 }; /* so long a controller may still work on an older spec */

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
        if (!unwanted && !world->lost_ms[ordinal])
            violate(world, 9, "node%d loses its %s, though the spec wants it and its disk was never lost",
                    ordinal, after ? "vote" : "place");
    }
}
