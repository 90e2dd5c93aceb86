/* 5. Hurt data: a disk that has held data is never deleted or made anew, never given to another ordinal, and
 * no second pod is started on it while the first is still there. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

void check_disk_step(struct world *world, struct member_slot *slot, const char *what)
{
    if (slot->disk.exists && (slot->disk.held_data || slot->disk.used))
        violate(world, 5, "the disk of %s, which has held data, is %s", slot_name(slot), what);
}

/* Whoever asks for a pod: the disk that it names is the member's own, and nobody has it in hand. What a
 * ReplicationController does by itself while an old pod terminates is the cluster's and mongod's lock's. */
void check_disk_given(struct world *world, const struct member_slot *slot, const struct intent_member *wanted)
{
    char own[32];
    snprintf(own, sizeof own, "mongodb-disk%d", slot->ordinal);
    if (strcmp(wanted->disk, own) != 0)
        violate(world, 5, "%s is given the disk %s", slot_name(slot), wanted->disk);
    for (int i = 1; i <= ORDINALS_MAX && *wanted->disk_id; i++)
        if (i != slot->ordinal && world->slots[i].disk.exists &&
            strcmp(world->slots[i].disk.id, wanted->disk_id) == 0)
            violate(world, 5, "%s is given the disk of %s", slot_name(slot), slot_name(&world->slots[i]));
    bool stale = world->sites[slot->zone].stale > 0; /* then it is the lock of mongod that keeps them apart */
    if (!slot->replicas && pod_is_there(slot) && !stale)
        violate(world, 5, "a pod of %s is asked for while another one still has its disk", slot_name(slot));
}

/* A pod starts: whoever had the disk before has let go of it. */
void check_mounted(struct world *world, const struct member_slot *slot)
{
    if (slot->old || slot->node.up)
        violate(world, 5, "the disk of %s is mounted by two pods at once", slot_name(slot));
}
