/* 1. Lost write: what a majority acknowledged is never rolled back and never missing from a later primary. */
#include <string.h>

#include "tests/sim/world.h"

void check_log_of_primary(struct world *world, const struct member_slot *slot)
{
    static uint8_t has[OPS_MAX];
    const struct data *data = slot->disk.data;
    memset(has, 0, sizeof has);
    for (int i = 0; i < data->length; i++)
        has[data->log[i].number] = 1;
    for (int number = 1; number <= world->ops; number++)
        if (world->acked[number] && !has[number]) {
            violate(world, 1,
                    "%s became primary of term %lld without write %d, which a majority had acknowledged",
                    slot_name(slot), (long long)data->term, number);
            return;
        }
}

void check_rolled_back(struct world *world, const struct member_slot *slot, const struct op *op)
{
    if (op->number > 0 && world->acked[op->number])
        violate(world, 1, "%s rolled write %d back, which a majority had acknowledged", slot_name(slot),
                op->number);
}
