/* What the Compute API client does with what it hears and with what it finds: tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "zone-agent/gce/decide.h"

#define GIB ((int64_t)1 << 30)

/* ---- answers ---- */

static void what_an_answer_leads_to(void **state)
{
    static const struct {
        enum compute_ask ask;
        int status;
        const char *reason;
        enum compute_next next;
        enum compute_problem_kind problem;
    } rows[] = {
        {ASK_READ, 200, "", NEXT_TAKE, 0},
        {ASK_POLL, 200, "", NEXT_TAKE, 0},
        {ASK_READ, 404, "notFound", NEXT_ABSENT, 0},
        {ASK_INSERT, 404, "notFound", NEXT_STOP, COMPUTE_INVALID}, /* no such project or zone */
        {ASK_POLL, 404, "notFound", NEXT_READ, 0},
        {ASK_GROW, 404, "notFound", NEXT_READ, 0},
        {ASK_INSERT, 409, "alreadyExists", NEXT_READ, 0},
        {ASK_GROW, 409, "resourceInUse", NEXT_ANEW, COMPUTE_BUSY},
        {ASK_LABEL, 412, "conditionNotMet", NEXT_READ, 0},
        {ASK_INSERT, 0, "", NEXT_RETRY, COMPUTE_UNREACHABLE},
        {ASK_INSERT, 429, "rateLimitExceeded", NEXT_RETRY, COMPUTE_BUSY},
        {ASK_INSERT, 403, "rateLimitExceeded", NEXT_RETRY, COMPUTE_BUSY},
        {ASK_READ, 403, "userRateLimitExceeded", NEXT_RETRY, COMPUTE_BUSY},
        {ASK_INSERT, 403, "quotaExceeded", NEXT_STOP, COMPUTE_QUOTA},
        {ASK_INSERT, 403, "forbidden", NEXT_STOP, COMPUTE_DENIED},
        {ASK_READ, 403, "", NEXT_STOP, COMPUTE_DENIED},
        {ASK_READ, 401, "authError", NEXT_TOKEN, COMPUTE_NO_TOKEN},
        {ASK_INSERT, 400, "invalid", NEXT_STOP, COMPUTE_INVALID},
        {ASK_GROW, 400, "resourceNotReady", NEXT_ANEW, COMPUTE_BUSY},
        {ASK_INSERT, 500, "backendError", NEXT_RETRY, COMPUTE_BUSY},
        {ASK_INSERT, 503, "backendError", NEXT_RETRY, COMPUTE_BUSY},
        {ASK_INSERT, 503, "ZONE_RESOURCE_POOL_EXHAUSTED", NEXT_ANEW, COMPUTE_STOCKOUT},
        {ASK_READ, 302, "", NEXT_RETRY, COMPUTE_PROTOCOL},
        {ASK_READ, 204, "", NEXT_RETRY, COMPUTE_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct verdict verdict = decide_reply(rows[i].ask, rows[i].status, rows[i].reason);
        if (verdict.next != rows[i].next || verdict.problem != rows[i].problem)
            fail_msg("row %zu (status %d, %s): next %d, problem %d", i, rows[i].status, rows[i].reason,
                     verdict.next, verdict.problem);
    }
}

static void what_a_failed_operation_leads_to(void **state)
{
    static const struct {
        const char *code;
        int status;
        enum compute_next next;
        enum compute_problem_kind problem;
    } rows[] = {
        {"QUOTA_EXCEEDED", 403, NEXT_STOP, COMPUTE_QUOTA},
        {"QUOTA_EXCEEDED", 0, NEXT_STOP, COMPUTE_QUOTA},
        {"ZONE_RESOURCE_POOL_EXHAUSTED", 503, NEXT_ANEW, COMPUTE_STOCKOUT},
        {"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", 503, NEXT_ANEW, COMPUTE_STOCKOUT},
        {"INTERNAL_ERROR", 500, NEXT_ANEW, COMPUTE_BUSY},
        {"INTERNAL_ERROR", 0, NEXT_ANEW, COMPUTE_BUSY},
        {"RESOURCE_ALREADY_EXISTS", 409, NEXT_READ, 0},
        {"PERMISSIONS_ERROR", 403, NEXT_STOP, COMPUTE_DENIED},
        {"SOMETHING_NEW", 400, NEXT_STOP, COMPUTE_INVALID},
        {"SOMETHING_NEW", 503, NEXT_ANEW, COMPUTE_BUSY},
        {"SOMETHING_NEW", 0, NEXT_ANEW, COMPUTE_PROTOCOL},
        {"UNKNOWN", 0, NEXT_ANEW, COMPUTE_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct verdict verdict = decide_operation(rows[i].code, rows[i].status);
        if (verdict.next != rows[i].next || verdict.problem != rows[i].problem)
            fail_msg("row %zu (%s, %d): next %d, problem %d", i, rows[i].code, rows[i].status, verdict.next,
                     verdict.problem);
    }
}

/* ---- what is there ---- */

static const struct key_value ours[] = {
    {"atoll-federation", "prod"}, {"atoll-set", "mongo"}, {"atoll-ordinal", "1"}, {"team", "db"}};
static const struct key_value another_ordinal[] = {
    {"atoll-federation", "prod"}, {"atoll-set", "mongo"}, {"atoll-ordinal", "2"}};
static const struct key_value another_federation[] = {
    {"atoll-federation", "test"}, {"atoll-set", "mongo"}, {"atoll-ordinal", "1"}};
static const struct key_value part_of_ours[] = {{"atoll-federation", "prod"}, {"atoll-ordinal", "1"}};
static const struct key_value nobodys[] = {{"team", "db"}};

#define LABELS(list) list, sizeof list / sizeof *list

static const struct compute_task ensure = {
    .kind = COMPUTE_DISK_ENSURE,
    .project = "p",
    .zone = "us-east1-b",
    .name = "mongodb-disk1",
    .owner = {"prod", "mongo", 1},
    .size_bytes = 200 * GIB,
    .type = "pd-ssd",
};

static void a_disk_that_exists_is_adopted_completed_or_refused(void **state)
{
    const struct {
        const char *what;
        const struct key_value *labels;
        size_t label_count;
        const char *type, *status;
        int64_t size_gb;
        bool adopt;
        enum compute_fit_kind fit;
        enum compute_problem_kind problem;
        bool unmarked;
        const char *word;
    } rows[] = {
        {"our own", LABELS(ours), "pd-ssd", "READY", 200, false, FIT_TAKE, 0, false, NULL},
        {"our own, larger", LABELS(ours), "pd-ssd", "READY", 300, false, FIT_TAKE, 0, false, NULL},
        {"our own, smaller", LABELS(ours), "pd-ssd", "READY", 100, false, FIT_GROW, 0, false, NULL},
        {"our own, a label lost", LABELS(part_of_ours), "pd-ssd", "READY", 200, false, FIT_LABEL, 0, false,
         NULL},
        {"a label lost and smaller: labels first", LABELS(part_of_ours), "pd-ssd", "READY", 1, false,
         FIT_LABEL, 0, false, NULL},
        {"another ordinal's", LABELS(another_ordinal), "pd-ssd", "READY", 200, true, FIT_REFUSE,
         COMPUTE_FOREIGN, false, "member 2 of set mongo"},
        {"another federation's", LABELS(another_federation), "pd-ssd", "READY", 200, true, FIT_REFUSE,
         COMPUTE_FOREIGN, false, "federation test"},
        {"nobody's", LABELS(nobodys), "pd-ssd", "READY", 200, false, FIT_REFUSE, COMPUTE_FOREIGN, true,
         "none of our labels"},
        {"nobody's, named by the user", LABELS(nobodys), "pd-ssd", "READY", 200, true, FIT_LABEL, 0, true,
         NULL},
        {"no labels, named by the user", NULL, 0, "pd-ssd", "READY", 200, true, FIT_LABEL, 0, true, NULL},
        {"another type", LABELS(ours), "pd-standard", "READY", 200, true, FIT_REFUSE, COMPUTE_MISMATCH, false,
         "pd-standard, not a pd-ssd"},
        {"being made", LABELS(ours), "pd-ssd", "CREATING", 200, false, FIT_WAIT, COMPUTE_BUSY, false,
         "CREATING"},
        {"failed", LABELS(ours), "pd-ssd", "FAILED", 200, false, FIT_REFUSE, COMPUTE_BROKEN, false, "failed"},
        {"being deleted", LABELS(ours), "pd-ssd", "DELETING", 200, false, FIT_REFUSE, COMPUTE_FOREIGN, false,
         "deleting"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        arena_init(&arena, 0);
        struct compute_task task = ensure;
        task.adopt = rows[i].adopt;
        const struct compute_disk disk = {.name = "mongodb-disk1",
                                          .id = "7",
                                          .type = rows[i].type,
                                          .status = rows[i].status,
                                          .size_bytes = rows[i].size_gb * GIB,
                                          .labels = rows[i].labels,
                                          .label_count = rows[i].label_count};
        struct compute_fit fit = decide_disk(&task, &disk, &arena);
        if (fit.kind != rows[i].fit || (fit.kind == FIT_REFUSE && fit.problem != rows[i].problem) ||
            (fit.kind != FIT_REFUSE && fit.unmarked != rows[i].unmarked) ||
            (rows[i].word && !strstr(fit.why, rows[i].word)))
            fail_msg("%s: fit %d, problem %d, unmarked %d, %s", rows[i].what, fit.kind, fit.problem,
                     fit.unmarked, fit.why ? fit.why : "");
        arena_finish(&arena);
    }
}

static void an_update_without_type_and_size_leaves_both(void **state)
{
    struct arena arena;
    struct compute_task task = ensure;
    const struct compute_disk disk = {
        .type = "pd-standard", .status = "READY", .size_bytes = GIB, .labels = ours, .label_count = 4};
    (void)state;
    arena_init(&arena, 0);
    task.kind = COMPUTE_DISK_UPDATE;
    task.type = "";
    task.size_bytes = 0;
    assert_int_equal(decide_disk(&task, &disk, &arena).kind, FIT_TAKE);
    task.labels = (const struct key_value[]){{"atoll-replica-set", "5f00"}};
    task.label_count = 1;
    assert_int_equal(decide_disk(&task, &disk, &arena).kind, FIT_LABEL);
    arena_finish(&arena);
}

static void labels_of_others_are_kept(void **state)
{
    struct arena arena;
    struct key_value labels[COMPUTE_LABELS_MAX];
    size_t count;
    struct error err;
    struct compute_task task = ensure;
    const struct compute_disk disk = {.labels = nobodys, .label_count = 1};
    (void)state;
    arena_init(&arena, 0);
    task.labels = (const struct key_value[]){{"atoll-replica-set", "5f00"}};
    task.label_count = 1;
    assert_int_equal(decide_labels(&task, &disk, &arena, labels, &count, &err), 0);
    assert_int_equal(count, 5);
    assert_string_equal(labels[0].key, "team");
    assert_string_equal(labels[1].value, "5f00");
    assert_string_equal(labels[4].key, COMPUTE_LABEL_ORDINAL);
    assert_string_equal(labels[4].value, "1");
    struct key_value many[COMPUTE_LABELS_MAX];
    static char names[COMPUTE_LABELS_MAX][8];
    for (int i = 0; i < COMPUTE_LABELS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "l%d", i);
        many[i] = (struct key_value){names[i], ""};
    }
    const struct compute_disk full = {.labels = many, .label_count = COMPUTE_LABELS_MAX};
    assert_int_equal(decide_labels(&task, &full, &arena, labels, &count, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    arena_finish(&arena);
}

static void an_address_is_ours_by_its_description(void **state)
{
    const struct {
        const char *description, *address, *status;
        bool adopt;
        enum compute_fit_kind fit;
        bool unmarked;
    } rows[] = {
        {"atoll: federation prod, set mongo, member 1", "34.1.2.3", "RESERVED", false, FIT_TAKE, false},
        {"atoll: federation prod, set mongo, member 1", "34.1.2.3", "IN_USE", false, FIT_TAKE, false},
        {"atoll: federation prod, set mongo, member 1", "", "RESERVING", false, FIT_WAIT, false},
        {"atoll: federation prod, set mongo, member 2", "34.1.2.3", "RESERVED", true, FIT_REFUSE, false},
        {"for the web site", "34.1.2.3", "RESERVED", false, FIT_REFUSE, false},
        {"", "34.1.2.3", "RESERVED", true, FIT_TAKE, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        struct compute_task task = ensure;
        task.kind = COMPUTE_ADDRESS_ENSURE;
        task.adopt = rows[i].adopt;
        arena_init(&arena, 0);
        const struct compute_address address = {"mongo-svc-a", "8", rows[i].address, rows[i].status};
        struct compute_fit fit = decide_address(&task, &address, rows[i].description, &arena);
        if (fit.kind != rows[i].fit || fit.unmarked != rows[i].unmarked)
            fail_msg("row %zu: fit %d, unmarked %d", i, fit.kind, fit.unmarked);
        arena_finish(&arena);
    }
}

/* ---- words ---- */

static void a_problem_says_what_where_why_and_what_next(void **state)
{
    struct arena arena;
    struct compute_task address = ensure;
    (void)state;
    arena_init(&arena, 0);
    struct compute_problem problem =
        compute_problem_make(&ensure, COMPUTE_QUOTA, 403, "Google says: \"Quota\" (403)", &arena);
    assert_string_equal(problem.code, "disk_quota");
    assert_true(problem.lasting);
    assert_string_equal(problem.message, "creating disk mongodb-disk1 (200 GiB pd-ssd) in zone us-east1-b of "
                                         "project p: Google says: \"Quota\" (403); "
                                         "to do: ask Google for more of this quota in the region, or free "
                                         "some; the member goes on by itself then");
    address.kind = COMPUTE_ADDRESS_ENSURE;
    problem = compute_problem_make(&address, COMPUTE_DENIED, 403, "x", &arena);
    assert_string_equal(problem.code, "address_denied");
    assert_non_null(
        strstr(problem.message, "reserving address mongodb-disk1 in region us-east1 of project p: x"));
    problem = compute_problem_make(&ensure, COMPUTE_STOCKOUT, 503, "x", &arena);
    assert_false(problem.lasting);
    arena_finish(&arena);
}

static void the_region_of_a_zone(void **state)
{
    char region[COMPUTE_NAME_MAX + 1];
    (void)state;
    assert_true(compute_region("europe-west1-d", region));
    assert_string_equal(region, "europe-west1");
    assert_false(compute_region("europe", region));
    assert_false(compute_region("europe-", region));
    assert_false(compute_region("-d", region));
    assert_false(compute_region("", region));
}

static void sizes_are_rounded_up_to_whole_gib(void **state)
{
    (void)state;
    assert_int_equal(compute_size_gb(0), 0);
    assert_int_equal(compute_size_gb(1), 1);
    assert_int_equal(compute_size_gb(GIB), 1);
    assert_int_equal(compute_size_gb(GIB + 1), 2);
    assert_int_equal(compute_size_gb(INT64_MAX), INT64_MAX / GIB + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_answer_leads_to),
        cmocka_unit_test(what_a_failed_operation_leads_to),
        cmocka_unit_test(a_disk_that_exists_is_adopted_completed_or_refused),
        cmocka_unit_test(an_update_without_type_and_size_leaves_both),
        cmocka_unit_test(labels_of_others_are_kept),
        cmocka_unit_test(an_address_is_ours_by_its_description),
        cmocka_unit_test(a_problem_says_what_where_why_and_what_next),
        cmocka_unit_test(the_region_of_a_zone),
        cmocka_unit_test(sizes_are_rounded_up_to_whole_gib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
