/* What can go wrong with one member: its disk, its addresses, its pod, its mongod. */
#include <string.h>

#include "tests/sim/faults.h"

struct member_slot *fault_pick_slot(struct world *world, struct chance *chance, bool running)
{
    int first = (int)chance_between(chance, 0, ORDINALS_MAX - 1);
    for (int i = 0; i < ORDINALS_MAX; i++) {
        struct member_slot *slot = &world->slots[1 + (first + i) % ORDINALS_MAX];
        if (world->wishes[slot->ordinal].named && (!running || slot->running))
            return slot;
    }
    return NULL;
}

/* Data is lost on one member at a time, and only while the others have it: what a world without copies loses
 * is not ours. */
bool fault_may_lose_disk(struct world *world, const struct member_slot *slot)
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
        left += config->entries[i].votes && world->id_owner[config->entries[i].id & 255] != slot->ordinal;
    bool majority_stays =
        !config || left > config_voters(config) / 2; /* by the votes that are given already */
    return slot->disk.exists && !world->lost_for_good && other_votes >= 2 && majority_stays;
}

void fault_lose_disk(struct world *world, struct member_slot *slot, bool emptied)
{
    pod_kill(world, slot, 1000);
    disk_clear(world, slot, emptied);
    site_changed(world, slot->zone);
}

/* Not between a voter and a node that is empty: that one would take the other's vote without its data, which
 * MongoDB can't tell and nobody above it can prevent. */
static bool may_swap(const struct member_slot *a, const struct member_slot *b)
{
    return a->disk.exists && b->disk.exists && a->disk.data->synced == b->disk.data->synced;
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

void faults_of_command(struct world *world, const char *host)
{
    struct member_slot *from = NULL, *to = NULL;
    for (int i = 1; i <= ORDINALS_MAX && world->swaps_midway; i++) {
        struct member_slot *slot = &world->slots[i];
        bool fits = slot->running && *slot->address && !world->wishes[i].arbiter;
        if (fits && strcmp(slot->address, host) == 0)
            from = slot;
        else if (fits && (!to || i % 2))
            to = slot;
    }
    if (!from || !to || !may_swap(from, to))
        return;
    swap_addresses(world, from, to);
    world->swaps_midway--;
}

void fault_of_all_addresses(struct world *world)
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
    const struct configuration *config = newest_held(world);
    for (int j = 0; config && j < config->count; j++) {
        struct member_slot *slot = &world->slots[world->id_owner[config->entries[j].id & 255]];
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
    if (!voteless_too || !fault_may_lose_disk(world, slot) || !slot->disk.exists)
        return false;
    fault_lose_disk(world, slot, fault->kind == FAULT_DISK_EMPTIED);
    return true;
}

static bool service_fault(struct world *world, struct planned_fault *fault, struct member_slot *slot,
                          struct chance *chance)
{
    struct member_slot *other = fault_pick_slot(world, chance, true);
    if (!slot->service)
        return false;
    switch (fault->kind) {
    case FAULT_ADDRESSES_SWAP:
        if (!other || other == slot || !may_swap(slot, other) || !*slot->address || !*other->address ||
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
        pod_delete(world, slot);
        return true;
    case FAULT_POD_REPLACED:
        pod_delete(world, slot);
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

bool fault_that_lasts(struct world *world, int kind, struct member_slot *slot, int by)
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

bool fault_of_member(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    int kind = fault->kind;
    bool lasting = (kind >= FAULT_SLOW_START && kind <= FAULT_SLOW_SYNC) ||
                   (kind >= FAULT_DISK_SLOW && kind <= FAULT_DISK_QUOTA) || kind == FAULT_NO_ADDRESS;
    struct member_slot *slot = fault_pick_slot(world, chance, !lasting && kind != FAULT_DISK_LOST);
    if (!slot && !lasting)
        return false;
    if (kind == FAULT_SYNC_RESTARTED || kind == FAULT_STEP_DOWN)
        for (int i = 1; i <= ORDINALS_MAX; i++)
            if (world->slots[i].node.up &&
                world->slots[i].node.state == (kind == FAULT_STEP_DOWN ? MEMBER_PRIMARY : MEMBER_STARTUP2))
                slot = &world->slots[i];
    fault->who = slot->ordinal;
    if (fault_that_lasts(world, kind, slot, 1))
        return true;
    if (kind == FAULT_DISK_LOST || kind == FAULT_DISK_EMPTIED)
        return disk_fault(world, fault, slot);
    if (kind == FAULT_ADDRESS_MOVES || kind == FAULT_ADDRESSES_SWAP || kind == FAULT_USER_SERVICE)
        return service_fault(world, fault, slot, chance);
    return pod_fault(world, fault, slot, chance);
}
