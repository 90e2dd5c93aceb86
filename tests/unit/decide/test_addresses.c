/* Addresses that move: one, two that swap, all at one stroke. Each test is named by what holds. */
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

/* Before 4.4 two configurations of one version would stand beside each other for ever, when the node comes
 * back that the first one was lost with; the last command's result is not enough to know it by, for the next
 * one takes its place (simulator, seed 5489). */
static void a_version_that_was_sent_is_never_sent_again(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.config.version, 2);
    assert_true(plan->ledger_changed); /* durable before it is sent */
    assert_int_equal(plan->ledger.config_version, 2);
    f->ledger.config_version = 2;
    assert_int_equal(fixture_plan(f)->action.config.version, 3);
    fixture_finish(f);
}

/* The primary took the entry with its own address for itself, and refused to lose that one's vote. */
static void a_primary_trades_places_with_one_that_does_not_answer(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    const char *first = f->entries[0].host, *third = f->entries[2].host;
    fixture_move(f, 1, third);
    fixture_pod_down(f, 3);
    f->views[2].holding.address = first;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 50));
    assert_string_equal(entry_in_action(plan, 0)->host, third);
    assert_string_equal(entry_in_action(plan, 2)->host, first);
    fixture_finish(f);
}

/* The one lost its disk and waited for its vote to be taken; the other one had its address and waited for it
 * to move on. */
static void a_lost_disk_is_mended_while_another_has_its_address(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    const char *third = f->entries[2].host;
    fixture_move(f, 2, third);
    f->views[2].holding.address = "";
    fixture_disk_replaced(f, 3);
    f->peers[1].healthy = true;
    f->peers[1].state = MEMBER_SECONDARY; /* it dials the others, and they know it by its _id */
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 60));
    assert_int_equal(entry_in_action(plan, 2)->votes, 0);
    fixture_finish(f);
}

static void two_that_are_said_to_have_moved_to_one_address_wait(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    fixture_move(f, 3, "127.0.2.9:27017"); /* a report from before the addresses changed hands */
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    fixture_finish(f);
}

/* Who finds itself in the configuration at another one's address leads by that one's priority; a
 * reconfiguration that puts it back to its own place, where it may not lead, is refused for ever (simulator,
 * seed 5260). */
static void one_that_leads_from_anothers_place_steps_down_before_the_configuration_follows(void **state)
{
    WITH_FIXTURE(5);
    fixture_healthy(f);
    f->entries[0].votes = 0;
    f->entries[0].priority = 0;
    f->wanted[0].votes = 0;
    f->wanted[0].priority = 0;
    const char *first = f->views[0].holding.address, *second = f->views[1].holding.address;
    fixture_move(f, 1, second);
    fixture_move(f, 2, first);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 54));
    assert_int_equal(plan->action.kind, ACTION_STEP_DOWN);
    assert_int_equal(plan->action.ordinal, 1);
    assert_string_equal(plan->action.host, second);
    fixture_finish(f);
}

/* The primary followed all addresses and lost its disk before anybody else had that configuration: the others
 * still have the one with the old addresses, and that is what must be said (simulator, seed 3110). */
static void a_configuration_that_went_with_its_disk_is_not_believed(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->observation.action = (struct action_view){
        .kind = ACTION_RECONFIGURE, .succeeded = true, .message = "", .ended_at_ms = f->now_ms - 60000};
    f->observation.action.config = replica_config_copy(&f->arena, &f->config);
    f->observation.action.config.version = 7;
    fixture_disk_replaced(f, 1);
    f->views[1].mongod.primary_id = f->views[2].mongod.primary_id = -1;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->config.version, f->config.version);
    fixture_zone_silent(f, 3); /* somebody who is not heard may have it */
    assert_int_equal(fixture_plan(f)->config.version, 7);
    fixture_finish(f);
}

/* A new member got the address of one that was a member, took its place, and was elected (simulator, seed
 * 6514). */
static void a_newcomer_that_leads_from_anothers_place_steps_down_too(void **state)
{
    WITH_FIXTURE(5);
    fixture_healthy(f);
    const char *first = f->views[0].holding.address;
    f->config.member_count = f->ledger.member_count = 4;
    fixture_new_config(f, &f->config);
    f->views[4].mongod = f->views[0].mongod; /* the fifth answers for the first */
    f->views[4].holding.address = first;
    f->views[0].mongod.state = MEMBER_SECONDARY;
    f->views[0].mongod.self_id = -1;
    f->views[0].mongod.answer = MONGOD_NOT_IN_CONFIG;
    f->views[0].holding.address = "127.0.5.9:27017";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 54));
    assert_int_equal(plan->action.kind, ACTION_STEP_DOWN);
    assert_int_equal(plan->action.ordinal, 5);
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

/* "The members are electing one", it said for ever: the only one with the data had moved and been restarted.
 */
static void the_only_one_with_the_data_that_moved_is_a_lost_address(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_no_primary(f);
    f->views[1].mongod.state = f->views[2].mongod.state = MEMBER_STARTUP2;
    fixture_move(f, 1, "127.0.1.9:27017");
    assert_int_not_equal(fixture_plan(f)->phase,
                         PHASE_ADDRESSES_LOST); /* it may still be elected: it dials the others */
    f->views[0].mongod.answer = MONGOD_NOT_IN_CONFIG;
    f->views[0].mongod.state = MEMBER_REMOVED;
    f->views[0].mongod.self_id = -1;
    assert_int_equal(fixture_plan(f)->phase, PHASE_ADDRESSES_LOST);
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED,
                                              .age_ms = 100,
                                              .version = "7.0.14",
                                              .problem = "",
                                              .self_id = -1,
                                              .term = -1,
                                              .primary_id = -1,
                                              .optime = {.term = -1},
                                              .config = {.set = "", .replica_set_id = "", .term = -1}};
    assert_int_equal(fixture_plan(f)->phase, PHASE_ADDRESSES_LOST); /* the birth had not come to it yet */
    fixture_finish(f);
}

/* The same where the ledger was lost too, so that nobody can tell whose entry is whose. */
static void addresses_that_changed_while_the_store_was_lost_are_recognised(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_no_primary(f);
    f->ledger.member_count = 0;
    for (int i = 0; i < 3; i++) {
        static const char *const hosts[] = {"127.0.1.9:27017", "127.0.2.9:27017", "127.0.3.9:27017"};
        fixture_move(f, i + 1, hosts[i]);
        f->views[i].mongod.answer = MONGOD_NOT_IN_CONFIG;
        f->views[i].mongod.state = MEMBER_REMOVED;
        f->views[i].mongod.self_id = -1;
    }
    assert_int_equal(fixture_plan(f)->phase, PHASE_ADDRESSES_LOST);
    assert_true(plan_fired(&f->plan, 41));
    fixture_finish(f);
}

static void all_that_move_at_once_are_followed_while_the_primary_stands(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 1, "127.0.1.9:27017");
    fixture_move(f, 2, "127.0.2.9:27017");
    fixture_move(f, 3, "127.0.3.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 53));
    assert_string_equal(entry_in_action(plan, 0)->host, "127.0.1.9:27017");
    assert_string_equal(entry_in_action(plan, 2)->host, "127.0.3.9:27017");
    fixture_finish(f);
}

/* The others could never finish: they copied from an address that nobody answered at any more, and the
 * configuration did not follow because they had not finished. */
static void a_primary_that_moves_while_the_others_copy_is_followed(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    f->views[1].mongod.state = f->views[2].mongod.state = MEMBER_STARTUP2;
    f->peers[1].state = f->peers[2].state = MEMBER_STARTUP2;
    fixture_move(f, 1, "127.0.1.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 53));
    assert_string_equal(entry_in_action(plan, 0)->host, "127.0.1.9:27017");
    f->views[1].mongod.answer = f->views[2].mongod.answer = MONGOD_SILENT;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_NONE);
    fixture_finish(f);
}

static void a_followed_address_is_healthy_only_when_the_primary_sees_it(void **state)
{
    WITH_FIXTURE(3);
    fixture_healthy(f);
    fixture_move(f, 2, "127.0.2.9:27017");
    fixture_new_config(f, &fixture_plan(f)->action.config);
    const struct plan *plan = fixture_plan(f); /* the primary's word is still of the old host */
    assert_int_equal(plan->phase, PHASE_RECONFIGURING);
    assert_int_equal(plan->members[1].wait.rule, 239);
    f->peers[1] = (struct peer_view){.id = 1,
                                     .host = "127.0.2.9:27017",
                                     .healthy = true,
                                     .state = MEMBER_SECONDARY,
                                     .optime = {1, 1000, 1}};
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moved_ip_keeps_its_member_id),
        cmocka_unit_test(a_moved_primary_is_followed_too),
        cmocka_unit_test(a_moved_member_that_does_not_answer_is_not_followed_yet),
        cmocka_unit_test(two_members_never_share_a_host),
        cmocka_unit_test(a_version_that_was_sent_is_never_sent_again),
        cmocka_unit_test(a_primary_trades_places_with_one_that_does_not_answer),
        cmocka_unit_test(a_lost_disk_is_mended_while_another_has_its_address),
        cmocka_unit_test(two_that_are_said_to_have_moved_to_one_address_wait),
        cmocka_unit_test(addresses_that_swap_are_followed_in_one_step),
        cmocka_unit_test(a_configuration_that_went_with_its_disk_is_not_believed),
        cmocka_unit_test(a_newcomer_that_leads_from_anothers_place_steps_down_too),
        cmocka_unit_test(one_that_leads_from_anothers_place_steps_down_before_the_configuration_follows),
        cmocka_unit_test(addresses_that_all_changed_are_recognised),
        cmocka_unit_test(the_only_one_with_the_data_that_moved_is_a_lost_address),
        cmocka_unit_test(addresses_that_changed_while_the_store_was_lost_are_recognised),
        cmocka_unit_test(all_that_move_at_once_are_followed_while_the_primary_stands),
        cmocka_unit_test(a_primary_that_moves_while_the_others_copy_is_followed),
        cmocka_unit_test(a_followed_address_is_healthy_only_when_the_primary_sees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
