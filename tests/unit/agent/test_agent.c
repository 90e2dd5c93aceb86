/* The agent's state machine on virtual time: what it obeys, what it remembers, what it says and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define WITH_WORLD                                                                                           \
    struct world world;                                                                                      \
    struct error err = {0};                                                                                  \
    (void)state;                                                                                             \
    world_init(&world);                                                                                      \
    assert_int_equal(world_start(&world, &err), 0)

#define WITH_RUNNING_MEMBER                                                                                  \
    WITH_WORLD;                                                                                              \
    assert_int_equal(world_intend(&world, 3, 10, 1, RUN_UP, &err), 0);                                       \
    world_run(&world, 5000);                                                                                 \
    assert_true(world.members[0].pod)

static void an_intent_becomes_a_member_step_by_step(void **state)
{
    WITH_WORLD;
    assert_int_equal(world_intend(&world, 1, 1, 1, RUN_UP, &err), 0);
    world_run(&world, 3000);
    static const enum step_kind order[] = {STEP_CREATE_DISK, STEP_CREATE_SERVICE, STEP_CREATE_CONTROLLER};
    assert_int_equal(world.steps, 3);
    assert_memory_equal(world.step_kinds, order, sizeof order);
    assert_true(world.report.reached);
    assert_int_equal(world.report.revision, 1);
    assert_int_equal(world_reported(&world, 1)->mongod.state, MEMBER_PRIMARY);
    assert_string_equal(world_reported(&world, 1)->waiting.code, "");
    world_finish(&world);
}

static void nothing_is_done_before_the_zone_was_seen_once(void **state)
{
    WITH_WORLD;
    world.zone_unseen = true;
    assert_int_equal(world_intend(&world, 1, 1, 1, RUN_UP, &err), 0);
    world_run(&world, 3000);
    assert_int_equal(world.steps, 0);
    assert_int_equal(world.reports, 0); /* an empty one would read like a zone that has lost everything */
    world.zone_unseen = false;
    agent_holdings_changed(world.agent);
    world_run(&world, 1000);
    assert_int_equal(world.steps, 3);
    assert_true(world.reports > 0);
    world_finish(&world);
}

static void a_lower_epoch_is_refused_and_nothing_changes(void **state)
{
    WITH_RUNNING_MEMBER;
    assert_int_equal(world_intend(&world, 2, 99, 1, RUN_HELD, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    struct intent_event bookmark = {.bookmark = true, .intent = {.epoch = 2, .federation = "", .zone = ""}};
    assert_int_equal(agent_intent(world.agent, &bookmark, &err), -1);
    world_run(&world, 3000);
    assert_true(world.members[0].pod);
    assert_int_equal(agent_epoch(world.agent), 3);
    world_finish(&world);
}

/* The order matters: a crash right after the acceptance must not let the deposed controller in again. */
static void an_epoch_outlives_a_crash_even_when_only_a_bookmark_brought_it(void **state)
{
    WITH_RUNNING_MEMBER;
    struct intent_event bookmark = {.bookmark = true,
                                    .intent = {.epoch = 7, .revision = 10, .federation = "", .zone = ""}};
    assert_int_equal(agent_intent(world.agent, &bookmark, &err), 0);
    world_crash(&world);
    assert_int_equal(world_start(&world, &err), 0);
    assert_int_equal(agent_epoch(world.agent), 7);
    assert_int_equal(world_intend(&world, 6, 50, 1, RUN_HELD, &err), -1);
    world_run(&world, 3000);
    assert_int_equal(world.report.epoch, 7);
    assert_int_equal(world.heartbeat.epoch, 7);
    world_finish(&world);
}

static void an_intent_that_cannot_be_saved_is_not_acted_on(void **state)
{
    WITH_RUNNING_MEMBER;
    world.save_fails = true;
    assert_int_equal(world_intend(&world, 4, 11, 1, RUN_HELD, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_HELD, &err), -1);
    world_run(&world, 3000);
    assert_true(world.members[0].pod);
    assert_int_equal(agent_revision(world.agent), 10);
    world.save_fails = false;
    assert_int_equal(world_intend(&world, 4, 11, 1, RUN_HELD, &err), 0);
    world_run(&world, 3000);
    assert_false(world.members[0].pod);
    world_finish(&world);
}

static void older_and_repeated_intents_change_nothing(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t saves = world.saves;
    assert_int_equal(world_intend(&world, 3, 9, 1, RUN_HELD, &err), 0);
    world_run(&world, 1000);
    assert_true(world.members[0].pod);
    assert_int_equal(world.saves, saves);
    /* a controller whose store was lost begins anew, in a higher epoch: it rules */
    assert_int_equal(world_intend(&world, 4, 1, 1, RUN_HELD, &err), 0);
    world_run(&world, 1000);
    assert_false(world.members[0].pod);
    world_finish(&world);
}

static void intents_for_others_are_refused(void **state)
{
    WITH_RUNNING_MEMBER;
    struct intent_event event = {
        .intent = {.epoch = 9, .revision = 20, .federation = "prod", .zone = "zone-b"}};
    assert_int_equal(agent_intent(world.agent, &event, &err), -1);
    event.intent.zone = "zone-a";
    event.intent.federation = "test";
    assert_int_equal(agent_intent(world.agent, &event, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(agent_epoch(world.agent), 3);
    world_finish(&world);
}

static void without_a_controller_the_saved_intent_is_worked_on(void **state)
{
    WITH_RUNNING_MEMBER;
    world_crash(&world);
    world.refuse_messages = true;
    world.members[0].pod = false;
    world.members[0].replicas = 0;
    assert_int_equal(world_start(&world, &err), 0);
    assert_int_equal(agent_revision(world.agent), 10);
    /* the intent names no disk id yet, and this one was used: it waits; a disk that is named is started */
    world_run(&world, 1000);
    assert_string_equal(world_reported(&world, 1)->waiting.code, "disk_unnamed");
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_UP, &err), 0);
    world_crash(&world);
    assert_int_equal(world_start(&world, &err), 0);
    world_run(&world, 1000);
    assert_true(world.members[0].pod);
    world_finish(&world);
}

static void a_saved_state_that_cannot_be_read_is_no_fresh_start(void **state)
{
    WITH_RUNNING_MEMBER;
    world_crash(&world);
    for (int i = 0; i < WORLD_FILES; i++) {
        struct buffer kept = world.files[i];
        buffer_init(&world.files[i], 0);
        buffer_append_text(&world.files[i], "{\"epo");
        assert_int_equal(world_start(&world, &err), -1);
        assert_non_null(strstr(err.message, "can't be read"));
        buffer_finish(&world.files[i]);
        world.files[i] = kept;
    }
    assert_int_equal(world_start(&world, &err), 0);
    world_finish(&world);
}

static void a_failed_step_is_tried_again_later_and_later_and_told(void **state)
{
    WITH_WORLD;
    world.failing_steps = 5;
    assert_int_equal(world_intend(&world, 1, 1, 1, RUN_UP, &err), 0);
    world_run(&world, 200);
    assert_string_equal(world_reported(&world, 1)->holding.problem.code, "io");
    assert_string_equal(world_reported(&world, 1)->holding.problem.message, "it did not work");
    assert_int_equal(world_reported(&world, 1)->holding.problem.rule, 133);
    assert_string_equal(world_reported(&world, 1)->waiting.code, "creating_disk");
    world_run(&world, 60000);
    assert_true(world.members[0].pod);
    assert_int_equal(world.steps, 8);
    for (int i = 1; i < 5; i++) {
        int64_t gap = world.step_at_ms[i] - world.step_at_ms[i - 1];
        assert_true(gap >= AGENT_STEP_RETRY_FIRST_MS / 2 * (1 << (i - 1)) &&
                    gap <= AGENT_STEP_RETRY_FIRST_MS * (1 << (i - 1)) + 1);
    }
    assert_string_equal(world_reported(&world, 1)->holding.problem.code, "");
    world_finish(&world);
}

static void one_step_at_a_time_for_a_member_but_members_do_not_wait_for_each_other(void **state)
{
    WITH_WORLD;
    world.step_after_ms = 1000;
    assert_int_equal(world_intend(&world, 1, 1, 3, RUN_UP, &err), 0);
    world_run(&world, 500);
    for (int i = 0; i < 10; i++)
        agent_holdings_changed(world.agent);
    world_run(&world, 400);
    assert_int_equal(world.steps, 3);
    world_run(&world, 1000);
    assert_int_equal(world.steps, 6);
    world_finish(&world);
}

static void a_settled_zone_sends_heartbeats_and_no_reports(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t reports = world.reports, heartbeats = world.heartbeats, probes = world.probes;
    for (int i = 0; i < 60; i++) {
        world.members[0].optime_seconds++; /* writes go on: no news */
        world_run(&world, 1000);
    }
    assert_int_equal(world.reports, reports);
    assert_int_equal(world.heartbeats, heartbeats + 30);
    assert_in_range(world.probes - probes, 58, 61);
    assert_int_equal(world.heartbeat.sequence, world.report.sequence);
    assert_true(world.heartbeat.members[0].optime.seconds >= 58);
    assert_in_range(world.heartbeat.members[0].age_ms, 0, 1001);
    world_finish(&world);
}

static void many_changes_make_few_reports_with_one_in_flight(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t reports = world.reports;
    world.answer_after_ms = 50;
    for (int i = 0; i < 100; i++) {
        world.members[0].ready = i % 2; /* news at each of 100 milliseconds */
        agent_holdings_changed(world.agent);
        world_run(&world, 1);
    }
    world_run(&world, 200);
    assert_in_range(world.reports - reports, 1, 4);
    assert_int_equal(world.most_reports_in_flight, 1);
    assert_true(world_reported(&world, 1)->holding.pod.ready);
    world_finish(&world);
}

static void a_moved_address_and_a_dead_pod_are_told_at_once(void **state)
{
    WITH_RUNNING_MEMBER;
    world.members[0].ready = false;
    agent_holdings_changed(world.agent);
    world_run(&world, 3);
    int64_t before = world.report_at_ms;
    snprintf(world.members[0].address, sizeof world.members[0].address, "10.9.9.9:27017");
    agent_holdings_changed(world.agent);
    world_run(&world, 1);
    assert_true(world.report_at_ms > before && world.report_at_ms - before < AGENT_REPORT_GAP_MS);
    assert_string_equal(world_reported(&world, 1)->holding.address, "10.9.9.9:27017");
    world_run(&world, 3);
    before = world.report_at_ms;
    world.members[0].pod = false;
    agent_holdings_changed(world.agent);
    world_run(&world, 1);
    assert_true(world.report_at_ms - before < AGENT_REPORT_GAP_MS &&
                !world_reported(&world, 1)->holding.pod.running);
    assert_int_equal(world_reported(&world, 1)->mongod.answer, MONGOD_NOT_ASKED);
    world_finish(&world);
}

static void lost_answers_make_the_report_be_sent_again(void **state)
{
    WITH_RUNNING_MEMBER;
    world.lose_answers = true;
    snprintf(world.members[0].address, sizeof world.members[0].address, "10.9.9.9:27017");
    agent_holdings_changed(world.agent);
    world_run(&world, 1);
    size_t reports = world.reports;
    world_run(&world, 30000);
    assert_in_range(world.reports - reports, 3, 7); /* every deadline, not in a storm */
    assert_true(world.heartbeat.sequence < world.report.sequence);
    world.lose_answers = false;
    world_run(&world, AGENT_ANSWER_DEADLINE_MS + AGENT_REPORT_RETRY_MOST_MS + HEARTBEAT_INTERVAL_MS);
    assert_int_equal(world.heartbeat.sequence, world.report.sequence);
    reports = world.reports;
    world_run(&world, 10000);
    assert_int_equal(world.reports, reports);
    world_finish(&world);
}

static void a_controller_that_refuses_is_asked_with_backoff_and_found_when_it_is_back(void **state)
{
    WITH_RUNNING_MEMBER;
    world.refuse_messages = true;
    snprintf(world.members[0].address, sizeof world.members[0].address, "10.9.9.9:27017");
    agent_holdings_changed(world.agent);
    size_t reports = world.reports;
    world_run(&world, 60000);
    assert_in_range(world.reports - reports, 20, 50); /* at most every 1.5 to 3 s in the end */
    world.refuse_messages = false;
    struct intent_event bookmark = {.bookmark = true,
                                    .intent = {.epoch = 3, .revision = 10, .federation = "", .zone = ""}};
    reports = world.reports;
    assert_int_equal(agent_intent(world.agent, &bookmark, &err), 0);
    world_run(&world, 5); /* it is heard again: no need to wait for the backoff's end */
    assert_int_equal(world.reports, reports + 1);
    world_finish(&world);
}

static void a_report_on_demand(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t reports = world.reports;
    world.report_wanted = true;
    world_run(&world, HEARTBEAT_INTERVAL_MS + 10);
    assert_int_equal(world.reports, reports + 1);
    world_finish(&world);
}

static void one_lost_answer_is_no_silence_two_are(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t reports = world.reports;
    world.mute_mongods = true;
    while (world.pending_count == 0 || world.pending[0].kind != EVENT_PROBE)
        world_run(&world, 1);
    world_run(&world, 5);
    world.mute_mongods = false;
    world_run(&world, 3000);
    assert_int_equal(world.reports, reports);
    world.mute_mongods = true;
    world_run(&world, 3000);
    assert_int_equal(world_reported(&world, 1)->mongod.answer, MONGOD_SILENT);
    assert_string_equal(world_reported(&world, 1)->mongod.problem, "silent");
    assert_true(world_reported(&world, 1)->mongod.age_ms > 0);
    world_finish(&world);
}

static void an_answer_of_the_process_before_is_not_believed(void **state)
{
    WITH_RUNNING_MEMBER;
    while (world.pending_count == 0 || world.pending[0].kind != EVENT_PROBE)
        world_run(&world, 1);
    world.pending[0].at_ms += 100; /* asked; answers late */
    world.members[0].incarnation++;
    world.mute_mongods = true;
    agent_holdings_changed(world.agent);
    world_run(&world, 150);
    assert_int_equal(world_reported(&world, 1)->mongod.answer, MONGOD_NOT_ASKED);
    world_finish(&world);
}

static void an_unsettled_member_is_asked_more_often(void **state)
{
    WITH_RUNNING_MEMBER;
    world.members[0].state = MEMBER_STARTUP2;
    world_run(&world, 2000);
    size_t probes = world.probes;
    world_run(&world, 10000);
    assert_in_range(world.probes - probes, 10000 / AGENT_PROBE_UNSETTLED_MS - 3,
                    10000 / AGENT_PROBE_UNSETTLED_MS + 1);
    world_finish(&world);
}

static void a_member_that_is_not_named_stays_and_is_reported(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t steps = world.steps;
    assert_int_equal(world_intend(&world, 3, 11, 0, RUN_UP, &err), 0);
    world_run(&world, 5000);
    assert_int_equal(world.steps, steps);
    assert_true(world.members[0].pod && world.report.reached);
    assert_non_null(world_reported(&world, 1));
    world_finish(&world);
}

static void a_settled_agent_hardly_wakes(void **state)
{
    WITH_RUNNING_MEMBER;
    size_t wakes = world.wakes;
    world_run(&world, 60000);
    assert_in_range(world.wakes - wakes, 60, 60 * 5);
    world_finish(&world);
}

/* ---- certificates ---- */

#define WITH_ENCRYPTED_MEMBER                                                                                \
    WITH_WORLD;                                                                                              \
    world.tls = true;                                                                                        \
    world.certificate = "good 1";                                                                            \
    assert_int_equal(world_intend(&world, 3, 10, 1, RUN_UP, &err), 0);                                       \
    world_run(&world, 5000);                                                                                 \
    assert_true(world.members[0].pod)

static void a_member_asks_for_its_certificate_and_does_not_start_without(void **state)
{
    WITH_WORLD;
    world.tls = true;
    assert_int_equal(world_intend(&world, 1, 1, 1, RUN_UP, &err), 0);
    world_run(&world, 3000);
    assert_false(world.members[0].pod);
    const struct report_member *said = world_reported(&world, 1);
    assert_string_equal(said->certificate_request, "request of mongo-node1");
    assert_string_equal(said->certificate, "");
    assert_string_equal(said->waiting.code, "certificate");
    world.certificate = "good 1";
    assert_int_equal(world_intend(&world, 1, 2, 1, RUN_UP, &err), 0);
    world_run(&world, 3000);
    assert_true(world.members[0].pod);
    assert_string_equal(world_reported(&world, 1)->certificate, "good 1");
    assert_string_equal(world_reported(&world, 1)->mongod.certificate_id, "id of good 1");
    world_finish(&world);
}

static void one_that_is_not_for_its_key_counts_as_none(void **state)
{
    WITH_WORLD;
    world.tls = true;
    world.certificate = "for another key";
    assert_int_equal(world_intend(&world, 1, 1, 1, RUN_UP, &err), 0);
    world_run(&world, 3000);
    assert_false(world.members[0].pod);
    assert_string_equal(world_reported(&world, 1)->certificate, "");
    world_finish(&world);
}

static void a_new_one_is_brought_and_loaded_while_the_member_runs(void **state)
{
    WITH_ENCRYPTED_MEMBER;
    uint64_t incarnation = world.members[0].incarnation;
    world.certificate = "good 2";
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_UP, &err), 0);
    world_run(&world, 300);
    assert_string_equal(world_reported(&world, 1)->mongod.certificate_id, "id of good 2");
    assert_int_equal(world.reloads, 1);
    assert_int_equal(world.members[0].incarnation, incarnation);
    world_run(&world, 20000);
    assert_int_equal(world.reloads, 1);
    world_finish(&world);
}

static void one_that_is_slow_to_appear_is_loaded_again_after_a_while(void **state)
{
    WITH_ENCRYPTED_MEMBER;
    world.certificate = "good 2";
    world.slow_to_appear = true;
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_UP, &err), 0);
    world_run(&world, 10 * AGENT_RELOAD_RETRY_MS);
    assert_string_equal(world_reported(&world, 1)->mongod.certificate_id, "id of good 1");
    assert_in_range(world.reloads, 8, 11);
    world.slow_to_appear = false;
    world_run(&world, AGENT_RELOAD_RETRY_MS + 1000);
    assert_string_equal(world_reported(&world, 1)->mongod.certificate_id, "id of good 2");
    world_finish(&world);
}

static void an_old_server_is_not_told_what_it_does_not_know(void **state)
{
    WITH_ENCRYPTED_MEMBER;
    world.members[0].version = "4.4.29";
    world_run(&world, 2000);
    world.certificate = "good 2";
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_UP, &err), 0);
    world_run(&world, 20000);
    assert_int_equal(world.reloads, 0);
    assert_string_equal(world.members[0].brought, "id of good 2"); /* for its next start */
    world_finish(&world);
}

static void the_key_of_a_member_that_leaves_is_forgotten(void **state)
{
    WITH_ENCRYPTED_MEMBER;
    assert_string_equal(world.forgotten, "");
    assert_int_equal(world_intend(&world, 3, 11, 1, RUN_ABSENT, &err), 0);
    world_run(&world, 3000);
    assert_string_equal(world.forgotten, "mongo-node1");
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intent_becomes_a_member_step_by_step),
        cmocka_unit_test(nothing_is_done_before_the_zone_was_seen_once),
        cmocka_unit_test(a_lower_epoch_is_refused_and_nothing_changes),
        cmocka_unit_test(an_epoch_outlives_a_crash_even_when_only_a_bookmark_brought_it),
        cmocka_unit_test(an_intent_that_cannot_be_saved_is_not_acted_on),
        cmocka_unit_test(older_and_repeated_intents_change_nothing),
        cmocka_unit_test(intents_for_others_are_refused),
        cmocka_unit_test(without_a_controller_the_saved_intent_is_worked_on),
        cmocka_unit_test(a_saved_state_that_cannot_be_read_is_no_fresh_start),
        cmocka_unit_test(a_failed_step_is_tried_again_later_and_later_and_told),
        cmocka_unit_test(one_step_at_a_time_for_a_member_but_members_do_not_wait_for_each_other),
        cmocka_unit_test(a_settled_zone_sends_heartbeats_and_no_reports),
        cmocka_unit_test(many_changes_make_few_reports_with_one_in_flight),
        cmocka_unit_test(a_moved_address_and_a_dead_pod_are_told_at_once),
        cmocka_unit_test(lost_answers_make_the_report_be_sent_again),
        cmocka_unit_test(a_controller_that_refuses_is_asked_with_backoff_and_found_when_it_is_back),
        cmocka_unit_test(a_report_on_demand),
        cmocka_unit_test(one_lost_answer_is_no_silence_two_are),
        cmocka_unit_test(an_answer_of_the_process_before_is_not_believed),
        cmocka_unit_test(an_unsettled_member_is_asked_more_often),
        cmocka_unit_test(a_member_that_is_not_named_stays_and_is_reported),
        cmocka_unit_test(a_settled_agent_hardly_wakes),
        cmocka_unit_test(a_member_asks_for_its_certificate_and_does_not_start_without),
        cmocka_unit_test(one_that_is_not_for_its_key_counts_as_none),
        cmocka_unit_test(a_new_one_is_brought_and_loaded_while_the_member_runs),
        cmocka_unit_test(one_that_is_slow_to_appear_is_loaded_again_after_a_while),
        cmocka_unit_test(an_old_server_is_not_told_what_it_does_not_know),
        cmocka_unit_test(the_key_of_a_member_that_leaves_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
