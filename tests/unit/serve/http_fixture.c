/* A server, a client and raw sockets on one loop: see http_fixture.h. */
#include "tests/unit/serve/http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void echo(struct fixture *fixture, const struct http_request *request)
{
    char text[256];
    const char *q = http_request_query(request, "q");
    const char *agent = http_request_header(request, "x-test");
    int length = snprintf(text, sizeof text, "%s %s q=%s x=%s %zu\n", request->method, request->path,
                          q ? q : "-", agent ? agent : "-", request->length);
    http_respond(
        fixture->server, request->id,
        &(struct http_response){.status = 200,
                                .content_type = "text/plain",
                                .headers = (const char *const[]){"ETag: \"e1\"", "Retry-After: 7", NULL},
                                .body = text,
                                .length = (size_t)length});
}

static void sized(struct fixture *fixture, const struct http_request *request, const char *type)
{
    size_t size = strtoul(http_request_query(request, "size"), NULL, 10);
    char *body = malloc(size + 1);
    assert_non_null(body);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 7);
    http_respond(fixture->server, request->id,
                 &(struct http_response){.status = 200, .content_type = type, .body = body, .length = size});
    free(body);
}

static void on_request(void *context, const struct http_request *request)
{
    struct fixture *fixture = context;
    fixture->requests++;
    fixture->had_peer = request->peer != NULL;
    if (request->peer)
        fixture->last_peer = *request->peer;
    fixture->expect_seen |= http_request_header(request, "Expect") != NULL;
    snprintf(fixture->last_body, sizeof fixture->last_body, "%.60s", request->body);
    fixture->last_body_length = request->length;
    assert_int_equal(request->body[request->length], 0);
    if (!strcmp(request->path, "/later")) {
        fixture->later = request->id;
    } else if (!strcmp(request->path, "/text")) {
        sized(fixture, request, "text/plain; charset=utf-8");
    } else if (!strcmp(request->path, "/image")) {
        sized(fixture, request, "image/png");
    } else if (!strcmp(request->path, "/empty")) {
        http_respond(fixture->server, request->id, &(struct http_response){.status = 204});
    } else if (!strcmp(request->path, "/nothing")) {
        http_respond_not_found(fixture->server, request->id);
    } else if (!strcmp(request->path, "/readonly")) {
        http_respond_method_not_allowed(fixture->server, request->id, "GET, HEAD");
    } else if (!strcmp(request->path, "/stream")) {
        if (http_stream_begin(fixture->server, request->id, "text/event-stream", NULL) == 0)
            fixture->streams[fixture->stream_count++ % FIXTURE_STREAMS_MAX] = request->id;
    } else {
        echo(fixture, request);
    }
}

static void on_gone(void *context, uint64_t id)
{
    struct fixture *fixture = context;
    fixture->gone_count++;
    fixture->gone_id = id;
}

static bool takes_body(void *context, const struct http_request *head, struct http_body_terms *terms)
{
    struct fixture *fixture = context;
    assert_true(head->length > HTTP_BODY_SMALL && !*head->body);
    fixture->bodies_asked++;
    *terms = fixture->terms;
    return terms->status == 0;
}

static bool takes_handshake(void *context, const char *remote)
{
    const struct fixture *fixture = context;
    assert_true(strncmp(remote, "127.0.0.1:", 10) == 0);
    return !fixture->shut;
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static const struct http_server_options small_server = {.address = "127.0.0.1",
                                                        .name = "atoll-test",
                                                        .body_max = 100000,
                                                        .connections_max = 100,
                                                        .stream_queue_max = 200000,
                                                        .idle_timeout_ms = 300,
                                                        .request_timeout_ms = 300,
                                                        .write_timeout_ms = 300};

void fixture_turn(struct fixture *fixture)
{
    uv_run(&fixture->loop, UV_RUN_ONCE);
}

static void stop_server(struct fixture *fixture)
{
    fixture->server_closed = false;
    http_server_destroy(fixture->server, on_closed, &fixture->server_closed);
    fixture_wait(fixture, fixture->server_closed);
    fixture->server = NULL;
}

void fixture_restart_server(struct fixture *fixture, const struct http_server_options *options)
{
    struct error err;
    const struct http_handler handler = {.request = on_request,
                                         .gone = on_gone,
                                         .takes_body = takes_body,
                                         .takes_handshake = takes_handshake,
                                         .context = fixture};
    if (fixture->server)
        stop_server(fixture);
    fixture->server = http_server_create(&fixture->loop, options, &handler, &err);
    if (!fixture->server)
        fail_msg("%s", err.message);
}

int fixture_set_up(void **state)
{
    struct error err;
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    uv_loop_init(&fixture->loop);
    uv_timer_init(&fixture->loop, &fixture->tick);
    uv_timer_start(&fixture->tick, on_tick, 2, 2);
    fixture_restart_server(fixture, &small_server);
    fixture->client = http_client_create(&fixture->loop, "test/1", &err);
    assert_non_null(fixture->client);
    *state = fixture;
    return 0;
}

/* What a program does at its end: after it the loop has nothing left. */
int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_client_destroy(fixture->client);
    if (fixture->server)
        stop_server(fixture);
    uv_close((uv_handle_t *)&fixture->tick, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    int result = uv_loop_close(&fixture->loop);
    free(fixture);
    return result;
}

void fixture_answer_later(struct fixture *fixture)
{
    http_respond(
        fixture->server, fixture->later,
        &(struct http_response){.status = 200, .content_type = "text/plain", .body = "late\n", .length = 5});
}

int fixture_connect(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fixture->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 8192,
        segment = 536; /* so that the server soon has no room to write to, as over a network */
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void fixture_send(struct fixture *fixture, int fd, const char *bytes)
{
    size_t left = strlen(bytes);
    while (left) {
        ssize_t sent = send(fd, bytes, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; /* the server hung up: what it said is still to be read */
        if (sent > 0) {
            bytes += sent;
            left -= (size_t)sent;
        }
        fixture_turn(fixture);
    }
}

bool fixture_receive(int fd, struct buffer *in)
{
    char chunk[65536];
    for (;;) {
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0)
            return false;
        buffer_append(in, chunk, (size_t)got);
    }
}
