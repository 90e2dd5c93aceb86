/* A model of mongod: its process, its turns, its heartbeats. Rules: MongoDB's manual, "Replication"; what the
 * others are about is in node_config.c, node_election.c, node_log.c. */
#include <string.h>

#include "tests/sim/world.h"

enum {
    TURN_MS = 1000,
    MISSES_MOST = 3, /* heartbeats in a row until a peer is down */
    ELECTION_TIMEOUT_MS = 10000,
};

/* ---- the network of members ---- */

static bool passes(const struct world *world, int from, int to)
{
    return from == to || world->blocked[from][to] == 0;
}

struct member_slot *node_dial(struct world *world, int from, const char *host)
{
    if (*world->foreign_host && strcmp(host, world->foreign_host) == 0)
        return passes(world, from, world->slots[0].zone) ? &world->slots[0] : NULL;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        struct member_slot *slot = &world->slots[i];
        if (slot->service && *slot->address && slot->node.up && strcmp(slot->address, host) == 0)
            return passes(world, from, slot->zone) ? slot : NULL;
    }
    return NULL;
}

bool node_replies(const struct world *world, const struct member_slot *slot, int to)
{
    return passes(world, slot->zone, to);
}

struct member_slot *node_there(struct world *world, const struct member_slot *from, const char *host)
{
    struct member_slot *slot = node_dial(world, from->zone, host);
    return slot && papers_agree(world, &from->loaded, &slot->loaded, host) ? slot : NULL;
}

struct member_slot *node_at(struct world *world, const struct member_slot *from, const char *host)
{
    struct member_slot *slot = node_there(world, from, host);
    return slot && passes(world, slot->zone, from->zone) ? slot : NULL;
}

struct peer *node_peer(struct node *node, int id)
{
    for (int i = 0; i < node->peer_count; i++)
        if (node->peers[i].id == id)
            return &node->peers[i];
    return NULL;
}

/* ---- life ---- */

void node_start(struct world *world, struct member_slot *slot)
{
    struct data *data = slot->disk.data;
    struct node *node = &slot->node;
    uint64_t life = node->life + 1;
    *node = (struct node){.up = true, .life = life, .self = -1, .primary_id = -1, .state = MEMBER_STARTUP};
    node->election_ms = world->now_ms + ELECTION_TIMEOUT_MS + chance_between(&world->chance, 0, 1500);
    node->majority_ms = world->now_ms;
    check_started_empty(world, slot);
    if (data->config.version) {
        struct configuration config = data->config;
        data->config.version = 0; /* taken up as any other is */
        node_install(world, slot, &config);
    }
    world_trace(world, slot_name(slot), "mongod runs (%s)",
                data->config.version ? "has a configuration" : "empty");
    world_later(world, chance_between(&world->chance, 1, TURN_MS), H_NODE, slot->ordinal, life);
}

void node_stop(struct world *world, struct member_slot *slot)
{
    if (!slot->node.up)
        return;
    world_trace(world, slot_name(slot), "mongod is gone");
    world->down_since_ms[slot->ordinal] = world->now_ms;
    slot->node.up = false;
    slot->node.life++;
    slot->node.state = MEMBER_DOWN;
}

/* A higher term ends whatever one leads in a lower one. */
void node_hear_term(struct world *world, struct member_slot *slot, int64_t term)
{
    struct data *data = slot->disk.data;
    if (term <= data->term)
        return;
    data->term = term;
    if (slot->node.state == MEMBER_PRIMARY)
        node_stand_down(world, slot);
}

/* ---- heartbeats ---- */

static void hear_config(struct world *world, struct member_slot *slot, const struct configuration *config)
{
    const struct data *data = slot->disk.data;
    if (data->config.version == 0) {
        for (int i = 0; i < config->count;
             i++) /* one who is named by a set that finds it takes the configuration over */
            if (strcmp(config->entries[i].host, slot->address) == 0) {
                node_install(world, slot, config);
                return;
            }
        return;
    }
    if (strcmp(data->config.set_id, config->set_id) == 0 && config_compare(config, &data->config) > 0)
        node_install(world, slot, config);
}

static bool same_set(const struct member_slot *a, const struct member_slot *b)
{
    const struct configuration *one = &a->disk.data->config, *other = &b->disk.data->config;
    return !one->version || !other->version || strcmp(one->set_id, other->set_id) == 0;
}

static struct optime last_optime(const struct data *data)
{
    if (!data->length)
        return (struct optime){.term = -1};
    const struct op *last = &data->log[data->length - 1];
    return (struct optime){
        .term = last->term, .seconds = (uint32_t)last->second, .increment = (uint32_t)last->number};
}

static void see_peer(struct world *world, struct node *node, int id, struct member_slot *answered)
{
    struct peer *peer = node_peer(node, id);
    if (!peer)
        return;
    if (!answered) {
        if (++peer->misses < MISSES_MOST)
            return;
        peer->healthy = false;
        peer->state = MEMBER_DOWN;
        return;
    }
    const struct data *data = answered->disk.data;
    *peer = (struct peer){.id = id,
                          .healthy = answered->node.state != MEMBER_REMOVED,
                          .state = answered->node.state,
                          .optime = last_optime(data),
                          .version = data->config.version,
                          .config_term = data->config.term,
                          .term = data->term,
                          .heard_ms = world->now_ms};
}

static void heartbeat(struct world *world, struct member_slot *slot, const struct entry *entry)
{
    struct member_slot *there = node_there(world, slot, entry->host);
    if (there == slot || (there && !same_set(slot, there)))
        there = NULL;
    struct member_slot *answered = there ? node_at(world, slot, entry->host) : NULL;
    int id = entry->id;
    if (there) { /* the request has come, whether its answer does or not */
        struct configuration config = slot->disk.data->config;
        hear_config(world, there, &config);
        node_hear_term(world, there, slot->disk.data->term);
    }
    if (answered) {
        struct configuration config = answered->disk.data->config;
        node_hear_term(world, slot, answered->disk.data->term);
        if (config.version)
            hear_config(world, slot, &config);
    }
    see_peer(world, &slot->node, id, answered);
}

static void send_heartbeats(struct world *world, struct member_slot *slot)
{
    struct configuration config = slot->disk.data->config;
    for (int i = 0; i < config.count; i++) {
        if (i != slot->node.self || slot->node.state == MEMBER_REMOVED)
            heartbeat(world, slot, &config.entries[i]);
    }
}

/* ---- whom it takes for primary ---- */

static void find_primary(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct data *data = slot->disk.data;
    node->primary_id = -1;
    if (node->state == MEMBER_PRIMARY) {
        node->primary_id = data->config.entries[node->self].id;
        return;
    }
    int own_id = data->config.entries[node->self].id; /* what was heard under it before is another one's */
    for (int i = 0; i < node->peer_count; i++)
        if (node->peers[i].id != own_id && node->peers[i].healthy && node->peers[i].state == MEMBER_PRIMARY &&
            node->peers[i].term == data->term)
            node->primary_id = node->peers[i].id;
    if (node->primary_id >= 0)
        node->election_ms = world->now_ms + ELECTION_TIMEOUT_MS + chance_between(&world->chance, 0, 1500);
}

static void keep_majority(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct configuration *config = &slot->disk.data->config;
    int seen = 0;
    for (int i = 0; i < config->count; i++) {
        const struct peer *peer = node_peer(node, config->entries[i].id);
        if (config->entries[i].votes && (i == node->self || (peer && peer->misses == 0 && peer->healthy)))
            seen++;
    }
    if (seen > config_voters(config) / 2)
        node->majority_ms = world->now_ms;
    else if (world->now_ms - node->majority_ms >= ELECTION_TIMEOUT_MS)
        node_stand_down(world, slot);
}

/* ---- a turn ---- */

static void follow_primary(struct world *world, struct member_slot *slot)
{
    const struct configuration *config = &slot->disk.data->config;
    const struct entry *entry = config_find(config, slot->node.primary_id);
    struct member_slot *primary = entry ? node_at(world, slot, entry->host) : NULL;
    if (primary && primary != slot && primary->node.state == MEMBER_PRIMARY && same_set(slot, primary)) {
        node_replicate(world, slot, primary);
        return;
    }
    for (int i = 0; i < config->count; i++) { /* or from whoever is ahead: chaining is on by default */
        struct member_slot *other = node_at(world, slot, config->entries[i].host);
        bool fits = other && other != slot && other->node.state == MEMBER_SECONDARY && same_set(slot, other);
        if (fits && node_compare_logs(other->disk.data, slot->disk.data) > 0) {
            node_replicate(world, slot, other);
            return;
        }
    }
}

/* A caught-up member of a higher priority asks for the primary's place after a while. */
static bool wants_takeover(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct configuration *config = &slot->disk.data->config;
    const struct entry *self = &config->entries[node->self], *primary = config_find(config, node->primary_id);
    const struct peer *peer = node_peer(node, node->primary_id);
    int64_t own = (int64_t)last_optime(slot->disk.data).seconds;
    bool better =
        primary && peer && self->priority > primary->priority && own + 2 >= (int64_t)peer->optime.seconds;
    if (!better)
        node->takeover_ms = 0;
    else if (!node->takeover_ms)
        node->takeover_ms = world->now_ms + ELECTION_TIMEOUT_MS;
    return better && world->now_ms >= node->takeover_ms;
}

static void seek_primary(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct entry *self = &slot->disk.data->config.entries[node->self];
    if (node->state != MEMBER_SECONDARY || !self->votes || self->priority <= 0 ||
        world->now_ms < node->frozen_until_ms)
        return;
    bool overdue = node->primary_id < 0 && world->now_ms >= node->election_ms;
    if (!overdue && !(node->primary_id >= 0 && wants_takeover(world, slot)))
        return;
    node->takeover_ms = 0;
    node->election_ms = world->now_ms + ELECTION_TIMEOUT_MS + chance_between(&world->chance, 0, 1500);
    node_elect(world, slot);
}

void node_turn(struct world *world, const struct happening *happening)
{
    struct member_slot *slot = &world->slots[happening->who];
    if (!slot->node.up || happening->life != slot->node.life)
        return;
    world_later(world, TURN_MS - 50 + chance_between(&world->chance, 0, 100), H_NODE, slot->ordinal,
                slot->node.life);
    if (!slot->disk.data->config.version)
        return;
    send_heartbeats(world, slot);
    if (slot->node.self < 0 && world->modern)
        node_look_again(world, slot);
    if (slot->node.self < 0)
        return;
    find_primary(world, slot);
    if (slot->node.state == MEMBER_PRIMARY)
        keep_majority(world, slot);
    else
        follow_primary(world, slot);
    seek_primary(world, slot);
}
