/* Members show certificates for their addresses: who may be followed, who must be restarted for it, and what
 * only a person can do. What the simulator found is named by its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "controller/decide/situation.h"
#include "situation_fixture.h"

#define WITH_FIXTURE(members, version)                                                                       \
    (void)state;                                                                                             \
    struct fixture fixture, *f = &fixture;                                                                   \
    fixture_init(f, members);                                                                                \
    fixture_healthy(f);                                                                                      \
    all_certified(f, version)

static void all_certified(struct fixture *f, const char *version)
{
    f->observation.tls = true;
    for (size_t i = 0; i < f->set.member_count; i++) {
        f->views[i].certificate_id = f->views[i].mongod.certificate_id = "first";
        f->views[i].mongod.version = version;
    }
}

/* It has another address, and the certificate for that is signed; its mongod shows the one before, and nobody
 * reaches it. */
static void move(struct fixture *f, int ordinal, const char *host)
{
    fixture_move(f, ordinal, host);
    f->views[ordinal - 1].certificate_id = "second";
    f->peers[ordinal - 1].healthy = ordinal == 1;
}

static size_t held(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->member_count; i++)
        count += plan->members[i].run == RUN_HELD;
    return count;
}

static void a_moved_member_is_followed_once_it_shows_its_certificate(void **state)
{
    WITH_FIXTURE(3, "7.0.14");
    move(f, 3, "127.0.3.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_false(plan_fired(plan, 50));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_int_equal(held(plan), 0);
    f->views[2].mongod.certificate_id = "second";
    assert_true(plan_fired(fixture_plan(f), 50));
    fixture_finish(f);
}

/* Soak, seed 1: one that was back at an address that its certificate bears was followed alone, by a
 * configuration that named the primary where nobody reached it any more: it was never committed. */
static void nobody_is_followed_before_the_primary_that_moved_shows_its_certificate(void **state)
{
    WITH_FIXTURE(3, "7.0.14");
    move(f, 1, "127.0.1.9:27017");
    move(f, 3, "127.0.3.9:27017");
    f->views[2].mongod.certificate_id = "second";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 49));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    f->views[0].mongod.certificate_id = "second";
    plan = fixture_plan(f);
    assert_true(plan_fired(plan, 50));
    assert_string_equal(entry_in_action(plan, 0)->host, "127.0.1.9:27017");
    assert_string_equal(entry_in_action(plan, 2)->host, "127.0.3.9:27017");
    fixture_finish(f);
}

static void an_old_server_that_moved_is_restarted(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    move(f, 3, "127.0.3.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 58));
    assert_int_equal(plan->members[2].run, RUN_HELD);
    assert_int_equal(held(plan), 1);
    fixture_finish(f);
}

/* Seed 88: each waited for the other to be well. */
static void of_two_old_servers_that_moved_each_is_restarted(void **state)
{
    WITH_FIXTURE(5, "4.0.28");
    move(f, 3, "127.0.3.9:27017");
    move(f, 4, "127.0.4.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 58));
    assert_int_equal(held(plan), 1);
    fixture_finish(f);
}

/* Seed 50849: one was being restarted, its zone's reports were lost, and the other was stopped as well. */
static void of_two_old_servers_that_moved_none_is_restarted_while_the_other_is_not_heard(void **state)
{
    WITH_FIXTURE(5, "4.0.28");
    move(f, 3, "127.0.3.9:27017");
    move(f, 4, "127.0.4.9:27017");
    f->views[3].mongod.age_ms = 5000;
    const struct plan *plan = fixture_plan(f);
    assert_false(plan_fired(plan, 58));
    assert_int_equal(held(plan), 0);
    fixture_finish(f);
}

/* Seed 119: commands were sent to where nobody believed it, for ever. */
static void an_old_primary_that_moved_is_restarted(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    move(f, 1, "127.0.1.9:27017");
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 56));
    assert_int_equal(plan->members[0].run, RUN_HELD);
    fixture_finish(f);
}

static void an_old_primary_that_moved_stays_while_another_is_unwell(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    move(f, 1, "127.0.1.9:27017");
    fixture_pod_down(f, 3);
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 57));
    assert_int_equal(held(plan), 0);
    fixture_finish(f);
}

/* Seed 46: moved members of an old set were not seen to be elsewhere, so that nobody was told to give the
 * addresses back. */
static void addresses_are_lost_whatever_certificates_are_shown(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    move(f, 1, "127.0.1.9:27017");
    move(f, 2, "127.0.2.9:27017");
    fixture_no_primary(f);
    assert_int_equal(fixture_plan(f)->phase, PHASE_ADDRESSES_LOST);
    fixture_finish(f);
}

/* Seeds 38 and 60: the first that was restarted was alone with its new certificate. */
static void when_the_ca_is_lost_nobody_restarts_old_servers_one_by_one(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    f->observation.admin_wanted = true;
    for (size_t i = 0; i < 3; i++) {
        f->views[i].certificate_id = "second";
        f->views[i].mongod.certificate_foreign = true;
    }
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 55));
    assert_int_equal(plan->action.kind, ACTION_NONE);
    assert_int_equal(held(plan), 0);
    fixture_finish(f);
}

/* Seed 17: it waited for a controller that would never do it. */
static void with_two_voters_a_restart_is_left_to_a_person(void **state)
{
    WITH_FIXTURE(2, "4.0.28");
    f->views[0].certificate_id = f->views[1].certificate_id = "second";
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 87));
    assert_int_equal(held(plan), 0);
    fixture_finish(f);
}

/* Seed 2190: a zone went down, and before that was known a member elsewhere was stopped. */
static void nobody_is_stopped_on_old_answers(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    f->views[1].certificate_id = "second";
    f->views[2].mongod.age_ms = RESTART_FRESH_MS + 1;
    assert_int_equal(held(fixture_plan(f)), 0);
    f->views[2].mongod.age_ms = RESTART_FRESH_MS;
    assert_int_equal(held(fixture_plan(f)), 1);
    fixture_finish(f);
}

static void a_renewal_is_no_degradation(void **state)
{
    WITH_FIXTURE(3, "7.0.14");
    f->views[1].certificate_id = "second";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->phase, PHASE_RECONFIGURING);
    assert_int_equal(held(plan), 0);
    assert_true(plan_fired(plan, 244));
    fixture_finish(f);
}

/* What was read of the configuration says nothing of who leads since. */
static void after_a_step_down_it_is_looked_who_leads(void **state)
{
    WITH_FIXTURE(3, "4.0.28");
    f->views[0].certificate_id = "second";
    f->observation.action.kind = ACTION_STEP_DOWN;
    f->observation.action.config = f->config;
    f->observation.action.ended_at_ms = f->now_ms;
    assert_true(plan_fired(fixture_plan(f), 45));
    f->observation.action.ended_at_ms = f->now_ms - 1000;
    assert_true(plan_fired(fixture_plan(f), 85));
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moved_member_is_followed_once_it_shows_its_certificate),
        cmocka_unit_test(nobody_is_followed_before_the_primary_that_moved_shows_its_certificate),
        cmocka_unit_test(an_old_server_that_moved_is_restarted),
        cmocka_unit_test(of_two_old_servers_that_moved_each_is_restarted),
        cmocka_unit_test(of_two_old_servers_that_moved_none_is_restarted_while_the_other_is_not_heard),
        cmocka_unit_test(an_old_primary_that_moved_is_restarted),
        cmocka_unit_test(an_old_primary_that_moved_stays_while_another_is_unwell),
        cmocka_unit_test(addresses_are_lost_whatever_certificates_are_shown),
        cmocka_unit_test(when_the_ca_is_lost_nobody_restarts_old_servers_one_by_one),
        cmocka_unit_test(with_two_voters_a_restart_is_left_to_a_person),
        cmocka_unit_test(nobody_is_stopped_on_old_answers),
        cmocka_unit_test(a_renewal_is_no_degradation),
        cmocka_unit_test(after_a_step_down_it_is_looked_who_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
