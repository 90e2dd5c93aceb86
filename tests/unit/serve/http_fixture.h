/* A server with a small application, a client, and raw sockets, all on one loop. Paths:
 *   /echo           answers "METHOD PATH q=Q BODY-LENGTH"
 *   /later          is answered when the test calls fixture_answer_later()
 *   /text?size=N    N bytes of text, /image?size=N the same as image/png
 *   /stream         a stream; fixture->streams has their ids */
#ifndef ATOLL_TESTS_UNIT_SERVE_HTTP_FIXTURE_H
#define ATOLL_TESTS_UNIT_SERVE_HTTP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controller/serve/http.h"
#include "controller/trust/access.h"
#include "proto/base/buffer.h"
#include "proto/base/http_client.h"

enum { FIXTURE_STREAMS_MAX = 128, FIXTURE_WAIT_MS = 10000 };

struct fixture {
    uv_loop_t loop;
    uv_timer_t tick; /* so that a turn of the loop never blocks for long */
    struct http_server *server;
    struct http_client *client;
    uint64_t later, streams[FIXTURE_STREAMS_MAX];
    size_t stream_count, requests, gone_count;
    uint64_t gone_id;
    char last_body[64];
    size_t last_body_length;
    bool server_closed, expect_seen, had_peer;
    struct caller last_peer;
    struct http_body_terms terms; /* of large bodies: status 0, they are taken */
    size_t bodies_asked;
    bool shut; /* hands are not shaken */
};

/* The server's bounds are small, so that tests are quick: bodies 100,000 bytes, streams 200,000, timeouts 300
 * ms. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
void fixture_restart_server(struct fixture *fixture, const struct http_server_options *options);
void fixture_turn(struct fixture *fixture);
void fixture_answer_later(struct fixture *fixture);

/* Turns the loop until the condition holds; fails the test after FIXTURE_WAIT_MS. */
#define fixture_wait(fixture, condition)                                                                     \
    do {                                                                                                     \
        uint64_t until_ = uv_hrtime() + FIXTURE_WAIT_MS * UINT64_C(1000000);                                 \
        while (!(condition)) {                                                                               \
            if (uv_hrtime() > until_)                                                                        \
                fail_msg("waited in vain for %s", #condition);                                               \
            fixture_turn(fixture);                                                                           \
        }                                                                                                    \
    } while (0)

/* A raw connection. */
int fixture_connect(struct fixture *fixture);
void fixture_send(struct fixture *fixture, int fd, const char *bytes);
/* Reads what is there; false at the end of the connection. */
bool fixture_receive(int fd, struct buffer *in);

#endif
