/* 5. Hurt data: a disk that has held data is never deleted or made anew. */
#include "tests/sim/world.h"

void check_disk_step(struct world *world, struct member_slot *slot, const char *what)
{
    if (slot->disk.exists && (slot->disk.held_data || slot->disk.used))
        violate(world, 5, "the disk of %s, which has held data, is %s", slot_name(slot), what);
}
