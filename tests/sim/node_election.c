/* Elections: a majority of the candidate's voters, each once a term, and none for a candidate that is behind
 * it. https://www.mongodb.com/docs/manual/core/replica-set-elections/ . An election happens at one moment
 * here: delays between its messages change nothing that a vote in a later term would not. */
#include "tests/sim/world.h"

enum { STEP_DOWN_FOR_MS = 60000, ELECTION_AGAIN_MS = 10000 };

void node_stand_down(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    if (node->state != MEMBER_PRIMARY)
        return;
    node->state = node->self < 0 ? MEMBER_REMOVED : MEMBER_SECONDARY;
    node->primary_id = -1;
    node->election_ms = world->now_ms + ELECTION_AGAIN_MS + chance_between(&world->chance, 0, 1500);
    world_trace(world, slot_name(slot), "is no longer primary");
}

static bool grants(struct world *world, const struct member_slot *candidate, const struct member_slot *voter,
                   int64_t term)
{
    const struct data *own = voter->disk.data, *theirs = candidate->disk.data;
    if (!own->config.version || own->term >= term || voter->node.self < 0)
        return false;
    int config =
        config_compare(&theirs->config, &own->config); /* before 4.4 it must be the very same version */
    if (world->modern ? config < 0 : config != 0)
        return false;
    return voter->node.state == MEMBER_ARBITER || node_compare_logs(theirs, own) >= 0;
}

static struct member_slot *voter_of(struct world *world, struct member_slot *slot, int entry)
{
    const struct entry *voter = &slot->disk.data->config.entries[entry];
    if (!voter->votes || entry == slot->node.self)
        return NULL;
    struct member_slot *there = node_at(world, slot, voter->host);
    return there == slot || (there && !there->ordinal) ? NULL : there; /* slot 0 is another set's */
}

static void become_primary(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    struct data *data = slot->disk.data;
    node->state = MEMBER_PRIMARY;
    node->primary_id = data->config.entries[node->self].id;
    node->majority_ms = world->now_ms;
    node->committed = 0;
    for (int i = 0; i < ENTRIES_MAX; i++)
        node->match[i] = 0;
    world->elections++;
    world_trace(world, slot_name(slot), "is elected primary of term %lld", (long long)data->term);
    check_log_of_primary(world, slot);
    if (data->length < LOG_MAX)
        data->log[data->length++] =
            (struct op){(int)data->term, 0, (int)((world->now_ms + WALL_AT_START_MS) / 1000)};
    if (world->modern) { /* its first act is the configuration under its own term */
        struct configuration config = data->config;
        config.term = data->term;
        node_install(world, slot, &config);
    }
    node_commit(world, slot);
}

bool node_elect(struct world *world, struct member_slot *slot)
{
    const struct configuration *config = &slot->disk.data->config;
    const struct entry *self = slot->node.self >= 0 ? &config->entries[slot->node.self] : NULL;
    int64_t term = slot->disk.data->term + 1;
    int votes = 1;
    if (!self || !self->votes || self->priority <= 0)
        return false;
    for (int i = 0; i < config->count; i++) { /* the dry run: nobody's term is raised in vain */
        struct member_slot *voter = voter_of(world, slot, i);
        votes += voter && grants(world, slot, voter, term);
    }
    if (votes <= config_voters(config) / 2)
        return false;
    for (int i = 0; i < config->count; i++) {
        struct member_slot *voter = voter_of(world, slot, i);
        if (voter && grants(world, slot, voter, term))
            node_hear_term(world, voter, term);
    }
    slot->disk.data->term = term;
    become_primary(world, slot);
    return true;
}

/* https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/ : 0 when it did, else an error's
 * code. Who steps down asks a caught-up electable member at once. */
int node_step_down(struct world *world, struct member_slot *slot)
{
    enum { CODE_EXCEEDED = 262, CODE_NOT_PRIMARY = 10107 };
    struct configuration config = slot->disk.data->config;
    struct member_slot *next = NULL;
    if (slot->node.state != MEMBER_PRIMARY)
        return CODE_NOT_PRIMARY;
    for (int i = 0; i < config.count && !next; i++) {
        struct member_slot *other = node_at(world, slot, config.entries[i].host);
        bool fits = other && other != slot && config.entries[i].votes && config.entries[i].priority > 0 &&
                    other->node.state == MEMBER_SECONDARY;
        if (fits && node_compare_logs(other->disk.data, slot->disk.data) >= 0)
            next = other;
    }
    if (!next)
        return CODE_EXCEEDED;
    node_stand_down(world, slot);
    slot->node.frozen_until_ms = world->now_ms + STEP_DOWN_FOR_MS;
    node_elect(world, next);
    return 0;
}
