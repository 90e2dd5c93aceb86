/* The server, spoken to byte by byte: what is HTTP and what isn't, pipelining, bounds and timeouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "proto/base/json.h"
#include "tests/unit/serve/http_fixture.h"

#define HOST "Host: localhost\r\n"
#define CLOSE "Connection: close\r\n"

/* Sends, and reads until the server hangs up. The caller finishes the buffer. */
static struct buffer exchange(struct fixture *fixture, const char *bytes)
{
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, bytes);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    close(fd);
    return in;
}

static void assert_answer(struct fixture *fixture, const char *bytes, const char *status, const char *part)
{
    struct buffer in = exchange(fixture, bytes);
    char line[64];
    snprintf(line, sizeof line, "HTTP/1.1 %s ", status);
    if (strncmp(buffer_text(&in), line, strlen(line)) || !strstr(buffer_text(&in), part))
        fail_msg("%.80s… gave\n%.400s\nnot %s with %s", bytes, buffer_text(&in), status, part);
    buffer_finish(&in);
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        found++;
    return found;
}

static void good_requests_are_answered(void **state)
{
    struct fixture *fixture = *state;
    assert_answer(fixture, "GET /v1/federation:diff?q=a+b%26 HTTP/1.1\r\n" HOST CLOSE "\r\n", "200",
                  "GET /v1/federation:diff q=a b& x=- 0\n");
    assert_answer(fixture, "GET /a%20b HTTP/1.0\r\n\r\n", "200", "GET /a b q=-");
    assert_answer(fixture,
                  "\r\nGET / HTTP/1.1\r\nhost:127.0.0.1:7411\r\nX-Test: \t spaced \t\r\n" CLOSE "\r\n", "200",
                  "x=spaced 0\n");
    assert_answer(fixture, "POST /p HTTP/1.1\r\n" HOST CLOSE "Content-Length: 5\r\n\r\nhello", "200",
                  "POST /p q=- x=- 5\n");
    assert_string_equal(fixture->last_body, "hello");
    assert_answer(fixture, "GET /empty HTTP/1.1\r\n" HOST CLOSE "\r\n", "204",
                  "X-Content-Type-Options: nosniff\r\n");
    assert_answer(
        fixture, "GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n", "404",
        "{\"error\":{\"code\":\"not_found\",\"message\":\"there is nothing at this path\",\"details\":[]}}");
    assert_answer(fixture, "GET /readonly HTTP/1.1\r\n" HOST CLOSE "\r\n", "405", "Allow: GET, HEAD\r\n");
}

static void bad_requests_are_refused_by_status(void **state)
{
    static const struct {
        const char *bytes, *status;
    } cases[] = {
        {"garbage\r\n\r\n", "400"},
        {"\x16\x03\x01\x02", "400"}, /* a TLS client */
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET / HTTP/1.1 x\r\n" HOST "\r\n", "400"},
        {"GET /\r\n" HOST "\r\n", "400"},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", "505"},
        {"GET / http/1.1\r\n" HOST "\r\n", "400"},
        {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /%0a HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /%4 HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /?q=%00 HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /a/../b HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET /a/%2e%2e HTTP/1.1\r\n" HOST "\r\n", "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400"},
        {"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" HOST "NoColon\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x01z\r\n\r\n", "400"},
        {"GET / HTTP/1.1\n" HOST "\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", "413"},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "411"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "411"},
        {"GET / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n", "417"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_answer(fixture, cases[i].bytes, cases[i].status, "{\"error\":{\"code\":");
    assert_int_equal(fixture->requests, 0);
}

static void heads_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct buffer request;
    buffer_init(&request, 0);
    buffer_append_text(&request, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 64; i++)
        buffer_printf(&request, "X-%d: y\r\n", i);
    buffer_append_text(&request, "\r\n");
    assert_answer(fixture, request.data, "431", "too many headers");
    buffer_clear(&request);
    buffer_printf(&request, "GET /%08500d HTTP/1.1\r\n" HOST "\r\n", 0);
    assert_answer(fixture, request.data, "414", "too long");
    buffer_clear(&request);
    buffer_printf(&request, "GET / HTTP/1.1\r\n" HOST "X: %020000d", 0);
    assert_answer(fixture, request.data, "431", "16 KiB");
    buffer_clear(&request);
    buffer_append_text(&request, "GET /?a");
    for (int i = 0; i < 40; i++)
        buffer_append_text(&request, "&a");
    buffer_append_text(&request, " HTTP/1.1\r\n" HOST "\r\n");
    assert_answer(fixture, request.data, "414", "query");
    buffer_finish(&request);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in = exchange(fixture, "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST
                                         "Content-Length: 2\r\n\r\nxxGET /3 HTTP/1.1\r\n" HOST CLOSE "\r\n");
    const char *one = strstr(in.data, "GET /1"), *two = strstr(in.data, "POST /2"),
               *three = strstr(in.data, "GET /3");
    assert_true(one && two && three && one < two && two < three);
    assert_int_equal(fixture->requests, 3);
    buffer_finish(&in);
}

/* The reason why the library's own reading of HTTP isn't used. */
static void a_pipelined_request_waits_for_the_one_that_is_answered_later(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->later);
    fixture_send(fixture, fd, "GET /next HTTP/1.1\r\n" HOST CLOSE "\r\n");
    for (int i = 0; i < 20; i++)
        fixture_turn(fixture);
    assert_int_equal(fixture->requests, 1);
    fixture_answer_later(fixture);
    fixture_answer_later(fixture); /* twice is harmless */
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_true(strstr(in.data, "late\n") && strstr(in.data, "late\n") < strstr(in.data, "GET /next"));
    assert_int_equal(count(in.data, "HTTP/1.1 200"), 2);
    close(fd);
    buffer_finish(&in);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /slow HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\nabc";
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    for (size_t i = 0; i < sizeof request - 1; i++)
        fixture_send(fixture, fd, (char[]){request[i], 0});
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_non_null(strstr(in.data, "POST /slow q=- x=- 3\n"));
    assert_string_equal(fixture->last_body, "abc");
    close(fd);
    buffer_finish(&in);
}

static void head_is_get_without_the_body(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in = exchange(fixture, "HEAD /text?size=5000 HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_non_null(strstr(in.data, "Content-Length: 5000\r\n"));
    assert_string_equal(strstr(in.data, "\r\n\r\n"), "\r\n\r\n");
    buffer_finish(&in);
    in = exchange(fixture, "HEAD /stream HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_string_equal(strstr(in.data, "\r\n\r\n"), "\r\n\r\n");
    assert_int_equal(fixture->stream_count, 0);
    buffer_finish(&in);
}

static size_t unpack(const struct buffer *in, char *out, size_t size)
{
    const char *body = strstr(in->data, "\r\n\r\n") + 4;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)body,
                       .avail_in = (uInt)(in->data + in->length - body),
                       .next_out = (unsigned char *)out,
                       .avail_out = (uInt)size};
    assert_int_equal(inflateInit2(&stream, 31), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    return size - stream.avail_out;
}

static void large_text_is_gzipped_when_asked_for(void **state)
{
    struct fixture *fixture = *state;
    static char text[60000];
    for (int round = 0; round < 3; round++) { /* the second from memory, the third another text */
        struct buffer in = exchange(fixture, round < 2 ? "GET /text?size=50000 HTTP/1.1\r\n" HOST CLOSE
                                                         "Accept-Encoding: br, gzip;q=0.5\r\n\r\n"
                                                       : "GET /text?size=50001 HTTP/1.1\r\n" HOST CLOSE
                                                         "Accept-Encoding: gzip\r\n\r\n");
        assert_non_null(strstr(in.data, "Content-Encoding: gzip\r\nContent-Length: "));
        assert_non_null(strstr(in.data, "Vary: Accept-Encoding"));
        assert_int_equal(unpack(&in, text, sizeof text), round < 2 ? 50000 : 50001);
        assert_int_equal(text[49999], 'a' + 49999 % 7);
        buffer_finish(&in);
    }
    static const char *const plain[] = {
        "GET /text?size=50000 HTTP/1.1\r\n" HOST CLOSE "\r\n",
        "GET /text?size=50000 HTTP/1.1\r\n" HOST CLOSE "Accept-Encoding: gzip;q=0\r\n\r\n",
        "GET /text?size=500 HTTP/1.1\r\n" HOST CLOSE "Accept-Encoding: gzip\r\n\r\n",
        "GET /image?size=50000 HTTP/1.1\r\n" HOST CLOSE "Accept-Encoding: gzip\r\n\r\n",
    };
    for (size_t i = 0; i < 4; i++) {
        struct buffer in = exchange(fixture, plain[i]);
        assert_null(strstr(in.data, "Content-Encoding"));
        buffer_finish(&in);
    }
}

static void other_hosts_names_are_refused_on_loopback(void **state)
{
    static const char *const good[] = {"localhost",    "localhost:7411", "a.localhost:1", "127.0.0.1",
                                       "127.9.9.9:80", "[::1]",          "[::1]:7411"};
    static const char *const bad[] = {"evil.example",
                                      "evil.example:7411",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "10.0.0.1",
                                      "[::2]",
                                      "",
                                      "notlocalhost",
                                      "localhost:x",
                                      "[::1"};
    struct fixture *fixture = *state;
    char request[200];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n" CLOSE "\r\n", good[i]);
        assert_answer(fixture, request, "200", "GET /");
    }
    size_t before = fixture->requests;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n" CLOSE "\r\n", bad[i]);
        assert_answer(fixture, request, "403", "foreign_host");
    }
    assert_int_equal(fixture->requests, before);
}

static void expect_100_continue_is_answered(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd,
                 "PUT /e HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    fixture_wait(fixture, (fixture_receive(fd, &in), in.length));
    assert_string_equal(in.data, "HTTP/1.1 100 Continue\r\n\r\n");
    fixture_send(fixture, fd, "abc");
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_non_null(strstr(in.data, "PUT /e q=- x=- 3\n"));
    assert_int_equal(count(in.data, "100 Continue"), 1);
    close(fd);
    buffer_finish(&in);
}

static void slow_and_silent_clients_are_hung_up_on(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    static const char *const beginnings[] = {"", "GET / HT",
                                             "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc"};
    for (size_t i = 0; i < 3; i++) {
        int fd = fixture_connect(fixture);
        fixture_send(fixture, fd, beginnings[i]);
        fixture_wait(fixture, !fixture_receive(fd, &in));
        assert_int_equal(in.length, 0);
        close(fd);
    }
    int idle = fixture_connect(fixture);
    fixture_send(fixture, idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, !fixture_receive(idle, &in));
    assert_non_null(strstr(in.data, "Connection: keep-alive\r\n"));
    close(idle);
    /* One that drips is not younger for it: the whole request has one deadline. */
    int fd = fixture_connect(fixture);
    uint64_t began = uv_hrtime();
    fixture_send(fixture, fd, "GET /");
    for (uint64_t next = began; fixture_receive(fd, &in) && uv_hrtime() - began < UINT64_C(5000000000);) {
        fixture_turn(fixture);
        if (uv_hrtime() > next) {
            fixture_send(fixture, fd, "x");
            next += 5000000;
        }
    }
    assert_in_range((uv_hrtime() - began) / 1000000, 250, 3000);
    close(fd);
    buffer_finish(&in);
}

static void a_client_that_does_not_read_its_answer_is_hung_up_on(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /text?size=30000000 HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->requests == 1);
    uint64_t began = uv_hrtime();
    while (uv_hrtime() - began < UINT64_C(1000000000))
        fixture_turn(fixture);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_true(in.length > 0 && in.length < 30000000);
    close(fd);
    buffer_finish(&in);
}

static void a_slow_reader_of_a_stream_hits_the_bound(void **state)
{
    struct fixture *fixture = *state;
    static char block[50000];
    int fd = fixture_connect(fixture);
    memset(block, 'x', sizeof block);
    fixture_send(fixture, fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->stream_count == 1);
    int written = 0;
    while (http_stream_write(fixture->server, fixture->streams[0], block, sizeof block) == 0) {
        assert_true(++written < 500);
        fixture_turn(fixture);
    }
    assert_true(written >= 4);
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "x", 1), -1);
    struct buffer in;
    buffer_init(&in, 0);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_int_equal(fixture->gone_count, 0);
    close(fd);
    buffer_finish(&in);
}

static void a_stream_that_waits_for_nothing_is_not_timed_out(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /stream HTTP/1.1\r\n" HOST CLOSE "\r\n");
    fixture_wait(fixture, fixture->stream_count == 1);
    uint64_t began = uv_hrtime();
    while (uv_hrtime() - began < UINT64_C(800000000))
        fixture_turn(fixture);
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "hello", 5), 0);
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "", 0), 0);
    assert_int_equal(http_stream_end(fixture->server, fixture->streams[0]), 0);
    assert_int_equal(http_stream_end(fixture->server, fixture->streams[0]), -1);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_string_equal(strstr(in.data, "\r\n\r\n"), "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    close(fd);
    buffer_clear(&in);
    fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /stream HTTP/1.0\r\n\r\n");
    fixture_wait(fixture, fixture->stream_count == 2);
    http_stream_write(fixture->server, fixture->streams[1], "plain", 5);
    http_stream_end(fixture->server, fixture->streams[1]);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_string_equal(strstr(in.data, "\r\n\r\n"), "\r\n\r\nplain");
    close(fd);
    buffer_finish(&in);
}

static void a_stream_whose_client_went_away_is_told(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->stream_count == 1);
    close(fd);
    fixture_wait(fixture, fixture->gone_count == 1);
    assert_true(fixture->gone_id == fixture->streams[0]);
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "x", 1), -1);
    /* In the middle of its request nobody was told of it, so nobody is told that it went. */
    fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    close(fd);
    /* Before its answer: the answer is harmless. */
    fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->later);
    struct linger reset = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    for (int i = 0; i < 20; i++)
        fixture_turn(fixture);
    fixture_answer_later(fixture);
    for (int i = 0; i < 20; i++)
        fixture_turn(fixture);
    assert_int_equal(fixture->requests, 2);
}

static void a_client_that_closed_its_side_gets_its_answer(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    buffer_init(&in, 0);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    fixture_wait(fixture, fixture->later);
    for (int i = 0; i < 10; i++)
        fixture_turn(fixture);
    fixture_answer_later(fixture);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_non_null(strstr(in.data, "late\n"));
    close(fd);
    buffer_finish(&in);
}

/* Bytes come from a client whose stream is stuck: they are left in its socket, and the loop sleeps. */
static void a_stuck_stream_does_not_spin(void **state)
{
    struct fixture *fixture = *state;
    static char block[100000];
    fixture_restart_server(fixture, &(struct http_server_options){
                                        .address = "127.0.0.1", .name = "x", .stream_queue_max = 8000000});
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait(fixture, fixture->stream_count == 1);
    for (int i = 0; i < 70; i++) {
        assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], block, sizeof block), 0);
        fixture_turn(fixture);
    }
    fixture_send(fixture, fd, "GET / HTTP/1.1\r\n");
    uv_timer_set_repeat(&fixture->tick, 100);
    fixture_turn(fixture);
    uint64_t began = uv_hrtime();
    size_t turns = 0;
    for (; uv_hrtime() - began < UINT64_C(500000000); turns++)
        fixture_turn(fixture);
    if (turns > 50)
        fail_msg("%zu turns of the loop in half a second", turns);
    close(fd);
}

static void more_connections_than_the_bound_are_hung_up_on(void **state)
{
    struct fixture *fixture = *state;
    struct buffer in;
    int fds[3];
    buffer_init(&in, 0);
    fixture_restart_server(
        fixture, &(struct http_server_options){.address = "127.0.0.1", .name = "few", .connections_max = 2});
    for (size_t i = 0; i < 3; i++)
        fds[i] = fixture_connect(fixture);
    fixture_wait(fixture, !fixture_receive(fds[2], &in));
    close(fds[2]);
    for (size_t i = 0; i < 2; i++)
        fixture_send(fixture, fds[i], "GET / HTTP/1.1\r\n" HOST CLOSE "\r\n");
    for (size_t i = 0; i < 2; i++) {
        fixture_wait(fixture, !fixture_receive(fds[i], &in));
        close(fds[i]);
    }
    assert_int_equal(count(in.data, "200 OK"), 2);
    buffer_finish(&in);
    for (int i = 0; i < 5; i++) /* and places become free again */
        assert_answer(fixture, "GET / HTTP/1.1\r\n" HOST CLOSE "\r\n", "200", "GET /");
}

static void a_server_that_cannot_listen_says_why(void **state)
{
    struct fixture *fixture = *state;
    const struct http_handler handler = {0};
    struct error err;
    struct http_server_options options = {
        .address = "127.0.0.1", .port = http_server_port(fixture->server), .name = "x"};
    assert_null(http_server_create(&fixture->loop, &options, &handler, &err));
    assert_non_null(strstr(err.message, "Address already in use"));
    options.address = "localhost";
    assert_null(http_server_create(&fixture->loop, &options, &handler, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    options = (struct http_server_options){.address = "127.0.0.1", .port = 70000, .name = "x"};
    assert_null(http_server_create(&fixture->loop, &options, &handler, &err));
    assert_int_equal(err.code, ERROR_INVALID);
    options = (struct http_server_options){.address = "192.0.2.1", .name = "x"};
    assert_null(http_server_create(&fixture->loop, &options, &handler, &err));
    assert_int_equal(err.code, ERROR_IO);
}

static void a_server_is_destroyed_in_the_middle_of_everything(void **state)
{
    struct fixture *fixture = *state;
    int fds[4];
    static const char *const bytes[] = {"", "GET / HT", "GET /later HTTP/1.1\r\n" HOST "\r\n",
                                        "GET /stream HTTP/1.1\r\n" HOST "\r\n"};
    for (size_t i = 0; i < 4; i++) {
        fds[i] = fixture_connect(fixture);
        fixture_send(fixture, fds[i], bytes[i]);
    }
    fixture_wait(fixture, fixture->stream_count == 1 && fixture->later);
    static char block[150000];
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], block, sizeof block), 0);
    http_server_destroy(fixture->server, NULL, NULL);
    assert_int_equal(http_stream_write(fixture->server, fixture->streams[0], "x", 1), -1);
    fixture->server = NULL;
    for (size_t i = 0; i < 4; i++) {
        struct buffer in;
        buffer_init(&in, 0);
        fixture_wait(fixture, !fixture_receive(fds[i], &in));
        close(fds[i]);
        buffer_finish(&in);
    }
    assert_int_equal(fixture->gone_count, 0);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(good_requests_are_answered),
        HTTP_TEST(bad_requests_are_refused_by_status),
        HTTP_TEST(heads_are_bounded),
        HTTP_TEST(pipelined_requests_are_answered_in_order),
        HTTP_TEST(a_pipelined_request_waits_for_the_one_that_is_answered_later),
        HTTP_TEST(a_request_may_come_byte_by_byte),
        HTTP_TEST(head_is_get_without_the_body),
        HTTP_TEST(large_text_is_gzipped_when_asked_for),
        HTTP_TEST(other_hosts_names_are_refused_on_loopback),
        HTTP_TEST(expect_100_continue_is_answered),
        HTTP_TEST(slow_and_silent_clients_are_hung_up_on),
        HTTP_TEST(a_client_that_does_not_read_its_answer_is_hung_up_on),
        HTTP_TEST(a_slow_reader_of_a_stream_hits_the_bound),
        HTTP_TEST(a_stream_that_waits_for_nothing_is_not_timed_out),
        HTTP_TEST(a_stream_whose_client_went_away_is_told),
        HTTP_TEST(a_client_that_closed_its_side_gets_its_answer),
        HTTP_TEST(a_stuck_stream_does_not_spin),
        HTTP_TEST(more_connections_than_the_bound_are_hung_up_on),
        HTTP_TEST(a_server_that_cannot_listen_says_why),
        HTTP_TEST(a_server_is_destroyed_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
