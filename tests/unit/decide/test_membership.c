/* Members that lose their data, come and go. Each test is named by what holds. */
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

static const struct ledger_member *booked(const struct plan *plan, int ordinal)
{
    return ledger_find(&plan->ledger, ordinal);
}

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
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED,
                                              .problem = "",
                                              .version = "7.0.14",
                                              .age_ms = 10,
                                              .self_id = -1,
                                              .term = -1,
                                              .primary_id = -1,
                                              .config = {.set = "", .replica_set_id = ""}};
    f->views[2].holding.disk.replica_set_id = "";
    const char *own = f->views[2].holding.address;
    f->views[2].holding.address = f->config.members[0].host; /* that one's, which is not followed yet */
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    assert_true(plan_fired(&f->plan, 228));
    f->views[2].holding.address = own;
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
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED,
                                              .problem = "",
                                              .version = "6.0.1",
                                              .age_ms = 10,
                                              .self_id = -1,
                                              .term = -1,
                                              .primary_id = -1,
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

static void a_set_that_is_taken_away_ends_without_a_wait(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->set.absent = true;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 1));
    assert_int_equal(plan->members[0].run, RUN_ABSENT);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    for (size_t i = 0; i < 3; i++) {
        fixture_pod_down(f, (int)i + 1);
        f->views[i].holding.service_exists = f->views[i].holding.controller_exists = false;
        f->views[i].holding.address = "";
    }
    plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_REMOVED);
    assert_int_equal(plan->wait_count, 0);
    assert_int_equal(plan->members[2].phase, MEMBER_PHASE_REMOVED);
    fixture_finish(f);
}

static void after_a_lost_store_a_member_is_not_added_beside_its_own_entry(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 3, "127.0.3.9:27017");
    f->views[2].mongod.answer = MONGOD_NOT_IN_CONFIG;
    f->views[2].mongod.state = MEMBER_REMOVED;
    f->views[2].mongod.self_id = -1;
    f->ledger.member_count = 2;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 89));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    f->config.member_count = 2; /* somebody took the dead entry out */
    fixture_new_config(f, &f->config);
    assert_true(plan_fired(fixture_plan(f), 80));
    fixture_finish(f);
}

/* A new member got the _id of one that an older image of the store didn't know: both were followed under it,
 * in turn. */
static void an_old_ledger_never_gives_an_id_of_the_configuration_again(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->ledger.member_count = 2;
    f->ledger.next_id = 2; /* of a time when there were two members */
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 48));
    assert_int_equal(ledger_find(&plan->ledger, 3)->id, 2);
    assert_true(plan->ledger.next_id > 2);
    fixture_finish(f);
}

/* An arbiter can't be without a vote, so it is taken out when it loses its disk: it came back under the same
 * _id. */
static void an_arbiter_that_lost_its_disk_comes_back_under_a_fresh_id(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[2].arbiter_only = true;
    fixture_disk_replaced(f, 3);
    f->config.member_count = 2;
    fixture_new_config(f, &f->config);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 62));
    assert_int_equal(ledger_find(&plan->ledger, 3)->id, 3);
    fixture_finish(f);
}

/* An old store was brought back that didn't know of a member added since: the arbiter got that one's _id
 * (simulator, seed 5010). */
static void an_arbiter_gets_no_id_that_an_older_ledger_does_not_know_to_be_given(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[2].arbiter_only = true;
    fixture_disk_replaced(f, 3);
    f->entries[2] = (struct config_member){.id = 3, .host = "127.0.9.1:27017", .votes = 0};
    fixture_new_config(f, &f->config);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 62));
    assert_true(ledger_find(&plan->ledger, 3)->id > 3);
    fixture_finish(f);
}

/* Its disk was not known when it was adopted after a lost store; out of the configuration, nothing told that
 * it had lost it (simulator, seed 19216). */
static void an_arbiter_whose_disk_was_never_known_is_remembered_to_have_lost_it(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->wanted[2].arbiter_only = true;
    f->entries[2].arbiter_only = true;
    f->entries[2].priority = 0;
    f->booked[2].disk_id = "";
    fixture_pod_down(f, 3);
    f->views[2].holding.disk = (struct disk_holding){.name = "mongodb-disk3",
                                                     .id = "new",
                                                     .state = DISK_READY,
                                                     .replica_set_id = "",
                                                     .size_bytes = -1,
                                                     .used_bytes = -1};
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 60));
    assert_null(entry_in_action(plan, 2));
    assert_true(plan->ledger_changed);
    assert_string_equal(ledger_find(&plan->ledger, 3)->disk_id, "lost");
    fixture_finish(f);
}

/* The ledger is of a time before it was taken out and added again: it waited to be added for ever (simulator,
 * seed 19455). */
static void who_is_a_member_under_a_newer_id_than_an_old_ledger_knows_is_booked_under_it(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->entries[1].id = 9;
    f->peers[1].id = 9;
    f->views[1].mongod.self_id = 9;
    fixture_new_config(f, &f->config);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 48));
    assert_int_equal(ledger_find(&plan->ledger, 2)->id, 9);
    assert_true(plan->ledger.next_id > 9);
    fixture_finish(f);
}

/* The same image of the store still had a member booked that had left since: it came back under its spent
 * _id. */
static void who_is_out_of_the_configuration_comes_back_under_a_fresh_id(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[2].mongod.answer = MONGOD_NOT_IN_CONFIG;
    f->views[2].mongod.state = MEMBER_REMOVED;
    f->views[2].mongod.self_id = -1;
    f->config.member_count = 2;
    fixture_new_config(f, &f->config);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 80));
    assert_true(ledger_find(&plan->ledger, 3)->id > 2);
    assert_non_null(entry_in_action(plan, ledger_find(&plan->ledger, 3)->id));
    fixture_finish(f);
}

/* Two members booked under one _id: the configuration followed now the one, now the other, for ever. Reports
 * are of different moments, so after addresses have swapped and the store was lost both may claim one entry.
 */
static void an_entry_that_two_members_claim_is_booked_for_neither(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->ledger.member_count = 1;
    f->views[2].mongod.self_id = f->views[1].mongod.self_id;
    const struct plan *plan = fixture_plan(f);
    assert_null(ledger_find(&plan->ledger, 2));
    assert_null(ledger_find(&plan->ledger, 3));
    f->views[2].mongod.answer =
        MONGOD_SILENT; /* its address alone does not stand against another one's own word */
    f->views[2].holding.address = f->entries[1].host;
    plan = fixture_plan(f);
    assert_int_equal(ledger_find(&plan->ledger, 2)->id, 1);
    assert_null(ledger_find(&plan->ledger, 3));
    fixture_finish(f);
}

/* An older image of the store named the disk that it had lost before: its vote was to be taken for ever, and
 * it was primary. */
static void who_serves_on_a_disk_that_an_old_ledger_does_not_know_has_its_data(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->booked[0].disk_id = "disk-of-old";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 48));
    assert_string_equal(ledger_find(&plan->ledger, 1)->disk_id, f->views[0].holding.disk.id);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    f->views[0].holding.disk.used =
        false; /* replaced under a mongod that still runs: the next one would start empty */
    assert_false(plan_fired(fixture_plan(f), 48));
    fixture_finish(f);
}

/* "Healthy" was said of a set with a dead voter: its member had been taken out of the spec while the store
 * was lost. */
static void a_dead_entry_that_nobody_claims_is_not_healthy(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->set.member_count = 2;
    f->observation.member_count = 2;
    f->ledger.member_count = 2;
    assert_int_equal(fixture_plan(f)->phase,
                     PHASE_HEALTHY); /* somebody else's member that answers is nobody's trouble */
    f->peers[2].healthy = false;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    assert_true(plan_fired(plan, 88));
    f->set.member_count = f->observation.member_count =
        3; /* it was taken out of the spec while the store was lost */
    f->wanted[2].absent = true;
    f->views[2].holding.service_exists = f->views[2].holding.controller_exists = false;
    f->views[2].holding.address = f->views[2].holding.pod.name = "";
    f->views[2].holding.pod.running = false;
    f->views[2].mongod.answer = MONGOD_NOT_ASKED;
    plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_DEGRADED);
    assert_true(plan_fired(plan, 88));
    fixture_finish(f);
}

/* It started on its new disk; when its old address came back, it had a vote without memory. */
static void after_a_lost_store_a_new_disk_waits_for_the_dead_entry(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_disk_replaced(f, 3);
    fixture_move(f, 3, "127.0.3.9:27017");
    f->peers[2].healthy = false;
    f->ledger.member_count = 2;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[2].run, RUN_HELD);
    assert_true(plan_fired(plan, 216));
    f->config.member_count = 2; /* somebody took the dead entry out */
    fixture_new_config(f, &f->config);
    assert_int_equal(fixture_plan(f)->members[2].run, RUN_UP);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_emptied_disk_loses_its_vote_before_it_starts),
        cmocka_unit_test(a_member_gets_its_vote_back_only_when_it_has_the_data),
        cmocka_unit_test(a_vote_that_is_needed_is_not_taken),
        cmocka_unit_test(a_new_member_comes_without_a_vote),
        cmocka_unit_test(members_of_mixed_versions_are_not_added),
        cmocka_unit_test(a_leaver_goes_step_by_step),
        cmocka_unit_test(one_that_comes_back_gets_a_fresh_id),
        cmocka_unit_test(a_primary_that_leaves_steps_down_first),
        cmocka_unit_test(a_set_that_is_taken_away_ends_without_a_wait),
        cmocka_unit_test(after_a_lost_store_a_member_is_not_added_beside_its_own_entry),
        cmocka_unit_test(an_old_ledger_never_gives_an_id_of_the_configuration_again),
        cmocka_unit_test(an_arbiter_that_lost_its_disk_comes_back_under_a_fresh_id),
        cmocka_unit_test(an_arbiter_gets_no_id_that_an_older_ledger_does_not_know_to_be_given),
        cmocka_unit_test(an_arbiter_whose_disk_was_never_known_is_remembered_to_have_lost_it),
        cmocka_unit_test(who_is_a_member_under_a_newer_id_than_an_old_ledger_knows_is_booked_under_it),
        cmocka_unit_test(who_is_out_of_the_configuration_comes_back_under_a_fresh_id),
        cmocka_unit_test(an_entry_that_two_members_claim_is_booked_for_neither),
        cmocka_unit_test(who_serves_on_a_disk_that_an_old_ledger_does_not_know_has_its_data),
        cmocka_unit_test(a_dead_entry_that_nobody_claims_is_not_healthy),
        cmocka_unit_test(after_a_lost_store_a_new_disk_waits_for_the_dead_entry),
        cmocka_unit_test(before_a_set_is_known_a_leaver_is_left_alone),
        cmocka_unit_test(priorities_and_settings_are_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
