/* What the parts of the HTTP server share: http.c (sockets, with the library), http_connection.c (a
 * connection's states), http_answer.c (answers and streams), http_body.c (room for bodies), http_tls.c (TLS
 * between the two), http_pool.c (who may stay when there are many). Nobody else includes it. */
#ifndef ATOLL_CONTROLLER_SERVE_HTTP_CONNECTION_H
#define ATOLL_CONTROLLER_SERVE_HTTP_CONNECTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controller/serve/http.h"
#include "controller/serve/http_reply.h"
#include "controller/serve/http_request.h"
#include "controller/trust/access.h"
#include "proto/base/buffer.h"

enum { HTTP_CHUNK = 16384 /* one read, one write */ };

enum http_connection_state {
    STATE_READING,   /* a request, or waiting for one */
    STATE_ANSWERING, /* the handler has it, and will answer */
    STATE_STREAMING, /* the handler sends parts */
    STATE_FLUSHING,  /* the answer is complete, but not sent */
    STATE_LINGERING, /* sent; what the client still sends is dropped, or the kernel would take the answer back
                        from it */
    STATE_DEAD       /* to be closed by the library as soon as it can */
};

struct lws; /* the library's */
struct lws_context;
struct tls_session;

struct http_connection {
    struct http_server *server;
    struct lws *socket;
    unsigned slot;
    uint64_t id; /* of the request that is answered, or 0 */
    enum http_connection_state state;
    struct buffer in, out;
    size_t sent;           /* bytes of `out` */
    size_t request_length; /* bytes of `in` that are the request under way, as soon as its head is known */
    size_t body_room;      /* that is kept for its body, when that is a large one */
    uint64_t body_owner;
    bool body_of_agent;
    uint64_t deadline_ms; /* on the loop's clock; 0 for none */
    enum http_standing standing;
    struct http_connection *older, *newer; /* of the same standing, by when they were last of use */
    uint64_t came_ms;                      /* on the loop's clock */
    uint64_t network;                      /* whose it is: of an IPv6 address the /64 */
    bool served;                           /* a whole request has come */
    bool http_1_0, keep_alive, head_alone, gzip, continued;
    char remote[INET6_ADDRSTRLEN + 16];
    struct tls_session *tls; /* NULL: plain */
    bool turned_away;        /* from the handshake, by the handler */
    bool has_peer;           /* the client has shown a certificate */
    struct caller peer;      /* whom it names */
};

struct http_server {
    uv_loop_t *loop;
    struct http_handler handler;
    struct http_server_options
        options; /* with the defaults filled in; its strings are not used after the start */
    char *name;
    struct lws_context *library;
    int port;
    bool loopback;
    struct http_connection **slots; /* connections_max of them */
    unsigned count, next_slot;
    struct http_pool {
        struct http_connection *oldest, *newest;
        unsigned count;
    } pools[HTTP_STANDINGS];
    size_t bodies, agent_bodies; /* the sums of body_room */
    uint64_t bodies_refused, handshakes_refused;
    uint64_t serial;
    struct http_packed packed;
    struct buffer opened;       /* what TLS gave, while it is looked at */
    struct http_fields *fields; /* of the request that is looked at; one at a time */
    uv_timer_t sweep;           /* the next deadline of a connection */
    uv_timer_t turn;            /* counts turns of the loop while closing */
    int open_handles, turns_left;
    bool destroyed;
    void (*closed)(void *context);
    void *closed_context;
};

/* Sockets, in http.c. None of them calls back from inside, but http_socket_close(). */
void http_socket_want_write(struct http_connection *connection);
void http_socket_set_reading(struct http_connection *connection, bool on);
bool http_socket_is_blocked(const struct http_connection *connection); /* there are unsent bytes below us */
int http_socket_write(struct http_connection *connection, const void *data,
                      size_t length); /* takes all, or -1 */
bool http_socket_is_full(
    const struct http_connection *connection); /* below TLS: the library holds unsent bytes */
int http_socket_put(struct http_connection *connection, const void *data, size_t length); /* below TLS */
bool http_socket_has_unread(const struct http_connection *connection);
void http_socket_shut_sending(struct http_connection *connection);
void http_socket_close(struct http_connection *connection); /* not from inside the library's events */

/* TLS, in http_tls.c; but for the first, of connections that have it. */
int http_tls_open(struct http_connection *connection); /* 0 also of a server without TLS */
void http_tls_close(struct http_connection *connection);
int http_tls_on_bytes(struct http_connection *connection, const char *data, size_t length);
int http_tls_write(struct http_connection *connection, const void *data, size_t length);
int http_tls_flush(struct http_connection *connection);
bool http_tls_has_output(const struct http_connection *connection);
void http_tls_end(struct http_connection *connection);

/* Connections, in http_connection.c. What gives int gives -1 when the socket is to be closed. */
struct http_connection *http_connection_open(struct http_server *server,
                                             struct lws *socket); /* NULL: no room */
void http_connection_free(struct http_connection *connection);
int http_connection_on_bytes(struct http_connection *connection, const char *data, size_t length);
int http_connection_on_writable(struct http_connection *connection);
int http_connection_kill(
    struct http_connection *connection); /* soon, from the loop; its id is void at once. -1 */
void http_connection_set_deadline(struct http_connection *connection, int64_t after_ms); /* 0 for none */
/* The living connection whose request has the id, in that state; or NULL. */
struct http_connection *http_connection_find(struct http_server *server, uint64_t id,
                                             enum http_connection_state state);

/* Bodies, in http_body.c. Keeps room for the one that server->fields tell of, as long as its request is under
 * way; false: the terms say what to answer. */
bool http_body_take(struct http_connection *connection, struct http_request *head,
                    struct http_body_terms *terms);
void http_body_free(struct http_connection *connection);

/* Who may stay, in http_pool.c. */
void http_pool_enter(struct http_connection *connection); /* as a stranger; may hang up on another one */
void http_pool_leave(struct http_connection *connection); /* as often as one likes */
void http_pool_touch(struct http_connection *connection); /* it has sent a whole request */
int http_pool_move(struct http_connection *connection, enum http_standing standing); /* -1: no room */

/* Answers, in http_answer.c. */
int http_connection_respond_error(struct http_connection *connection, int status, const char *code,
                                  const char *message, const char *const *headers);

#endif
