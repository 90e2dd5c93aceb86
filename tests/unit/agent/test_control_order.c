/* What is asked on an agent's control socket: what is taken, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zone-agent/local/control_order.h"

static struct control_order taken(const char *line)
{
    struct control_order order;
    struct error err;
    if (control_order_read(line, strlen(line), &order, &err))
        fail_msg("%s: %s", line, err.message);
    return order;
}

static void orders_are_read(void **state)
{
    (void)state;
    struct control_order order = taken("{\"fault\":\"move-address\",\"member\":\"mongo-node1\"}");
    assert_true(order.move);
    assert_string_equal(order.member, "mongo-node1");
    order = taken("{\"fault\":\"slow\",\"ms\":250}");
    assert_true(!order.move && order.fault == FAULT_SLOW && order.slow_ms == 250);
    assert_string_equal(order.member, "");
    assert_int_equal(taken("{\"fault\":\"cut\"}").fault, FAULT_CUT);
    assert_int_equal(taken("{\"fault\":\"refuse\"}").fault, FAULT_REFUSE);
    assert_int_equal(taken("{\"fault\":\"heal\"}").fault, FAULT_NONE);
}

static void what_is_refused_is_told_why(void **state)
{
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"", "well-formed"},
        {"{\"fault\":\"melt\"}", "there are move-address, cut, slow, refuse and heal"},
        {"{\"fault\":3}", "unknown fault"},
        {"{\"fault\":\"move-address\"}", "needs a member"},
        {"{\"fault\":\"cut\",\"member\":7}", "NAME_LENGTH_MAX"},
        {"{\"fault\":\"cut\",\"member\":\"\"}", "NAME_LENGTH_MAX"},
        {"{\"fault\":\"slow\"}", "slow needs ms from 1 to 60000"},
        {"{\"fault\":\"slow\",\"ms\":60001}", "slow needs ms from 1 to 60000"},
        {"{\"fault\":\"slow\",\"ms\":1e300}", "slow needs ms from 1 to 60000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct control_order order;
        struct error err = {.code = ERROR_NONE};
        assert_int_equal(control_order_read(rows[i].line, strlen(rows[i].line), &order, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        if (!strstr(err.message, rows[i].words))
            fail_msg("%s: \"%s\" has no \"%s\"", rows[i].line, err.message, rows[i].words);
    }
}

static void a_line_that_is_too_long_is_refused_by_the_name_of_its_bound(void **state)
{
    struct control_order order;
    struct error err = {.code = ERROR_NONE};
    char *line = malloc(CONTROL_LINE_MAX + 1);
    (void)state;
    assert_non_null(line);
    memset(line, ' ', CONTROL_LINE_MAX + 1);
    memcpy(line, "{\"fault\":\"heal\"}", strlen("{\"fault\":\"heal\"}"));
    assert_int_equal(control_order_read(line, CONTROL_LINE_MAX, &order, &err), 0);
    assert_int_equal(control_order_read(line, CONTROL_LINE_MAX + 1, &order, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    assert_non_null(strstr(err.message, "CONTROL_LINE_MAX"));
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_read),
        cmocka_unit_test(what_is_refused_is_told_why),
        cmocka_unit_test(a_line_that_is_too_long_is_refused_by_the_name_of_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
