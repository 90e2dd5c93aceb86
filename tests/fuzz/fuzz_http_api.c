/* Whoever reaches the controller's port: any bytes as requests one after the other, to a real controller with
 * the real planner on virtual time; only sockets, store and MongoDB are stand-ins. Each request is answered
 * exactly once, no body crashes it, and after each the controller comes to rest. It has a spec of three zones
 * to begin with. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller.h"
#include "controller/decide/plan.h"
#include "controller/serve/http_request.h"
#include "controller/serve/site.h"

enum { REQUESTS_MAX = 16, TICKS_MAX = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char three_zones[] =
    "{apiVersion: atoll/v1, kind: Federation, metadata: {name: test}, spec: {zones: [{name: z1, driver: "
    "local}, "
    "{name: z2, driver: local}, {name: z3, driver: local}], sets: [{name: mongo, image: 'mongo:7.0', "
    "members: [{zone: z1}, {zone: z2}, {zone: z3}]}]}}";

static struct {
    int64_t now_ms, wake_ms;
    struct http_handler handler;
    struct controller *controller;
    struct site site;
    unsigned answers;
    bool streaming;
} world;

/* ---- in place of the HTTP server ---- */

struct http_server *http_server_create(uv_loop_t *loop, const struct http_server_options *options,
                                       const struct http_handler *handler, struct error *err)
{
    (void)loop, (void)options, (void)err;
    world.handler = *handler;
    return (struct http_server *)&world;
}

int http_server_port(const struct http_server *server)
{
    (void)server;
    return 80;
}

void http_server_destroy(struct http_server *server, void (*closed)(void *context), void *context)
{
    (void)server, (void)closed, (void)context;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return http_fields_query(request->fields, name);
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http_fields_header(request->fields, name);
}

static void answered(uint64_t id, int status)
{
    world.answers++;
    world.handler.answered(world.handler.context, id, status);
}

int http_respond(struct http_server *server, uint64_t id, const struct http_response *response)
{
    (void)server;
    assert(response->status >= 200 && response->status < 600);
    assert(response->length == 0 || (response->body && response->content_type));
    for (size_t i = 0; response->headers && response->headers[i]; i++)
        assert(!strpbrk(response->headers[i], "\r\n"));
    answered(id, response->status);
    return 0;
}

int http_respond_error(struct http_server *server, uint64_t id, int status, const char *code,
                       const char *message)
{
    (void)server;
    assert(status >= 400 && status < 600 && *code && *message);
    answered(id, status);
    return 0;
}

int http_respond_error_with(struct http_server *server, uint64_t id, int status, const char *code,
                            const char *message, const char *const *headers)
{
    for (size_t i = 0; headers && headers[i]; i++)
        assert(!strpbrk(headers[i], "\r\n"));
    return http_respond_error(server, id, status, code, message);
}

int http_respond_not_found(struct http_server *server, uint64_t id)
{
    return http_respond_error(server, id, 404, "not_found", "nothing");
}

int http_respond_method_not_allowed(struct http_server *server, uint64_t id, const char *allowed)
{
    return http_respond_error(server, id, 405, "method_not_allowed", allowed);
}

int http_vouch(struct http_server *server, uint64_t id, enum http_standing standing)
{
    (void)server, (void)id, (void)standing;
    return 0;
}

unsigned http_server_count(const struct http_server *server, enum http_standing standing)
{
    (void)server, (void)standing;
    return 0;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    (void)server;
    return (struct http_server_counts){.bodies_refused = 0};
}

int http_stream_begin(struct http_server *server, uint64_t id, const char *content_type,
                      const char *const *headers)
{
    (void)server, (void)content_type, (void)headers;
    answered(id, 200);
    return 0;
}

int http_stream_write(struct http_server *server, uint64_t id, const void *data, size_t length)
{
    (void)server, (void)id;
    assert(data && length);
    return 0;
}

int http_stream_end(struct http_server *server, uint64_t id)
{
    (void)server, (void)id;
    return 0;
}

/* ---- in place of store, MongoDB and time ---- */

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    (void)store, (void)arena, (void)err;
    *out = NULL;
    *count = 0;
    return 0;
}

static int keep(struct store *store, const struct store_record *records, size_t count, struct error *err)
{
    (void)store, (void)err;
    for (size_t i = 0; i < count; i++)
        assert(strlen(records[i].key) < STORE_KEY_MAX);
    return 0;
}

static int log_append(struct store *store, const char *text, size_t length, int64_t *id, struct error *err)
{
    (void)store, (void)err;
    assert(strlen(text) == length && length <= STORE_LINE_BYTES_MAX);
    *id = 1;
    return 0;
}

static int log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err)
{
    return log_append(store, text, length, &id, err);
}

static int log_read(struct store *store, int64_t before, size_t most, struct arena *arena,
                    const struct store_line **out, size_t *count, struct error *err)
{
    (void)store, (void)before, (void)most, (void)arena, (void)err;
    *out = NULL;
    *count = 0;
    return 0;
}

static int start(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                 const struct mongo_login *login, struct error *err)
{
    (void)mongo, (void)id, (void)set, (void)action, (void)login, (void)err;
    return 0;
}

static int64_t monotonic(void *context)
{
    (void)context;
    return world.now_ms;
}

static int64_t wall(void *context)
{
    (void)context;
    return world.now_ms + INT64_C(1795000000000);
}

static uint64_t chance(void *context)
{
    (void)context;
    return 4; /* by fair dice */
}

static void wake_at(void *context, int64_t monotonic_ms)
{
    (void)context;
    world.wake_ms = monotonic_ms;
}

static void intent_changed(void *context, const char *zone)
{
    site_intent_changed(context, zone);
}

static void status_changed(void *context)
{
    site_status_changed(context);
}

static void event_happened(void *context, const struct event *event)
{
    site_event_happened(context, event);
}

/* ---- life ---- */

static const struct clock virtual_clock = {monotonic, wall, NULL};

static void come_to_rest(void)
{
    int64_t end_ms = world.now_ms + 200;
    unsigned ticks = 0;
    while (world.wake_ms >= 0 && world.wake_ms <= end_ms) {
        world.now_ms = world.wake_ms > world.now_ms ? world.wake_ms : world.now_ms;
        world.wake_ms = -1;
        controller_tick(world.controller);
        assert(++ticks < TICKS_MAX);
    }
    world.now_ms = end_ms;
    site_tick(&world.site);
}

static void set_up(struct store *store, struct mongo *mongo)
{
    static const struct random random = {chance, NULL};
    struct error err = {0};
    struct controller_environment environment = {.clock = &virtual_clock,
                                                 .random = &random,
                                                 .store = store,
                                                 .mongo = mongo,
                                                 .plan = plan_set,
                                                 .wake_at = wake_at,
                                                 .intent_changed = intent_changed,
                                                 .status_changed = status_changed,
                                                 .event_happened = event_happened,
                                                 .context = &world.site};
    world.now_ms = 1000000;
    world.wake_ms = -1;
    const struct backend backend = {.context = NULL};
    assert(site_init(&world.site, &backend, store, &virtual_clock, &err) == 0);
    assert(controller_start(&environment, &world.controller, &err) == 0);
    world.site.backend = controller_backend(world.controller);
    assert(site_listen(&world.site, NULL, "127.0.0.1", 0, false, NULL, &err) == 0);
    struct spec_request request = {.source = {"first", three_zones, strlen(three_zones)}, .if_match = -1};
    struct spec_outcome *outcome = calloc(1, sizeof *outcome);
    assert(outcome);
    spec_outcome_init(outcome);
    assert(controller_apply_spec(world.controller, &request, outcome, &err) == 0);
    spec_outcome_finish(outcome);
    free(outcome);
    come_to_rest();
}

/* The bytes that it took; 0 when there is no whole request. */
static size_t ask(const char *data, size_t size, uint64_t id)
{
    static struct http_fields fields;
    const char *why;
    char *body;
    if (http_fields_parse(&fields, data, size, &why) != 1)
        return 0;
    size_t left = size - fields.head_length,
           length = fields.content_length < left ? (size_t)fields.content_length : left;
    body = malloc(length + 1);
    assert(body);
    memcpy(body, data + fields.head_length, length);
    body[length] = 0;
    struct http_request request = {.id = id,
                                   .method = strcmp(fields.method, "HEAD") == 0 ? "GET" : fields.method,
                                   .path = fields.path,
                                   .remote = "127.0.0.1:40000",
                                   .body = body,
                                   .length = length,
                                   .fields = &fields};
    world.answers = 0;
    world.handler.request(world.handler.context, &request);
    assert(world.answers == 1);
    free(body);
    return fields.head_length + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct store_functions store_functions = {
        .load = load, .write = keep, .log_append = log_append, .log_end = log_end, .log_read = log_read};
    static const struct mongo_functions mongo_functions = {start};
    struct store store = {.functions = &store_functions};
    struct mongo mongo = {.functions = &mongo_functions};
    set_up(&store, &mongo);
    for (uint64_t id = 1; id <= REQUESTS_MAX && size; id++) {
        size_t taken = ask((const char *)data, size, id);
        if (!taken)
            break;
        come_to_rest();
        data += taken, size -= taken;
    }
    site_close(&world.site);
    controller_destroy(world.controller);
    site_finish(&world.site);
    return 0;
}
