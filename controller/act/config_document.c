/* MongoDB's configuration document: see config_document.h. */
#include "controller/act/config_document.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    REPLICA_SET_ID_LENGTH = 24,
    PRIORITY_MAX = 1000, /* https://www.mongodb.com/docs/manual/reference/replica-configuration/ */
};

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

static int beyond(struct error *err, const char *what, int most, const char *bound)
{
    return error_set(err, ERROR_TOO_LARGE, "the configuration that the server sent has more than %d %s (%s)",
                     most, what, bound);
}

/* A whole number within least..most. */
static bool read_int(const bson_iter_t *iter, int64_t least, int64_t most, int64_t *out)
{
    if (!is_number(iter))
        return false;
    double real = bson_iter_as_double(iter);
    if (!(real >= (double)least && real <= (double)most)) /* nor NaN */
        return false;
    *out = bson_iter_as_int64(iter);
    return *out >= least && *out <= most;
}

/* A string of at most `most` bytes, UTF-8 and without NUL; NULL when it is none. */
static const char *read_text(const bson_iter_t *iter, size_t most)
{
    uint32_t length = 0;
    if (!BSON_ITER_HOLDS_UTF8(iter))
        return NULL;
    const char *text = bson_iter_utf8(iter, &length);
    return length <= most && bson_utf8_validate(text, length, false) ? text : NULL;
}

/* Reading ends silently where bytes are no BSON: half a document would be taken for a whole one.
 * (bson_validate() recurses as deep as the sender likes.) */
static bool recurse_whole(const bson_iter_t *value, bson_iter_t *out)
{
    uint32_t end = sizeof(int32_t);
    if (!(BSON_ITER_HOLDS_DOCUMENT(value) || BSON_ITER_HOLDS_ARRAY(value)) || !bson_iter_recurse(value, out))
        return false;
    while (bson_iter_next(out))
        end = out->next_off;
    return bson_iter_recurse(value, out) && end == out->len - 1;
}

static bool has_key(const struct key_value *list, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].key, key) == 0)
            return true;
    return false;
}

static int read_tags(const bson_iter_t *value, struct arena *arena, struct config_member *member,
                     struct error *err)
{
    bson_iter_t iter;
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !recurse_whole(value, &iter))
        return not_a_config(err, "tags is not a document");
    struct key_value *tags = arena_array(arena, LABELS_MAX, sizeof *tags);
    size_t count = 0;
    while (tags && bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter), *text = read_text(&iter, LABEL_VALUE_LENGTH_MAX);
        if (count == LABELS_MAX)
            return beyond(err, "tags of one member", LABELS_MAX, "LABELS_MAX");
        if (!text || strlen(key) > LABEL_KEY_LENGTH_MAX)
            return not_a_config(err, "a tag of a member is no string, or longer than LABEL_VALUE_LENGTH_MAX");
        if (has_key(tags, count, key))
            return not_a_config(err, "a member has a tag twice");
        tags[count].key = arena_string(arena, key);
        tags[count++].value = arena_string(arena, text);
    }
    member->tags = tags;
    member->tag_count = count;
    return 0;
}

/* The numbers of a member; 0: `key` is none of them. */
static int read_member_number(const bson_iter_t *iter, const char *key, struct config_member *member)
{
    int64_t number = 0;
    bool good;
    if (strcmp(key, "_id") == 0) {
        good = read_int(iter, 0, INT_MAX, &number);
        member->id = (int)number;
    } else if (strcmp(key, "votes") == 0) {
        good = read_int(iter, 0, 1, &number);
        member->votes = (int)number;
    } else if (strcmp(key, "slaveDelay") == 0 || strcmp(key, "secondaryDelaySecs") == 0) {
        good = read_int(iter, 0, INT_MAX, &member->secondary_delay_secs);
    } else if (strcmp(key, "priority") == 0) {
        member->priority = is_number(iter) ? bson_iter_as_double(iter) : -1;
        good = member->priority >= 0 && member->priority <= PRIORITY_MAX; /* nor NaN */
    } else {
        return 0;
    }
    return good ? 1 : -1;
}

static int read_member_field(const bson_iter_t *iter, struct arena *arena, struct config_member *member,
                             struct error *err)
{
    const char *key = bson_iter_key(iter), *text = read_text(iter, HOST_LENGTH_MAX);
    int number = read_member_number(iter, key, member);
    if (number)
        return number > 0 ? 0 : not_a_config(err, "a number of a member is out of its range");
    if (strcmp(key, "host") == 0 && text)
        member->host = arena_string(arena, text);
    else if (strcmp(key, "hidden") == 0)
        member->hidden = bson_iter_as_bool(iter);
    else if (strcmp(key, "arbiterOnly") == 0)
        member->arbiter_only = bson_iter_as_bool(iter);
    else if (strcmp(key, "newlyAdded") == 0)
        member->newly_added = bson_iter_as_bool(iter);
    else if (strcmp(key, "tags") == 0)
        return read_tags(iter, arena, member, err);
    return 0;
}

static int read_member(const bson_iter_t *value, struct arena *arena, struct config_member *member,
                       struct error *err)
{
    bson_iter_t iter;
    *member = (struct config_member){.id = -1, .host = "", .votes = 1, .priority = 1};
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !recurse_whole(value, &iter))
        return not_a_config(err, "a member is not a document");
    while (bson_iter_next(&iter))
        if (read_member_field(&iter, arena, member, err))
            return -1;
    if (member->id < 0 || !*member->host)
        return not_a_config(err, "a member without _id or host, or with one beyond HOST_LENGTH_MAX");
    return 0;
}

static int read_members(const bson_t *document, struct arena *arena, struct replica_config *config,
                        struct error *err)
{
    bson_iter_t iter, list;
    if (!bson_iter_init_find(&iter, document, "members") || !BSON_ITER_HOLDS_ARRAY(&iter) ||
        !recurse_whole(&iter, &list))
        return not_a_config(err, "no members");
    struct config_member *members = arena_array(arena, SET_MEMBERS_MAX, sizeof *members);
    size_t count = 0;
    while (members && bson_iter_next(&list)) {
        if (count == SET_MEMBERS_MAX)
            return beyond(err, "members", SET_MEMBERS_MAX, "SET_MEMBERS_MAX");
        if (read_member(&list, arena, &members[count], err))
            return -1;
        for (size_t i = 0; i < count; i++)
            if (members[i].id == members[count].id)
                return not_a_config(err, "two members have one _id");
        count++;
    }
    config->members = members;
    config->member_count = count;
    return 0;
}

static int read_setting(const bson_iter_t *iter, struct arena *arena, struct replica_config *config,
                        struct setting *settings, struct error *err)
{
    const char *key = bson_iter_key(iter);
    bool is_bool = BSON_ITER_HOLDS_BOOL(iter);
    if (strcmp(key, "replicaSetId") == 0 && BSON_ITER_HOLDS_OID(iter)) {
        char text[REPLICA_SET_ID_LENGTH + 1];
        bson_oid_to_string(bson_iter_oid(iter), text);
        config->replica_set_id = arena_string(arena, text);
    }
    if (!is_bool && !is_number(iter))
        return 0;
    if (config->setting_count == SETTINGS_MAX)
        return beyond(err, "settings", SETTINGS_MAX, "SETTINGS_MAX");
    for (size_t i = 0; i < config->setting_count; i++)
        if (strcmp(settings[i].name, key) == 0)
            return not_a_config(err, "a setting is there twice");
    if (!is_bool && !isfinite(bson_iter_as_double(iter)))
        return not_a_config(err, "a setting is no finite number");
    settings[config->setting_count++] =
        (struct setting){.name = arena_string(arena, key),
                         .value = is_bool ? bson_iter_bool(iter) : bson_iter_as_double(iter),
                         .is_bool = is_bool};
    return 0;
}

static int read_settings(const bson_t *document, struct arena *arena, struct replica_config *config,
                         struct error *err)
{
    bson_iter_t iter, list;
    if (!bson_iter_init_find(&iter, document, "settings"))
        return 0;
    if (!BSON_ITER_HOLDS_DOCUMENT(&iter) || !recurse_whole(&iter, &list))
        return not_a_config(err, "settings is not a document");
    struct setting *settings = arena_array(arena, SETTINGS_MAX, sizeof *settings);
    while (settings && bson_iter_next(&list))
        if (read_setting(&list, arena, config, settings, err))
            return -1;
    config->settings = settings;
    return 0;
}

/* Each key once: which of two a server would take is nobody's to guess. */
static int check_keys(const bson_t *document, struct error *err)
{
    static const char *const once[] = {"_id", "version", "term", "members", "settings"};
    unsigned seen = 0;
    uint32_t end = sizeof(int32_t);
    bson_iter_t iter;
    if (!bson_iter_init(&iter, document))
        return not_a_config(err, "it is no document");
    while (bson_iter_next(&iter)) {
        end = iter.next_off;
        for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
            if (strcmp(bson_iter_key(&iter), once[i]) != 0)
                continue;
            if (seen & 1U << i)
                return not_a_config(err, "a key is there twice");
            seen |= 1U << i;
        }
    }
    return end == document->len - 1 ? 0 : not_a_config(err, "it is broken");
}

int config_document_read(const bson_t *document, struct arena *arena, struct replica_config *out,
                         struct error *err)
{
    struct replica_config config = {.set = "", .replica_set_id = "", .term = -1};
    bson_iter_t iter;
    if (check_keys(document, err))
        return -1;
    if (bson_iter_init_find(&iter, document, "_id") && read_text(&iter, TEXT_LENGTH_MAX))
        config.set = arena_string(arena, bson_iter_utf8(&iter, NULL));
    if (bson_iter_init_find(&iter, document, "version"))
        read_int(&iter, 1, INT_MAX - 1, &config.version);
    if (bson_iter_init_find(&iter, document, "term"))
        read_int(&iter, -1, INT64_C(1) << 53, &config.term);
    if (!*config.set || config.version < 1)
        return not_a_config(err, "no _id or version");
    if (read_members(document, arena, &config, err) || read_settings(document, arena, &config, err))
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
        if (!bson_iter_init_find(&iter, &seen,
                                 wanted->settings[i].name)) /* bson_has_field() takes a dot for a path */
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
