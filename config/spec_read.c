/* Trees -> values: the tables of all keys of a spec, and the way of a file from text to a checked spec. See spec_read.h. */
#include "config/spec_read.h"

#include <stdlib.h>
#include <string.h>

#include "config/spec_check.h"
#include "config/spec_fields.h"
#include "config/spec_format.h"
#include "config/spec_problem.h"

#define TO(type, name) .offset = offsetof(struct type, name)
#define MANY(type, name, number) .offset = offsetof(struct type, name), .count_offset = offsetof(struct type, number)

static const char *const drivers[] = {"kubernetes", "local", NULL};
static const char *const addresses[] = {[ADDRESS_EXTERNAL_IP] = "external-ip", [ADDRESS_DNS] = "dns", NULL};
static const char *const states[] = {"present", "absent", NULL};
static const char *const api_versions[] = {"atoll/v1", NULL};
static const char *const kinds[] = {"Federation", NULL};

static void field_state(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    int which = -1;
    struct field choice = {.key = field->key, .choices = states};
    field_choice(reader, &choice, value, &which);
    if (which >= 0)
        *(bool *)((char *)record + field->offset) = which == 1;
}

/* ---- a zone ---- */

static const struct field zone_fields[] = {
    {"name", field_string, TO(spec_zone, name), .required = true, .check = check_label},
    {"driver", field_word, TO(spec_zone, driver), .choices = drivers},
    {"project", field_string, TO(spec_zone, project), .check = check_project},
    {"namespace", field_string, TO(spec_zone, namespace_), .check = check_label},
    {"egress", field_strings, MANY(spec_zone, egress, egress_count), .max = SPEC_RANGES_MAX, .check = check_cidr},
    {"labels", field_map, MANY(spec_zone, labels, label_count), .max = LABELS_MAX, .check = check_label_value,
     .check_key = check_label_key},
};
static const struct record zone_record = RECORD("a zone", zone_fields);

/* ---- a member ---- */

static const struct field member_fields[] = {
    {"ordinal", field_int, TO(spec_member, ordinal), .min = 1, .max = SPEC_ORDINAL_MAX},
    {"zone", field_string, TO(spec_member, zone), .required = true},
    {"priority", field_double, TO(spec_member, priority), .min = 0, .max = 1000},
    {"votes", field_int, TO(spec_member, votes), .min = 0, .max = 1},
    {"hidden", field_bool, TO(spec_member, hidden)},
    {"arbiterOnly", field_bool, TO(spec_member, arbiter_only)},
    {"secondaryDelaySecs", field_int64, TO(spec_member, secondary_delay_secs), .max = 366 * 86400},
    {"tags", field_map, MANY(spec_member, tags, tag_count), .max = LABELS_MAX, .check = check_tag,
     .check_key = check_tag},
    {"labels", field_map, MANY(spec_member, labels, label_count), .max = LABELS_MAX, .check = check_label_value,
     .check_key = check_label_key},
    {"disk", field_string, TO(spec_member, disk), .check = check_letter_label},
    {"state", field_state, TO(spec_member, absent)},
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
    read_record(reader, &member_record, node, out);
    if (!tree_get(node, "priority"))
        out->priority = spec_member_default_priority(out);
}

static void field_members(struct reader *reader, const struct field *field, const struct tree_node *value,
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

/* ---- a set ---- */

/* MongoDB's settings are known by name, so that a mistyped one is not silently without effect; the numbers' ranges are the server's.
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
        READ_ERROR(reader, value->key_mark, "the setting replicaSetId is made by MongoDB and never changes; take it away");
    else if (strncmp(value->key, "getLastError", 12) == 0)
        READ_ERROR(reader, value->key_mark, "the setting \"%s\" is not supported; set a default write concern with the "
                   "server's setDefaultRWConcern", key);
    else if (meant)
        READ_ERROR(reader, value->key_mark, "unknown setting \"%s\"; did you mean \"%s\"?", key, meant);
    else
        READ_ERROR(reader, value->key_mark, "unknown setting \"%s\"; MongoDB has chainingAllowed, heartbeatIntervalMillis, "
                   "heartbeatTimeoutSecs, electionTimeoutMillis, catchUpTimeoutMillis, catchUpTakeoverDelayMillis", key);
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
        field_bool(reader, &field, value, &truth);
    else
        field_int64(reader, &field, value, &number);
    out->value = known->is_bool ? truth : (double)number;
    return reader->problems->errors == before;
}

static void field_settings(struct reader *reader, const struct field *field, const struct tree_node *value,
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

static const struct field storage_fields[] = {
    {"size", field_size, TO(spec_set, storage_bytes), .min = INT64_C(1) << 20, .max = INT64_C(64) << 40},
    {"type", field_string, TO(spec_set, storage_type), .check = check_storage_type},
};
static const struct record storage_record = RECORD("storage", storage_fields);

static const struct field requests_fields[] = {
    {"cpu", field_quantity, TO(spec_set, cpu), .check = check_cpu},
    {"memory", field_quantity, TO(spec_set, memory), .check = check_memory},
};
static const struct record requests_record = RECORD("resources.requests", requests_fields);
static const struct field resources_fields[] = {{"requests", field_record, .record = &requests_record}};
static const struct record resources_record = RECORD("resources", resources_fields);

static const struct field rollout_fields[] = {
    {"soak", field_duration, TO(spec_set, rollout_soak_ms)},
    {"maxLag", field_duration, TO(spec_set, rollout_max_lag_ms)},
    {"order", field_ints, MANY(spec_set, rollout_order, rollout_order_count), .min = 1, .max = SET_MEMBERS_MAX},
};
static const struct record rollout_record = RECORD("rollout", rollout_fields);

static const struct field backup_fields[] = {
    {"schedule", field_string, TO(spec_set, backup_schedule), .check = check_cron},
    {"keep", field_int64, TO(spec_set, backup_keep), .min = 1, .max = 1000},
};
static const struct record backup_record = RECORD("backup", backup_fields);

static const struct field drills_fields[] = {{"allowed", field_bool, TO(spec_set, drills_allowed)}};
static const struct record drills_record = RECORD("drills", drills_fields);

static const struct field set_fields[] = {
    {"name", field_string, TO(spec_set, name), .required = true, .check = check_letter_label},
    {"image", field_string, TO(spec_set, image), .check = check_image},
    {"storage", field_record, .record = &storage_record},
    {"port", field_int, TO(spec_set, port), .min = 1, .max = 65535},
    {"resources", field_record, .record = &resources_record},
    {"address", field_choice, TO(spec_set, address), .choices = addresses},
    {"domain", field_string, TO(spec_set, domain), .check = check_dns_name},
    {"auth", field_bool, TO(spec_set, auth)},
    {"settings", field_settings, .max = SETTINGS_MAX},
    {"mongod", field_strings, MANY(spec_set, mongod_arguments, mongod_argument_count), .max = MONGOD_ARGUMENTS_MAX,
     .check = check_argument},
    {"rollout", field_record, .record = &rollout_record},
    {"backup", field_record, .record = &backup_record},
    {"drills", field_record, .record = &drills_record},
    {"sourceRanges", field_strings, MANY(spec_set, source_ranges, source_range_count), .max = SPEC_RANGES_MAX,
     .check = check_cidr},
    {"members", field_members, .max = SET_MEMBERS_MAX},
    {"state", field_state, TO(spec_set, absent)},
};
static const struct record set_record = RECORD("a set", set_fields);

/* ---- the federation ---- */

static void field_zones(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
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
        count += read_record(reader, &zone_record, item, &zones[count]);
    }
    spec->zones = zones;
    spec->zone_count = count;
}

static void field_sets(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
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
        count += read_record(reader, &set_record, item, &sets[count]);
    }
    spec->sets = sets;
    spec->set_count = count;
}

static const struct field access_fields[] = {{"anonymousStatus", field_bool, TO(spec, access_anonymous_status)}};
static const struct record access_record = RECORD("access", access_fields);

static const struct field spec_fields[] = {
    {"tls", field_bool, TO(spec, tls)},
    {"access", field_record, .record = &access_record},
    {"zones", field_zones, .required = true},
    {"sets", field_sets, .max = SPEC_SETS_MAX},
};
static const struct record spec_record = RECORD("spec", spec_fields);

static const struct field metadata_fields[] = {
    {"name", field_string, TO(spec, name), .required = true, .check = check_label},
};
static const struct record metadata_record = RECORD("metadata", metadata_fields);

/* A word that must be this one; it is looked at and not kept. */
static void field_constant(struct reader *reader, const struct field *field, const struct tree_node *value,
                           void *record)
{
    int which = -1;
    struct field choice = {.key = field->key, .choices = field->choices};
    (void)record;
    field_choice(reader, &choice, value, &which);
}

static const struct field document_fields[] = {
    {"apiVersion", field_constant, .required = true, .choices = api_versions},
    {"kind", field_constant, .required = true, .choices = kinds},
    {"metadata", field_record, .required = true, .record = &metadata_record},
    {"spec", field_record, .required = true, .record = &spec_record},
};
static const struct record document_record = RECORD("a federation's file", document_fields);

static struct tree_node *read_trees(const struct spec_source *sources, size_t count, struct arena *arena,
                                    struct spec_problems *problems)
{
    struct tree_node *merged = NULL;
    bool broken = false;
    for (size_t i = 0; i < count; i++) {
        struct tree_node *tree = tree_read(&sources[i], arena, problems);
        broken |= !tree;
        merged = tree_merge(merged, tree, arena, problems);
    }
    return broken ? NULL : merged; /* with a part missing the rest would only give errors that are none */
}

int spec_read(const struct spec_source *sources, size_t count, struct arena *arena, struct spec *out,
              struct spec_problems *problems)
{
    struct reader reader = {arena, problems};
    struct spec spec = spec_default();
    size_t errors_before = problems->errors;
    struct spec_mark start = {count ? sources[0].name : "spec", 1, 1};
    if (count == 0 || count > SPEC_FILES_MAX) {
        READ_ERROR(&reader, start, "%zu files; a spec is 1 file and at most %d overlays", count, SPEC_FILES_MAX - 1);
        return -1;
    }
    const struct tree_node *tree = read_trees(sources, count, arena, problems);
    if (tree && read_record(&reader, &document_record, tree, &spec)) {
        const struct tree_node *body = tree_get(tree, "spec");
        spec.node = tree;
        spec.mark = body ? body->mark : tree->mark;
        spec_check(&spec, arena, problems);
    }
    if (arena_failed(arena))
        READ_ERROR(&reader, start, "the file needs more memory than a spec may");
    problems_sort(problems, sources, count);
    if (problems->errors > errors_before)
        return -1;
    *out = spec;
    return 0;
}
