/* BSON replies of a mongod -> values: see mongod_reply.h. Numbers come as int32, int64 or double, depending
 * on version and command. Whatever the reply says, the values fit into a report: the bounds are those of
 * proto/fields.c, for a report that the controller refuses would silence the whole zone. */
#include "zone-agent/mongod_reply.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    REPLICA_SET_ID_LENGTH = 24,
    PROCESS_HOST_MAX = 200,
    PRIORITY_MAX = 1000, /* https://www.mongodb.com/docs/manual/reference/replica-configuration/ */
};

static const int64_t WHOLE_MAX = INT64_C(1) << 53; /* JSON's numbers are exact up to here */

static bool find(const bson_t *document, const char *key, bson_iter_t *out)
{
    return bson_iter_init_find(out, document, key);
}

/* A whole number within least..most; the fallback when it is none. */
static int64_t get_int(const bson_t *document, const char *key, int64_t least, int64_t most, int64_t fallback)
{
    bson_iter_t at;
    if (!find(document, key, &at) || !BSON_ITER_HOLDS_NUMBER(&at))
        return fallback;
    if (BSON_ITER_HOLDS_DOUBLE(&at) &&
        !(bson_iter_double(&at) >= (double)least && bson_iter_double(&at) <= (double)most))
        return fallback; /* nor NaN */
    int64_t value = bson_iter_as_int64(&at);
    return value < least || value > most ? fallback : value;
}

static int get_id(const bson_t *document, const char *key)
{
    return (int)get_int(document, key, 0, INT_MAX, -1);
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

/* A string as it is when it has at most `most` bytes, is UTF-8 and has no NUL; NULL when not. */
static const char *iter_text(const bson_iter_t *at, size_t most)
{
    uint32_t length = 0;
    if (!BSON_ITER_HOLDS_UTF8(at))
        return NULL;
    const char *text = bson_iter_utf8(at, &length);
    return length <= most && bson_utf8_validate(text, length, false) ? text : NULL;
}

static const char *get_text(const bson_t *document, const char *key, size_t most)
{
    bson_iter_t at;
    const char *text = find(document, key, &at) ? iter_text(&at, most) : NULL;
    return text ? text : "";
}

/* For people; the report's writer mends bytes that are no UTF-8. */
static const char *get_message(const bson_t *document)
{
    bson_iter_t at;
    return find(document, "errmsg", &at) && BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, NULL) : "";
}

/* Reading ends silently where bytes are no BSON: half a document would be taken for a whole one.
 * (bson_validate() recurses as deep as the sender likes.) */
static bool is_whole(const bson_t *document)
{
    bson_iter_t at;
    uint32_t end = sizeof(int32_t);
    if (!bson_iter_init(&at, document))
        return false;
    while (bson_iter_next(&at))
        end = at.next_off;
    return end == document->len - 1;
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
    return data && bson_init_static(out, data, length) && is_whole(out);
}

static bool iter_document(const bson_iter_t *at, bson_t *out)
{
    const uint8_t *data = NULL;
    uint32_t length = 0;
    if (!BSON_ITER_HOLDS_DOCUMENT(at))
        return false;
    bson_iter_document(at, &length, &data);
    return data && bson_init_static(out, data, length) && is_whole(out);
}

/* {ts: Timestamp, t: term}; arbiters have none. */
static struct optime get_optime(const bson_t *document, const char *key)
{
    struct optime out = {.term = -1};
    bson_t value;
    bson_iter_t at;
    if (!get_document(document, key, &value))
        return out;
    out.term = get_int(&value, "t", -1, WHOLE_MAX, -1);
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
        .process = "",
        .state = MEMBER_UNKNOWN,
        .self_id = -1,
        .term = -1,
        .primary_id = -1,
        .optime = {.term = -1},
        .config = {.set = "", .term = -1, .replica_set_id = ""},
        .certificate_id = "",
    };
}

int mongod_reply_code(const bson_t *reply)
{
    return get_bool(reply, "ok") ? 0 : (int)get_int(reply, "code", 1, INT_MAX, -1);
}

const char *mongod_reply_process(const bson_t *reply, struct arena *arena)
{
    return mongod_process_text(arena, get_text(reply, "host", PROCESS_HOST_MAX),
                               get_int(reply, "pid", 0, WHOLE_MAX, 0));
}

const char *mongod_reply_version(const bson_t *reply, struct arena *arena)
{
    return arena_string(arena, get_text(reply, "version", NAME_LENGTH_MAX));
}

/* ---- status ---- */

static struct peer_view read_peer(const bson_t *document, struct arena *arena)
{
    struct peer_view peer = {.id = get_id(document, "_id"),
                             .host = arena_string(arena, get_text(document, "name", HOST_LENGTH_MAX))};
    if (!member_state_from_number(get_int(document, "state", 0, INT_MAX, MEMBER_UNKNOWN), &peer.state))
        peer.state = MEMBER_UNKNOWN;
    peer.healthy = get_double(document, "health", 0) > 0;
    peer.optime = get_optime(document, "optime");
    peer.config_version = get_int(document, "configVersion", -1, WHOLE_MAX, 0);
    peer.config_term = get_int(document, "configTerm", -1, WHOLE_MAX, -1);
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
        if (!iter_document(&at, &document) || get_id(&document, "_id") < 0)
            continue;
        struct peer_view *peer = &peers[count++];
        *peer = read_peer(&document, arena);
        if (peer->healthy && peer->state == MEMBER_PRIMARY)
            view->primary_id = peer->id;
        if (!get_bool(&document, "self"))
            continue;
        view->self_id = peer->id;
        view->optime = peer->optime;
        *config_version = peer->config_version < 0 ? 0 : peer->config_version;
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
    view->problem = arena_printf(arena, "replSetGetStatus: %.300s (code %d)", get_message(reply), code);
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
    if (!member_state_from_number(get_int(reply, "myState", 0, INT_MAX, MEMBER_UNKNOWN), &view->state))
        view->state = MEMBER_UNKNOWN;
    view->term = get_int(reply, "term", -1, WHOLE_MAX, -1);
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

/* The controller edits what it is told here, so a configuration is read whole or not at all. */
static int not_read(struct error *err, const char *what)
{
    return error_set(err, ERROR_PROTOCOL, "replSetGetConfig: the configuration can't be read: %s", what);
}

static int beyond(struct error *err, const char *what, int most, const char *bound)
{
    return error_set(err, ERROR_TOO_LARGE, "replSetGetConfig: the configuration has more than %d %s (%s)",
                     most, what, bound);
}

static int read_tags(const bson_t *document, struct arena *arena, struct config_member *out,
                     struct error *err)
{
    bson_t tags;
    bson_iter_t at;
    if (!get_document(document, "tags", &tags) || !bson_iter_init(&at, &tags))
        return 0;
    size_t most = count_items(&tags, LABELS_MAX + 1);
    if (most > LABELS_MAX)
        return beyond(err, "tags of one member", LABELS_MAX, "LABELS_MAX");
    struct key_value *list = arena_array(arena, most, sizeof *list);
    while (list && out->tag_count < most && bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at), *value = iter_text(&at, LABEL_VALUE_LENGTH_MAX);
        if (!value || strlen(key) > LABEL_KEY_LENGTH_MAX || !bson_utf8_validate(key, strlen(key), false))
            return not_read(err, "a tag of a member is no text, or longer than LABEL_VALUE_LENGTH_MAX");
        for (size_t i = 0; i < out->tag_count; i++)
            if (strcmp(list[i].key, key) == 0)
                return not_read(err, "a member has a tag twice");
        list[out->tag_count].key = arena_string(arena, key);
        list[out->tag_count++].value = arena_string(arena, value);
    }
    out->tags = list;
    return 0;
}

static int read_member(const bson_t *document, struct arena *arena, struct config_member *out,
                       struct error *err)
{
    *out = (struct config_member){
        .id = get_id(document, "_id"),
        .host = arena_string(arena, get_text(document, "host", HOST_LENGTH_MAX)),
        .votes = (int)get_int(document, "votes", 0, 1, 1),
        .priority = get_double(document, "priority", 1),
        .hidden = get_bool(document, "hidden"),
        .arbiter_only = get_bool(document, "arbiterOnly"),
        .newly_added = get_bool(document, "newlyAdded"),
        /* slaveDelay before 5.0 */
        .secondary_delay_secs = get_int(document, "secondaryDelaySecs", 0, WHOLE_MAX,
                                        get_int(document, "slaveDelay", 0, WHOLE_MAX, 0)),
    };
    if (out->id < 0 || !*out->host)
        return not_read(err, "a member without _id or host");
    if (!(out->priority >= 0 && out->priority <= PRIORITY_MAX)) /* nor NaN */
        return not_read(err, "a member whose priority is not 0 to 1000");
    return read_tags(document, arena, out, err);
}

static int read_members(const bson_t *config, struct arena *arena, struct replica_config *out,
                        struct error *err)
{
    bson_t array, document;
    bson_iter_t at;
    if (!get_document(config, "members", &array) || !bson_iter_init(&at, &array))
        return not_read(err, "it has no members");
    size_t most = count_items(&array, SET_MEMBERS_MAX + 1), count = 0;
    if (most > SET_MEMBERS_MAX)
        return beyond(err, "members", SET_MEMBERS_MAX, "SET_MEMBERS_MAX");
    struct config_member *members = arena_array(arena, most, sizeof *members);
    while (members && count < most && bson_iter_next(&at)) {
        if (!iter_document(&at, &document))
            return not_read(err, "a member is not a document");
        if (read_member(&document, arena, &members[count++], err))
            return -1;
    }
    out->members = members;
    out->member_count = members ? count : 0;
    return 0;
}

static struct setting *find_setting(struct setting *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static int read_settings(const bson_t *config, struct arena *arena, struct replica_config *out,
                         struct error *err)
{
    bson_t settings;
    bson_iter_t at;
    char id[REPLICA_SET_ID_LENGTH + 1];
    if (!get_document(config, "settings", &settings) || !bson_iter_init(&at, &settings))
        return 0;
    struct setting *list = arena_array(arena, SETTINGS_MAX, sizeof *list);
    while (list && bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);
        bool is_bool = BSON_ITER_HOLDS_BOOL(&at);
        if (BSON_ITER_HOLDS_OID(&at) && strcmp(key, "replicaSetId") == 0) {
            bson_oid_to_string(bson_iter_oid(&at), id);
            out->replica_set_id = arena_string(arena, id);
        }
        if (!is_bool && !BSON_ITER_HOLDS_NUMBER(&at))
            continue;
        if (!is_bool && !isfinite(bson_iter_as_double(&at)))
            return not_read(err, "a setting is no finite number");
        if (out->setting_count == SETTINGS_MAX)
            return beyond(err, "settings", SETTINGS_MAX, "SETTINGS_MAX");
        if (strlen(key) > LABEL_KEY_LENGTH_MAX || !bson_utf8_validate(key, strlen(key), false) ||
            find_setting(list, out->setting_count, key))
            return not_read(err,
                            "a setting's name is twice there, no text, or longer than LABEL_KEY_LENGTH_MAX");
        list[out->setting_count++] = (struct setting){
            arena_string(arena, key), is_bool ? bson_iter_bool(&at) : bson_iter_as_double(&at), is_bool};
    }
    out->settings = list;
    return 0;
}

int mongod_reply_config(const bson_t *reply, struct arena *arena, struct replica_config *out,
                        struct mongod_commitment *commitment, struct error *err)
{
    bson_t config;
    bson_iter_t at;
    if (mongod_reply_code(reply))
        return error_set(err, ERROR_PROTOCOL, "replSetGetConfig: %.300s (code %d)", get_message(reply),
                         mongod_reply_code(reply));
    if (!get_document(reply, "config", &config))
        return error_set(err, ERROR_PROTOCOL,
                         "replSetGetConfig: the reply has no configuration that can be read");
    struct replica_config value = {
        .set = arena_string(arena, get_text(&config, "_id", TEXT_LENGTH_MAX)),
        .version = get_int(&config, "version", 0, INT_MAX, 0),
        .term = get_int(&config, "term", -1, WHOLE_MAX, -1),
        .replica_set_id = "",
    };
    if (read_members(&config, arena, &value, err) || read_settings(&config, arena, &value, err))
        return -1;
    if (commitment) {
        commitment->known = find(reply, "commitmentStatus", &at) && BSON_ITER_HOLDS_BOOL(&at);
        commitment->committed = commitment->known && bson_iter_bool(&at);
    }
    *out = value;
    return 0;
}
