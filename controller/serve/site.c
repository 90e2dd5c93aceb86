/* Listeners, routes and streams: see site.h. */
#include "controller/serve/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/serve/limits.h"

static const struct route {
    void (*function)(struct exchange *exchange);
    const char *method, *pattern;
    enum access_rule rule;
} routes[] = {
#define X(function, method, pattern, rule, summary) {function, method, pattern, ACCESS_##rule},
#include "controller/serve/routes.def"
#undef X
};

enum { ROUTE_COUNT = sizeof routes / sizeof *routes };

/* ---- answers ---- */

void answer_text(struct exchange *exchange, int status, const char *content_type, const char *text,
                 size_t length)
{
    http_respond(exchange->listener->server, exchange->request->id,
                 &(struct http_response){
                     .status = status, .content_type = content_type, .body = text, .length = length});
}

void answer_json(struct exchange *exchange, int status, const struct json *json, const char *const *headers)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 0);
    if (json_print(json, JSON_COMPACT, &text, &err) || buffer_append_text(&text, "\n"))
        http_respond_error(exchange->listener->server, exchange->request->id, 500, "no_memory",
                           "there is no memory for this answer");
    else
        http_respond(exchange->listener->server, exchange->request->id,
                     &(struct http_response){status, "application/json", headers, text.data, text.length});
    buffer_finish(&text);
}

int http_status_of(enum error_code code)
{
    switch (code) {
    case ERROR_INVALID:
        return 422;
    case ERROR_NOT_FOUND:
        return 404;
    case ERROR_CONFLICT:
        return 412;
    case ERROR_REFUSED:
        return 403;
    case ERROR_TOO_LARGE:
        return 413;
    case ERROR_IO:
    case ERROR_NO_MEMORY:
    case ERROR_UNREACHABLE:
    case ERROR_TIMEOUT:
        return 503;
    default:
        return 500;
    }
}

void answer_error(struct exchange *exchange, const struct error *err)
{
    gate_note(exchange, "%s", err->message);
    http_respond_error(exchange->listener->server, exchange->request->id, http_status_of(err->code),
                       error_code_name(err->code), err->message);
}

/* ---- routes ---- */

/* Whether the path has the pattern's form; {name} takes one segment of at most NAME_LENGTH_MAX bytes. */
static bool matches(const char *pattern, const char *path, char name[NAME_LENGTH_MAX + 1])
{
    const char *place = strstr(pattern, "{name}");
    *name = 0;
    if (!place)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(place - pattern);
    const char *rest = place + strlen("{name}");
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t length = strcspn(path + before, "/");
    if (length == 0 || length > NAME_LENGTH_MAX || strcmp(path + before + length, rest) != 0)
        return false;
    memcpy(name, path + before, length);
    name[length] = 0;
    return true;
}

static void add_method(char *allowed, size_t size, const char *method)
{
    size_t used = strlen(allowed);
    snprintf(allowed + used, size - used, "%s%s", used ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_method(allowed, size, "HEAD");
}

static void answer_unknown_path(struct exchange *exchange)
{
    struct json *root = json_object();
    struct json *error = json_set(root, "error", json_object());
    char line[128];
    json_set_string(error, "code", "not_found");
    snprintf(line, sizeof line, "nothing is served at %.64s; see details for what is",
             exchange->request->path);
    json_set_string(error, "message", line);
    struct json *details = json_set(error, "details", json_array());
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        snprintf(line, sizeof line, "%s %s", routes[i].method, routes[i].pattern);
        json_append(details, json_string(line));
    }
    answer_json(exchange, 404, root, NULL);
    json_destroy(root);
}

static bool is_reading(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* NULL when there is none for this method. */
static const struct route *route_of(const struct http_request *request, char name[NAME_LENGTH_MAX + 1])
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (matches(routes[i].pattern, request->path, name) && strcmp(request->method, routes[i].method) == 0)
            return &routes[i];
    return NULL;
}

static void answer_without_route(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    char allowed[64] = "";
    bool reads_only = true;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!matches(routes[i].pattern, request->path, exchange->name))
            continue;
        add_method(allowed, sizeof allowed, routes[i].method);
        reads_only &= access_rule_reads(routes[i].rule);
    }
    if (!gate_admits(exchange,
                     !is_reading(request) && (!*allowed || !reads_only) ? ACCESS_VIEW : ACCESS_PUBLIC))
        return;
    if (*allowed)
        http_respond_method_not_allowed(exchange->listener->server, request->id, allowed);
    else
        answer_unknown_path(exchange);
}

/* Processor time of this thread, so that nobody pays for a machine that is busy with something else. */
static double work_ms(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void dispatch(void *context, const struct http_request *request)
{
    struct exchange exchange = {.listener = context, .request = request};
    exchange.site = exchange.listener->site;
    double begun_ms = work_ms();
    exchange.site->requests++;
    const struct route *route = route_of(request, exchange.name);
    if (!route)
        answer_without_route(&exchange);
    else if (gate_admits(&exchange, route->rule))
        route->function(&exchange);
    limits_charge(&exchange, work_ms() - begun_ms);
}

/* ---- streams ---- */

size_t stream_count_of(const struct site *site, enum stream_kind kind, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < site->stream_count; i++)
        if (site->streams[i].kind == kind && (!name || strcmp(site->streams[i].name, name) == 0))
            count++;
    return count;
}

static size_t streams_of_caller(const struct site *site, uint64_t caller)
{
    size_t count = 0;
    for (size_t i = 0; i < site->stream_count; i++)
        count += site->streams[i].kind == STREAM_EVENTS && site->streams[i].caller == caller;
    return count;
}

struct stream *stream_open(struct exchange *exchange, enum stream_kind kind, const char *content_type)
{
    struct site *site = exchange->site;
    uint64_t caller = limits_caller_hash(exchange);
    bool full = site->stream_count == SITE_STREAMS_MAX ||
                (kind == STREAM_EVENTS && stream_count_of(site, kind, NULL) >= SITE_READER_STREAMS_MAX);
    if (kind == STREAM_EVENTS && !full && streams_of_caller(site, caller) >= SITE_CALLER_STREAMS_MAX) {
        site->streams_refused++;
        http_respond_error(exchange->listener->server, exchange->request->id, 429, "too_many_requests",
                           "this caller has as many streams open as it may (SITE_CALLER_STREAMS_MAX)");
        return NULL;
    }
    if (full) {
        site->streams_refused++;
        http_respond_error(exchange->listener->server, exchange->request->id, 503, "too_large",
                           "as many streams are open as can be (SITE_STREAMS_MAX): try again later");
        return NULL;
    }
    if (http_stream_begin(exchange->listener->server, exchange->request->id, content_type, NULL))
        return NULL;
    struct stream *stream = &site->streams[site->stream_count++];
    *stream = (struct stream){
        .listener = exchange->listener, .id = exchange->request->id, .kind = kind, .caller = caller};
    if (exchange->caller.proof == PROOF_TOKEN || exchange->caller.proof == PROOF_SESSION)
        memcpy(stream->token, exchange->caller.mark, sizeof stream->token);
    return stream;
}

static void stream_remove(struct site *site, struct stream *stream)
{
    *stream = site->streams[--site->stream_count];
}

bool stream_write(struct site *site, struct stream *stream, const char *data, size_t length)
{
    if (http_stream_write(stream->listener->server, stream->id, data, length) == 0)
        return true;
    stream_remove(site, stream);
    return false;
}

static void answered(void *context, uint64_t id, int status)
{
    struct listener *listener = context;
    gate_answered(&listener->site->gate, listener, id, status);
}

static bool takes_body(void *context, const struct http_request *head, struct http_body_terms *terms)
{
    char name[NAME_LENGTH_MAX + 1];
    const struct route *route = route_of(head, name);
    return gate_takes_body(context, head, route && route->rule == ACCESS_AGENT, terms);
}

static bool takes_handshake(void *context, const char *remote)
{
    return limits_take_handshake(context, remote);
}

void stream_end(struct site *site, struct stream *stream)
{
    http_stream_end(stream->listener->server, stream->id);
    stream_remove(site, stream);
}

static void gone(void *context, uint64_t id)
{
    struct listener *listener = context;
    struct site *site = listener->site;
    gate_answered(&site->gate, listener, id, 0);
    for (size_t i = 0; i < site->stream_count; i++)
        if (site->streams[i].listener == listener && site->streams[i].id == id) {
            stream_remove(site, &site->streams[i]);
            return;
        }
}

/* Backwards, for a stream that is found gone is replaced by the last one. */
#define EACH_STREAM(site, i) for (size_t i = (site)->stream_count; i-- > 0;)

void site_intent_changed(struct site *site, const char *zone)
{
    EACH_STREAM(site, i)
    if (site->streams[i].kind == STREAM_INTENT && strcmp(site->streams[i].name, zone) == 0)
        agents_send(site, &site->streams[i]);
}

void site_status_changed(struct site *site)
{
    status_cache_changed(&site->status);
}

void site_event_happened(struct site *site, const struct event *event)
{
    event_ring_add(&site->ring, event);
    EACH_STREAM(site, i)
    if (site->streams[i].kind == STREAM_EVENTS)
        events_send(site, &site->streams[i]);
}

void site_tick(struct site *site)
{
    int64_t now_ms = clock_monotonic_ms(site->clock);
    EACH_STREAM(site, i)
    {
        struct stream *stream = &site->streams[i];
        if (*stream->token && !tokens_counts(&site->gate.tokens, stream->token, clock_wall_ms(site->clock))) {
            http_stream_end(stream->listener->server, stream->id);
            stream_remove(site, stream);
            continue;
        }
        if (stream->kind == STREAM_INTENT)
            agents_tick(site, stream, now_ms);
        else
            events_tick(site, stream, now_ms);
    }
}

/* ---- life ---- */

int site_init(struct site *site, const struct backend *backend, struct store *store,
              const struct clock *clock, struct error *err)
{
    *site = (struct site){.backend = *backend, .clock = clock, .descriptors = SITE_DESCRIPTORS};
    site->streams = calloc(SITE_STREAMS_MAX, sizeof *site->streams);
    /* Ids go on from the wall clock, so that those of a run are above those of the one before. Exact as JSON
     * numbers. */
    if (!site->streams || event_ring_init(&site->ring, (uint64_t)clock_wall_ms(clock), err)) {
        free(site->streams);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the streams");
    }
    if (gate_init(&site->gate, store, err)) {
        event_ring_finish(&site->ring);
        free(site->streams);
        return -1;
    }
    status_cache_init(&site->status);
    return 0;
}

void site_finish(struct site *site)
{
    event_ring_finish(&site->ring);
    status_cache_finish(&site->status);
    gate_finish(&site->gate);
    free(site->streams);
    *site = (struct site){0};
}

void site_url(const struct listener *listener, const char *address, char *out, size_t size)
{
    bool brackets = strchr(address, ':') != NULL;
    snprintf(out, size, "%s://%s%s%s:%d", listener->tls ? "https" : "http", brackets ? "[" : "", address,
             brackets ? "]" : "", http_server_port(listener->server));
}

/* Where the system allows fewer files than all limits together would need, each has its part of them. */
static unsigned share(const struct site *site, unsigned limit)
{
    return site->descriptors >= SITE_DESCRIPTORS
               ? limit
               : (unsigned)((uint64_t)limit * site->descriptors / SITE_DESCRIPTORS) + 1;
}

int site_listen(struct site *site, uv_loop_t *loop, const char *address, int port, bool reading_only,
                struct tls_context *tls, struct error *err)
{
    if (site->listener_count == SITE_LISTENERS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "there are %d listeners already", SITE_LISTENERS_MAX);
    struct listener *listener = &site->listeners[site->listener_count];
    struct http_handler handler = {dispatch, gone, answered, takes_body, takes_handshake, listener};
    struct http_server_options options = {.address = address,
                                          .port = port,
                                          .name = "atoll-controller/" ATOLL_VERSION,
                                          .tls = tls,
                                          .body_max = REPORT_BYTES_MAX,
                                          .bodies_max = SITE_BODIES_MAX,
                                          .agent_bodies_max = SITE_BODIES_MAX,
                                          .owner_bodies_max = SITE_BODIES_OF_ONE_MAX,
                                          .strangers_max = share(site, SITE_STRANGERS_MAX),
                                          .strangers_slack = share(site, SITE_SLACK) * 4 / 5,
                                          .strangers_per_address_max =
                                              share(site, SITE_STRANGERS_PER_ADDRESS_MAX),
                                          .persons_max = share(site, SITE_PERSONS_MAX)};
    options.connections_max = options.strangers_max + share(site, SITE_SLACK);
    if (!reading_only)
        options.connections_max += options.persons_max + share(site, SITE_AGENTS_MAX);
    *listener = (struct listener){.site = site, .reading_only = reading_only, .tls = tls != NULL};
    listener->server = http_server_create(loop, &options, &handler, err);
    if (!listener->server)
        return -1;
    if (!reading_only)
        site_url(listener, address, site->changing_url, sizeof site->changing_url);
    site->listener_count++;
    return 0;
}

void site_close(struct site *site)
{
    for (size_t i = 0; i < site->listener_count; i++)
        http_server_destroy(site->listeners[i].server, NULL, NULL);
    site->listener_count = 0;
    site->stream_count = 0;
}
