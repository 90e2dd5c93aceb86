/* 3. Self-made outage: nothing that we do on purpose leaves less than a healthy majority, or takes a second
 * member away. */
#include "tests/sim/world.h"

enum {
    KNOWN_AFTER_MS = 20000, /* by then everybody can know that a member is down */
    SEEN_AFTER_MS = 3000,   /* a stop on purpose looks closer */
    WORD_LATE_MS = 9000,    /* so late a slow way may bring the word to stop */
};

static bool long_down(const struct world *world, const struct configuration *config, int entry,
                      int64_t for_ms)
{
    int ordinal = world->id_owner[config->entries[entry].id & 255];
    int64_t since_ms = world->down_since_ms[ordinal];
    return ordinal && !world->slots[ordinal].node.up && since_ms && world->now_ms - since_ms > for_ms;
}

void check_outage(struct world *world, struct member_slot *slot, const char *what)
{
    const struct configuration *config = newest_committed(world);
    bool votes = false, serves = slot->node.up &&
                                 (slot->node.state == MEMBER_PRIMARY || slot->node.state == MEMBER_SECONDARY);
    int down = 0;
    for (int i = 0; config && i < config->count; i++) {
        int owner = world->id_owner[config->entries[i].id & 255];
        if (owner == slot->ordinal)
            votes = config->entries[i].votes > 0;
        else if (config->entries[i].votes)
            down += long_down(world, config, i,
                              SEEN_AFTER_MS + (world->sites[slot->zone].slow ? WORD_LATE_MS : 0));
    }
    if (votes && serves && down && !world->set_absent)
        violate(world, 3, "%s %s while another voter is down", slot_name(slot), what);
}

/* Who steps down goes on running and voting: it is no outage while somebody healthy can follow it. */
void check_stepping_down(struct world *world, const struct member_slot *slot)
{
    const struct configuration *config = newest_committed(world);
    int followers = 0, down = 0;
    for (int i = 0; config && i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        down += entry->votes && long_down(world, config, i, KNOWN_AFTER_MS);
        followers += entry->votes && entry->priority > 0 && !long_down(world, config, i, KNOWN_AFTER_MS) &&
                     world->id_owner[entry->id & 255] != slot->ordinal;
    }
    if (config && (!followers || config_voters(config) - down <= config_voters(config) / 2))
        violate(world, 3, "%s is told to step down, and nobody healthy can follow it", slot_name(slot));
}

void check_vote_taken(struct world *world, const struct configuration *base,
                      const struct configuration *config)
{
    int healthy = 0, voters = config_voters(config);
    if (voters >= config_voters(base))
        return;
    for (int i = 0; i < config->count; i++)
        healthy += config->entries[i].votes && !long_down(world, config, i, KNOWN_AFTER_MS);
    if (healthy <= voters / 2)
        violate(world, 3, "a vote is taken away and %d healthy of %d voters are left", healthy, voters);
}
