/* BSON replies of a mongod -> values: see mongod_reply.h. Numbers come as int32, int64 or double, depending
 * on version and command. */
#include "zone-agent/mongod_reply.h"

#include <string.h>

static bool find(const bson_t *document, const char *key, bson_iter_t *out)
{
    return bson_iter_init_find(out, document, key);
}

static int64_t get_int(const bson_t *document, const char *key, int64_t fallback)
{
    bson_iter_t at;
    return find(document, key, &at) && BSON_ITER_HOLDS_NUMBER(&at) ? bson_iter_as_int64(&at) : fallback;
}

static double get_double(const bson_t *document, const char *key, double fallback)
{
    bson_iter_t at;
    return find(document, key, &at) && BSON_ITER_HOLDS_NUMBER(&at) ? bson_iter_as_double(&at) : fallback;
}

static bool get_bool(const bson_t *document, const char *key)
{
    bson_iter_t at;
    return find(document, key, &at) && bson_iter_as_bool(&at);
}

static const char *get_text(const bson_t *document, const char *key)
{
    bson_iter_t at;
    return find(document, key, &at) && BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, NULL) : "";
}

/* A sub-document or array; false when there is none. */
static bool get_document(const bson_t *document, const char *key, bson_t *out)
{
    bson_iter_t at;
    const uint8_t *data = NULL;
    uint32_t length = 0;
    if (!find(document, key, &at))
        return false;
    if (BSON_ITER_HOLDS_DOCUMENT(&at))
        bson_iter_document(&at, &length, &data);
    else if (BSON_ITER_HOLDS_ARRAY(&at))
        bson_iter_array(&at, &length, &data);
    return data && bson_init_static(out, data, length);
}

static bool iter_document(const bson_iter_t *at, bson_t *out)
{
    const uint8_t *data = NULL;
    uint32_t length = 0;
    if (!BSON_ITER_HOLDS_DOCUMENT(at))
        return false;
    bson_iter_document(at, &length, &data);
    return bson_init_static(out, data, length);
}

/* {ts: Timestamp, t: term}; arbiters have none. */
static struct optime get_optime(const bson_t *document, const char *key)
{
    struct optime out = {.term = -1};
    bson_t value;
    bson_iter_t at;
    if (!get_document(document, key, &value))
        return out;
    out.term = get_int(&value, "t", -1);
    if (find(&value, "ts", &at) && BSON_ITER_HOLDS_TIMESTAMP(&at))
        bson_iter_timestamp(&at, &out.seconds, &out.increment);
    return out;
}

struct mongod_view mongod_view_empty(void)
{
    return (struct mongod_view){
        .answer = MONGOD_NOT_ASKED,
        .problem = "",
        .age_ms = -1,
        .version = "",
        .state = MEMBER_UNKNOWN,
        .self_id = -1,
        .term = -1,
        .primary_id = -1,
        .optime = {.term = -1},
        .config = {.set = "", .term = -1, .replica_set_id = ""},
    };
}

int mongod_reply_code(const bson_t *reply)
{
    int64_t code = get_int(reply, "code", -1);
    return get_bool(reply, "ok") ? 0 : (int)code;
}

const char *mongod_reply_version(const bson_t *reply, struct arena *arena)
{
    return arena_string(arena, get_text(reply, "version"));
}

/* ---- status ---- */

static struct peer_view read_peer(const bson_t *document, struct arena *arena)
{
    struct peer_view peer = {.id = (int)get_int(document, "_id", -1),
                             .host = arena_string(arena, get_text(document, "name"))};
    if (!member_state_from_number(get_int(document, "state", MEMBER_UNKNOWN), &peer.state))
        peer.state = MEMBER_UNKNOWN;
    peer.healthy = get_double(document, "health", 0) > 0;
    peer.optime = get_optime(document, "optime");
    peer.config_version = get_int(document, "configVersion", 0);
    peer.config_term = get_int(document, "configTerm", -1);
    return peer;
}

static size_t count_items(const bson_t *array, size_t most)
{
    size_t count = 0;
    bson_iter_t at;
    if (bson_iter_init(&at, array))
        while (count < most && bson_iter_next(&at))
            count++;
    return count;
}

static void read_peers(const bson_t *reply, struct arena *arena, struct mongod_view *view,
                       int64_t *config_version, int64_t *config_term)
{
    bson_t array, document;
    bson_iter_t at;
    if (!get_document(reply, "members", &array) || !bson_iter_init(&at, &array))
        return;
    size_t most = count_items(&array, SET_MEMBERS_MAX), count = 0;
    struct peer_view *peers = arena_array(arena, most, sizeof *peers);
    while (peers && count < most && bson_iter_next(&at)) {
        if (!iter_document(&at, &document) || get_int(&document, "_id", -1) < 0)
            continue;
        struct peer_view *peer = &peers[count++];
        *peer = read_peer(&document, arena);
        if (peer->healthy && peer->state == MEMBER_PRIMARY)
            view->primary_id = peer->id;
        if (!get_bool(&document, "self"))
            continue;
        view->self_id = peer->id;
        view->optime = peer->optime;
        *config_version = peer->config_version;
        *config_term = peer->config_term;
    }
    view->peers = peers;
    view->peer_count = peers ? count : 0;
}

static void read_failed_status(const bson_t *reply, struct arena *arena, struct mongod_view *view)
{
    int code = mongod_reply_code(reply);
    if (code == MONGOD_NOT_YET_INITIALIZED) {
        view->answer = MONGOD_NOT_INITIALIZED;
        view->state = MEMBER_STARTUP;
        return;
    }
    if (code == MONGOD_INVALID_REPLICA_SET_CONFIG) {
        view->answer = MONGOD_NOT_IN_CONFIG;
        view->state = MEMBER_REMOVED;
        return;
    }
    view->answer = MONGOD_SILENT;
    view->problem =
        arena_printf(arena, "replSetGetStatus: %.300s (code %d)", get_text(reply, "errmsg"), code);
}

void mongod_reply_status(const bson_t *reply, struct arena *arena, struct mongod_view *view,
                         int64_t *config_version, int64_t *config_term)
{
    *config_version = 0;
    *config_term = -1;
    if (mongod_reply_code(reply)) {
        read_failed_status(reply, arena, view);
        return;
    }
    view->answer = MONGOD_MEMBER;
    if (!member_state_from_number(get_int(reply, "myState", MEMBER_UNKNOWN), &view->state))
        view->state = MEMBER_UNKNOWN;
    view->term = get_int(reply, "term", -1);
    read_peers(reply, arena, view, config_version, config_term);
    if (view->state == MEMBER_REMOVED)
        view->answer = MONGOD_NOT_IN_CONFIG;
    /* its own state is what it says of itself, not what its list says of "self" a moment before */
    if (view->state == MEMBER_PRIMARY && view->self_id >= 0)
        view->primary_id = view->self_id;
}

void mongod_reply_hello(const bson_t *reply, struct mongod_view *view)
{
    bson_t last_write;
    if (mongod_reply_code(reply))
        return;
    if (view->state == MEMBER_UNKNOWN) {
        if (get_bool(reply, "isWritablePrimary") || get_bool(reply, "ismaster"))
            view->state = MEMBER_PRIMARY;
        else if (get_bool(reply, "arbiterOnly"))
            view->state = MEMBER_ARBITER;
        else if (get_bool(reply, "secondary"))
            view->state = MEMBER_SECONDARY;
    }
    if (view->optime.term < 0 && get_document(reply, "lastWrite", &last_write))
        view->optime = get_optime(&last_write, "opTime");
}

/* ---- configuration ---- */

static void read_tags(const bson_t *document, struct arena *arena, struct config_member *out)
{
    bson_t tags;
    bson_iter_t at;
    if (!get_document(document, "tags", &tags) || !bson_iter_init(&at, &tags))
        return;
    size_t most = count_items(&tags, LABELS_MAX);
    struct key_value *list = arena_array(arena, most, sizeof *list);
    while (list && out->tag_count < most && bson_iter_next(&at)) {
        list[out->tag_count].key = arena_string(arena, bson_iter_key(&at));
        list[out->tag_count++].value =
            arena_string(arena, BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, NULL) : "");
    }
    out->tags = list;
}

static struct config_member read_member(const bson_t *document, struct arena *arena)
{
    struct config_member out = {
        .id = (int)get_int(document, "_id", -1),
        .host = arena_string(arena, get_text(document, "host")),
        .votes = (int)get_int(document, "votes", 1),
        .priority = get_double(document, "priority", 1),
        .hidden = get_bool(document, "hidden"),
        .arbiter_only = get_bool(document, "arbiterOnly"),
        .newly_added = get_bool(document, "newlyAdded"),
        /* slaveDelay before 5.0 */
        .secondary_delay_secs = get_int(document, "secondaryDelaySecs", get_int(document, "slaveDelay", 0)),
    };
    read_tags(document, arena, &out);
    return out;
}

static void read_members(const bson_t *config, struct arena *arena, struct replica_config *out)
{
    bson_t array, document;
    bson_iter_t at;
    if (!get_document(config, "members", &array) || !bson_iter_init(&at, &array))
        return;
    size_t most = count_items(&array, SET_MEMBERS_MAX), count = 0;
    struct config_member *members = arena_array(arena, most, sizeof *members);
    while (members && count < most && bson_iter_next(&at))
        if (iter_document(&at, &document))
            members[count++] = read_member(&document, arena);
    out->members = members;
    out->member_count = members ? count : 0;
}

static void read_settings(const bson_t *config, struct arena *arena, struct replica_config *out)
{
    bson_t settings;
    bson_iter_t at;
    char id[25];
    if (!get_document(config, "settings", &settings) || !bson_iter_init(&at, &settings))
        return;
    struct setting *list = arena_array(arena, SETTINGS_MAX, sizeof *list);
    while (list && out->setting_count < SETTINGS_MAX && bson_iter_next(&at)) {
        bool is_bool = BSON_ITER_HOLDS_BOOL(&at);
        if (BSON_ITER_HOLDS_OID(&at) && strcmp(bson_iter_key(&at), "replicaSetId") == 0) {
            bson_oid_to_string(bson_iter_oid(&at), id);
            out->replica_set_id = arena_string(arena, id);
        }
        if (is_bool || BSON_ITER_HOLDS_NUMBER(&at))
            list[out->setting_count++] =
                (struct setting){arena_string(arena, bson_iter_key(&at)),
                                 is_bool ? bson_iter_bool(&at) : bson_iter_as_double(&at), is_bool};
    }
    out->settings = list;
}

int mongod_reply_config(const bson_t *reply, struct arena *arena, struct replica_config *out,
                        struct mongod_commitment *commitment, struct error *err)
{
    bson_t config;
    bson_iter_t at;
    if (mongod_reply_code(reply))
        return error_set(err, ERROR_PROTOCOL, "replSetGetConfig: %.300s (code %d)", get_text(reply, "errmsg"),
                         mongod_reply_code(reply));
    if (!get_document(reply, "config", &config))
        return error_set(err, ERROR_PROTOCOL, "replSetGetConfig: the reply has no configuration");
    struct replica_config value = {
        .set = arena_string(arena, get_text(&config, "_id")),
        .version = get_int(&config, "version", 0),
        .term = get_int(&config, "term", -1),
        .replica_set_id = "",
    };
    read_members(&config, arena, &value);
    read_settings(&config, arena, &value);
    if (commitment) {
        commitment->known = find(reply, "commitmentStatus", &at) && BSON_ITER_HOLDS_BOOL(&at);
        commitment->committed = commitment->known && bson_iter_bool(&at);
    }
    *out = value;
    return 0;
}
