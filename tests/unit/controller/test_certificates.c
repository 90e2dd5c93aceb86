/* Members' certificates as the controller keeps them: for which names, for whom, and who gets none. */
#include <stdio.h>
#include <string.h>

#include "world.h"

static struct report_member asking(int ordinal, const char *address, const char *request)
{
    struct report_member member = world_member(ordinal);
    member.holding.address = address;
    member.certificate_request = request;
    return member;
}

static void tell(const char *zone, int64_t sequence, const struct report_member *member)
{
    struct report report = world_report(zone, "r", sequence);
    report.members = member;
    report.member_count = 1;
    world_tell(&report);
    world_run(1000);
}

/* All three zones ask. */
static void all_ask(int64_t sequence)
{
    static const char *const zones[] = {"z1", "z2", "z3"}, *const addresses[] = {"10.0.1.1:27017",
                                                                                 "10.0.2.1:27017",
                                                                                 "10.0.3.1:27017"};
    static const char *const requests[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        struct report_member member = asking(i + 1, addresses[i], requests[i]);
        tell(zones[i], sequence, &member);
    }
}

/* NULL: there is none. */
static const struct intent *watch(const char *zone)
{
    const struct intent *intent = NULL;
    struct error err = {0};
    assert_int_equal(controller_watch(world.controller, zone, 0, &intent, &err), 0);
    return intent;
}

static const struct intent *intent_of(const char *zone)
{
    const struct intent *intent = watch(zone);
    assert_non_null(intent);
    return intent;
}

static int setup(void **state)
{
    world_setup(state);
    world_crash();
    world.encrypts = true;
    world_boot();
    world_apply(three_zones);
    return 0;
}

static void each_gets_one_for_its_names_and_the_ca(void **state)
{
    (void)state;
    all_ask(1);
    const struct intent *intent = intent_of("z1");
    assert_string_equal(intent->ca, "CA");
    assert_true(intent->members[0].tls);
    assert_string_equal(intent->members[0].certificate,
                        "CA 1 for one: ,10.0.1.1,,mongo-node1,,mongo-svc-a,,localhost,,127.0.0.1,,::1,,");
    assert_non_null(strstr(intent_of("z2")->members[0].certificate, ",10.0.2.1,"));
    assert_int_equal(world.signatures, 3);
}

static void none_is_signed_before_an_address_is_known(void **state)
{
    (void)state;
    struct report_member member = asking(1, "", "one");
    tell("z1", 1, &member);
    assert_string_equal(intent_of("z1")->members[0].certificate, "");
    assert_int_equal(world.signatures, 0);
}

static void time_and_reports_sign_nothing_new_until_it_is_due(void **state)
{
    (void)state;
    all_ask(1);
    all_ask(2);
    world_run(100000);
    assert_int_equal(world.signatures, 3);
    world_run(2000000); /* due: the world's signer gives the same again, as it still fits */
    assert_int_equal(world.signatures, 3);
}

static void a_moved_address_and_another_key_take_another(void **state)
{
    (void)state;
    all_ask(1);
    struct report_member moved = asking(1, "10.0.1.9:27017", "one");
    tell("z1", 2, &moved);
    assert_int_equal(world.signatures, 4);
    assert_non_null(strstr(intent_of("z1")->members[0].certificate, ",10.0.1.9,"));
    struct report_member other_key = asking(1, "10.0.1.9:27017", "another");
    tell("z1", 3, &other_key);
    assert_int_equal(world.signatures, 5);
}

static void another_life_goes_on_with_those_that_agents_tell_of(void **state)
{
    (void)state;
    all_ask(1);
    char before[256];
    snprintf(before, sizeof before, "%s", intent_of("z1")->members[0].certificate);
    world_crash();
    world_boot();
    struct report_member member = asking(1, "10.0.1.1:27017", "one");
    member.certificate = before;
    tell("z1", 2, &member);
    assert_string_equal(intent_of("z1")->members[0].certificate, before);
    assert_int_equal(world.signatures, 3);
}

/* With it, the zone's agent could pass as the other zone's member. */
static void a_zone_gets_none_for_an_address_of_another_zone_and_that_is_told_once(void **state)
{
    (void)state;
    all_ask(1);
    struct report_member thief = asking(1, "10.0.2.1:27017", "one");
    tell("z1", 2, &thief);
    tell("z1", 3, &thief);
    assert_string_equal(world.last_events[0].zone, "z1");
    world_run(20000);
    assert_null(strstr(intent_of("z1")->members[0].certificate, "10.0.2.1")); /* the one before stays */
    assert_int_equal(world.signatures, 3);
    assert_int_equal(world.events[EVENT_CERTIFICATE_REFUSED], 1);
    assert_non_null(
        strstr(intent_of("z2")->members[0].certificate, ",10.0.2.1,")); /* whose it is keeps its own */
    all_ask(4);
    assert_non_null(strstr(intent_of("z1")->members[0].certificate, ",10.0.1.1,"));
}

static void a_request_that_is_refused_stops_nobody_else(void **state)
{
    (void)state;
    struct report_member bad = asking(1, "10.0.1.1:27017", "bad");
    tell("z1", 1, &bad);
    struct report_member good = asking(2, "10.0.2.1:27017", "two");
    tell("z2", 1, &good);
    assert_string_equal(intent_of("z1")->members[0].certificate, "");
    assert_non_null(strstr(intent_of("z2")->members[0].certificate, "CA 1 for two"));
}

static void after_a_lost_store_all_are_exchanged_at_one_stroke(void **state)
{
    (void)state;
    world.ca = "another CA";
    struct report_member member = asking(1, "10.0.1.1:27017", "one");
    member.certificate = "CA 1 for one: ,10.0.1.1,,mongo-node1,,mongo-svc-a,,localhost,,127.0.0.1,,::1,,";
    tell("z1", 1, &member);
    assert_null(watch("z1")); /* one without its certificate would take it away */
    struct report_member other = asking(2, "10.0.2.1:27017", "two");
    tell("z2", 1, &other);
    assert_int_equal(world.signatures, 1); /* it had none */
    struct report_member last = asking(3, "10.0.3.1:27017", "three");
    tell("z3", 1, &last);
    assert_non_null(strstr(intent_of("z1")->members[0].certificate, "another CA"));
}

static void the_ca_is_not_changed_again_before_all_show_theirs(void **state)
{
    (void)state;
    struct error err = {0};
    all_ask(1);
    assert_int_equal(controller_members_certified(world.controller, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "mongo-node1, mongo-node2, mongo-node3"));
    static const char *const zones[] = {"z1", "z2", "z3"};
    for (int i = 0; i < 3; i++) {
        char id[80];
        struct report_member member = asking(i + 1,
                                             i == 0   ? "10.0.1.1:27017"
                                             : i == 1 ? "10.0.2.1:27017"
                                                      : "10.0.3.1:27017",
                                             i == 0   ? "one"
                                             : i == 1 ? "two"
                                                      : "three");
        snprintf(id, sizeof id, "%s", intent_of(zones[i])->members[0].certificate_id);
        member.mongod.certificate_id = id;
        tell(zones[i], 2, &member);
    }
    assert_int_equal(controller_members_certified(world.controller, &err), 0);
}

static void without_tls_nobody_is_asked(void **state)
{
    (void)state;
    world_crash();
    world.encrypts = false;
    world_boot();
    all_ask(1);
    assert_false(intent_of("z1")->members[0].tls);
    assert_string_equal(intent_of("z1")->ca, "");
    assert_int_equal(world.signatures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_one_for_its_names_and_the_ca, setup, world_teardown),
        cmocka_unit_test_setup_teardown(none_is_signed_before_an_address_is_known, setup, world_teardown),
        cmocka_unit_test_setup_teardown(time_and_reports_sign_nothing_new_until_it_is_due, setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_moved_address_and_another_key_take_another, setup, world_teardown),
        cmocka_unit_test_setup_teardown(another_life_goes_on_with_those_that_agents_tell_of, setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_zone_gets_none_for_an_address_of_another_zone_and_that_is_told_once,
                                        setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_refused_stops_nobody_else, setup, world_teardown),
        cmocka_unit_test_setup_teardown(after_a_lost_store_all_are_exchanged_at_one_stroke, setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_ca_is_not_changed_again_before_all_show_theirs, setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(without_tls_nobody_is_asked, setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
