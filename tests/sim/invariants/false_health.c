/* 10. False health: the status does not say Healthy for longer than STALENESS_MS while it is not so. */
#include <string.h>

#include "tests/sim/world.h"

enum { STALENESS_MS = 25000 };

enum bad { BAD_DOWN, BAD_NO_PRIMARY, BAD_ADDRESS, BAD_UNREACHED, BAD_STATE, BAD_COUNT };

static const char *const texts[] = {"a member of its configuration does not run", "there is no primary",
                                    "a member's address is not in its configuration",
                                    "the primary can't reach a member",
                                    "a member is neither primary nor secondary nor arbiter"};

static void note(struct world *world, enum bad what, bool is_bad)
{
    if (!is_bad)
        world->bad_since_ms[what] = 0;
    else if (!world->bad_since_ms[what])
        world->bad_since_ms[what] = world->now_ms;
}

static const struct member_slot *find_primary(const struct world *world)
{
    const struct member_slot *primary = NULL;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *slot = &world->slots[i];
        if (slot->node.up && slot->node.state == MEMBER_PRIMARY &&
            (!primary || slot->disk.data->term > primary->disk.data->term))
            primary = slot;
    }
    return primary;
}

static const struct member_slot *slot_at(const struct world *world, const char *host)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].service && strcmp(world->slots[i].address, host) == 0)
            return &world->slots[i];
    return NULL;
}

static void look_at_members(struct world *world, const struct configuration *config,
                            const struct member_slot *primary)
{
    bool down = false, moved = false, unreached = false, idle = false;
    for (int i = 0; i < config->count; i++) {
        const struct member_slot *slot = slot_at(world, config->entries[i].host);
        down |= slot && !slot->node.up;
        moved |= !slot;
        const struct member_slot *there = primary ? node_at(world, primary, config->entries[i].host) : NULL;
        unreached |= primary && slot != primary && (!there || !there->ordinal); /* slot 0 is another set's */
        idle |= slot && slot->node.up && slot->node.state != MEMBER_PRIMARY &&
                slot->node.state != MEMBER_SECONDARY && slot->node.state != MEMBER_ARBITER;
    }
    note(world, BAD_DOWN, down);
    note(world, BAD_ADDRESS, moved);
    note(world, BAD_UNREACHED, unreached);
    note(world, BAD_STATE, idle);
}

/* What the other invariants need to know of the past. */
static void remember(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *slot = &world->slots[i];
        if (!wish_counts(world, i) || !world->wishes[i].votes)
            world->unwanted_ms[i] = world->now_ms;
        if (slot->node.up)
            world->down_since_ms[i] = 0;
        else if (!world->down_since_ms[i])
            world->down_since_ms[i] = world->now_ms;
        if (slot->node.up && slot->node.self >= 0) {
            int *owner = &world->id_owner[slot->disk.data->config.entries[slot->node.self].id & 255];
            *owner = *owner ? *owner : i;
        }
        if (slot->node.up && slot->node.self >= 0 && slot->disk.data->synced && slot->disk.data->length)
            world->had_data[i] = true;
    }
}

void check_status(struct world *world)
{
    const struct configuration *config = newest_committed(world);
    const struct member_slot *primary = find_primary(world);
    remember(world);
    note(world, BAD_NO_PRIMARY, !primary);
    if (config)
        look_at_members(world, config, primary);
    bool says_so = brain_phase(&world->brains[0]) == PHASE_HEALTHY;
    if (!says_so || !world->said_healthy_ms)
        world->said_healthy_ms = says_so ? world->now_ms : 0;
    if (!says_so || world->now_ms - world->said_healthy_ms <= STALENESS_MS)
        return;
    for (int i = 0; config && i < config->count; i++)
        world_trace(world, "truth", "_id %d is at %s, votes %d", config->entries[i].id,
                    config->entries[i].host, config->entries[i].votes);
    for (int i = BAD_DOWN; i < BAD_COUNT; i++)
        if (world->bad_since_ms[i] && world->now_ms - world->bad_since_ms[i] > STALENESS_MS)
            violate(world, 10, "the status has said Healthy for %lld s although %s",
                    (long long)(world->now_ms - world->bad_since_ms[i]) / 1000, texts[i]);
}
