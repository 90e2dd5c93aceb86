/* The faults of a history: drawn in advance, so that some can be left out of it; begun, and ended before it
 * settles. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

enum fault_kind {
#define X(name, option, weight, least, most, text) FAULT_##name,
#include "tests/sim/faults.def"
#undef X
    FAULT_KINDS
};

static const struct {
    const char *option;
    int weight, least_s, most_s;
    const char *text;
} kinds[] = {
#define X(name, option, weight, least, most, text) {option, weight, least, most, text},
#include "tests/sim/faults.def"
#undef X
};

uint64_t faults_fired[FAULT_KINDS];

const char *fault_name(int kind)
{
    return kinds[kind].option;
}

int fault_kinds(void)
{
    return FAULT_KINDS;
}

/* ---- the plan ---- */

static int draw_kind(struct chance *chance)
{
    int total = 0, kind = 0;
    for (int i = 0; i < FAULT_KINDS; i++)
        total += kinds[i].weight;
    int64_t at = chance_between(chance, 0, total - 1);
    while (at >= kinds[kind].weight)
        at -= kinds[kind++].weight;
    return kind;
}

/* A third come close upon another, since what goes wrong together is what hurts; some come before the birth.
 */
void faults_plan(struct world *world, struct chance *chance)
{
    int64_t window_ms = chance_between(chance, 20000, 90000), at_ms = 0;
    world->fault_count = chance_of(chance, 5) ? 0 : (int)chance_between(chance, 1, 7);
    world->settle_from_ms = 5000;
    for (int i = 0; i < world->fault_count; i++) {
        int kind = draw_kind(chance);
        bool close = i > 0 && chance_of(chance, 35);
        at_ms = close ? at_ms + chance_between(chance, 1, 6000) : chance_between(chance, 500, window_ms);
        world->faults[i] = (struct planned_fault){
            .kind = kind,
            .at_ms = 1000 + at_ms,
            .lasts_ms = 1000 * chance_between(chance, kinds[kind].least_s, kinds[kind].most_s),
            .seed = chance_next(chance)};
    }
}

/* ---- whom it hits ---- */

static struct member_slot *pick_slot(struct world *world, struct chance *chance, bool running)
{
    int first = (int)chance_between(chance, 0, ORDINALS_MAX - 1);
    for (int i = 0; i < ORDINALS_MAX; i++) {
        struct member_slot *slot = &world->slots[1 + (first + i) % ORDINALS_MAX];
        if (world->wishes[slot->ordinal].named && (!running || slot->running))
            return slot;
    }
    return NULL;
}

static struct site *pick_site(struct world *world, struct chance *chance)
{
    return &world->sites[chance_between(chance, 0, world->zone_count - 1)];
}

/* Data is lost on one member at a time, and only while the others have it: what a world without copies loses
 * is not ours. */
static bool may_lose_disk(struct world *world, const struct member_slot *slot)
{
    if (!world->births)
        return !world->told_before;
    int other_votes = 0;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct member_slot *other = &world->slots[i];
        bool has_data = other->disk.exists && other->disk.data->synced;
        other_votes += other != slot && wish_counts(world, i) ? world->wishes[i].votes : 0;
        if (other != slot && wish_counts(world, i) && !has_data)
            return false;
    }
    const struct configuration *config = newest_committed(world);
    int left = 0;
    for (int i = 0; config && i < config->count; i++)
        left +=
            config->entries[i].votes && world->id_owner_once[config->entries[i].id & 255] != slot->ordinal;
    bool majority_stays =
        !config || left > config_voters(config) / 2; /* by the votes that are given already */
    return slot->disk.exists && !world->lost_for_good && other_votes >= 2 && majority_stays;
}

/* ---- faults of the controller ---- */

static void kill_controller(struct world *world, struct chance *chance)
{
    world->crashes++;
    world_trace(world, "controller", "is killed");
    brain_kill(&world->brains[0]);
    world_later(world, chance_between(chance, 100, 12000), H_BRAIN_START, 0, 0);
}

/* Its store's disk is copied away, it goes on elsewhere as the old one; here a new one starts. */
static bool double_controller(struct world *world)
{
    struct brain *old = &world->brains[1], *now = &world->brains[0];
    if (old->controller || !now->controller)
        return false;
    image_copy(&old->image, &now->image);
    brain_start(old);
    return true;
}

static bool controller_fault(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    struct brain *brain = &world->brains[0];
    switch (fault->kind) {
    case FAULT_CONTROLLER_FUSE:
        brain->fuse = (int)chance_between(chance, 0, 12);
        return brain->controller != NULL;
    case FAULT_CONTROLLER_DOUBLED:
        return double_controller(world);
    case FAULT_STORE_FULL:
        brain->fails++;
        return true;
    case FAULT_STORE_LOST:
        brain_kill(brain);
        image_finish(&brain->image);
        world->told_before = false; /* it can't know, and every member says that it is new */
        world->forgotten = true;
        memset(world->id_owner, 0, sizeof world->id_owner); /* from now on a member is who its mongod says */
        world_later(world, chance_between(chance, 100, 8000), H_BRAIN_START, 0, 0);
        world_later(world, chance_between(chance, 8500, 20000), H_SPEC, 0, 0);
        fault->lasts_ms = 20000;
        return true;
    case FAULT_STORE_OLD:
        if (!world->has_old_image) { /* the first time it is only kept */
            image_copy(&world->old_image, &brain->image);
            world->has_old_image = true;
            fault->lasts_ms = chance_between(chance, 5000, 40000);
            return true;
        }
        return false;
    case FAULT_CLOCK_JUMP:
        world->clock_offset_ms += chance_between(chance, -600000, 600000);
        return true;
    default:
        kill_controller(world, chance);
        return true;
    }
}

static void bring_old_image_back(struct world *world, struct chance *chance)
{
    world_trace(world, "store", "the old image is brought back");
    brain_kill(&world->brains[0]);
    image_copy(&world->brains[0].image, &world->old_image);
    world->has_old_image = world->told_before = false;
    world->forgotten = true;
    memset(world->id_owner, 0, sizeof world->id_owner);
    world_later(world, chance_between(chance, 100, 5000), H_BRAIN_START, 0, 0);
    world_later(world, 6000, H_SPEC, 0, 0);
}

/* ---- faults of zones, their agents and the ways to them ---- */

static void zone_down(struct world *world, struct site *site)
{
    site->down++;
    agent_host_kill(site);
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].zone == site->zone)
            pod_kill(world, &world->slots[i], 1000);
}

static bool majority_without(const struct world *world, const struct site *site)
{
    int votes = 0, left = 0, electable = 0, bare = 0;
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

static bool zone_fault(struct world *world, struct planned_fault *fault, struct site *site)
{
    switch (fault->kind) {
    case FAULT_AGENT_CRASH:
        agent_host_kill(site);
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

static void zone_fault_ends(struct world *world, int kind, struct site *site)
{
    site->cut_up -= kind == FAULT_AGENT_CUT || kind == FAULT_AGENT_MUTE;
    site->cut_down -= kind == FAULT_AGENT_CUT || kind == FAULT_AGENT_DEAF;
    site->slow -= kind == FAULT_WAY_SLOW;
    site->lossy -= kind == FAULT_WAY_LOSSY;
    site->refuses -= kind == FAULT_API_REFUSES;
    site->down -= kind == FAULT_ZONE_LOST;
    if (kind == FAULT_API_STALE && --site->stale == 0)
        site_changed(world, site->zone);
    if (kind == FAULT_AGENT_CRASH || kind == FAULT_ZONE_LOST)
        world_later(world, 10, H_AGENT_START, site->zone, site->life);
}

/* ---- faults of the network between members ---- */

static void block(struct world *world, const struct planned_fault *fault, int by)
{
    int zone = fault->who;
    for (int other = 0; other < PLACES; other++) {
        if (other == zone || (other >= world->zone_count && other != CONTROLLER_PLACE))
            continue;
        bool members = other != CONTROLLER_PLACE;
        if (fault->kind == FAULT_PARTITION || (fault->kind == FAULT_MONGO_CUT && !members)) {
            world->blocked[zone][other] += by;
            world->blocked[other][zone] += by;
        } else if (fault->kind == FAULT_ONE_WAY &&
                   (fault->other ? other == (int)(fault->seed % ZONES_MAX) : members)) {
            world->blocked[zone][other] += by;
        }
    }
}

/* ---- faults of one member ---- */

static void lose_disk(struct world *world, struct member_slot *slot, bool emptied)
{
    pod_kill(world, slot, 1000);
    disk_clear(world, slot, emptied);
    site_changed(world, slot->zone);
}

static void swap_addresses(struct world *world, struct member_slot *a, struct member_slot *b)
{
    char kept[HOST_MAX];
    memcpy(kept, a->address, sizeof kept);
    memcpy(a->address, b->address, sizeof kept);
    memcpy(b->address, kept, sizeof kept);
    a->address_ms = b->address_ms = world->now_ms;
    world->swapped = true;
    world_trace(world, slot_name(a), "swaps its address with %s: %s", slot_name(b), a->address);
    site_changed(world, a->zone);
    site_changed(world, b->zone);
}

static void move_all(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        struct member_slot *slot = &world->slots[i];
        if (!slot->service)
            continue;
        service_address(world, slot);
    }
}

/* What the operator does when the status says AddressesLost, as its row advises: the addresses of the
 * configuration are given back. */
void faults_give_addresses_back(struct world *world)
{
    const struct configuration *config = NULL; /* the newest that anybody has */
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct disk *disk = &world->slots[i].disk;
        if (disk->exists && disk->data->config.version &&
            (!config || config_compare(&disk->data->config, config) > 0))
            config = &disk->data->config;
    }
    for (int j = 0; config && j < config->count; j++) {
        struct member_slot *slot = &world->slots[world->id_owner_once[config->entries[j].id & 255]];
        if (!slot->ordinal || !slot->service)
            continue;
        if (slot->node.up && slot->node.state == MEMBER_REMOVED)
            pod_kill(world, slot, 500); /* a mongod looks for itself in its configuration when it starts */
        if (strcmp(slot->address, config->entries[j].host) == 0)
            continue;
        memcpy(slot->address, config->entries[j].host, sizeof slot->address);
        slot->address_ms = world->now_ms;
        world_trace(world, slot_name(slot), "its old address %s is given back", slot->address);
        site_changed(world, slot->zone);
    }
}

static bool disk_fault(struct world *world, const struct planned_fault *fault, struct member_slot *slot)
{
    bool voteless_too = world->wishes[slot->ordinal].named;
    if (!voteless_too || !may_lose_disk(world, slot) || !slot->disk.exists)
        return false;
    lose_disk(world, slot, fault->kind == FAULT_DISK_EMPTIED);
    return true;
}

static bool service_fault(struct world *world, struct planned_fault *fault, struct member_slot *slot,
                          struct chance *chance)
{
    struct member_slot *other = pick_slot(world, chance, true);
    if (!slot->service)
        return false;
    switch (fault->kind) {
    case FAULT_ADDRESSES_SWAP:
        if (!other || other == slot || !*slot->address || !*other->address ||
            world->wishes[slot->ordinal].arbiter || world->wishes[other->ordinal].arbiter)
            return false;
        swap_addresses(world, slot, other);
        return true;
    case FAULT_USER_SERVICE:
        slot->service = false;
        slot->address[0] = 0;
        site_changed(world, slot->zone);
        return true;
    default:
        if (slot->no_address)
            return false;
        service_address(world, slot);
        return true;
    }
}

static bool pod_fault(struct world *world, struct planned_fault *fault, struct member_slot *slot,
                      struct chance *chance)
{
    if (!slot->running || (fault->kind == FAULT_SYNC_RESTARTED && slot->node.state != MEMBER_STARTUP2))
        return false;
    switch (fault->kind) {
    case FAULT_NODE_DRAINED:
        slot->no_pod++;
        pod_remove(world, slot);
        return true;
    case FAULT_POD_REPLACED:
        pod_remove(world, slot);
        return true;
    case FAULT_USER_CONTROLLER:
        slot->controller = false;
        slot->replicas = 0;
        pod_remove(world, slot);
        return true;
    case FAULT_USER_SCALES:
        slot->replicas = 0;
        pod_manage(world, slot);
        site_changed(world, slot->zone);
        return true;
    case FAULT_ELECTION:
        return slot->node.up && slot->node.state == MEMBER_SECONDARY && node_elect(world, slot);
    case FAULT_STEP_DOWN:
        return slot->node.state == MEMBER_PRIMARY && node_step_down(world, slot) == 0;
    default:
        pod_kill(world, slot, chance_between(chance, 200, 10000));
        return true;
    }
}

static bool lasting_fault(struct world *world, int kind, struct member_slot *slot, int by)
{
    switch (kind) {
    case FAULT_SLOW_START:
        slot->slow_start += by;
        return true;
    case FAULT_SLOW_SYNC:
        slot->slow_sync += by;
        return true;
    case FAULT_DISK_SLOW:
        slot->slow_disk += by;
        return true;
    case FAULT_DISK_QUOTA:
        slot->no_quota += by;
        return true;
    case FAULT_NO_ADDRESS:
        slot->no_address += by;
        if (by < 0 && slot->service && !*slot->address)
            service_address(world, slot);
        return true;
    default:
        return false;
    }
}

/* ---- beginning and end ---- */

static bool member_fault(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    int kind = fault->kind;
    bool lasting = (kind >= FAULT_SLOW_START && kind <= FAULT_SLOW_SYNC) ||
                   (kind >= FAULT_DISK_SLOW && kind <= FAULT_DISK_QUOTA) || kind == FAULT_NO_ADDRESS;
    struct member_slot *slot = pick_slot(world, chance, !lasting && kind != FAULT_DISK_LOST);
    if (!slot && !lasting)
        return false;
    if (kind == FAULT_SYNC_RESTARTED || kind == FAULT_STEP_DOWN)
        for (int i = 1; i <= ORDINALS_MAX; i++)
            if (world->slots[i].node.up &&
                world->slots[i].node.state == (kind == FAULT_STEP_DOWN ? MEMBER_PRIMARY : MEMBER_STARTUP2))
                slot = &world->slots[i];
    fault->who = slot->ordinal;
    if (lasting_fault(world, kind, slot, 1))
        return true;
    if (kind == FAULT_DISK_LOST || kind == FAULT_DISK_EMPTIED)
        return disk_fault(world, fault, slot);
    if (kind == FAULT_ADDRESS_MOVES || kind == FAULT_ADDRESSES_SWAP || kind == FAULT_USER_SERVICE)
        return service_fault(world, fault, slot, chance);
    return pod_fault(world, fault, slot, chance);
}

static bool begin(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    switch (fault->kind) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_MONGO_CUT:
        fault->who = pick_site(world, chance)->zone;
        fault->other = (int)chance_between(chance, 0, 1);
        block(world, fault, 1);
        return true;
    case FAULT_ALL_MOVE:
        move_all(world);
        return world->births > 0;
    case FAULT_SPEC_EDIT:
        for (int i = 0; i < 8; i++)
            if (wishes_edit(world, chance)) {
                world_later(world, 1, H_SPEC, 0, 0);
                return true;
            }
        return false;
    case FAULT_SET_AWAY:
        if (world->set_absent || !world->births)
            return false;
        world->set_absent = true;
        world_later(world, 1, H_SPEC, 0, 0);
        return true;
    default:
        break;
    }
    if (fault->kind <= FAULT_CLOCK_JUMP)
        return controller_fault(world, fault, chance);
    if (fault->kind <= FAULT_API_STALE || fault->kind == FAULT_ZONE_LOST || fault->kind == FAULT_ZONE_GONE) {
        struct site *site = pick_site(world, chance);
        fault->who = site->zone;
        return zone_fault(world, fault, site);
    }
    return member_fault(world, fault, chance);
}

void faults_begin(struct world *world, int index)
{
    struct planned_fault *fault = &world->faults[index];
    struct chance chance = {fault->seed};
    if (fault->dropped)
        return;
    fault->fired = begin(world, fault, &chance);
    if (!fault->fired)
        return;
    faults_fired[fault->kind]++;
    world_trace(world, "FAULT", "%s (%s, %d)", kinds[fault->kind].text, kinds[fault->kind].option,
                fault->who);
    world->faults_in_force++;
    struct happening end = {.at_ms = world->now_ms + fault->lasts_ms, .kind = H_FAULT_END, .who = index};
    world_at(world, &end);
}

void faults_end(struct world *world, int index)
{
    struct planned_fault *fault = &world->faults[index];
    struct chance chance = {fault->seed + 1};
    int kind = fault->kind;
    world->faults_in_force--;
    if (fault->lasts_ms > 1000)
        world_trace(world, "FAULT", "is over: %s (%d)", kinds[kind].option, fault->who);
    if (kind == FAULT_PARTITION || kind == FAULT_ONE_WAY || kind == FAULT_MONGO_CUT)
        block(world, fault, -1);
    else if (kind == FAULT_CONTROLLER_DOUBLED)
        brain_kill(&world->brains[1]);
    else if (kind == FAULT_STORE_FULL)
        world->brains[0].fails--;
    else if (kind == FAULT_STORE_OLD)
        bring_old_image_back(world, &chance);
    else if (kind == FAULT_NODE_DRAINED)
        world->slots[fault->who].no_pod--;
    else if (kind == FAULT_SET_AWAY) {
        world->set_absent = false;
        world_later(world, 1, H_SPEC, 0, 0);
    } else if (kind > FAULT_CLOCK_JUMP && !lasting_fault(world, kind, &world->slots[fault->who], -1))
        if (kind <= FAULT_API_STALE || kind == FAULT_ZONE_LOST)
            zone_fault_ends(world, kind, &world->sites[fault->who]);
    if (world->now_ms > world->settle_from_ms)
        world->settle_from_ms = world->now_ms;
}
