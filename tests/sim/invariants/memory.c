/* 6. A vote without memory: a member that had data does not come back on an empty disk with its vote. */
#include "tests/sim/world.h"

void check_started_empty(struct world *world, struct member_slot *slot)
{
    const struct configuration *config = newest_committed(world);
    if (slot->disk.data->synced || !config)
        return;
    for (int i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        if (world->id_owner[entry->id & 255] == slot->ordinal && entry->votes && !entry->arbiter &&
            world->had_data[slot->ordinal])
            violate(world, 6, "%s starts on an empty disk and has a vote as _id %d, which had data",
                    slot_name(slot), entry->id);
    }
}
