/* Configurations as mongod treats them: which is newer, what is checked, how one is installed and committed.
 * https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/ , …/replSetInitiate/ */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

enum {
    CODE_NODE_NOT_FOUND = 74,
    CODE_INVALID_CONFIG = 93,
    CODE_INCOMPATIBLE = 103,
    CODE_NOT_PRIMARY = 10107,
    CODE_ALREADY = 23,
    CODE_NOT_ELECTABLE = 104
};

int config_compare(const struct configuration *a, const struct configuration *b)
{
    if (a->term != b->term && a->term >= 0 && b->term >= 0)
        return a->term > b->term ? 1 : -1;
    return a->version == b->version ? 0 : a->version > b->version ? 1 : -1;
}

bool config_same(const struct configuration *a, const struct configuration *b)
{
    return a->version == b->version && a->term == b->term && strcmp(a->set_id, b->set_id) == 0;
}

int config_voters(const struct configuration *config)
{
    int voters = 0;
    for (int i = 0; i < config->count; i++)
        voters += config->entries[i].votes > 0;
    return voters;
}

const struct entry *config_find(const struct configuration *config, int id)
{
    for (int i = 0; i < config->count; i++)
        if (config->entries[i].id == id)
            return &config->entries[i];
    return NULL;
}

/* ---- the truth about configurations ---- */

struct config_record *config_record(struct world *world, const struct configuration *config)
{
    for (int i = world->config_count - 1; i >= 0; i--)
        if (config_same(&world->configs[i].config, config))
            return &world->configs[i];
    if (world->config_count == CONFIGS_MAX)
        world->config_count--; /* the last place is used again and again */
    struct config_record *record = &world->configs[world->config_count++];
    *record = (struct config_record){.config = *config};
    return record;
}

static uint64_t bit(int id)
{
    return UINT64_C(1) << (id & 63);
}

/* Ids that a committed configuration no longer names are gone for ever. */
static void note_committed(struct world *world, struct config_record *record)
{
    const struct configuration *before = newest_committed(world);
    struct configuration old = before ? *before : (struct configuration){.version = 0};
    record->committed = true;
    if (!old.version || config_compare(&record->config, &old) <= 0)
        return;
    for (int i = 0; i < old.count; i++)
        if (!config_find(&record->config, old.entries[i].id))
            world->id_gone[old.entries[i].id & 255] = true;
}

/* One that a newer one stands against already is not committed by spreading further: it goes. */
static bool is_newest(const struct world *world, const struct configuration *config)
{
    for (int i = 0; i < world->config_count; i++)
        if (config_compare(&world->configs[i].config, config) > 0)
            return false;
    return true;
}

static void note_had(struct world *world, const struct configuration *config, int id)
{
    struct config_record *record = config_record(world, config);
    int have = 0;
    record->had_by |= bit(id);
    for (int i = 0; i < config->count; i++)
        have += config->entries[i].votes > 0 && (record->had_by & bit(config->entries[i].id));
    if (!record->committed && have > config_voters(config) / 2 && is_newest(world, config))
        note_committed(world, record);
}

const struct configuration *newest_committed(struct world *world)
{
    const struct configuration *newest = NULL;
    for (int i = 0; i < world->config_count; i++)
        if (world->configs[i].committed && (!newest || config_compare(&world->configs[i].config, newest) > 0))
            newest = &world->configs[i].config;
    return newest;
}

const struct configuration *newest_held(const struct world *world)
{
    const struct configuration *newest = NULL;
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        const struct disk *disk = &world->slots[i].disk;
        if (disk->exists && disk->data->config.version && !world->slots[i].own_disk.exists &&
            (!newest || config_compare(&disk->data->config, newest) > 0))
            newest = &disk->data->config;
    }
    return newest;
}

/* ---- installing ---- */

/* By dialling each host; where none leads to it (any more) it goes to REMOVED, and looks again with each
 * configuration that it hears of. */
static int find_self(const struct world *world, const struct member_slot *slot,
                     const struct configuration *config)
{
    bool led = slot->service && strcmp(slot->address, world->foreign_host) != 0 &&
               papers_bear(world, &slot->loaded, slot->address);
    for (int i = 0; i < config->count && led; i++)
        if (strcmp(config->entries[i].host, slot->address) == 0)
            return i;
    return -1;
}

static void take_state(struct world *world, struct member_slot *slot)
{
    struct node *node = &slot->node;
    const struct data *data = slot->disk.data;
    if (node->self < 0)
        node->state = MEMBER_REMOVED;
    else if (data->config.entries[node->self].arbiter)
        node->state = MEMBER_ARBITER;
    else if (!data->synced && node->state != MEMBER_STARTUP2)
        node->state = MEMBER_STARTUP2, node->sync_ms = 0;
    else if (data->synced && node->state != MEMBER_PRIMARY)
        node->state = MEMBER_SECONDARY;
    (void)world;
}

static void keep_peers(struct node *node, const struct configuration *config)
{
    struct peer old[ENTRIES_MAX];
    int count = node->peer_count;
    memcpy(old, node->peers, sizeof old);
    node->peer_count = config->count;
    for (int i = 0; i < config->count; i++) {
        node->peers[i] = (struct peer){.id = config->entries[i].id, .state = MEMBER_UNKNOWN, .misses = 1};
        for (int j = 0; j < count; j++)
            if (old[j].id == config->entries[i].id)
                node->peers[i] = old[j];
    }
}

void node_install(struct world *world, struct member_slot *slot, const struct configuration *config)
{
    struct data *data = slot->disk.data;
    struct node *node = &slot->node;
    struct configuration copy = *config;
    int match[ENTRIES_MAX] = {0};
    int self = find_self(world, slot, &copy);
    for (int i = 0; i < copy.count; i++)
        for (int j = 0; j < data->config.count; j++)
            if (data->config.entries[j].id == copy.entries[i].id)
                match[i] = node->match[j];
    bool led = node->state == MEMBER_PRIMARY;
    data->config = copy;
    node->self = self;
    memcpy(node->match, match, sizeof match);
    keep_peers(node, &copy);
    if (led && (self < 0 || copy.entries[self].priority <= 0))
        node_stand_down(world, slot);
    take_state(world, slot);
    if (self >= 0)
        note_had(world, &copy, copy.entries[self].id);
    world_trace(world, slot_name(slot), "has configuration %lld/%lld, is %s", (long long)copy.version,
                (long long)copy.term, self < 0 ? "not in it" : member_state_name(node->state));
}

bool node_is_listed(const struct member_slot *slot)
{
    const struct configuration *config = &slot->disk.data->config;
    for (int i = 0; i < config->count; i++)
        if (strcmp(config->entries[i].host, slot->address) == 0)
            return true;
    return false;
}

/* 4.4 and later dial the hosts again with each heartbeat while they don't find themselves (the server's log
 * id 3564900); before, only a newer configuration or a restart makes them look. */
void node_look_again(struct world *world, struct member_slot *slot)
{
    struct configuration own = slot->disk.data->config;
    if (find_self(world, slot, &own) >= 0)
        node_install(world, slot, &own);
}

/* What the primary itself knows of it. */
bool node_committed(struct world *world, const struct member_slot *slot)
{
    const struct configuration *config = &slot->disk.data->config;
    int have = 0;
    (void)world;
    for (int i = 0; i < config->count; i++) {
        const struct peer *peer = node_peer((struct node *)&slot->node, config->entries[i].id);
        bool has = i == slot->node.self || (peer && peer->healthy && peer->version == config->version &&
                                            peer->config_term == config->term);
        have += config->entries[i].votes > 0 && has;
    }
    return have > config_voters(config) / 2;
}

/* ---- the commands ---- */

static int refuse(char message[96], int code, const char *text)
{
    snprintf(message, 96, "%s", text);
    return code;
}

static bool is_valid(const struct configuration *config)
{
    bool electable = false;
    for (int i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        electable |= entry->votes && entry->priority > 0 && !entry->arbiter;
        if ((!entry->votes && (entry->priority > 0 || entry->arbiter)))
            return false;
        for (int j = 0; j < i; j++)
            if (config->entries[j].id == entry->id || strcmp(config->entries[j].host, entry->host) == 0)
                return false;
    }
    return electable && config_voters(config) <= 7;
}

int node_initiate(struct world *world, struct member_slot *slot, const struct configuration *config,
                  char message[96])
{
    struct configuration first = *config;
    if (slot->disk.data->config.version)
        return refuse(message, CODE_ALREADY, "already initialized");
    int self = find_self(world, slot, config);
    if (!is_valid(config) || self < 0)
        return refuse(message, CODE_INVALID_CONFIG, "no valid configuration with this node in it");
    if (!config->entries[self].votes || config->entries[self].priority <= 0)
        return refuse(message, CODE_NOT_ELECTABLE, "this node is not electable in it");
    for (int i = 0; i < config->count; i++) {
        struct member_slot *other = node_at(world, slot, config->entries[i].host);
        if (!other || (other != slot && other->disk.data->config.version))
            return refuse(message, CODE_NODE_NOT_FOUND, "a member can't be reached, or is initialized");
    }
    snprintf(first.set_id, sizeof first.set_id, "%024llx", (unsigned long long)chance_next(&world->chance));
    first.version = 1;
    first.term = world->modern ? 0 : -1;
    slot->disk.data->synced = true; /* and "initiating set" is its first entry */
    slot->disk.data->log[slot->disk.data->length++] =
        (struct op){(int)first.term, 0, (int)((world->now_ms + WALL_AT_START_MS) / 1000)};
    check_birth(world, &first);
    node_install(world, slot, &first);
    slot->node.election_ms = world->now_ms + chance_between(&world->chance, 500, 11000);
    return 0;
}

/* One voting member at most; only since 4.4 the server itself sees to it. */
static int voting_changes(const struct configuration *a, const struct configuration *b)
{
    int changes = 0;
    for (int i = 0; i < a->count; i++) {
        const struct entry *other = config_find(b, a->entries[i].id);
        changes += a->entries[i].votes != (other ? other->votes : 0);
    }
    for (int i = 0; i < b->count; i++)
        changes += !config_find(a, b->entries[i].id) && b->entries[i].votes;
    return changes;
}

int node_reconfigure(struct world *world, struct member_slot *slot, const struct configuration *config,
                     char message[96])
{
    struct configuration next = *config;
    const struct configuration *now = &slot->disk.data->config;
    int reached = 0, self = find_self(world, slot, config);
    if (slot->node.state != MEMBER_PRIMARY)
        return refuse(message, CODE_NOT_PRIMARY, "not primary");
    if (next.version <= now->version)
        return refuse(message, CODE_INCOMPATIBLE, "the version is not newer");
    if (!is_valid(config) || (world->modern && voting_changes(now, config) > 1))
        return refuse(message, CODE_INVALID_CONFIG, "not a valid change");
    if (self < 0 || config->entries[self].priority <= 0)
        return refuse(message, CODE_NOT_ELECTABLE, "this node is not electable in it");
    for (int i = 0; i < config->count; i++) {
        struct member_slot *other = i == self ? slot : node_at(world, slot, config->entries[i].host);
        const struct configuration *theirs = other ? &other->disk.data->config : NULL;
        if (theirs && theirs->version && strcmp(theirs->set_id, now->set_id) != 0)
            return refuse(message, CODE_INCOMPATIBLE, "a member belongs to another set");
        reached += other && config->entries[i].votes;
    }
    if (reached <= config_voters(config) / 2)
        return refuse(message, CODE_NODE_NOT_FOUND, "no majority of voters answers");
    next.term = world->modern ? slot->disk.data->term : -1;
    memcpy(next.set_id, now->set_id, sizeof next.set_id);
    world->reconfigurations++;
    node_install(world, slot, &next);
    return 0;
}
