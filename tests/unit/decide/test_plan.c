/* What the planner decides, situation by situation. Each test is named by what holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "situation_fixture.h"

#define WITH_FIXTURE(members)                                                                                 \
    (void)state;                                                                                              \
    struct fixture fixture, *f = &fixture;                                                                    \
    fixture_init(f, members)

static const struct ledger_member *booked(const struct plan *plan, int ordinal)
{
    return ledger_find(&plan->ledger, ordinal);
}

/* ---- birth ---- */

static void nothing_is_born_before_every_zone_has_spoken(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->views[2].zone_state = ZONE_PENDING;
    f->views[2].zone_seen = false;
    f->views[2].mongod.age_ms = -1;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_true(plan_fired(plan, 30));
    assert_int_equal(plan->phase, PHASE_PROVISIONING);
    assert_non_null(strstr(plan->waits[0].message, "europe-west1-d"));
    fixture_finish(f);
}

static void a_zone_that_fell_silent_blocks_the_birth(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    fixture_zone_silent(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_true(plan_fired(plan, 31));
    fixture_finish(f);
}

static void new_disks_are_not_started_before_every_zone_has_spoken(void **state)
{
    WITH_FIXTURE(3);
    fixture_disks_made(f);
    f->views[2].zone_seen = false;
    f->views[2].zone_state = ZONE_PENDING;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[0].run, RUN_HELD);
    f->views[2].zone_seen = true;
    f->views[2].zone_state = ZONE_CONNECTED;
    plan = fixture_plan(f);
    assert_int_equal(plan->members[0].run, RUN_UP);
    assert_int_equal(plan->members[2].run, RUN_UP);
    fixture_finish(f);
}

static void all_ready_is_born_by_the_first_with_all(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACTION_INITIATE);
    assert_int_equal(plan->action.ordinal, 1);
    assert_string_equal(plan->action.host, "127.0.1.1:27017");
    assert_int_equal(plan->action.config.member_count, 3);
    assert_int_equal(plan->action.config.members[2].id, 2);
    assert_true(plan->ledger_changed);
    assert_int_equal(plan->ledger.birth, BIRTH_INTENDED);
    assert_int_equal(plan->ledger.next_id, 3);
    assert_string_equal(booked(plan, 2)->disk_id, "disk-2");
    assert_int_equal(plan->phase, PHASE_INITIATING);
    fixture_finish(f);
}

static void an_adopted_disk_is_no_proof_of_newness(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->views[1].holding.disk.adopted = true;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_true(plan_fired(&f->plan, 31));
    fixture_finish(f);
}

static void a_mark_on_a_disk_forbids_another_birth(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->views[1].holding.disk.replica_set_id = "6b0407215e92c42f711d9b08";
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_true(plan_fired(&f->plan, 12));
    fixture_finish(f);
}

static void the_late_are_waited_for_a_minute(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->views[2].holding.address = "";
    assert_true(plan_fired(fixture_plan(f), 34));
    f->now_ms += 59000;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    f->now_ms += 1000;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 33));
    assert_int_equal(plan->action.config.member_count, 2);
    assert_null(booked(plan, 3));
    fixture_finish(f);
}

static void after_a_crash_only_the_chosen_node_is_told_again(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->ledger = ledger_copy(&f->arena, &fixture_plan(f)->ledger);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 22));
    assert_int_equal(plan->action.kind, ACTION_INITIATE);
    assert_int_equal(plan->action.ordinal, 1);
    assert_int_equal(plan->ledger.next_id, 3);
    assert_false(plan->ledger_changed);
    fixture_finish(f);
}

static void a_silent_initiator_is_waited_for(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->ledger = ledger_copy(&f->arena, &fixture_plan(f)->ledger);
    f->views[0].mongod.answer = MONGOD_SILENT;
    assert_true(plan_fired(fixture_plan(f), 24));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void an_initiator_whose_disk_was_replaced_is_never_told_again(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->ledger = ledger_copy(&f->arena, &fixture_plan(f)->ledger);
    f->views[0].holding.disk.id = "another";
    assert_true(plan_fired(fixture_plan(f), 23));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void a_configuration_that_is_seen_ends_the_birth(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->ledger.birth = BIRTH_INTENDED;
    f->ledger.replica_set_id = "";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 11));
    assert_int_equal(plan->ledger.birth, BIRTH_DONE);
    assert_string_equal(plan->ledger.replica_set_id, f->config.replica_set_id);
    assert_int_equal(plan->look_again_at_ms, f->now_ms);
    fixture_finish(f);
}

static void a_lost_store_adopts_the_set_with_its_ids(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->ledger = (struct ledger){.set = "mongo", .replica_set_id = ""};
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 11));
    assert_int_equal(booked(plan, 3)->id, 2);
    assert_string_equal(booked(plan, 3)->disk_id, "disk-3");
    assert_true(plan->ledger.next_id > 3);
    f->ledger = ledger_copy(&f->arena, &plan->ledger);
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void a_lost_store_does_not_let_an_emptied_member_vote(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_disk_replaced(f, 3);
    f->ledger = (struct ledger){.set = "mongo", .replica_set_id = ""};
    const struct plan *plan = fixture_plan(f);
    assert_string_equal(plan->members[2].disk_id, "lost");
    f->ledger = ledger_copy(&f->arena, &plan->ledger);
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 60));
    assert_string_equal(plan->members[2].disk_id, "lost");
    fixture_finish(f);
}

static void another_replica_set_is_refused(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[1].holding.disk.replica_set_id = "ffffffffffffffffffffffff";
    assert_true(plan_fired(fixture_plan(f), 10));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

/* ---- life ---- */

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

static void a_moved_ip_keeps_its_member_id(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 50));
    assert_int_equal(plan->action.kind, ACTION_RECONFIGURE);
    assert_int_equal(plan->action.ordinal, 1);
    assert_string_equal(entry_in_action(plan, 1)->host, "127.0.2.9:27017");
    assert_int_equal(entry_in_action(plan, 1)->votes, 1);
    assert_int_equal(plan->action.config.version, 2);
    assert_int_equal(plan->action.base.version, 1);
    assert_int_equal(plan->phase, PHASE_RECONFIGURING);
    fixture_finish(f);
}

static void a_moved_primary_is_followed_too(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[0].holding.address = "127.0.1.7:27017";
    const struct plan *plan = fixture_plan(f);
    assert_string_equal(plan->action.host, "127.0.1.7:27017");
    assert_string_equal(entry_in_action(plan, 0)->host, "127.0.1.7:27017");
    fixture_finish(f);
}

static void a_moved_member_that_does_not_answer_is_not_followed_yet(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    fixture_pod_down(f, 2);
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_int_equal(f->plan.phase, PHASE_DEGRADED);
    fixture_finish(f);
}

static void two_members_never_share_a_host(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.3.1:27017");
    assert_true(plan_fired(fixture_plan(f), 51));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void addresses_that_swap_are_followed_in_one_step(void **state)
{
    WITH_FIXTURE(5);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.3.1:27017");
    fixture_move(f, 3, "127.0.2.1:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 50));
    assert_string_equal(entry_in_action(plan, 1)->host, "127.0.3.1:27017");
    assert_string_equal(entry_in_action(plan, 2)->host, "127.0.2.1:27017");
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
    f->observation.action = (struct action_view){.kind = ACTION_RECONFIGURE, .failures = 1, .message = "no answer",
                                                 .ended_at_ms = f->now_ms - 1000, .retry_at_ms = f->now_ms + 500,
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
    f->observation.action = (struct action_view){.kind = ACTION_RECONFIGURE, .failures = 1, .message = "timed out",
                                                 .ended_at_ms = f->now_ms, .retry_at_ms = f->now_ms,
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

static void addresses_that_all_changed_are_recognised(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_no_primary(f);
    fixture_move(f, 1, "127.0.1.9:27017");
    fixture_move(f, 2, "127.0.2.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_ADDRESSES_LOST);
    assert_true(plan_fired(plan, 41));
    assert_int_equal(plan->action.kind, ACTION_NONE);
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

/* ---- members that lost their data ---- */

static void an_emptied_disk_loses_its_vote_before_it_starts(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_disk_replaced(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 60));
    assert_int_equal(entry_in_action(plan, 2)->votes, 0);
    assert_true(entry_in_action(plan, 2)->priority == 0);
    assert_string_equal(plan->members[2].disk_id, "disk-3");
    assert_int_equal(plan->members[2].phase, MEMBER_PHASE_HELD);

    fixture_new_config(f, &plan->action.config);
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 62));
    assert_string_equal(plan->members[2].disk_id, "another-disk-3");
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_int_equal(booked(plan, 3)->id, 2);
    fixture_finish(f);
}

static void a_member_gets_its_vote_back_only_when_it_has_the_data(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    struct replica_config config = replica_config_copy(&f->arena, &f->config);
    ((struct config_member *)config.members)[2].votes = 0;
    ((struct config_member *)config.members)[2].priority = 0;
    config.version = 2;
    fixture_new_config(f, &config);
    f->views[2].mongod.state = MEMBER_STARTUP2;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_int_equal(f->plan.phase, PHASE_JOINING);
    f->views[2].mongod.state = MEMBER_SECONDARY;
    f->views[2].mongod.optime.seconds = 900;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_true(plan_fired(&f->plan, 238));
    f->views[2].mongod.optime.seconds = 1000;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 81));
    assert_int_equal(entry_in_action(plan, 2)->votes, 1);
    assert_true(entry_in_action(plan, 2)->priority == 0);
    fixture_new_config(f, &plan->action.config);
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 82));
    assert_true(entry_in_action(plan, 2)->priority == 1);
    fixture_finish(f);
}

static void a_vote_that_is_needed_is_not_taken(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[1].absent = true; /* it would leave two voters, of which only one is healthy */
    fixture_pod_down(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 73));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    fixture_finish(f);
}

/* ---- members that come and go ---- */

static void a_new_member_comes_without_a_vote(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->config.member_count = 2;
    fixture_new_config(f, &f->config);
    f->ledger.member_count = 2;
    f->ledger.next_id = 7;
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED, .problem = "", .version = "7.0.14",
                                              .age_ms = 10, .self_id = -1, .term = -1, .primary_id = -1,
                                              .config = {.set = "", .replica_set_id = ""}};
    f->views[2].holding.disk.replica_set_id = "";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 80));
    assert_true(plan->ledger_changed);
    assert_int_equal(booked(plan, 3)->id, 7);
    assert_int_equal(plan->ledger.next_id, 8);
    assert_int_equal(entry_in_action(plan, 7)->votes, 0);
    assert_int_equal(plan->phase, PHASE_JOINING);
    fixture_finish(f);
}

static void members_of_mixed_versions_are_not_added(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->config.member_count = 2;
    fixture_new_config(f, &f->config);
    f->ledger.member_count = 2;
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED, .problem = "", .version = "6.0.1",
                                              .age_ms = 10, .self_id = -1, .term = -1, .primary_id = -1,
                                              .config = {.set = "", .replica_set_id = ""}};
    f->views[2].holding.disk.replica_set_id = "";
    assert_true(plan_fired(fixture_plan(f), 70));
    assert_int_equal(f->plan.action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void a_leaver_goes_step_by_step(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[2].absent = true;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 72));
    assert_int_equal(entry_in_action(plan, 2)->votes, 0);
    assert_int_equal(plan->members[2].run, RUN_UP);
    fixture_new_config(f, &plan->action.config);
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 74));
    assert_null(entry_in_action(plan, 2));
    assert_int_equal(plan->members[2].run, RUN_UP);
    fixture_new_config(f, &plan->action.config);
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 75));
    assert_true(booked(plan, 3)->removed);
    f->ledger = ledger_copy(&f->arena, &plan->ledger);
    plan = fixture_plan(f);
    assert_int_equal(plan->members[2].run, RUN_ABSENT);
    assert_int_equal(plan->members[2].phase, MEMBER_PHASE_DRAINING);
    f->views[2].holding.service_exists = f->views[2].holding.controller_exists = false;
    plan = fixture_plan(f);
    assert_int_equal(plan->members[2].phase, MEMBER_PHASE_REMOVED);
    assert_int_equal(plan->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void one_that_comes_back_gets_a_fresh_id(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->config.member_count = 2;
    fixture_new_config(f, &f->config);
    f->booked[2].removed = true;
    f->views[2].mongod.answer = MONGOD_NOT_IN_CONFIG;
    f->views[2].mongod.state = MEMBER_REMOVED;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 80));
    assert_int_equal(booked(plan, 3)->id, 3);
    assert_false(booked(plan, 3)->removed);
    assert_string_equal(plan->members[2].disk_id, "disk-3");
    fixture_finish(f);
}

static void a_primary_that_leaves_steps_down_first(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[0].absent = true;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 71));
    assert_int_equal(plan->action.kind, ACTION_STEP_DOWN);
    fixture_finish(f);
}

static void before_a_set_is_known_a_leaver_is_left_alone(void **state)
{
    WITH_FIXTURE(3);
    fixture_zones_report_nothing(f);
    f->wanted[2].absent = true;
    assert_false(fixture_plan(f)->members[2].named);
    fixture_finish(f);
}

static void priorities_and_settings_are_set(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    static const struct setting settings[] = {{"electionTimeoutMillis", 5000, false}};
    f->set.settings = settings;
    f->set.setting_count = 1;
    f->wanted[1].priority = 2;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 82));
    assert_true(entry_in_action(plan, 1)->priority == 2);
    assert_int_equal(plan->action.config.setting_count, 1);
    fixture_finish(f);
}

static void a_moment_behind_is_no_lag(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[0].mongod.optime.seconds += 60; /* the first write after a quiet minute; the others' word is older */
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
    struct plan_input input = {.spec = &f->spec, .set = &f->set, .observation = &f->observation, .ledger = &f->ledger,
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
        cmocka_unit_test(nothing_is_born_before_every_zone_has_spoken),
        cmocka_unit_test(a_zone_that_fell_silent_blocks_the_birth),
        cmocka_unit_test(new_disks_are_not_started_before_every_zone_has_spoken),
        cmocka_unit_test(all_ready_is_born_by_the_first_with_all),
        cmocka_unit_test(an_adopted_disk_is_no_proof_of_newness),
        cmocka_unit_test(a_mark_on_a_disk_forbids_another_birth),
        cmocka_unit_test(the_late_are_waited_for_a_minute),
        cmocka_unit_test(after_a_crash_only_the_chosen_node_is_told_again),
        cmocka_unit_test(a_silent_initiator_is_waited_for),
        cmocka_unit_test(an_initiator_whose_disk_was_replaced_is_never_told_again),
        cmocka_unit_test(a_configuration_that_is_seen_ends_the_birth),
        cmocka_unit_test(a_lost_store_adopts_the_set_with_its_ids),
        cmocka_unit_test(a_lost_store_does_not_let_an_emptied_member_vote),
        cmocka_unit_test(another_replica_set_is_refused),
        cmocka_unit_test(healthy_waits_for_nothing),
        cmocka_unit_test(a_moved_ip_keeps_its_member_id),
        cmocka_unit_test(a_moved_primary_is_followed_too),
        cmocka_unit_test(a_moved_member_that_does_not_answer_is_not_followed_yet),
        cmocka_unit_test(two_members_never_share_a_host),
        cmocka_unit_test(addresses_that_swap_are_followed_in_one_step),
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
        cmocka_unit_test(addresses_that_all_changed_are_recognised),
        cmocka_unit_test(an_election_is_waited_for),
        cmocka_unit_test(a_primary_of_an_older_term_is_not_believed),
        cmocka_unit_test(an_emptied_disk_loses_its_vote_before_it_starts),
        cmocka_unit_test(a_member_gets_its_vote_back_only_when_it_has_the_data),
        cmocka_unit_test(a_vote_that_is_needed_is_not_taken),
        cmocka_unit_test(a_new_member_comes_without_a_vote),
        cmocka_unit_test(members_of_mixed_versions_are_not_added),
        cmocka_unit_test(a_leaver_goes_step_by_step),
        cmocka_unit_test(one_that_comes_back_gets_a_fresh_id),
        cmocka_unit_test(a_primary_that_leaves_steps_down_first),
        cmocka_unit_test(before_a_set_is_known_a_leaver_is_left_alone),
        cmocka_unit_test(priorities_and_settings_are_set),
        cmocka_unit_test(a_moment_behind_is_no_lag),
        cmocka_unit_test(waits_keep_their_since),
        cmocka_unit_test(memory_that_runs_out_is_an_error_at_each_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
