/* Log lines: one each, and nothing in them that a terminal obeys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"

/* What log_write() writes for this text, behind the time. */
static void line_of(const char *text, char *out, size_t size)
{
    int pipes[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
    log_write(LOG_LEVEL_WARNING, "test", "%s", text);
    dup2(before, STDERR_FILENO);
    close(before);
    close(pipes[1]);
    ssize_t length = read(pipes[0], out, size - 1);
    close(pipes[0]);
    assert_true(length > 0);
    out[length] = 0;
    const char *said = strstr(out, "atoll/test: ");
    assert_non_null(said);
    memmove(out, said + strlen("atoll/test: "), strlen(said));
}

static void what_a_terminal_obeys_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain, with ümlaut and 雪", "plain, with ümlaut and 雪\n"},
        {"two\nlines\r", "two\\nlines\\x0d\n"},
        {"\033[2J\a\177", "\\x1b[2J\\x07\\x7f\n"},
        {"\xc2\x9b"
         "2J",
         "\\x9b2J\n"}, /* CSI as one C1 character */
        {"a\xe2\x80\xae"
         "b",
         "a\\u{202e}b\n"},               /* right to left from here on */
        {"\xe2\x80\xa8", "\\u{2028}\n"}, /* a line separator */
        {"\xff\xc3", "\\xff\\xc3\n"},    /* no UTF-8 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[512];
        line_of(cases[i].text, line, sizeof line);
        assert_string_equal(line, cases[i].shown);
    }
}

static void a_long_text_is_cut_and_stays_one_line(void **state)
{
    (void)state;
    char text[6000], line[8192];
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = 0;
    line_of(text, line, sizeof line);
    assert_true(strlen(line) < 4200);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_obeys_is_escaped),
        cmocka_unit_test(a_long_text_is_cut_and_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
