/* The world of the controller's tests: see world.h. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct script script;
struct world world;

const char three_zones[] =
    "apiVersion: atoll/v1\n"
    "kind: Federation\n"
    "metadata: {name: test}\n"
    "spec:\n"
    "  zones: [{name: z1, driver: local}, {name: z2, driver: local}, {name: z3, driver: local}]\n"
    "  sets:\n"
    "    - name: mongo\n"
    "      image: mongo:7.0\n"
    "      members: [{zone: z1}, {zone: z2}, {zone: z3}]\n";

/* ---- time and chance ---- */

static int64_t monotonic(void *context)
{
    (void)context;
    return world.now_ms;
}

static int64_t wall(void *context)
{
    (void)context;
    return world.now_ms + WORLD_WALL_MS;
}

static uint64_t chance(void *context)
{
    (void)context;
    return 0;
}

static const struct clock virtual_clock = {monotonic, wall, NULL};
static const struct random no_chance = {chance, NULL};

/* ---- the store ---- */

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    (void)store;
    struct store_record *records = arena_array(arena, WORLD_RECORDS_MAX, sizeof *records);
    for (size_t i = 0; records && i < world.record_count; i++)
        records[i] = (struct store_record){
            arena_string(arena, world.records[i].key),
            arena_string_n(arena, world.records[i].data, world.records[i].length), world.records[i].length};
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the records");
    *out = records;
    *count = world.record_count;
    return 0;
}

static void keep(const struct store_record *record)
{
    size_t i = 0;
    while (i < world.record_count && strcmp(world.records[i].key, record->key) != 0)
        i++;
    assert_true(i < WORLD_RECORDS_MAX && record->length < sizeof world.records[i].data);
    snprintf(world.records[i].key, sizeof world.records[i].key, "%s", record->key);
    memcpy(world.records[i].data, record->data, record->length);
    world.records[i].length = record->length;
    if (i == world.record_count)
        world.record_count++;
}

static int write_records(struct store *store, const struct store_record *records, size_t count,
                         struct error *err)
{
    (void)store;
    world.store_tries++;
    if (world.store_fails || (world.ledgers_fail && strncmp(records[0].key, "ledger/", 7) == 0))
        return error_set(err, ERROR_IO, "the disk is full");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&world.trace, "write %s; ", records[i].key);
        keep(&records[i]);
    }
    return 0;
}

static const struct store_functions store_functions = {.load = load, .write = write_records};

/* ---- MongoDB ---- */

static int start(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                 const struct mongo_login *login, struct error *err)
{
    (void)mongo, (void)err;
    world.last_action = id;
    snprintf(world.password, sizeof world.password, "%s", login->password ? login->password : "");
    buffer_printf(&world.trace, "start %s of %s; ", action_kind_name(action->kind), set);
    return 0;
}

static const struct mongo_functions mongo_functions = {start};

/* ---- the planner ---- */

static struct ledger with_first_id(const struct plan_input *input, struct arena *arena)
{
    struct ledger ledger = *input->ledger;
    struct ledger_member *member = arena_alloc(arena, sizeof *member);
    *member = (struct ledger_member){.ordinal = 1, .id = 0, .disk_id = "d1"};
    ledger.birth = BIRTH_INTENDED;
    ledger.birth_ordinal = 1;
    ledger.next_id = 1;
    ledger.members = member;
    ledger.member_count = 1;
    return ledger;
}

static void plan_members(const struct plan_input *input, struct arena *arena, struct plan *plan)
{
    plan->member_count = input->set->member_count;
    plan->members = arena_array(arena, plan->member_count, sizeof *plan->members);
    for (size_t i = 0; i < plan->member_count; i++)
        plan->members[i] = (struct member_plan){.ordinal = input->set->members[i].ordinal,
                                                .named = true,
                                                .run = script.run,
                                                .disk_id = script.disk_id,
                                                .replica_set_id = "",
                                                .host = "",
                                                .id = -1,
                                                .state = MEMBER_UNKNOWN,
                                                .lag_seconds = script.lag_seconds,
                                                .healthy = script.healthy};
}

static int plan(const struct plan_input *input, struct arena *arena, struct plan *out, struct error *err)
{
    script.calls++;
    script.seen = input->observation->action;
    snprintf(script.seen_message, sizeof script.seen_message, "%s", input->observation->action.message);
    script.seen_zone = input->observation->members[0].zone_state;
    script.seen_age_ms = input->observation->members[0].mongod.age_ms;
    if (script.fails)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a plan");
    *out = (struct plan){
        .phase = script.phase,
        .healthy = script.healthy &&
                   (!script.healthy_with || strcmp(script.healthy_with, input->observation->key_id) == 0),
        .term = -1,
        .config = {.set = "", .term = -1, .replica_set_id = ""},
        .ledger = *input->ledger};
    for (int i = 0; i < CONDITION_COUNT; i++)
        out->conditions[i] = (struct condition){.type = (enum condition_type)i, .reason = "", .message = ""};
    plan_members(input, arena, out);
    if (script.remember && input->ledger->member_count == 0) {
        out->ledger = with_first_id(input, arena);
        out->ledger_changed = true;
    }
    out->action = (struct action){.kind = input->observation->action.running ? ACTION_NONE : script.action,
                                  .host = "127.0.1.1:27017",
                                  .sentence = "the script wants it"};
    if (script.look_again_in_ms)
        out->look_again_at_ms = input->now_ms + script.look_again_in_ms;
    return 0;
}

/* ---- the outlet ---- */

static void wake_at(void *context, int64_t monotonic_ms)
{
    (void)context;
    world.wake_ms = monotonic_ms;
}

static void intent_changed(void *context, const char *zone)
{
    (void)context;
    buffer_printf(&world.trace, "intent %s; ", zone);
}

static void status_changed(void *context)
{
    (void)context;
}

static void event_happened(void *context, const struct event *event)
{
    (void)context;
    world.events[event->reason]++;
    memmove(&world.last_events[1], &world.last_events[0],
            sizeof world.last_events - sizeof world.last_events[0]);
    world.last_events[0] = *event;
}

/* ---- certificates: "CA NUMBER for REQUEST: NAMES", each name between commas ---- */

static bool fits(const struct certificate_wish *wish)
{
    char part[256];
    snprintf(part, sizeof part, " for %s: ", wish->request);
    bool result = strncmp(wish->present, world.ca, strlen(world.ca)) == 0 && strstr(wish->present, part);
    for (size_t i = 0; i < wish->name_count; i++) {
        snprintf(part, sizeof part, ",%s,", wish->names[i]);
        result &= strstr(wish->present, part) != NULL;
    }
    return result;
}

static int certify(void *context, const struct certificate_wish *wish, struct certificate_made *out,
                   struct error *err)
{
    (void)context;
    if (strcmp(wish->request, "bad") == 0)
        return error_set(err, ERROR_REFUSED, "the request is bad");
    if (wish->keep_foreign && *wish->present && strncmp(wish->present, world.ca, strlen(world.ca)) != 0)
        return error_set(err, ERROR_CONFLICT, "another CA's");
    if (fits(wish)) {
        buffer_append_text(&out->pem, wish->present);
    } else {
        buffer_printf(&out->pem, "%s %u for %s: ,", world.ca, ++world.signatures, wish->request);
        for (size_t i = 0; i < wish->name_count; i++)
            buffer_printf(&out->pem, "%s,,", wish->names[i]);
    }
    snprintf(out->id, sizeof out->id, "id of %.20s", out->pem.data);
    out->renew_at_ms = world.now_ms + WORLD_WALL_MS + world.certificate_life_ms;
    return 0;
}

static const char *trusted(void *context)
{
    (void)context;
    return world.ca;
}

static int random_text(size_t length, char *out, struct error *err)
{
    (void)length, (void)err;
    sprintf(out, "secret%u", ++world.secrets);
    return 0;
}

/* ---- life ---- */

void world_boot(void)
{
    const struct controller_environment environment = {.clock = &virtual_clock,
                                                       .random = &no_chance,
                                                       .store = &world.store,
                                                       .mongo = &world.mongo,
                                                       .plan = plan,
                                                       .wake_at = wake_at,
                                                       .intent_changed = intent_changed,
                                                       .status_changed = status_changed,
                                                       .event_happened = event_happened,
                                                       .certify = world.encrypts ? certify : NULL,
                                                       .trusted = world.encrypts ? trusted : NULL,
                                                       .random_text =
                                                           world.authenticates ? random_text : NULL};
    struct error err = {0};
    world.wake_ms = -1;
    if (controller_start(&environment, &world.controller, &err))
        fail_msg("the controller didn't start: %s", err.message);
}

void world_crash(void)
{
    controller_destroy(world.controller);
    world.controller = NULL;
}

int world_setup(void **state)
{
    (void)state;
    world =
        (struct world){.now_ms = WORLD_START_MS, .wake_ms = -1, .ca = "CA", .certificate_life_ms = 1000000};
    world.store.functions = &store_functions;
    world.mongo.functions = &mongo_functions;
    buffer_init(&world.trace, 0);
    script = (struct script){.run = RUN_UP, .disk_id = "", .action = ACTION_NONE};
    world_boot();
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    world_crash();
    buffer_finish(&world.trace);
    return 0;
}

void world_apply(const char *spec)
{
    struct spec_request request = {.source = {"test", spec, strlen(spec)}, .if_match = -1};
    struct spec_outcome *outcome = calloc(1, sizeof *outcome);
    struct error err = {0};
    assert_non_null(outcome);
    spec_outcome_init(outcome);
    int result = controller_apply_spec(world.controller, &request, outcome, &err);
    const char *problem = outcome->problems.count ? outcome->problems.items[0].message : "";
    if (result)
        fail_msg("%s: %s", err.message, problem);
    spec_outcome_finish(outcome);
    free(outcome);
}

void world_run(int64_t ms)
{
    int64_t end_ms = world.now_ms + ms;
    unsigned turns = 0;
    while (world.wake_ms >= 0 && world.wake_ms <= end_ms) {
        if (world.wake_ms > world.now_ms)
            world.now_ms = world.wake_ms;
        world.wake_ms = -1;
        controller_tick(world.controller);
        assert_true(++turns < 100000); /* a controller that never comes to rest */
    }
    world.now_ms = end_ms;
}

void world_trace_is(const char *expected)
{
    assert_string_equal(buffer_text(&world.trace), expected);
    buffer_clear(&world.trace);
}

void world_trace_forget(void)
{
    buffer_clear(&world.trace);
}

/* ---- agents ---- */

struct report world_report(const char *zone, const char *run, int64_t sequence)
{
    return (struct report){.zone = zone,
                           .run_id = run,
                           .version = "0.1.0",
                           .sequence = sequence,
                           .driver = "local",
                           .zone_problem = {.code = "", .message = ""}};
}

struct report_member world_member(int ordinal)
{
    return (struct report_member){.holding = {.set = "mongo",
                                              .ordinal = ordinal,
                                              .disk = {.name = "mongodb-disk1",
                                                       .id = "d1",
                                                       .replica_set_id = "",
                                                       .size_bytes = 10,
                                                       .used_bytes = 5},
                                              .address = "127.0.1.1:27017",
                                              .pod = {.name = "mongo-rc1-abcde",
                                                      .node = "n",
                                                      .image_id = "",
                                                      .running = true,
                                                      .last_exit = ""},
                                              .problem = {.code = "", .message = ""}},
                                  .mongod = {.answer = MONGOD_MEMBER,
                                             .problem = "",
                                             .age_ms = 100,
                                             .version = "7.0.14",
                                             .state = MEMBER_SECONDARY,
                                             .optime = {.term = 1, .seconds = 10},
                                             .config = {.set = "", .replica_set_id = "", .term = -1}},
                                  .waiting = {.code = "", .message = ""}};
}

void world_tell(const struct report *report)
{
    struct zone_answer answer;
    struct error err = {0};
    if (controller_report(world.controller, report->zone, report, &answer, &err))
        fail_msg("the report of %s was refused: %s", report->zone, err.message);
}

void world_all_report(void)
{
    const char *const zones[] = {"z1", "z2", "z3"};
    for (size_t i = 0; i < 3; i++) {
        struct report report = world_report(zones[i], "r", 1);
        world_tell(&report);
    }
}

void world_heartbeat(const char *zone, const char *run, int64_t sequence, struct zone_answer *answer)
{
    const struct heartbeat heartbeat = {.run_id = run, .sequence = sequence};
    struct error err = {0};
    if (controller_heartbeat(world.controller, zone, &heartbeat, answer, &err))
        fail_msg("the heartbeat of %s was refused: %s", zone, err.message);
}
