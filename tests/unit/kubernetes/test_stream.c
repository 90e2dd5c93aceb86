/* Objects cut out of watches and lists, whatever the pieces that they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "zone-agent/kubernetes/stream.h"
#include "zone-agent/kubernetes/watch_url.h"

static char seen[4096];
static int seen_count, refuse_after;

static int note(void *context, const char *text, size_t length, struct error *err)
{
    (void)context;
    strncat(seen, text, length);
    strcat(seen, "|");
    seen_count++;
    return refuse_after && seen_count == refuse_after ? error_set(err, ERROR_CANCELED, "enough") : 0;
}

static void begin(struct kube_stream *stream, enum kube_stream_kind kind, size_t most)
{
    seen[0] = 0;
    seen_count = refuse_after = 0;
    kube_stream_init(stream, kind, most, note, NULL);
}

/* Feeds `text` in pieces of `size`. */
static int feed(struct kube_stream *stream, const char *text, size_t size, struct error *err)
{
    for (size_t at = 0, length = strlen(text); at < length; at += size)
        if (kube_stream_feed(stream, text + at, at + size > length ? length - at : size, err))
            return -1;
    return 0;
}

static const char events[] =
    "{\"type\":\"ADDED\",\"object\":{\"a\":\"}{\\\"\\\\\"}}\n{\"b\":[1,{\"c\":\"]\"}]}\n\n  {}\n";

static void events_come_whole_from_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t size = 1; size < sizeof events; size++) {
        struct kube_stream stream;
        struct error err;
        begin(&stream, KUBE_STREAM_WATCH, 4096);
        assert_int_equal(feed(&stream, events, size, &err), 0);
        assert_string_equal(
            seen, "{\"type\":\"ADDED\",\"object\":{\"a\":\"}{\\\"\\\\\"}}|{\"b\":[1,{\"c\":\"]\"}]}|{}|");
        assert_int_equal(kube_stream_end(&stream, &err), 0);
        kube_stream_finish(&stream);
    }
}

static const char list[] =
    "{\"kind\":\"PodList\",\"x\":{\"items\":[{\"not\":1}]},\"metadata\":{\"resourceVersion\":\"7\"},"
    "\"items\" : [{\"n\":\"1 ]\"} , {\"n\":{\"items\":[{}]}}],\"last\":[1]}\n";

static void items_come_one_by_one_and_the_rest_stays(void **state)
{
    (void)state;
    for (size_t size = 1; size < sizeof list; size++) {
        struct kube_stream stream;
        struct error err;
        begin(&stream, KUBE_STREAM_LIST, 4096);
        assert_int_equal(feed(&stream, list, size, &err), 0);
        assert_string_equal(seen, "{\"n\":\"1 ]\"}|{\"n\":{\"items\":[{}]}}|");
        assert_int_equal(kube_stream_end(&stream, &err), 0);
        assert_string_equal(
            buffer_text(&stream.frame),
            "{\"kind\":\"PodList\",\"x\":{\"items\":[{\"not\":1}]},\"metadata\":{\"resourceVersion\":\"7\"},"
            "\"items\" : [],\"last\":[1]}");
        kube_stream_finish(&stream);
    }
}

static void a_cut_list_is_no_list(void **state)
{
    (void)state;
    for (size_t length = 0; length < strlen(list) - 1; length++) {
        struct kube_stream stream;
        struct error err;
        begin(&stream, KUBE_STREAM_LIST, 4096);
        assert_int_equal(kube_stream_feed(&stream, list, length, &err), 0);
        assert_int_equal(kube_stream_end(&stream, &err), -1);
        assert_int_equal(err.code, ERROR_UNREACHABLE);
        kube_stream_finish(&stream);
    }
}

static void an_object_above_its_bound_is_an_error(void **state)
{
    struct kube_stream stream;
    struct error err;
    (void)state;
    begin(&stream, KUBE_STREAM_WATCH, 10);
    assert_int_equal(feed(&stream, "{\"a\":1234}", 3, &err), 0); /* ten bytes */
    assert_int_equal(feed(&stream, "{\"a\":12345}", 3, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    assert_true(stream.object.length <= 10);
    kube_stream_finish(&stream);
}

static int measure(void *context, const char *text, size_t length, struct error *err)
{
    (void)text;
    (void)err;
    *(size_t *)context = length;
    return 0;
}

static void a_big_object_leaves_no_memory_behind(void **state)
{
    static char big[200000];
    struct kube_stream stream;
    struct error err;
    size_t length = 0;
    (void)state;
    kube_stream_init(&stream, KUBE_STREAM_WATCH, sizeof big, measure, &length);
    memset(big, ' ', sizeof big);
    big[0] = '{';
    big[sizeof big - 1] = '}';
    assert_int_equal(kube_stream_feed(&stream, big, sizeof big - 1, &err), 0);
    assert_true(stream.object.capacity > KUBE_STREAM_KEPT_MAX);
    assert_int_equal(kube_stream_feed(&stream, "}", 1, &err), 0);
    assert_int_equal(length, sizeof big);
    assert_true(stream.object.capacity <= KUBE_STREAM_KEPT_MAX);
    kube_stream_finish(&stream);
}

static void what_is_no_stream_is_refused(void **state)
{
    static const struct {
        enum kube_stream_kind kind;
        const char *text;
    } cases[] = {
        {KUBE_STREAM_WATCH, "<html>"},
        {KUBE_STREAM_WATCH, "[{}]"},
        {KUBE_STREAM_WATCH, "{}x"},
        {KUBE_STREAM_LIST, "<html>"},
        {KUBE_STREAM_LIST, "{\"items\":[1]}"},
        {KUBE_STREAM_LIST, "{\"items\":[{}]}{"},
        {KUBE_STREAM_LIST, "[]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kube_stream stream;
        struct error err = {.code = ERROR_NONE};
        begin(&stream, cases[i].kind, 4096);
        assert_int_equal(feed(&stream, cases[i].text, 1, &err), -1);
        assert_int_equal(err.code, ERROR_PROTOCOL);
        kube_stream_finish(&stream);
    }
}

static void a_frame_is_bounded(void **state)
{
    struct kube_stream stream;
    struct error err;
    int failed = 0;
    (void)state;
    begin(&stream, KUBE_STREAM_LIST, 4096);
    assert_int_equal(feed(&stream, "{\"", 2, &err), 0);
    for (int i = 0; i < KUBE_STREAM_FRAME_MAX && !failed; i++)
        failed = kube_stream_feed(&stream, "xx", 2, &err);
    assert_int_equal(failed, -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    kube_stream_finish(&stream);
}

static void who_takes_objects_can_end_it(void **state)
{
    struct kube_stream stream;
    struct error err;
    (void)state;
    begin(&stream, KUBE_STREAM_WATCH, 4096);
    refuse_after = 2;
    assert_int_equal(feed(&stream, "{}{}{}", 6, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELED);
    assert_int_equal(seen_count, 2);
    kube_stream_finish(&stream);
}

static void paths_are_encoded(void **state)
{
    struct buffer out;
    struct watch_query query = {
        .path = "/api/v1/pods", .label_selector = "a.b/c=d,e in (f)", .limit = 5, .continue_token = "x+/="};
    (void)state;
    buffer_init(&out, 0);
    assert_int_equal(watch_url_write(&query, &out), 0);
    assert_string_equal(
        buffer_text(&out),
        "/api/v1/pods?limit=5&continue=x%2B%2F%3D&labelSelector=a.b%2Fc%3Dd%2Ce%20in%20%28f%29");
    buffer_clear(&out);
    query.resource_version = "12 3";
    query.timeout_s = 300;
    query.label_selector = NULL;
    query.field_selector = "metadata.name=x";
    assert_int_equal(watch_url_write(&query, &out), 0);
    assert_string_equal(buffer_text(&out),
                        "/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=300"
                        "&resourceVersion=12%203&fieldSelector=metadata.name%3Dx");
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_whole_from_pieces_of_any_size),
        cmocka_unit_test(items_come_one_by_one_and_the_rest_stays),
        cmocka_unit_test(a_cut_list_is_no_list),
        cmocka_unit_test(an_object_above_its_bound_is_an_error),
        cmocka_unit_test(a_big_object_leaves_no_memory_behind),
        cmocka_unit_test(what_is_no_stream_is_refused),
        cmocka_unit_test(a_frame_is_bounded),
        cmocka_unit_test(who_takes_objects_can_end_it),
        cmocka_unit_test(paths_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
