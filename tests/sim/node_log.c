/* The log of writes: how it is copied, rolled back, acknowledged by a majority; and the client whose writes
 * it holds. */
#include "tests/sim/world.h"

enum { OPS_A_TURN = 60, WRITE_EVERY_MS = 700 };

/* By the last entry: its term, then its place. */
int node_compare_logs(const struct data *a, const struct data *b)
{
    int term_a = a->length ? a->log[a->length - 1].term : -1,
        term_b = b->length ? b->log[b->length - 1].term : -1;
    if (term_a != term_b)
        return term_a > term_b ? 1 : -1;
    return a->length == b->length ? 0 : a->length > b->length ? 1 : -1;
}

static bool same_op(const struct op *a, const struct op *b)
{
    return a->term == b->term && a->number == b->number;
}

static int common_length(const struct data *a, const struct data *b)
{
    int length = a->length < b->length ? a->length : b->length;
    while (length > 0 && !same_op(&a->log[length - 1], &b->log[length - 1]))
        length--;
    return length;
}

static int entry_of(const struct configuration *config, int id)
{
    for (int i = 0; i < config->count; i++)
        if (config->entries[i].id == id)
            return i;
    return -1;
}

/* ---- the majority ---- */

static void acknowledge(struct world *world, const struct op *op)
{
    if (op->number <= 0 || world->acked[op->number])
        return;
    world->acked[op->number] = 1;
    world->acked_count++;
}

void node_commit(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct data *data = slot->disk.data;
    for (int length = data->length; length > node->committed; length--) {
        int have = 0;
        if (data->log[length - 1].term != (int)data->term)
            return; /* only what was written in one's own term commits what is before it */
        for (int i = 0; i < data->config.count; i++)
            have += data->config.entries[i].votes && (i == node->self || node->match[i] >= length);
        if (have <= config_voters(&data->config) / 2)
            continue;
        for (int i = node->committed; i < length; i++)
            acknowledge(world, &data->log[i]);
        node->committed = length;
        return;
    }
}

/* ---- copying ---- */

static void initial_sync(struct world *world, struct member_slot *slot, const struct member_slot *primary)
{
    struct node *node = &slot->node;
    struct data *data = slot->disk.data;
    if (!node->sync_ms)
        node->sync_ms = world->now_ms + (slot->slow_sync ? chance_between(&world->chance, 10000, 60000)
                                                         : chance_between(&world->chance, 200, 6000));
    if (world->now_ms < node->sync_ms)
        return;
    data->length = primary->disk.data->length;
    for (int i = 0; i < data->length; i++)
        data->log[i] = primary->disk.data->log[i];
    data->synced = true;
    slot->disk.held_data = true;
    node->state = MEMBER_SECONDARY;
    world_trace(world, slot_name(slot), "has copied the data");
}

void node_replicate(struct world *world, struct member_slot *slot, struct member_slot *primary)
{
    struct data *data = slot->disk.data;
    const struct data *source = primary->disk.data;
    if (slot->node.state == MEMBER_ARBITER)
        return;
    if (slot->too_stale && data->synced) { /* what it would need next is no longer in anybody's oplog */
        slot->node.state = MEMBER_RECOVERING;
        return;
    }
    if (slot->node.state == MEMBER_RECOVERING)
        slot->node.state = MEMBER_SECONDARY;
    if (!data->synced)
        initial_sync(world, slot, primary);
    if (!data->synced || node_compare_logs(source, data) < 0)
        return;
    int common = common_length(data, source);
    for (int i = common; i < data->length; i++)
        check_rolled_back(world, slot, &data->log[i]);
    data->length = common;
    for (int copied = 0; data->length < source->length && copied < OPS_A_TURN; copied++, data->length++)
        data->log[data->length] = source->log[data->length];
    int self = entry_of(&source->config, data->config.entries[slot->node.self].id);
    if (self < 0 || primary->node.state != MEMBER_PRIMARY)
        return;
    primary->node.match[self] = data->length;
    node_commit(world, primary);
}

/* ---- the client ---- */

void client_turn(struct world *world)
{
    int first = (int)chance_between(&world->chance, 1, ORDINALS_MAX);
    world_later(world, WRITE_EVERY_MS, H_CLIENT, 0, 0);
    for (int i = 0; i < ORDINALS_MAX; i++) { /* whoever says that it is primary; a deposed one may, too */
        struct member_slot *slot = &world->slots[1 + (first + i) % ORDINALS_MAX];
        if (!slot->node.up || slot->node.state != MEMBER_PRIMARY || !*slot->address)
            continue;
        struct data *data = slot->disk.data;
        if (data->length == LOG_MAX || world->ops + 1 >= OPS_MAX)
            return;
        data->log[data->length++] =
            (struct op){(int)data->term, ++world->ops, (int)((world->now_ms + WALL_AT_START_MS) / 1000)};
        slot->disk.held_data = true;
        node_commit(world, slot);
        return;
    }
}
