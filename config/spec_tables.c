/* The tables of all keys of a spec: what they are called, of which kind they are, where their values go, and
 * the few that are read and written in a way of their own. federation.schema.json and docs/spec.md say the
 * same to editors and people. */
#include <stdlib.h>
#include <string.h>

#include "config/spec_fields.h"
#include "config/spec_format.h"

#define TO(type, name) .offset = offsetof(struct type, name)
#define MANY(type, name, number)                                                                             \
    .offset = offsetof(struct type, name), .count_offset = offsetof(struct type, number)

static const char *const drivers[] = {"kubernetes", "local", NULL};
static const char *const addresses[] = {[ADDRESS_EXTERNAL_IP] = "external-ip", [ADDRESS_DNS] = "dns", NULL};
static const char *const states[] = {"present", "absent", NULL};
static const char *const api_versions[] = {"atoll/v1", NULL};
static const char *const kinds[] = {"Federation", NULL};

static void read_state(struct reader *reader, const struct field *field, const struct tree_node *value,
                       void *record)
{
    int which = -1;
    struct field choice = {.key = field->key, .choices = states};
    read_choice(reader, &choice, value, &which);
    if (which >= 0)
        *(bool *)((char *)record + field->offset) = which == 1;
}

static void write_state(const struct field *field, const void *record, const void *defaults, bool whole,
                        struct json *out)
{
    bool absent = *(const bool *)((const char *)record + field->offset);
    (void)defaults;
    if (absent || whole)
        json_set_string(out, field->key, states[absent]);
}

static const struct field_kind kind_state = {read_state, write_state};

/* Sets `key` to a list of one map for each of `count` structs of `size` bytes. */
static void write_list(const struct field *field, const void *items, size_t count, size_t size,
                       const void *defaults, bool whole, struct json *out)
{
    if (count == 0 && !whole && !field->required)
        return;
    struct json *array = json_set(out, field->key, json_array());
    for (size_t i = 0; i < count && array; i++) {
        struct json *object = json_append(array, json_object());
        if (object)
            write_fields(field->record, (const char *)items + i * size, defaults, whole, object);
    }
}

/* ---- a zone ---- */

static const struct field zone_fields[] = {
    {"name", &kind_string, TO(spec_zone, name), .required = true, .check = check_label},
    {"driver", &kind_word, TO(spec_zone, driver), .choices = drivers},
    {"project", &kind_string, TO(spec_zone, project), .check = check_project},
    {"namespace", &kind_string, TO(spec_zone, namespace_), .check = check_label},
    {"egress", &kind_strings, MANY(spec_zone, egress, egress_count), .max = SPEC_RANGES_MAX,
     .check = check_cidr},
    {"labels", &kind_map, MANY(spec_zone, labels, label_count), .max = LABELS_MAX, .check = check_label_value,
     .check_key = check_label_key},
};
static const struct record zone_record = RECORD("a zone", zone_fields);

/* ---- a member ---- */

static const struct field member_fields[] = {
    {"ordinal", &kind_int, TO(spec_member, ordinal), .min = 1, .max = SPEC_ORDINAL_MAX},
    {"zone", &kind_string, TO(spec_member, zone), .required = true},
    {"priority", &kind_double, TO(spec_member, priority), .min = 0, .max = 1000},
    {"votes", &kind_int, TO(spec_member, votes), .min = 0, .max = 1},
    {"hidden", &kind_bool, TO(spec_member, hidden)},
    {"arbiterOnly", &kind_bool, TO(spec_member, arbiter_only)},
    {"secondaryDelaySecs", &kind_int64, TO(spec_member, secondary_delay_secs), .max = 366 * 86400},
    {"tags", &kind_map, MANY(spec_member, tags, tag_count), .max = LABELS_MAX, .check = check_tag,
     .check_key = check_tag},
    {"labels", &kind_map, MANY(spec_member, labels, label_count), .max = LABELS_MAX,
     .check = check_label_value, .check_key = check_label_key},
    {"disk", &kind_string, TO(spec_member, disk), .check = check_letter_label},
    {"state", &kind_state, TO(spec_member, absent)},
};
static const struct record member_record = RECORD("a member", member_fields);

static int by_ordinal(const void *a, const void *b)
{
    const struct spec_member *left = a, *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

static void read_member(struct reader *reader, const struct tree_node *node, struct spec_member *out)
{
    *out = spec_member_default();
    out->ordinal = node->place;
    out->mark = node->mark;
    out->node = node;
    read_fields(reader, &member_record, node, out);
    if (!tree_get(node, "priority"))
        out->priority = spec_member_default_priority(out);
}

/* Ordinals are written on all members, or on none when they are 1, 2, 3 …; a priority when it isn't what
 * follows from the rest. */
static void write_members(const struct field *field, const void *record, const void *defaults, bool whole,
                          struct json *out)
{
    const struct spec_set *set = record;
    bool in_order = true;
    (void)defaults;
    for (size_t i = 0; i < set->member_count; i++)
        in_order &= set->members[i].ordinal == (int)i + 1;
    if (set->member_count == 0 && !whole)
        return;
    struct json *array = json_set(out, field->key, json_array());
    for (size_t i = 0; i < set->member_count && array; i++) {
        struct spec_member fallback = spec_member_default();
        fallback.priority = spec_member_default_priority(&set->members[i]);
        fallback.ordinal = in_order ? (int)i + 1 : 0;
        struct json *object = json_append(array, json_object());
        if (object)
            write_fields(&member_record, &set->members[i], &fallback, whole, object);
    }
}

static void read_members(struct reader *reader, const struct field *field, const struct tree_node *value,
                         void *record)
{
    struct spec_set *set = record;
    (void)field;
    if (value->kind != TREE_LIST) {
        wrong_type(reader, value, "a list of members");
        return;
    }
    struct spec_member *members = arena_array(reader->arena, value->count, sizeof *members);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && members; item = item->next)
        if (item->kind == TREE_MAP)
            read_member(reader, item, &members[count++]);
        else
            wrong_type(reader, item, "a map with a zone");
    if (count)
        qsort(members, count, sizeof *members, by_ordinal);
    set->members = members;
    set->member_count = count;
}

static const struct field_kind kind_members = {read_members, write_members};

/* ---- a set ---- */

/* MongoDB's settings are known by name, so that a mistyped one is not silently without effect; the numbers'
 * ranges are the server's.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/#mongodb-rsconf-rsconf.settings */
static const struct known_setting {
    const char *name;
    bool is_bool;
    int64_t min, max;
} known_settings[] = {
    {"chainingAllowed", true, 0, 1},
    {"heartbeatIntervalMillis", false, 1, INT32_MAX},
    {"heartbeatTimeoutSecs", false, 1, INT32_MAX},
    {"electionTimeoutMillis", false, 1, INT32_MAX},
    {"catchUpTimeoutMillis", false, -1, INT32_MAX},
    {"catchUpTakeoverDelayMillis", false, -1, INT32_MAX},
};
enum { KNOWN_SETTINGS = sizeof known_settings / sizeof *known_settings };

static const struct known_setting *find_setting(struct reader *reader, const struct tree_node *value)
{
    const char *names[KNOWN_SETTINGS];
    for (size_t i = 0; i < KNOWN_SETTINGS; i++) {
        names[i] = known_settings[i].name;
        if (strcmp(value->key, names[i]) == 0)
            return &known_settings[i];
    }
    const char *meant = problem_suggest(value->key, names, KNOWN_SETTINGS);
    const char *key = problem_quote(reader->arena, value->key);
    if (strcmp(value->key, "replicaSetId") == 0)
        READ_ERROR(reader, value->key_mark,
                   "the setting replicaSetId is made by MongoDB and never changes; take it away");
    else if (strncmp(value->key, "getLastError", 12) == 0)
        READ_ERROR(reader, value->key_mark,
                   "the setting \"%s\" is not supported; set a default write concern with the "
                   "server's setDefaultRWConcern",
                   key);
    else if (meant)
        READ_ERROR(reader, value->key_mark, "unknown setting \"%s\"; did you mean \"%s\"?", key, meant);
    else
        READ_ERROR(
            reader, value->key_mark,
            "unknown setting \"%s\"; MongoDB has chainingAllowed, heartbeatIntervalMillis, "
            "heartbeatTimeoutSecs, electionTimeoutMillis, catchUpTimeoutMillis, catchUpTakeoverDelayMillis",
            key);
    return NULL;
}

static bool read_setting(struct reader *reader, const struct tree_node *value, struct setting *out)
{
    const struct known_setting *known = find_setting(reader, value);
    size_t before = reader->problems->errors;
    if (!known)
        return false;
    *out = (struct setting){.name = known->name, .is_bool = known->is_bool};
    struct field field = {.key = known->name, .min = known->min, .max = known->max};
    bool truth = false;
    int64_t number = 0;
    if (known->is_bool)
        read_bool(reader, &field, value, &truth);
    else
        read_int64(reader, &field, value, &number);
    out->value = known->is_bool ? truth : (double)number;
    return reader->problems->errors == before;
}

static void read_settings(struct reader *reader, const struct field *field, const struct tree_node *value,
                          void *record)
{
    struct spec_set *set = record;
    (void)field;
    if (value->kind != TREE_MAP) {
        wrong_type(reader, value, "a map of MongoDB's settings");
        return;
    }
    struct setting *settings = arena_array(reader->arena, value->count, sizeof *settings);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && settings; item = item->next)
        count += read_setting(reader, item, &settings[count]);
    set->settings = settings;
    set->setting_count = count;
}

static void write_settings(const struct field *field, const void *record, const void *defaults, bool whole,
                           struct json *out)
{
    const struct spec_set *set = record;
    (void)defaults;
    if (set->setting_count == 0 && !whole)
        return;
    struct json *object = json_set(out, field->key, json_object());
    for (size_t i = 0; i < set->setting_count && object; i++) {
        const struct setting *setting = &set->settings[i];
        if (setting->is_bool)
            json_set_bool(object, setting->name, setting->value != 0);
        else
            json_set_double(object, setting->name, setting->value);
    }
}

static const struct field_kind kind_settings = {read_settings, write_settings};

static const struct field storage_fields[] = {
    {"size", &kind_size, TO(spec_set, storage_bytes), .min = INT64_C(1) << 20, .max = INT64_C(64) << 40},
    {"type", &kind_string, TO(spec_set, storage_type), .check = check_storage_type},
};
static const struct record storage_record = RECORD("storage", storage_fields);

static const struct field requests_fields[] = {
    {"cpu", &kind_quantity, TO(spec_set, cpu), .check = check_cpu},
    {"memory", &kind_quantity, TO(spec_set, memory), .check = check_memory},
};
static const struct record requests_record = RECORD("resources.requests", requests_fields);
static const struct field resources_fields[] = {{"requests", &kind_record, .record = &requests_record}};
static const struct record resources_record = RECORD("resources", resources_fields);

static const struct field rollout_fields[] = {
    {"soak", &kind_duration, TO(spec_set, rollout_soak_ms)},
    {"maxLag", &kind_duration, TO(spec_set, rollout_max_lag_ms)},
    {"order", &kind_ints, MANY(spec_set, rollout_order, rollout_order_count), .min = 1,
     .max = SET_MEMBERS_MAX},
};
static const struct record rollout_record = RECORD("rollout", rollout_fields);

static const struct field backup_fields[] = {
    {"schedule", &kind_string, TO(spec_set, backup_schedule), .check = check_cron},
    {"keep", &kind_int64, TO(spec_set, backup_keep), .min = 1, .max = 1000},
};
static const struct record backup_record = RECORD("backup", backup_fields);

static const struct field drills_fields[] = {{"allowed", &kind_bool, TO(spec_set, drills_allowed)}};
static const struct record drills_record = RECORD("drills", drills_fields);

static const struct field set_fields[] = {
    {"name", &kind_string, TO(spec_set, name), .required = true, .check = check_letter_label},
    {"image", &kind_string, TO(spec_set, image), .check = check_image},
    {"storage", &kind_record, .record = &storage_record},
    {"port", &kind_int, TO(spec_set, port), .min = 1, .max = 65535},
    {"resources", &kind_record, .record = &resources_record},
    {"address", &kind_choice, TO(spec_set, address), .choices = addresses},
    {"domain", &kind_string, TO(spec_set, domain), .check = check_dns_name},
    {"auth", &kind_bool, TO(spec_set, auth)},
    {"settings", &kind_settings, .max = SETTINGS_MAX},
    {"mongod", &kind_strings, MANY(spec_set, mongod_arguments, mongod_argument_count),
     .max = MONGOD_ARGUMENTS_MAX, .check = check_argument},
    {"rollout", &kind_record, .record = &rollout_record},
    {"backup", &kind_record, .record = &backup_record},
    {"drills", &kind_record, .record = &drills_record},
    {"sourceRanges", &kind_strings, MANY(spec_set, source_ranges, source_range_count), .max = SPEC_RANGES_MAX,
     .check = check_cidr},
    {"members", &kind_members, .max = SET_MEMBERS_MAX},
    {"state", &kind_state, TO(spec_set, absent)},
};
static const struct record set_record = RECORD("a set", set_fields);

/* ---- the federation ---- */

static void read_zones(struct reader *reader, const struct field *field, const struct tree_node *value,
                       void *record)
{
    struct spec *spec = record;
    (void)field;
    if (value->kind != TREE_LIST) {
        wrong_type(reader, value, "a list of zones");
        return;
    }
    struct spec_zone *zones = arena_array(reader->arena, value->count, sizeof *zones);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && zones; item = item->next) {
        zones[count] = spec_zone_default();
        zones[count].mark = item->mark;
        zones[count].node = item;
        count += read_fields(reader, &zone_record, item, &zones[count]);
    }
    spec->zones = zones;
    spec->zone_count = count;
}

static void write_zones(const struct field *field, const void *record, const void *defaults, bool whole,
                        struct json *out)
{
    const struct spec *spec = record;
    struct spec_zone fallback = spec_zone_default();
    (void)defaults;
    write_list(field, spec->zones, spec->zone_count, sizeof *spec->zones, &fallback, whole, out);
}

static const struct field_kind kind_zones = {read_zones, write_zones};

static void read_sets(struct reader *reader, const struct field *field, const struct tree_node *value,
                      void *record)
{
    struct spec *spec = record;
    if (value->kind != TREE_LIST) {
        wrong_type(reader, value, "a list of sets");
        return;
    }
    if ((int64_t)value->count > field->max) {
        READ_ERROR(reader, value->mark, "%zu sets; at most %d are allowed", value->count, SPEC_SETS_MAX);
        return;
    }
    struct spec_set *sets = arena_array(reader->arena, value->count, sizeof *sets);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && sets; item = item->next) {
        sets[count] = spec_set_default();
        sets[count].mark = item->mark;
        sets[count].node = item;
        count += read_fields(reader, &set_record, item, &sets[count]);
    }
    spec->sets = sets;
    spec->set_count = count;
}

static void write_sets(const struct field *field, const void *record, const void *defaults, bool whole,
                       struct json *out)
{
    const struct spec *spec = record;
    struct spec_set fallback = spec_set_default();
    (void)defaults;
    write_list(field, spec->sets, spec->set_count, sizeof *spec->sets, &fallback, whole, out);
}

static const struct field_kind kind_sets = {read_sets, write_sets};

static const struct field access_fields[] = {
    {"anonymousStatus", &kind_bool, TO(spec, access_anonymous_status)}};
static const struct record access_record = RECORD("access", access_fields);

static const struct field spec_fields[] = {
    {"tls", &kind_bool, TO(spec, tls)},
    {"access", &kind_record, .record = &access_record},
    {"zones", &kind_zones, .required = true, .record = &zone_record},
    {"sets", &kind_sets, .record = &set_record, .max = SPEC_SETS_MAX},
};
static const struct record spec_record = RECORD("spec", spec_fields);

static const struct field metadata_fields[] = {
    {"name", &kind_string, TO(spec, name), .required = true, .check = check_label},
};
static const struct record metadata_record = RECORD("metadata", metadata_fields);

static const struct field document_fields[] = {
    {"apiVersion", &kind_constant, .required = true, .choices = api_versions},
    {"kind", &kind_constant, .required = true, .choices = kinds},
    {"metadata", &kind_record, .required = true, .record = &metadata_record},
    {"spec", &kind_record, .required = true, .record = &spec_record},
};
const struct record document_record = RECORD("a federation's file", document_fields);

struct json *spec_to_json(const struct spec *spec, bool whole)
{
    struct spec fallback = spec_default();
    struct json *json = json_object();
    if (json)
        write_fields(&document_record, spec, &fallback, whole, json);
    return json;
}
