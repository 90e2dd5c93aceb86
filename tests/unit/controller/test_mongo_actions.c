/* The controller's actions on MongoDB, against processes of atoll-mongod-sim (or of the mongod that
 * ATOLL_MONGOD names). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "controller/act/mongo.h"
#include "proto/base/arena.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"

enum { NODES = 2, RETRY_MS = 100, PATIENCE_MS = 30000 };

static char folder[32];
static uv_loop_t loop;
static struct mongo *mongo;
static struct arena arena;
static pid_t nodes[NODES];
static char hosts[NODES][32];
static struct mongo_result last; /* copied into `arena` */
static int results;

static void took(void *context, const struct mongo_result *result)
{
    (void)context;
    last = *result;
    last.message = arena_string(&arena, result->message);
    last.config = replica_config_copy(&arena, &result->config);
    results++;
    uv_stop(&loop);
}

static void start_node(int index)
{
    char path[64], port[8], address[32];
    const char *real = getenv("ATOLL_MONGOD");
    /* Addresses of this process' own, so that several runs don't meet. */
    snprintf(address, sizeof address, "127.%d.%d.%d", 100 + (int)(getpid() >> 16) % 100,
             (int)(getpid() >> 8) & 255, getpid() & 255);
    snprintf(port, sizeof port, "%d", 27117 + index);
    snprintf(hosts[index], sizeof hosts[index], "%s:%s", address, port);
    snprintf(path, sizeof path, "%s/%d", folder, index);
    assert_int_equal(file_make_folders(path, 0700, NULL), 0);
    nodes[index] = fork();
    if (nodes[index] == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(real ? real : ATOLL_MONGOD_SIM, "mongod", "--dbpath", path, "--port", port, "--bind_ip",
              address, "--replSet", "mongo", "--nounixsocket", (char *)NULL);
        _exit(127);
    }
}

static void act(const struct action *action)
{
    static uint64_t id;
    struct error err = {0};
    int before = results;
    assert_int_equal(mongo->functions->start(mongo, ++id, "mongo", action, NULL, &err), 0);
    assert_int_equal(results, before); /* never from within the call */
    while (results == before)
        uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(last.id, id);
}

/* Again and again while it fails with one of these codes (0: nobody answers yet). */
static void act_when_ready(const struct action *action, int code, int other_code)
{
    int64_t end_ms = clock_monotonic_ms(&clock_system) + PATIENCE_MS;
    for (;;) {
        act(action);
        if (last.succeeded || (last.code != code && last.code != other_code) ||
            clock_monotonic_ms(&clock_system) > end_ms)
            return;
        usleep(RETRY_MS * 1000);
    }
}

static int start_set(void **state)
{
    (void)state;
    struct error err;
    strcpy(folder, "/tmp/atoll-mongo-XXXXXX");
    arena_init(&arena, 0);
    if (!mkdtemp(folder) || uv_loop_init(&loop) || mongo_pool_create(&loop, "", took, NULL, &mongo, &err))
        return -1;
    for (int i = 0; i < NODES; i++)
        start_node(i);
    return 0;
}

static int stop_set(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        if (nodes[i] > 0) {
            kill(nodes[i], SIGKILL);
            waitpid(nodes[i], NULL, 0);
        }
    mongo_pool_close(mongo);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    arena_finish(&arena);
    return file_remove_tree(folder, NULL);
}

static const struct setting quick[] = {{"electionTimeoutMillis", 1000, false},
                                       {"heartbeatIntervalMillis", 200, false}};

static struct action action_of(enum action_kind kind, const struct replica_config *base,
                               const struct config_member *members, size_t count)
{
    struct action action = {.kind = kind, .host = hosts[0], .sentence = "", .base = *base, .config = *base};
    action.config.members = members;
    action.config.member_count = count;
    action.config.settings = quick;
    action.config.setting_count = 2;
    return action;
}

static const struct replica_config nothing = {.set = "mongo", .term = -1, .replica_set_id = ""};
static struct replica_config first;

static void a_set_is_initiated_and_its_configuration_read_back(void **state)
{
    (void)state;
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1}};
    struct action action = action_of(ACTION_INITIATE, &nothing, members, 1);
    act_when_ready(&action, 0, 0);
    if (!last.succeeded)
        fail_msg("%d %s", last.code, last.message);
    assert_true(last.sent);
    assert_int_equal(last.config.version, 1);
    assert_string_equal(last.config.members[0].host, hosts[0]);
    assert_int_equal(strlen(last.config.replica_set_id), 24);
    first = last.config;
}

static void a_second_birth_is_never_sent(void **state)
{
    (void)state;
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1}};
    struct action action = action_of(ACTION_INITIATE, &nothing, members, 1);
    act(&action);
    assert_false(last.succeeded);
    assert_int_equal(last.code, 23);
    assert_false(last.sent);
    assert_string_equal(last.config.replica_set_id, first.replica_set_id);
}

/* The configuration as it is now, by an action that is refused. */
static struct replica_config config_now(void)
{
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1}};
    struct action action = action_of(ACTION_INITIATE, &nothing, members, 1);
    act(&action);
    assert_true(last.config.version > 0);
    return last.config;
}

static void a_change_made_on_another_version_is_refused_unsent(void **state)
{
    (void)state;
    struct replica_config base = config_now();
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 5}};
    base.version += 3;
    struct action action = action_of(ACTION_RECONFIGURE, &base, members, 1);
    act(&action);
    assert_false(last.succeeded);
    assert_false(last.sent);
    assert_non_null(strstr(last.message, "was made on version"));
    assert_true(last.config.members[0].priority == 1);
}

static void a_member_is_added_without_a_vote(void **state)
{
    (void)state;
    int64_t end_ms = clock_monotonic_ms(&clock_system) + PATIENCE_MS;
    do { /* until the node has become primary, which may raise the term */
        const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1},
                                                {.id = 4, .host = hosts[1], .votes = 0, .priority = 0}};
        struct replica_config base = config_now();
        struct action action = action_of(ACTION_RECONFIGURE, &base, members, 2);
        act(&action);
        if (!last.succeeded)
            usleep(RETRY_MS * 1000);
    } while (!last.succeeded && clock_monotonic_ms(&clock_system) < end_ms);
    if (!last.succeeded)
        fail_msg("%d %s", last.code, last.message);
    const struct config_member *added = replica_config_find(&last.config, 4);
    assert_non_null(added);
    assert_string_equal(added->host, hosts[1]);
    assert_int_equal(added->votes, 0);
    assert_true(last.config.version > first.version);
    assert_string_equal(last.config.replica_set_id, first.replica_set_id);
}

static void what_the_server_refuses_is_told_with_its_code_and_changes_nothing(void **state)
{
    (void)state;
    struct replica_config base = config_now();
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1},
                                            {.id = 4, .host = hosts[0], .votes = 0, .priority = 0}};
    struct action action = action_of(ACTION_RECONFIGURE, &base, members, 2);
    act(&action);
    assert_false(last.succeeded);
    assert_true(last.sent);
    assert_true(last.code == 103 || last.code == 93);
    assert_int_equal(last.config.version, base.version);
}

static void a_step_down_that_no_secondary_can_take_over_is_a_failure(void **state)
{
    (void)state;
    struct action action = {
        .kind = ACTION_STEP_DOWN, .host = hosts[1], .sentence = "", .base = nothing, .config = nothing};
    act(&action); /* the other node is no primary */
    assert_false(last.succeeded);
    assert_true(last.code == 10107 || last.code == 189);
}

static void where_nobody_answers_the_failure_comes_in_time(void **state)
{
    (void)state;
    struct replica_config base = {.set = "mongo", .version = 1, .term = -1, .replica_set_id = ""};
    const struct config_member members[] = {{.id = 0, .host = hosts[0], .votes = 1, .priority = 1}};
    struct action action = action_of(ACTION_RECONFIGURE, &base, members, 1);
    int64_t began_ms = clock_monotonic_ms(&clock_system);
    action.host = "127.0.0.1:1";
    act(&action);
    assert_false(last.succeeded);
    assert_false(last.sent);
    assert_int_equal(last.config.version, 0);
    assert_true(strlen(last.message) > 10);
    assert_true(clock_monotonic_ms(&clock_system) - began_ms < PATIENCE_MS);
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    struct action action = {.kind = ACTION_STEP_DOWN,
                            .host = "evil/?tls=false",
                            .sentence = "",
                            .base = nothing,
                            .config = nothing};
    act(&action);
    assert_false(last.succeeded);
    assert_non_null(strstr(last.message, "no address"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_initiated_and_its_configuration_read_back),
        cmocka_unit_test(a_second_birth_is_never_sent),
        cmocka_unit_test(a_change_made_on_another_version_is_refused_unsent),
        cmocka_unit_test(a_member_is_added_without_a_vote),
        cmocka_unit_test(what_the_server_refuses_is_told_with_its_code_and_changes_nothing),
        cmocka_unit_test(a_step_down_that_no_secondary_can_take_over_is_a_failure),
        cmocka_unit_test(where_nobody_answers_the_failure_comes_in_time),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, start_set, stop_set);
}
