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

static void a_controller_is_stale_until_its_certificate_was_brought(void **state)
{
    static const struct {
        const char *brought, *wanted;
        bool stale;
    } rows[] = {{"5e1f", "5e1f", false}, {"5e1f", "7a3c", true}, {"", "5e1f", true}, {"5e1f", "", false}};
    (void)state;
    struct intent_member member = {.set = "mongo",
                                   .ordinal = 1,
                                   .run = RUN_UP,
                                   .node = "mongo-node1",
                                   .controller = "mongo-rc1",
                                   .service = "mongo-svc-a",
                                   .volume = "mongo-persistent-storage1",
                                   .disk = "mongodb-disk1",
                                   .image = "mongo:7.0",
                                   .port = 27017,
                                   .storage_bytes = 1 << 30,
                                   .tls = true};
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
        cmocka_unit_test(a_controller_is_stale_until_its_certificate_was_brought),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
