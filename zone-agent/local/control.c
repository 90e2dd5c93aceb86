/* The control socket of the local driver, DIR/control.sock, mode 0600: what networks and load balancers do to
 * people. One JSON line each way: {"fault":"move-address","member":"mongo-node1"} |
 * {"fault":"cut"|"refuse"|"heal"|"slow","member":"…" or absent for the whole zone,"ms":N} ->
 * {"ok":true,"address":"…"} | {"error":"sentence"}. Faults live in the agent: one that is started again has
 * none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zone-agent/local/local_internal.h"

enum { CONTROL_PEERS_MAX = 16, UNIX_PATH_MAX = 107 };

struct control_peer {
    struct control_peer *next;
    struct local_driver *driver;
    uv_pipe_t pipe;
    struct buffer line, answer;
    uv_write_t write;
    char chunk[512];
    bool closing;
};

/* ---- faults ---- */

static struct local_member *find_by_node(struct local_driver *driver, const char *node)
{
    for (struct local_member *member = driver->members; member; member = member->next)
        if (strcmp(member->node, node) == 0)
            return member;
    return NULL;
}

static void fault_zone(struct local_driver *driver, enum fault fault, int64_t slow_ms)
{
    driver->fault = fault;
    driver->slow_ms = slow_ms;
    for (struct local_member *member = driver->members; member; member = member->next) {
        if (fault == FAULT_NONE)
            member->service.fault = FAULT_NONE; /* heal ends all */
        local_fault_changed(member);
    }
    driver->zone_cut(driver->events.context, fault == FAULT_CUT);
}

static int obey(struct local_driver *driver, const struct control_order *order, struct json *answer,
                struct error *err)
{
    struct local_member *member = *order->member ? find_by_node(driver, order->member) : NULL;
    if (*order->member && !member)
        return error_set(err, ERROR_NOT_FOUND, "this zone has no member %s", order->member);
    if (order->move) {
        if (local_service_move(member, err))
            return -1;
    } else if (member) {
        member->service.fault = order->fault;
        member->service.slow_ms = order->slow_ms;
        local_fault_changed(member);
    } else {
        fault_zone(driver, order->fault, order->slow_ms);
    }
    json_set_bool(answer, "ok", true);
    if (member)
        json_set_string(answer, "address", member->service.address);
    return 0;
}

/* ---- lines ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    struct control_peer *peer = handle->data;
    struct local_driver *driver = peer->driver;
    buffer_finish(&peer->line);
    buffer_finish(&peer->answer);
    free(peer);
    local_handle_closed(driver);
}

static void close_peer(struct control_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    struct control_peer **link = &peer->driver->control_peers;
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    peer->driver->control_peer_count--;
    uv_close((uv_handle_t *)&peer->pipe, on_peer_closed);
}

static void on_answered(uv_write_t *request, int status)
{
    (void)status;
    close_peer(request->data);
}

static void answer_line(struct control_peer *peer, size_t length)
{
    struct error err = {0};
    struct control_order order;
    struct json *answer = json_object();
    if (control_order_read(buffer_text(&peer->line), length, &order, &err) ||
        obey(peer->driver, &order, answer, &err)) {
        json_destroy(answer);
        answer = json_object();
        json_set_string(answer, "error", err.message);
    }
    int failed =
        json_print(answer, JSON_COMPACT, &peer->answer, &err) || buffer_append_text(&peer->answer, "\n");
    json_destroy(answer);
    uv_read_stop((uv_stream_t *)&peer->pipe);
    uv_buf_t text = uv_buf_init(peer->answer.data, (unsigned)peer->answer.length);
    peer->write.data = peer;
    if (failed || uv_write(&peer->write, (uv_stream_t *)&peer->pipe, &text, 1, on_answered))
        close_peer(peer);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct control_peer *peer = handle->data;
    (void)suggested;
    *out = uv_buf_init(peer->chunk, sizeof peer->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *chunk)
{
    struct control_peer *peer = stream->data;
    if (length == 0)
        return;
    if (length < 0 || buffer_append(&peer->line, chunk->base, (size_t)length)) {
        close_peer(peer);
        return;
    }
    const char *end = memchr(peer->line.data, '\n', peer->line.length);
    if (!end && peer->line.length > CONTROL_LINE_MAX)
        answer_line(peer, peer->line.length); /* says that it is too long */
    else if (end)
        answer_line(peer, (size_t)(end - peer->line.data));
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct local_driver *driver = listener->data;
    struct control_peer *peer = status == 0 ? calloc(1, sizeof *peer) : NULL;
    if (!peer)
        return;
    peer->driver = driver;
    buffer_init(&peer->line, CONTROL_LINE_MAX + sizeof peer->chunk);
    buffer_init(&peer->answer, CONTROL_LINE_MAX);
    uv_pipe_init(driver->loop, &peer->pipe, 0);
    local_handle_opened(driver);
    peer->pipe.data = peer;
    peer->next = driver->control_peers;
    driver->control_peers = peer;
    driver->control_peer_count++;
    if (uv_accept(listener, (uv_stream_t *)&peer->pipe) || driver->control_peer_count > CONTROL_PEERS_MAX ||
        uv_read_start((uv_stream_t *)&peer->pipe, on_allocate, on_read))
        close_peer(peer);
}

/* ---- life ---- */

/* A Unix socket's path has at most 107 bytes (unix(7)), and libuv cuts a longer one silently: then the socket
 * is bound by way of its folder's file descriptor. Clients with such a folder do the same. */
static int bind_path(struct local_driver *driver, char out[LOCAL_PATH_MAX], struct error *err)
{
    int length = snprintf(out, LOCAL_PATH_MAX, "%s/control.sock", driver->dir);
    if (length >= LOCAL_PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE,
                         "the path of the control socket is longer than LOCAL_PATH_MAX (%d)", LOCAL_PATH_MAX);
    unlink(out); /* of an agent that died: the caller holds the directory's lock */
    if (length <= UNIX_PATH_MAX)
        return 0;
    driver->control_folder = open(driver->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (driver->control_folder < 0)
        return error_set_errno(err, errno, "%s can't be opened", driver->dir);
    snprintf(out, LOCAL_PATH_MAX, "/proc/self/fd/%d/control.sock", driver->control_folder);
    return 0;
}

int control_open(struct local_driver *driver, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    if (bind_path(driver, path, err))
        return -1;
    uv_pipe_init(driver->loop, &driver->control, 0);
    local_handle_opened(driver);
    driver->control_open = true;
    driver->control.data = driver;
    mode_t before = umask(0177);
    int result = uv_pipe_bind(&driver->control, path);
    umask(before);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&driver->control, CONTROL_PEERS_MAX, on_connection);
    return result ? error_set(err, ERROR_IO, "%s/control.sock can't be opened: %s", driver->dir,
                              uv_strerror(result))
                  : 0;
}

static void on_control_closed(uv_handle_t *handle)
{
    struct local_driver *driver = handle->data;
    if (driver->control_folder >= 0)
        close(driver->control_folder);
    local_handle_closed(driver);
}

void control_close(struct local_driver *driver)
{
    while (driver->control_peers)
        close_peer(driver->control_peers);
    if (driver->control_open)
        uv_close((uv_handle_t *)&driver->control, on_control_closed);
    driver->control_open = false;
}
