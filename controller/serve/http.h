/* The controller's HTTP/1.1 server, on the program's own libuv loop. Several listeners are several servers on
 * one loop.
 *
 * The handler gets one request at a time and answers it by its id: with http_respond(), now or later, or with
 * a stream. An id whose client has gone is harmless: every function that takes one then does nothing and
 * returns -1.
 *
 * What the server does by itself: HEAD (the handler sees GET), keep-alive, gzip when asked for, 400 for what
 * is no HTTP, 411 for a body without a length (chunked ones aren't taken), 413, 414, 431, 505; clients that
 * send or read too slowly are hung up on. On a plain loopback listener requests whose Host is no loopback
 * name or address get 403: a web page of somewhere else that made its own name point to 127.0.0.1 ("DNS
 * rebinding") would otherwise read and change things with the user's browser. */
#ifndef ATOLL_CONTROLLER_SERVE_HTTP_H
#define ATOLL_CONTROLLER_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/error.h"

enum { HTTP_BODY_SMALL = 16384 /* a body that is taken from anybody */ };

struct http_server;
struct http_fields; /* the parsed head: see http_request.h */
struct caller;      /* who a client's certificate names: see controller/trust/access.h */
struct tls_context; /* what is shown and trusted: see controller/trust/tls.h */

/* How a client stands with those who serve. A connection begins as a stranger's. When there are as many of a
 * standing as may be, room is made by hanging up on the one of them that can best be spared: of strangers who
 * never sent a whole request the oldest, then whoever has been idle longest. So a flood of connections pushes
 * itself out, and never those of another standing: agents have the room that the maxima of the two others
 * leave. */
enum http_standing { HTTP_STRANGER, HTTP_PERSON, HTTP_AGENT, HTTP_STANDINGS };

/* A request. Everything in it is valid during the handler's call alone. */
struct http_request {
    uint64_t id;
    const char *method;        /* "GET", "PUT" …; a HEAD is shown as GET */
    const char *path;          /* percent-decoded; no NUL, no control characters, no ".." segment */
    const char *remote;        /* "127.0.0.1:40000", "[::1]:40000" */
    const char *body;          /* followed by a zero byte; "" when there is none */
    size_t length;             /* of the body; of a head alone what it says of its body */
    const struct caller *peer; /* NULL when the client has shown no certificate */
    const struct http_fields *fields;
};

/* The decoded value of ?name=value, "" for a bare ?name, NULL when it isn't there. */
const char *http_request_query(const struct http_request *request, const char *name);

/* A header's value, NULL when it isn't there; of several the first. Names are compared without case. */
const char *http_request_header(const struct http_request *request, const char *name);

struct http_response {
    int status;
    const char *content_type; /* NULL when there is no body */
    const char *const
        *headers;     /* "Name: value" lines, NULL at the end; or NULL. Without Cache-Control: "no-cache" */
    const void *body; /* copied */
    size_t length;
};

/* What a handler says of a body before it comes: whose it is, or why it isn't taken. */
struct http_body_terms {
    enum http_standing of; /* whose share of the room it takes: HTTP_AGENT, or people's */
    uint64_t owner;        /* one number for all bodies of whoever sends it; 0: nobody in particular */
    int status;            /* of the refusal; with what follows */
    const char *code;
    char message[160], header[48]; /* "Name: value", or "" */
};

struct http_handler {
    /* Answers, or remembers request->id and answers later. A handler that never answers holds a connection.
     */
    void (*request)(void *context, const struct http_request *request);
    /* The client of a request that isn't answered yet, or of a stream, went away (a client that waits for an
     * answer is not read from, so that it is noticed only when that is written; a stream's is noticed at
     * once). May be NULL. */
    void (*gone)(void *context, uint64_t id);
    /* A request that the handler got is being answered with this status, by whomever. May be NULL; may not
     * answer anything. */
    void (*answered)(void *context, uint64_t id, int status);
    /* Whether a body of more than HTTP_BODY_SMALL is taken, by its head (id 0, no body) and once for each;
     * when not, the terms say why. NULL: all are. */
    bool (*takes_body)(void *context, const struct http_request *head, struct http_body_terms *terms);
    /* Whether a client from there may shake hands now, which costs us something; when not, it is hung up on.
     * NULL: all may. */
    bool (*takes_handshake)(void *context, const char *remote);
    void *context;
};

struct http_server_options {
    const char *address;     /* "127.0.0.1", "::1"; numeric */
    int port;                /* 0 for a free one */
    const char *name;        /* Server: NAME */
    struct tls_context *tls; /* TLS with what is loaded there at the time of each connection; it outlives the
                                server. NULL: plain HTTP */
    /* Zero takes the value in brackets. */
    size_t body_max; /* bytes of a request's body [4 MiB] */
    /* Bytes of larger bodies than HTTP_BODY_SMALL that haven't come whole, or wait for their turn: of
     * strangers and people together, of agents together [64 MiB each], of one owner [as many as all]; on top
     * of it 503 (429 for one owner's) */
    size_t bodies_max, agent_bodies_max, owner_bodies_max;
    unsigned connections_max; /* further ones are hung up on [1024], at most 65535 */
    unsigned strangers_max;   /* of these, of clients that nobody has vouched for; see http_vouch()
                                 [connections_max] */
    unsigned strangers_slack; /* so many more for a moment, so that who has just come can say something [0] */
    unsigned strangers_per_address_max; /* [strangers_max] */
    unsigned persons_max;               /* [connections_max] */
    int64_t first_timeout_ms;           /* until a client's first byte [10 s] */
    size_t stream_queue_max;            /* bytes that wait in one stream for its client [4 MiB] */
    int64_t handshake_timeout_ms;       /* of TLS [10 s] */
    int64_t idle_timeout_ms;            /* between two requests [75 s] */
    int64_t request_timeout_ms;         /* from a request's first byte to its last [30 s] */
    int64_t write_timeout_ms;           /* without a byte taken by the client while some wait [30 s] */
};

/* Listens. NULL and `err` when it can't. The handler is copied. */
struct http_server *http_server_create(uv_loop_t *loop, const struct http_server_options *options,
                                       const struct http_handler *handler, struct error *err);

int http_server_port(const struct http_server *server);

/* Hangs up on everybody (no `gone` is called from here on) and frees the server after some turns of the loop;
 * then `closed` (may be NULL) is called. May be called from the handler. NULL is tolerated, and not closed.
 */
void http_server_destroy(struct http_server *server, void (*closed)(void *context), void *context);

/* Answers. -1 when the client has gone or memory is out (then it is hung up on). */
int http_respond(struct http_server *server, uint64_t id, const struct http_response *response);

/* Says of the client of a request that isn't answered yet who it is, once and for all that it sends. -1 when
 * it has gone, or there is no room for more of these: then the caller answers 503. */
int http_vouch(struct http_server *server, uint64_t id, enum http_standing standing);

/* What a server has to tell of its bounds. */
struct http_server_counts {
    size_t body_bytes[HTTP_STANDINGS]; /* of large bodies that are on their way: of agents, and all others' as
                                          people's */
    uint64_t bodies_refused;           /* because of their sum */
    uint64_t handshakes_refused;       /* by takes_handshake() */
};
struct http_server_counts http_server_counts(const struct http_server *server);

/* How many connections there are of this standing. */
unsigned http_server_count(const struct http_server *server, enum http_standing standing);

/* {"error":{"code":…,"message":…,"details":[]}} */
int http_respond_error(struct http_server *server, uint64_t id, int status, const char *code,
                       const char *message);
/* With "Name: value" lines, NULL at the end. */
int http_respond_error_with(struct http_server *server, uint64_t id, int status, const char *code,
                            const char *message, const char *const *headers);
int http_respond_not_found(struct http_server *server, uint64_t id);
int http_respond_method_not_allowed(struct http_server *server, uint64_t id,
                                    const char *allowed); /* "GET, HEAD" */

/* Starts an answer of status 200 without a known end. -1 when there will be no stream: the client has gone,
 * or asked for the head alone, and `gone` is not called. */
int http_stream_begin(struct http_server *server, uint64_t id, const char *content_type,
                      const char *const *headers);

/* Queues bytes. -1 when the client has gone, or is hung up on here because it reads too slowly for
 * stream_queue_max: then the stream is over, and `gone` is not called. */
int http_stream_write(struct http_server *server, uint64_t id, const void *data, size_t length);

/* Ends the stream; what is queued is still sent. */
int http_stream_end(struct http_server *server, uint64_t id);

#endif
