/* MongoDB's configuration document: see config_document.h. */
#include "controller/act/config_document.h"

#include <math.h>
#include <string.h>

enum { CONFIG_TAGS_MAX = 64 };

static const char *const delay_texts[] = {[DELAY_BY_DOCUMENT] = "secondaryDelaySecs",
                                          [DELAY_OLD] = "slaveDelay",
                                          [DELAY_NEW] = "secondaryDelaySecs"};

/* ---- reading ---- */

static int not_a_config(struct error *err, const char *what)
{
    return error_set(err, ERROR_PROTOCOL, "the configuration that the server sent is not understood: %s",
                     what);
}

static bool is_number(const bson_iter_t *iter)
{
    return BSON_ITER_HOLDS_NUMBER(iter);
}

static int read_tags(const bson_iter_t *value, struct arena *arena, struct config_member *member,
                     struct error *err)
{
    bson_iter_t iter;
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &iter))
        return not_a_config(err, "tags is not a document");
    struct key_value *tags = arena_array(arena, CONFIG_TAGS_MAX, sizeof *tags);
    size_t count = 0;
    while (tags && bson_iter_next(&iter)) {
        if (count == CONFIG_TAGS_MAX || !BSON_ITER_HOLDS_UTF8(&iter))
            return not_a_config(err, "tags of a member are too many or not strings");
        tags[count].key = arena_string(arena, bson_iter_key(&iter));
        tags[count++].value = arena_string(arena, bson_iter_utf8(&iter, NULL));
    }
    member->tags = tags;
    member->tag_count = count;
    return 0;
}

static int read_member_field(const bson_iter_t *iter, struct arena *arena, struct config_member *member,
                             struct error *err)
{
    const char *key = bson_iter_key(iter);
    if (strcmp(key, "_id") == 0 && is_number(iter))
        member->id = (int)bson_iter_as_int64(iter);
    else if (strcmp(key, "host") == 0 && BSON_ITER_HOLDS_UTF8(iter))
        member->host = arena_string(arena, bson_iter_utf8(iter, NULL));
    else if (strcmp(key, "votes") == 0)
        member->votes = (int)bson_iter_as_int64(iter);
    else if (strcmp(key, "priority") == 0)
        member->priority = bson_iter_as_double(iter);
    else if (strcmp(key, "hidden") == 0)
        member->hidden = bson_iter_as_bool(iter);
    else if (strcmp(key, "arbiterOnly") == 0)
        member->arbiter_only = bson_iter_as_bool(iter);
    else if (strcmp(key, "newlyAdded") == 0)
        member->newly_added = bson_iter_as_bool(iter);
    else if (strcmp(key, "slaveDelay") == 0 || strcmp(key, "secondaryDelaySecs") == 0)
        member->secondary_delay_secs = bson_iter_as_int64(iter);
    else if (strcmp(key, "tags") == 0)
        return read_tags(iter, arena, member, err);
    return 0;
}

static int read_member(const bson_iter_t *value, struct arena *arena, struct config_member *member,
                       struct error *err)
{
    bson_iter_t iter;
    *member = (struct config_member){.id = -1, .host = "", .votes = 1, .priority = 1};
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &iter))
        return not_a_config(err, "a member is not a document");
    while (bson_iter_next(&iter))
        if (read_member_field(&iter, arena, member, err))
            return -1;
    if (member->id < 0 || !*member->host || strlen(member->host) > HOST_LENGTH_MAX)
        return not_a_config(err, "a member without _id or host");
    return 0;
}

static int read_members(const bson_t *document, struct arena *arena, struct replica_config *config,
                        struct error *err)
{
    bson_iter_t iter, list;
    if (!bson_iter_init_find(&iter, document, "members") || !BSON_ITER_HOLDS_ARRAY(&iter) ||
        !bson_iter_recurse(&iter, &list))
        return not_a_config(err, "no members");
    struct config_member *members = arena_array(arena, SET_MEMBERS_MAX, sizeof *members);
    size_t count = 0;
    while (members && bson_iter_next(&list)) {
        if (count == SET_MEMBERS_MAX)
            return not_a_config(err, "more members than SET_MEMBERS_MAX");
        if (read_member(&list, arena, &members[count++], err))
            return -1;
    }
    config->members = members;
    config->member_count = count;
    return 0;
}

static int read_settings(const bson_t *document, struct arena *arena, struct replica_config *config)
{
    bson_iter_t iter, list;
    if (!bson_iter_init_find(&iter, document, "settings") || !BSON_ITER_HOLDS_DOCUMENT(&iter) ||
        !bson_iter_recurse(&iter, &list))
        return 0;
    struct setting *settings = arena_array(arena, SETTINGS_MAX, sizeof *settings);
    size_t count = 0;
    while (settings && bson_iter_next(&list)) {
        if (strcmp(bson_iter_key(&list), "replicaSetId") == 0 && BSON_ITER_HOLDS_OID(&list)) {
            char text[25];
            bson_oid_to_string(bson_iter_oid(&list), text);
            config->replica_set_id = arena_string(arena, text);
        }
        bool is_bool = BSON_ITER_HOLDS_BOOL(&list);
        if (count == SETTINGS_MAX || (!is_bool && !is_number(&list)))
            continue;
        settings[count++] =
            (struct setting){.name = arena_string(arena, bson_iter_key(&list)),
                             .value = is_bool ? bson_iter_bool(&list) : bson_iter_as_double(&list),
                             .is_bool = is_bool};
    }
    config->settings = settings;
    config->setting_count = count;
    return 0;
}

int config_document_read(const bson_t *document, struct arena *arena, struct replica_config *out,
                         struct error *err)
{
    struct replica_config config = {.set = "", .replica_set_id = "", .term = -1};
    bson_iter_t iter;
    if (bson_iter_init_find(&iter, document, "_id") && BSON_ITER_HOLDS_UTF8(&iter))
        config.set = arena_string(arena, bson_iter_utf8(&iter, NULL));
    if (bson_iter_init_find(&iter, document, "version") && is_number(&iter))
        config.version = bson_iter_as_int64(&iter);
    if (bson_iter_init_find(&iter, document, "term") && is_number(&iter))
        config.term = bson_iter_as_int64(&iter);
    if (!*config.set || config.version < 1)
        return not_a_config(err, "no _id or version");
    if (read_members(document, arena, &config, err) || read_settings(document, arena, &config))
        return -1;
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory for a configuration");
    *out = config;
    return 0;
}

/* ---- writing ---- */

/* As the server had it: a number keeps its kind where the value fits, so that the document differs in nothing
 * but what was meant. */
static void append_number(bson_t *out, const char *key, double value, bson_type_t like)
{
    bool whole = value == floor(value) && fabs(value) < 9e15;
    if (like == BSON_TYPE_BOOL)
        bson_append_bool(out, key, -1, value != 0);
    else if (like == BSON_TYPE_DOUBLE || !whole)
        bson_append_double(out, key, -1, value);
    else if (like == BSON_TYPE_INT64 || fabs(value) > INT32_MAX)
        bson_append_int64(out, key, -1, (int64_t)value);
    else
        bson_append_int32(out, key, -1, (int32_t)value);
}

static void append_tags(bson_t *out, const struct config_member *member)
{
    bson_t tags;
    bson_append_document_begin(out, "tags", -1, &tags);
    for (size_t i = 0; i < member->tag_count; i++)
        bson_append_utf8(&tags, member->tags[i].key, -1, member->tags[i].value, -1);
    bson_append_document_end(out, &tags);
}

/* A member that the server doesn't have yet: what equals MongoDB's own defaults is left to it. */
static void append_new_member(bson_t *out, const struct config_member *member, enum delay_name delay_name)
{
    bson_append_int32(out, "_id", -1, member->id);
    bson_append_utf8(out, "host", -1, member->host, -1);
    bson_append_int32(out, "votes", -1, member->votes);
    bson_append_double(out, "priority", -1, member->priority);
    if (member->arbiter_only)
        bson_append_bool(out, "arbiterOnly", -1, true);
    if (member->hidden)
        bson_append_bool(out, "hidden", -1, true);
    if (member->secondary_delay_secs)
        bson_append_int64(out, delay_texts[delay_name], -1, member->secondary_delay_secs);
    if (member->tag_count)
        append_tags(out, member);
}

/* The fields that we model; each has to be written once, be it that the document had it or not. */
enum {
    HAD_HOST = 1,
    HAD_VOTES = 2,
    HAD_PRIORITY = 4,
    HAD_HIDDEN = 8,
    HAD_DELAY = 16,
    HAD_TAGS = 32,
    HAD_ARBITER = 64
};

static unsigned append_edited_field(bson_t *out, const bson_iter_t *iter, const struct config_member *wanted)
{
    const char *key = bson_iter_key(iter);
    bson_type_t type = bson_iter_type(iter);
    if (strcmp(key, "host") == 0)
        return bson_append_utf8(out, key, -1, wanted->host, -1), HAD_HOST;
    if (strcmp(key, "votes") == 0)
        return append_number(out, key, wanted->votes, type), HAD_VOTES;
    if (strcmp(key, "priority") == 0)
        return append_number(out, key, wanted->priority, type), HAD_PRIORITY;
    if (strcmp(key, "hidden") == 0)
        return bson_append_bool(out, key, -1, wanted->hidden), HAD_HIDDEN;
    if (strcmp(key, "arbiterOnly") == 0)
        return bson_append_bool(out, key, -1, wanted->arbiter_only), HAD_ARBITER;
    if (strcmp(key, "slaveDelay") == 0 || strcmp(key, "secondaryDelaySecs") == 0)
        return append_number(out, key, (double)wanted->secondary_delay_secs, type), HAD_DELAY;
    if (strcmp(key, "tags") == 0)
        return append_tags(out, wanted), HAD_TAGS;
    return bson_append_iter(out, NULL, 0, iter), 0;
}

static void append_edited_member(bson_t *out, const bson_iter_t *before, const struct config_member *wanted,
                                 enum delay_name delay_name)
{
    bson_iter_t iter;
    unsigned had = 0;
    bson_iter_recurse(before, &iter);
    while (bson_iter_next(&iter))
        had |= append_edited_field(out, &iter, wanted);
    if (!(had & HAD_VOTES))
        bson_append_int32(out, "votes", -1, wanted->votes);
    if (!(had & HAD_PRIORITY))
        bson_append_double(out, "priority", -1, wanted->priority);
    if (!(had & HAD_HIDDEN) && wanted->hidden)
        bson_append_bool(out, "hidden", -1, true);
    if (!(had & HAD_ARBITER) && wanted->arbiter_only)
        bson_append_bool(out, "arbiterOnly", -1, true);
    if (!(had & HAD_DELAY) && wanted->secondary_delay_secs)
        bson_append_int64(out, delay_texts[delay_name], -1, wanted->secondary_delay_secs);
    if (!(had & HAD_TAGS) && wanted->tag_count)
        append_tags(out, wanted);
}

static int member_id(const bson_iter_t *member)
{
    bson_iter_t iter;
    if (bson_iter_recurse(member, &iter) && bson_iter_find(&iter, "_id"))
        return (int)bson_iter_as_int64(&iter);
    return -1;
}

/* How the members of a document call their delay; DELAY_NEW when none says it. */
static enum delay_name document_delay_name(const bson_t *document)
{
    bson_iter_t iter, list, field;
    if (bson_iter_init_find(&iter, document, "members") && bson_iter_recurse(&iter, &list))
        while (bson_iter_next(&list))
            if (bson_iter_recurse(&list, &field) && bson_iter_find(&field, "slaveDelay"))
                return DELAY_OLD;
    return DELAY_NEW;
}

static bool document_has_member(const bson_t *document, int id)
{
    bson_iter_t iter, list;
    if (bson_iter_init_find(&iter, document, "members") && bson_iter_recurse(&iter, &list))
        while (bson_iter_next(&list))
            if (member_id(&list) == id)
                return true;
    return false;
}

static void append_members(bson_t *out, const bson_t *before, const struct replica_config *wanted,
                           enum delay_name delay_name)
{
    bson_t array, entry;
    bson_iter_t iter, list;
    char index[16];
    uint32_t count = 0;
    const char *key;
    bson_append_array_begin(out, "members", -1, &array);
    if (before && bson_iter_init_find(&iter, before, "members") && bson_iter_recurse(&iter, &list))
        while (bson_iter_next(&list)) {
            const struct config_member *member = replica_config_find(wanted, member_id(&list));
            if (!member)
                continue;
            bson_uint32_to_string(count++, &key, index, sizeof index);
            bson_append_document_begin(&array, key, -1, &entry);
            append_edited_member(&entry, &list, member, delay_name);
            bson_append_document_end(&array, &entry);
        }
    for (size_t i = 0; i < wanted->member_count; i++) {
        if (before && document_has_member(before, wanted->members[i].id))
            continue;
        bson_uint32_to_string(count++, &key, index, sizeof index);
        bson_append_document_begin(&array, key, -1, &entry);
        append_new_member(&entry, &wanted->members[i], delay_name);
        bson_append_document_end(&array, &entry);
    }
    bson_append_array_end(out, &array);
}

static const struct setting *find_setting(const struct replica_config *config, const char *name)
{
    for (size_t i = 0; i < config->setting_count; i++)
        if (strcmp(config->settings[i].name, name) == 0)
            return &config->settings[i];
    return NULL;
}

static void append_settings(bson_t *out, const bson_iter_t *before, const struct replica_config *wanted)
{
    bson_t settings, seen = BSON_INITIALIZER;
    bson_iter_t iter;
    bson_append_document_begin(out, "settings", -1, &settings);
    if (before && bson_iter_recurse(before, &iter))
        while (bson_iter_next(&iter)) {
            const char *key = bson_iter_key(&iter);
            bool plain = is_number(&iter) || BSON_ITER_HOLDS_BOOL(&iter);
            const struct setting *setting = plain ? find_setting(wanted, key) : NULL;
            bson_append_bool(&seen, key, -1, true);
            if (setting)
                append_number(&settings, key, setting->value, bson_iter_type(&iter));
            else
                bson_append_iter(&settings, NULL, 0, &iter);
        }
    for (size_t i = 0; i < wanted->setting_count; i++)
        if (!bson_has_field(&seen, wanted->settings[i].name))
            append_number(&settings, wanted->settings[i].name, wanted->settings[i].value,
                          wanted->settings[i].is_bool ? BSON_TYPE_BOOL : BSON_TYPE_INT32);
    bson_append_document_end(out, &settings);
    bson_destroy(&seen);
}

static int check_wanted(const struct replica_config *wanted, struct error *err)
{
    if (wanted->member_count == 0 || wanted->member_count > SET_MEMBERS_MAX)
        return error_set(err, ERROR_INVALID,
                         "a configuration of %zu members was asked for: 1 to %d are possible",
                         wanted->member_count, SET_MEMBERS_MAX);
    for (size_t i = 0; i < wanted->member_count; i++)
        if (wanted->members[i].id < 0 || !*wanted->members[i].host)
            return error_set(err, ERROR_INVALID,
                             "a configuration was asked for in which a member has no _id or host");
    return 0;
}

int config_document_edit(const bson_t *before, const struct replica_config *wanted,
                         enum delay_name delay_name, bson_t *out, struct error *err)
{
    bson_iter_t iter;
    bool settings_seen = false;
    if (check_wanted(wanted, err))
        return -1;
    if (!bson_iter_init_find(&iter, before, "version") || !bson_iter_init_find(&iter, before, "members"))
        return not_a_config(err, "no version or members");
    if (delay_name == DELAY_BY_DOCUMENT)
        delay_name = document_delay_name(before);
    bson_init(out);
    bson_iter_init(&iter, before);
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        if (strcmp(key, "version") == 0) {
            append_number(out, key, (double)bson_iter_as_int64(&iter) + 1, bson_iter_type(&iter));
        } else if (strcmp(key, "members") == 0) {
            append_members(out, before, wanted, delay_name);
        } else if (strcmp(key, "settings") == 0) {
            append_settings(out, &iter, wanted);
            settings_seen = true;
        } else if (strcmp(key, "term") != 0) {
            bson_append_iter(out, NULL, 0, &iter);
        }
    }
    if (!settings_seen && wanted->setting_count)
        append_settings(out, NULL, wanted);
    return 0;
}

int config_document_initial(const struct replica_config *wanted, enum delay_name delay_name, bson_t *out,
                            struct error *err)
{
    if (check_wanted(wanted, err))
        return -1;
    bson_init(out);
    bson_append_utf8(out, "_id", -1, wanted->set, -1);
    bson_append_int32(out, "version", -1, 1);
    append_members(out, NULL, wanted, delay_name);
    if (wanted->setting_count)
        append_settings(out, NULL, wanted);
    return 0;
}
