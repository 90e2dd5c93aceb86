/* A keyfile's text: two keys, and one where a server reads no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/keyfile.h"

static const char two[] = "- first\n- second\n", one[] = "first\n";

static void it_is_read_as_it_was_written(void **state)
{
    (void)state;
    char text[KEYFILE_TEXT_MAX], keys[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX];
    keyfile_write((const char *const[]){"first", "second"}, 2, text);
    assert_string_equal(text, two);
    assert_int_equal(keyfile_read(text, keys), 2);
    assert_string_equal(keys[0], "first");
    assert_string_equal(keys[1], "second");
    keyfile_write((const char *const[]){"first"}, 1, text);
    assert_string_equal(text, one);
    assert_int_equal(keyfile_read(text, keys), 1);
    assert_string_equal(keys[0], "first");
}

static void what_is_none_has_no_keys(void **state)
{
    (void)state;
    char keys[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX], long_text[KEYFILE_KEY_MAX + 1];
    assert_int_equal(keyfile_read(NULL, keys), 0);
    assert_int_equal(keyfile_read("", keys), 0);
    assert_int_equal(keyfile_read("- \n", keys), 0);
    memset(long_text, 'x', KEYFILE_KEY_MAX);
    long_text[KEYFILE_KEY_MAX] = 0;
    assert_int_equal(keyfile_read(long_text, keys), 0);
}

static void the_first_key_is_the_password(void **state)
{
    (void)state;
    char key[KEYFILE_KEY_MAX];
    assert_true(keyfile_password(two, key));
    assert_string_equal(key, "first");
}

static void a_server_before_4_2_gets_the_first_key_alone(void **state)
{
    (void)state;
    char first[KEYFILE_TEXT_MAX] = "";
    assert_string_equal(keyfile_for_version(two, "4.0.28", first), one);
    assert_string_equal(keyfile_for_version(two, "4.2.0", first), two);
    assert_string_equal(keyfile_for_version(two, "7.0.14", first), two);
    assert_string_equal(keyfile_for_version(two, "", first),
                        two); /* as the names of the options: the newest */
    assert_string_equal(keyfile_for_version(one, "4.0.28", first), one);
    assert_string_equal(keyfile_for_version("", "4.0.28", first), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_as_it_was_written),
        cmocka_unit_test(what_is_none_has_no_keys),
        cmocka_unit_test(the_first_key_is_the_password),
        cmocka_unit_test(a_server_before_4_2_gets_the_first_key_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
