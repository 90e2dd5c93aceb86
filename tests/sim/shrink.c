/* The smallest history that still breaks the same invariant: faults are left out, and made shorter, while it
 * does. */
#include "tests/sim/shrink.h"

#include <stdlib.h>

static int run(uint64_t seed, const struct planned_fault *faults, int count)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        abort();
    the_world = world;
    world_init(world, seed);
    for (int i = 0; i < count; i++) {
        world->faults[i].dropped = faults[i].dropped;
        world->faults[i].lasts_ms = faults[i].lasts_ms;
    }
    world_run(world);
    int violated = world->violated;
    world_finish(world);
    free(world);
    return violated;
}

static bool drop_one(uint64_t seed, struct planned_fault *faults, int count, int invariant)
{
    for (int i = 0; i < count; i++) {
        if (faults[i].dropped)
            continue;
        faults[i].dropped = true;
        if (run(seed, faults, count) == invariant)
            return true;
        faults[i].dropped = false;
    }
    return false;
}

void shrink(uint64_t seed, int invariant, struct planned_fault *faults, int count)
{
    while (drop_one(seed, faults, count, invariant))
        ;
    for (int i = 0; i < count; i++) {
        int64_t whole = faults[i].lasts_ms;
        if (faults[i].dropped || whole <= 2000)
            continue;
        faults[i].lasts_ms = whole / 2;
        if (run(seed, faults, count) != invariant)
            faults[i].lasts_ms = whole;
    }
}
