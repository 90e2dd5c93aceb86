/* Events: sentences filled in, the ring that forgets the oldest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/serve/event.h"

static void a_sentence_is_filled_in_with_one_full_stop(void **state)
{
    (void)state;
    struct event event;
    event_make(&event, EVENT_ACTION_FAILED, 5,
               &(struct event_words){.set = "mongo", .to = "reconfigure", .detail = "nobody answers."});
    assert_string_equal(event.message, "The reconfigure of set mongo failed: nobody answers.");
    assert_string_equal(event_type_text(event.reason), "Warning");
}

static void every_reason_has_its_words(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_REASON_COUNT; i++) {
        struct event event;
        event_make(&event, (enum event_reason)i, 1,
                   &(struct event_words){"SET", "ZONE", "MEMBER", "FROM", "TO", "DETAIL", 7});
        assert_null(strchr(event.message, '{'));
        assert_true(strlen(event_reason_text((enum event_reason)i)) > 3);
    }
}

static void a_long_sentence_is_cut_not_overrun(void **state)
{
    (void)state;
    struct event event;
    char detail[2 * EVENT_MESSAGE_MAX];
    memset(detail, 'x', sizeof detail - 1);
    detail[sizeof detail - 1] = 0;
    event_make(&event, EVENT_WAIT_BEGAN, 1, &(struct event_words){.set = detail, .detail = detail});
    assert_int_equal(strlen(event.message), EVENT_MESSAGE_MAX - 1);
    assert_int_equal(strlen(event.set), EVENT_NAME_MAX - 1);
}

static void the_ring_keeps_the_last_and_finds_what_comes_after(void **state)
{
    (void)state;
    struct event_ring ring;
    struct error err;
    struct event event = {.reason = EVENT_WAIT_BEGAN};
    assert_int_equal(event_ring_init(&ring, 100, &err), 0);
    assert_null(event_ring_next(&ring, 0, NULL));
    for (int i = 0; i < EVENTS_KEPT + 50; i++) {
        snprintf(event.set, sizeof event.set, i % 2 ? "odd" : "even");
        event_ring_add(&ring, &event);
    }
    assert_int_equal(event_ring_next(&ring, 0, NULL)->id, 150);
    assert_int_equal(event_ring_next(&ring, 0, "odd")->id, 151);
    assert_int_equal(event_ring_next(&ring, 151, "odd")->id, 153);
    assert_int_equal(event_ring_next(&ring, 100 + EVENTS_KEPT + 48, NULL)->id, 100 + EVENTS_KEPT + 49);
    assert_null(event_ring_next(&ring, 100 + EVENTS_KEPT + 49, NULL));
    assert_null(event_ring_next(&ring, UINT64_MAX, NULL));
    event_ring_finish(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_is_filled_in_with_one_full_stop),
        cmocka_unit_test(every_reason_has_its_words),
        cmocka_unit_test(a_long_sentence_is_cut_not_overrun),
        cmocka_unit_test(the_ring_keeps_the_last_and_finds_what_comes_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
