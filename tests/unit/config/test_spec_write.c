/* Writing: what is written is read as equal values, in both formats; and the lines that tell what changed. */
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char rich[] =
    "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: \"007\"}\n"
    "spec:\n"
    "  tls: false\n"
    "  access: {anonymousStatus: true}\n"
    "  zones:\n"
    "    - {name: a, project: example-1, namespace: db, egress: [203.0.113.0/24, '2001:db8::/32'], labels: "
    "{tier: 'on', n: '5'}}\n"
    "    - {name: b, driver: local}\n"
    "    - {name: 1e3-c}\n"
    "  sets:\n"
    "    - {name: gone, state: absent}\n"
    "    - name: mongo\n"
    "      image: registry.example.com/mongo@sha256:abcd\n"
    "      storage: {size: 1.5Ti, type: pd-balanced}\n"
    "      port: 27018\n"
    "      resources: {requests: {cpu: 0.5, memory: 4Gi}}\n"
    "      address: dns\n"
    "      domain: db.example.com\n"
    "      auth: true\n"
    "      settings: {electionTimeoutMillis: 5000, chainingAllowed: false}\n"
    "      mongod: [--oplogSize, '1024', '--setParameter=x={\"a\": \"b # c\"}']\n"
    "      rollout: {soak: 1h30m, maxLag: 500ms, order: [3, 1]}\n"
    "      backup: {schedule: '30 2 * * *', keep: 14}\n"
    "      drills: {allowed: false}\n"
    "      sourceRanges: [198.51.100.0/24]\n"
    "      members:\n"
    "        - {ordinal: 4, zone: 1e3-c, arbiterOnly: true}\n"
    "        - {ordinal: 1, zone: a, priority: 2.5, disk: old-disk}\n"
    "        - {ordinal: 3, zone: b, priority: 0, tags: {dc: \"é \\\"x\\\" \\\\ y:\", 'a b': 'null'}}\n"
    "        - {ordinal: 6, zone: 1e3-c, hidden: true, votes: 0, secondaryDelaySecs: 3600}\n"
    "        - {ordinal: 2, zone: a, state: absent}\n";

static char *written(const struct spec *spec, enum spec_format format)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 0);
    if (spec_write(spec, format, &text, &err))
        fail_msg("%s", err.message);
    return text.data;
}

/* Equal when nothing differs with all defaults written out. */
static void assert_same(const struct spec *a, const struct spec *b)
{
    struct buffer lines;
    buffer_init(&lines, 0);
    if (spec_diff(a, b, &lines) != 0)
        fail_msg("%s", buffer_text(&lines));
    buffer_finish(&lines);
}

static void check_round_trip(const char *text)
{
    struct reading first;
    reading_init_good(&first, text);
    if (first.result)
        fail_msg("%s", buffer_text(&first.said));
    for (enum spec_format format = SPEC_YAML; format <= SPEC_JSON; format++) {
        struct reading again;
        char *copy = written(&first.spec, format);
        reading_init_good(&again, copy);
        if (again.result)
            fail_msg("%s\n%s", copy, buffer_text(&again.said));
        assert_same(&first.spec, &again.spec);
        char *copy_of_copy = written(&again.spec, format);
        assert_string_equal(copy, copy_of_copy);
        free(copy_of_copy);
        free(copy);
        reading_finish(&again);
    }
    reading_finish(&first);
}

static void what_is_written_is_read_the_same(void **state)
{
    static const char *const examples[] = {"three-zones", "one-zone", "five-members"};
    (void)state;
    check_round_trip(rich);
    check_round_trip(three_zones);
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/config/examples/%s.yaml", ATOLL_SOURCE_DIR, examples[i]);
        char *text = file_text(path, NULL);
        check_round_trip(text);
        free(text);
    }
}

/* The tags hold what the round trip must not lose; checked by value, since spec_diff() is used above. */
static void strange_texts_survive(void **state)
{
    struct reading first, again;
    (void)state;
    reading_init_good(&first, rich);
    char *copy = written(&first.spec, SPEC_YAML);
    reading_init_good(&again, copy);
    const struct spec_set *set = spec_find_set(&again.spec, "mongo");
    assert_string_equal(again.spec.name, "007");
    assert_string_equal(set->members[2].tags[0].value, "é \"x\" \\ y:");
    assert_string_equal(set->members[2].tags[1].key, "a b");
    assert_string_equal(set->members[2].tags[1].value, "null");
    assert_true(set->members[2].priority == 0);
    assert_string_equal(set->mongod_arguments[2], "--setParameter=x={\"a\": \"b # c\"}");
    assert_string_equal(set->cpu, "0.5");
    assert_int_equal(set->members[4].ordinal, 6);
    free(copy);
    reading_finish(&first);
    reading_finish(&again);
}

static void defaults_are_left_away(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_good(&reading, three_zones);
    char *yaml = written(&reading.spec, SPEC_YAML);
    assert_string_equal(yaml, "apiVersion: atoll/v1\n"
                              "kind: Federation\n"
                              "metadata:\n"
                              "  name: prod\n"
                              "spec:\n"
                              "  zones:\n"
                              "    - name: a\n"
                              "      driver: local\n"
                              "    - name: b\n"
                              "      driver: local\n"
                              "    - name: c\n"
                              "      driver: local\n"
                              "  sets:\n"
                              "    - name: mongo\n"
                              "      image: mongo:7.0\n"
                              "      storage: {size: 200Gi}\n"
                              "      members:\n"
                              "        - {zone: a, labels: {instance: rod}}\n"
                              "        - {zone: b, labels: {instance: jane}}\n"
                              "        - {zone: c, labels: {instance: freddy}}\n");
    free(yaml);
    reading_finish(&reading);
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
    struct reading reading;
    struct buffer small;
    struct error err = {0};
    (void)state;
    reading_init_good(&reading, three_zones);
    buffer_init(&small, 100);
    assert_int_equal(spec_write(&reading.spec, SPEC_YAML, &small, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    buffer_finish(&small);
    reading_finish(&reading);
}

static void what_changed_is_told_in_lines(void **state)
{
    struct reading before, after;
    struct buffer lines;
    (void)state;
    buffer_init(&lines, 0);
    reading_init_good(&before, three_zones);
    reading_init_overlay(
        &after, three_zones,
        "spec:\n  tls: false\n  zones: [{name: d, driver: local}]\n  sets:\n    - name: mongo\n"
        "      image: mongo:8.0\n      settings: {electionTimeoutMillis: 5000}\n      rollout: {soak: 1h}\n"
        "      sourceRanges: [192.0.2.0/24]\n      domain: \n      backup: {schedule: '@daily'}\n"
        "      members: [{labels: {instance: roger, x: y}}, {state: absent}, {ordinal: 3}, {ordinal: 4, "
        "zone: d}]\n"
        "    - {name: two, image: mongo:7.0, members: [{zone: a}]}\n");
    if (after.result)
        fail_msg("%s", buffer_text(&after.said));
    assert_int_equal(spec_diff(&before.spec, &after.spec, &lines), 12);
    assert_string_equal(buffer_text(&lines), "tls true -> false\n"
                                             "zone d added\n"
                                             "set mongo: image mongo:7.0 -> mongo:8.0\n"
                                             "set mongo: settings.electionTimeoutMillis 5000 added\n"
                                             "set mongo: rollout.soak 10m -> 1h\n"
                                             "set mongo: backup.schedule (none) -> @daily\n"
                                             "set mongo: sourceRanges [] -> [\"192.0.2.0/24\"]\n"
                                             "set mongo: member 1: labels.instance rod -> roger\n"
                                             "set mongo: member 1: labels.x y added\n"
                                             "set mongo: member 2: state present -> absent\n"
                                             "set mongo: member 4: zone d added\n"
                                             "set two with 1 member added\n");
    buffer_clear(&lines);
    assert_int_equal(spec_diff(&after.spec, &after.spec, &lines), 0);
    assert_string_equal(buffer_text(&lines), "");
    assert_int_equal(spec_diff(NULL, &before.spec, &lines), 5);
    buffer_clear(&lines);
    assert_true(spec_diff(&after.spec, &before.spec, &lines) > 0);
    assert_non_null(strstr(buffer_text(&lines), "set mongo: member 4: zone d removed\n"));
    assert_non_null(strstr(buffer_text(&lines), "set two with 1 member removed\n"));
    buffer_finish(&lines);
    reading_finish(&before);
    reading_finish(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_the_same),
        cmocka_unit_test(strange_texts_survive),
        cmocka_unit_test(defaults_are_left_away),
        cmocka_unit_test(a_buffer_that_is_too_small_is_an_error),
        cmocka_unit_test(what_changed_is_told_in_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
