/* TLS in the life of a set: nobody is initiated or added before it shows the certificate for its address, and
 * a renewal disturbs nobody. Moved addresses and old servers: test_certificates.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "situation_fixture.h"

enum { ACT_NOTHING = ACTION_NONE };

#define WITH(stage)                                                                                          \
    (void)state;                                                                                             \
    struct fixture fixture, *f = &fixture;                                                                   \
    fixture_init(f, 3);                                                                                      \
    stage(f);                                                                                                \
    encrypt(f)

/* All show the certificate that they are to show. */
static void encrypt(struct fixture *f)
{
    f->observation.tls = true;
    for (size_t i = 0; i < f->set.member_count; i++)
        f->views[i].certificate_id = f->views[i].mongod.certificate_id =
            arena_printf(&f->arena, "certificate %zu", i + 1);
}

static size_t held(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->member_count; i++)
        count += plan->members[i].run == RUN_HELD;
    return count;
}

static void a_set_whose_members_show_theirs_is_healthy(void **state)
{
    WITH(fixture_healthy);
    assert_int_equal(fixture_plan(f)->phase, PHASE_HEALTHY);
    fixture_finish(f);
}

static void nobody_is_initiated_before_all_show_theirs(void **state)
{
    WITH(fixture_all_answer_uninitialized);
    f->views[1].mongod.certificate_id = "";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->action.kind, ACT_NOTHING);
    assert_int_equal(plan->members[1].rule, 225);
    f->views[1].mongod.certificate_id = f->views[1].certificate_id;
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_INITIATE);
    fixture_finish(f);
}

static void one_for_which_none_was_signed_shows_none(void **state)
{
    WITH(fixture_all_answer_uninitialized);
    f->views[1].certificate_id = f->views[1].mongod.certificate_id = "";
    assert_int_equal(fixture_plan(f)->action.kind, ACT_NOTHING);
    fixture_finish(f);
}

static void why_none_is_signed_is_said(void **state)
{
    WITH(fixture_healthy);
    f->views[2].certificate_id = "";
    f->views[2].certificate_problem = "zone b has that address for one of its own";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[2].rule, 226);
    assert_string_equal(
        plan->members[2].wait.message,
        "No certificate is signed for mongo-node3: zone b has that address for one of its own.");
    fixture_finish(f);
}

static void a_member_is_added_once_it_shows_its_own(void **state)
{
    WITH(fixture_healthy);
    f->ledger.member_count = f->config.member_count = 2;
    for (size_t i = 0; i < 2; i++)
        f->views[i].mongod.config.member_count = 2;
    f->views[2].mongod = (struct mongod_view){.answer = MONGOD_NOT_INITIALIZED,
                                              .problem = "",
                                              .version = "7.0.14",
                                              .age_ms = 100,
                                              .self_id = -1,
                                              .term = -1,
                                              .primary_id = -1,
                                              .certificate_id = "another",
                                              .config = {.set = "", .replica_set_id = ""}};
    f->views[2].holding.disk.used = false;
    f->views[2].holding.disk.replica_set_id = "";
    assert_int_equal(fixture_plan(f)->action.kind, ACT_NOTHING);
    f->views[2].mongod.certificate_id = f->views[2].certificate_id;
    assert_true(plan_fired(fixture_plan(f), 80));
    fixture_finish(f);
}

static void a_renewal_restarts_nobody_since_5_0(void **state)
{
    WITH(fixture_healthy);
    f->views[1].certificate_id = "the next one";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(held(plan), 0);
    assert_int_equal(plan->members[1].rule, 244);
    fixture_finish(f);
}

static void before_5_0_members_are_restarted_for_it_one_by_one_and_the_primary_last(void **state)
{
    WITH(fixture_healthy);
    for (size_t i = 0; i < 3; i++) {
        f->views[i].mongod.version = "4.0.3";
        f->views[i].certificate_id = "the next one";
    }
    const struct plan *plan = fixture_plan(f);
    assert_true(plan_fired(plan, 84));
    assert_int_equal(held(plan), 1);
    assert_int_equal(plan->members[0].run, RUN_UP); /* the primary */
    f->views[1].mongod.certificate_id = f->views[2].mongod.certificate_id = "the next one";
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_STEP_DOWN);
    fixture_finish(f);
}

static void before_5_0_one_that_is_in_no_configuration_is_simply_restarted(void **state)
{
    WITH(fixture_all_answer_uninitialized);
    f->views[1].mongod.version = "4.0.3";
    f->views[1].certificate_id = "of the address that it has now";
    const struct plan *plan = fixture_plan(f);
    assert_int_equal(plan->members[1].rule, 224);
    assert_int_equal(plan->members[1].run, RUN_HELD);
    assert_int_equal(held(plan), 1);
    fixture_finish(f);
}

/* A server that can't be asked which version it is may be any. */
static void an_unknown_version_is_no_reason_for_a_restart(void **state)
{
    WITH(fixture_healthy);
    f->views[1].mongod.version = "";
    f->views[1].certificate_id = "the next one";
    assert_int_equal(held(fixture_plan(f)), 0);
    fixture_finish(f);
}

static void without_tls_nobody_looks_at_certificates(void **state)
{
    WITH(fixture_all_answer_uninitialized);
    f->observation.tls = false;
    f->views[1].mongod.certificate_id = "";
    assert_int_equal(fixture_plan(f)->action.kind, ACTION_INITIATE);
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_whose_members_show_theirs_is_healthy),
        cmocka_unit_test(nobody_is_initiated_before_all_show_theirs),
        cmocka_unit_test(one_for_which_none_was_signed_shows_none),
        cmocka_unit_test(why_none_is_signed_is_said),
        cmocka_unit_test(a_member_is_added_once_it_shows_its_own),
        cmocka_unit_test(a_renewal_restarts_nobody_since_5_0),
        cmocka_unit_test(before_5_0_members_are_restarted_for_it_one_by_one_and_the_primary_last),
        cmocka_unit_test(before_5_0_one_that_is_in_no_configuration_is_simply_restarted),
        cmocka_unit_test(an_unknown_version_is_no_reason_for_a_restart),
        cmocka_unit_test(without_tls_nobody_looks_at_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
