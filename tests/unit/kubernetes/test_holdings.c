/* From objects as a server says them to what the zone holds of a member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "zone-agent/kubernetes/holdings.h"

#define META(name, uid, more)                                                                                \
    "\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"labels\":{\"atoll.dev/federation\":\"prod\"," \
    "\"atoll.dev/zone\":\"z\",\"atoll.dev/set\":\"mongo\",\"atoll.dev/ordinal\":\"1\"}" more "}"
#define CLAIM(marks)                                                                                         \
    "{" META("mongo-persistent-storage1", "c1",                                                              \
             ",\"annotations\":{" marks "}") ",\"spec\":{\"volumeName\":\"mongodb-disk1\",\"resources\":{"   \
                                             "\"requests\":{\"storage\":\"1Gi\"}}},"                         \
                                             "\"status\":{\"phase\":\"Bound\"}}"
#define POD(name, uid, more, phase, state)                                                                   \
    "{" META(name, uid, more) ",\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"phase\":\"" phase               \
                              "\",\"podIP\":\"10.1.2.3\",\"conditions\":[{\"type\":\"Ready\",\"status\":"    \
                              "\"True\"}],\"containerStatuses\":"                                            \
                              "[{\"name\":\"mongod\",\"imageID\":\"i@sha256:1\",\"restartCount\":2,"         \
                              "\"containerID\":\"x://1\",\"state\":{" state                                  \
                              "},\"lastState\":{\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\","  \
                              "\"finishedAt\":\"T\"}}}]}}"
#define RUNNING "\"running\":{}"
#define SERVICE(more, ingress)                                                                               \
    "{" META("mongo-svc-a", "s1",                                                                            \
             more) ",\"spec\":{\"ports\":[{\"port\":27017}]},\"status\":{\"loadBalancer\":{" ingress "}}}"
#define INGRESS "\"ingress\":[{\"ip\":\"34.1.2.3\"}]"

enum { THINGS_MAX = 8 };

struct world {
    struct object_zone zone;
    struct holdings_input input;
    struct observed objects[THINGS_MAX];
    struct arena arena;
    struct holdings out;
};

static void world_init(struct world *world)
{
    *world =
        (struct world){.zone = {.federation = "prod", .zone = "z", .project = "", .namespace_ = "default"}};
    world->input = (struct holdings_input){.zone = &world->zone, .objects = world->objects};
    arena_init(&world->arena, 0);
}

static void add(struct world *world, enum object_kind kind, const char *text)
{
    struct error err;
    struct json *whole = json_parse(text, strlen(text), 1 << 20, &err);
    if (!whole)
        fail_msg("%s: %s", err.message, text);
    world->objects[world->input.object_count++] = (struct observed){kind, holdings_trim(kind, whole)};
    json_destroy(whole);
}

static const struct member_holding *look(struct world *world)
{
    holdings_build(&world->input, &world->arena, &world->out);
    return world->out.member_count ? &world->out.members[0] : NULL;
}

static void world_finish(struct world *world)
{
    for (size_t i = 0; i < world->input.object_count; i++)
        json_destroy((struct json *)(uintptr_t)world->objects[i].object);
    arena_finish(&world->arena);
}

static void a_running_member(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, OBJECT_CLAIM, CLAIM("\"atoll.dev/used\":\"true\",\"atoll.dev/replica-set-id\":\"abc\""));
    add(&world, OBJECT_SERVICE, SERVICE("", INGRESS));
    add(&world, OBJECT_CONTROLLER, "{" META("mongo-rc1", "r1", "") ",\"spec\":{\"replicas\":1}}");
    add(&world, OBJECT_POD, POD("mongo-rc1-x", "p1", "", "Running", RUNNING));
    const struct member_holding *held = look(&world);
    assert_int_equal(world.out.member_count, 1);
    assert_string_equal(held->disk.id, "c1");
    assert_int_equal(held->disk.state, DISK_ATTACHED);
    assert_true(held->disk.used);
    assert_string_equal(held->disk.replica_set_id, "abc");
    assert_int_equal(held->disk.size_bytes, 1 << 30);
    assert_string_equal(held->address, "34.1.2.3:27017");
    assert_true(held->controller_exists && held->replicas == 1);
    assert_true(held->pod.running && held->pod.ready && !held->pod.terminating);
    assert_int_equal(held->pod.restarts, 2);
    assert_string_equal(held->pod.last_exit, "mongod ended with exit code 137 (OOMKilled) at T");
    world_finish(&world);
}

static void with_a_project_the_disk_is_googles(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.zone.project = "acme";
    add(&world, OBJECT_CLAIM, CLAIM(""));
    assert_int_equal(look(&world)->disk.state, DISK_ABSENT);
    add(&world, OBJECT_VOLUME,
        "{" META("mongodb-disk1", "v1", ",\"annotations\":{\"atoll.dev/disk-id\":\"42\"}") "}");
    assert_string_equal(look(&world)->disk.id, "42");
    world_finish(&world);
}

static void a_new_pod_counts_before_one_that_is_going_and_dead_ones_not_at_all(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, OBJECT_POD, POD("evicted", "p0", "", "Failed", ""));
    assert_string_equal(look(&world)->pod.name, "");
    add(&world, OBJECT_POD, POD("going", "p1", ",\"deletionTimestamp\":\"T\"", "Running", RUNNING));
    const struct member_holding *held = look(&world);
    assert_string_equal(held->pod.name, "going");
    assert_true(held->pod.terminating && !held->pod.ready);
    add(&world, OBJECT_POD, POD("new", "p2", "", "Pending", ""));
    assert_string_equal(look(&world)->pod.name, "new");
    world_finish(&world);
}

static void what_is_being_deleted_is_not_there(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, OBJECT_SERVICE, SERVICE(",\"deletionTimestamp\":\"T\"", INGRESS));
    add(&world, OBJECT_CONTROLLER,
        "{" META("mongo-rc1", "r1", ",\"deletionTimestamp\":\"T\"") ",\"spec\":{\"replicas\":1}}");
    const struct member_holding *held = look(&world);
    assert_false(held->service_exists || held->controller_exists);
    assert_string_equal(held->address, "");
    world_finish(&world);
}

static void another_federations_members_are_not_ours(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, OBJECT_CLAIM, CLAIM(""));
    world.zone.federation = "test";
    assert_null(look(&world));
    world.zone.federation = ""; /* not known yet */
    assert_non_null(look(&world));
    world_finish(&world);
}

static void the_route_is_inside_by_the_pod_and_outside_by_the_service(void **state)
{
    (void)state;
    struct world world;
    struct local_route inside, outside, restarted;
    world_init(&world);
    add(&world, OBJECT_SERVICE, SERVICE("", INGRESS));
    holdings_route(&world.input, "mongo", 1, true, &world.arena, &inside);
    assert_string_equal(inside.host, "");
    add(&world, OBJECT_POD, POD("mongo-rc1-x", "p1", "", "Running", RUNNING));
    holdings_route(&world.input, "mongo", 1, true, &world.arena, &inside);
    holdings_route(&world.input, "mongo", 1, false, &world.arena, &outside);
    assert_string_equal(inside.host, "10.1.2.3:27017");
    assert_string_equal(outside.host, "34.1.2.3:27017");
    add(&world, OBJECT_POD, POD("mongo-rc1-y", "p2", ",\"creationTimestamp\":\"U\"", "Running", RUNNING));
    holdings_route(&world.input, "mongo", 1, true, &world.arena, &restarted);
    assert_true(restarted.incarnation != inside.incarnation);
    world_finish(&world);
}

static void own_ranges_fit_a_services_list(void **state)
{
    (void)state;
    static struct observed nodes[1000];
    struct arena arena;
    struct object_zone zone = {.federation = "", .zone = "z", .project = ""};
    struct holdings_input input = {.zone = &zone, .objects = nodes, .object_count = 1000};
    const char *const *ranges;
    arena_init(&arena, 0);
    for (int i = 0; i < 1000; i++) {
        char text[300];
        struct error err;
        int length = snprintf(text, sizeof text,
                              "{\"metadata\":{\"name\":\"n%d\"},\"spec\":{\"podCIDRs\":[\"10.%d.%d.0/"
                              "24\"]},\"status\":{\"addresses\":"
                              "[{\"type\":\"InternalIP\",\"address\":\"192.168.%d.%d\"},{\"type\":"
                              "\"ExternalIP\",\"address\":\"5.6.7.8\"}]}}",
                              i, i / 256, i % 256, i / 250, i % 250);
        struct json *node = json_parse(text, (size_t)length, 1000, &err);
        nodes[i] = (struct observed){OBJECT_NODE, holdings_trim(OBJECT_NODE, node)};
        json_destroy(node);
    }
    size_t count = holdings_own_ranges(&input, &arena, &ranges);
    assert_true(count > 0 && count <= RANGES_MAX / 2);
    input.object_count = 1;
    count = holdings_own_ranges(&input, &arena, &ranges);
    assert_int_equal(count, 3);
    assert_string_equal(ranges[0], "5.6.7.8/32");
    assert_string_equal(ranges[1], "10.0.0.0/24");
    assert_string_equal(ranges[2], "192.168.0.0/32");
    for (int i = 0; i < 1000; i++)
        json_destroy((struct json *)(uintptr_t)nodes[i].object);
    arena_finish(&arena);
}

static void a_foreign_object_is_a_problem_of_a_member_that_holds_nothing_else(void **state)
{
    (void)state;
    struct world world;
    const struct member_note note = {.set = "mongo",
                                     .ordinal = 7,
                                     .last_repair = "",
                                     .foreign = "theirs",
                                     .problem = "",
                                     .problem_code = ""};
    world_init(&world);
    world.input.notes = &note;
    world.input.note_count = 1;
    const struct member_holding *held = look(&world);
    assert_int_equal(held->ordinal, 7);
    assert_true(held->foreign);
    assert_string_equal(held->problem.code, "foreign_object");
    world_finish(&world);
}

/* Found by fuzzing: one object with a long annotation made a report that the controller refuses, again and
 * again. */
static void what_is_too_long_for_a_report_is_as_good_as_absent(void **state)
{
    (void)state;
    struct world world;
    char long_id[2 * TEXT_LENGTH_MAX], text[8 * TEXT_LENGTH_MAX];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    snprintf(text, sizeof text, CLAIM("\"atoll.dev/used\":\"true\",\"atoll.dev/replica-set-id\":\"%s\""),
             long_id);
    world_init(&world);
    add(&world, OBJECT_CLAIM, text);
    add(&world, OBJECT_CONTROLLER, "{" META("mongo-rc1", "r1", "") ",\"spec\":{\"replicas\":-3}}");
    const struct member_holding *member = look(&world);
    assert_non_null(member);
    assert_string_equal(member->disk.replica_set_id, "");
    assert_true(member->disk.used);
    assert_int_equal(member->replicas, 0);
    world_finish(&world);
}

static struct intent_member disk_member(int64_t gib)
{
    return (struct intent_member){.set = "mongo",
                                  .ordinal = 1,
                                  .run = RUN_UP,
                                  .node = "mongo-node1",
                                  .controller = "mongo-rc1",
                                  .service = "mongo-svc-a",
                                  .volume = "mongo-persistent-storage1",
                                  .disk = "mongodb-disk1",
                                  .image = "mongo:7.0",
                                  .port = 27017,
                                  .storage_bytes = gib << 30};
}

/* As the server gives back what was applied, with what somebody has changed laid over its spec. */
static void add_disk_object(struct world *world, enum object_kind kind, const struct intent_member *member,
                            const char *field, const char *value)
{
    struct json *live = kind == OBJECT_VOLUME ? object_volume(&world->zone, member, "42")
                                              : object_claim(&world->zone, member);
    struct json *spec = (struct json *)(uintptr_t)json_get(live, "spec");
    json_set_string(spec, "volumeName", "mongodb-disk1");
    json_set_string(json_set(live, "status", json_object()), "phase", "Bound");
    if (*field)
        json_set_string(spec, field, value);
    world->objects[world->input.object_count++] = (struct observed){kind, holdings_trim(kind, live)};
    json_destroy(live);
}

static void a_changed_volume_is_stale_and_one_as_it_was_applied_is_not(void **state)
{
    static const struct {
        const char *project, *field, *value;
        bool stale;
    } rows[] = {{"acme", "", "", false},
                {"acme", "persistentVolumeReclaimPolicy", "Delete", true},
                {"acme", "storageClassName", "fast", true},
                {"", "persistentVolumeReclaimPolicy", "Delete", false} /* the StorageClass's own business */};
    (void)state;
    struct intent_member member = disk_member(1);
    const struct intent intent = {.federation = "prod", .zone = "z", .members = &member, .member_count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world;
        world_init(&world);
        world.zone.project = rows[i].project;
        world.input.intent = &intent;
        add_disk_object(&world, OBJECT_CLAIM, &member, "", "");
        add_disk_object(&world, OBJECT_VOLUME, &member, rows[i].field, rows[i].value);
        const struct member_holding *held = look(&world);
        if (held->disk_stale != rows[i].stale || held->disk_small)
            fail_msg("row %zu", i);
        member.run = RUN_ABSENT; /* who has left is nobody's to repair */
        assert_false(look(&world)->disk_stale);
        member.run = RUN_UP;
        world_finish(&world);
    }
}

static void a_disk_is_small_until_its_volume_or_its_claim_says_the_size(void **state)
{
    static const struct {
        const char *project;
        int64_t claim_gib, volume_gib;
        bool small;
    } rows[] = {{"acme", 1, 1, true}, {"acme", 1, 2, false}, {"acme", 1, 4, false},
                {"", 1, 1, true},     {"", 2, 1, false},     {"", 4, 1, false}};
    (void)state;
    struct intent_member member = disk_member(2);
    const struct intent intent = {.federation = "prod", .zone = "z", .members = &member, .member_count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world;
        world_init(&world);
        world.zone.project = rows[i].project;
        world.input.intent = &intent;
        struct intent_member had = disk_member(rows[i].claim_gib);
        add_disk_object(&world, OBJECT_CLAIM, &had, "", "");
        had = disk_member(rows[i].volume_gib);
        add_disk_object(&world, OBJECT_VOLUME, &had, "", "");
        if (look(&world)->disk_small != rows[i].small || look(&world)->disk_stale)
            fail_msg("row %zu", i);
        world_finish(&world);
    }
}

/* The server lets none grow before it is bound. */
static void a_claim_that_waits_for_its_first_pod_is_not_grown(void **state)
{
    (void)state;
    struct intent_member member = disk_member(2);
    const struct intent intent = {.federation = "prod", .zone = "z", .members = &member, .member_count = 1};
    struct world world;
    world_init(&world);
    world.input.intent = &intent;
    add(&world, OBJECT_CLAIM,
        "{" META("mongo-persistent-storage1", "c1",
                 "") ",\"spec\":{\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}},\"status\":{\"phase\":"
                     "\"Pending\"}}");
    assert_false(look(&world)->disk_small);
    world_finish(&world);
}

static void what_refuses_to_grow_is_said_and_rests(void **state)
{
    static const struct {
        int64_t wanted_gib, refused_gib;
        bool rests, small, said;
    } rows[] = {{2, 2, true, false, true}, /* asked, refused, not asked again yet */
                {2, 2, false, true, true}, /* asked again; what was said stays */
                {3, 2, true, true, false}, /* another size is another question */
                {1, 2, true, false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct intent_member member = disk_member(rows[i].wanted_gib), had = disk_member(1);
        const struct intent intent = {
            .federation = "prod", .zone = "z", .members = &member, .member_count = 1};
        const struct member_note note = {.set = "mongo",
                                         .ordinal = 1,
                                         .last_repair = "",
                                         .foreign = "",
                                         .problem = "",
                                         .problem_code = "",
                                         .refused_bytes = rows[i].refused_gib << 30,
                                         .refusal = "its class lets nothing grow",
                                         .rests = rows[i].rests,
                                         .secrets_stale = i % 2};
        struct world world;
        world_init(&world);
        world.input.intent = &intent;
        world.input.notes = &note;
        world.input.note_count = 1;
        add_disk_object(&world, OBJECT_CLAIM, &had, "", "");
        const struct member_holding *held = look(&world);
        if (held->disk_small != rows[i].small || (*held->problem.code != 0) != rows[i].said)
            fail_msg("row %zu", i);
        if (rows[i].said)
            assert_string_equal(held->problem.message, note.refusal);
        assert_int_equal(held->secrets_stale, note.secrets_stale);
        world_finish(&world);
    }
}

static void a_disk_that_was_there_is_looked_for_before_it_is_taken_for_gone(void **state)
{
    static const struct {
        const char *project;
        bool claim, volume, had_claim, had_volume, stale;
    } rows[] = {{"", false, false, true, false, true},    {"", false, false, false, false, false},
                {"acme", true, false, true, true, true},  {"acme", true, false, true, false, false},
                {"acme", false, false, true, true, true}, {"acme", true, true, true, true, false}};
    (void)state;
    struct intent_member member = disk_member(1);
    const struct intent intent = {.federation = "prod", .zone = "z", .members = &member, .member_count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct member_note note = {.set = "mongo",
                                         .ordinal = 1,
                                         .last_repair = "",
                                         .foreign = "",
                                         .problem = "",
                                         .problem_code = "",
                                         .refusal = "",
                                         .had_claim = rows[i].had_claim,
                                         .had_volume = rows[i].had_volume};
        struct world world;
        world_init(&world);
        world.zone.project = rows[i].project;
        world.input.intent = &intent;
        world.input.notes = &note;
        world.input.note_count = 1;
        add(&world, OBJECT_SERVICE, SERVICE("", INGRESS));
        if (rows[i].claim)
            add_disk_object(&world, OBJECT_CLAIM, &member, "", "");
        if (rows[i].volume)
            add_disk_object(&world, OBJECT_VOLUME, &member, "", "");
        if (look(&world)->disk_stale != rows[i].stale)
            fail_msg("row %zu", i);
        world_finish(&world);
    }
}

static void the_size_is_what_there_is_and_not_what_is_asked_for(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, OBJECT_CLAIM,
        "{" META("mongo-persistent-storage1", "c1",
                 "") ",\"spec\":{\"resources\":{\"requests\":{\"storage\":\"4Gi\"}}},\"status\":{\"phase\":"
                     "\"Bound\",\"capacity\":{\"storage\":\"1Gi\"}}}");
    assert_int_equal(look(&world)->disk.size_bytes, 1 << 30);
    world_finish(&world);
}

static void a_controller_is_stale_until_its_certificate_was_brought(void **state)
{
    static const struct {
        const char *brought, *wanted;
        bool stale;
    } rows[] = {{"5e1f", "5e1f", false}, {"5e1f", "7a3c", true}, {"", "5e1f", true}, {"5e1f", "", false}};
    (void)state;
    struct intent_member member = disk_member(1);
    member.tls = true;
    const struct intent intent = {.federation = "prod", .zone = "z", .members = &member, .member_count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world;
        char where[256];
        world_init(&world);
        world.input.intent = &intent;
        member.certificate_id = rows[i].brought;
        struct json *live = object_controller(&world.zone, &member, 1);
        world.objects[world.input.object_count++] =
            (struct observed){OBJECT_CONTROLLER, holdings_trim(OBJECT_CONTROLLER, live)};
        member.certificate_id = rows[i].wanted;
        if (look(&world)->controller_stale != rows[i].stale)
            fail_msg("row %zu", i);
        struct json *wanted = object_controller(&world.zone, &member, 1);
        assert_false(holdings_drift(wanted, live, where)); /* nobody else's doing */
        json_destroy(wanted);
        json_destroy(live);
        world_finish(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_member),
        cmocka_unit_test(with_a_project_the_disk_is_googles),
        cmocka_unit_test(a_new_pod_counts_before_one_that_is_going_and_dead_ones_not_at_all),
        cmocka_unit_test(what_is_being_deleted_is_not_there),
        cmocka_unit_test(another_federations_members_are_not_ours),
        cmocka_unit_test(the_route_is_inside_by_the_pod_and_outside_by_the_service),
        cmocka_unit_test(own_ranges_fit_a_services_list),
        cmocka_unit_test(a_foreign_object_is_a_problem_of_a_member_that_holds_nothing_else),
        cmocka_unit_test(what_is_too_long_for_a_report_is_as_good_as_absent),
        cmocka_unit_test(a_changed_volume_is_stale_and_one_as_it_was_applied_is_not),
        cmocka_unit_test(a_disk_is_small_until_its_volume_or_its_claim_says_the_size),
        cmocka_unit_test(a_claim_that_waits_for_its_first_pod_is_not_grown),
        cmocka_unit_test(what_refuses_to_grow_is_said_and_rests),
        cmocka_unit_test(a_disk_that_was_there_is_looked_for_before_it_is_taken_for_gone),
        cmocka_unit_test(the_size_is_what_there_is_and_not_what_is_asked_for),
        cmocka_unit_test(a_controller_is_stale_until_its_certificate_was_brought),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
