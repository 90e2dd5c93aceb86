/* What can go wrong with a zone, its agent, and the ways to both. */
#include "tests/sim/faults.h"

static void zone_down(struct world *world, struct site *site)
{
    site->down++;
    agent_host_kill(site);
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].zone == site->zone)
            pod_kill(world, &world->slots[i], 1000);
}

static bool votes_left(const struct world *world, const struct site *site, const struct configuration *config)
{
    int left = 0;
    for (int i = 0; i < config->count; i++) {
        int owner = world->id_owner[config->entries[i].id & 255];
        left += config->entries[i].votes && owner && world->slots[owner].zone != site->zone;
    }
    return left > config_voters(config) / 2;
}

/* By each configuration that the others have: the newest may be in the lost zone alone, and the votes of the
 * spec may not be given yet. */
static bool votes_without(const struct world *world, const struct site *site)
{
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *slot = &world->slots[i];
        bool has = slot->zone != site->zone && slot->disk.exists && slot->disk.data->config.version;
        if (has && !votes_left(world, site, &slot->disk.data->config))
            return false;
    }
    return true;
}

static bool majority_without(const struct world *world, const struct site *site)
{
    int votes = 0, left = 0, electable = 0, bare = 0;
    if (!votes_without(world, site))
        return false;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        if (!wish_counts(world, i))
            continue;
        bool stays = world->wishes[i].zone != site->zone;
        bare += !world->slots[i].disk.exists || !world->slots[i].disk.data->synced;
        votes += world->wishes[i].votes;
        left += stays ? world->wishes[i].votes : 0;
        electable += stays && world->wishes[i].priority > 0;
    }
    return left > votes / 2 && electable > 0 && !bare;
}

bool fault_of_zone(struct world *world, struct planned_fault *fault, struct site *site)
{
    switch (fault->kind) {
    case FAULT_AGENT_CRASH:
        agent_host_kill(site);
        return true;
    case FAULT_AGENT_FUSE:
        site->fuse = (int)(fault->seed % 9);
        return site->agent != NULL;
    case FAULT_AGENT_FORGETS:
        agent_host_kill(site);
        agent_host_forget(site);
        return true;
    case FAULT_AGENT_CUT:
        site->cut_up++, site->cut_down++;
        return true;
    case FAULT_AGENT_DEAF:
        site->cut_down++;
        return true;
    case FAULT_AGENT_MUTE:
        site->cut_up++;
        return true;
    case FAULT_WAY_SLOW:
        site->slow++;
        return true;
    case FAULT_WAY_LOSSY:
        site->lossy++;
        return true;
    case FAULT_API_REFUSES:
        site->refuses++;
        return true;
    case FAULT_API_STALE:
        site->stale++;
        return true;
    case FAULT_ZONE_GONE:
        if (world->lost_for_good || !majority_without(world, site))
            return false;
        site->lost = world->lost_for_good = true;
        zone_down(world, site);
        return true;
    default:
        zone_down(world, site);
        return true;
    }
}

void fault_of_zone_ends(struct world *world, int kind, struct site *site)
{
    site->cut_up -= kind == FAULT_AGENT_CUT || kind == FAULT_AGENT_MUTE;
    site->cut_down -= kind == FAULT_AGENT_CUT || kind == FAULT_AGENT_DEAF;
    site->slow -= kind == FAULT_WAY_SLOW;
    site->lossy -= kind == FAULT_WAY_LOSSY;
    site->refuses -= kind == FAULT_API_REFUSES;
    site->down -= kind == FAULT_ZONE_LOST;
    if (kind == FAULT_API_STALE && --site->stale == 0)
        site_changed(world, site->zone);
    if (kind == FAULT_AGENT_CRASH || kind == FAULT_AGENT_FORGETS || kind == FAULT_ZONE_LOST)
        world_later(world, 10, H_AGENT_START, site->zone, site->life);
}
