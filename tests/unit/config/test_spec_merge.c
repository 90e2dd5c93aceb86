/* Overlays: what merges by what, what is replaced, and that each value keeps the place where it was written.
 */
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct spec_set *mongo(const struct reading *reading)
{
    if (reading->result)
        fail_msg("%s", buffer_text(&reading->said));
    return spec_find_set(&reading->spec, "mongo");
}

static void maps_merge_key_by_key(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(
        &reading, three_zones,
        "metadata: {name: test}\nspec: {sets: [{name: mongo, storage: {type: pd-balanced}, port: 27018}]}\n");
    const struct spec_set *set = mongo(&reading);
    assert_string_equal(reading.spec.name, "test");
    assert_true(set->storage_bytes == INT64_C(200) << 30);
    assert_string_equal(set->storage_type, "pd-balanced");
    assert_int_equal(set->port, 27018);
    assert_string_equal(set->image, "mongo:7.0");
    assert_int_equal(set->member_count, 3);
    reading_finish(&reading);
}

static void members_merge_by_ordinal_and_else_by_place(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(&reading, three_zones,
                         "spec:\n  sets:\n    - name: mongo\n      members:\n"
                         "        - {labels: {instance: roger}}\n"
                         "        - {ordinal: 3, hidden: true}\n"
                         "        - {ordinal: 9, zone: b}\n");
    const struct spec_set *set = mongo(&reading);
    assert_int_equal(set->member_count, 4);
    assert_string_equal(set->members[0].labels[0].value, "roger");
    assert_string_equal(set->members[0].zone, "a");
    assert_false(set->members[1].hidden);
    assert_true(set->members[2].hidden);
    assert_string_equal(set->members[2].zone, "c");
    assert_int_equal(set->members[3].ordinal, 9);
    reading_finish(&reading);
}

static void new_zones_and_sets_are_added(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(&reading, three_zones,
                         "spec: {zones: [{name: d, driver: local}], sets: [{name: two, image: mongo:7.0, "
                         "members: [{zone: d}]}]}\n");
    mongo(&reading);
    assert_int_equal(reading.spec.zone_count, 4);
    assert_int_equal(reading.spec.set_count, 2);
    reading_finish(&reading);
}

static void lists_without_names_are_replaced_whole(void **state)
{
    struct reading reading;
    char base[1024];
    (void)state;
    strcpy(base, three_zones);
    strcat(base, "      sourceRanges: [10.0.0.0/8, 192.0.2.0/24]\n");
    reading_init_overlay(&reading, base, "spec: {sets: [{name: mongo, sourceRanges: [198.51.100.0/24]}]}\n");
    assert_int_equal(mongo(&reading)->source_range_count, 1);
    assert_string_equal(mongo(&reading)->source_ranges[0], "198.51.100.0/24");
    reading_finish(&reading);
}

static void nothing_behind_a_key_takes_away_what_the_base_says(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(&reading, three_zones, "spec: {sets: [{name: mongo, storage: , port: ~}]}\n");
    assert_true(mongo(&reading)->storage_bytes == SPEC_DEFAULT_STORAGE_BYTES);
    reading_finish(&reading);
}

static void each_value_keeps_its_own_place(void **state)
{
    struct reading reading;
    char base[1024];
    (void)state;
    strcpy(base, three_zones);
    strcat(base, "      port: 0\n");
    reading_init_overlay(
        &reading, base,
        "spec:\n  sets:\n    - name: mongo\n      members:\n        - {ordinal: 2, zone: nowhere}\n"
        "        - {ordinal: 2, colour: x}\n");
    assert_string_equal(
        buffer_text(&reading.said),
        "spec.yaml:14:13: error: port 0 must be a whole number from 1 to 65535\n"
        "overlay.yaml:5:30: error: there is no zone \"nowhere\"; list it under spec.zones\n"
        "overlay.yaml:6:11: error: the member with ordinal 2 is in this list twice; write it once\n"
        "overlay.yaml:6:24: error: unknown key \"colour\" in a member; it can have ordinal, zone, priority, "
        "votes, hidden, arbiterOnly, secondaryDelaySecs, tags, labels, disk, state\n");
    reading_finish(&reading);
}

static void an_overlay_with_another_type_is_told_where_it_stands(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(&reading, three_zones, "spec:\n  sets:\n    - {name: mongo, storage: 5Gi}\n");
    assert_string_equal(buffer_text(&reading.said),
                        "overlay.yaml:3:30: error: storage must be a map, not a text\n");
    reading_finish(&reading);
}

static void a_broken_overlay_gives_its_own_errors_alone(void **state)
{
    struct reading reading;
    (void)state;
    reading_init_overlay(&reading, "spec: {}\n", "a: [\n");
    assert_non_null(strstr(buffer_text(&reading.said), "overlay.yaml:2:1: error: not YAML"));
    assert_null(strstr(buffer_text(&reading.said), "spec.yaml"));
    reading_finish(&reading);
}

static void the_examples_with_their_overlays_are_without_errors(void **state)
{
    static const char *const overlays[] = {"development", "test", "operations", "support"};
    char *base = file_text(ATOLL_SOURCE_DIR "/config/examples/three-zones.yaml", NULL);
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct reading reading;
        char path[512];
        snprintf(path, sizeof path, "%s/config/examples/overlays/%s.yaml", ATOLL_SOURCE_DIR, overlays[i]);
        char *overlay = file_text(path, NULL);
        reading_init_overlay(&reading, base, overlay);
        mongo(&reading);
        assert_string_equal(reading.spec.name, overlays[i]);
        reading_finish(&reading);
        free(overlay);
    }
    free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_merge_key_by_key),
        cmocka_unit_test(members_merge_by_ordinal_and_else_by_place),
        cmocka_unit_test(new_zones_and_sets_are_added),
        cmocka_unit_test(lists_without_names_are_replaced_whole),
        cmocka_unit_test(nothing_behind_a_key_takes_away_what_the_base_says),
        cmocka_unit_test(each_value_keeps_its_own_place),
        cmocka_unit_test(an_overlay_with_another_type_is_told_where_it_stands),
        cmocka_unit_test(a_broken_overlay_gives_its_own_errors_alone),
        cmocka_unit_test(the_examples_with_their_overlays_are_without_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
