/* What a mongod says to its zone's agent, and configurations as values. */
#include <stdio.h>

#include "tests/sim/world.h"

struct replica_config config_value(const struct configuration *config, struct arena *arena)
{
    struct config_member *members = arena_array(arena, (size_t)config->count, sizeof *members);
    for (int i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        members[i] = (struct config_member){.id = entry->id,
                                            .host = arena_string(arena, entry->host),
                                            .votes = entry->votes,
                                            .priority = entry->priority,
                                            .hidden = entry->hidden,
                                            .arbiter_only = entry->arbiter,
                                            .secondary_delay_secs = entry->delay};
        if (!*entry->tag)
            continue;
        struct key_value *tag = arena_alloc(arena, sizeof *tag);
        *tag = (struct key_value){"zone", arena_string(arena, entry->tag)};
        members[i].tags = tag;
        members[i].tag_count = 1;
    }
    return (struct replica_config){.set = "mongo",
                                   .version = config->version,
                                   .term = config->version ? config->term : -1,
                                   .replica_set_id = arena_string(arena, config->set_id),
                                   .members = members,
                                   .member_count = (size_t)config->count};
}

static struct optime own_optime(const struct data *data)
{
    if (!data->length)
        return (struct optime){.term = -1};
    const struct op *last = &data->log[data->length - 1];
    return (struct optime){
        .term = last->term, .seconds = (uint32_t)last->second, .increment = (uint32_t)last->number};
}

static void view_peers(const struct member_slot *slot, struct arena *arena, struct mongod_view *out)
{
    const struct configuration *config = &slot->disk.data->config;
    struct peer_view *peers = arena_array(arena, (size_t)config->count, sizeof *peers);
    for (int i = 0; i < config->count; i++) {
        const struct peer *peer = node_peer((struct node *)&slot->node, config->entries[i].id);
        peers[i] = (struct peer_view){.id = config->entries[i].id,
                                      .host = arena_string(arena, config->entries[i].host),
                                      .state = peer ? peer->state : MEMBER_UNKNOWN,
                                      .healthy = peer && peer->healthy,
                                      .optime = {.term = -1}};
        if (i == slot->node.self) {
            peers[i].state = slot->node.state;
            peers[i].healthy = true;
            peers[i].optime = own_optime(slot->disk.data);
            peers[i].config_version = config->version;
            peers[i].config_term = config->term;
        } else if (peer && peer->healthy) {
            peers[i].optime = peer->optime;
            peers[i].config_version = peer->version;
            peers[i].config_term = peer->config_term;
        }
    }
    out->peers = peers;
    out->peer_count = (size_t)config->count;
}

const char *node_process(const struct member_slot *slot, struct arena *arena)
{
    char pod[16];
    snprintf(pod, sizeof pod, "rc%d", slot->ordinal);
    return mongod_process_text(arena, pod, (int64_t)slot->node.life);
}

const char *node_version(const struct world *world, const struct member_slot *slot)
{
    if (slot->other_version)
        return world->modern ? "6.0.19" : "4.2.24";
    return world->modern ? "7.0.14" : "4.0.28";
}

void node_view(struct world *world, const struct member_slot *slot, struct arena *arena,
               struct mongod_view *out)
{
    *out = (struct mongod_view){.answer = MONGOD_SILENT,
                                .problem = "nobody answers",
                                .version = "",
                                .process = "",
                                .state = MEMBER_UNKNOWN,
                                .self_id = -1,
                                .term = -1,
                                .primary_id = -1,
                                .optime = {.term = -1},
                                .config = {.set = "", .term = -1, .replica_set_id = ""},
                                .certificate_id = ""};
    if (!slot->node.up)
        return;
    if (slot->loaded.serial) {
        const struct site *site = &world->sites[slot->zone];
        out->certificate_id = arena_printf(arena, "certificate %d", slot->loaded.serial);
        out->certificate_foreign = !(site->authorities >> (slot->loaded.issuer & 31) & 1);
    }
    const struct data *data = slot->disk.data;
    out->problem = "";
    out->version = node_version(world, slot);
    out->process = node_process(slot, arena);
    if (!data->config.version) {
        out->answer = MONGOD_NOT_INITIALIZED;
        out->state = MEMBER_STARTUP;
        return;
    }
    out->config = config_value(&data->config, arena);
    out->state = slot->node.state;
    out->answer = slot->node.self < 0 ? MONGOD_NOT_IN_CONFIG : MONGOD_MEMBER;
    if (slot->node.self < 0)
        return;
    out->self_id = data->config.entries[slot->node.self].id;
    out->term = data->term;
    out->primary_id = slot->node.primary_id;
    out->optime = own_optime(data);
    if (slot->node.state == MEMBER_PRIMARY && world->modern) {
        out->knows_commitment = true;
        out->config_committed = node_committed(world, slot) && data->config.term == data->term;
    }
    view_peers(slot, arena, out);
}
