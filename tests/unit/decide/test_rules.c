/* The rows themselves: numbers are unique, each table ends with a row for everything else, and the golden
 * file tests/tables/planner-rules.txt shows them as they are. To rewrite it: ATOLL_REWRITE_GOLDEN=1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "controller/decide/rules.h"
#include "controller/decide/situation.h"
#include "proto/base/file.h"

static const char *const golden = ATOLL_SOURCE_DIR "/tests/tables/planner-rules.txt";

static void rows_are_as_the_golden_file_shows_them(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer now, then;
    buffer_init(&now, 0);
    buffer_init(&then, 0);
    rules_dump(&now);
    if (getenv("ATOLL_REWRITE_GOLDEN"))
        assert_int_equal(file_replace(golden, now.data, now.length, 0644, &err), 0);
    assert_int_equal(file_read(golden, 1 << 20, &then, &err), 0);
    assert_string_equal(buffer_text(&now), buffer_text(&then));
    buffer_finish(&now);
    buffer_finish(&then);
}

static void numbers_are_unique(void **state)
{
    (void)state;
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of(table, &count);
        for (size_t i = 0; i < count; i++)
            assert_ptr_equal(rules_find(rules[i].number), &rules[i]);
    }
}

static void each_table_has_an_answer_to_everything(void **state)
{
    (void)state;
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of(table, &count);
        assert_int_equal(rules[count - 1].require | rules[count - 1].forbid, 0);
    }
}

static void a_row_that_waits_says_for_what_and_for_whom(void **state)
{
    (void)state;
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of(table, &count);
        for (size_t i = 0; i < count; i++) {
            bool waits = rules[i].outcome == OUTCOME_WAIT;
            assert_true(!waits || (rules[i].reason[0] && rules[i].ended_by[0]));
            assert_true(rules[i].sentence[0]);
        }
    }
}

static void the_first_unmet_condition_is_named(void **state)
{
    (void)state;
    const struct rule *follow = rules_find(50);
    assert_string_equal(rule_unmet(RULES_OF_SET, follow, 0), "the ledger says that the set exists");
    assert_null(rule_unmet(RULES_OF_SET, follow, follow->require));
    assert_string_equal(rule_unmet(RULES_OF_SET, follow, follow->require | ACTION_RUNNING),
                        "not: a command to MongoDB is under way");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_the_golden_file_shows_them),
        cmocka_unit_test(numbers_are_unique),
        cmocka_unit_test(each_table_has_an_answer_to_everything),
        cmocka_unit_test(a_row_that_waits_says_for_what_and_for_whom),
        cmocka_unit_test(the_first_unmet_condition_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
