/* Texts for people: escaped, cut, wrapped, aligned; times; and YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/text.h"
#include "controller/cli/yaml.h"

static void a_terminal_never_obeys_outside_text(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain ascii", "plain ascii"},
        {"Grüße → 世", "Grüße → 世"},
        {"\033[31mred", "\\x1b[31mred"},
        {"a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\u{009b}31m"}, /* C1: a CSI in one code point */
        {"\xe2\x80\xae"
         "evil",
         "\\u{202e}evil"},                   /* turns the direction of writing */
        {"\xff\xc3", "\\xff\\xc3"},          /* no UTF-8 */
        {"\xc0\xaf", "\\xc0\\xaf"},          /* too long a form */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* half of a pair */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, 0);
        text_escape(cases[i].text, &out);
        assert_string_equal(buffer_text(&out), cases[i].shown);
        buffer_finish(&out);
    }
}

static void json_keeps_its_meaning_when_escaped(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    text_escape_json("{\n  \"a\": \"\x7f\xc2\x9b\xc3\xa9\"\n}", &out);
    assert_string_equal(buffer_text(&out), "{\n  \"a\": \"\\u007f\\u009b\xc3\xa9\"\n}");
    buffer_finish(&out);
}

static void cutting_counts_columns_not_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t columns;
        const char *cut;
    } cases[] = {{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"äöüß", 4, "äöüß"},
                 {"äöüß", 3, "äö…"},      {"abc", 0, "abc"},      {"abc", 1, "…"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, 0);
        text_cut(cases[i].text, cases[i].columns, &out);
        assert_string_equal(buffer_text(&out), cases[i].cut);
        buffer_finish(&out);
    }
}

static void durations_are_short(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-1, "-"},         {0, "0s"},         {59999, "59s"},  {60000, "1m"},
                 {200000, "3m20s"}, {7500000, "2h5m"}, {7200000, "2h"}, {356400000, "4d3h"}};
    char text[DURATION_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(duration_text(cases[i].ms, text), cases[i].text);
}

static void times_are_read_with_their_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(time_from_text("1970-01-01T00:00:01.250Z"), 1250);
    assert_int_equal(time_from_text("2026-11-23T08:00:00Z"), 1795420800000);
    assert_int_equal(time_from_text(""), -1);
    assert_int_equal(time_from_text("yesterday"), -1);
    assert_int_equal(time_from_text(NULL), -1);
}

static void paragraphs_are_wrapped(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    text_wrap("one two three four", 11, 2, &out);
    assert_string_equal(buffer_text(&out), "  one two\n  three\n  four\n");
    buffer_finish(&out);
}

static void tables_line_up_and_lines_end_with_letters(void **state)
{
    static const char *const titles[] = {"NAME", "LAG", "WHY"};
    static const char *const cells[] = {"a", "10s", "", "länger", "1s", "a\033[1mb"};
    struct table table;
    struct buffer out;
    (void)state;
    table_init(&table, titles, 3);
    table.right[1] = true;
    for (size_t i = 0; i < 6; i++)
        table_add(&table, cells[i], i == 3 ? COLOUR_GOOD : COLOUR_NONE);
    buffer_init(&out, 0);
    table_print(&table, 0, false, &out);
    assert_string_equal(buffer_text(&out), "NAME    LAG  WHY\n"
                                           "a       10s\n"
                                           "länger   1s  a\\x1b[1mb\n");
    buffer_clear(&out);
    table_print(&table, 16, true, &out);
    assert_string_equal(buffer_text(&out), "\033[1mNAME\033[0m    \033[1mLAG\033[0m  \033[1mWHY\033[0m\n"
                                           "a       10s\n"
                                           "\033[32mlänger\033[0m   1s  a\\…\n");
    buffer_finish(&out);
    table_finish(&table);
}

static void yaml_says_the_same_as_json(void **state)
{
    static const char text[] = "{\"name\":\"mongo\",\"no\":\"no\",\"n\":\"1\",\"empty\":\"\",\"list\":[{"
                               "\"a\":1,\"b\":[true,null]},[],\"x: y\"],"
                               "\"o\":{},\"deep\":{\"k\":{\"v\":1.5}}}";
    static const char yaml[] = "name: mongo\n\"no\": \"no\"\n\"n\": \"1\"\nempty: \"\"\nlist:\n  - a: 1\n    "
                               "b:\n      - true\n      - null\n"
                               "  - []\n  - \"x: y\"\no: {}\ndeep:\n  k:\n    v: 1.5\n";
    struct json *json = json_parse(text, sizeof text - 1, 1000, NULL);
    struct buffer out;
    (void)state;
    assert_non_null(json);
    buffer_init(&out, 0);
    yaml_write(json, &out);
    assert_string_equal(buffer_text(&out), yaml);
    buffer_finish(&out);
    json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_never_obeys_outside_text),
        cmocka_unit_test(json_keeps_its_meaning_when_escaped),
        cmocka_unit_test(cutting_counts_columns_not_bytes),
        cmocka_unit_test(durations_are_short),
        cmocka_unit_test(times_are_read_with_their_milliseconds),
        cmocka_unit_test(paragraphs_are_wrapped),
        cmocka_unit_test(tables_line_up_and_lines_end_with_letters),
        cmocka_unit_test(yaml_says_the_same_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
