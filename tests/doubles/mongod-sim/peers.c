/* One TCP link for each (address, lane), opened when it is first needed. A call that is late takes its link
 * down: what comes after it on the link would be late too, and a fresh connection finds a moved or healed
 * address. */
#include "peers.h"

#include "peer_login.h"
#include "sim.h"
#include "tls.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
    int32_t request_id;
    int64_t deadline_ms;
    peer_done *done;
    struct call_arg arg;
    uint8_t *bytes; /* until sent */
    size_t size;
    bool sent;
    struct call *next;
};

struct link {
    uv_tcp_t tcp;
    struct sim *sim;
    char host[PEER_HOST_MAX];
    enum peer_lane lane;
    bool open, dead, tcp_ready;
    int64_t used_ms;
    struct call *calls;
    int call_count;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    bool resolving;
    bool closed; /* the handle's close callback has run */
    char error[ERROR_MESSAGE_MAX];
    struct tls_link *tls; /* NULL: plain */
    struct peer_login login;
    int32_t login_request_id;
    struct tls_bytes in;
    struct link *next;
};

struct link_write {
    uv_write_t req;
    uint8_t *bytes;
};

static void link_free_when_idle(struct link *l)
{
    if (!l->closed || l->resolving)
        return;
    tls_link_destroy(l->tls);
    free(l->in.data);
    free(l);
}

static void on_link_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    l->closed = true;
    link_free_when_idle(l);
}

static void link_unlist(struct link *l)
{
    struct link **p = &l->sim->peers.links;
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    l->sim->peers.link_count--;
}

/* Marks the link as broken; peers_expire() ends its calls, so that no `done` runs inside somebody else's
 * call. */
static void link_break(struct link *l, const char *why)
{
    if (l->dead)
        return;
    l->dead = true;
    snprintf(l->error, sizeof l->error, "%s", why);
    l->sim->peers_broken = true;
}

static void link_finish(struct link *l)
{
    struct sim *sim = l->sim;
    struct call *calls = l->calls;
    l->calls = NULL;
    link_unlist(l);
    while (calls) {
        struct call *c = calls;
        calls = c->next;
        char text[PEER_HOST_MAX + ERROR_MESSAGE_MAX + 64];
        snprintf(text, sizeof text, "Error connecting to %s :: caused by :: %s", l->host, l->error);
        c->done(sim, &c->arg, NULL, text);
        free(c->bytes);
        free(c);
    }
    uv_close((uv_handle_t *)&l->tcp, on_link_closed);
}

static void on_link_written(uv_write_t *req, int status)
{
    struct link_write *w = req->data;
    struct link *l = req->handle->data;
    if (status < 0 && status != UV_ECANCELED)
        link_break(l, uv_strerror(status));
    free(w->bytes);
    free(w);
}

/* Writes bytes as they go over the wire, and frees them. */
static void link_put(struct link *l, uint8_t *bytes, size_t size)
{
    struct link_write *w = xcalloc(1, sizeof *w);
    w->req.data = w;
    w->bytes = bytes;
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
    int rc = uv_write(&w->req, (uv_stream_t *)&l->tcp, &buf, 1, on_link_written);
    if (rc < 0) {
        free(bytes);
        free(w);
        link_break(l, uv_strerror(rc));
    }
}

static void link_flush(struct link *l)
{
    size_t size;
    uint8_t *bytes = tls_link_take(l->tls, &size);
    if (bytes)
        link_put(l, bytes, size);
}

/* Writes one message, or nothing yet to begin a handshake; frees it. */
static void link_write_message(struct link *l, uint8_t *bytes, size_t size)
{
    struct error err = {0};
    if (!l->tls) {
        link_put(l, bytes, size);
        return;
    }
    if (tls_link_send(l->tls, bytes, size, &err))
        link_break(l, err.message);
    else
        link_flush(l);
    free(bytes);
}

static void link_send(struct link *l)
{
    for (struct call *c = l->calls; c && l->open && !l->dead; c = c->next) {
        if (c->sent)
            continue;
        uint8_t *bytes = c->bytes;
        c->bytes = NULL;
        c->sent = true;
        link_write_message(l, bytes, c->size);
    }
}

static void send_login(struct link *l, const bson_t *command)
{
    size_t size;
    l->login_request_id = ++l->sim->peers.next_request_id;
    uint8_t *bytes = wire_write(command, l->login_request_id, 0, false, &size);
    link_write_message(l, bytes, size);
}

/* The link is encrypted where it has to be: then the login, then what waits. */
static void link_secured(struct link *l)
{
    bson_t command = BSON_INITIALIZER;
    if (!l->sim->auth_on) {
        l->open = true;
        link_send(l);
    } else {
        peer_login_begin(l->sim, &l->login, &command);
        send_login(l, &command);
    }
    bson_destroy(&command);
}

static void link_login_answer(struct link *l, const struct wire_message *m)
{
    bson_t command = BSON_INITIALIZER;
    struct error err = {0};
    if (m->response_to != l->login_request_id) {
        link_break(l, "an answer that nobody asked for");
    } else if (peer_login_next(l->sim, &l->login, &m->body, &command, &err)) {
        link_break(l, err.message);
    } else if (l->login.done) {
        l->open = true;
        link_send(l);
    } else {
        send_login(l, &command);
    }
    bson_destroy(&command);
}

static void link_answer(struct link *l, const struct wire_message *m)
{
    if (!l->open) {
        link_login_answer(l, m);
        return;
    }
    for (struct call **p = &l->calls; *p; p = &(*p)->next) {
        struct call *c = *p;
        if (c->request_id != m->response_to)
            continue;
        *p = c->next;
        l->call_count--;
        l->used_ms = (int64_t)uv_now(&l->sim->loop);
        c->done(l->sim, &c->arg, &m->body, NULL);
        free(c->bytes);
        free(c);
        return;
    }
    link_break(l, "an answer that nobody asked for");
}

static void on_link_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct link *l = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)l->sim->server.raw, READ_BYTES);
}

/* Takes the messages that are whole. */
static void link_take(struct link *l)
{
    size_t used = 0;
    while (!l->dead) {
        int64_t size = wire_size(l->in.data + used, l->in.size - used);
        if (size < 0)
            link_break(l, "an answer of a forbidden length");
        if (size <= 0 || (size_t)size > l->in.size - used)
            break;
        struct wire_message m;
        struct error err = {0};
        if (wire_read(&m, l->in.data + used, (size_t)size, &err)) {
            link_break(l, err.message);
            break;
        }
        used += (size_t)size;
        link_answer(l, &m);
        wire_message_finish(&m);
    }
    if (used) {
        l->in.size -= used;
        memmove(l->in.data, l->in.data + used, l->in.size);
    }
}

static void on_link_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct link *l = stream->data;
    struct error err = {0};
    if (got < 0) {
        link_break(l, got == UV_EOF ? "Connection closed by peer" : uv_strerror((int)got));
        return;
    }
    if (!l->tls) {
        tls_bytes_add(&l->in, buf->base, (size_t)got);
    } else {
        bool was_ready = tls_link_ready(l->tls);
        int rc = tls_link_receive(l->tls, buf->base, (size_t)got, &l->in, &err);
        link_flush(l);
        if (rc) {
            link_break(l, err.message);
            return;
        }
        if (!was_ready && tls_link_ready(l->tls))
            link_secured(l);
    }
    link_take(l);
}

/* The text of a refused connection as the server words it. */
static const char *connect_error(int status)
{
    switch (status) {
    case UV_ECONNREFUSED:
        return "Connection refused";
    case UV_EHOSTUNREACH:
        return "No route to host";
    case UV_ENETUNREACH:
        return "Network is unreachable";
    case UV_ETIMEDOUT:
        return "Connection timed out";
    default:
        return uv_strerror(status);
    }
}

static void on_connected(uv_connect_t *req, int status)
{
    struct link *l = req->data;
    if (status == UV_ECANCELED || l->dead)
        return;
    if (status < 0) {
        link_break(l, connect_error(status));
        return;
    }
    uv_tcp_nodelay(&l->tcp, 1);
    uv_read_start((uv_stream_t *)&l->tcp, on_link_alloc, on_link_read);
    const struct tls_options *o = &l->sim->options.tls;
    char name[PEER_HOST_MAX];
    int port;
    if (o->mode != TLS_PREFER && o->mode != TLS_REQUIRE) {
        link_secured(l);
        return;
    }
    host_split(l->host, name, sizeof name, &port);
    l->tls = tls_link_create(&l->sim->tls, o, name);
    link_write_message(l, xcalloc(1, 1), 0); /* begins the handshake */
}

static void link_connect(struct link *l, const struct sockaddr *addr)
{
    l->connect.data = l;
    int rc = uv_tcp_connect(&l->connect, &l->tcp, addr, on_connected);
    if (rc < 0)
        link_break(l, connect_error(rc));
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *info)
{
    struct link *l = req->data;
    l->resolving = false;
    if (l->closed)
        link_free_when_idle(l);
    else if (!l->dead && status < 0)
        link_break(l, "Could not find address for the name");
    else if (!l->dead)
        link_connect(l, info->ai_addr);
    uv_freeaddrinfo(info);
}

static void link_open(struct link *l)
{
    char name[PEER_HOST_MAX], service[16];
    int port;
    struct sockaddr_storage addr;
    if (host_split(l->host, name, sizeof name, &port)) {
        link_break(l, "the address makes no sense");
        return;
    }
    if (uv_ip4_addr(name, port, (struct sockaddr_in *)&addr) == 0 ||
        uv_ip6_addr(name, port, (struct sockaddr_in6 *)&addr) == 0) {
        link_connect(l, (struct sockaddr *)&addr);
        return;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    snprintf(service, sizeof service, "%d", port);
    l->resolve.data = l;
    l->resolving = true;
    int rc = uv_getaddrinfo(&l->sim->loop, &l->resolve, on_resolved, name, service, &hints);
    if (rc < 0) {
        l->resolving = false;
        link_break(l, uv_strerror(rc));
    }
}

static struct link *link_get(struct sim *sim, enum peer_lane lane, const char *host)
{
    for (struct link *l = sim->peers.links; l; l = l->next)
        if (!l->dead && l->lane == lane && !strcmp(l->host, host))
            return l;
    struct link *l = xcalloc(1, sizeof *l);
    l->sim = sim;
    l->lane = lane;
    snprintf(l->host, sizeof l->host, "%s", host);
    uv_tcp_init(&sim->loop, &l->tcp);
    l->tcp.data = l;
    l->next = sim->peers.links;
    sim->peers.links = l;
    if (++sim->peers.link_count > PEER_LINKS_MAX)
        link_break(l, "too many connections");
    else
        link_open(l);
    return l;
}

void peer_call(struct sim *sim, enum peer_lane lane, const char *host, const bson_t *command, int timeout_ms,
               peer_done *done, const struct call_arg *arg)
{
    struct link *l = link_get(sim, lane, host);
    struct call *c = xcalloc(1, sizeof *c), **p = &l->calls;
    bson_t body;
    bson_copy_to(command, &body);
    bson_append_utf8(&body, "$db", -1, "admin", -1);
    c->request_id = ++sim->peers.next_request_id;
    c->deadline_ms = (int64_t)uv_now(&sim->loop) + timeout_ms;
    c->done = done;
    c->arg = *arg;
    c->arg.started_ms = (int64_t)uv_now(&sim->loop);
    c->bytes = wire_write(&body, c->request_id, 0, false, &c->size);
    bson_destroy(&body);
    while (*p)
        p = &(*p)->next;
    *p = c;
    l->used_ms = (int64_t)uv_now(&sim->loop);
    if (++l->call_count > PEER_CALLS_MAX)
        link_break(l, "too many calls are waiting");
    link_send(l);
}

int64_t peers_expire(struct sim *sim, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    for (struct link *l = sim->peers.links; l; l = l->next) {
        for (struct call *c = l->calls; c && !l->dead; c = c->next) {
            if (c->deadline_ms <= now_ms)
                link_break(l, l->open ? "Couldn't get an answer in time" : "Couldn't connect in time");
            else if (c->deadline_ms < next)
                next = c->deadline_ms;
        }
        if (!l->calls && now_ms - l->used_ms >= PEER_IDLE_MS)
            link_break(l, "idle");
    }
    while (sim->peers_broken) { /* a `done` may break further links */
        sim->peers_broken = false;
        for (struct link *l = sim->peers.links, *after; l; l = after) {
            after = l->next;
            if (!l->dead)
                continue;
            link_finish(l);
            after = sim->peers.links; /* the list may have changed under us */
        }
    }
    return next;
}

void peers_close(struct sim *sim)
{
    for (struct link *l = sim->peers.links; l; l = l->next)
        link_break(l, "shutting down");
    sim->peers_broken = true;
    peers_expire(sim, 0);
}
