/* Reading: every value of the contract arrives, every default is right, and each file of cases/ gives exactly
 * the problems, with their places, that are written in it behind "#> ". After a change on purpose:
 * ATOLL_REWRITE=1 test_spec_read, and read the diff. */
#include "spec_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES ATOLL_SOURCE_DIR "/tests/unit/config/cases"

static void the_founding_spec_needs_nothing_else(void **state)
{
    struct reading reading;
    char *text = file_text(ATOLL_SOURCE_DIR "/config/examples/three-zones.yaml", NULL);
    (void)state;
    reading_init(&reading, text);
    const struct spec_set *set = spec_find_set(&reading.spec, "mongo");
    assert_int_equal(reading.result, 0);
    assert_string_equal(reading.spec.name, "prod");
    assert_true(reading.spec.tls);
    assert_false(reading.spec.access_anonymous_status);
    assert_int_equal(reading.spec.zone_count, 3);
    assert_string_equal(spec_find_zone(&reading.spec, "us-central1-f")->driver, "kubernetes");
    assert_string_equal(spec_find_zone(&reading.spec, "us-central1-f")->namespace_, "default");
    assert_string_equal(spec_find_zone(&reading.spec, "us-central1-f")->project, "");
    assert_string_equal(set->image, "mongo:7.0");
    assert_true(set->storage_bytes == INT64_C(200) << 30);
    assert_string_equal(set->storage_type, "pd-ssd");
    assert_int_equal(set->port, 27017);
    assert_int_equal(set->address, ADDRESS_EXTERNAL_IP);
    assert_true(set->auth && set->drills_allowed && !set->absent);
    assert_int_equal(set->rollout_soak_ms, 600000);
    assert_int_equal(set->rollout_max_lag_ms, 10000);
    assert_int_equal(set->backup_keep, 7);
    assert_int_equal(set->member_count, 3);
    assert_int_equal(set->members[2].ordinal, 3);
    assert_string_equal(set->members[2].zone, "europe-west1-d");
    assert_string_equal(set->members[2].labels[0].key, "instance");
    assert_string_equal(set->members[2].labels[0].value, "freddy");
    assert_true(set->members[2].votes == 1 && set->members[2].priority == 1);
    assert_int_equal(set->members[2].mark.line, 19);
    assert_int_equal(set->members[2].mark.column, 11);
    reading_finish(&reading);
    free(text);
}

static const char everything[] =
    "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: all}\n"
    "spec:\n"
    "  tls: false\n"
    "  access: {anonymousStatus: true}\n"
    "  zones:\n"
    "    - {name: a, project: example-1, namespace: db, egress: [203.0.113.0/24, '2001:db8::/32'], labels: "
    "{tier: gold}}\n"
    "    - {name: b, driver: local}\n"
    "    - {name: c}\n"
    "  sets:\n"
    "    - name: gone\n"
    "      state: absent\n"
    "    - name: mongo\n"
    "      image: registry.example.com/mongo@sha256:abcd\n"
    "      storage: {size: 1.5Ti, type: pd-balanced}\n"
    "      port: 27018\n"
    "      resources: {requests: {cpu: 2, memory: 4Gi}}\n"
    "      address: dns\n"
    "      domain: db.example.com\n"
    "      auth: true\n"
    "      settings: {electionTimeoutMillis: 5000, chainingAllowed: false}\n"
    "      mongod: [--oplogSize, '1024', --setParameter=ttlMonitorEnabled=false]\n"
    "      rollout: {soak: 1h30m, maxLag: 500ms, order: [3, 1]}\n"
    "      backup: {schedule: '30 2 * * *', keep: 14}\n"
    "      drills: {allowed: false}\n"
    "      sourceRanges: [198.51.100.0/24]\n"
    "      members:\n"
    "        - {ordinal: 4, zone: c, arbiterOnly: true}\n"
    "        - {ordinal: 1, zone: a, priority: 2.5, disk: old-disk}\n"
    "        - {ordinal: 3, zone: b, tags: {dc: east, use: reporting}}\n"
    "        - {ordinal: 5, zone: c, hidden: true, votes: 0, secondaryDelaySecs: 3600}\n"
    "        - {ordinal: 2, zone: a, state: absent}\n";

static void every_key_of_the_contract_is_read(void **state)
{
    struct reading reading;
    (void)state;
    reading_init(&reading, everything);
    assert_int_equal(reading.result, 0);
    const struct spec *spec = &reading.spec;
    assert_false(spec->tls);
    assert_true(spec->access_anonymous_status);
    assert_string_equal(spec->zones[0].project, "example-1");
    assert_string_equal(spec->zones[0].namespace_, "db");
    assert_int_equal(spec->zones[0].egress_count, 2);
    assert_string_equal(spec->zones[0].egress[1], "2001:db8::/32");
    assert_string_equal(spec->zones[0].labels[0].value, "gold");
    assert_string_equal(spec->zones[1].driver, "local");
    assert_true(spec_find_set(spec, "gone")->absent);
    const struct spec_set *set = spec_find_set(spec, "mongo");
    assert_string_equal(set->image, "registry.example.com/mongo@sha256:abcd");
    assert_true(set->storage_bytes == INT64_C(1536) << 30);
    assert_string_equal(set->storage_type, "pd-balanced");
    assert_int_equal(set->port, 27018);
    assert_string_equal(set->cpu, "2");
    assert_string_equal(set->memory, "4Gi");
    assert_int_equal(set->address, ADDRESS_DNS);
    assert_string_equal(set->domain, "db.example.com");
    assert_true(set->auth);
    assert_int_equal(set->setting_count, 2);
    assert_string_equal(set->settings[0].name, "electionTimeoutMillis");
    assert_true(set->settings[0].value == 5000 && !set->settings[0].is_bool);
    assert_true(set->settings[1].is_bool && set->settings[1].value == 0);
    assert_int_equal(set->mongod_argument_count, 3);
    assert_string_equal(set->mongod_arguments[1], "1024");
    assert_int_equal(set->rollout_soak_ms, 5400000);
    assert_int_equal(set->rollout_max_lag_ms, 500);
    assert_int_equal(set->rollout_order_count, 2);
    assert_int_equal(set->rollout_order[0], 3);
    assert_string_equal(set->backup_schedule, "30 2 * * *");
    assert_int_equal(set->backup_keep, 14);
    assert_false(set->drills_allowed);
    assert_string_equal(set->source_ranges[0], "198.51.100.0/24");
    reading_finish(&reading);
}

static void members_come_by_ordinal_with_what_follows_from_their_kind(void **state)
{
    struct reading reading;
    (void)state;
    reading_init(&reading, everything);
    const struct spec_set *set = spec_find_set(&reading.spec, "mongo");
    assert_int_equal(set->member_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(set->members[i].ordinal, i + 1);
    assert_true(set->members[0].priority == 2.5);
    assert_string_equal(set->members[0].disk, "old-disk");
    assert_true(set->members[1].absent);
    assert_int_equal(set->members[2].tag_count, 2);
    assert_true(set->members[3].arbiter_only && set->members[3].votes == 1 && set->members[3].priority == 0);
    assert_true(set->members[4].hidden && set->members[4].votes == 0 && set->members[4].priority == 0);
    assert_int_equal(set->members[4].secondary_delay_secs, 3600);
    assert_ptr_equal(spec_find_member(set, 3), &set->members[2]);
    assert_null(spec_find_member(set, 6));
    reading_finish(&reading);
}

static void json_is_read_by_the_same_path(void **state)
{
    struct reading reading;
    (void)state;
    reading_init(
        &reading,
        "{\"apiVersion\": \"atoll/v1\", \"kind\": \"Federation\", \"metadata\": {\"name\": \"prod\"},\n"
        " \"spec\": {\"zones\": [{\"name\": \"a\", \"driver\": \"local\"}],\n"
        "\t\"sets\": [{\"name\": \"mongo\", \"image\": \"mongo:7.0\", \"port\": 0,\n"
        "  \"members\": [{\"zone\": \"a\"}]}]}}");
    assert_string_equal(buffer_text(&reading.said),
                        "spec.yaml:3:59: error: port 0 must be a whole number from 1 to 65535\n");
    reading_finish(&reading);
}

static void outputs_are_untouched_when_there_is_an_error(void **state)
{
    struct arena arena;
    struct spec spec = {.name = "before"};
    struct spec_problems problems = {.count = 0};
    struct spec_source source = {"x", "[", 1};
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(spec_read(&source, 1, &arena, &spec, &problems), -1);
    assert_string_equal(spec.name, "before");
    assert_int_equal(spec_read(&source, 0, &arena, &spec, &problems), -1);
    arena_finish(&arena);
}

static void names_are_those_of_the_founding_description(void **state)
{
    static const struct {
        int ordinal;
        const char *service;
    } rows[] = {{1, "mongo-svc-a"},    {2, "mongo-svc-b"},    {25, "mongo-svc-y"},  {26, "mongo-svc-z"},
                {27, "mongo-svc-aa"},  {28, "mongo-svc-ab"},  {52, "mongo-svc-az"}, {53, "mongo-svc-ba"},
                {702, "mongo-svc-zz"}, {703, "mongo-svc-aaa"}};
    struct arena arena;
    struct spec_set set = {.name = "mongo"};
    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spec_member member = {.ordinal = rows[i].ordinal, .disk = ""};
        assert_string_equal(spec_member_names(&set, &member, &arena).service, rows[i].service);
    }
    struct spec_member second = {.ordinal = 2, .disk = ""}, adopted = {.ordinal = 3, .disk = "found"};
    struct member_names names = spec_member_names(&set, &second, &arena);
    assert_string_equal(names.node, "mongo-node2");
    assert_string_equal(names.controller, "mongo-rc2");
    assert_string_equal(names.volume, "mongo-persistent-storage2");
    assert_string_equal(names.disk, "mongodb-disk2");
    assert_string_equal(spec_member_names(&set, &adopted, &arena).disk, "found");
    assert_string_equal(spec_headless_service(&set, &arena), "mongo-svc");
    arena_finish(&arena);
}

/* ---- cases/ ---- */

/* What is written behind "#> " in the file. */
static void expected_of(const char *text, struct buffer *out)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "#> ", 3) == 0) {
            buffer_append(out, line + 3, length - 3);
            buffer_append_text(out, "\n");
        }
        line += length + (line[length] == '\n');
    }
}

/* What was said, without the file's name. */
static void said_of(const struct reading *reading, struct buffer *out)
{
    const char *line = buffer_text(&reading->said);
    while (*line) {
        size_t length = strcspn(line, "\n") + 1;
        size_t name = strlen("spec.yaml:");
        buffer_append(out, line + name, length - name);
        line += length;
    }
}

static void rewrite(const char *path, const char *text, const char *said)
{
    const char *end = strstr(text, "\n#> ");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(text, 1, end ? (size_t)(end + 1 - text) : strlen(text), file);
    while (*said) {
        size_t length = strcspn(said, "\n") + 1;
        fprintf(file, "#> %.*s", (int)length, said);
        said += length;
    }
    fclose(file);
}

static void check_case(const char *path)
{
    struct reading reading;
    struct buffer expected, said;
    char *text = file_text(path, NULL);
    buffer_init(&expected, 0);
    buffer_init(&said, 0);
    reading_init(&reading, text);
    expected_of(text, &expected);
    said_of(&reading, &said);
    if (getenv("ATOLL_REWRITE"))
        rewrite(path, text, buffer_text(&said));
    else if (strcmp(buffer_text(&said), buffer_text(&expected)) != 0)
        fail_msg("%s\nis expected to give\n%sand gives\n%s", path, buffer_text(&expected),
                 buffer_text(&said));
    buffer_finish(&expected);
    buffer_finish(&said);
    reading_finish(&reading);
    free(text);
}

static void each_case_gives_the_problems_written_in_it(void **state)
{
    struct dirent **entries;
    int count = scandir(CASES, &entries, NULL, alphasort), cases = 0;
    (void)state;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", CASES, entries[i]->d_name);
        if (strstr(entries[i]->d_name, ".yaml")) {
            check_case(path);
            cases++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(cases >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_founding_spec_needs_nothing_else),
        cmocka_unit_test(every_key_of_the_contract_is_read),
        cmocka_unit_test(members_come_by_ordinal_with_what_follows_from_their_kind),
        cmocka_unit_test(json_is_read_by_the_same_path),
        cmocka_unit_test(outputs_are_untouched_when_there_is_an_error),
        cmocka_unit_test(names_are_those_of_the_founding_description),
        cmocka_unit_test(each_case_gives_the_problems_written_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
