/* While the store takes no writes nothing is changed; when it takes them again all goes on. And specs that
 * are refused. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void nothing_is_done_while_the_store_fails(void **state)
{
    (void)state;
    struct federation_view view;
    world_apply(three_zones);
    world_all_report();
    world_trace_forget();
    script.remember = true;
    script.action = ACTION_INITIATE;
    world.store_fails = true;
    world_run(30000);
    world_trace_is("");
    controller_view(world.controller, &view);
    assert_string_equal(view.store_problem, "the disk is full");
    assert_int_equal(world.events[EVENT_STORE_FAILED], 1); /* told once, not at each try */
    world.store_fails = false;
    world_all_report();
    world_run(11000);
    controller_view(world.controller, &view);
    assert_string_equal(view.store_problem, "");
    assert_int_equal(world.events[EVENT_STORE_RECOVERED], 1);
    assert_non_null(strstr(buffer_text(&world.trace),
                           "write ledger/mongo; intent z1; intent z2; intent z3; start initiate"));
}

static void what_needs_no_memory_waits_for_the_store_too(void **state)
{
    (void)state;
    world_apply(three_zones);
    world_all_report();
    world_run(100);
    world.store_fails = true;
    struct report report = world_report("z1", "r", 2);
    struct zone_answer answer;
    struct error err = {0};
    report.epoch = 9; /* makes the controller write */
    assert_int_equal(controller_report(world.controller, "z1", &report, &answer, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    world_trace_forget();
    script.action = ACTION_RECONFIGURE;
    script.disk_id = "d7"; /* another intent */
    world_run(8000);
    world_trace_is("");
}

/* A disk that has room for an epoch and not for a ledger seemed to recover at each try, five times a second.
 */
static void room_for_a_small_record_is_not_taken_for_recovery(void **state)
{
    (void)state;
    struct federation_view view;
    world_apply(three_zones);
    world_all_report();
    script.remember = true;
    script.action = ACTION_INITIATE;
    world.ledgers_fail = true;
    world_run(200);
    unsigned tries = world.store_tries;
    world_trace_forget();
    for (int i = 2; i < 32; i++) { /* agents go on saying things meanwhile */
        struct report report = world_report("z1", "r", i);
        world_tell(&report);
        world_run(1000);
    }
    world_trace_is("");
    assert_in_range(world.store_tries - tries, 1, 12); /* with backoff */
    assert_int_equal(world.events[EVENT_STORE_FAILED], 1);
    assert_int_equal(world.events[EVENT_STORE_RECOVERED], 0);
    controller_view(world.controller, &view);
    assert_string_equal(view.store_problem, "the disk is full");
    world.ledgers_fail = false;
    world_all_report();
    world_run(11000);
    assert_int_equal(world.events[EVENT_STORE_RECOVERED], 1);
    assert_non_null(strstr(buffer_text(&world.trace), "write ledger/mongo; "));
    assert_non_null(strstr(buffer_text(&world.trace), "start initiate"));
}

static int apply(const char *text, int64_t if_match, bool dry_run, struct spec_outcome *outcome,
                 struct error *err)
{
    struct spec_request request = {
        .source = {"test", text, strlen(text)}, .if_match = if_match, .dry_run = dry_run};
    return controller_apply_spec(world.controller, &request, outcome, err);
}

static struct spec_outcome *new_outcome(void)
{
    struct spec_outcome *outcome = calloc(1, sizeof *outcome);
    assert_non_null(outcome);
    spec_outcome_init(outcome);
    return outcome;
}

static void end_outcome(struct spec_outcome *outcome)
{
    spec_outcome_finish(outcome);
    free(outcome);
}

static void a_spec_that_is_not_durable_is_not_in_force(void **state)
{
    (void)state;
    struct spec_outcome *outcome = new_outcome();
    struct error err = {0};
    struct federation_view view;
    world.store_fails = true;
    assert_int_equal(apply(three_zones, -1, false, outcome, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    controller_view(world.controller, &view);
    assert_null(view.spec);
    assert_int_equal(view.revision, 0);
    end_outcome(outcome);
}

static void a_dry_run_changes_nothing_and_tells_what_would(void **state)
{
    (void)state;
    struct spec_outcome *outcome = new_outcome();
    struct error err = {0};
    struct federation_view view;
    world_trace_forget();
    assert_int_equal(apply(three_zones, -1, true, outcome, &err), 0);
    assert_true(outcome->changed);
    assert_true(outcome->diff.length > 0);
    controller_view(world.controller, &view);
    assert_null(view.spec);
    world_trace_is("");
    end_outcome(outcome);
}

static void the_same_spec_again_is_no_change(void **state)
{
    (void)state;
    struct spec_outcome *outcome = new_outcome();
    struct error err = {0};
    world_apply(three_zones);
    world_trace_forget();
    assert_int_equal(apply(three_zones, 1, false, outcome, &err), 0);
    assert_false(outcome->changed);
    assert_int_equal(outcome->revision, 1);
    world_trace_is("");
    end_outcome(outcome);
}

static void a_change_made_on_another_revision_is_refused(void **state)
{
    (void)state;
    struct spec_outcome *outcome = new_outcome();
    struct error err = {0};
    world_apply(three_zones);
    assert_int_equal(apply(three_zones, 7, false, outcome, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    end_outcome(outcome);
}

static void a_forgotten_set_is_refused_with_what_to_write(void **state)
{
    (void)state;
    static const char forgotten[] = "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: test}\n"
                                    "spec: {zones: [{name: z1}, {name: z2}, {name: z3}], sets: []}\n";
    struct spec_outcome *outcome = new_outcome();
    struct error err = {0};
    struct federation_view view;
    world_apply(three_zones);
    assert_int_equal(apply(forgotten, -1, false, outcome, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    assert_true(outcome->problems.errors >= 1);
    assert_true(strlen(outcome->problems.items[0].message) > 10);
    controller_view(world.controller, &view);
    assert_int_equal(view.set_count, 1);
    end_outcome(outcome);
}

static void a_spec_changed_in_the_middle_of_everything_is_planned_for(void **state)
{
    (void)state;
    char changed[1024];
    const char *seven = strstr(three_zones, "7.0");
    struct federation_view view;
    snprintf(changed, sizeof changed, "%s", three_zones);
    changed[seven - three_zones] = '8';
    world_apply(three_zones);
    world_all_report();
    script.action = ACTION_RECONFIGURE;
    world_run(100);
    world_apply(changed);
    controller_view(world.controller, &view);
    assert_null(view.sets[0].plan); /* no plan of the former spec is shown as if it were of this one */
    world_run(100);
    controller_view(world.controller, &view);
    assert_non_null(view.sets[0].plan);
    assert_int_equal(view.revision, 2);
    const struct intent *intent = NULL;
    struct error err = {0};
    assert_int_equal(controller_watch(world.controller, "z1", 0, &intent, &err), 0);
    assert_string_equal(intent->members[0].image, "mongo:8.0");
    assert_true(script.seen.running);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(nothing_is_done_while_the_store_fails),
        test(room_for_a_small_record_is_not_taken_for_recovery),
        test(what_needs_no_memory_waits_for_the_store_too),
        test(a_spec_that_is_not_durable_is_not_in_force),
        test(a_dry_run_changes_nothing_and_tells_what_would),
        test(the_same_spec_again_is_no_change),
        test(a_change_made_on_another_revision_is_refused),
        test(a_forgotten_set_is_refused_with_what_to_write),
        test(a_spec_changed_in_the_middle_of_everything_is_planned_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
