/* The status document: the keys of the contract, and when its bytes change. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "controller/serve/status.h"

static struct json *status_now(void)
{
    struct federation_view view;
    controller_view(world.controller, &view);
    return status_write(&view, STATUS_WHOLE);
}

static void has_keys(const struct json *object, const char *keys)
{
    char copy[512], *place = NULL;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *key = strtok_r(copy, " ", &place); key; key = strtok_r(NULL, " ", &place), count++)
        if (!json_get(object, key))
            fail_msg("%s is missing", key);
    if (json_count(object) != count)
        fail_msg("%zu keys, but \"%s\" are meant", json_count(object), keys);
}

static void the_document_has_the_keys_of_the_contract_and_no_others(void **state)
{
    (void)state;
    world_apply(three_zones);
    world_all_report();
    world_run(100);
    struct json *status = status_now();
    has_keys(status, "apiVersion federation revision generatedAt controller summary zones sets");
    has_keys(json_get(status, "controller"), "version leader startedAt tls");
    has_keys(json_get(status, "summary"), "zones connectedZones sets healthySets members healthyMembers");
    has_keys(json_first(json_get(status, "zones")),
             "name state driver lastReportAt agentVersion members upToDate");
    const struct json *set = json_first(json_get(status, "sets"));
    has_keys(set, "name phase primary configVersion configTerm term waits connectionString auth tls "
                  "conditions members");
    has_keys(json_first(json_get(set, "conditions")), "type status reason message since");
    const struct json *member = json_first(json_get(set, "members"));
    has_keys(
        member,
        "name ordinal id zone host state phase nextPhase healthy votes priority version imageId observedAt "
        "lagSeconds restarts waits disk controller service pod reason");
    has_keys(json_get(member, "disk"), "name state sizeBytes usedBytes");
    has_keys(json_get(member, "pod"), "name node ready");
    json_destroy(status);
}

static void before_any_spec_the_document_is_there_and_empty(void **state)
{
    (void)state;
    struct json *status = status_now();
    assert_string_equal(json_get_text(status, "federation", "?"), "");
    assert_int_equal(json_get_int(status, "revision", -1), 0);
    assert_int_equal(json_count(json_get(status, "sets")), 0);
    json_destroy(status);
}

static void the_summary_counts(void **state)
{
    (void)state;
    script.healthy = true;
    world_apply(three_zones);
    world_all_report();
    world_run(100);
    struct json *status = status_now();
    const struct json *summary = json_get(status, "summary");
    assert_int_equal(json_get_int(summary, "connectedZones", -1), 3);
    assert_int_equal(json_get_int(summary, "healthySets", -1), 1);
    assert_int_equal(json_get_int(summary, "healthyMembers", -1), 3);
    json_destroy(status);
}

static void a_set_that_is_to_go_is_not_counted(void **state)
{
    struct spec_set sets[] = {{.name = "here"}, {.name = "gone", .absent = true}};
    struct set_view views[] = {{.set = &sets[0]}, {.set = &sets[1]}};
    struct federation_view view = {.sets = views, .set_count = 2};
    (void)state;
    struct json *status = status_write(&view, STATUS_WHOLE);
    assert_int_equal(json_get_int(json_get(status, "summary"), "sets", -1), 1);
    json_destroy(status);
}

/* ---- the cache ---- */

static int64_t now_ms(void *context)
{
    (void)context;
    return world.now_ms;
}

static const struct clock clock_of_world = {now_ms, now_ms, NULL};

static void etag_now(struct status_cache *cache, char out[STATUS_ETAG_MAX])
{
    struct backend backend = controller_backend(world.controller);
    const struct status_text *text = status_cache_get(cache, &backend, &clock_of_world);
    assert_non_null(text);
    memcpy(out, text->etag, STATUS_ETAG_MAX);
}

static void times_and_lag_alone_change_the_bytes_only_now_and_then(void **state)
{
    (void)state;
    struct status_cache cache;
    struct zone_answer answer;
    char first[STATUS_ETAG_MAX], second[STATUS_ETAG_MAX], third[STATUS_ETAG_MAX];
    status_cache_init(&cache);
    world_apply(three_zones);
    world_all_report();
    world_run(1000);
    etag_now(&cache, first);
    script.lag_seconds = 4;
    world_heartbeat("z1", "r", 1, &answer);
    world_run(1000);
    status_cache_changed(&cache);
    etag_now(&cache, second);
    assert_string_equal(first, second);
    world_run(STATUS_REFRESH_MS - 1000);
    status_cache_changed(&cache);
    etag_now(&cache, third);
    assert_string_not_equal(first, third);
    status_cache_finish(&cache);
}

static void a_new_phase_changes_the_bytes_at_once(void **state)
{
    (void)state;
    struct status_cache cache;
    char first[STATUS_ETAG_MAX], second[STATUS_ETAG_MAX];
    status_cache_init(&cache);
    world_apply(three_zones);
    world_all_report();
    world_run(100);
    etag_now(&cache, first);
    script.phase = PHASE_HEALTHY;
    struct report report = world_report("z1", "r", 2);
    world_tell(&report);
    world_run(STATUS_LOOK_MS);
    status_cache_changed(&cache);
    etag_now(&cache, second);
    assert_string_not_equal(first, second);
    status_cache_finish(&cache);
}

static void the_connection_string_names_who_clients_may_use(void **state)
{
    (void)state;
    const struct spec_member members[] = {{.ordinal = 1},
                                          {.ordinal = 2, .arbiter_only = true},
                                          {.ordinal = 3, .hidden = true},
                                          {.ordinal = 4},
                                          {.ordinal = 5}};
    struct member_plan plans[] = {{.id = 0, .host = "104.1.2.3:27017"},
                                  {.id = 1, .host = "b:1"},
                                  {.id = 2, .host = "c:1"},
                                  {.id = 3, .host = "104.1.4.5:27017"},
                                  {.id = -1, .host = "104.1.6.7:27017"}};
    const struct spec_set set = {.name = "mongo", .members = members, .member_count = 5};
    const struct plan plan = {.members = plans, .member_count = 5};
    const struct set_view view = {.set = &set, .plan = &plan};
    struct buffer text;
    buffer_init(&text, 0);
    connection_string(&view, &text);
    assert_string_equal(buffer_text(&text), "mongodb://104.1.2.3:27017,104.1.4.5:27017/?replicaSet=mongo");
    buffer_finish(&text);
}

static void etags_tell_bytes_apart(void **state)
{
    (void)state;
    char a[STATUS_ETAG_MAX], b[STATUS_ETAG_MAX];
    status_etag("", 0, a);
    assert_string_equal(a, "6c62272e07bb014262b821756295c58d"); /* FNV-1a 128, offset basis */
    status_etag("a", 1, a);
    assert_string_equal(a, "d228cb696f1a8caf78912b704e4a8964");
    status_etag("b", 1, b);
    assert_string_not_equal(a, b);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_document_has_the_keys_of_the_contract_and_no_others),
        test(before_any_spec_the_document_is_there_and_empty),
        test(the_summary_counts),
        cmocka_unit_test(a_set_that_is_to_go_is_not_counted),
        test(times_and_lag_alone_change_the_bytes_only_now_and_then),
        test(a_new_phase_changes_the_bytes_at_once),
        test(the_connection_string_names_who_clients_may_use),
        test(etags_tell_bytes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
