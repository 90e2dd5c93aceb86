/* 7. Reused identity: an _id belongs to one member for ever, is never used again once it is gone, and hosts
 * differ. */
#include <string.h>

#include "tests/sim/world.h"

enum { KNOWN_AFTER_MS = 20000 }; /* an address may have changed hands a moment before */

static int owner_of(const struct world *world, const char *host)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (strcmp(world->slots[i].address, host) == 0 &&
            world->now_ms - world->slots[i].address_ms > KNOWN_AFTER_MS)
            return i;
    return 0;
}

/* The first time that an _id is seen, the host alone says whose it is. */
static int first_owner(const struct world *world, const char *host)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (strcmp(world->slots[i].address, host) == 0)
            return i;
    return 0;
}

/* Who lost the ledger can only ask the mongods; one that took another's address takes itself for that one. */
static bool says_so_itself(const struct world *world, int ordinal, int id)
{
    const struct member_slot *slot = &world->slots[ordinal];
    return world->forgotten && slot->disk.exists && slot->node.self >= 0 &&
           slot->disk.data->config.entries[slot->node.self].id == id;
}

static bool is_as_before(const struct configuration *base, const struct entry *entry)
{
    const struct entry *before = base ? config_find(base, entry->id) : NULL;
    return before && strcmp(before->host, entry->host) == 0; /* nothing is given to anybody */
}

static void check_owner(struct world *world, const struct entry *entry)
{
    int id = entry->id & 255, now = owner_of(world, entry->host);
    if (!world->id_owner[id])
        world->id_owner[id] = first_owner(world, entry->host);
    if (!now || !world->id_owner[id] || now == world->id_owner[id])
        return;
    if (!says_so_itself(world, now, entry->id))
        violate(world, 7, "_id %d was node%d's and is given to node%d", entry->id, world->id_owner[id], now);
    world->id_owner[id] = now;
}

void check_ids(struct world *world, const struct configuration *base, const struct configuration *config)
{
    for (int i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        if (world->id_gone[entry->id & 255])
            violate(world, 7, "_id %d is used again, for %s", entry->id, entry->host);
        if (!is_as_before(base, entry))
            check_owner(world, entry);
        for (int j = 0; j < i; j++)
            if (strcmp(config->entries[j].host, entry->host) == 0)
                violate(world, 7, "_id %d and %d share the host %s", entry->id, config->entries[j].id,
                        entry->host);
    }
}
