/* A connection's way through its requests: see http_connection.h. Knows no library: it is told of bytes and
 * of writability, and asks http.c for the rest. */
#include "controller/serve/http_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINGER_MS = 1000,
    TURN_MAX = 16 * HTTP_CHUNK, /* written to one client before others get their turn */
    KEEP_BUFFER_MAX = 64 * 1024 /* a buffer that grew above this is freed once it is empty */
};

static void on_sweep(uv_timer_t *timer);

/* Makes its id void and has it closed from the loop, since the library may be calling us for it just now. */
int http_connection_kill(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->state == STATE_DEAD)
        return -1;
    connection->state = STATE_DEAD;
    connection->id = 0;
    connection->deadline_ms = 1; /* long ago */
    http_pool_leave(connection);
    if (!server->destroyed)
        uv_timer_start(&server->sweep, on_sweep, 0, 0);
    return -1;
}

static bool is_owed(const struct http_connection *connection)
{
    return connection->state == STATE_ANSWERING || connection->state == STATE_STREAMING;
}

static void tell_gone(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    uint64_t id = connection->id;
    bool owed = is_owed(connection);
    connection->id = 0;
    if (owed && server->handler.gone && !server->destroyed)
        server->handler.gone(server->handler.context, id);
}

struct http_connection *http_connection_find(struct http_server *server, uint64_t id,
                                             enum http_connection_state state)
{
    unsigned slot = (unsigned)(id & 0xffff);
    struct http_connection *connection = slot < server->options.connections_max ? server->slots[slot] : NULL;
    bool found = id && !server->destroyed && connection && connection->id == id && connection->state == state;
    return found ? connection : NULL;
}

/* Deadlines. One timer for all of them: it sleeps until the earliest that it knew of, and looks. */

void http_connection_set_deadline(struct http_connection *connection, int64_t after_ms)
{
    struct http_server *server = connection->server;
    uv_update_time(
        server->loop); /* the work that went before, an answer's making, is not the client's time */
    uint64_t now = uv_now(server->loop);
    connection->deadline_ms = after_ms ? now + (uint64_t)after_ms : 0;
    if (after_ms && !server->destroyed &&
        (!uv_is_active((uv_handle_t *)&server->sweep) ||
         uv_timer_get_due_in(&server->sweep) > (uint64_t)after_ms))
        uv_timer_start(&server->sweep, on_sweep, (uint64_t)after_ms, 0);
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now = uv_now(server->loop), next = UINT64_MAX;
    for (unsigned i = 0; i < server->options.connections_max; i++) {
        struct http_connection *connection = server->slots[i];
        if (!connection || !connection->deadline_ms)
            continue;
        if (connection->deadline_ms <= now) {
            tell_gone(connection);
            connection->state = STATE_DEAD;
            connection->deadline_ms = 0;
            http_socket_close(connection);
        } else if (connection->deadline_ms < next) {
            next = connection->deadline_ms;
        }
    }
    if (next != UINT64_MAX && !server->destroyed)
        uv_timer_start(&server->sweep, on_sweep, next - now, 0);
}

/* Writing */

static size_t unsent(const struct http_connection *connection)
{
    return connection->out.length - connection->sent;
}

/* Requests and answers hold tokens, keyfiles and intents: none stays in memory that is given back. */
static void wipe(struct buffer *buffer, size_t length)
{
    if (length)
        explicit_bzero(buffer->data, length);
}

static void forget_sent(struct http_connection *connection)
{
    wipe(&connection->out, connection->sent);
    buffer_consume(&connection->out, connection->sent);
    connection->sent = 0;
    if (connection->out.length == 0 && connection->out.capacity > KEEP_BUFFER_MAX)
        buffer_finish(&connection->out);
}

/* Reading is on where something may come, and never while the library holds unsent bytes (it would be polled,
 * and not read: a spin). */
static void set_reading(struct http_connection *connection)
{
    bool on = (connection->state == STATE_READING || connection->state == STATE_STREAMING ||
               connection->state == STATE_LINGERING) &&
              !http_socket_is_blocked(connection);
    http_socket_set_reading(connection, on);
}

/* One turn's worth of bytes. -1 when the client is gone. */
static int write_some(struct http_connection *connection)
{
    size_t before = connection->sent;
    while (unsent(connection) && !http_socket_is_blocked(connection) &&
           connection->sent - before < TURN_MAX) {
        size_t length = unsent(connection) < HTTP_CHUNK ? unsent(connection) : HTTP_CHUNK;
        if (http_socket_write(connection, connection->out.data + connection->sent, length))
            return -1;
        connection->sent += length;
    }
    if (unsent(connection) == 0 || connection->sent > connection->out.length / 2)
        forget_sent(connection);
    return 0;
}

static int read_requests(struct http_connection *connection);

/* The answer has left: on to the next request, or to the end. */
static int after_answer(struct http_connection *connection)
{
    if (connection->keep_alive) {
        connection->state = STATE_READING;
        http_connection_set_deadline(connection, 0);
        return read_requests(connection);
    }
    connection->state = STATE_LINGERING;
    http_socket_shut_sending(connection);
    http_connection_set_deadline(connection, LINGER_MS);
    set_reading(connection);
    return 0;
}

int http_connection_on_writable(struct http_connection *connection)
{
    if (connection->state == STATE_DEAD)
        return -1;
    if (write_some(connection))
        return -1;
    set_reading(connection);
    if (unsent(connection) || http_socket_is_blocked(connection)) {
        http_connection_set_deadline(connection, connection->server->options.write_timeout_ms);
        http_socket_want_write(connection);
        return 0;
    }
    if (connection->state == STATE_STREAMING)
        http_connection_set_deadline(connection, 0);
    return connection->state == STATE_FLUSHING ? after_answer(connection) : 0;
}

/* Reading */

/* Answers a request that the handler never sees, and ends the connection, since where the next one begins is
 * not known. */
static void refuse_with(struct http_connection *connection, int status, const char *code, const char *message,
                        const char *header)
{
    const char *const headers[] = {header, NULL};
    connection->keep_alive = false;
    connection->request_length = connection->in.length;
    http_connection_respond_error(connection, status, code, message, *header ? headers : NULL);
}

static void refuse(struct http_connection *connection, int status, const char *code, const char *message)
{
    refuse_with(connection, status, code, message, "");
}

static void note_head(struct http_connection *connection, const struct http_fields *fields)
{
    connection->http_1_0 = fields->http_1_0;
    connection->keep_alive = fields->keep_alive;
    connection->head_alone = !strcmp(fields->method, "HEAD");
    connection->gzip = fields->accepts_gzip;
}

static struct http_request head_of(const struct http_connection *connection)
{
    const struct http_fields *fields = connection->server->fields;
    return (struct http_request){.method = connection->head_alone ? "GET" : fields->method,
                                 .path = fields->path,
                                 .remote = connection->remote,
                                 .body = "",
                                 .peer = connection->has_peer ? &connection->peer : NULL,
                                 .fields = fields};
}

/* False when it isn't; then that was answered. */
static bool takes_body(struct http_connection *connection)
{
    struct http_request head = head_of(connection);
    struct http_body_terms terms = {.of = HTTP_PERSON};
    if (http_body_take(connection, &head, &terms))
        return true;
    refuse_with(connection, terms.status, terms.code, terms.message, terms.header);
    return false;
}

/* 1 when a whole request is in the buffer, 0 when more must come, -1 when it was refused. */
static int look_for_request(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_fields *fields = server->fields;
    const char *why;
    if (connection->request_length > connection->in.length)
        return 0; /* the head was looked at when it came */
    int found = http_fields_parse(fields, buffer_text(&connection->in), connection->in.length, &why);
    if (found < 0) {
        connection->head_alone = connection->gzip = false;
        refuse(connection, -found, "bad_request", why);
        return -1;
    }
    if (found == 0)
        return 0;
    note_head(connection, fields);
    if (!takes_body(connection))
        return -1;
    connection->request_length = fields->head_length + (size_t)fields->content_length;
    if (connection->in.length >= connection->request_length)
        return 1;
    if (fields->expects_continue && !connection->continued) {
        connection->continued = true;
        if (buffer_append_text(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
            http_socket_want_write(connection);
    }
    return 0;
}

static bool is_foreign_host(const struct http_server *server)
{
    const char *host = http_fields_header(server->fields, "Host");
    return server->loopback && !server->options.tls && host && !http_host_is_loopback(host);
}

static void hand_over(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    const struct http_fields *fields = server->fields;
    char *body = connection->in.data + fields->head_length;
    char after = body[fields->content_length];
    connection->state = STATE_ANSWERING;
    connection->continued = false;
    http_pool_touch(connection);
    http_connection_set_deadline(connection, 0);
    if (is_foreign_host(server)) {
        http_connection_respond_error(
            connection, 403, "foreign_host",
            "this listener answers to localhost and 127.0.0.1 alone, not to other names in the Host header",
            NULL);
        return;
    }
    connection->id = ++server->serial << 16 | connection->slot;
    struct http_request request = head_of(connection);
    request.id = connection->id;
    request.body = body;
    request.length = (size_t)fields->content_length;
    body[fields->content_length] = 0; /* the first byte of a pipelined request, or the buffer's own end */
    server->handler.request(server->handler.context, &request);
    body[fields->content_length] = after;
}

static void drop_request(struct http_connection *connection)
{
    wipe(&connection->in, connection->request_length);
    buffer_consume(&connection->in, connection->request_length);
    connection->request_length = 0;
    http_body_free(connection);
    if (connection->in.length == 0 && connection->in.capacity > KEEP_BUFFER_MAX)
        buffer_finish(&connection->in);
}

/* Takes one request out of what was read; the next one when this is answered. -1 when the connection is to be
 * closed. */
static int read_requests(struct http_connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    int found = connection->in.length ? look_for_request(connection) : 0;
    if (found > 0)
        hand_over(connection);
    if (found)
        drop_request(connection);
    else if (connection->in.length == 0)
        http_connection_set_deadline(connection, options->idle_timeout_ms);
    else if (connection->deadline_ms == 0)
        http_connection_set_deadline(connection, options->request_timeout_ms);
    set_reading(connection);
    return connection->state == STATE_DEAD ? -1 : 0;
}

int http_connection_on_bytes(struct http_connection *connection, const char *data, size_t length)
{
    size_t most = connection->server->options.body_max + HTTP_HEAD_MAX + 2 * HTTP_CHUNK;
    if (connection->state == STATE_LINGERING)
        return 0;
    if (connection->state == STATE_DEAD)
        return -1;
    /* Beside a stream a client has little to say: one pipelined head. */
    if (connection->state != STATE_READING)
        most = HTTP_HEAD_MAX;
    bool first = connection->in.length == 0 && length > 0;
    if (connection->in.length + length > most || buffer_append(&connection->in, data, length))
        return -1;
    if (connection->state != STATE_READING)
        return 0;
    if (first)
        http_connection_set_deadline(connection, connection->server->options.request_timeout_ms);
    return read_requests(connection);
}

/* The beginning and the end */

struct http_connection *http_connection_open(struct http_server *server, struct lws *socket)
{
    struct http_connection *connection = NULL;
    if (server->count < server->options.connections_max && !server->destroyed)
        connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    while (server->slots[server->next_slot])
        server->next_slot = (server->next_slot + 1) % server->options.connections_max;
    connection->server = server;
    connection->socket = socket;
    connection->slot = server->next_slot;
    server->slots[connection->slot] = connection;
    server->count++;
    http_connection_set_deadline(connection, server->options.first_timeout_ms);
    return connection;
}

void http_connection_free(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    tell_gone(connection);
    http_pool_leave(connection);
    http_body_free(connection);
    server->slots[connection->slot] = NULL;
    server->count--;
    http_tls_close(connection);
    wipe(&connection->in, connection->in.length);
    wipe(&connection->out, connection->out.length);
    buffer_finish(&connection->in);
    buffer_finish(&connection->out);
    free(connection);
}
