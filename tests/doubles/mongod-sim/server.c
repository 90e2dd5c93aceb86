/* Accepts clients, cuts their bytes into messages, hands those to the commands, and writes the answers. */
#include "server.h"

#include "commands.h"
#include "sim.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct client {
    uv_tcp_t tcp;
    struct sim *sim;
    uint64_t id;
    bool busy;     /* a request is under way: the next one waits in the buffer */
    bool internal; /* another member of the set */
    bool closing;
    bool greeted;         /* the first byte has come: it tells TLS from plain */
    struct tls_link *tls; /* NULL: plain */
    struct auth_session auth;
    struct tls_bytes in;
    struct client *next;
};

struct write {
    uv_write_t req;
    uint8_t *bytes;
};

static struct client *client_find(const struct sim *sim, uint64_t id)
{
    for (struct client *c = sim->server.clients; c; c = c->next)
        if (c->id == id)
            return c->closing ? NULL : c;
    return NULL;
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct client **p = &c->sim->server.clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->sim->server.client_count--;
    tls_link_destroy(c->tls);
    auth_session_finish(&c->auth);
    free(c->in.data);
    free(c);
}

static void client_close(struct client *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_client_closed);
}

static void on_written(uv_write_t *req, int status)
{
    struct write *w = req->data;
    struct client *c = req->handle->data;
    if (status < 0)
        client_close(c);
    free(w->bytes);
    free(w);
}

/* Writes bytes as they go over the wire, and frees them. */
static void client_put(struct client *c, uint8_t *bytes, size_t size)
{
    struct write *w = xcalloc(1, sizeof *w);
    w->req.data = w;
    w->bytes = bytes;
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
    if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0) {
        free(bytes);
        free(w);
        client_close(c);
    } else if (uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > CLIENT_WRITE_QUEUE_MAX) {
        log_line("NETWORK", "client %llu does not read its answers; closing", (unsigned long long)c->id);
        client_close(c);
    }
}

/* What TLS has to say: records, or an alert. */
static void client_flush(struct client *c)
{
    size_t size;
    uint8_t *bytes = tls_link_take(c->tls, &size);
    if (bytes)
        client_put(c, bytes, size);
}

/* Writes one message and frees it. */
static void client_write(struct client *c, uint8_t *bytes, size_t size)
{
    struct error err = {0};
    if (!c->tls) {
        client_put(c, bytes, size);
        return;
    }
    if (tls_link_send(c->tls, bytes, size, &err))
        client_close(c);
    else
        client_flush(c);
    free(bytes);
}

/* Serves the messages that are whole, until one is under way. */
static void client_serve(struct client *c)
{
    size_t used = 0;
    while (!c->busy && !c->closing) {
        int64_t size = wire_size(c->in.data + used, c->in.size - used);
        if (size < 0) {
            log_line("NETWORK", "client %llu sent a message of a forbidden length; closing",
                     (unsigned long long)c->id);
            client_close(c);
        }
        if (size <= 0 || (size_t)size > c->in.size - used)
            break;
        struct request *r = xcalloc(1, sizeof *r);
        struct error err = {0};
        r->sim = c->sim;
        r->client_id = c->id;
        r->started_ms = (int64_t)uv_now(&c->sim->loop);
        if (wire_read(&r->message, c->in.data + used, (size_t)size, &err)) {
            log_line("NETWORK", "client %llu: %s; closing", (unsigned long long)c->id, err.message);
            free(r);
            client_close(c);
            break;
        }
        used += (size_t)size;
        c->busy = true;
        commands_run(r);
    }
    if (used) {
        c->in.size -= used;
        memmove(c->in.data, c->in.data + used, c->in.size);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)c->sim->server.raw, READ_BYTES);
}

/* The first byte of a TLS handshake is 22; no message of the wire protocol is so long that it begins so with
 * three zeros after it, and the server looks at no more either. False: not by the mode. */
static bool client_greet(struct client *c, uint8_t first)
{
    const struct tls_options *o = &c->sim->options.tls;
    bool encrypted = first == 22;
    c->greeted = true;
    if (encrypted && o->mode != TLS_DISABLED)
        c->tls = tls_link_create(&c->sim->tls, o, NULL);
    if (encrypted == (c->tls != NULL) && (encrypted || o->mode != TLS_REQUIRE))
        return true;
    log_line("NETWORK", "client %llu: %s; closing", (unsigned long long)c->id,
             encrypted ? "SSL handshake received but server is started without SSL support"
                       : "The server is configured to only allow SSL connections");
    return false;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    struct error err = {0};
    if (got < 0 || (got > 0 && !c->greeted && !client_greet(c, (uint8_t)buf->base[0]))) {
        client_close(c);
        return;
    }
    if (c->in.size + (size_t)got > (size_t)WIRE_MESSAGE_MAX + READ_BYTES) {
        client_close(c); /* sends on while its message is served */
        return;
    }
    if (!c->tls) {
        tls_bytes_add(&c->in, buf->base, (size_t)got);
    } else {
        int rc = tls_link_receive(c->tls, buf->base, (size_t)got, &c->in, &err);
        client_flush(c);
        if (rc) {
            if (!tls_link_ready(c->tls))
                log_line("NETWORK", "client %llu: %s; closing", (unsigned long long)c->id, err.message);
            client_close(c);
            return;
        }
    }
    client_serve(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct sim *sim = listener->data;
    if (status < 0)
        return;
    struct client *c = xcalloc(1, sizeof *c);
    c->sim = sim;
    c->id = ++sim->server.next_client_id;
    c->tcp.data = c;
    uv_tcp_init(&sim->loop, &c->tcp);
    c->next = sim->server.clients;
    sim->server.clients = c;
    sim->server.client_count++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 || sim->server.client_count > CLIENTS_MAX) {
        client_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static int listen_on(struct sim *sim, const char *address, int port, struct error *err)
{
    struct server *s = &sim->server;
    struct sockaddr_storage addr;
    bool v6 = strchr(address, ':');
    if (!strcmp(address, "localhost"))
        address = "127.0.0.1";
    if (!strcmp(address, "*"))
        address = "0.0.0.0";
    if (s->listener_count == LISTENERS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "--bind_ip has more than %d addresses", LISTENERS_MAX);
    int rc = v6 ? uv_ip6_addr(address, port, (struct sockaddr_in6 *)&addr)
                : uv_ip4_addr(address, port, (struct sockaddr_in *)&addr);
    if (rc < 0)
        return error_set(err, ERROR_INVALID, "--bind_ip: \"%s\" is not an IP address", address);
    uv_tcp_t *tcp = &s->listeners[s->listener_count];
    uv_tcp_init(&sim->loop, tcp);
    s->listener_count++;
    tcp->data = sim;
    rc = uv_tcp_bind(tcp, (struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)tcp, 128, on_connection);
    if (rc < 0)
        return error_set(err, ERROR_IO, "can't listen on %s:%d: %s", address, port, uv_strerror(rc));
    return 0;
}

int server_listen(struct sim *sim, const char *bind_ip, int port, struct error *err)
{
    char list[1024];
    if (strlen(bind_ip) >= sizeof list)
        return error_set(err, ERROR_INVALID, "--bind_ip is too long");
    strcpy(list, bind_ip);
    char *rest = NULL;
    for (char *one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
        if (listen_on(sim, one, port, err))
            return -1;
    if (sim->server.listener_count == 0)
        return error_set(err, ERROR_INVALID, "--bind_ip has no address");
    return 0;
}

void server_close(struct sim *sim)
{
    for (int i = 0; i < sim->server.listener_count; i++)
        uv_close((uv_handle_t *)&sim->server.listeners[i], NULL);
    sim->server.listener_count = 0;
    for (struct client *c = sim->server.clients; c; c = c->next)
        client_close(c);
}

void server_drop_clients(struct sim *sim)
{
    for (struct client *c = sim->server.clients; c; c = c->next)
        if (!c->internal)
            client_close(c);
}

static void request_free(struct request *request)
{
    wire_message_finish(&request->message);
    free(request);
}

/* Sends the body, lets the client's next request in, frees the request. */
static void request_finish(struct request *request, const bson_t *body)
{
    struct sim *sim = request->sim;
    struct client *c = client_find(sim, request->client_id);
    if (c) {
        if (!request->message.more_to_come) {
            size_t size;
            uint8_t *bytes = wire_write(body, ++sim->next_request_id, request->message.request_id,
                                        request->message.is_query, &size);
            client_write(c, bytes, size);
        }
        c->busy = false;
        sim->serve_again = true;
    }
    request_free(request);
}

/* Messages that waited behind one that is answered now. Called once per turn of the loop. */
void server_serve_waiting(struct sim *sim)
{
    sim->serve_again = false;
    for (struct client *c = sim->server.clients; c; c = c->next)
        if (!c->closing && !c->busy && c->in.size)
            client_serve(c);
}

/* operationTime and $clusterTime, which a replica set member gossips with every answer, but to nobody that
 * has not logged in where that is needed; unsigned, as the server's are for __system. */
static void append_times(const struct request *request, bson_t *body, bool operation_time, bool cluster_time)
{
    const struct sim *sim = request->sim;
    const struct auth_session *session = request_auth(request);
    struct optime t = sim->oplog.last;
    if (sim->auth_on && (!session || session->count == 0))
        return;
    if (operation_time)
        put_timestamp(body, "operationTime", t);
    if (!cluster_time)
        return;
    static const uint8_t zeros[20];
    bson_t child, signature;
    bson_append_document_begin(body, "$clusterTime", -1, &child);
    put_timestamp(&child, "clusterTime", t);
    bson_append_document_begin(&child, "signature", -1, &signature);
    bson_append_binary(&signature, "hash", -1, BSON_SUBTYPE_BINARY, zeros, sizeof zeros);
    bson_append_int64(&signature, "keyId", -1, 0);
    bson_append_document_end(&child, &signature);
    bson_append_document_end(body, &child);
}

void request_reply(struct request *request, const bson_t *fields)
{
    bson_t body = BSON_INITIALIZER;
    if (fields)
        bson_concat(&body, fields);
    bson_append_double(&body, "ok", -1, 1.0);
    append_times(request, &body, true, true);
    request_finish(request, &body);
    bson_destroy(&body);
}

void request_fail(struct request *request, int code, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bson_t body = BSON_INITIALIZER;
    append_times(request, &body, true, false);
    bson_append_double(&body, "ok", -1, 0.0);
    bson_append_utf8(&body, "errmsg", -1, text, -1);
    bson_append_int32(&body, "code", -1, code);
    bson_append_utf8(&body, "codeName", -1, code_name(code, request->sim->options.server_version), -1);
    append_times(request, &body, false, true);
    request_finish(request, &body);
    bson_destroy(&body);
}

void request_fail_error(struct request *request, const struct error *err)
{
    request_fail(request, err->detail ? err->detail : CODE_INTERNAL, "%s", err->message);
}

void request_is_internal(struct request *request)
{
    struct client *c = client_find(request->sim, request->client_id);
    if (c)
        c->internal = true;
}

struct auth_session *request_auth(const struct request *request)
{
    struct client *c = client_find(request->sim, request->client_id);
    return c ? &c->auth : NULL;
}

uint64_t request_connection_id(const struct request *request)
{
    return request->client_id;
}

void request_peer_name(const struct request *request, char *text, size_t size)
{
    struct client *c = client_find(request->sim, request->client_id);
    struct sockaddr_storage addr = {0};
    int length = sizeof addr;
    char ip[64] = "";
    snprintf(text, size, "unknown");
    if (!c || uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &length) < 0)
        return;
    if (addr.ss_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&addr;
        uv_ip6_name(six, ip, sizeof ip);
        snprintf(text, size, "[%s]:%d", ip, ntohs(six->sin6_port));
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)&addr;
        uv_ip4_name(four, ip, sizeof ip);
        snprintf(text, size, "%s:%d", ip, ntohs(four->sin_port));
    }
}
