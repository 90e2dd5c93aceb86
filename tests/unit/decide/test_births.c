/* Births: when a set is initiated, by whom, and when not. Each test is named by what holds. */
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

/* Found by the simulator: of two voters the other lost its disk after the first had been told to initiate and
 * had not; so none was ever told again. */
static void before_the_birth_a_new_disk_is_as_good_as_the_one_that_was_booked(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->wanted[1].votes = 0;
    f->wanted[1].priority = 0;
    f->ledger = ledger_copy(&f->arena, &fixture_plan(f)->ledger);
    f->views[2].holding.disk = (struct disk_holding){
        .name = "mongodb-disk3", .id = "new", .state = DISK_READY, .replica_set_id = ""};
    f->views[2].holding.pod.running = false;
    f->views[2].mongod.answer = MONGOD_NOT_ASKED;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 25));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_string_equal(booked(plan, 3)->disk_id, "new");
    f->ledger = ledger_copy(&f->arena, &plan->ledger);
    plan = fixture_plan(f);
    assert_int_equal(plan->members[2].run, RUN_UP);
    assert_string_equal(plan->members[2].disk_id, "new");
    assert_false(plan_fired(plan, 25));
    fixture_finish(f);
}

/* Found by the simulator's check of waits: who waited said a moment that was yet to come, and a birth's
 * minute took as long as the clock had been set back. */
static void a_clock_that_is_set_back_prolongs_no_wait(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->views[2].holding.address = "";
    assert_true(plan_fired(fixture_plan(f), 34));
    f->now_ms -= 600000;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 34));
    assert_int_equal(plan->waits[0].since_ms, f->now_ms);
    assert_int_equal(plan->members[2].wait.since_ms, f->now_ms);
    for (int i = 0; i < CONDITION_COUNT; i++)
        assert_true(plan->conditions[i].since_ms <= f->now_ms);
    f->now_ms += 60000;
    assert_true(plan_fired(fixture_plan(f), 33));
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

/* Store and a member's disk were lost while the set was taken away: on its new disk the member started with
 * its vote. */
static void a_new_disk_waits_for_the_configuration_of_a_set_that_is_marked(void **state)
{
    WITH_FIXTURE(3);
    fixture_disks_made(f);
    f->views[0].holding.disk.used = f->views[1].holding.disk.used = true;
    f->views[0].holding.disk.replica_set_id = f->views[1].holding.disk.replica_set_id =
        "64b000000000000000000001";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[0].run, RUN_UP);
    assert_int_equal(plan->members[2].run, RUN_HELD);
    f->ledger.birth = BIRTH_DONE; /* adopted, and then all others were started again */
    f->ledger.replica_set_id = f->views[0].holding.disk.replica_set_id;
    assert_int_equal(fixture_plan(f)->members[2].run, RUN_HELD);
    fixture_finish(f);
}

/* The spec was edited between the intention and the command: the server refused a node that is not electable
 * in its own configuration, and one that was to leave was never told again; the set was never born. */
static void the_chosen_one_initiates_whatever_the_spec_says_now(void **state)
{
    WITH_FIXTURE(3);
    fixture_all_answer_uninitialized(f);
    f->ledger = ledger_copy(&f->arena, &fixture_plan(f)->ledger);
    assert_int_equal(f->ledger.birth, BIRTH_INTENDED);
    f->wanted[0].votes = 0;
    f->wanted[0].priority = 0;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 22));
    assert_int_equal(entry_in_action(plan, 0)->votes, 1);
    assert_true(entry_in_action(plan, 0)->priority > 0);
    f->wanted[0].absent = true;
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 22));
    assert_int_equal(plan->action.ordinal, 1);
    assert_true(plan->members[0].named); /* else its agent has no keyfile to ask it with, and it seems silent
                                            (simulator, seed 22299) */
    assert_int_equal(plan->members[0].run, RUN_UP);
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
        cmocka_unit_test(before_the_birth_a_new_disk_is_as_good_as_the_one_that_was_booked),
        cmocka_unit_test(a_clock_that_is_set_back_prolongs_no_wait),
        cmocka_unit_test(after_a_crash_only_the_chosen_node_is_told_again),
        cmocka_unit_test(a_silent_initiator_is_waited_for),
        cmocka_unit_test(an_initiator_whose_disk_was_replaced_is_never_told_again),
        cmocka_unit_test(a_configuration_that_is_seen_ends_the_birth),
        cmocka_unit_test(a_lost_store_adopts_the_set_with_its_ids),
        cmocka_unit_test(a_lost_store_does_not_let_an_emptied_member_vote),
        cmocka_unit_test(a_new_disk_waits_for_the_configuration_of_a_set_that_is_marked),
        cmocka_unit_test(the_chosen_one_initiates_whatever_the_spec_says_now),
        cmocka_unit_test(another_replica_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
