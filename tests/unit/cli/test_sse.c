/* Server-Sent Events, however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/sse.h"

static int note(void *context, const char *name, const char *data)
{
    buffer_printf(context, "[%s|%s]", name, data);
    return strcmp(data, "stop") == 0;
}

static void events_are_the_same_however_the_stream_is_cut(void **state)
{
    static const char stream[] =
        ": hello\n\nevent: status\ndata: {\"a\":1}\n\nid: 7\nevent:event\ndata: one\ndata: two\r\n\r\n"
        "data\n\ndata: plain\n\nevent: nothing\n\nretry: 5\n";
    (void)state;
    for (size_t part = 1; part <= sizeof stream; part++) {
        struct buffer seen;
        struct sse sse;
        buffer_init(&seen, 0);
        sse_init(&sse, note, &seen);
        for (size_t at = 0; at < sizeof stream - 1; at += part)
            assert_int_equal(
                sse_feed(&sse, stream + at, at + part < sizeof stream - 1 ? part : sizeof stream - 1 - at),
                0);
        assert_string_equal(buffer_text(&seen), "[status|{\"a\":1}][event|one\ntwo][message|plain]");
        assert_string_equal(sse.id, "7");
        sse_finish(&sse);
        buffer_finish(&seen);
    }
}

static void a_listener_ends_the_reading(void **state)
{
    struct buffer seen;
    struct sse sse;
    (void)state;
    buffer_init(&seen, 0);
    sse_init(&sse, note, &seen);
    assert_int_not_equal(sse_feed(&sse, "data: stop\n\ndata: more\n\n", 24), 0);
    assert_string_equal(buffer_text(&seen), "[message|stop]");
    sse_finish(&sse);
    buffer_finish(&seen);
}

static void what_was_half_read_is_forgotten_by_a_new_stream(void **state)
{
    struct buffer seen;
    struct sse sse;
    (void)state;
    buffer_init(&seen, 0);
    sse_init(&sse, note, &seen);
    sse_feed(&sse, "id: 3\ndata: a\n\nevent: x\ndata: b", 31);
    sse_restart(&sse);
    sse_feed(&sse, "data: c\n\n", 9);
    assert_string_equal(buffer_text(&seen), "[message|a][message|c]");
    assert_string_equal(sse.id, "3");
    sse_finish(&sse);
    buffer_finish(&seen);
}

static void a_line_without_end_is_refused(void **state)
{
    struct buffer seen;
    struct sse sse;
    char *text = malloc(SSE_LINE_MAX + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', SSE_LINE_MAX + 1);
    buffer_init(&seen, 0);
    sse_init(&sse, note, &seen);
    assert_int_equal(sse_feed(&sse, text, SSE_LINE_MAX + 1),
                     -1); /* an end that nobody wished: not above zero */
    sse_finish(&sse);
    buffer_finish(&seen);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_however_the_stream_is_cut),
        cmocka_unit_test(a_listener_ends_the_reading),
        cmocka_unit_test(what_was_half_read_is_forgotten_by_a_new_stream),
        cmocka_unit_test(a_line_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
