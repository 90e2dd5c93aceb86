/* See fixture.h. */
#include "fixture.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct world *world_of(struct driver *driver)
{
    return (struct world *)driver;
}

static int64_t world_now(void *context)
{
    return ((struct world *)context)->now_ms;
}

static uint64_t world_random(void *context)
{
    struct world *world = context;
    world->seed = world->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return world->seed ^ world->seed >> 33;
}

static void later(struct world *world, struct world_event event, int64_t after_ms)
{
    assert(world->pending_count < WORLD_PENDING);
    event.at_ms = world->now_ms + after_ms;
    world->pending[world->pending_count++] = event;
}

/* ---- the zone ---- */

static struct member_holding holding_of(const struct world_member *member, int ordinal, struct arena *arena)
{
    return (struct member_holding){
        .set = "mongo",
        .ordinal = ordinal,
        .disk = {.name = "disk",
                 .id = arena_string(arena, member->disk ? member->disk_id : ""),
                 .state = member->disk ? DISK_READY : DISK_ABSENT,
                 .used = member->used,
                 .replica_set_id = "",
                 .size_bytes = -1,
                 .used_bytes = 7},
        .controller_exists = member->controller,
        .replicas = member->replicas,
        .service_exists = member->service,
        .address = arena_string(arena, member->address),
        .pod = {.name = member->pod ? "pod" : "",
                .node = "",
                .image_id = "",
                .running = member->pod,
                .ready = member->pod && member->ready,
                .last_exit = ""},
        .problem = {.code = "", .message = ""},
    };
}

static bool is_stale(const struct world *world, int ordinal)
{
    const struct world_member *member = &world->members[ordinal - 1];
    for (size_t i = 0; world->intent && i < world->intent->member_count; i++)
        if (world->intent->members[i].ordinal == ordinal && *world->intent->members[i].certificate_id)
            return member->controller &&
                   strcmp(member->brought, world->intent->members[i].certificate_id) != 0;
    return false;
}

static void observe(struct driver *driver, struct arena *arena, struct holdings *out)
{
    struct world *world = world_of(driver);
    struct member_holding *members = arena_array(arena, WORLD_MEMBERS, sizeof *members);
    *out = (struct holdings){
        .members = members, .zone_problem = {.code = "", .message = ""}, .complete = !world->zone_unseen};
    for (int i = 0; i < WORLD_MEMBERS && !world->zone_unseen; i++) {
        const struct world_member *member = &world->members[i];
        if (!member->disk && !member->service && !member->controller && !member->pod)
            continue;
        members[out->member_count] = holding_of(member, i + 1, arena);
        members[out->member_count++].controller_stale = is_stale(world, i + 1);
    }
}

static void take_effect(struct world *world, enum step_kind kind, const struct intent_member *wanted)
{
    struct world_member *member = &world->members[wanted->ordinal - 1];
    switch (kind) {
    case STEP_CREATE_DISK:
        member->disk = true;
        snprintf(member->disk_id, sizeof member->disk_id, "d%d", wanted->ordinal);
        break;
    case STEP_CREATE_SERVICE:
        member->service = true;
        snprintf(member->address, sizeof member->address, "10.0.0.%d:27017", wanted->ordinal);
        break;
    case STEP_CREATE_CONTROLLER:
        member->controller = true;
        member->replicas = wanted->run == RUN_UP;
        break;
    case STEP_SCALE_TO_ONE:
        member->replicas = 1;
        break;
    case STEP_SCALE_TO_ZERO:
        member->replicas = 0;
        break;
    case STEP_DELETE_CONTROLLER:
        member->controller = false;
        break;
    case STEP_DELETE_SERVICE:
        member->service = false;
        member->address[0] = 0;
        break;
    case STEP_MARK_DISK:
    case STEP_UPDATE_DISK:
    case STEP_GROW_DISK:
    case STEP_UPDATE_SECRETS:
    case STEP_UPDATE_SERVICE:
    case STEP_UPDATE_CONTROLLER:
        break;
    }
    bool template =
        kind == STEP_CREATE_CONTROLLER || kind == STEP_UPDATE_CONTROLLER || kind == STEP_SCALE_TO_ONE;
    if (template && *wanted->certificate)
        snprintf(member->brought, sizeof member->brought, "%s", wanted->certificate_id);
    bool runs = member->controller && member->replicas;
    if (runs && !member->pod) {
        member->incarnation++, member->used = member->ready = true;
        memcpy(member->shown, member->brought, sizeof member->shown);
    }
    member->pod = runs;
}

static void perform(struct driver *driver, const struct step *step, uint64_t step_id)
{
    struct world *world = world_of(driver);
    struct world_event event = {.kind = EVENT_STEP, .id = step_id, .failed = world->failing_steps > 0};
    assert(world->steps < WORLD_STEPS);
    world->step_at_ms[world->steps] = world->now_ms;
    world->step_kinds[world->steps++] = step->kind;
    if (event.failed)
        world->failing_steps--;
    else
        take_effect(world, step->kind, step->member);
    later(world, event, world->step_after_ms);
}

static void route(struct driver *driver, const char *set, int ordinal, struct arena *arena,
                  struct local_route *out)
{
    const struct world_member *member = &world_of(driver)->members[ordinal - 1];
    (void)set;
    *out = (struct local_route){.host = member->pod ? arena_printf(arena, "10.1.0.%d:27017", ordinal) : "",
                                .incarnation = member->incarnation};
}

static void intend(struct driver *driver, const struct intent *intent)
{
    world_of(driver)->intent = intent;
}

static const struct driver_functions functions = {
    .name = "fake", .intend = intend, .observe = observe, .perform = perform, .route = route};

/* ---- the rest of the environment ---- */

static void keep_message(struct world *world, enum link_message kind, const char *text, size_t length)
{
    struct error err;
    if (kind == LINK_REPORT) {
        arena_finish(&world->report_arena);
        int failed = report_read(text, length, "zone-a", &world->report_arena, &world->report, &err);
        assert(!failed);
        world->reports++;
        world->report_at_ms = world->now_ms;
        if (++world->in_flight_reports > world->most_reports_in_flight)
            world->most_reports_in_flight = world->in_flight_reports;
        return;
    }
    arena_finish(&world->heartbeat_arena);
    int failed = heartbeat_read(text, length, &world->heartbeat_arena, &world->heartbeat, &err);
    assert(!failed);
    world->heartbeats++;
}

static void send_message(void *context, enum link_message kind, uint64_t id, const char *text, size_t length)
{
    struct world *world = context;
    keep_message(world, kind, text, length);
    if (!world->lose_answers)
        later(world,
              (struct world_event){
                  .kind = EVENT_ANSWER, .id = id, .message = kind, .failed = world->refuse_messages},
              world->answer_after_ms);
    else if (kind == LINK_REPORT)
        world->in_flight_reports--;
}

static void ask(void *context, uint64_t id, const struct agent_probe *what)
{
    struct world *world = context;
    world->probes++;
    if (what->reload) {
        struct world_member *member = &world->members[what->ordinal - 1];
        world->reloads++;
        if (!world->slow_to_appear)
            memcpy(member->shown, member->brought, sizeof member->shown);
    }
    later(world,
          (struct world_event){
              .kind = EVENT_PROBE, .id = id, .ordinal = what->ordinal, .failed = world->mute_mongods},
          1);
}

static int find_file(struct world *world, const char *name)
{
    for (int i = 0; i < WORLD_FILES; i++)
        if (strcmp(world->file_names[i], name) == 0)
            return i;
    return -1;
}

static int save(void *context, const char *name, const char *text, size_t length, struct error *err)
{
    struct world *world = context;
    int at = find_file(world, name);
    if (world->save_fails)
        return error_set(err, ERROR_IO, "No space left on device");
    if (at < 0)
        at = find_file(world, "");
    assert(at >= 0);
    snprintf(world->file_names[at], sizeof world->file_names[at], "%s", name);
    buffer_clear(&world->files[at]);
    world->saves++;
    return buffer_append(&world->files[at], text, length);
}

static int load(void *context, const char *name, struct buffer *out, struct error *err)
{
    struct world *world = context;
    int at = find_file(world, name);
    if (at < 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s", name);
    return buffer_append(out, buffer_text(&world->files[at]), world->files[at].length);
}

static int identify(void *context, const struct intent_member *member, const char *ca, struct arena *arena,
                    struct member_identity *out, struct error *err)
{
    (void)context, (void)err;
    out->key = arena_printf(arena, "key of %s", member->node);
    out->request = arena_printf(arena, "request of %s", member->node);
    out->ca = arena_string(arena, ca);
    out->fits = strncmp(member->certificate, "good", 4) == 0;
    return 0;
}

static void forget_identity(void *context, const char *node)
{
    snprintf(((struct world *)context)->forgotten, 32, "%s", node);
}

static void wake_at(void *context, int64_t monotonic_ms)
{
    ((struct world *)context)->wake_ms = monotonic_ms;
}

/* ---- time ---- */

static void answer_probe(struct world *world, const struct world_event *event)
{
    const struct world_member *member = &world->members[event->ordinal - 1];
    struct mongod_view view = {.answer = event->failed ? MONGOD_SILENT : member->answer,
                               .problem = event->failed ? "silent" : "",
                               .version = member->version,
                               .certificate_id = member->shown,
                               .state = member->state,
                               .self_id = 0,
                               .term = 1,
                               .primary_id = 0,
                               .optime = {1, member->optime_seconds, 0},
                               .config = {.set = "mongo", .version = 1, .term = 1, .replica_set_id = ""}};
    struct arena arena;
    arena_init(&arena, 0);
    agent_probe_done(world->agent, event->id, &arena, &view);
}

static void happen(struct world *world, struct world_event event)
{
    struct error err = {.code = ERROR_IO, .message = "it did not work"};
    struct link_answer answer = {
        .err = event.failed ? &err : NULL, .epoch = 1, .report_wanted = world->report_wanted};
    if (event.kind == EVENT_STEP) {
        agent_holdings_changed(world->agent);
        agent_step_done(world->agent, event.id, event.failed ? &err : NULL);
    } else if (event.kind == EVENT_PROBE) {
        answer_probe(world, &event);
    } else {
        if (event.message == LINK_REPORT)
            world->in_flight_reports--;
        world->report_wanted = false;
        agent_link_answer(world->agent, event.message, event.id, &answer);
    }
}

/* The next thing that happens up to `end_ms`; false when nothing does. */
static bool step_time(struct world *world, int64_t end_ms)
{
    size_t first = WORLD_PENDING;
    for (size_t i = 0; i < world->pending_count; i++)
        if (first == WORLD_PENDING || world->pending[i].at_ms < world->pending[first].at_ms)
            first = i;
    int64_t event_ms = first == WORLD_PENDING ? INT64_MAX : world->pending[first].at_ms;
    int64_t next_ms = event_ms < world->wake_ms ? event_ms : world->wake_ms;
    if (next_ms > end_ms)
        return false;
    if (next_ms > world->now_ms)
        world->now_ms = next_ms;
    if (event_ms <= world->wake_ms) {
        struct world_event event = world->pending[first];
        world->pending[first] = world->pending[--world->pending_count];
        happen(world, event);
        return true;
    }
    world->wake_ms = INT64_MAX;
    world->wakes++;
    agent_tick(world->agent);
    return true;
}

void world_run(struct world *world, int64_t ms)
{
    int64_t end_ms = world->now_ms + ms;
    size_t turns = 0;
    while (step_time(world, end_ms))
        assert(++turns < 100000); /* an agent that wakes itself for ever */
    world->now_ms = end_ms;
}

/* ---- life ---- */

void world_init(struct world *world)
{
    *world = (struct world){
        .driver = {&functions}, .now_ms = 1000, .wake_ms = INT64_MAX, .seed = 1, .answer_after_ms = 1};
    world->clock = (struct clock){world_now, world_now, world};
    world->random = (struct random){world_random, world};
    for (int i = 0; i < WORLD_MEMBERS; i++) {
        world->members[i].answer = MONGOD_MEMBER;
        world->members[i].state = MEMBER_PRIMARY;
        world->members[i].version = "7.0.14";
    }
    for (int i = 0; i < WORLD_FILES; i++)
        buffer_init(&world->files[i], 0);
    arena_init(&world->report_arena, 0);
    arena_init(&world->heartbeat_arena, 0);
}

int world_start(struct world *world, struct error *err)
{
    const struct agent_options options = {"zone-a", "0.1.0", "fake"};
    const struct agent_environment environment = {.clock = &world->clock,
                                                  .random = &world->random,
                                                  .driver = &world->driver,
                                                  .context = world,
                                                  .send = send_message,
                                                  .probe = ask,
                                                  .identify = identify,
                                                  .forget_identity = forget_identity,
                                                  .save = save,
                                                  .load = load,
                                                  .wake_at = wake_at};
    world->agent = agent_create(&options, &environment, err);
    return world->agent ? 0 : -1;
}

void world_crash(struct world *world)
{
    agent_destroy(world->agent);
    world->agent = NULL;
    world->pending_count = 0;
    world->in_flight_reports = 0;
    world->wake_ms = INT64_MAX;
}

void world_finish(struct world *world)
{
    agent_destroy(world->agent);
    for (int i = 0; i < WORLD_FILES; i++)
        buffer_finish(&world->files[i]);
    arena_finish(&world->report_arena);
    arena_finish(&world->heartbeat_arena);
}

int world_intend(struct world *world, int64_t epoch, int64_t revision, size_t count, enum member_run run,
                 struct error *err)
{
    struct intent_member members[WORLD_MEMBERS];
    static const char *const nodes[] = {"mongo-node1", "mongo-node2", "mongo-node3"};
    char id[32] = "";
    if (world->certificate)
        snprintf(id, sizeof id, "id of %s", world->certificate);
    for (size_t i = 0; i < count; i++)
        members[i] =
            (struct intent_member){.set = "mongo",
                                   .ordinal = (int)i + 1,
                                   .run = run,
                                   .node = nodes[i],
                                   .controller = "rc",
                                   .service = "svc",
                                   .volume = "v",
                                   .disk = "disk",
                                   .image = "mongo:7.0",
                                   .port = 27017,
                                   .storage_type = "",
                                   .disk_id = world->members[i].used ? world->members[i].disk_id : "",
                                   .replica_set_id = "",
                                   .tls = world->tls,
                                   .certificate = world->certificate ? world->certificate : "",
                                   .certificate_id = id};
    struct intent_event event = {.intent = {.epoch = epoch,
                                            .revision = revision,
                                            .federation = "prod",
                                            .zone = "zone-a",
                                            .ca = "the CA",
                                            .members = members,
                                            .member_count = count}};
    return agent_intent(world->agent, &event, err);
}

const struct report_member *world_reported(const struct world *world, int ordinal)
{
    for (size_t i = 0; i < world->report.member_count; i++)
        if (world->report.members[i].holding.ordinal == ordinal)
            return &world->report.members[i];
    return NULL;
}
