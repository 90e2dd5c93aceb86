/* What is not ours, and what others do to it: another replica set's disk or address, objects of our names,
 * edits, another server version; and what only a person mends: a failed disk, a member that is too stale. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/faults.h"

static const char foreign_set[] = "ffffffffffffffffffffffff";

static void fill_foreign(const struct world *world, struct configuration *config, const char *host)
{
    *config = (struct configuration){.version = 7, .term = world->modern ? 9 : -1, .count = 1};
    snprintf(config->set_id, sizeof config->set_id, "%s", foreign_set);
    config->entries[0] = (struct entry){.votes = 1, .priority = 1};
    snprintf(config->entries[0].host, sizeof config->entries[0].host, "%s", host);
}

/* ---- another replica set's disk: its own is kept beside ---- */

static bool give_foreign_disk(struct world *world, struct member_slot *slot)
{
    /* Who has no set yet, or lost the store, takes the other one for its own, and a person must tell them
     * apart: not here. */
    if (slot->own_disk.exists || !world->births || world->forgotten || world->has_old_image ||
        !fault_may_lose_disk(world, slot))
        return false;
    pod_kill(world, slot, 1000);
    slot->own_disk = slot->disk;
    slot->disk = (struct disk){.exists = true, .used = true, .held_data = true, .ready_ms = world->now_ms};
    uuid_text(&sim_random, slot->disk.id);
    snprintf(slot->disk.mark, sizeof slot->disk.mark, "%s", foreign_set);
    slot->disk.data = calloc(1, sizeof *slot->disk.data);
    slot->disk.data->synced = true;
    fill_foreign(world, &slot->disk.data->config, "10.9.9.9:27017");
    site_changed(world, slot->zone);
    return true;
}

static void give_own_disk_back(struct world *world, struct member_slot *slot)
{
    pod_kill(world, slot, 1000);
    free(slot->disk.data);
    slot->disk = slot->own_disk;
    slot->own_disk = (struct disk){.exists = false};
    site_changed(world, slot->zone);
}

/* ---- another replica set at an address: slot 0 is its mongod ---- */

static bool lead_address_to_foreign(struct world *world, const struct member_slot *slot)
{
    struct member_slot *foreign = &world->slots[0];
    if (*world->foreign_host || !*slot->address)
        return false;
    if (!foreign->disk.data)
        foreign->disk.data = calloc(1, sizeof *foreign->disk.data);
    foreign->zone = slot->zone;
    foreign->node.up = true;
    foreign->node.state = MEMBER_PRIMARY;
    foreign->node.self = 0;
    fill_foreign(world, &foreign->disk.data->config, slot->address);
    foreign->disk.data->term = 9;
    memcpy(world->foreign_host, slot->address, HOST_MAX);
    return true;
}

/* ---- edits ---- */

static bool edit_object(struct member_slot *slot, struct chance *chance)
{
    switch (chance_between(chance, 0, 4)) {
    case 0:
        slot->disk_stale = slot->disk.exists;
        return slot->disk_stale;
    case 3: /* as after a larger size in the spec */
        slot->disk_small = slot->disk.exists;
        return slot->disk_small;
    case 4:
        slot->secrets_stale = slot->controller;
        return slot->secrets_stale;
    case 1:
        slot->service_stale = slot->service;
        return slot->service_stale;
    default:
        slot->controller_stale = slot->controller;
        return slot->controller_stale;
    }
}

/* ---- beginning and end ---- */

static bool begin(struct world *world, struct planned_fault *fault, struct member_slot *slot,
                  struct chance *chance)
{
    switch (fault->kind) {
    case FAULT_TOO_STALE:
        slot->too_stale += slot->node.up && slot->node.state == MEMBER_SECONDARY;
        return slot->node.up && slot->node.state == MEMBER_SECONDARY;
    case FAULT_OTHER_VERSION:
        slot->other_version++;
        pod_kill(world, slot, 500);
        return true;
    case FAULT_DISK_FAILED:
        slot->disk_failed++;
        pod_kill(world, slot, 500);
        return true;
    case FAULT_DRIFT:
        return edit_object(slot, chance);
    case FAULT_FOREIGN_DISK:
        return give_foreign_disk(world, slot);
    case FAULT_FOREIGN_OBJECT:
        slot->foreign_object++;
        return true;
    default:
        return lead_address_to_foreign(world, slot);
    }
}

bool fault_of_others(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    struct member_slot *slot = fault_pick_slot(world, chance, true);
    if (!slot)
        return false;
    fault->who = slot->ordinal;
    bool begun = begin(world, fault, slot, chance);
    site_changed(world, slot->zone);
    return begun;
}

/* A person does what the sentences advise: a stale member gets a new disk where the data is elsewhere (else
 * the oplog is made longer); the failed disk is repaired; the member's own disk is put back. */
void fault_of_others_ends(struct world *world, const struct planned_fault *fault)
{
    struct member_slot *slot = &world->slots[fault->who];
    switch (fault->kind) {
    case FAULT_TOO_STALE:
        slot->too_stale--;
        if (slot->node.up && slot->node.state == MEMBER_RECOVERING && fault_may_lose_disk(world, slot))
            fault_lose_disk(world, slot, true);
        break;
    case FAULT_OTHER_VERSION:
        slot->other_version--;
        pod_kill(world, slot, 500);
        break;
    case FAULT_DISK_FAILED:
        slot->disk_failed--;
        break;
    case FAULT_FOREIGN_DISK:
        give_own_disk_back(world, slot);
        break;
    case FAULT_FOREIGN_OBJECT:
        slot->foreign_object--;
        break;
    case FAULT_FOREIGN_HOST:
        world->foreign_host[0] = 0;
        break;
    default:
        break;
    }
    site_changed(world, slot->zone);
}
