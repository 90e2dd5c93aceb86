/* 8. Two hands: an agent never obeys a controller of a lower epoch than it has obeyed; a reconfiguration goes
 * through only where its base still is; and a deposed controller, which hears nobody, soon stops by itself.
 */
#include <string.h>

#include "tests/sim/world.h"

enum {
    DEPOSED_MOST_MS = 30000 /* so long what it knows may count as fresh, with a command under way */
};

void check_epoch(struct world *world, struct site *site, int64_t epoch)
{
    if (epoch < site->accepted_epoch)
        violate(world, 8, "the agent of %s obeys epoch %lld after epoch %lld", site->name, (long long)epoch,
                (long long)site->accepted_epoch);
    if (epoch > site->accepted_epoch)
        site->accepted_epoch = epoch;
}

void check_hand(struct world *world, const struct sim_action *action)
{
    bool old = action->brain && world->deposed_ms;
    if (old)
        world_trace(world, "oldctl", "sends a command, deposed as it is");
    if (old && world->now_ms - world->deposed_ms > DEPOSED_MOST_MS)
        violate(world, 8, "a controller that was deposed %lld s ago still sends commands",
                (long long)(world->now_ms - world->deposed_ms) / 1000);
}

/* An election gives the configuration another term and leaves it as it is. */
static bool is_same(const struct configuration *a, const struct configuration *b)
{
    bool same = a->version == b->version && a->count == b->count;
    for (int i = 0; same && i < a->count; i++) {
        const struct entry *one = &a->entries[i], *other = &b->entries[i];
        same = one->id == other->id && one->votes == other->votes && one->priority == other->priority &&
               strcmp(one->host, other->host) == 0;
    }
    return same;
}

void check_based(struct world *world, const struct sim_action *action, const struct configuration *before)
{
    if (!is_same(before, &action->base))
        violate(world, 8, "%s's change of version %lld goes through on another one, of version %lld",
                action->brain ? "a deposed controller" : "the controller", (long long)action->base.version,
                (long long)before->version);
}
