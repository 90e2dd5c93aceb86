/* 8. Two hands: an agent never obeys a controller of a lower epoch than it has obeyed. */
#include "tests/sim/world.h"

void check_epoch(struct world *world, struct site *site, int64_t epoch)
{
    if (epoch < site->accepted_epoch)
        violate(world, 8, "the agent of %s obeys epoch %lld after epoch %lld", site->name, (long long)epoch,
                (long long)site->accepted_epoch);
    if (epoch > site->accepted_epoch)
        site->accepted_epoch = epoch;
}
