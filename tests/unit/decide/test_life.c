/* A living set: what is followed, waited for, recognised. Each test is named by what holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "situation_fixture.h"

#define WITH_FIXTURE(members)                                                                                \
    (void)state;                                                                                             \
    struct fixture fixture, *f = &fixture;                                                                   \
    fixture_init(f, members)
static void healthy_waits_for_nothing(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_HEALTHY);
    assert_int_equal(plan->wait_count, 0);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_false(plan->ledger_changed);
    for (size_t i = 0; i < plan->member_count; i++) {
        assert_false(plan->members[i].waiting);
        assert_int_equal(plan->members[i].phase, MEMBER_PHASE_VOTING);
        assert_int_equal(plan->members[i].run, RUN_UP);
        assert_string_equal(plan->members[i].replica_set_id, f->config.replica_set_id);
    }
    fixture_finish(f);
}

/* Before 4.4: it was read back from a primary that was lost a moment later, and waited for for ever. */
static void a_configuration_that_was_lost_with_its_node_is_not_waited_for(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->config.term = -1;
    f->views[0].mongod.knows_commitment = false;
    fixture_new_config(f, &f->config);
    f->observation.action = (struct action_view){.kind = ACTION_RECONFIGURE,
                                                 .succeeded = true,
                                                 .message = "",
                                                 .ended_at_ms = f->now_ms - 60000,
                                                 .config = f->config};
    f->observation.action.config.version++;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan->config_committed);
    assert_int_equal(plan->config.version, f->config.version);
    fixture_move(f, 3, "127.0.3.9:27017");
    assert_int_equal(fixture_plan(f)->action.config.version,
                     f->config.version + 2);       /* it may come back with its node */
    f->observation.action.ended_at_ms = f->now_ms; /* the primary has not been seen since */
    assert_false(fixture_plan(f)->config_committed);
    fixture_finish(f);
}

static void nothing_is_sent_while_a_command_is_under_way(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    f->observation.action.kind = ACTION_RECONFIGURE;
    f->observation.action.running = true;
    assert_true(plan_fired(fixture_plan(f), 40));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void a_failed_command_rests_until_its_time(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    f->observation.action = (struct action_view){.kind = ACTION_RECONFIGURE,
                                                 .failures = 1,
                                                 .message = "no answer",
                                                 .ended_at_ms = f->now_ms - 1000,
                                                 .retry_at_ms = f->now_ms + 500,
                                                 .config = {.set = "", .replica_set_id = ""}};
    assert_true(plan_fired(fixture_plan(f), 44));
    assert_int_equal(f->plan.look_again_at_ms, f->now_ms + 500);
    f->now_ms += 500;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_RECONFIGURE);
    fixture_finish(f);
}

static void an_unknown_outcome_is_read_back_before_the_next_step(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    f->observation.action = (struct action_view){.kind = ACTION_RECONFIGURE,
                                                 .failures = 1,
                                                 .message = "timed out",
                                                 .ended_at_ms = f->now_ms,
                                                 .retry_at_ms = f->now_ms,
                                                 .config = {.set = "", .replica_set_id = ""}};
    assert_true(plan_fired(fixture_plan(f), 45));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    f->views[0].mongod.age_ms = 0;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_RECONFIGURE);
    fixture_finish(f);
}

static void nothing_follows_an_uncommitted_configuration(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    f->views[0].mongod.config_committed = false;
    assert_true(plan_fired(fixture_plan(f), 46));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void before_4_4_a_majority_must_report_the_version(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    for (size_t i = 0; i < 3; i++)
        f->views[i].mongod.knows_commitment = false;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_RECONFIGURE);
    f->views[1].mongod.config.version = f->views[2].mongod.config.version = 0;
    assert_true(plan_fired(fixture_plan(f), 46));
    fixture_finish(f);
}

static void a_dead_member_degrades_and_nothing_is_changed(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_pod_down(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    assert_int_equal(plan->members[2].state, MEMBER_DOWN);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_int_equal(plan->members[2].wait.rule, 222);
    fixture_finish(f);
}

static void a_silent_agent_changes_nothing(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_zone_silent(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_true(plan->members[2].healthy);
    assert_int_equal(plan->members[2].state, MEMBER_SECONDARY);
    assert_int_equal(plan->members[2].wait.rule, 211);
    fixture_finish(f);
}

static void a_zone_fails_only_on_two_signals(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_zone_silent(f, 3);
    f->peers[2].healthy = false;
    f->peers[2].state = MEMBER_DOWN;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[2].wait.rule, 210);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void a_lost_majority_is_recognised_and_nothing_is_forced(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_pod_down(f, 1);
    fixture_pod_down(f, 2);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_QUORUM_LOST);
    assert_true(plan_fired(plan, 42));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void silence_of_all_zones_is_not_a_lost_majority(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    for (int i = 1; i <= 3; i++)
        fixture_zone_silent(f, i);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    assert_int_equal(plan->conditions[CONDITION_QUORUM].status, CONDITION_UNKNOWN);
    fixture_finish(f);
}

static void a_primary_whose_agent_is_silent_is_told_by_the_others(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_zone_silent(f, 1);
    fixture_move(f, 2, "127.0.2.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 52));
    assert_int_equal(plan->primary, 1);
    assert_int_equal(plan->members[0].state, MEMBER_PRIMARY);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void what_is_just_initiated_is_no_lost_majority(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    struct replica_config config = f->config;
    fixture_all_answer_uninitialized(f);
    for (size_t i = 0; i < 3; i++)
        f->views[i].mongod.config = (struct replica_config){.set = "", .replica_set_id = ""};
    f->observation.action =
        (struct action_view){.kind = ACTION_INITIATE, .succeeded = true, .message = "", .config = config};
    assert_int_equal(fixture_plan(f)->phase, PHASE_INITIATING);
    fixture_finish(f);
}

static void an_election_is_waited_for(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_no_primary(f);
    assert_true(plan_fired(fixture_plan(f), 43));
    assert_int_equal(f->plan.phase, PHASE_DEGRADED);
    fixture_finish(f);
}

static void a_primary_of_an_older_term_is_not_believed(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[1].mongod.term = 2;
    assert_int_equal(fixture_plan(f)->primary, 0);
    f->views[1].mongod.state = MEMBER_PRIMARY;
    assert_int_equal(fixture_plan(f)->primary, 2);
    fixture_finish(f);
}

/* The zone of the primary was cut: for as long as its last word was fresh, two members were told as PRIMARY
 * and healthy, also once the others had elected another one. */
static void a_deposed_primary_is_what_the_others_say(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[1].mongod.term = 2; /* an election is under way */
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[0].state, MEMBER_UNKNOWN);
    assert_false(plan->members[0].healthy);
    f->views[1].mongod.state = MEMBER_PRIMARY;
    assert_int_equal(fixture_plan(f)->members[0].state, MEMBER_UNKNOWN);
    fixture_zone_silent(f, 1); /* the new primary still says what it heard of the old one */
    plan = fixture_plan(f);
    assert_int_equal(plan->members[0].state, MEMBER_UNKNOWN);
    assert_false(plan->members[0].healthy);
    f->peers[0] = (struct peer_view){.id = 0, .host = "127.0.1.1:27017", .state = MEMBER_DOWN};
    plan = fixture_plan(f);
    assert_int_equal(plan->primary, 2);
    assert_int_equal(plan->members[0].state, MEMBER_DOWN);
    assert_false(plan->members[0].healthy);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    fixture_finish(f);
}

/* A status with two primaries was Healthy for a moment: the zone of the former one was heard again, its
 * report was old. */
static void a_set_of_two_that_say_they_lead_is_not_healthy(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    f->views[1].mongod.term = 2;
    f->views[1].mongod.state = MEMBER_PRIMARY;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->primary, 2);
    assert_false(plan->members[0].healthy);
    assert_int_not_equal(plan->members[0].state, MEMBER_PRIMARY);
    assert_int_not_equal(plan->phase, PHASE_HEALTHY);
    f->views[0].mongod.state = MEMBER_SECONDARY;
    f->views[0].mongod.term = 2;
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void a_moment_behind_is_no_lag(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[0].mongod.optime.seconds +=
        60; /* the first write after a quiet minute; the others' word is older */
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    f->now_ms += 6000;
    assert_int_equal(fixture_plan(f)->phase, PHASE_DEGRADED);
    assert_true(plan_fired(&f->plan, 237));
    f->views[1].mongod.optime.seconds += 60;
    f->views[2].mongod.optime.seconds += 60;
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void waits_keep_their_since(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_pod_down(f, 3);
    int64_t first = fixture_plan(f)->members[2].wait.since_ms;
    f->now_ms += 5000;
    assert_int_equal(fixture_plan(f)->members[2].wait.since_ms, first);
    assert_int_equal(f->plan.waits[0].since_ms, first);
    fixture_finish(f);
}

static void memory_that_runs_out_is_an_error_at_each_point(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    struct plan_input input = {.spec = &f->spec,
                               .set = &f->set,
                               .observation = &f->observation,
                               .ledger = &f->ledger,
                               .now_ms = f->now_ms};
    int result = -1;
    for (size_t limit = 16; result != 0; limit += 16) {
        struct arena arena;
        arena_init(&arena, limit);
        struct plan plan = {.phase = PHASE_REMOVED};
        struct error err = {0};
        result = plan_set(&input, &arena, &plan, &err);
        assert_true(result == 0 || (err.code == ERROR_NO_MEMORY && plan.phase == PHASE_REMOVED));
        arena_finish(&arena);
    }
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_waits_for_nothing),
        cmocka_unit_test(a_configuration_that_was_lost_with_its_node_is_not_waited_for),
        cmocka_unit_test(nothing_is_sent_while_a_command_is_under_way),
        cmocka_unit_test(a_failed_command_rests_until_its_time),
        cmocka_unit_test(an_unknown_outcome_is_read_back_before_the_next_step),
        cmocka_unit_test(nothing_follows_an_uncommitted_configuration),
        cmocka_unit_test(before_4_4_a_majority_must_report_the_version),
        cmocka_unit_test(a_dead_member_degrades_and_nothing_is_changed),
        cmocka_unit_test(a_silent_agent_changes_nothing),
        cmocka_unit_test(a_zone_fails_only_on_two_signals),
        cmocka_unit_test(a_lost_majority_is_recognised_and_nothing_is_forced),
        cmocka_unit_test(silence_of_all_zones_is_not_a_lost_majority),
        cmocka_unit_test(a_primary_whose_agent_is_silent_is_told_by_the_others),
        cmocka_unit_test(what_is_just_initiated_is_no_lost_majority),
        cmocka_unit_test(an_election_is_waited_for),
        cmocka_unit_test(a_primary_of_an_older_term_is_not_believed),
        cmocka_unit_test(a_deposed_primary_is_what_the_others_say),
        cmocka_unit_test(a_set_of_two_that_say_they_lead_is_not_healthy),
        cmocka_unit_test(a_moment_behind_is_no_lag),
        cmocka_unit_test(waits_keep_their_since),
        cmocka_unit_test(memory_that_runs_out_is_an_error_at_each_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
