/* Order of configurations and optimes, names, deep copies. */
#include "values.h"

static void configurations_are_ordered_as_the_server_orders_them(void **state)
{
    (void)state;
    static const struct {
        int64_t term_a, version_a, term_b, version_b;
        int expected;
    } table[] = {
        {1, 5, 1, 5, 0},       {1, 5, 1, 6, -1}, {2, 1, 1, 900, 1}, /* the term wins over the version */
        {-1, 5, -1, 6, -1},                                         /* before 4.4 */
        {-1, 50000, 7, 3, 1}, /* a forced one is compared by version alone */
        {7, 3, -1, 50000, -1}, {-1, 3, 7, 3, 0}, {-1, 0, 1, 1, -1}, /* none at all is older than any */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct replica_config a = {.term = table[i].term_a, .version = table[i].version_a};
        struct replica_config b = {.term = table[i].term_b, .version = table[i].version_b};
        assert_int_equal(replica_config_compare(&a, &b), table[i].expected);
        assert_int_equal(replica_config_compare(&b, &a), -table[i].expected);
    }
}

static void optimes_are_ordered_by_term_then_time(void **state)
{
    (void)state;
    static const struct {
        struct optime a, b;
        int expected;
    } table[] = {
        {{1, 10, 1}, {1, 10, 1}, 0},         {{2, 1, 0}, {1, 900, 9}, 1}, {{1, 10, 2}, {1, 10, 3}, -1},
        {{1, 4000000000u, 0}, {1, 5, 0}, 1}, {{-1, 0, 0}, {0, 0, 0}, -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(optime_compare(table[i].a, table[i].b), table[i].expected);
        assert_int_equal(optime_compare(table[i].b, table[i].a), -table[i].expected);
    }
}

static void states_are_known_by_number_and_name(void **state)
{
    (void)state;
    enum member_state found = MEMBER_DOWN;
    assert_true(member_state_from_number(1, &found));
    assert_string_equal(member_state_name(found), "PRIMARY");
    assert_true(member_state_from_number(10, &found));
    assert_string_equal(member_state_name(found), "REMOVED");
    assert_false(member_state_from_number(4, &found)); /* FATAL, which no supported server has */
    assert_false(member_state_from_number(-1, &found));
    assert_false(member_state_from_number(INT64_C(1) << 32, &found));
    assert_int_equal(found, MEMBER_REMOVED);
    assert_string_equal(mongod_answer_name(MONGOD_NOT_IN_CONFIG), "not-in-config");
    assert_string_equal(disk_state_name(DISK_ATTACHED), "Attached");
    assert_string_equal(member_run_name(RUN_HELD), "held");
}

static void a_member_is_found_by_its_id(void **state)
{
    (void)state;
    const struct config_member members[] = {{.id = 0, .host = "a:1"}, {.id = 7, .host = "b:1"}};
    struct replica_config config = {.members = members, .member_count = 2};
    assert_ptr_equal(replica_config_find(&config, 7), &members[1]);
    assert_null(replica_config_find(&config, 1));
}

/* The source is freed before the copy is compared with the same value made again: only ASan or a wrong byte
 * can tell. */
static void copies_outlive_the_arena_of_their_source(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct arena source, copies, again;
        arena_init(&source, 0);
        arena_init(&copies, 0);
        arena_init(&again, 0);
        struct seeded first = {.state = seed, .arena = &source}, second = {.state = seed, .arena = &again};
        struct report report = random_report(&first);
        struct intent intent = random_intent(&first);
        struct replica_config config = random_config(&first);
        struct report report_kept = report_copy(&copies, &report);
        struct intent intent_kept = intent_copy(&copies, &intent);
        struct replica_config config_kept = replica_config_copy(&copies, &config);
        arena_finish(&source);
        report = random_report(&second);
        intent = random_intent(&second);
        config = random_config(&second);
        assert_report_same(&report, &report_kept);
        assert_intent_same(&intent, &intent_kept);
        assert_config_same(&config, &config_kept);
        arena_finish(&again);
        arena_finish(&copies);
    }
}

static void a_copy_into_a_full_arena_is_told_and_stays_readable(void **state)
{
    (void)state;
    struct arena source, small;
    arena_init(&source, 0);
    struct seeded random = {.state = 42, .arena = &source};
    struct report report = random_report(&random);
    while (report.member_count < 3) /* more than the largest of the arenas below holds */
        report = random_report(&random);
    for (size_t limit = 1; limit < 4096; limit += 16) {
        arena_init(&small, limit);
        struct report copy = report_copy(&small, &report);
        assert_true(arena_failed(&small));
        struct arena other;
        arena_init(&other, 0);
        report_copy(&other, &copy); /* walks all of it */
        arena_finish(&other);
        arena_finish(&small);
    }
    arena_finish(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_are_ordered_as_the_server_orders_them),
        cmocka_unit_test(optimes_are_ordered_by_term_then_time),
        cmocka_unit_test(states_are_known_by_number_and_name),
        cmocka_unit_test(a_member_is_found_by_its_id),
        cmocka_unit_test(copies_outlive_the_arena_of_their_source),
        cmocka_unit_test(a_copy_into_a_full_arena_is_told_and_stays_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
