/* Who may do what: every rule of access.def against every kind of caller, on both listeners, with and without
 * anonymous reading. What is allowed stands here as a table of its own, so that a change of the rules is a
 * change here too; a rule without a row fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controller/trust/access.h"

#define CALLERS(X)                                                                                           \
    X('0', .kind = CALLER_NOBODY)                                                                            \
    X('v', .kind = CALLER_VIEWER, .proof = PROOF_TOKEN, .name = "vera")                                      \
    X('s', .kind = CALLER_VIEWER, .proof = PROOF_SESSION, .name = "vera")                                    \
    X('S', .kind = CALLER_ADMIN, .proof = PROOF_SESSION,                                                     \
      .name = "ada") /* never made; no more than a viewer all the same */                                    \
    X('o', .kind = CALLER_OPERATOR, .proof = PROOF_CERTIFICATE, .name = "olga", .mark = "01ab")              \
    X('a', .kind = CALLER_ADMIN, .proof = PROOF_CERTIFICATE, .name = "ada", .mark = "01ac")                  \
    X('l', .kind = CALLER_ADMIN, .proof = PROOF_LOOPBACK)                                                    \
    X('z', .kind = CALLER_AGENT, .proof = PROOF_CERTIFICATE, .zone = "zone-a", .mark = "01ad")               \
    X('y', .kind = CALLER_AGENT, .proof = PROOF_CERTIFICATE, .zone = "zone-b", .mark = "01ae")               \
    X('r', .kind = CALLER_NOBODY, .proof = PROOF_CERTIFICATE, .flaw = FLAW_REVOKED, .zone = "zone-a")        \
    X('x', .kind = CALLER_NOBODY, .proof = PROOF_CERTIFICATE, .flaw = FLAW_EXPIRED, .zone = "zone-a")        \
    X('u', .kind = CALLER_NOBODY, .proof = PROOF_TOKEN, .flaw = FLAW_UNKNOWN)

static const struct {
    char letter;
    struct caller caller;
} callers[] = {
#define X(letter, ...) {letter, {__VA_ARGS__}},
    CALLERS(X)
#undef X
};

static const char everybody[] = "0vsSoalzyrxu";

static const struct {
    enum access_rule rule;
    const char *on_main, *on_main_opened, *on_reading;
} expected[] = {
    {ACCESS_PUBLIC, everybody, everybody, everybody},
    {ACCESS_STATUS, "vsSoal", "0vsSoalzy", "0vsSoalzy"},
    {ACCESS_VIEW, "vsSoal", "vsSoal", ""},
    {ACCESS_OPERATE, "oal", "oal", ""},
    {ACCESS_ADMIN, "al", "al", ""},
    {ACCESS_SECRET, "al", "al", ""},
    {ACCESS_JOIN, everybody, everybody, ""},
    {ACCESS_RENEW, "lz", "lz", ""},
    {ACCESS_AGENT, "lz", "lz", ""},
};

static void check(enum access_rule rule, bool reading, bool opened, const char *allowed)
{
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
        struct access_question question = {rule, reading, opened, "zone-a"};
        struct access_answer answer;
        access_decide(&callers[i].caller, &question, &answer);
        bool passes = strchr(allowed, callers[i].letter) != NULL;
        if ((answer.verdict == ACCESS_ALLOWED) != passes)
            fail_msg("rule %s, caller %c, reading %d, opened %d: status %d %s", access_rule_name(rule),
                     callers[i].letter, reading, opened, answer.status, answer.message);
        if (passes) {
            assert_int_equal(answer.status, 200);
            assert_string_equal(answer.message, "");
        } else if (reading && *allowed == 0) {
            assert_int_equal(answer.verdict, ACCESS_ELSEWHERE);
        } else {
            bool known = callers[i].caller.kind != CALLER_NOBODY;
            assert_int_equal(answer.status, known ? 403 : 401);
            assert_true(strlen(answer.message) > 20);
        }
    }
}

static void exactly_the_allowed_ones_pass(void **state)
{
    (void)state;
    assert_int_equal(sizeof expected / sizeof *expected, ACCESS_RULE_COUNT);
    for (size_t i = 0; i < ACCESS_RULE_COUNT; i++) {
        assert_int_equal(expected[i].rule, i);
        check(expected[i].rule, false, false, expected[i].on_main);
        check(expected[i].rule, false, true, expected[i].on_main_opened);
        check(expected[i].rule, true, false, expected[i].on_reading);
        check(expected[i].rule, true, true, expected[i].on_reading);
    }
}

/* A path of agents without a zone in it would otherwise be open to all of them. */
static void an_agent_passes_only_where_a_zone_is_named(void **state)
{
    (void)state;
    struct caller agent = {.kind = CALLER_AGENT, .proof = PROOF_CERTIFICATE};
    struct access_answer answer;
    access_decide(&agent, &(struct access_question){.rule = ACCESS_AGENT}, &answer);
    assert_int_equal(answer.status, 403);
}

static void refusals_say_who_and_what_is_missing(void **state)
{
    (void)state;
    struct access_answer answer;
    access_decide(&callers[4].caller, &(struct access_question){.rule = ACCESS_ADMIN}, &answer);
    assert_string_equal(answer.message,
                        "operator olga (certificate 01ab) may not do this: it needs the role admin");
    access_decide(&callers[10].caller, &(struct access_question){.rule = ACCESS_AGENT, .zone = "zone-a"},
                  &answer);
    assert_string_equal(
        answer.message,
        "the certificate that was shown has expired; this needs the certificate of this zone's agent");
    access_decide(&callers[0].caller, &(struct access_question){.rule = ACCESS_VIEW}, &answer);
    assert_non_null(strstr(answer.message, "Authorization: Bearer"));
}

static void names_that_could_be_mistaken_are_refused(void **state)
{
    (void)state;
    char longest[CALLER_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[CALLER_NAME_MAX] = 0;
    assert_true(caller_name_is_good("alice@example.org"));
    assert_true(caller_name_is_good(longest));
    longest[CALLER_NAME_MAX] = 'a';
    longest[CALLER_NAME_MAX + 1] = 0;
    static const char *const bad[] = {"", "-a", "a b", "a\nb", "a\033[2J", "a:b", "ä", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(caller_name_is_good(bad[i]));
}

static void only_people_have_roles_that_can_be_given(void **state)
{
    (void)state;
    enum caller_kind kind = CALLER_NOBODY;
    assert_true(caller_role_from_name("operator", &kind));
    assert_int_equal(kind, CALLER_OPERATOR);
    assert_false(caller_role_from_name("agent", &kind));
    assert_false(caller_role_from_name("nobody", &kind));
    assert_false(caller_role_from_name("", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_allowed_ones_pass),
        cmocka_unit_test(an_agent_passes_only_where_a_zone_is_named),
        cmocka_unit_test(refusals_say_who_and_what_is_missing),
        cmocka_unit_test(names_that_could_be_mistaken_are_refused),
        cmocka_unit_test(only_people_have_roles_that_can_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
