/* Bearer tokens: found by nobody else's text, shown once, never kept in clear, over when they are over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/tokens.h"
#include "tests/unit/trust/fake_store.h"

static const int64_t now_ms = INT64_C(1800000000000), day_ms = INT64_C(86400000);
static struct fake_store store;
static struct tokens tokens;

static int set_up(void **state)
{
    (void)state;
    struct error err;
    fake_store_init(&store);
    return tokens_init(&tokens, &store.store, &err);
}

static int tear_down(void **state)
{
    (void)state;
    tokens_finish(&tokens);
    return 0;
}

static struct token make(const char *name, enum caller_kind role, char text[TOKEN_TEXT_MAX])
{
    struct token token;
    struct error err = {0};
    if (tokens_create(&tokens, name, role, 30, now_ms, text, &token, &err))
        fail_msg("%s", err.message);
    return token;
}

static struct caller find(const char *text, int64_t at_ms)
{
    struct caller caller;
    tokens_find(&tokens, text, at_ms, &caller);
    return caller;
}

static void a_token_is_found_and_has_its_role(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX];
    struct token token = make("ci", CALLER_OPERATOR, text);
    assert_int_equal(strlen(text), TOKEN_TEXT_MAX - 1);
    struct caller caller = find(text, now_ms);
    assert_int_equal(caller.kind, CALLER_OPERATOR);
    assert_int_equal(caller.proof, PROOF_TOKEN);
    assert_string_equal(caller.name, "ci");
    assert_string_equal(caller.mark, token.id);
}

static void any_other_text_is_nobody(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX + 1];
    make("ci", CALLER_ADMIN, text);
    for (size_t i = 0; i < strlen(text); i++) {
        memcpy(other, text, sizeof text);
        other[i] = other[i] == '0' ? '1' : '0';
        struct caller caller = find(other, now_ms);
        assert_int_equal(caller.kind, CALLER_NOBODY);
        assert_int_equal(caller.flaw, FLAW_UNKNOWN);
        assert_string_equal(caller.name, "");
        other[i] = 0;
        assert_int_equal(find(other, now_ms).kind, CALLER_NOBODY);
    }
    snprintf(other, sizeof other, "%s0", text);
    assert_int_equal(find(other, now_ms).kind, CALLER_NOBODY);
}

static void neither_store_nor_list_has_the_secret(void **state)
{
    (void)state;
    static char dump[1 << 16];
    char text[TOKEN_TEXT_MAX];
    struct token token = make("ci", CALLER_VIEWER, text);
    fake_store_dump(&store, dump, sizeof dump);
    assert_non_null(strstr(dump, token.id));
    assert_null(strstr(dump, text));
    assert_null(strstr(dump, text + 6 + TOKEN_ID_LENGTH + 1));
    struct json *json = token_write(&token);
    struct buffer out;
    buffer_init(&out, 0);
    assert_int_equal(json_print(json, JSON_COMPACT, &out, NULL), 0);
    assert_null(strstr(buffer_text(&out), text + 6 + TOKEN_ID_LENGTH + 1));
    assert_null(strstr(buffer_text(&out), "sha256"));
    buffer_finish(&out);
    json_destroy(json);
}

static void it_is_over_when_it_is_over(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX];
    struct token token = make("ci", CALLER_ADMIN, text);
    assert_int_equal(find(text, token.expires_ms - 1).kind, CALLER_ADMIN);
    struct caller caller = find(text, token.expires_ms);
    assert_int_equal(caller.kind, CALLER_NOBODY);
    assert_int_equal(caller.flaw, FLAW_EXPIRED);
    assert_false(tokens_counts(&tokens, token.id, token.expires_ms));
    assert_true(tokens_counts(&tokens, token.id, token.expires_ms - 1));
}

static void a_restart_finds_the_same_tokens(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX], gone[TOKEN_TEXT_MAX];
    struct error err;
    struct token token;
    make("ci", CALLER_OPERATOR, text);
    make("former", CALLER_ADMIN, gone);
    assert_int_equal(tokens_revoke(&tokens, "former", &token, &err), 0);
    assert_int_equal(find(gone, now_ms).kind, CALLER_NOBODY);
    tokens_finish(&tokens);
    assert_int_equal(tokens_init(&tokens, &store.store, &err), 0);
    assert_int_equal(find(text, now_ms).kind, CALLER_OPERATOR);
    assert_int_equal(find(gone, now_ms).kind, CALLER_NOBODY);
    assert_int_equal(tokens_revoke(&tokens, "former", &token, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void what_is_not_durable_was_not_made(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX], second[TOKEN_TEXT_MAX];
    struct token token;
    struct error err;
    make("ci", CALLER_OPERATOR, text);
    store.fails = true;
    assert_int_equal(tokens_create(&tokens, "other", CALLER_ADMIN, 1, now_ms, second, &token, &err), -1);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens_revoke(&tokens, "ci", &token, &err), -1);
    assert_int_equal(find(text, now_ms).kind, CALLER_OPERATOR);
}

static void bad_wishes_say_what_would_do(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX];
    struct token token;
    struct error err;
    make("ci", CALLER_VIEWER, text);
    assert_int_equal(tokens_create(&tokens, "ci", CALLER_VIEWER, 1, now_ms, text, &token, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    /* its time is over: the name is free again */
    assert_int_equal(tokens_create(&tokens, "ci", CALLER_VIEWER, 1, now_ms + 31 * day_ms, text, &token, &err),
                     0);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens_create(&tokens, "a b", CALLER_VIEWER, 1, now_ms, text, &token, &err), -1);
    assert_int_equal(tokens_create(&tokens, "ab", CALLER_AGENT, 1, now_ms, text, &token, &err), -1);
    assert_int_equal(
        tokens_create(&tokens, "ab", CALLER_VIEWER, TOKEN_DAYS_MAX + 1, now_ms, text, &token, &err), -1);
    assert_non_null(strstr(err.message, "366"));
}

static void there_is_a_bound_and_it_is_named(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX], name[16];
    struct token token;
    struct error err;
    for (int i = 0; i < TOKENS_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        make(name, CALLER_VIEWER, text);
    }
    assert_int_equal(tokens_create(&tokens, "one-more", CALLER_VIEWER, 1, now_ms, text, &token, &err), -1);
    assert_non_null(strstr(err.message, "TOKENS_MAX"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_found_and_has_its_role),     TEST(any_other_text_is_nobody),
        TEST(neither_store_nor_list_has_the_secret), TEST(it_is_over_when_it_is_over),
        TEST(a_restart_finds_the_same_tokens),       TEST(what_is_not_durable_was_not_made),
        TEST(bad_wishes_say_what_would_do),          TEST(there_is_a_bound_and_it_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
