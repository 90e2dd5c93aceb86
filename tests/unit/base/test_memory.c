/* Arena, buffer and error: bounds, stickiness, and that a failure leaves what was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "proto/base/arena.h"
#include "proto/base/buffer.h"
#include "proto/base/error.h"

static void an_arena_gives_zeroed_aligned_memory(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (size_t size = 1; size < 5000; size += 37) {
        unsigned char *memory = arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
    }
    assert_false(arena_failed(&arena));
    assert_string_equal(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
    assert_string_equal(arena_string(&arena, NULL), "");
    assert_string_equal(arena_string_n(&arena, "abcdef", 3), "abc");
    arena_finish(&arena);
}

static void an_arena_that_ran_out_stays_so_and_says_so(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 64);
    assert_non_null(arena_alloc(&arena, 48));
    assert_null(arena_alloc(&arena, 32));
    assert_true(arena_failed(&arena));
    assert_string_equal(arena_string(&arena, "a text that is longer than what is left"), "");
    arena_finish(&arena);
    assert_false(arena_failed(&arena));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
    assert_true(arena_failed(&arena));
    arena_finish(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_array(&arena, 0, 4));
    arena_finish(&arena);
}

static void a_buffer_keeps_to_its_limit_and_its_content(void **state)
{
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 8);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer_append(&buffer, "12345", 5), 0);
    assert_int_equal(buffer_append_text(&buffer, "6789"), -1);
    assert_int_equal(buffer_printf(&buffer, "%d", 6789), -1);
    assert_string_equal(buffer_text(&buffer), "12345");
    assert_int_equal(buffer_printf(&buffer, "%03d", 7), 0);
    assert_string_equal(buffer_text(&buffer), "12345007");
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(buffer_append(&buffer, "", SIZE_MAX), -1);
    buffer_consume(&buffer, 5);
    assert_string_equal(buffer_text(&buffer), "007");
    buffer_consume(&buffer, 50);
    assert_int_equal(buffer.length, 0);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_finish(&buffer);
    assert_int_equal(buffer.limit, 8);
}

static void errors_are_wrapped_and_cut_not_overrun(void **state)
{
    struct error err;
    char longest[2 * ERROR_MESSAGE_MAX];
    (void)state;
    assert_int_equal(error_set(&err, ERROR_CONFLICT, "revision %d", 7), -1);
    assert_int_equal(error_wrap(&err, "cannot apply %s", "x.yaml"), -1);
    assert_string_equal(err.message, "cannot apply x.yaml: revision 7");
    assert_int_equal(err.code, ERROR_CONFLICT);
    error_set_errno(&err, ENOENT, "cannot open %s", "x");
    assert_string_equal(err.message, "cannot open x: No such file or directory");
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(err.detail, ENOENT);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    error_set(&err, ERROR_IO, "%s", longest);
    error_wrap(&err, "%s", longest);
    error_set_errno(&err, ENOENT, "%s", longest);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    assert_int_equal(error_set(NULL, ERROR_IO, "nobody listens"), -1);
    assert_int_equal(error_wrap(NULL, "nobody listens"), -1);
    assert_string_equal(error_code_name(ERROR_TOO_LARGE), "too_large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(an_arena_that_ran_out_stays_so_and_says_so),
        cmocka_unit_test(a_buffer_keeps_to_its_limit_and_its_content),
        cmocka_unit_test(errors_are_wrapped_and_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
