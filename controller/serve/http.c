/* The HTTP server: see http.h; the only file that names libwebsockets (4.1.6), which listens, reads and
 * writes.
 *
 * It is used as a server of sockets ("raw" role) and the requests are read by http_request.c, because its
 * HTTP role doesn't fit requests that are answered later: it goes on reading a pipelined request into the
 * headers of the one that is being answered, takes "Content-Length: x" for 0, never ends a chunked body, and
 * has assert(0) in its states, on in Debian's build.
 *
 * Where the library bites here, too: a socket with unsent bytes isn't read, but is polled for reading, so
 * that it would spin: reading is switched off meanwhile. It reports timeouts by the second only, so that
 * deadlines are our own. Freeing a context on a foreign loop takes two calls with the closing of its handles
 * between them, which it doesn't tell. */
#include "controller/serve/http.h"

#include <assert.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "controller/serve/http_connection.h"

enum {
    BODY_DEFAULT = 4 * 1024 * 1024,
    BODIES_DEFAULT = 64 * 1024 * 1024,
    STREAM_QUEUE_DEFAULT = 4 * 1024 * 1024,
    CONNECTIONS_DEFAULT = 1024,
    CONNECTIONS_MOST = 65535,   /* an id's lower 16 bits */
    DESCRIPTORS_OF_OTHERS = 16, /* the library's own: listener, event pipe, … */
    HANDSHAKE_DEFAULT_MS = 10000,
    FIRST_DEFAULT_MS = 10000,
    IDLE_DEFAULT_MS = 75000,
    REQUEST_DEFAULT_MS = 30000,
    WRITE_DEFAULT_MS = 30000,
    CLOSING_TURNS = 4 /* of the loop; see on_turn() */
};

/* Sockets: see http_connection.h */

void http_socket_want_write(struct http_connection *connection)
{
    if (connection->state != STATE_DEAD)
        lws_callback_on_writable(connection->socket);
}

void http_socket_set_reading(struct http_connection *connection, bool on)
{
    lws_rx_flow_control(connection->socket, on);
}

bool http_socket_is_full(const struct http_connection *connection)
{
    return lws_partial_buffered(connection->socket);
}

bool http_socket_is_blocked(const struct http_connection *connection)
{
    return http_socket_is_full(connection) || (connection->tls && http_tls_has_output(connection));
}

int http_socket_put(struct http_connection *connection, const void *data, size_t length)
{
    return lws_write(connection->socket, (unsigned char *)(uintptr_t)data, length, LWS_WRITE_RAW) < 0 ? -1
                                                                                                      : 0;
}

int http_socket_write(struct http_connection *connection, const void *data, size_t length)
{
    return connection->tls ? http_tls_write(connection, data, length)
                           : http_socket_put(connection, data, length);
}

bool http_socket_has_unread(const struct http_connection *connection)
{
    int waiting = 0;
    return ioctl(lws_get_socket_fd(connection->socket), FIONREAD, &waiting) == 0 && waiting > 0;
}

void http_socket_shut_sending(struct http_connection *connection)
{
    if (connection->tls)
        http_tls_end(connection);
    shutdown(lws_get_socket_fd(connection->socket), SHUT_WR);
}

/* Unsent bytes would make the library wait for a client that reads nothing; the shutdown ends that. */
void http_socket_close(struct http_connection *connection)
{
    shutdown(lws_get_socket_fd(connection->socket), SHUT_RDWR);
    lws_set_timeout(connection->socket, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
}

/* The library's events */

static uint64_t network_of(const struct sockaddr *peer)
{
    uint64_t network = 0;
    if (peer->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr);
    if (peer->sa_family == AF_INET6)
        memcpy(&network, ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr,
               sizeof network);
    return network;
}

static void note_remote(struct http_connection *connection)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof peer;
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    if (getpeername(lws_get_socket_fd(connection->socket), (struct sockaddr *)&peer, &length) == 0)
        getnameinfo((struct sockaddr *)&peer, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    connection->network = network_of((struct sockaddr *)&peer);
    bool brackets = strchr(host, ':') != NULL;
    snprintf(connection->remote, sizeof connection->remote, brackets ? "[%s]:%s" : "%s:%s", host, port);
}

static int on_connected(struct lws *socket)
{
    struct http_connection *connection =
        http_connection_open(lws_context_user(lws_get_context(socket)), socket);
    if (!connection)
        return -1;
    lws_set_opaque_user_data(socket, connection);
    note_remote(connection);
    http_pool_enter(connection);
    return http_tls_open(connection);
}

static int on_bytes(struct http_connection *connection, const char *data, size_t length)
{
    return connection->tls ? http_tls_on_bytes(connection, data, length)
                           : http_connection_on_bytes(connection, data, length);
}

static int on_writable(struct http_connection *connection)
{
    return connection->tls && http_tls_flush(connection) ? -1 : http_connection_on_writable(connection);
}

static int on_event(struct lws *socket, enum lws_callback_reasons reason, void *user, void *data,
                    size_t length)
{
    struct http_connection *connection = socket ? lws_get_opaque_user_data(socket) : NULL;
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        return on_connected(socket);
    case LWS_CALLBACK_RAW_RX:
        return connection ? on_bytes(connection, data, length) : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        return connection ? on_writable(connection) : -1;
    case LWS_CALLBACK_RAW_CLOSE:
        lws_set_opaque_user_data(socket, NULL);
        if (connection)
            http_connection_free(connection);
        return 0;
    default:
        return 0;
    }
}

/* The server */

/* Frees the library's context. It closes its handles in two steps (sockets, then its own timers) and must be
 * told again after them; as it says nothing then, turns of the loop are counted: each step takes one, two are
 * to be sure. */
static void on_server_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->open_handles)
        return;
    void (*closed)(void *) = server->closed;
    void *context = server->closed_context;
    http_packed_finish(&server->packed);
    buffer_finish(&server->opened);
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
    if (!options->bodies_max)
        options->bodies_max = BODIES_DEFAULT;
    if (!options->agent_bodies_max)
        options->agent_bodies_max = BODIES_DEFAULT;
    if (!options->owner_bodies_max)
        options->owner_bodies_max = SIZE_MAX;
    if (!options->connections_max)
        options->connections_max = CONNECTIONS_DEFAULT;
    if (!options->strangers_max)
        options->strangers_max = options->connections_max;
    if (!options->strangers_per_address_max)
        options->strangers_per_address_max = options->strangers_max;
    if (!options->persons_max)
        options->persons_max = options->connections_max;
    if (!options->first_timeout_ms)
        options->first_timeout_ms = FIRST_DEFAULT_MS;
    if (!options->stream_queue_max)
        options->stream_queue_max = STREAM_QUEUE_DEFAULT;
    if (!options->handshake_timeout_ms)
        options->handshake_timeout_ms = HANDSHAKE_DEFAULT_MS;
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
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM},
                    *address = NULL;
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

/* The context first and the listener after it: a context that fails because of its listener frees itself with
 * its handles in the loop. */
static int start_library(struct http_server *server, const struct http_server_options *options,
                         struct error *err)
{
    static const struct lws_protocols protocols[] = {
        {.name = "atoll", .callback = on_event, .rx_buffer_size = HTTP_CHUNK}, {0}};
    void *loops[] = {server->loop};
    struct lws_context_creation_info info = {
        .iface = options->address,
        .port = options->port,
        .protocols = protocols,
        .listen_accept_role = "raw-skt",
        .listen_accept_protocol = "atoll",
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES |
                   LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (strchr(options->address, ':') ? 0 : LWS_SERVER_OPTION_DISABLE_IPV6),
        .foreign_loops = loops,
        .user = server,
        .fd_limit_per_thread = server->options.connections_max + DESCRIPTORS_OF_OTHERS,
        .pt_serv_buf_size = HTTP_CHUNK + LWS_PRE,
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
        return error_set(err, ERROR_INTERNAL,
                         "cannot listen on %s port %d: the HTTP library does not start%s", options->address,
                         options->port,
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
    server->slots = calloc(server->options.connections_max, sizeof(struct http_connection *));
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
