/* What is believed of an agent's words: old ones aren't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/observe/sight.h"
#include "proto/report.h"

static struct report report_of(const char *run, int64_t sequence)
{
    return (struct report){.zone = "z1",
                           .run_id = run,
                           .version = "",
                           .sequence = sequence,
                           .driver = "local",
                           .zone_problem = {.code = "", .message = ""}};
}

static bool tell(struct zone_sight *sight, const char *run, int64_t sequence, int64_t now_ms)
{
    struct report report = report_of(run, sequence);
    struct error err;
    bool taken = false;
    assert_int_equal(zone_sight_report(sight, &report, now_ms, now_ms, &taken, &err), 0);
    return taken;
}

static void a_report_that_was_overtaken_is_ignored(void **state)
{
    (void)state;
    struct zone_sight sight;
    zone_sight_init(&sight);
    assert_true(tell(&sight, "a", 5, 10));
    assert_false(tell(&sight, "a", 4, 20));
    assert_false(tell(&sight, "a", 5, 20));
    assert_true(tell(&sight, "a", 6, 20));
    zone_sight_finish(&sight);
}

static void a_new_run_begins_its_sequence_anew_and_the_former_run_is_not_believed(void **state)
{
    (void)state;
    struct zone_sight sight;
    zone_sight_init(&sight);
    assert_true(tell(&sight, "a", 5, 10));
    assert_true(tell(&sight, "b", 1, 20));
    assert_false(tell(&sight, "a", 6, 30));
    assert_string_equal(sight.report.run_id, "b");
    zone_sight_finish(&sight);
}

static void a_heartbeat_without_its_report_asks_for_it(void **state)
{
    (void)state;
    struct zone_sight sight;
    const struct heartbeat first = {.run_id = "a", .sequence = 0}, second = {.run_id = "a", .sequence = 2};
    zone_sight_init(&sight);
    assert_true(zone_sight_heartbeat(&sight, &first, 10, 10));
    assert_int_equal(zone_sight_state(&sight, 10), ZONE_CONNECTED);
    assert_true(tell(&sight, "a", 2, 20));
    assert_false(zone_sight_heartbeat(&sight, &second, 30, 30));
    assert_true(zone_sight_heartbeat(&sight, &first, 30, 30));
    zone_sight_finish(&sight);
}

static void pulses_are_laid_over_the_report_and_the_rest_grows_older(void **state)
{
    (void)state;
    struct zone_sight sight;
    const struct pulse_member pulse = {
        .set = "mongo", .ordinal = 2, .age_ms = 7, .optime = {3, 44, 1}, .used_bytes = 99};
    const struct heartbeat heartbeat = {.run_id = "a", .sequence = 1, .members = &pulse, .member_count = 1};
    struct report_member members[2] = {{.holding = {.set = "mongo", .ordinal = 1}, .mongod = {.age_ms = 50}},
                                       {.holding = {.set = "mongo", .ordinal = 2}, .mongod = {.age_ms = 60}}};
    struct report report = report_of("a", 1);
    struct error err;
    bool taken;
    report.members = members;
    report.member_count = 2;
    zone_sight_init(&sight);
    assert_int_equal(zone_sight_report(&sight, &report, 1000, 1000, &taken, &err), 0);
    zone_sight_heartbeat(&sight, &heartbeat, 3000, 3000);
    assert_int_equal(zone_sight_member(&sight, "mongo", 1)->mongod.age_ms, 2050);
    assert_int_equal(zone_sight_member(&sight, "mongo", 2)->mongod.age_ms, 7);
    assert_int_equal(zone_sight_member(&sight, "mongo", 2)->mongod.optime.seconds, 44);
    assert_int_equal(zone_sight_member(&sight, "mongo", 2)->holding.disk.used_bytes, 99);
    assert_int_equal(sight.received_at_ms, 3000);
    zone_sight_finish(&sight);
}

static void silence_is_unknown_and_never_heard_is_pending(void **state)
{
    (void)state;
    struct zone_sight sight;
    zone_sight_init(&sight);
    assert_int_equal(zone_sight_state(&sight, 5), ZONE_PENDING);
    tell(&sight, "a", 1, 1000);
    assert_int_equal(zone_sight_state(&sight, 1000 + ZONE_SILENT_AFTER_MS), ZONE_CONNECTED);
    assert_int_equal(zone_sight_state(&sight, 1001 + ZONE_SILENT_AFTER_MS), ZONE_UNKNOWN);
    zone_sight_finish(&sight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_that_was_overtaken_is_ignored),
        cmocka_unit_test(a_new_run_begins_its_sequence_anew_and_the_former_run_is_not_believed),
        cmocka_unit_test(a_heartbeat_without_its_report_asks_for_it),
        cmocka_unit_test(pulses_are_laid_over_the_report_and_the_rest_grows_older),
        cmocka_unit_test(silence_is_unknown_and_never_heard_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
