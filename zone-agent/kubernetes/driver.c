/* The kubernetes driver's table of functions and its life: see driver.h. */
#include "zone-agent/kubernetes/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/gce/compute.h"
#include "zone-agent/kubernetes/driver_internal.h"

static struct kube_driver *driver_of(struct driver *base)
{
    return (struct kube_driver *)base; /* `base` is its first member */
}

/* ---- what is told to the agent, from the loop ---- */

static void on_later(uv_timer_t *timer)
{
    struct kube_driver *driver = timer->data;
    bool changed = driver->changed;
    driver->changed = false;
    if (changed)
        driver->events.changed(driver->events.context);
    steps_tell(driver);
}

void driver_wake(struct kube_driver *driver)
{
    if (!driver->closing)
        uv_timer_start(&driver->later, on_later, 0, 0);
}

void driver_changed(struct kube_driver *driver)
{
    driver->changed = true;
    driver_wake(driver);
}

/* ---- members ---- */

struct note *driver_note(struct kube_driver *driver, const char *set, int ordinal)
{
    for (size_t i = 0; i < driver->note_count; i++)
        if (driver->notes[i]->ordinal == ordinal && strcmp(driver->notes[i]->set, set) == 0)
            return driver->notes[i];
    struct note **grown = driver->note_count == HOLDINGS_MEMBERS_MAX
                              ? NULL
                              : realloc(driver->notes, (driver->note_count + 1) * sizeof(struct note *));
    if (!grown)
        return NULL;
    driver->notes = grown;
    struct note *note = calloc(1, sizeof *note);
    if (!note)
        return NULL;
    note->driver = driver;
    note->ordinal = ordinal;
    for (size_t i = 0; i < SECRET_COUNT; i++)
        note->secrets[i].note = note;
    snprintf(note->set, sizeof note->set, "%s", set);
    return driver->notes[driver->note_count++] = note;
}

/* ---- the scene ---- */

void scene_make(struct kube_driver *driver, struct scene *scene)
{
    *scene = (struct scene){.zone = {.federation = driver->federation,
                                     .zone = driver->zone,
                                     .project = driver->project,
                                     .namespace_ = driver->namespace_,
                                     .major = driver->server.major,
                                     .minor = driver->server.minor}};
    arena_init(&scene->arena, 0);
    scene->objects = arena_array(&scene->arena, driver->object_count, sizeof *scene->objects);
    scene->notes = arena_array(&scene->arena, driver->note_count, sizeof *scene->notes);
    for (size_t i = 0; scene->objects && i < driver->object_count; i++)
        scene->objects[i] = (struct observed){driver->objects[i].kind, driver->objects[i].object};
    for (size_t i = 0; scene->notes && i < driver->note_count; i++) {
        const struct note *note = driver->notes[i];
        scene->notes[i] = (struct member_note){
            .set = note->set,
            .ordinal = note->ordinal,
            .repairs = note->repairs,
            .last_repair = note->last_repair,
            .foreign = note->foreign,
            .problem = note->problem,
            .problem_code = note->problem_code,
            .refused_bytes = note->refused_bytes,
            .refusal = note->refusal,
            .rests = clock_monotonic_ms(&driver->clock) < note->refused_until_ms,
            .had_volume = note->had_volume,
            .had_claim = note->had_claim,
            .secrets_stale = note->secrets[SECRET_KEYFILE].stale || note->secrets[SECRET_TLS].stale};
    }
    scene->input = (struct holdings_input){.zone = &scene->zone,
                                           .intent = driver->intent,
                                           .objects = scene->objects,
                                           .object_count = scene->objects ? driver->object_count : 0,
                                           .notes = scene->notes,
                                           .note_count = scene->notes ? driver->note_count : 0};
    scene->zone.own_range_count = holdings_own_ranges(&scene->input, &scene->arena, &scene->zone.own_ranges);
}

void scene_finish(struct scene *scene)
{
    arena_finish(&scene->arena);
}

/* ---- the table of functions ---- */

static void intend(struct driver *base, const struct intent *intent)
{
    struct kube_driver *driver = driver_of(base);
    struct error err;
    driver->intent = intent;
    snprintf(driver->federation, sizeof driver->federation, "%s", intent->federation);
    snprintf(driver->project, sizeof driver->project, "%s", intent->project ? intent->project : "");
    driver->intent_problem[0] = 0;
    if (intent->namespace_ && *intent->namespace_ && strcmp(intent->namespace_, driver->namespace_) != 0)
        snprintf(driver->intent_problem, sizeof driver->intent_problem,
                 "the spec has zone %s in namespace %s, but its agent works in %s: start it with --namespace "
                 "%s, or say "
                 "`namespace: %s` in the spec",
                 driver->zone, intent->namespace_, driver->namespace_, intent->namespace_,
                 driver->namespace_);
    if (*driver->project && driver->discovered && store_watch(driver, OBJECT_VOLUME, &err))
        snprintf(driver->intent_problem, sizeof driver->intent_problem, "%s", err.message);
}

static struct problem zone_problem(const struct kube_driver *driver, struct arena *arena)
{
    const struct watched *watched = store_problem(driver);
    if (*driver->intent_problem)
        return (struct problem){"namespace", arena_string(arena, driver->intent_problem), 0};
    if (*driver->server_problem)
        return (struct problem){"api_server_unreachable", arena_string(arena, driver->server_problem), 0};
    if (driver->overfull)
        return (struct problem){
            "too_many_objects",
            arena_printf(arena, "the cluster has more nodes and objects of ours than %d", STORE_OBJECTS_MAX),
            0};
    if (!watched)
        return (struct problem){.code = "", .message = ""};
    const char *code =
        watched->problem_code == ERROR_REFUSED ? "api_server_denies" : "api_server_unreachable";
    return (struct problem){
        code,
        arena_printf(arena, "%ss can't be watched on %s: %s; members are left as they are until it answers",
                     object_kind_name(watched->kind), kube_client_server(driver->client), watched->problem),
        0};
}

static void observe(struct driver *base, struct arena *arena, struct holdings *out)
{
    struct kube_driver *driver = driver_of(base);
    struct scene scene;
    scene_make(driver, &scene);
    holdings_build(&scene.input, arena, out);
    out->zone_problem = zone_problem(driver, arena);
    out->complete = store_is_complete(driver) && !*driver->intent_problem && !arena_failed(&scene.arena);
    scene_finish(&scene);
}

static void perform(struct driver *base, const struct step *step, uint64_t step_id)
{
    steps_perform(driver_of(base), step, step_id);
}

static void route(struct driver *base, const char *set, int ordinal, struct arena *arena,
                  struct local_route *out)
{
    struct kube_driver *driver = driver_of(base);
    struct scene scene;
    scene_make(driver, &scene);
    holdings_route(&scene.input, set, ordinal, driver->inside, arena, out);
    scene_finish(&scene);
}

/* ---- who the server is ---- */

static const enum object_kind watched_always[] = {OBJECT_NODE,   OBJECT_CLAIM, OBJECT_SERVICE,
                                                  OBJECT_BUDGET, OBJECT_POD,   OBJECT_CONTROLLER};

static void on_discover_again(uv_timer_t *timer);

static void discover_later(struct kube_driver *driver, const struct error *err)
{
    if (!*driver->server_problem)
        driver->note(driver->events.context, true, err->message);
    snprintf(driver->server_problem, sizeof driver->server_problem, "the API server %s doesn't answer: %s",
             kube_client_server(driver->client), err->message);
    driver_changed(driver);
    uv_timer_start(&driver->discover, on_discover_again, DISCOVER_RETRY_MS, 0);
}

static void on_discovered(void *context, const struct kube_server *server, const struct error *err)
{
    struct kube_driver *driver = context;
    struct error problem;
    if (driver->closing)
        return;
    if (err) {
        discover_later(driver, err);
        return;
    }
    driver->server = *server;
    driver->discovered = true;
    driver->server_problem[0] = 0;
    for (size_t i = 0; i < sizeof watched_always / sizeof *watched_always; i++)
        if (store_watch(driver, watched_always[i], &problem))
            snprintf(driver->server_problem, sizeof driver->server_problem, "%s", problem.message);
    driver_changed(driver);
}

static void on_discover_again(uv_timer_t *timer)
{
    struct kube_driver *driver = timer->data;
    struct error err;
    if (kube_discover(driver->client, on_discovered, driver, &err))
        discover_later(driver, &err);
}

/* ---- life ---- */

static void on_look(uv_timer_t *timer)
{
    struct kube_driver *driver = timer->data;
    int64_t now_ms = clock_monotonic_ms(&driver->clock);
    steps_look_at_foreign(driver);
    secrets_look(driver);
    for (size_t i = 0; i < driver->note_count; i++) {
        int64_t late_ms = now_ms - driver->notes[i]->refused_until_ms;
        if (driver->notes[i]->refused_bytes && late_ms >= 0 && late_ms < 2 * LOOK_MS)
            driver_changed(driver); /* it is asked again */
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct kube_driver *driver = handle->data;
    if (--driver->open_handles)
        return;
    void (*closed)(void *context) = driver->closed;
    void *context = driver->closed_context;
    for (size_t i = 0; i < driver->note_count; i++)
        free(driver->notes[i]);
    free(driver->notes);
    free(driver);
    if (closed)
        closed(context);
}

static void close_driver(struct driver *base, void (*closed)(void *context), void *context)
{
    struct kube_driver *driver = driver_of(base);
    uv_timer_t *timers[] = {&driver->later, &driver->look, &driver->discover};
    driver->closing = true;
    driver->closed = closed;
    driver->closed_context = context;
    store_finish(driver);
    compute_destroy(driver->compute);
    kube_client_destroy(driver->client);
    steps_finish(driver);
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        uv_close((uv_handle_t *)timers[i], on_handle_closed);
}

static const struct driver_functions kubernetes_functions = {
    .name = "kubernetes",
    .intend = intend,
    .observe = observe,
    .perform = perform,
    .route = route,
    .close = close_driver,
};

static void start_timers(struct kube_driver *driver)
{
    uv_timer_t *timers[] = {&driver->later, &driver->look, &driver->discover};
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
        uv_timer_init(driver->loop, timers[i]);
        timers[i]->data = driver;
        driver->open_handles++;
    }
    uv_timer_start(&driver->look, on_look, LOOK_MS, LOOK_MS);
    uv_timer_start(&driver->discover, on_discover_again, 0, 0);
}

struct driver *kubernetes_driver_create(const struct kubernetes_driver_options *options, struct error *err)
{
    if (strlen(options->zone) > NAME_LENGTH_MAX || strlen(options->namespace_) > NAME_LENGTH_MAX ||
        !*options->namespace_) {
        error_set(err, ERROR_INVALID, "the names of zone and namespace have 1 to %d bytes", NAME_LENGTH_MAX);
        return NULL;
    }
    struct kube_driver *driver = calloc(1, sizeof *driver);
    if (!driver) {
        error_set(err, ERROR_NO_MEMORY, "no memory for the driver");
        return NULL;
    }
    driver->base.functions = &kubernetes_functions;
    driver->loop = options->loop;
    driver->http = options->http;
    driver->clock = *options->clock;
    driver->random = *options->random;
    driver->events = options->events;
    driver->note = options->note;
    driver->inside = options->inside;
    snprintf(driver->zone, sizeof driver->zone, "%s", options->zone);
    snprintf(driver->namespace_, sizeof driver->namespace_, "%s", options->namespace_);
    snprintf(driver->compute_url, sizeof driver->compute_url, "%s",
             options->compute_url ? options->compute_url : "");
    driver->client = kube_client_create(options->loop, options->http, options->config, &driver->clock,
                                        &driver->random, err);
    if (!driver->client) {
        free(driver);
        return NULL;
    }
    start_timers(driver);
    return &driver->base;
}
