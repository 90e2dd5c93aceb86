/* JSON: what is let through, what is refused and how it is said, and that what is printed reads back the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/json.h"

enum { LIMIT = 4 * 1024 * 1024 };

static struct json *parse(const char *text, struct error *err)
{
    return json_parse(text, strlen(text), LIMIT, err);
}

static void assert_prints(const struct json *json, enum json_style style, const char *expected)
{
    struct buffer out;
    struct error err;
    buffer_init(&out, 0);
    assert_int_equal(json_print(json, style, &out, &err), 0);
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
}

static void good_texts_print_back(void **state)
{
    static const struct {
        const char *text, *compact;
    } cases[] = {
        {"{}", "{}"},
        {" [ ] \r\n\t", "[]"},
        {"[1,-1,0,-0,1.5,1e3,2E-2,0.1]", "[1,-1,0,0,1.5,1000,0.02,0.1]"},
        {"[9007199254740992,1000000000000000,1700000000000000]",
         "[9007199254740992,1000000000000000,1700000000000000]"},
        {"[true,false,null]", "[true,false,null]"},
        {"\"\\u00e9\\ud83d\\ude00 \\\\ \\\" \\/ \\b\\f\\n\\r\\t \\u001f\"",
         "\"é😀 \\\\ \\\" / \\b\\f\\n\\r\\t \\u001f\""},
        {"{\"a\":{\"b\":[{}]},\"A\":1}", "{\"a\":{\"b\":[{}]},\"A\":1}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        struct json *json = parse(cases[i].text, &err);
        assert_non_null(json);
        assert_prints(json, JSON_COMPACT, cases[i].compact);
        json_destroy(json);
    }
}

static void bad_texts_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "not well-formed"},
        {"{", "ends in the middle"},
        {"[1,]", "not well-formed JSON (line 1, column 4)"},
        {"[\n 1\n 2]", "not well-formed JSON (line 3, column 2)"},
        {"[01]", "not a number"},
        {"[1.]", "not a number"},
        {"[-]", "not a number"},
        {"[1e]", "not a number"},
        {"[+1]", "not well-formed"},
        {"[1e999]", "too large"},
        {"[11111111111111111111111111111111111111111111111111111111111111]", "too many digits"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "the key \"a\" comes twice"},
        {"[{\"x\":{\"k\":1,\"k\":1}}]", "the key \"k\" comes twice"},
        {"\"\\u0000\"", "a NUL in a string"},
        {"\"\xff\"", "no UTF-8"},
        {"\"\xc0\x80\"", "no UTF-8"},
        {"\"\xed\xa0\x80\"", "no UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "no UTF-8"},
        {"\"\xe2\x82\"", "no UTF-8"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\x41\"", "unknown escape"},
        {"\"\\u12g4\"", "hexadecimal"},
        {"\"a\nb\"", "control character"},
        {"\"", "without end"},
        {"{} {}", "not well-formed"},
        {"truex", "not well-formed"},
        {"nul", "not well-formed"},
        {"]", "a closing bracket too many"},
        {"{\"a\":1]", "not well-formed"},
        {"{\"a\" 1}", "not well-formed"},
        {"{1:1}", "not well-formed"},
        {"{\"1\":1,", "ends in the middle"},
        {"\x01[]", "not well-formed"},
        {"\xef\xbb\xbf{}", "not well-formed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        assert_null(parse(cases[i].text, &err));
        assert_int_equal(err.code, ERROR_INVALID);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.message, cases[i].message);
    }
}

static void a_nul_byte_is_refused_wherever_it_is(void **state)
{
    struct error err;
    (void)state;
    assert_null(json_parse("[1]\0", 4, LIMIT, &err));
    assert_null(json_parse("\"a\0b\"", 5, LIMIT, &err));
    assert_null(json_parse("[\0]", 3, LIMIT, &err));
}

static void depth_size_and_count_are_bounded(void **state)
{
    struct error err;
    char *text = calloc(1, LIMIT + 2);
    (void)state;
    assert_non_null(text);
    for (int depth = 32; depth <= 33; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = 0;
        struct json *json = parse(text, &err);
        assert_int_equal(json != NULL, depth == 32);
        json_destroy(json);
    }
    assert_non_null(strstr(err.message, "nested too deep"));
    memset(text, '[', LIMIT); /* the depth ends it, not the stack */
    assert_null(json_parse(text, LIMIT, LIMIT, &err));
    assert_null(json_parse("[1]", 3, 2, &err));
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    for (size_t i = 0; i < LIMIT; i += 2)
        memcpy(text + i, i ? ",1" : "[1", 2);
    text[LIMIT] = ']';
    assert_null(json_parse(text, LIMIT + 1, LIMIT + 1, &err));
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    free(text);
}

static void values_are_looked_at_by_type(void **state)
{
    struct error err;
    struct json *json =
        parse("{\"s\":\"x\",\"n\":7,\"f\":1.5,\"t\":true,\"a\":[1,2,3],\"o\":{},\"z\":null}", &err);
    (void)state;
    assert_true(json_is_object(json) && !json_is_array(json));
    assert_int_equal(json_count(json), 7);
    assert_string_equal(json_text(json_get(json, "s")), "x");
    assert_null(json_text(json_get(json, "n")));
    assert_null(json_get(json, "S"));
    assert_null(json_get(json_get(json, "a"), "s"));
    assert_int_equal(json_get_int(json, "n", 1), 7);
    assert_int_equal(json_get_int(json, "f", 1), 1);
    assert_true(json_get_bool(json, "t", false) && json_truth(json_get(json, "t")));
    assert_false(json_truth(json_get(json, "n")));
    assert_string_equal(json_get_text(json, "z", "none"), "none");
    int64_t sum = 0;
    for (const struct json *v = json_first(json_get(json, "a")); v; v = json_next(v))
        sum += (int64_t)json_number(v);
    assert_int_equal(sum, 6);
    assert_string_equal(json_key(json_first(json)), "s");
    json_destroy(json);
}

static void strict_reading_names_the_key(void **state)
{
    struct error err;
    struct arena arena;
    struct json *json =
        parse("{\"s\":\"x\",\"n\":7,\"f\":1.5,\"b\":true,\"a\":[1,2,3],\"o\":{\"k\":1},\"z\":null}", &err);
    const char *text = "kept";
    int64_t number = 42;
    bool truth = false;
    double real = 0;
    const struct json *found = json;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(json_read_string(json, "s", JSON_REQUIRED, &arena, &text, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(json_read_string(json, "none", JSON_OPTIONAL, &arena, &text, &err), 0);
    assert_int_equal(json_read_string(json, "z", JSON_OPTIONAL, &arena, &text, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(json_read_string(json, "z", JSON_REQUIRED, &arena, &text, &err), -1);
    assert_string_equal(err.message, "\"z\" is missing");
    assert_int_equal(json_read_string(json, "n", JSON_OPTIONAL, &arena, &text, &err), -1);
    assert_string_equal(err.message, "\"n\" must be a string");
    assert_int_equal(json_read_int(json, "n", JSON_REQUIRED, 0, 7, &number, &err), 0);
    assert_int_equal(number, 7);
    assert_int_equal(json_read_int(json, "n", JSON_REQUIRED, 8, 9, &number, &err), -1);
    assert_string_equal(err.message, "\"n\" must be 8 to 9, not 7");
    assert_int_equal(json_read_int(json, "f", JSON_REQUIRED, 0, 9, &number, &err), -1);
    assert_string_equal(err.message, "\"f\" must be a whole number");
    assert_int_equal(json_read_double(json, "f", JSON_REQUIRED, &real, &err), 0);
    assert_true(real == 1.5);
    assert_int_equal(json_read_bool(json, "b", JSON_REQUIRED, &truth, &err), 0);
    assert_true(truth);
    assert_int_equal(json_read_bool(json, "n", JSON_REQUIRED, &truth, &err), -1);
    assert_int_equal(json_read_array(json, "a", JSON_REQUIRED, 3, &found, &err), 0);
    assert_int_equal(json_count(found), 3);
    assert_int_equal(json_read_array(json, "a", JSON_REQUIRED, 2, &found, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    assert_int_equal(json_read_array(json, "o", JSON_REQUIRED, 3, &found, &err), -1);
    assert_int_equal(json_read_object(json, "o", JSON_REQUIRED, &found, &err), 0);
    assert_int_equal(json_get_int(found, "k", 0), 1);
    assert_int_equal(json_read_object(json, "none", JSON_OPTIONAL, &found, &err), 0);
    assert_null(found);
    assert_int_equal(json_read_int(json_get(json, "a"), "n", JSON_OPTIONAL, 0, 1, &number, &err), -1);
    arena_finish(&arena);
    json_destroy(json);
}

static void what_is_built_is_printed(void **state)
{
    struct json *root = json_object();
    (void)state;
    json_set_string(root, "name", "a\"b\x01");
    json_set_string(root, "broken", "x\xffy\xe2\x82");
    json_set_int(root, "big", INT64_C(9007199254740992));
    json_set_double(root, "real", 0.1);
    json_set_bool(root, "yes", true);
    json_set_null(root, "nothing");
    json_set_time(root, "at", 1700000000123);
    json_set_time(root, "never", 0);
    struct json *list = json_set(root, "list", json_array());
    json_append(list, json_string("one"));
    json_append(list, json_object());
    json_set_int(root, "big", 5); /* replaces */
    struct json *copy = json_copy(root);
    json_destroy(root);
    assert_prints(copy, JSON_COMPACT,
                  "{\"name\":\"a\\\"b\\u0001\",\"broken\":\"x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\","
                  "\"real\":0.1,\"yes\":true,"
                  "\"nothing\":null,\"at\":\"2023-11-14T22:13:20.123Z\",\"never\":null,\"list\":[\"one\",{}],"
                  "\"big\":5}");
    json_destroy(copy);
    root = json_object();
    json_set(root, "a", json_array());
    json_append(json_set(root, "b", json_array()), json_string("x"));
    assert_prints(root, JSON_PRETTY, "{\n  \"a\": [],\n  \"b\": [\n    \"x\"\n  ]\n}");
    json_destroy(root);
}

static void a_failed_allocation_is_told_by_print(void **state)
{
    struct buffer out;
    struct error err;
    struct json *root = json_object(), *inner = json_set(root, "inner", json_object());
    (void)state;
    buffer_init(&out, 0);
    buffer_append_text(&out, "before");
    json_set(inner, "lost", NULL); /* as json_string() gives it when memory is out */
    struct json *copy = json_copy(root);
    assert_int_equal(json_print(root, JSON_COMPACT, &out, &err), -1);
    assert_int_equal(err.code, ERROR_NO_MEMORY);
    assert_int_equal(json_print(copy, JSON_COMPACT, &out, &err), -1);
    assert_int_equal(json_print(NULL, JSON_COMPACT, &out, &err), -1);
    assert_string_equal(buffer_text(&out), "before");
    assert_null(json_set(NULL, "x", json_object()));
    json_destroy(root);
    json_destroy(copy);
    buffer_finish(&out);
}

static void printing_keeps_to_the_buffers_limit(void **state)
{
    struct buffer out;
    struct error err;
    struct json *json = json_string("0123456789");
    (void)state;
    buffer_init(&out, 11);
    assert_int_equal(json_print(json, JSON_COMPACT, &out, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    assert_int_equal(out.length, 0);
    out.limit = 12;
    assert_int_equal(json_print(json, JSON_COMPACT, &out, &err), 0);
    buffer_finish(&out);
    json_destroy(json);
}

/* json.c's own free() (linked with --wrap=free), so that what is given back can be looked at. */
void __real_free(void *block);
void __wrap_free(void *block);
static const void *watched;
static bool was_cleared;

void __wrap_free(void *block)
{
    if (block && block == watched)
        was_cleared = *(const char *)block == 0 && *((const char *)block + 1) == 0;
    __real_free(block);
}

static void what_is_given_back_is_cleared(void **state)
{
    struct error err;
    (void)state;
    struct json *read = parse("{\"password\":\"swordfish\"}", &err), *made = json_string("swordfish");
    watched = json_get_text(read, "password", NULL);
    json_destroy(read);
    assert_true(was_cleared);
    was_cleared = false;
    watched = json_text(made);
    json_destroy(made);
    assert_true(was_cleared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_print_back),
        cmocka_unit_test(bad_texts_are_refused_with_their_place),
        cmocka_unit_test(a_nul_byte_is_refused_wherever_it_is),
        cmocka_unit_test(depth_size_and_count_are_bounded),
        cmocka_unit_test(values_are_looked_at_by_type),
        cmocka_unit_test(strict_reading_names_the_key),
        cmocka_unit_test(what_is_built_is_printed),
        cmocka_unit_test(a_failed_allocation_is_told_by_print),
        cmocka_unit_test(printing_keeps_to_the_buffers_limit),
        cmocka_unit_test(what_is_given_back_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
