/* The client against the server, in one process on one loop: streams, bounds, timeouts, cancelling, and what
 * went wrong said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/serve/http_fixture.h"

enum { STREAMS = 60 };

struct outcome {
    struct fixture *fixture;
    int done_count, status;
    enum error_code code;
    char message[ERROR_MESSAGE_MAX], type[64], etag[64], body[256];
    int64_t retry_after_ms;
    size_t length, stream_bytes;
    bool stop_stream, cancel_in_stream, start_another;
    struct http_call *call;
};

static int on_data(void *context, const char *data, size_t length)
{
    struct outcome *outcome = context;
    (void)data;
    outcome->stream_bytes += length;
    if (outcome->cancel_in_stream)
        http_call_cancel(outcome->call);
    return outcome->stop_stream;
}

static void start(struct fixture *fixture, struct outcome *outcome, const char *path,
                  struct http_call_options options);

static void on_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct outcome *outcome = context;
    outcome->done_count++;
    outcome->status = answer->status;
    outcome->code = err ? err->code : ERROR_NONE;
    snprintf(outcome->message, sizeof outcome->message, "%s", err ? err->message : "");
    snprintf(outcome->type, sizeof outcome->type, "%s", answer->content_type);
    snprintf(outcome->etag, sizeof outcome->etag, "%s", answer->etag);
    snprintf(outcome->body, sizeof outcome->body, "%.200s", answer->body);
    outcome->retry_after_ms = answer->retry_after_ms;
    outcome->length = answer->length;
    if (outcome->start_another) {
        outcome->start_another = false;
        start(outcome->fixture, outcome, "/echo", (struct http_call_options){.body_limit = 1000});
        assert_int_equal(outcome->done_count, 1); /* never from inside the start */
    }
}

static void start(struct fixture *fixture, struct outcome *outcome, const char *path,
                  struct http_call_options options)
{
    char url[256];
    struct error err;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(fixture->server), path);
    if (!options.method)
        options.method = "GET";
    options.url = url;
    options.done = on_done;
    options.context = outcome;
    outcome->fixture = fixture;
    outcome->call = http_client_start(fixture->client, &options, &err);
    if (!outcome->call)
        fail_msg("%s", err.message);
}

static struct outcome fetch(struct fixture *fixture, const char *path, struct http_call_options options)
{
    struct outcome outcome = {0};
    start(fixture, &outcome, path, options);
    assert_int_equal(outcome.done_count, 0);
    fixture_wait(fixture, outcome.done_count);
    return outcome;
}

static void an_answer_brings_what_it_says(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = fetch(fixture, "/echo?q=1", (struct http_call_options){.body_limit = 1000});
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "GET /echo q=1 x=- 0\n");
    assert_string_equal(outcome.type, "text/plain");
    assert_string_equal(outcome.etag, "\"e1\"");
    assert_int_equal(outcome.retry_after_ms, 7000);
    outcome = fetch(fixture, "/nothing", (struct http_call_options){.body_limit = 1000});
    assert_int_equal(outcome.status, 404);
    assert_int_equal(outcome.code, ERROR_NONE);
    assert_non_null(strstr(outcome.body, "not_found"));
    assert_string_equal(outcome.etag, "");
    assert_int_equal(outcome.retry_after_ms, -1);
    outcome = fetch(fixture, "/echo", (struct http_call_options){.method = "HEAD"});
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.length, 0);
}

static void methods_headers_and_bodies_are_sent(void **state)
{
    struct fixture *fixture = *state;
    const char *const headers[] = {"Content-Type: application/json", "X-Test: yes", NULL};
    static const char *const methods[] = {"PUT", "POST", "PATCH", "DELETE"};
    for (size_t i = 0; i < 4; i++) {
        struct outcome outcome = fetch(fixture, "/echo",
                                       (struct http_call_options){.method = methods[i],
                                                                  .headers = headers,
                                                                  .body = "{\"a\":1}",
                                                                  .body_length = 7,
                                                                  .body_limit = 1000});
        char expected[64];
        snprintf(expected, sizeof expected, "%s /echo q=- x=yes 7\n", methods[i]);
        assert_string_equal(outcome.body, expected);
        assert_string_equal(fixture->last_body, "{\"a\":1}");
        outcome =
            fetch(fixture, "/echo", (struct http_call_options){.method = methods[i], .body_limit = 1000});
        assert_int_equal(outcome.status, 200); /* without a body, but with its length */
    }
}

static void bad_calls_are_refused_at_the_start(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {0};
    struct error err;
    const char *const split[] = {"X: a\r\nEvil: b", NULL};
    struct http_call_options options = {
        .method = "GET", .url = "file:///etc/passwd", .done = on_done, .context = &outcome};
    assert_null(http_client_start(fixture->client, &options, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    options.url = "http://127.0.0.1/";
    options.headers = split;
    assert_null(http_client_start(fixture->client, &options, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    for (int i = 0; i < 10; i++)
        fixture_turn(fixture);
    assert_int_equal(outcome.done_count, 0);
}

/* A port that refuses: bound, not listened on. */
static void nobody_there_is_unreachable(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char url[64];
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", ntohs(address.sin_port));
    struct outcome outcome = {0};
    struct http_call_options options = {.method = "GET", .url = url, .done = on_done, .context = &outcome};
    struct error err;
    assert_non_null(http_client_start(fixture->client, &options, &err));
    fixture_wait(fixture, outcome.done_count);
    assert_int_equal(outcome.code, ERROR_UNREACHABLE);
    assert_non_null(strstr(outcome.message, "GET http://127.0.0.1:"));
    assert_int_equal(outcome.status, 0);
    close(fd);
}

static void timeouts_and_silence_end_a_call(void **state)
{
    struct fixture *fixture = *state;
    uint64_t began = uv_hrtime();
    struct outcome outcome =
        fetch(fixture, "/later", (struct http_call_options){.timeout_ms = 150, .body_limit = 1000});
    assert_int_equal(outcome.code, ERROR_TIMEOUT);
    assert_in_range((uv_hrtime() - began) / 1000000, 145, 2000);
    began = uv_hrtime();
    outcome = fetch(fixture, "/stream", (struct http_call_options){.silence_ms = 150, .on_data = on_data});
    assert_int_equal(outcome.code, ERROR_TIMEOUT);
    assert_in_range((uv_hrtime() - began) / 1000000, 145, 2000);
    fixture_wait(fixture, fixture->gone_count == 1);
}

static void a_stream_that_speaks_is_not_silent(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {0};
    start(fixture, &outcome, "/stream", (struct http_call_options){.silence_ms = 200, .on_data = on_data});
    fixture_wait(fixture, fixture->stream_count == 1);
    uint64_t began = uv_hrtime(), next = began;
    while (uv_hrtime() - began < UINT64_C(700000000)) {
        if (uv_hrtime() > next) {
            assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "tick\n", 5), 0);
            next += 50000000;
        }
        fixture_turn(fixture);
    }
    assert_int_equal(outcome.done_count, 0);
    http_stream_end(fixture->server, fixture->streams[0]);
    fixture_wait(fixture, outcome.done_count);
    assert_int_equal(outcome.code, ERROR_NONE);
    assert_int_equal(outcome.status, 200);
    assert_true(outcome.stream_bytes >= 50);
}

static void an_answer_above_its_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome =
        fetch(fixture, "/text?size=1001", (struct http_call_options){.body_limit = 1000});
    assert_int_equal(outcome.code, ERROR_TOO_LARGE);
    outcome = fetch(fixture, "/text?size=1000", (struct http_call_options){.body_limit = 1000});
    assert_int_equal(outcome.code, ERROR_NONE);
    assert_int_equal(outcome.length, 1000);
    outcome = fetch(fixture, "/text?size=5000000", (struct http_call_options){.body_limit = 5000000});
    assert_int_equal(outcome.length, 5000000);
}

static void a_body_above_the_servers_bound_gets_413(void **state)
{
    struct fixture *fixture = *state;
    static char body[3000000];
    struct outcome outcome = fetch(
        fixture, "/echo",
        (struct http_call_options){.method = "PUT", .body = body, .body_length = 100000, .body_limit = 1000});
    assert_int_equal(outcome.status, 200);
    assert_int_equal(fixture->last_body_length, 100000);
    outcome = fetch(fixture, "/echo",
                    (struct http_call_options){
                        .method = "PUT", .body = body, .body_length = sizeof body, .body_limit = 1000});
    assert_int_equal(outcome.status, 413);
    assert_non_null(strstr(outcome.body, "too_large"));
}

static void large_bodies_wait_for_no_100_continue(void **state)
{
    struct fixture *fixture = *state;
    static char body[3000000];
    fixture_restart_server(fixture, &(struct http_server_options){.address = "127.0.0.1", .name = "x"});
    uint64_t began = uv_hrtime();
    struct outcome outcome =
        fetch(fixture, "/echo",
              (struct http_call_options){
                  .method = "PUT", .body = body, .body_length = sizeof body, .body_limit = 1000});
    assert_int_equal(outcome.status, 200);
    assert_int_equal(fixture->last_body_length, sizeof body);
    assert_true(uv_hrtime() - began < UINT64_C(900000000));
    assert_false(fixture->expect_seen);
}

static void canceling_is_told_once_and_later(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {0};
    start(fixture, &outcome, "/later", (struct http_call_options){.body_limit = 10});
    http_call_cancel(outcome.call); /* before it was even sent */
    http_call_cancel(outcome.call);
    assert_int_equal(outcome.done_count, 0);
    fixture_wait(fixture, outcome.done_count);
    assert_int_equal(outcome.code, ERROR_CANCELED);
    start(fixture, &outcome, "/later", (struct http_call_options){.body_limit = 10});
    fixture_wait(fixture, fixture->later);
    http_call_cancel(outcome.call);
    fixture_wait(fixture, outcome.done_count == 2);
    assert_int_equal(outcome.code, ERROR_CANCELED);
}

static void a_reader_ends_its_stream_from_inside(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome outcome = {.stop_stream = i == 0, .cancel_in_stream = i == 1};
        start(fixture, &outcome, "/stream", (struct http_call_options){.on_data = on_data});
        fixture_wait(fixture, fixture->stream_count == i + 1);
        http_stream_write(fixture->server, fixture->streams[i], "x", 1);
        fixture_wait(fixture, outcome.done_count);
        assert_int_equal(outcome.code, ERROR_CANCELED);
        assert_int_equal(outcome.stream_bytes, 1);
        fixture_wait(fixture, fixture->gone_count == i + 1);
    }
}

static void a_stream_that_is_refused_keeps_its_error_in_the_answer(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome =
        fetch(fixture, "/nothing", (struct http_call_options){.body_limit = 1000, .on_data = on_data});
    assert_int_equal(outcome.status, 404);
    assert_int_equal(outcome.stream_bytes, 0);
    assert_non_null(strstr(outcome.body, "not_found"));
}

static void a_server_that_dies_ends_its_streams(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {0};
    start(fixture, &outcome, "/stream", (struct http_call_options){.on_data = on_data});
    fixture_wait(fixture, fixture->stream_count == 1);
    http_server_destroy(fixture->server, NULL, NULL);
    fixture->server = NULL;
    fixture_wait(fixture, outcome.done_count);
    assert_int_equal(outcome.code, ERROR_UNREACHABLE);
}

static void a_done_may_start_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {.start_another = true};
    start(fixture, &outcome, "/nothing", (struct http_call_options){.body_limit = 1000});
    fixture_wait(fixture, outcome.done_count == 2);
    assert_int_equal(outcome.status, 200);
}

static void connections_are_kept_for_the_next_request(void **state)
{
    struct fixture *fixture = *state;
    fixture_restart_server(
        fixture, &(struct http_server_options){.address = "127.0.0.1", .name = "x", .connections_max = 1});
    for (int i = 0; i < 5; i++) { /* the one place is free only if the same connection is used */
        struct outcome outcome = fetch(fixture, "/echo", (struct http_call_options){.body_limit = 1000});
        assert_int_equal(outcome.status, 200);
    }
}

static void sixty_streams_run_at_once(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[STREAMS];
    memset(outcomes, 0, sizeof outcomes);
    for (size_t i = 0; i < STREAMS; i++)
        start(fixture, &outcomes[i], "/stream",
              (struct http_call_options){.on_data = on_data, .silence_ms = 5000});
    fixture_wait(fixture, fixture->stream_count == STREAMS);
    static char block[1000];
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < STREAMS; i++)
            assert_int_equal(http_stream_write(fixture->server, fixture->streams[i], block, sizeof block), 0);
        fixture_turn(fixture);
    }
    for (size_t i = 0; i < STREAMS; i++)
        assert_int_equal(http_stream_end(fixture->server, fixture->streams[i]), 0);
    for (size_t i = 0; i < STREAMS; i++) {
        fixture_wait(fixture, outcomes[i].done_count);
        assert_int_equal(outcomes[i].code, ERROR_NONE);
        assert_int_equal(outcomes[i].stream_bytes, 100 * sizeof block);
    }
}

static void destroying_the_client_cancels_what_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[3] = {0};
    struct error err;
    start(fixture, &outcomes[0], "/stream", (struct http_call_options){.on_data = on_data});
    start(fixture, &outcomes[1], "/later", (struct http_call_options){.body_limit = 10});
    fixture_wait(fixture, fixture->stream_count && fixture->later);
    start(fixture, &outcomes[2], "/echo", (struct http_call_options){.body_limit = 10}); /* not even sent */
    http_client_destroy(fixture->client);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].done_count, 1);
        assert_int_equal(outcomes[i].code, ERROR_CANCELED);
    }
    fixture->client = http_client_create(&fixture->loop, "again/1", &err);
    assert_non_null(fixture->client);
    assert_int_equal(fetch(fixture, "/echo", (struct http_call_options){.body_limit = 1000}).status, 200);
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Neither side may spin: not with idle streams, and not with a request that waits in a socket that isn't
 * read. */
static void waiting_costs_no_cpu(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[3]; /* they end with the client, in the tear-down */
    for (size_t i = 0; i < 3; i++)
        start(fixture, &outcomes[i], "/stream",
              (struct http_call_options){.on_data = on_data, .silence_ms = 60000});
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_wait(fixture, fixture->stream_count == 3 && fixture->later);
    fixture_send(fixture, fd, "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n");
    uv_timer_set_repeat(&fixture->tick, 250);
    fixture_turn(fixture);
    double before = cpu_seconds();
    uint64_t began = uv_hrtime();
    size_t turns = 0;
    for (; uv_hrtime() - began < UINT64_C(1000000000); turns++)
        fixture_turn(fixture);
    if (turns > 50)
        fail_msg("%zu turns of the loop in an idle second", turns);
    assert_true(cpu_seconds() - before < 0.05);
    close(fd);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(an_answer_brings_what_it_says),
        HTTP_TEST(methods_headers_and_bodies_are_sent),
        HTTP_TEST(bad_calls_are_refused_at_the_start),
        HTTP_TEST(nobody_there_is_unreachable),
        HTTP_TEST(timeouts_and_silence_end_a_call),
        HTTP_TEST(a_stream_that_speaks_is_not_silent),
        HTTP_TEST(an_answer_above_its_limit_is_refused),
        HTTP_TEST(a_body_above_the_servers_bound_gets_413),
        HTTP_TEST(large_bodies_wait_for_no_100_continue),
        HTTP_TEST(canceling_is_told_once_and_later),
        HTTP_TEST(a_reader_ends_its_stream_from_inside),
        HTTP_TEST(a_stream_that_is_refused_keeps_its_error_in_the_answer),
        HTTP_TEST(a_server_that_dies_ends_its_streams),
        HTTP_TEST(a_done_may_start_the_next),
        HTTP_TEST(connections_are_kept_for_the_next_request),
        HTTP_TEST(sixty_streams_run_at_once),
        HTTP_TEST(destroying_the_client_cancels_what_is_under_way),
        HTTP_TEST(waiting_costs_no_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
