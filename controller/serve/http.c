/* The HTTP server: see http.h; the only file that names libwebsockets (4.1.6), which listens, reads, writes (and later does TLS).
 *
 * It is used as a server of sockets ("raw" role) and the requests are read by http_request.c, because its HTTP role doesn't fit
 * requests that are answered later: it goes on reading a pipelined request into the headers of the one that is being answered,
 * takes "Content-Length: x" for 0, never ends a chunked body, and has assert(0) in its states, on in Debian's build.
 *
 * Where the library bites here, too: a socket with unsent bytes isn't read, but is polled for reading, so that it would spin:
 * reading is switched off meanwhile. It reports timeouts by the second only, so that deadlines are our own. Freeing a context on
 * a foreign loop takes two calls with the closing of its handles between them, which it doesn't tell. */
#include "controller/serve/http.h"

#include <assert.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "controller/serve/http_reply.h"
#include "controller/serve/http_request.h"
#include "proto/base/buffer.h"
#include "proto/base/json.h"

enum {
    BODY_DEFAULT = 4 * 1024 * 1024,
    STREAM_QUEUE_DEFAULT = 4 * 1024 * 1024,
    CONNECTIONS_DEFAULT = 1024,
    CONNECTIONS_MOST = 65535, /* an id's lower 16 bits */
    DESCRIPTORS_OF_OTHERS = 16, /* the library's own: listener, event pipe, … */
    IDLE_DEFAULT_MS = 75000,
    REQUEST_DEFAULT_MS = 30000,
    WRITE_DEFAULT_MS = 30000,
    LINGER_MS = 1000,
    CHUNK = 16384,              /* one read, one write */
    TURN_MAX = 16 * CHUNK,      /* written to one client before others get their turn */
    KEEP_BUFFER_MAX = 64 * 1024, /* a buffer that grew above this is freed once it is empty */
    CLOSING_TURNS = 4           /* of the loop; see on_turn() */
};

enum state {
    STATE_READING,    /* a request, or waiting for one */
    STATE_ANSWERING,  /* the handler has it, and will answer */
    STATE_STREAMING,  /* the handler sends parts */
    STATE_FLUSHING,   /* the answer is complete, but not sent */
    STATE_LINGERING,  /* sent; what the client still sends is dropped, or the kernel would take the answer back from it */
    STATE_DEAD        /* to be closed by the library as soon as it can */
};

struct connection {
    struct http_server *server;
    struct lws *wsi;
    unsigned slot;
    uint64_t id; /* of the request that is answered, or 0 */
    enum state state;
    struct buffer in, out;
    size_t sent; /* bytes of `out` */
    size_t request_length; /* bytes of `in` that are the request under way */
    uint64_t deadline_ms; /* on the loop's clock; 0 for none */
    bool http_1_0, keep_alive, head_alone, gzip, continued;
    char remote[INET6_ADDRSTRLEN + 16];
};

struct http_server {
    uv_loop_t *loop;
    struct http_handler handler;
    struct http_server_options options; /* with the defaults filled in; its strings are not used after the start */
    char *name;
    struct lws_context *library;
    struct lws_protocols protocols[2];
    int port;
    bool loopback;
    struct connection **slots; /* connections_max of them */
    unsigned count, next_slot;
    uint64_t serial;
    struct http_packed packed;
    struct http_fields *fields; /* of the request that is looked at; one at a time */
    uv_timer_t sweep;           /* the next deadline of a connection */
    uv_timer_t turn;            /* counts turns of the loop while closing */
    int open_handles, turns_left;
    bool destroyed;
    void (*closed)(void *context);
    void *closed_context;
};

/* Connections */

static void on_sweep(uv_timer_t *timer);

/* Makes its id void and has it closed from the loop, since the library may be calling us for it just now. */
static void kill_connection(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->state == STATE_DEAD)
        return;
    connection->state = STATE_DEAD;
    connection->id = 0;
    connection->deadline_ms = 1; /* long ago */
    if (!server->destroyed)
        uv_timer_start(&server->sweep, on_sweep, 0, 0);
}

/* Not from inside the library's calls. Unsent bytes would make it wait for a client that reads nothing; the shutdown ends that. */
static void close_connection(struct connection *connection)
{
    connection->state = STATE_DEAD;
    connection->deadline_ms = 0;
    shutdown(lws_get_socket_fd(connection->wsi), SHUT_RDWR);
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
}

static bool is_owed(const struct connection *connection)
{
    return connection->state == STATE_ANSWERING || connection->state == STATE_STREAMING;
}

static void tell_gone(struct connection *connection)
{
    struct http_server *server = connection->server;
    uint64_t id = connection->id;
    bool owed = is_owed(connection);
    connection->id = 0;
    if (owed && server->handler.gone && !server->destroyed)
        server->handler.gone(server->handler.context, id);
}

static struct connection *find(struct http_server *server, uint64_t id)
{
    unsigned slot = (unsigned)(id & 0xffff);
    struct connection *connection = slot < server->options.connections_max ? server->slots[slot] : NULL;
    return id && !server->destroyed && connection && connection->id == id ? connection : NULL;
}

/* Deadlines. One timer for all of them: it sleeps until the earliest that it knew of, and looks. */

static void set_deadline(struct connection *connection, int64_t after_ms)
{
    struct http_server *server = connection->server;
    uint64_t now = uv_now(server->loop);
    connection->deadline_ms = after_ms ? now + (uint64_t)after_ms : 0;
    if (after_ms && !server->destroyed &&
        (!uv_is_active((uv_handle_t *)&server->sweep) || uv_timer_get_due_in(&server->sweep) > (uint64_t)after_ms))
        uv_timer_start(&server->sweep, on_sweep, (uint64_t)after_ms, 0);
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now = uv_now(server->loop), next = UINT64_MAX;
    for (unsigned i = 0; i < server->options.connections_max; i++) {
        struct connection *connection = server->slots[i];
        if (!connection || !connection->deadline_ms)
            continue;
        if (connection->deadline_ms <= now) {
            tell_gone(connection);
            close_connection(connection);
        } else if (connection->deadline_ms < next) {
            next = connection->deadline_ms;
        }
    }
    if (next != UINT64_MAX && !server->destroyed)
        uv_timer_start(&server->sweep, on_sweep, next - now, 0);
}

/* Writing */

static void want_write(struct connection *connection)
{
    if (connection->state != STATE_DEAD)
        lws_callback_on_writable(connection->wsi);
}

static size_t unsent(const struct connection *connection)
{
    return connection->out.length - connection->sent;
}

static void forget_sent(struct connection *connection)
{
    buffer_consume(&connection->out, connection->sent);
    connection->sent = 0;
    if (connection->out.length == 0 && connection->out.capacity > KEEP_BUFFER_MAX)
        buffer_finish(&connection->out);
}

/* Reading is on where something may come, and never while the library holds unsent bytes (see above). */
static void set_reading(struct connection *connection)
{
    bool on = (connection->state == STATE_READING || connection->state == STATE_STREAMING ||
               connection->state == STATE_LINGERING) &&
              !lws_partial_buffered(connection->wsi);
    lws_rx_flow_control(connection->wsi, on);
}

/* One turn's worth of bytes. -1 when the client is gone. */
static int write_some(struct connection *connection)
{
    size_t before = connection->sent;
    while (unsent(connection) && !lws_partial_buffered(connection->wsi) && connection->sent - before < TURN_MAX) {
        size_t length = unsent(connection) < CHUNK ? unsent(connection) : CHUNK;
        if (lws_write(connection->wsi, (unsigned char *)connection->out.data + connection->sent, length,
                      LWS_WRITE_RAW) < 0)
            return -1;
        connection->sent += length;
    }
    if (unsent(connection) == 0 || connection->sent > connection->out.length / 2)
        forget_sent(connection);
    return 0;
}

static int read_requests(struct connection *connection);

/* The answer has left: on to the next request, or to the end. */
static int after_answer(struct connection *connection)
{
    if (connection->keep_alive) {
        connection->state = STATE_READING;
        set_deadline(connection, 0);
        return read_requests(connection);
    }
    connection->state = STATE_LINGERING;
    shutdown(lws_get_socket_fd(connection->wsi), SHUT_WR);
    set_deadline(connection, LINGER_MS);
    set_reading(connection);
    return 0;
}

static int on_writable(struct connection *connection)
{
    if (connection->state == STATE_DEAD)
        return -1;
    if (write_some(connection))
        return -1;
    set_reading(connection);
    if (unsent(connection) || lws_partial_buffered(connection->wsi)) {
        set_deadline(connection, connection->server->options.write_timeout_ms);
        want_write(connection);
        return 0;
    }
    if (connection->state == STATE_STREAMING)
        set_deadline(connection, 0);
    return connection->state == STATE_FLUSHING ? after_answer(connection) : 0;
}

/* Answering */

const char *http_request_query(const struct http_request *request, const char *name)
{
    return http_fields_query(request->fields, name);
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http_fields_header(request->fields, name);
}

static struct http_reply_frame frame_of(const struct connection *connection)
{
    return (struct http_reply_frame){.server_name = connection->server->name,
                                     .close = !connection->keep_alive,
                                     .head_alone = connection->head_alone,
                                     .gzip = connection->gzip};
}

static int flush_answer(struct connection *connection)
{
    connection->id = 0;
    connection->state = STATE_FLUSHING;
    set_deadline(connection, connection->server->options.write_timeout_ms);
    want_write(connection);
    return 0;
}

static int respond(struct connection *connection, const struct http_response *response)
{
    struct http_reply_frame frame = frame_of(connection);
    if (http_reply_append(&connection->out, response, &frame, &connection->server->packed)) {
        kill_connection(connection);
        return -1;
    }
    return flush_answer(connection);
}

int http_respond(struct http_server *server, uint64_t id, const struct http_response *response)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_ANSWERING)
        return -1;
    return respond(connection, response);
}

static int print_error(const char *code, const char *message, struct buffer *out)
{
    struct json *document = json_object();
    struct json *error = json_set(document, "error", json_object());
    json_set_string(error, "code", code);
    json_set_string(error, "message", message);
    json_set(error, "details", json_array());
    int result = json_print(document, JSON_COMPACT, out, NULL);
    json_destroy(document);
    return result || buffer_append_text(out, "\n") ? -1 : 0;
}

static int respond_error(struct connection *connection, int status, const char *code, const char *message,
                         const char *const *headers)
{
    struct buffer body;
    buffer_init(&body, 0);
    int result = print_error(code, message, &body);
    if (result)
        kill_connection(connection);
    else
        result = respond(connection, &(struct http_response){.status = status,
                                                             .content_type = "application/json",
                                                             .headers = headers,
                                                             .body = body.data,
                                                             .length = body.length});
    buffer_finish(&body);
    return result;
}

int http_respond_error(struct http_server *server, uint64_t id, int status, const char *code, const char *message)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_ANSWERING)
        return -1;
    return respond_error(connection, status, code, message, NULL);
}

int http_respond_not_found(struct http_server *server, uint64_t id)
{
    return http_respond_error(server, id, 404, "not_found", "there is nothing at this path");
}

int http_respond_method_not_allowed(struct http_server *server, uint64_t id, const char *allowed)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_ANSWERING)
        return -1;
    char header[128], message[128];
    snprintf(header, sizeof header, "Allow: %s", allowed);
    snprintf(message, sizeof message, "this path takes %s", allowed);
    return respond_error(connection, 405, "method_not_allowed", message, (const char *const[]){header, NULL});
}

/* Streams */

int http_stream_begin(struct http_server *server, uint64_t id, const char *content_type, const char *const *headers)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_ANSWERING)
        return -1;
    if (connection->http_1_0)
        connection->keep_alive = false; /* its end is the connection's */
    struct http_reply_frame frame = frame_of(connection);
    frame.chunked = !connection->http_1_0;
    if (http_reply_append_stream_head(&connection->out, content_type, headers, &frame)) {
        kill_connection(connection);
        return -1;
    }
    if (connection->head_alone) {
        flush_answer(connection);
        return -1;
    }
    connection->state = STATE_STREAMING;
    set_deadline(connection, server->options.write_timeout_ms);
    want_write(connection);
    return 0;
}

int http_stream_write(struct http_server *server, uint64_t id, const void *data, size_t length)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_STREAMING)
        return -1;
    if (length == 0)
        return 0; /* as a chunk it would be the end */
    bool was_empty = unsent(connection) == 0 && !lws_partial_buffered(connection->wsi);
    size_t room = server->options.stream_queue_max;
    int failed = unsent(connection) > room || length > room - unsent(connection);
    if (!failed && !connection->http_1_0)
        failed |= buffer_printf(&connection->out, "%zx\r\n", length);
    if (!failed)
        failed |= buffer_append(&connection->out, data, length);
    if (!failed && !connection->http_1_0)
        failed |= buffer_append_text(&connection->out, "\r\n");
    if (failed) {
        kill_connection(connection);
        return -1;
    }
    if (was_empty) /* else the time since the client took something goes on */
        set_deadline(connection, server->options.write_timeout_ms);
    want_write(connection);
    return 0;
}

int http_stream_end(struct http_server *server, uint64_t id)
{
    struct connection *connection = find(server, id);
    if (!connection || connection->state != STATE_STREAMING)
        return -1;
    if (!connection->http_1_0 && buffer_append_text(&connection->out, "0\r\n\r\n")) {
        kill_connection(connection);
        return -1;
    }
    return flush_answer(connection);
}

/* Reading */

/* Answers a request that the handler never sees, and ends the connection, since where the next one begins is not known. */
static void refuse(struct connection *connection, int status, const char *code, const char *message)
{
    connection->keep_alive = false;
    connection->request_length = connection->in.length;
    respond_error(connection, status, code, message, NULL);
}

static void note_head(struct connection *connection, const struct http_fields *fields)
{
    connection->http_1_0 = fields->http_1_0;
    connection->keep_alive = fields->keep_alive;
    connection->head_alone = !strcmp(fields->method, "HEAD");
    connection->gzip = fields->accepts_gzip;
}

/* 1 when a whole request is in the buffer, 0 when more must come, -1 when it was refused. */
static int look_for_request(struct connection *connection)
{
    struct http_server *server = connection->server;
    struct http_fields *fields = server->fields;
    const char *why;
    int found = http_fields_parse(fields, buffer_text(&connection->in), connection->in.length, &why);
    if (found < 0) {
        connection->head_alone = connection->gzip = false;
        refuse(connection, -found, "bad_request", why);
        return -1;
    }
    if (found == 0)
        return 0;
    note_head(connection, fields);
    if (fields->content_length > server->options.body_max) {
        char message[96];
        snprintf(message, sizeof message, "a body may have at most %zu bytes", server->options.body_max);
        refuse(connection, 413, "too_large", message);
        return -1;
    }
    connection->request_length = fields->head_length + (size_t)fields->content_length;
    if (connection->in.length >= connection->request_length)
        return 1;
    if (fields->expects_continue && !connection->continued) {
        connection->continued = true;
        if (buffer_append_text(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
            want_write(connection);
    }
    return 0;
}

static bool is_foreign_host(const struct http_server *server)
{
    const char *host = http_fields_header(server->fields, "Host");
    return server->loopback && host && !http_host_is_loopback(host);
}

static void hand_over(struct connection *connection)
{
    struct http_server *server = connection->server;
    const struct http_fields *fields = server->fields;
    char *body = connection->in.data + fields->head_length;
    char after = body[fields->content_length];
    connection->state = STATE_ANSWERING;
    connection->continued = false;
    set_deadline(connection, 0);
    if (is_foreign_host(server)) {
        respond_error(connection, 403, "foreign_host",
                      "this listener answers to localhost and 127.0.0.1 alone, not to other names in the Host header", NULL);
        return;
    }
    connection->id = ++server->serial << 16 | connection->slot;
    struct http_request request = {.id = connection->id,
                                   .method = connection->head_alone ? "GET" : fields->method,
                                   .path = fields->path,
                                   .remote = connection->remote,
                                   .body = body,
                                   .length = (size_t)fields->content_length,
                                   .fields = fields};
    body[fields->content_length] = 0; /* the first byte of a pipelined request, or the buffer's own end */
    server->handler.request(server->handler.context, &request);
    body[fields->content_length] = after;
}

static void drop_request(struct connection *connection)
{
    buffer_consume(&connection->in, connection->request_length);
    connection->request_length = 0;
    if (connection->in.length == 0 && connection->in.capacity > KEEP_BUFFER_MAX)
        buffer_finish(&connection->in);
}

/* Takes one request out of what was read; the next one when this is answered. -1 when the connection is to be closed. */
static int read_requests(struct connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    int found = connection->in.length ? look_for_request(connection) : 0;
    if (found > 0)
        hand_over(connection);
    if (found)
        drop_request(connection);
    else if (connection->in.length == 0)
        set_deadline(connection, options->idle_timeout_ms);
    else if (connection->deadline_ms == 0)
        set_deadline(connection, options->request_timeout_ms);
    set_reading(connection);
    return connection->state == STATE_DEAD ? -1 : 0;
}

static int on_bytes(struct connection *connection, const char *data, size_t length)
{
    size_t most = connection->server->options.body_max + HTTP_HEAD_MAX + 2 * CHUNK;
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
        set_deadline(connection, connection->server->options.request_timeout_ms);
    return read_requests(connection);
}

/* The library's events */

static void note_remote(struct connection *connection)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    if (getpeername(lws_get_socket_fd(connection->wsi), (struct sockaddr *)&peer, &length) == 0)
        getnameinfo((struct sockaddr *)&peer, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    bool brackets = strchr(host, ':') != NULL;
    snprintf(connection->remote, sizeof connection->remote, brackets ? "[%s]:%s" : "%s:%s", host, port);
}

static int on_connected(struct http_server *server, struct lws *wsi)
{
    struct connection *connection = NULL;
    if (server->count < server->options.connections_max && !server->destroyed)
        connection = calloc(1, sizeof *connection);
    if (!connection)
        return -1;
    while (server->slots[server->next_slot])
        server->next_slot = (server->next_slot + 1) % server->options.connections_max;
    connection->server = server;
    connection->wsi = wsi;
    connection->slot = server->next_slot;
    server->slots[connection->slot] = connection;
    server->count++;
    lws_set_opaque_user_data(wsi, connection);
    note_remote(connection);
    set_deadline(connection, server->options.idle_timeout_ms);
    return 0;
}

static void on_disconnected(struct connection *connection)
{
    struct http_server *server = connection->server;
    lws_set_opaque_user_data(connection->wsi, NULL);
    tell_gone(connection);
    server->slots[connection->slot] = NULL;
    server->count--;
    buffer_finish(&connection->in);
    buffer_finish(&connection->out);
    free(connection);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *data, size_t length)
{
    struct connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        return on_connected(lws_context_user(lws_get_context(wsi)), wsi);
    case LWS_CALLBACK_RAW_RX:
        return connection ? on_bytes(connection, data, length) : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        return connection ? on_writable(connection) : -1;
    case LWS_CALLBACK_RAW_CLOSE:
        if (connection)
            on_disconnected(connection);
        return 0;
    default:
        return 0;
    }
}

/* The server */

/* Frees the library's context. It closes its handles in two steps (sockets, then its own timers) and must be told again after
 * them; as it says nothing then, turns of the loop are counted: each step takes one, two are to be sure. */
static void on_server_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->open_handles)
        return;
    void (*closed)(void *) = server->closed;
    void *context = server->closed_context;
    http_packed_finish(&server->packed);
    free(server->fields);
    free(server->slots);
    free(server->name);
    free(server);
    if (closed)
        closed(context);
}

static void on_turn(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    if (server->turns_left == CLOSING_TURNS && server->library)
        lws_context_destroy(server->library);
    if (--server->turns_left > 0) {
        uv_timer_start(timer, on_turn, 1, 0); /* with 0 it would be due in this same turn */
        return;
    }
    if (server->library)
        lws_context_destroy(server->library);
    uv_close((uv_handle_t *)&server->sweep, on_server_handle_closed);
    uv_close((uv_handle_t *)&server->turn, on_server_handle_closed);
}

void http_server_destroy(struct http_server *server, void (*closed)(void *context), void *context)
{
    if (!server || server->destroyed)
        return;
    server->destroyed = true;
    server->closed = closed;
    server->closed_context = context;
    uv_timer_stop(&server->sweep);
    uv_timer_start(&server->turn, on_turn, 0, 0); /* not now: the handler may be calling */
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

static void fill_defaults(struct http_server_options *options)
{
    if (!options->body_max)
        options->body_max = BODY_DEFAULT;
    if (!options->connections_max)
        options->connections_max = CONNECTIONS_DEFAULT;
    if (!options->stream_queue_max)
        options->stream_queue_max = STREAM_QUEUE_DEFAULT;
    if (!options->idle_timeout_ms)
        options->idle_timeout_ms = IDLE_DEFAULT_MS;
    if (!options->request_timeout_ms)
        options->request_timeout_ms = REQUEST_DEFAULT_MS;
    if (!options->write_timeout_ms)
        options->write_timeout_ms = WRITE_DEFAULT_MS;
}

/* Whether the address can be listened on: the library only says that it couldn't. */
static int try_address(const struct http_server_options *options, struct error *err)
{
    char port[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *address = NULL;
    snprintf(port, sizeof port, "%d", options->port);
    if (getaddrinfo(options->address, port, &hints, &address))
        return error_set(err, ERROR_INVALID, "\"%s\" is no IP address to listen on", options->address);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    int failed = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
                 bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, 1);
    if (failed)
        error_set_errno(err, errno, "cannot listen on %s port %d", options->address, options->port);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(address);
    return failed ? -1 : 0;
}

/* The context first and the listener after it: a context that fails because of its listener frees itself with its handles in the
 * loop. */
static int start_library(struct http_server *server, const struct http_server_options *options, struct error *err)
{
    void *loops[] = {server->loop};
    server->protocols[0] = (struct lws_protocols){.name = "atoll", .callback = on_event, .rx_buffer_size = CHUNK};
    struct lws_context_creation_info info = {
        .iface = options->address,
        .port = options->port,
        .protocols = server->protocols,
        .listen_accept_role = "raw-skt",
        .listen_accept_protocol = "atoll",
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES |
                   LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (strchr(options->address, ':') ? 0 : LWS_SERVER_OPTION_DISABLE_IPV6),
        .foreign_loops = loops,
        .user = server,
        .fd_limit_per_thread = server->options.connections_max + DESCRIPTORS_OF_OTHERS,
        .pt_serv_buf_size = CHUNK + LWS_PRE,
        .vhost_name = "atoll",
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
    };
    if (try_address(options, err))
        return -1;
    lws_set_log_level(0, NULL); /* libraries don't log */
    server->library = lws_create_context(&info);
    struct lws_vhost *listener = server->library ? lws_create_vhost(server->library, &info) : NULL;
    if (!listener)
        return error_set(err, ERROR_INTERNAL, "cannot listen on %s port %d: the HTTP library does not start%s",
                         options->address, options->port,
                         server->library ? "" : " (is its libuv plugin, libwebsockets-evlib-uv, installed?)");
    server->port = lws_get_vhost_listen_port(listener);
    return 0;
}

static int check_address(const struct http_server_options *options, bool *loopback, struct error *err)
{
    struct in_addr four;
    struct in6_addr six;
    if (options->port < 0 || options->port > 65535)
        return error_set(err, ERROR_INVALID, "%d is no port: 0 to 65535 are", options->port);
    if (inet_pton(AF_INET, options->address, &four) == 1)
        *loopback = ntohl(four.s_addr) >> 24 == 127;
    else if (inet_pton(AF_INET6, options->address, &six) == 1)
        *loopback = IN6_IS_ADDR_LOOPBACK(&six);
    else
        return error_set(err, ERROR_INVALID, "\"%s\" is no IP address to listen on", options->address);
    return 0;
}

static struct http_server *allocate(const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->options = *options;
    fill_defaults(&server->options);
    assert(server->options.connections_max <= CONNECTIONS_MOST);
    server->slots = calloc(server->options.connections_max, sizeof(struct connection *));
    server->fields = calloc(1, sizeof *server->fields);
    server->name = strdup(options->name);
    if (server->slots && server->fields && server->name)
        return server;
    free(server->slots);
    free(server->fields);
    free(server->name);
    free(server);
    return NULL;
}

struct http_server *http_server_create(uv_loop_t *loop, const struct http_server_options *options,
                                       const struct http_handler *handler, struct error *err)
{
    bool loopback = false;
    if (check_address(options, &loopback, err))
        return NULL;
    struct http_server *server = allocate(options);
    if (!server) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for the HTTP server");
        return NULL;
    }
    server->loop = loop;
    server->handler = *handler;
    server->loopback = loopback;
    uv_timer_init(loop, &server->sweep);
    uv_timer_init(loop, &server->turn);
    server->sweep.data = server->turn.data = server;
    server->open_handles = 2;
    server->turns_left = CLOSING_TURNS;
    if (start_library(server, options, err)) {
        http_server_destroy(server, NULL, NULL);
        return NULL;
    }
    return server;
}
