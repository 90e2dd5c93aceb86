/* 3. Self-made outage, by certificates and keyfiles: nothing that we do makes members that reach one another
 * stop believing one another. */
#include <string.h>

#include "tests/sim/world.h"

enum { UNHEARD_MOST_MS = 30000 }; /* each at its own address, and yet no majority hears one another */

static struct member_slot *owner_of(struct world *world, const struct entry *entry)
{
    struct member_slot *slot = &world->slots[world->id_owner[entry->id & 255]];
    return slot->ordinal && slot->node.up && strcmp(slot->address, entry->host) == 0 ? slot : NULL;
}

static bool names_host(const struct configuration *config, const char *host)
{
    for (int i = 0; i < config->count; i++)
        if (strcmp(config->entries[i].host, host) == 0)
            return true;
    return false;
}

/* A member whose former place goes to another one is let go of it, whatever it shows. */
void check_followed(struct world *world, const struct configuration *base, const struct configuration *config)
{
    for (int i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i], *before = config_find(base, entry->id);
        const struct member_slot *slot =
            before && strcmp(before->host, entry->host) != 0 ? owner_of(world, entry) : NULL;
        if (slot && !names_host(config, before->host) && !papers_bear(world, &slot->loaded, entry->host))
            violate(world, 3, "the configuration follows %s to %s, for which it shows no certificate",
                    slot_name(slot), entry->host);
    }
}

static bool pass(struct world *world, const struct member_slot *a, const struct member_slot *b)
{
    return world->blocked[a->zone][b->zone] == 0 && world->blocked[b->zone][a->zone] == 0;
}

/* How many votes the member hears; `plain`: would, if nobody had to believe anybody. */
static int votes_heard(struct world *world, const struct configuration *config,
                       const struct member_slot *slot, bool plain)
{
    int votes = 0;
    for (int i = 0; i < config->count; i++) {
        const struct member_slot *other = owner_of(world, &config->entries[i]);
        bool believed = other == slot || plain ||
                        (other && papers_agree(world, &slot->loaded, &other->loaded, other->address) &&
                         papers_agree(world, &other->loaded, &slot->loaded, slot->address));
        votes +=
            other && believed && (other == slot || pass(world, slot, other)) ? config->entries[i].votes : 0;
    }
    return votes;
}

void check_understood(struct world *world)
{
    const struct configuration *config = newest_committed(world);
    bool could = false, does = false;
    for (int i = 0; config && i < config->count && !does; i++) {
        const struct member_slot *slot =
            config->entries[i].votes ? owner_of(world, &config->entries[i]) : NULL;
        could |= slot && votes_heard(world, config, slot, true) > config_voters(config) / 2;
        does |= slot && votes_heard(world, config, slot, false) > config_voters(config) / 2;
    }
    if (!could || does || !world->unheard_ms)
        world->unheard_ms = could && !does ? world->now_ms : 0;
    else if (world->now_ms - world->unheard_ms > UNHEARD_MOST_MS)
        violate(world, 3, "for %lld s no majority hears one another, for want of certificates or keys",
                (long long)(world->now_ms - world->unheard_ms) / 1000);
}
