/* The sets' keyfiles: two keys from the birth on, so that one round of restarts is an exchange, and two
 * rounds where there was one key alone. */
#include <stdio.h>
#include <string.h>

#include "controller/act/records.h"
#include "world.h"

static const char *const zones[] = {"z1", "z2", "z3"};

/* What the zone has: nothing of its own, or a keyfile. */
struct has {
    const char *key_id, *keyfile, *version;
};

static void tell(int zone, int64_t sequence, const struct has *has)
{
    struct report report = world_report(zones[zone], "r", sequence);
    struct report_member member = world_member(zone + 1);
    member.key_id = has->key_id;
    member.keyfile = has->keyfile;
    member.mongod.version = has->version;
    report.members = &member;
    report.member_count = 1;
    world_tell(&report);
}

static void all_tell(int64_t sequence, const struct has *has)
{
    for (int i = 0; i < 3; i++)
        tell(i, sequence, has);
    world_run(1000);
}

static const struct has of_7_0 = {"", "", "7.0.14"}, of_4_0 = {"", "", "4.0.28"};

static const struct intent_member *intended(const char *zone)
{
    const struct intent *intent = NULL;
    struct error err = {0};
    assert_int_equal(controller_watch(world.controller, zone, 0, &intent, &err), 0);
    assert_non_null(intent);
    assert_int_equal(intent->member_count, 1);
    return &intent->members[0];
}

static void keyfile_is(const char *expected)
{
    for (int i = 0; i < 3; i++)
        assert_string_equal(intended(zones[i])->keyfile, expected);
}

static int rotate(char message[ERROR_MESSAGE_MAX])
{
    struct error err = {0};
    int result = controller_rotate_keyfile(world.controller, "mongo", &err);
    snprintf(message, ERROR_MESSAGE_MAX, "%s", err.message);
    script.healthy &= result != 0; /* from now on all are behind */
    world_run(1000);
    return result;
}

static void rotates(void)
{
    char message[ERROR_MESSAGE_MAX];
    if (rotate(message))
        fail_msg("%s", message);
}

static void is_refused(const char *why)
{
    char message[ERROR_MESSAGE_MAX];
    assert_int_equal(rotate(message), -1);
    assert_non_null(strstr(message, why));
}

/* Planned for anew, with all members well or some behind. */
static void look(int64_t sequence, bool healthy)
{
    script.healthy = healthy;
    script.phase = healthy ? PHASE_HEALTHY : PHASE_RECONFIGURING;
    all_tell(sequence, &of_7_0);
}

static void begin(void **state, const char *spec)
{
    world_setup(state);
    world_crash();
    world.authenticates = true;
    world_boot();
    world_apply(spec);
}

static int setup(void **state)
{
    begin(state, three_zones);
    return 0;
}

/* secret1 is the id, secret2 and secret3 are the keys, secret4 the administrator's password. */
static void it_has_a_spare_key_from_the_birth_on(void **state)
{
    (void)state;
    all_tell(1, &of_7_0);
    keyfile_is("- secret2\n- secret3\n");
    assert_string_equal(intended("z1")->key_id, "secret1");
}

/* It took two rounds, each with a step-down of its own. */
static void an_exchange_is_one_round_in_which_old_and_new_share_a_key(void **state)
{
    (void)state;
    look(1, true);
    rotates();
    keyfile_is("- secret3\n- secret6\n");
    assert_string_equal(intended("z1")->key_id, "secret5");
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATING], 1);
    look(2, false);
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATED], 0);
    look(3, true);
    look(4, true);
    keyfile_is("- secret3\n- secret6\n");
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATING], 1);
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATED], 1);
}

static void the_controller_logs_in_with_the_key_that_both_files_have(void **state)
{
    (void)state;
    look(1, true);
    rotates();
    script.action = ACTION_STEP_DOWN;
    look(2, false);
    assert_string_equal(world.password, "secret3");
}

static void another_one_waits_until_it_has_ended(void **state)
{
    (void)state;
    look(1, true);
    rotates();
    look(2, false);
    is_refused("being exchanged already");
    world_crash();
    world_boot();
    look(3, false);
    is_refused("being exchanged already");
    look(4, true);
    look(5, true);
    rotates();
    keyfile_is("- secret6\n- secret8\n");
}

static void one_that_is_unwell_or_old_is_refused(void **state)
{
    (void)state;
    look(1, false);
    is_refused("not healthy");
    script.healthy = true;
    all_tell(2, &of_4_0);
    is_refused("before 4.2");
}

/* Whether its Secret has two keys is told by the tag alone. */
static void an_image_with_an_old_tag_is_refused_in_a_cluster(void **state)
{
    (void)state;
    static const char cluster[] =
        "apiVersion: atoll/v1\n"
        "kind: Federation\n"
        "metadata: {name: test}\n"
        "spec:\n"
        "  zones:\n"
        "    - {name: z1, driver: local}\n"
        "    - {name: z2, driver: local}\n"
        "    - {name: z3, driver: kubernetes, namespace: n, egress: [192.0.2.1/32]}\n"
        "  sets:\n"
        "    - name: mongo\n"
        "      image: ours/mongo:1.3\n"
        "      sourceRanges: [203.0.113.0/24]\n"
        "      members: [{zone: z1}, {zone: z2}, {zone: z3}]\n";
    world_teardown(state);
    begin(state, cluster);
    look(1, true);
    is_refused("the tag 1.3");
}

/* ---- one key alone ---- */

static const struct has single = {"old-id", "alone\n", "7.0.14"};

static void take_over(const struct has *has)
{
    script.healthy = true;
    all_tell(1, has);
    world_run(1000);
    assert_int_equal(world.events[EVENT_KEYFILE_TAKEN_OVER], 1);
}

static void of_one_key_two_rounds_are_made_by_themselves(void **state)
{
    (void)state;
    take_over(&single);
    keyfile_is("alone\n");
    rotates();
    look(2, false);
    char first_id[KEYFILE_ID_MAX];
    snprintf(first_id, sizeof first_id, "%s", intended("z1")->key_id);
    assert_string_not_equal(first_id, "old-id");
    keyfile_is("- alone\n- secret3\n");
    world_crash(); /* that there is another round is in the store */
    world_boot();
    look(3, false);
    keyfile_is("- alone\n- secret3\n");
    script.healthy_with = first_id;
    look(4, true);
    script.healthy_with = NULL;
    script.healthy = false;
    keyfile_is("- secret3\n- secret5\n");
    keyfile_is("- secret3\n- secret5\n");
    assert_string_not_equal(intended("z1")->key_id, first_id);
    is_refused("being exchanged already");
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATED], 0);
    look(6, true);
    look(7, true);
    keyfile_is("- secret3\n- secret5\n");
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATING], 2);
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATED], 1);
}

static void two_keys_that_are_taken_over_are_no_exchange(void **state)
{
    (void)state;
    take_over(&(struct has){"old-id", "- one\n- two\n", "7.0.14"});
    look(2, true);
    look(3, true);
    keyfile_is("- one\n- two\n");
    assert_string_equal(intended("z1")->key_id, "old-id");
    assert_int_equal(world.events[EVENT_KEYFILE_ROTATING], 0);
    rotates();
    keyfile_is("- two\n- secret3\n");
}

/* A zone that was away has the file of before; only the newer one's first key opens all members. */
static void of_two_files_the_newer_one_is_taken_over(void **state)
{
    (void)state;
    tell(0, 1, &(struct has){"older", "- one\n- two\n", "7.0.14"});
    tell(1, 1, &(struct has){"newer", "- two\n- three\n", "7.0.14"});
    tell(2, 1, &(struct has){"older", "- one\n- two\n", "7.0.14"});
    world_run(1000);
    keyfile_is("- two\n- three\n");
    assert_string_equal(intended("z1")->key_id, "newer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
        TEST(it_has_a_spare_key_from_the_birth_on),
        TEST(an_exchange_is_one_round_in_which_old_and_new_share_a_key),
        TEST(the_controller_logs_in_with_the_key_that_both_files_have),
        TEST(another_one_waits_until_it_has_ended),
        TEST(one_that_is_unwell_or_old_is_refused),
        TEST(an_image_with_an_old_tag_is_refused_in_a_cluster),
        TEST(of_one_key_two_rounds_are_made_by_themselves),
        TEST(two_keys_that_are_taken_over_are_no_exchange),
        TEST(of_two_files_the_newer_one_is_taken_over),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
