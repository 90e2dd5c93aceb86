/* Files made to hurt: each gives an error, within the arena's bound and within a second. */
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARENA_LIMIT = 16 << 20, MOST_SECONDS = 2 };

static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Reads `text` and expects an error with `expected` in it. */
static void expect(const struct buffer *text, const char *expected)
{
    struct reading reading;
    double before = processor_seconds();
    reading_init_bytes(&reading, buffer_text(text), text->length, ARENA_LIMIT);
    double took = processor_seconds() - before;
    assert_int_equal(reading.result, -1);
    assert_true(reading.arena.used <= ARENA_LIMIT);
    if (!strstr(buffer_text(&reading.said), expected))
        fail_msg("expected \"%s\", and it says\n%.2000s", expected, buffer_text(&reading.said));
    if (took > MOST_SECONDS)
        fail_msg("took %.1f s", took);
    reading_finish(&reading);
}

static void expect_repeated(const char *before, const char *part, int times, const char *after,
                            const char *expected)
{
    struct buffer text;
    buffer_init(&text, 0);
    buffer_append_text(&text, before);
    for (int i = 0; i < times; i++)
        buffer_append_text(&text, part);
    buffer_append_text(&text, after);
    expect(&text, expected);
    buffer_finish(&text);
}

static void two_hundred_thousand_brackets_end_at_the_bound_of_depth(void **state)
{
    (void)state;
    expect_repeated("", "[", 200000, "", "nested more than 24 deep");
    expect_repeated("", "{a: ", 200000, "", "nested more than 24 deep");
    expect_repeated("", "- ", 200000, "x", "nested more than 24 deep");
    expect_repeated("", "? ", 200000, "x", "a key must be a word");
    expect_repeated("", "[\n", 200000, "", "nested more than 24 deep");
}

static void deep_indentation_ends_too(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "%*sa:\n", i, "");
    expect(&text, "nested more than 24 deep");
    buffer_finish(&text);
}

static void aliases_that_multiply_are_counted(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 20; i++) {
        buffer_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buffer_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
        buffer_append_text(&text, "]\n");
    }
    expect(&text, "the spec needs more memory than it may have");
    buffer_finish(&text);
}

static void aliases_meet_the_bound_of_values_when_the_arena_has_room(void **state)
{
    struct spec_problems problems = {.count = 0};
    struct spec spec;
    struct arena arena;
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "a: &a [");
    for (int i = 0; i < 900; i++)
        buffer_append_text(&text, "x,");
    buffer_append_text(&text, "]\nb: [");
    for (int i = 0; i < 900; i++)
        buffer_append_text(&text, "*a,");
    buffer_append_text(&text, "]\n");
    arena_init(&arena, 0);
    struct spec_source source = {"spec.yaml", text.data, text.length};
    assert_int_equal(spec_read(&source, 1, &arena, &spec, &problems), -1);
    assert_non_null(strstr(problems.items[0].message, "more than 200000 values"));
    arena_finish(&arena);
    buffer_finish(&text);
}

static void aliases_do_not_nest_deeper_than_text_may(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 40; i++)
        buffer_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    expect(&text, "nested more than 24 deep, counting what aliases repeat");
    buffer_finish(&text);
}

static void anchors_entries_and_texts_have_bounds(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "a: [");
    for (int i = 0; i < 100; i++)
        buffer_printf(&text, "&a%d x, ", i);
    buffer_append_text(&text, "]");
    expect(&text, "more than 64 anchors");
    buffer_clear(&text);
    for (int i = 0; i < 100000; i++)
        buffer_printf(&text, "k%d: x\n", i);
    expect(&text, "more than 1000 entries in one map");
    buffer_finish(&text);
    expect_repeated("a: [", "x,", 100000, "]", "more than 1000 entries in one list");
    expect_repeated("a: \"", "0123456789", 2000, "\"", "a text of 20000 bytes; at most 16384");
    expect_repeated("", "0123456789", 500000, "", "the file has 5000000 bytes");
    expect_repeated("a: \"", "0123456789", 400000, "\"", "a text of 4000000 bytes");
    expect_repeated("a: ", "!", 100000, " x", "");
    expect_repeated("", "#", 4000000, "", "the file is empty");
    expect_repeated("", "\n", 4000000, "", "the file is empty");
}

static void the_file_that_fits_all_bounds_but_the_arena_is_refused(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: x}\nspec:\n  zones: "
                              "[{name: a}]\n  sets:\n");
    for (int i = 0; i < 490; i++) {
        buffer_printf(&text, "  - {name: s%d, image: x, members: [", i);
        for (int j = 0; j < 130; j++)
            buffer_append_text(&text, "{zone: a, votes: 0},");
        buffer_append_text(&text, "]}\n");
    }
    expect(&text, "spec.yaml:1:1: error: the spec needs more memory than it may have");
    buffer_finish(&text);
}

/* 400 sets with the same 4 KiB of arguments and the same 8 KiB of tags, by aliases. */
static void append_repeated_sets(struct buffer *text)
{
    for (int i = 0; i < 400; i++) {
        buffer_printf(text, "  - {name: s%d, image: x, mongod: %s", i, i ? "*m" : "&m [");
        for (int j = 0; j < 4 && i == 0; j++)
            buffer_printf(text, "--x%0*d,", 1000, j);
        buffer_printf(text, "%s, members: [{zone: %s, tags: %s", i ? "" : "]", i % 2 ? "a" : "b",
                      i ? "*t" : "&t {");
        for (int j = 0; j < 32 && i == 0; j++)
            buffer_printf(text, "k%0*d: v%0*d,", 120, j, 120, j);
        buffer_printf(text, "%s}]}\n", i ? "" : "}");
    }
}

static void a_small_file_that_aliases_make_too_large_to_be_stored_is_refused(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: x}\nspec:\n"
                              "  zones: [{name: a, driver: local}, {name: b, driver: local}]\n  sets:\n");
    append_repeated_sets(&text);
    assert_true(text.length < 60000);
    expect(&text, "spec.yaml:1:1: error: written out as JSON the spec must have at most 4194304 bytes");
    buffer_finish(&text);
}

static void a_thousand_errors_are_counted_and_a_hundred_kept(void **state)
{
    struct reading reading;
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text,
                       "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: x}\nspec:\n  zones:\n");
    for (int i = 0; i < 900; i++)
        buffer_append_text(&text, "  - {name: a, foo: 1}\n");
    reading_init(&reading, buffer_text(&text));
    assert_int_equal(reading.problems.count, SPEC_PROBLEMS_MAX);
    assert_int_equal(reading.problems.errors, 900 + 899);
    reading_finish(&reading);
    buffer_finish(&text);
}

static void an_error_takes_the_place_of_a_warning_when_the_list_is_full(void **state)
{
    struct reading reading;
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: x}\nspec:\n  zones: "
                              "[{name: a}]\n  sets:\n");
    for (int i = 0; i < 200; i++)
        buffer_printf(&text, "  - {name: s%d, image: x, members: [{zone: a}]}\n", i);
    buffer_append_text(&text, "  - {name: last, image: x, members: []}\n");
    reading_init(&reading, buffer_text(&text));
    assert_int_equal(reading.result, -1);
    assert_non_null(strstr(buffer_text(&reading.said), "error: set last has no members"));
    reading_finish(&reading);
    buffer_finish(&text);
}

static void a_zone_and_the_arguments_of_a_set_fit_an_intent(void **state)
{
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_append_text(&text, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: x}\nspec:\n"
                              "  zones: [{name: a, driver: local}]\n  sets:\n");
    for (int i = 0; i < 201; i++)
        buffer_printf(&text, "  - {name: s%d, image: x, members: [{zone: a}]}\n", i);
    buffer_append_text(&text, "  - {name: last, image: x, members: [{zone: a}], mongod: [");
    for (int i = 0; i < 5; i++)
        buffer_printf(&text, "--x%0*d,", 1000, i);
    buffer_append_text(&text, "]}\n");
    expect(&text, "spec.yaml:5:11: error: zone a has 202 members; at most 200 can be in one zone");
    expect(&text,
           "spec.yaml:208:58: error: mongod's arguments have 5015 bytes together; at most 4096 are allowed");
    buffer_finish(&text);
}

static void bytes_that_are_no_text_have_a_place(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *expected;
    } rows[] = {
        {"a: b\nc\xff: d", 10, "spec.yaml:2:2: error: this is not text in UTF-8"},
        {"a: \xc0\xaf", 5, "spec.yaml:1:4: error: this is not text in UTF-8"},
        {"a: \xed\xa0\x80", 6, "spec.yaml:1:4: error: this is not text in UTF-8"},
        {"\xff\xfe"
         "a\0",
         4, "spec.yaml:1:1: error: this is not text in UTF-8"},
        {"\xe2\x82\xac\xe2\x82\xac: \x01", 9, "spec.yaml:1:5: error: this is not text"},
        {"a: \0b", 5, "spec.yaml:1:4: error: this is not text"},
        {"a: \"x\\0y\"", 9, "spec.yaml:1:4: error: a text with a NUL"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer text;
        buffer_init(&text, 0);
        buffer_append(&text, rows[i].bytes, rows[i].length);
        expect(&text, rows[i].expected);
        buffer_finish(&text);
    }
}

static void a_byte_order_mark_is_no_part_of_the_first_key(void **state)
{
    struct reading reading;
    struct buffer text;
    (void)state;
    buffer_init(&text, 0);
    buffer_printf(&text, "\xef\xbb\xbf%s", three_zones);
    reading_init(&reading, buffer_text(&text));
    assert_string_equal(buffer_text(&reading.said), "");
    reading_finish(&reading);
    buffer_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_thousand_brackets_end_at_the_bound_of_depth),
        cmocka_unit_test(deep_indentation_ends_too),
        cmocka_unit_test(aliases_that_multiply_are_counted),
        cmocka_unit_test(aliases_meet_the_bound_of_values_when_the_arena_has_room),
        cmocka_unit_test(aliases_do_not_nest_deeper_than_text_may),
        cmocka_unit_test(anchors_entries_and_texts_have_bounds),
        cmocka_unit_test(the_file_that_fits_all_bounds_but_the_arena_is_refused),
        cmocka_unit_test(a_small_file_that_aliases_make_too_large_to_be_stored_is_refused),
        cmocka_unit_test(a_thousand_errors_are_counted_and_a_hundred_kept),
        cmocka_unit_test(an_error_takes_the_place_of_a_warning_when_the_list_is_full),
        cmocka_unit_test(a_zone_and_the_arguments_of_a_set_fit_an_intent),
        cmocka_unit_test(bytes_that_are_no_text_have_a_place),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
