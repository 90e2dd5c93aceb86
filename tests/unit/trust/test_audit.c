/* The audit log: written before the change, ended once, in the order that it happened. And rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/audit.h"
#include "controller/trust/rates.h"
#include "tests/unit/trust/fake_store.h"

static struct fake_store store;

static int set_up(void **state)
{
    (void)state;
    fake_store_init(&store);
    return 0;
}

static struct audit_entry entry_of(const char *path)
{
    struct audit_entry entry = {
        .at_ms = INT64_C(1800000000000),
        .caller = {.kind = CALLER_OPERATOR, .proof = PROOF_TOKEN, .name = "ci", .mark = "00ff"},
        .from = "192.0.2.1:4000",
        .method = "PUT",
        .why = "rollout of \"7.0\"\033[2J"};
    snprintf(entry.path, sizeof entry.path, "%s", path);
    return entry;
}

static void an_entry_tells_who_what_where_and_what_for(void **state)
{
    (void)state;
    struct error err;
    struct audit_entry entry = entry_of("/v1/federation");
    assert_int_equal(audit_begin(&store.store, &entry, &err), 0);
    assert_non_null(strstr(store.lines[0].text, "\"outcome\":\"begun\""));
    entry.outcome = AUDIT_DONE;
    entry.status = 200;
    snprintf(entry.detail, sizeof entry.detail, "revision 2");
    assert_int_equal(audit_end(&store.store, &entry, &err), 0);
    struct json *list = audit_list(&store.store, 0, 10, &err);
    const struct json *first = json_first(json_get(list, "entries"));
    assert_int_equal(json_get_int(first, "id", 0), 1);
    assert_string_equal(json_get_text(first, "outcome", ""), "done");
    assert_string_equal(json_get_text(first, "why", ""), "rollout of \"7.0\"\033[2J");
    assert_string_equal(json_get_text(json_get(first, "who"), "name", ""), "ci");
    assert_string_equal(json_get_text(json_get(first, "who"), "proof", ""), "token");
    assert_string_equal(json_get_text(first, "from", ""), "192.0.2.1:4000");
    assert_string_equal(json_get_text(first, "detail", ""), "revision 2");
    json_destroy(list);
}

static void the_longest_entry_fits_a_line(void **state)
{
    (void)state;
    struct error err;
    struct audit_entry entry = entry_of("/");
    memset(entry.why, 1, sizeof entry.why - 1);
    memset(entry.path, 1, sizeof entry.path - 1);
    memset(entry.detail, 1, sizeof entry.detail - 1);
    store.line_count = 0;
    struct buffer text;
    buffer_init(&text, STORE_LINE_BYTES_MAX);
    /* the fake store has shorter lines: only that it isn't refused for its length counts here */
    struct json *json = json_object();
    json_set_string(json, "why", entry.why);
    json_set_string(json, "path", entry.path);
    json_set_string(json, "detail", entry.detail);
    assert_int_equal(json_print(json, JSON_COMPACT, &text, &err), 0);
    assert_true(text.length + 600 < STORE_LINE_BYTES_MAX);
    json_destroy(json);
    buffer_finish(&text);
}

static void newest_come_first_and_pages_go_back(void **state)
{
    (void)state;
    struct error err;
    for (int i = 0; i < 5; i++) {
        struct audit_entry entry = entry_of("/v1/tokens");
        assert_int_equal(audit_begin(&store.store, &entry, &err), 0);
    }
    struct json *list = audit_list(&store.store, 4, 2, &err);
    const struct json *entries = json_get(list, "entries");
    assert_int_equal(json_count(entries), 2);
    assert_int_equal(json_get_int(json_first(entries), "id", 0), 3);
    json_destroy(list);
}

static void what_cannot_be_written_down_is_an_error(void **state)
{
    (void)state;
    struct error err;
    struct audit_entry entry = entry_of("/v1/federation");
    store.fails = true;
    assert_int_equal(audit_begin(&store.store, &entry, &err), -1);
    assert_non_null(strstr(err.message, "nothing is changed"));
    assert_non_null(strstr(err.message, "disk is full"));
}

static void outcomes_follow_the_status(void **state)
{
    (void)state;
    assert_int_equal(audit_outcome_of(200), AUDIT_DONE);
    assert_int_equal(audit_outcome_of(201), AUDIT_DONE);
    assert_int_equal(audit_outcome_of(403), AUDIT_REFUSED);
    assert_int_equal(audit_outcome_of(401), AUDIT_REFUSED);
    assert_int_equal(audit_outcome_of(422), AUDIT_FAILED);
    assert_int_equal(audit_outcome_of(503), AUDIT_FAILED);
}

/* ---- rates ---- */

static void a_burst_passes_and_then_so_many_a_second(void **state)
{
    (void)state;
    struct rates rates;
    struct error err;
    const struct rate_limit limit = {2, 5};
    assert_int_equal(rates_init(&rates, 1, &err), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rates_take(&rates, "a", &limit, 1000), 0);
    assert_int_equal(rates_take(&rates, "a", &limit, 1000), 500);
    assert_int_equal(rates_take(&rates, "b", &limit, 1000), 0);
    assert_int_equal(rates_take(&rates, "a", &limit, 1499), 1);
    assert_int_equal(rates_take(&rates, "a", &limit, 1500), 0);
    assert_int_equal(rates_take(&rates, "a", &limit, 1500), 500);
    assert_int_equal(rates_take(&rates, "a", &limit, 1000), 500); /* a clock that goes back gives nothing */
    for (int i = 0; i < 5; i++)
        assert_int_equal(rates_take(&rates, "a", &limit, 100000), 0);
    assert_true(rates_take(&rates, "a", &limit, 100000) > 0);
    assert_int_equal(rates_take(&rates, "a", &(struct rate_limit){0, 0}, 100000), 0);
    rates_finish(&rates);
}

static void what_was_used_already_is_charged_and_made_up_for(void **state)
{
    (void)state;
    struct rates rates;
    struct error err;
    const struct rate_limit limit = {200, 1000};
    assert_int_equal(rates_init(&rates, 1, &err), 0);
    assert_int_equal(rates_look(&rates, "a", &limit, 1000), 0);
    rates_charge(&rates, "a", &limit, 999, 1000);
    assert_int_equal(rates_look(&rates, "a", &limit, 1000), 0);
    rates_charge(&rates, "a", &limit, 2000, 1000);
    assert_int_equal(rates_look(&rates, "a", &limit, 1000), 10000);
    assert_int_equal(rates_look(&rates, "b", &limit, 1000), 0);
    assert_int_equal(rates_look(&rates, "a", &limit, 6000), 5000);
    assert_int_equal(rates_look(&rates, "a", &limit, 11000), 0);
    rates_charge(&rates, "a", &limit, 1, 1000000); /* no more than the burst was saved up */
    rates_charge(&rates, "a", &limit, 1199, 1000000);
    assert_int_equal(rates_look(&rates, "a", &limit, 1000000), 1005);
    rates_finish(&rates);
}

static void many_keys_push_out_only_those_that_asked_longest_ago(void **state)
{
    (void)state;
    struct rates rates;
    struct error err;
    const struct rate_limit limit = {1, 1};
    char key[32];
    assert_int_equal(rates_init(&rates, 7, &err), 0);
    for (int i = 0; i < 20 * RATES_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "stranger %d", i);
        rates_take(&rates, key, &limit, i);
        if (i % 100 == 0) {
            int64_t wait_ms = rates_take(&rates, "regular", &(struct rate_limit){0.001, 1}, i);
            assert_true(i == 0 ? wait_ms == 0 : wait_ms > 0);
        }
    }
    rates_finish(&rates);
}

static void addresses_are_counted_without_ports_and_by_networks(void **state)
{
    (void)state;
    char key[RATE_KEY_MAX];
    assert_string_equal(rate_address_key("", "127.0.0.1:40000", key), "127.0.0.1");
    assert_string_equal(rate_address_key("x ", "192.0.2.17:1", key), "x 192.0.2.17");
    assert_string_equal(rate_address_key("", "[2001:db8:1:2:3:4:5:6]:443", key), "2001:db8:1:2");
    assert_string_equal(rate_address_key("", "[2001:db8::1]:443", key), "2001:db8");
    assert_string_equal(rate_address_key("", "[::1]:443", key), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_entry_tells_who_what_where_and_what_for, set_up),
        cmocka_unit_test_setup(the_longest_entry_fits_a_line, set_up),
        cmocka_unit_test_setup(newest_come_first_and_pages_go_back, set_up),
        cmocka_unit_test_setup(what_cannot_be_written_down_is_an_error, set_up),
        cmocka_unit_test(outcomes_follow_the_status),
        cmocka_unit_test(a_burst_passes_and_then_so_many_a_second),
        cmocka_unit_test(what_was_used_already_is_charged_and_made_up_for),
        cmocka_unit_test(many_keys_push_out_only_those_that_asked_longest_ago),
        cmocka_unit_test(addresses_are_counted_without_ports_and_by_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
