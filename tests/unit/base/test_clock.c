/* Backoff's bounds and jitter, times and UUIDs as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/base/clock.h"

static uint64_t fixed_next(void *context)
{
    return *(uint64_t *)context;
}

static void backoff_doubles_up_to_its_bound(void **state)
{
    uint64_t value = 0;
    const struct random lowest = {fixed_next, &value};
    (void)state;
    assert_int_equal(backoff_ms(0, 100, 5000, &lowest), 50);
    assert_int_equal(backoff_ms(1, 100, 5000, &lowest), 100);
    assert_int_equal(backoff_ms(3, 100, 5000, &lowest), 400);
    assert_int_equal(backoff_ms(6, 100, 5000, &lowest), 2500);
    assert_int_equal(backoff_ms(4000000000u, 100, 5000, &lowest), 2500);
}

static void backoff_jitters_over_the_upper_half(void **state)
{
    int64_t least = INT64_MAX, most = 0;
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        const struct random random = {fixed_next, &i};
        int64_t delay = backoff_ms(0, 100, 5000, &random);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    assert_int_equal(least, 50);
    assert_int_equal(most, 100);
}

static void times_are_rfc_3339_in_utc(void **state)
{
    char text[TIME_TEXT_MAX];
    (void)state;
    assert_string_equal(time_text(1700000000123, text), "2023-11-14T22:13:20.123Z");
    assert_string_equal(time_text(1, text), "1970-01-01T00:00:00.001Z");
    assert_string_equal(time_text(0, text), "");
    assert_string_equal(time_text(-5, text), "");
}

static void uuids_are_of_version_4(void **state)
{
    char text[UUID_TEXT_MAX], other[UUID_TEXT_MAX];
    (void)state;
    uuid_text(&random_system, text);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(text[14], '4');
    assert_non_null(strchr("89ab", text[19]));
    assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
    assert_string_not_equal(text, uuid_text(&random_system, other));
}

static void the_machines_clock_goes_forwards(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms(&clock_system);
    assert_true(clock_monotonic_ms(&clock_system) >= before);
    assert_true(clock_wall_ms(&clock_system) > INT64_C(1600000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_doubles_up_to_its_bound),
        cmocka_unit_test(backoff_jitters_over_the_upper_half),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(uuids_are_of_version_4),
        cmocka_unit_test(the_machines_clock_goes_forwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
