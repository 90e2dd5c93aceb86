/* Sessions: opened by who has shown something, over in time, bounded; and the cookie that carries one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controller/trust/sessions.h"

static const int64_t now_ms = INT64_C(1800000000000);
static const struct caller vera = {
    .kind = CALLER_OPERATOR, .proof = PROOF_TOKEN, .name = "vera", .mark = "00ff"};

static void a_session_is_found_until_it_is_over(void **state)
{
    (void)state;
    static struct sessions sessions;
    char text[SESSION_TEXT_MAX], other[SESSION_TEXT_MAX];
    struct error err;
    assert_int_equal(sessions_open(&sessions, &vera, now_ms, text, &err), 0);
    assert_int_equal(strlen(text), SESSION_TEXT_MAX - 1);
    const struct caller *found = sessions_find(&sessions, text, now_ms);
    assert_non_null(found);
    assert_string_equal(found->mark, "00ff");
    assert_null(sessions_find(&sessions, text, now_ms + SESSION_LIFETIME_S * INT64_C(1000)));
    memcpy(other, text, sizeof text);
    other[10] = other[10] == '0' ? '1' : '0';
    assert_null(sessions_find(&sessions, other, now_ms));
    assert_null(sessions_find(&sessions, "", now_ms));
    sessions_end(&sessions, text);
    assert_null(sessions_find(&sessions, text, now_ms));
}

static void who_has_shown_nothing_gets_none(void **state)
{
    (void)state;
    static struct sessions sessions;
    char text[SESSION_TEXT_MAX];
    struct error err;
    struct caller local = {.kind = CALLER_ADMIN, .proof = PROOF_LOOPBACK}, again = vera;
    again.proof = PROOF_SESSION;
    assert_int_equal(sessions_open(&sessions, &local, now_ms, text, &err), -1);
    assert_int_equal(sessions_open(&sessions, &again, now_ms, text, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
}

static void of_too_many_the_one_that_ends_first_goes(void **state)
{
    (void)state;
    static struct sessions sessions;
    static char texts[SESSIONS_MAX + 1][SESSION_TEXT_MAX];
    struct error err;
    for (int i = 0; i <= SESSIONS_MAX; i++)
        assert_int_equal(sessions_open(&sessions, &vera, now_ms + i, texts[i], &err), 0);
    assert_null(sessions_find(&sessions, texts[0], now_ms));
    for (int i = 1; i <= SESSIONS_MAX; i++)
        assert_non_null(sessions_find(&sessions, texts[i], now_ms));
}

static void the_cookie_is_found_among_others(void **state)
{
    (void)state;
    char text[SESSION_TEXT_MAX], hex[SESSION_TEXT_MAX], header[256];
    memset(hex, 'a', sizeof hex - 1);
    hex[sizeof hex - 1] = 0;
    static const char *const forms[] = {SESSION_COOKIE "=%s", "x=y; " SESSION_COOKIE "=%s",
                                        "x=y;" SESSION_COOKIE "=%s; z=" SESSION_COOKIE "=b"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *place = strstr(forms[i], "%s");
        snprintf(header, sizeof header, "%.*s%s%s", (int)(place - forms[i]), forms[i], hex, place + 2);
        assert_true(session_of_cookie(header, text));
        assert_string_equal(text, hex);
    }
    static const char *const none[] = {
        "", "x=y", SESSION_COOKIE "=", SESSION_COOKIE "=short", "x" SESSION_COOKIE "=aaaa", ";;; ;"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(session_of_cookie(none[i], text));
    assert_false(session_of_cookie(NULL, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_found_until_it_is_over),
        cmocka_unit_test(who_has_shown_nothing_gets_none),
        cmocka_unit_test(of_too_many_the_one_that_ends_first_goes),
        cmocka_unit_test(the_cookie_is_found_among_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
