/* What a mongod reads at its start alone: members behind are restarted one at a time, the primary last. Each
 * test is named by what holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "situation_fixture.h"

#define WITH_FIXTURE(members)                                                                                \
    (void)state;                                                                                             \
    struct fixture fixture, *f = &fixture;                                                                   \
    fixture_init(f, members);                                                                                \
    fixture_healthy(f)

/* All run with the old keyfile; the new one is wanted. */
static void exchange(struct fixture *f, size_t members)
{
    f->observation.key_id = "new";
    for (size_t i = 0; i < members; i++)
        f->views[i].holding.pod.key_id = "old";
}

static size_t held(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->member_count; i++)
        count += plan->members[i].run == RUN_HELD;
    return count;
}

static void without_a_keyfile_nobody_is_restarted(void **state)
{
    WITH_FIXTURE(3);
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void one_secondary_is_restarted_and_the_others_wait(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 84));
    assert_int_equal(held(plan), 1);
    assert_int_equal(plan->members[0].run, RUN_UP); /* the primary */
    assert_int_equal(plan->members[1].run, RUN_HELD);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_false(plan->healthy);
    fixture_finish(f);
}

static void it_starts_again_once_its_pod_is_gone_and_nobody_else_stops_before_it_is_back(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 3);
    fixture_plan(f);
    fixture_pod_down(f, 2);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(held(plan), 0);
    assert_true(plan_fired(plan, 86));
    fixture_finish(f);
}

static void nobody_is_restarted_while_another_is_unwell(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 3);
    f->views[2].holding.pod.key_id = "new";
    fixture_pod_down(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(held(plan), 0);
    assert_true(plan_fired(plan, 86));
    fixture_finish(f);
}

static void the_primary_steps_down_first_when_it_is_the_last(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 1);
    f->views[1].holding.pod.key_id = f->views[2].holding.pod.key_id = "new";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 85));
    assert_int_equal(plan->action.kind, ACTION_STEP_DOWN);
    assert_int_equal(plan->action.ordinal, 1);
    assert_int_equal(held(plan), 0);
    fixture_finish(f);
}

/* Its own last answer is from before it stepped down, and somebody already leads in the next term: that one
 * was told to step down in its place, so that an exchange took three elections where one is enough. */
static void whoever_leads_after_it_is_not_told_to_step_down(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 1);
    f->views[1].holding.pod.key_id = f->views[2].holding.pod.key_id = "new";
    f->views[1].mongod.term = f->views[2].mongod.term = 2;
    f->views[2].mongod.state = f->peers[2].state = MEMBER_PRIMARY;
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_true(plan_fired(plan, 84));
    assert_int_equal(plan->members[0].run, RUN_HELD);
    fixture_finish(f);
}

static void a_silent_zone_stops_the_exchange(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 3);
    fixture_zone_silent(f, 3);
    assert_int_equal(held(fixture_plan(f)), 0);
    fixture_finish(f);
}

static void a_moved_address_is_followed_before_anybody_is_restarted(void **state)
{
    WITH_FIXTURE(3);
    exchange(f, 3);
    fixture_move(f, 3, "127.0.3.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(held(plan), 0);
    assert_true(plan_fired(plan, 50));
    fixture_finish(f);
}

static void the_first_administrator_is_made_on_the_primary(void **state)
{
    WITH_FIXTURE(3);
    f->observation.admin_wanted = true;
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 83));
    assert_int_equal(plan->action.kind, ACTION_MAKE_ADMIN);
    assert_int_equal(plan->action.ordinal, 1);
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_keyfile_nobody_is_restarted),
        cmocka_unit_test(one_secondary_is_restarted_and_the_others_wait),
        cmocka_unit_test(it_starts_again_once_its_pod_is_gone_and_nobody_else_stops_before_it_is_back),
        cmocka_unit_test(nobody_is_restarted_while_another_is_unwell),
        cmocka_unit_test(the_primary_steps_down_first_when_it_is_the_last),
        cmocka_unit_test(whoever_leads_after_it_is_not_told_to_step_down),
        cmocka_unit_test(a_silent_zone_stops_the_exchange),
        cmocka_unit_test(a_moved_address_is_followed_before_anybody_is_restarted),
        cmocka_unit_test(the_first_administrator_is_made_on_the_primary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
