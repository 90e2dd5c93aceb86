/* The TCP forwarder of a Service: what comes to its address goes to the pod, and back, with back pressure (a
 * direction that can't be written is not read) and little memory: a connection at rest has no buffer at all.
 * Faults of the network are played here. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/local/local_internal.h"

/* One way of a connection: read from its own socket, written to the other side's. */
struct side {
    struct connection *connection;
    uv_tcp_t socket;
    bool opened, reading, read_ended, write_ended;
    /* On the way to the other side; NULL: nothing. */
    char *pending;
    size_t pending_length;
    bool writing; /* `pending` is libuv's until the write's end */
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_timer_t delay; /* of a slow network */
};

struct connection {
    struct connection *next, **link;
    struct local_member *member;
    struct side client, pod;
    uv_connect_t connect;
    bool connected, closing;
    int open_handles;
};

/* All reads of the loop go here first, one at a time; only what can't be passed on at once is copied. */
static char shared_buffer[LOCAL_FORWARD_BYTES];

static void flow(struct connection *connection);

static struct side *other_side(struct side *side)
{
    struct connection *connection = side->connection;
    return side == &connection->client ? &connection->pod : &connection->client;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct local_driver *driver = connection->member->driver;
    if (--connection->open_handles == 0) {
        free(connection->client.pending);
        free(connection->pod.pending);
        free(connection);
    }
    local_handle_closed(driver);
}

static void opened(struct connection *connection, uv_handle_t *handle)
{
    handle->data = connection;
    connection->open_handles++;
    local_handle_opened(connection->member->driver);
}

static void close_side(struct side *side, bool reset)
{
    uv_close((uv_handle_t *)&side->delay, on_closed);
    if (!side->opened)
        return;
    if (!reset || uv_tcp_close_reset(&side->socket, on_closed))
        if (!uv_is_closing((uv_handle_t *)&side->socket))
            uv_close((uv_handle_t *)&side->socket, on_closed);
}

static void end(struct connection *connection, bool reset)
{
    if (connection->closing)
        return;
    connection->closing = true;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    connection->member->service.connection_count--;
    close_side(&connection->client, reset);
    close_side(&connection->pod, reset);
}

void forward_reset_all(struct local_member *member)
{
    while (member->service.connections)
        end(member->service.connections, true);
}

/* ---- one way ---- */

static bool is_cut(const struct connection *connection)
{
    return local_fault_of(connection->member, NULL) == FAULT_CUT;
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct side *to = request->data;
    struct connection *connection = to->connection;
    if (connection->closing)
        return;
    if (status)
        end(connection, true);
    else if (connection->client.write_ended && connection->pod.write_ended)
        end(connection, false);
}

/* Everything from `from` is passed on: if it has ended, the other side is told so (half close). */
static void pass_end(struct side *from)
{
    struct side *to = other_side(from);
    if (!from->read_ended || from->pending || to->write_ended)
        return;
    to->write_ended = true;
    to->shutdown.data = to;
    if (uv_shutdown(&to->shutdown, (uv_stream_t *)&to->socket, on_shutdown))
        end(from->connection, true);
}

static void on_written(uv_write_t *request, int status)
{
    struct side *from = request->data;
    struct connection *connection = from->connection;
    from->writing = false;
    free(from->pending);
    from->pending = NULL;
    if (connection->closing)
        return;
    if (status)
        end(connection, true);
    else
        flow(connection);
}

static void write_pending(struct side *from)
{
    uv_buf_t buffer = uv_buf_init(from->pending, (unsigned)from->pending_length);
    from->write.data = from;
    from->writing = true;
    if (uv_write(&from->write, (uv_stream_t *)&other_side(from)->socket, &buffer, 1, on_written)) {
        from->writing = false;
        end(from->connection, true);
    }
}

static void on_delay_over(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    struct side *from = timer == &connection->client.delay ? &connection->client : &connection->pod;
    if (!connection->closing && !is_cut(connection) && from->pending && !from->writing)
        write_pending(from);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

static void stop_reading(struct side *side)
{
    if (side->reading)
        uv_read_stop((uv_stream_t *)&side->socket);
    side->reading = false;
}

/* Keeps what can't go on now, and reads no more until it has gone. */
static void hold_back(struct side *from, const char *data, size_t length)
{
    stop_reading(from);
    from->pending = malloc(length);
    if (!from->pending) {
        end(from->connection, true);
        return;
    }
    memcpy(from->pending, data, length);
    from->pending_length = length;
}

static void pass(struct side *from, const char *data, size_t length)
{
    int64_t slow_ms = 0;
    if (local_fault_of(from->connection->member, &slow_ms) == FAULT_SLOW && slow_ms > 0) {
        hold_back(from, data, length);
        uv_update_time(from->socket.loop); /* the time that it took to get here is no part of the delay */
        if (from->pending)
            uv_timer_start(&from->delay, on_delay_over, (uint64_t)slow_ms, 0);
        return;
    }
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)length);
    int written = uv_try_write((uv_stream_t *)&other_side(from)->socket, &buffer, 1);
    if (written < 0 && written != UV_EAGAIN) {
        end(from->connection, true);
        return;
    }
    size_t done = written > 0 ? (size_t)written : 0;
    if (done == length)
        return;
    hold_back(from, data + done, length - done);
    if (from->pending)
        write_pending(from);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    struct side *from =
        stream == (uv_stream_t *)&connection->client.socket ? &connection->client : &connection->pod;
    if (length > 0) {
        pass(from, buffer->base, (size_t)length);
    } else if (length == UV_EOF) {
        stop_reading(from);
        from->read_ended = true;
        pass_end(from);
    } else if (length < 0) {
        end(connection, true);
    }
}

static void flow_from(struct side *from)
{
    if (from->connection->closing)
        return;
    if (from->pending && !from->writing && !uv_is_active((uv_handle_t *)&from->delay)) {
        write_pending(from);
        return;
    }
    if (from->pending || from->reading)
        return;
    if (from->read_ended) {
        pass_end(from);
        return;
    }
    if (uv_read_start((uv_stream_t *)&from->socket, on_allocate, on_read)) {
        end(from->connection, true);
        return;
    }
    from->reading = true;
}

/* Lets both ways go on, or stops them while the network is cut: then the kernels' buffers fill up and nothing
 * moves. */
static void flow(struct connection *connection)
{
    if (!connection->connected || connection->closing)
        return;
    if (is_cut(connection)) {
        stop_reading(&connection->client);
        stop_reading(&connection->pod);
        return;
    }
    flow_from(&connection->client);
    flow_from(&connection->pod);
}

/* ---- the beginning ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *connection = request->data;
    if (connection->closing)
        return;
    if (status) {
        end(connection, true); /* the pod does not listen (yet): the client is refused */
        return;
    }
    connection->connected = true;
    flow(connection);
}

static void connect_pod(struct connection *connection)
{
    const struct local_pod *pod = &connection->member->pod;
    struct sockaddr_in address;
    connection->connect.data = connection;
    if (!pod->pid || uv_ip4_addr(pod->host, pod->port, &address) ||
        uv_tcp_connect(&connection->connect, &connection->pod.socket, (const struct sockaddr *)&address,
                       on_connected))
        end(connection, true);
}

static void init_side(struct connection *connection, struct side *side)
{
    uv_loop_t *loop = connection->member->driver->loop;
    side->connection = connection;
    uv_timer_init(loop, &side->delay);
    opened(connection, (uv_handle_t *)&side->delay);
    if (uv_tcp_init(loop, &side->socket))
        return;
    opened(connection, (uv_handle_t *)&side->socket);
    side->opened = true;
}

static struct connection *make_connection(struct local_member *member)
{
    struct local_service *service = &member->service;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->member = member;
    init_side(connection, &connection->client);
    init_side(connection, &connection->pod);
    connection->next = service->connections;
    connection->link = &service->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    service->connections = connection;
    service->connection_count++;
    return connection;
}

/* While the network is cut nothing is accepted: the kernel completes the handshake, and then nobody answers.
 * libuv asks no further until the one that waits is accepted. */
void forward_accept(struct local_member *member)
{
    struct local_service *service = &member->service;
    service->waiting = true;
    enum fault fault = local_fault_of(member, NULL);
    if (fault == FAULT_CUT || !service->listener)
        return;
    struct connection *connection = make_connection(member);
    if (!connection)
        return; /* out of memory: it waits until faults or connections change */
    service->waiting = false;
    bool accepted =
        connection->client.opened && connection->pod.opened &&
        uv_accept((uv_stream_t *)service->listener, (uv_stream_t *)&connection->client.socket) == 0;
    if (!accepted || fault == FAULT_REFUSE || service->connection_count > LOCAL_CONNECTIONS_MAX) {
        end(connection, true);
        return;
    }
    uv_tcp_nodelay(&connection->client.socket, 1);
    uv_tcp_nodelay(&connection->pod.socket, 1);
    connect_pod(connection);
}

void forward_faults_changed(struct local_member *member)
{
    enum fault fault = local_fault_of(member, NULL);
    if (fault == FAULT_REFUSE)
        forward_reset_all(member);
    for (struct connection *at = member->service.connections, *next; at; at = next) {
        next = at->next;
        flow(at);
    }
    if (fault != FAULT_CUT && !member->pod.pid)
        forward_reset_all(member); /* what the cut held back: the pod ended meanwhile */
    if (fault != FAULT_CUT && member->service.waiting)
        forward_accept(member);
}
