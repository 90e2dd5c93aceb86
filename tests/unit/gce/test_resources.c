/* What the Compute API's and the metadata server's answers are read as, and what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "zone-agent/gce/compute_internal.h"

struct fixture {
    struct arena arena;
    struct error err;
    struct json *json;
};

static struct json *parse(struct fixture *fixture, const char *text)
{
    json_destroy(fixture->json);
    fixture->json = json_parse(text, strlen(text), COMPUTE_ANSWER_BYTES_MAX, &fixture->err);
    assert_non_null(fixture->json);
    return fixture->json;
}

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    arena_init(&fixture->arena, 0);
}

static void fixture_finish(struct fixture *fixture)
{
    json_destroy(fixture->json);
    arena_finish(&fixture->arena);
}

static void operations_are_read(void **state)
{
    struct fixture f;
    struct operation operation;
    (void)state;
    fixture_init(&f);
    assert_int_equal(operation_read(parse(&f, "{\"name\":\"operation-1\",\"status\":\"RUNNING\"}"), &f.arena,
                                    &operation, &f.err),
                     0);
    assert_false(operation.done);
    assert_string_equal(operation.error_code, "");
    assert_int_equal(
        operation_read(parse(&f, "{\"name\":\"operation-1\",\"status\":\"DONE\",\"httpErrorStatusCode\":503,"
                                 "\"error\":{\"errors\":"
                                 "[{\"code\":\"ZONE_RESOURCE_POOL_EXHAUSTED\",\"message\":\"no\\nroom\"}]}}"),
                       &f.arena, &operation, &f.err),
        0);
    assert_true(operation.done);
    assert_string_equal(operation.error_code, "ZONE_RESOURCE_POOL_EXHAUSTED");
    assert_string_equal(operation.error_message, "no room");
    assert_int_equal(operation.error_status, 503);
    assert_int_equal(operation_read(parse(&f, "{\"name\":\"o\",\"status\":\"DONE\",\"error\":{}}"), &f.arena,
                                    &operation, &f.err),
                     0);
    assert_string_equal(operation.error_code, "UNKNOWN"); /* never taken for success */
    assert_int_equal(operation_read(parse(&f, "{\"name\":\"../../disks/x\",\"status\":\"RUNNING\"}"),
                                    &f.arena, &operation, &f.err),
                     -1);
    assert_int_equal(operation_read(parse(&f, "{\"status\":\"DONE\"}"), &f.arena, &operation, &f.err), -1);
    assert_int_equal(operation_read(parse(&f, "[]"), &f.arena, &operation, &f.err), -1);
    fixture_finish(&f);
}

static void refusals_are_read_whatever_comes(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    struct refusal refusal = refusal_read(
        parse(&f,
              "{\"error\":{\"code\":403,\"message\":\"Quota\",\"errors\":[{\"reason\":\"quotaExceeded\"}]}}"),
        &f.arena);
    assert_string_equal(refusal.reason, "quotaExceeded");
    assert_string_equal(refusal.message, "Quota");
    refusal = refusal_read(parse(&f, "{\"error\":{\"status\":\"UNAVAILABLE\"}}"), &f.arena);
    assert_string_equal(refusal.reason, "UNAVAILABLE");
    refusal = refusal_read(NULL, &f.arena);
    assert_string_equal(refusal.reason, "");
    refusal = refusal_read(parse(&f, "{\"error\":[1]}"), &f.arena);
    assert_string_equal(refusal.message, "");
    fixture_finish(&f);
}

static void disks_and_addresses_are_read(void **state)
{
    struct fixture f;
    struct compute_disk disk;
    struct compute_address address;
    const char *description;
    (void)state;
    fixture_init(&f);
    assert_int_equal(
        compute_disk_read(parse(&f,
                                "{\"name\":\"d\",\"id\":\"77\",\"sizeGb\":\"200\",\"status\":\"READY\","
                                "\"type\":\"https://x/diskTypes/pd-ssd\","
                                "\"labels\":{\"a\":\"b\"},\"lastAttachTimestamp\":\"2026-01-01T00:00:00Z\"}"),
                          "p", "us-east1-b", &f.arena, &disk, &f.err),
        0);
    assert_string_equal(disk.type, "pd-ssd");
    assert_string_equal(disk.handle, "projects/p/zones/us-east1-b/disks/d");
    assert_int_equal(disk.size_bytes, (int64_t)200 << 30);
    assert_int_equal(disk.label_count, 1);
    assert_true(disk.ever_attached);
    assert_false(disk.attached);
    assert_int_equal(
        compute_disk_read(
            parse(&f,
                  "{\"name\":\"d\",\"id\":\"77\",\"sizeGb\":\"many\",\"status\":\"READY\",\"type\":\"t\"}"),
            "p", "z", &f.arena, &disk, &f.err),
        -1);
    assert_int_equal(
        compute_disk_read(
            parse(&f, "{\"name\":\"d\",\"id\":7,\"sizeGb\":\"1\",\"status\":\"READY\",\"type\":\"t\"}"), "p",
            "z", &f.arena, &disk, &f.err),
        -1);
    assert_int_equal(compute_address_read(parse(&f, "{\"name\":\"a\",\"id\":\"8\",\"status\":\"RESERVED\","
                                                    "\"address\":\"34.1.2.3\",\"description\":\"x\"}"),
                                          &f.arena, &address, &description, &f.err),
                     0);
    assert_string_equal(address.address, "34.1.2.3");
    assert_string_equal(description, "x");
    assert_int_equal(
        compute_address_read(
            parse(&f, "{\"name\":\"a\",\"id\":\"8\",\"status\":\"RESERVED\",\"addressType\":\"INTERNAL\"}"),
            &f.arena, &address, &description, &f.err),
        -1);
    assert_int_equal(f.err.code, ERROR_REFUSED);
    fixture_finish(&f);
}

static void tokens_are_read_and_never_quoted(void **state)
{
    char token[METADATA_TOKEN_MAX + 1] = "";
    int64_t life_ms = 0;
    struct error err;
    static const char good[] =
        "{\"access_token\":\"ya29.secret\",\"expires_in\":3599,\"token_type\":\"Bearer\"}";
    static const char *const bad[] = {
        "{\"access_token\":\"ya29 secret\",\"expires_in\":3599}",
        "{\"access_token\":\"ya29\\r\\nsecret: 1\",\"expires_in\":3599}",
        "{\"access_token\":\"ya29.secret\"}",
        "{\"access_token\":\"ya29.secret\",\"expires_in\":0}",
        "{\"access_token\":\"ya29.secret\"",
        "{\"access_token\":[\"ya29.secret\"],\"expires_in\":3599}",
        "{\"access_token\":\"\",\"expires_in\":3599}",
        "secret",
        "",
    };
    (void)state;
    assert_int_equal(metadata_read(good, sizeof good - 1, token, &life_ms, &err), 0);
    assert_string_equal(token, "ya29.secret");
    assert_int_equal(life_ms, 3599000);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(metadata_read(bad[i], strlen(bad[i]), token, &life_ms, &err), -1);
        assert_null(strstr(err.message, "secret"));
    }
}

static void what_is_asked_for_is_checked(void **state)
{
    struct error err;
    const struct compute_task good = {.kind = COMPUTE_DISK_ENSURE,
                                      .project = "example.com:prod",
                                      .zone = "us-east1-b",
                                      .name = "d",
                                      .owner = {"prod", "mongo", 1},
                                      .size_bytes = 1,
                                      .type = ""};
    struct compute_task task = good;
    (void)state;
    assert_int_equal(request_check(&good, &err), 0);
#define REFUSED(change)                                                                                      \
    task = good;                                                                                             \
    change;                                                                                                  \
    assert_int_equal(request_check(&task, &err), -1)
    REFUSED(task.name = "");
    REFUSED(task.name = "Disk");
    REFUSED(task.name = "1disk");
    REFUSED(task.name = "disk-");
    REFUSED(task.name = "a/../b");
    REFUSED(task.name = NULL);
    REFUSED(task.project = "p/q");
    REFUSED(task.project = "");
    REFUSED(task.zone = "us");
    REFUSED(task.zone = "us-east1-b?x");
    REFUSED(task.size_bytes = 0);
    REFUSED(task.size_bytes = -1);
    REFUSED(task.size_bytes = INT64_MAX);
    REFUSED(task.type = "pd ssd");
    REFUSED(task.owner.federation = "Prod");
    REFUSED(task.owner.set = "");
    REFUSED(task.owner.ordinal = 0);
    task = good;
    task.label_count = 1;
    task.labels = (const struct key_value[]){{"Key", "v"}};
    assert_int_equal(request_check(&task, &err), -1);
#undef REFUSED
}

static void an_insert_says_all_at_once(void **state)
{
    struct error err;
    struct buffer body;
    struct compute_task task = {.kind = COMPUTE_DISK_ENSURE,
                                .project = "p",
                                .zone = "us-east1-b",
                                .name = "mongodb-disk1",
                                .owner = {"prod", "mongo", 1},
                                .size_bytes = ((int64_t)10 << 30) + 1,
                                .type = "pd-ssd"};
    (void)state;
    buffer_init(&body, 0);
    assert_int_equal(request_body(&task, ASK_INSERT, NULL, NULL, &body, &err), 0);
    assert_string_equal(
        buffer_text(&body),
        "{\"name\":\"mongodb-disk1\",\"sizeGb\":\"11\",\"type\":\"projects/p/zones/us-east1-b/diskTypes/"
        "pd-ssd\","
        "\"labels\":{\"atoll-federation\":\"prod\",\"atoll-set\":\"mongo\",\"atoll-ordinal\":\"1\"}}");
    task.kind = COMPUTE_ADDRESS_ENSURE;
    assert_int_equal(request_body(&task, ASK_INSERT, NULL, NULL, &body, &err), 0);
    assert_string_equal(
        buffer_text(&body),
        "{\"name\":\"mongodb-disk1\",\"addressType\":\"EXTERNAL\",\"networkTier\":\"PREMIUM\","
        "\"description\":\"atoll: federation prod, set mongo, member 1\"}");
    buffer_finish(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_read),          cmocka_unit_test(refusals_are_read_whatever_comes),
        cmocka_unit_test(disks_and_addresses_are_read), cmocka_unit_test(tokens_are_read_and_never_quoted),
        cmocka_unit_test(what_is_asked_for_is_checked), cmocka_unit_test(an_insert_says_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
