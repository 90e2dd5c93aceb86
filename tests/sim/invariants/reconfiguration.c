/* 2. Unsafe reconfiguration: at most one vote changes, and nothing is sent before the one before it is
 * committed. What the other invariants say of a reconfiguration is asked here too, at the moment when it is
 * sent. */
#include "tests/sim/world.h"

static int votes_of(const struct configuration *config, int id)
{
    const struct entry *entry = config_find(config, id);
    return entry ? entry->votes : 0;
}

static int changed_votes(const struct configuration *base, const struct configuration *config)
{
    int changes = 0;
    for (int i = 0; i < base->count; i++)
        changes += base->entries[i].votes != votes_of(config, base->entries[i].id);
    for (int i = 0; i < config->count; i++)
        changes += config->entries[i].votes && !config_find(base, config->entries[i].id);
    return changes;
}

void check_reconfiguration(struct world *world, const struct member_slot *target,
                           const struct configuration *base, const struct configuration *config)
{
    int changes = changed_votes(base, config);
    if (target->node.state != MEMBER_PRIMARY || config->version <= base->version)
        return; /* it is refused: nothing comes of it */
    if (changes > 1)
        violate(world, 2, "a reconfiguration that changes %d votes is sent to %s", changes,
                slot_name(target));
    if (!config_record(world, base)->committed)
        violate(world, 2, "version %lld is sent to %s, but version %lld was never on a majority",
                (long long)config->version, slot_name(target), (long long)base->version);
    check_ids(world, base, config);
    check_silence(world, base, config);
    check_vote_taken(world, base, config);
}
