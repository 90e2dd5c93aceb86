/* Who may come to a set's Services. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/decide/ranges.h"

static const char *const declared[] = {"203.0.113.1/32"};
static const char *const seen_one[] = {"203.0.113.11/32"};
static const char *const seen_two[] = {"203.0.113.2/32", "203.0.113.22/32"};
static const char *const of_user[] = {"198.51.100.0/24", "203.0.113.2/32"};
static const char *const of_controller[] = {"192.0.2.7/32"};

static const struct spec_zone zones[] = {
    {.name = "one",
     .driver = "kubernetes",
     .project = "",
     .namespace_ = "default",
     .egress = declared,
     .egress_count = 1},
    {.name = "two", .driver = "kubernetes", .project = "", .namespace_ = "default"},
    {.name = "three", .driver = "local", .project = "", .namespace_ = "default"},
    {.name = "elsewhere", .driver = "kubernetes", .project = "", .namespace_ = "default"},
};
static const struct spec_member members[] = {
    {.ordinal = 1, .zone = "one"}, {.ordinal = 2, .zone = "two"}, {.ordinal = 3, .zone = "two"}};
static const struct spec spec = {.name = "prod", .zones = zones, .zone_count = 4};
static const struct zone_egress reported[] = {
    {"one", seen_one, 1}, {"two", seen_two, 2}, {"elsewhere", of_controller, 1}};
static const struct zone_egress controller = {.ranges = of_controller, .count = 1};

static void joined(const struct set_ranges *ranges, char out[1024])
{
    out[0] = 0;
    for (size_t i = 0; i < ranges->count; i++)
        strcat(strcat(out, ranges->ranges[i]), " ");
}

static void check(size_t reports, size_t member_count, const char *expected, const char *unknown)
{
    struct spec_set set = {.name = "mongo",
                           .members = members,
                           .member_count = member_count,
                           .source_ranges = of_user,
                           .source_range_count = 2};
    struct set_ranges out;
    struct arena arena;
    char text[1024];
    arena_init(&arena, 0);
    ranges_of_set(&spec, &set, reported, reports, &controller, &arena, &out);
    joined(&out, text);
    assert_string_equal(text, expected);
    assert_string_equal(out.unknown_zone, unknown);
    assert_int_equal(out.partial, *unknown != 0);
    arena_finish(&arena);
}

static void declared_counts_before_reported_and_each_range_comes_once(void **state)
{
    (void)state;
    check(3, 3, "203.0.113.1/32 203.0.113.2/32 203.0.113.22/32 192.0.2.7/32 198.51.100.0/24 ", "");
}

static void a_zone_that_nobody_knows_is_named(void **state)
{
    (void)state;
    check(1, 3, "203.0.113.1/32 192.0.2.7/32 198.51.100.0/24 203.0.113.2/32 ", "two");
}

static void only_the_sets_own_zones_count(void **state)
{
    (void)state;
    check(0, 1, "203.0.113.1/32 192.0.2.7/32 198.51.100.0/24 203.0.113.2/32 ", "");
}

static void too_many_are_partial(void **state)
{
    static char texts[RANGES_MAX + 5][32];
    static const char *many[RANGES_MAX + 5];
    struct set_ranges out;
    struct arena arena;
    (void)state;
    for (int i = 0; i < RANGES_MAX + 5; i++) {
        snprintf(texts[i], sizeof texts[i], "10.%d.%d.0/24", i / 256, i % 256);
        many[i] = texts[i];
    }
    struct spec_set set = {.name = "m",
                           .members = members,
                           .member_count = 1,
                           .source_ranges = many,
                           .source_range_count = RANGES_MAX + 5};
    arena_init(&arena, 0);
    ranges_of_set(&spec, &set, NULL, 0, NULL, &arena, &out);
    assert_int_equal(out.count, RANGES_MAX);
    assert_true(out.partial);
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_counts_before_reported_and_each_range_comes_once),
        cmocka_unit_test(a_zone_that_nobody_knows_is_named),
        cmocka_unit_test(only_the_sets_own_zones_count),
        cmocka_unit_test(too_many_are_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
