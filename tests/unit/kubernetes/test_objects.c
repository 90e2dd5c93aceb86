/* The templates against golden files that people have read, and what counts as a difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "zone-agent/kubernetes/objects.h"

static const struct key_value labels[] = {{"instance", "rod"}, {"name", "theirs"}};
static const char *const ranges[] = {"203.0.113.2/32", "198.51.100.0/24"};
static const char *const own[] = {"10.1.0.0/16"};
static const char *const arguments[] = {"--wiredTigerCacheSizeGB", "1"};

static struct intent_member member(void)
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
                                  .storage_bytes = INT64_C(200) << 30,
                                  .storage_type = "pd-ssd",
                                  .labels = labels,
                                  .label_count = 2,
                                  .mongod_arguments = arguments,
                                  .mongod_argument_count = 2,
                                  .cpu = "2",
                                  .memory = "8Gi",
                                  .source_ranges = ranges,
                                  .source_range_count = 2};
}

#define KEY "-----BEGIN PRIVATE KEY-----\nno object but the Secret may hold it\n-----END PRIVATE KEY-----\n"
#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nfor 203.0.113.9\n-----END CERTIFICATE-----\n"

static void encrypt(struct intent_member *member)
{
    member->tls = true;
    member->certificate = CERTIFICATE;
    member->certificate_id = "5e1f";
}

static struct object_zone zone(const char *project, int minor)
{
    return (struct object_zone){.federation = "prod",
                                .zone = "us-east1-b",
                                .project = project,
                                .namespace_ = "default",
                                .own_ranges = own,
                                .own_range_count = 1,
                                .major = 1,
                                .minor = minor};
}

static void append(struct buffer *out, struct json *object)
{
    struct error err;
    assert_int_equal(json_print(object, JSON_PRETTY, out, &err), 0);
    buffer_append_text(out, "\n");
    json_destroy(object);
}

static void compare(struct buffer *now, const char *name)
{
    char path[512];
    struct buffer golden;
    struct error err;
    snprintf(path, sizeof path, ATOLL_SOURCE_DIR "/tests/tables/kubernetes/%s", name);
    buffer_init(&golden, 0);
    if (getenv("ATOLL_GOLDEN"))
        assert_int_equal(file_replace(path, now->data, now->length, 0644, &err), 0);
    assert_int_equal(file_read(path, 1 << 20, &golden, &err), 0);
    if (strcmp(buffer_text(now), buffer_text(&golden)) != 0)
        fail_msg("%s differs; read the difference, then run this test with ATOLL_GOLDEN=write", path);
    buffer_finish(&golden);
    buffer_finish(now);
}

static void the_objects_of_a_member(const char *project, int minor, const char *golden)
{
    struct intent_member wanted = member();
    struct object_zone facts = zone(project, minor);
    struct buffer out;
    buffer_init(&out, 0);
    if (*project) { /* this one authenticates and encrypts */
        encrypt(&wanted);
        wanted.auth = true;
        wanted.keyfile = "a key that no golden file may hold";
        wanted.key_id = "00112233445566ff";
    }
    if (*project)
        append(&out, object_volume(&facts, &wanted, "8675309"));
    append(&out, object_claim(&facts, &wanted));
    append(&out, object_service(&facts, &wanted, *project ? "203.0.113.9" : "", NULL));
    append(&out, object_headless(&facts, &wanted));
    append(&out, object_budget(&facts, &wanted));
    append(&out, object_controller(&facts, &wanted, 1));
    compare(&out, golden);
}

static void on_gke_with_a_project_of_a_new_server(void **state)
{
    (void)state;
    the_objects_of_a_member("acme-prod", 32, "member-project-1.32.json");
}

static void on_any_cluster_of_an_old_server(void **state)
{
    (void)state;
    the_objects_of_a_member("", 20, "member-any-1.20.json");
}

static void a_keyfile_is_in_its_secret_and_nowhere_else(void **state)
{
    (void)state;
    static const char key[] = "correct-horse-battery-staple";
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme-prod", 32);
    struct buffer secret, controller;
    wanted.auth = true;
    wanted.keyfile = key;
    wanted.key_id = "00112233445566ff";
    buffer_init(&secret, 0);
    buffer_init(&controller, 0);
    append(&secret, object_secret(&facts, &wanted));
    append(&controller, object_controller(&facts, &wanted, 1));
    assert_non_null(strstr(buffer_text(&secret), key));
    assert_null(strstr(buffer_text(&controller), key));
    assert_non_null(strstr(buffer_text(&controller), "--keyFile"));
    assert_non_null(strstr(buffer_text(&controller), "mongo-node1-keyfile"));
    buffer_finish(&secret);
    buffer_finish(&controller);
}

/* Where nobody could read two: mongod refuses such a file at its start. */
static void an_old_server_gets_the_first_key_alone(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"mongo:4.0.28", "one\n"}, {"mongo:4.2", "- one\n- two\n"}, {"mongo@sha256:00", "- one\n- two\n"}};
    struct object_zone facts = zone("", 32);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct intent_member wanted = member();
        wanted.auth = true;
        wanted.image = rows[i][0];
        wanted.keyfile = "- one\n- two\n";
        wanted.key_id = "00112233445566ff";
        struct json *secret = object_secret(&facts, &wanted);
        assert_string_equal(json_get_text(json_get(secret, "stringData"), "keyfile", ""), rows[i][1]);
        json_destroy(secret);
    }
}

static const struct json *under(const struct json *object, const char *first, const char *second)
{
    return json_get(json_get(object, first), second);
}

static void a_private_key_is_in_its_secret_and_nowhere_else(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme-prod", 32);
    struct buffer controller;
    encrypt(&wanted);
    buffer_init(&controller, 0);
    struct json *secret = object_tls_secret(&facts, &wanted, KEY, "the CAs");
    assert_string_equal(json_get_text(json_get(secret, "metadata"), "name", ""), "mongo-node1-tls");
    assert_string_equal(json_get_text(json_get(secret, "stringData"), "member.pem", ""), CERTIFICATE KEY);
    assert_string_equal(json_get_text(json_get(secret, "stringData"), "ca.pem", ""), "the CAs");
    assert_true(object_is_ours(secret, &facts, &wanted, false));
    append(&controller, object_controller(&facts, &wanted, 1));
    assert_null(strstr(buffer_text(&controller), "-----BEGIN"));
    assert_non_null(strstr(buffer_text(&controller), "\"mongo-node1-tls\""));
    buffer_finish(&controller);
    json_destroy(secret);
}

/* Pods would differ by it, and each new certificate would be told as somebody's change. */
static void a_new_certificate_changes_the_controllers_own_annotation_alone(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme-prod", 32);
    struct buffer before, after;
    char where[256] = "";
    encrypt(&wanted);
    buffer_init(&before, 0);
    buffer_init(&after, 0);
    struct json *first = object_controller(&facts, &wanted, 1);
    wanted.certificate = "another";
    wanted.certificate_id = "7a3c";
    struct json *second = object_controller(&facts, &wanted, 1);
    assert_false(object_matches(second, first, where));
    assert_string_equal(where, "metadata.annotations.atoll.dev/certificate-id is \"5e1f\", not \"7a3c\"");
    json_set_string((struct json *)(uintptr_t)under(second, "metadata", "annotations"),
                    ANNOTATION_CERTIFICATE_ID, "5e1f");
    struct error err;
    assert_int_equal(json_print(first, JSON_PRETTY, &before, &err), 0);
    assert_int_equal(json_print(second, JSON_PRETTY, &after, &err), 0);
    assert_string_equal(buffer_text(&before), buffer_text(&after));
    wanted.certificate_id = ""; /* not known for now: what is there stays */
    struct json *third = object_controller(&facts, &wanted, 1);
    assert_true(object_matches(third, first, where));
    buffer_finish(&before);
    buffer_finish(&after);
    json_destroy(first);
    json_destroy(second);
    json_destroy(third);
}

/* https://www.mongodb.com/docs/v4.0/reference/program/mongod/#tls-ssl-options */
static void options_are_called_as_the_images_server_calls_them(void **state)
{
    static const struct {
        const char *image, *mode;
    } rows[] = {
        {"mongo:4.0.3", "--sslMode"},
        {"mongo:4.0.3@sha256:7000", "--sslMode"},
        {"registry.example.com:5000/db/mongo:4.0-xenial", "--sslMode"},
        {"mongo:4.2", "--tlsMode"},
        {"mongo:7", "--tlsMode"},
        {"mongo", "--tlsMode"},
        {"registry.example.com:4.0/mongo", "--tlsMode"},
        {"mongo@sha256:4.0", "--tlsMode"},
        {"mongo:latest", "--tlsMode"},
    };
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("", 32);
    encrypt(&wanted);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer text;
        wanted.image = rows[i].image;
        buffer_init(&text, 0);
        append(&text, object_controller(&facts, &wanted, 1));
        if (!strstr(buffer_text(&text), rows[i].mode))
            fail_msg("%s wants %s", rows[i].image, rows[i].mode);
        buffer_finish(&text);
    }
}

static void the_users_labels_never_hide_the_pod_from_its_service(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("", 32);
    struct json *object = object_controller(&facts, &wanted, 1);
    const struct json *of_pod =
        json_get(json_get(json_get(json_get(object, "spec"), "template"), "metadata"), "labels");
    assert_string_equal(json_get_text(of_pod, "name", ""), "mongo-node1");
    assert_string_equal(json_get_text(of_pod, "instance", ""), "rod");
    json_destroy(object);
}

static struct json *parse(const char *text)
{
    struct error err;
    struct json *json = json_parse(text, strlen(text), 1 << 20, &err);
    if (!json)
        fail_msg("%s: %s", text, err.message);
    return json;
}

static void what_counts_as_a_difference(void **state)
{
    static const struct {
        const char *wanted, *live, *where; /* "": none */
    } rows[] = {
        {"{\"spec\":{\"a\":1}}", "{\"spec\":{\"a\":1,\"b\":2},\"status\":{}}", ""},
        {"{\"spec\":{\"a\":1}}", "{\"spec\":{\"a\":2}}", "spec.a is 2, not 1"},
        {"{\"spec\":{\"a\":1}}", "{\"spec\":{}}", "spec.a is missing, not 1"},
        {"{\"spec\":{\"a\":false}}", "{\"spec\":{}}", ""},
        {"{\"spec\":{\"a\":true}}", "{\"spec\":{}}", "spec.a is missing, not true"},
        {"{\"spec\":{\"a\":\"\"}}", "{\"spec\":{}}", ""},
        {"{\"spec\":{\"a\":\"\"}}", "{\"spec\":{\"a\":\"b\"}}", "spec.a is \"b\", not \"\""},
        {"{\"spec\":{\"l\":[\"a\",\"b\"]}}", "{\"spec\":{\"l\":[\"a\",\"b\",\"c\"]}}",
         "spec.l is [\"a\",\"b\",\"c\"], not [\"a\",\"b\"]"},
        {"{\"spec\":{\"l\":[{\"name\":\"a\",\"v\":1}]}}",
         "{\"spec\":{\"l\":[{\"name\":\"sidecar\"},{\"name\":\"a\",\"v\":1,\"w\":2}]}}", ""},
        {"{\"spec\":{\"l\":[{\"name\":\"a\",\"v\":1}]}}", "{\"spec\":{\"l\":[{\"name\":\"a\",\"v\":2}]}}",
         "spec.l[0].v is 2, not 1"},
        {"{\"spec\":{\"requests\":{\"cpu\":\"1000m\"}}}", "{\"spec\":{\"requests\":{\"cpu\":\"1\"}}}", ""},
        {"{\"spec\":{\"image\":\"1000m\"}}", "{\"spec\":{\"image\":\"1\"}}",
         "spec.image is \"1\", not \"1000m\""},
        {"{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{}}",
         "{\"metadata\":{\"labels\":{}},\"spec\":{}}", "metadata.labels.a is missing, not \"b\""},
        {"{\"apiVersion\":\"v1\",\"spec\":{}}", "{\"spec\":{}}", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json *wanted = parse(rows[i].wanted), *live = parse(rows[i].live);
        char where[256] = "";
        assert_int_equal(object_matches(wanted, live, where), !*rows[i].where);
        if (*rows[i].where)
            assert_string_equal(where, rows[i].where);
        json_destroy(wanted);
        json_destroy(live);
    }
}

static void assert_json(const struct json *value, const char *text)
{
    struct buffer out;
    struct error err;
    buffer_init(&out, 0);
    assert_int_equal(json_print(value, JSON_COMPACT, &out, &err), 0);
    assert_string_equal(buffer_text(&out), text);
    buffer_finish(&out);
}

/* As a server of an older version, and an earlier life, have left it. */
#define OLD_VOLUME(size, policy)                                                                             \
    "{\"metadata\":{\"annotations\":{\"atoll.dev/disk-id\":\"42\",\"theirs\":\"1\"}},\"spec\":{"             \
    "\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"" size                                  \
    "\"},\"csi\":{\"driver\":\"old\"},\"claimRef\":{\"name\":\"x\",\"uid\":\"1\"},"                          \
    "\"persistentVolumeReclaimPolicy\":\"" policy "\"}}"

static void a_volume_that_is_there_keeps_what_cant_be_changed_and_what_is_known_of_its_disk(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme", 32);
    struct json *live = parse(OLD_VOLUME("100Gi", "Delete"));
    struct json *repaired = object_disk(OBJECT_VOLUME, &facts, &wanted, live, false);
    const struct json *spec = json_get(repaired, "spec");
    assert_json(json_get(spec, "accessModes"), "[\"ReadWriteOnce\"]");
    assert_json(json_get(spec, "csi"), "{\"driver\":\"old\"}");
    assert_null(json_get(spec, "nodeAffinity")); /* none can be added to one that has none, either */
    assert_string_equal(json_get_text(spec, "persistentVolumeReclaimPolicy", ""), "Retain");
    assert_string_equal(json_get_text(json_get(spec, "claimRef"), "name", ""), wanted.volume);
    assert_json(json_get(json_get(repaired, "metadata"), "annotations"), "{\"atoll.dev/disk-id\":\"42\"}");
    json_destroy(repaired);
    json_destroy(live);
}

static void a_volume_out_of_sight_is_wanted_whole(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme", 32);
    struct json *out = object_disk(OBJECT_VOLUME, &facts, &wanted, NULL, false);
    assert_non_null(json_get(json_get(out, "spec"), "csi"));
    assert_non_null(json_get(json_get(out, "spec"), "nodeAffinity"));
    json_destroy(out);
}

static void a_size_is_raised_with_the_disk_and_never_lowered(void **state)
{
    static const struct {
        const char *live;
        bool grow;
        const char *size;
        bool small;
    } rows[] = {{OLD_VOLUME("100Gi", "Retain"), false, "100Gi", true},
                {OLD_VOLUME("100Gi", "Retain"), true, "200Gi", true},
                {OLD_VOLUME("200Gi", "Retain"), true, "200Gi", false},
                {OLD_VOLUME("214748364800", "Retain"), false, "214748364800", false},
                {OLD_VOLUME("1Ti", "Retain"), true, "1Ti", false}};
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme", 32);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json *live = parse(rows[i].live);
        struct json *out = object_disk(OBJECT_VOLUME, &facts, &wanted, live, rows[i].grow);
        assert_string_equal(json_get_text(json_get(json_get(out, "spec"), "capacity"), "storage", ""),
                            rows[i].size);
        if (object_is_small(OBJECT_VOLUME, live, &wanted) != rows[i].small)
            fail_msg("row %zu", i);
        json_destroy(out);
        json_destroy(live);
    }
}

static void of_a_claim_that_is_there_nothing_but_its_size_is_ever_sent_changed(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("acme", 32);
    struct json *live =
        parse("{\"metadata\":{\"annotations\":{\"atoll.dev/used\":\"true\"}},\"spec\":{"
              "\"accessModes\":[\"ReadWriteOnce\"],\"storageClassName\":\"standard-rwo\","
              "\"volumeName\":\"pvc-1\",\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    struct json *out = object_disk(OBJECT_CLAIM, &facts, &wanted, live, true);
    assert_json(json_get(out, "spec"),
                "{\"accessModes\":[\"ReadWriteOnce\"],\"storageClassName\":\"standard-rwo\",\"volumeName\":"
                "\"pvc-1\",\"resources\":{\"requests\":{\"storage\":\"200Gi\"}}}");
    assert_json(json_get(json_get(out, "metadata"), "annotations"), "{\"atoll.dev/used\":\"true\"}");
    json_destroy(out);
    json_destroy(live);
}

#define LABELS(ordinal, set)                                                                                 \
    "\"labels\":{\"atoll.dev/federation\":\"prod\",\"atoll.dev/zone\":\"us-east1-b\",\"atoll.dev/"           \
    "set\":\"" set "\",\"atoll.dev/ordinal\":\"" ordinal "\"}"

static void whose_an_object_is(void **state)
{
    static const struct {
        const char *object;
        bool shared, ours;
    } rows[] = {
        {"{\"metadata\":{" LABELS("1", "mongo") "}}", false, true},
        {"{\"metadata\":{" LABELS("2", "mongo") "}}", false, false},
        {"{\"metadata\":{" LABELS("1", "other") "}}", false, false},
        {"{\"metadata\":{" LABELS("2", "mongo") "}}", true, true},
        {"{\"metadata\":{}}", false, false},
        {"{\"metadata\":{\"managedFields\":[{\"manager\":\"kubectl\"}]}}", false, false},
        {"{\"metadata\":{\"managedFields\":[{\"manager\":\"kubectl\"},{\"manager\":\"atoll\"}]}}", false,
         true},
        {"{\"metadata\":{\"labels\":{\"atoll.dev/"
         "federation\":\"test\"},\"managedFields\":[{\"manager\":\"atoll\"}]}}",
         false, false},
    };
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("", 32);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json *live = parse(rows[i].object);
        if (object_is_ours(live, &facts, &wanted, rows[i].shared) != rows[i].ours)
            fail_msg("row %zu: %s", i, rows[i].object);
        json_destroy(live);
    }
}

static size_t ranges_of(struct json *service)
{
    size_t count = json_count(json_get(json_get(service, "spec"), "loadBalancerSourceRanges"));
    json_destroy(service);
    return count;
}

static void a_service_never_admits_everybody_and_partial_knowledge_shuts_nobody_out(void **state)
{
    (void)state;
    struct intent_member wanted = member();
    struct object_zone facts = zone("", 32);
    struct json *admitted = parse("[\"192.0.2.1/32\",\"10.1.0.0/16\"]");
    assert_int_equal(ranges_of(object_service(&facts, &wanted, "", admitted)), 3);
    wanted.source_ranges_partial = true;
    assert_int_equal(ranges_of(object_service(&facts, &wanted, "", admitted)), 4);
    wanted.source_range_count = facts.own_range_count = 0;
    assert_int_equal(ranges_of(object_service(&facts, &wanted, "", NULL)), 1);
    json_destroy(admitted);
}

static void quantities(void **state)
{
    (void)state;
    assert_true(object_quantity("2") == 2000);
    assert_true(object_quantity("1500m") == 1500);
    assert_true(object_quantity("1Gi") == 1073741824e3);
    assert_true(object_quantity("mongo:7.0") < 0);
    assert_true(object_quantity("") < 0);
    assert_true(object_quantity("1Zz") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_gke_with_a_project_of_a_new_server),
        cmocka_unit_test(on_any_cluster_of_an_old_server),
        cmocka_unit_test(a_keyfile_is_in_its_secret_and_nowhere_else),
        cmocka_unit_test(an_old_server_gets_the_first_key_alone),
        cmocka_unit_test(a_private_key_is_in_its_secret_and_nowhere_else),
        cmocka_unit_test(a_new_certificate_changes_the_controllers_own_annotation_alone),
        cmocka_unit_test(options_are_called_as_the_images_server_calls_them),
        cmocka_unit_test(the_users_labels_never_hide_the_pod_from_its_service),
        cmocka_unit_test(what_counts_as_a_difference),
        cmocka_unit_test(a_volume_that_is_there_keeps_what_cant_be_changed_and_what_is_known_of_its_disk),
        cmocka_unit_test(a_volume_out_of_sight_is_wanted_whole),
        cmocka_unit_test(a_size_is_raised_with_the_disk_and_never_lowered),
        cmocka_unit_test(of_a_claim_that_is_there_nothing_but_its_size_is_ever_sent_changed),
        cmocka_unit_test(whose_an_object_is),
        cmocka_unit_test(a_service_never_admits_everybody_and_partial_knowledge_shuts_nobody_out),
        cmocka_unit_test(quantities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
