/* Edits of MongoDB's configuration document, on what a real server answered (tests/doubles/recordings). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>

#include <cmocka.h>

#include "controller/act/config_document.h"
#include "proto/base/buffer.h"
#include "proto/base/file.h"

static struct arena arena;
static bson_t *recordings, three;

/* The configuration of a recorded answer to replSetGetConfig. */
static void find_config(const char *name, bson_t *out)
{
    bson_iter_t all, entry, config;
    assert_true(bson_iter_init(&all, recordings));
    while (bson_iter_next(&all)) {
        const uint8_t *data;
        uint32_t length;
        assert_true(bson_iter_recurse(&all, &entry));
        if (!bson_iter_find(&entry, "case") || strcmp(bson_iter_utf8(&entry, NULL), name) != 0)
            continue;
        assert_true(bson_iter_recurse(&all, &entry));
        assert_true(bson_iter_find_descendant(&entry, "reply.config", &config));
        bson_iter_document(&config, &length, &data);
        assert_true(bson_init_static(out, data, length));
        return;
    }
    fail_msg("there is no recording \"%s\"", name);
}

static int read_recordings(void **state)
{
    (void)state;
    struct buffer text;
    bson_error_t problem;
    buffer_init(&text, 0);
    arena_init(&arena, 0);
    if (file_read(ATOLL_SOURCE_DIR "/tests/doubles/recordings/mongod-4.0.3/commands.json", 1 << 20, &text,
                  NULL))
        return -1;
    recordings = bson_new_from_json((const uint8_t *)text.data, (ssize_t)text.length, &problem);
    buffer_finish(&text);
    if (!recordings)
        return -1;
    find_config("replSetGetConfig, three members", &three);
    return 0;
}

static int let_go(void **state)
{
    (void)state;
    bson_destroy(recordings);
    arena_finish(&arena);
    return 0;
}

static struct replica_config config_of(const bson_t *document)
{
    struct replica_config config;
    struct error err = {0};
    if (config_document_read(document, &arena, &config, &err))
        fail_msg("%s", err.message);
    return config;
}

/* A copy whose members may be changed. */
static struct config_member *changeable(struct replica_config *config, size_t room)
{
    struct config_member *members = arena_array(&arena, room, sizeof *members);
    memcpy(members, config->members, config->member_count * sizeof *members);
    config->members = members;
    return members;
}

static void edit(const bson_t *before, const struct replica_config *wanted, bson_t *out)
{
    struct error err = {0};
    if (config_document_edit(before, wanted, DELAY_BY_DOCUMENT, out, &err))
        fail_msg("%s", err.message);
}

static bool is_among(const char *name, const char *const *list)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* Every path of `a` is in `b` with the same type and value, but for those that are named. */
static void compare(const bson_t *a, const bson_t *b, const char *prefix, const char *const *changed)
{
    bson_iter_t left, right;
    char path[256];
    assert_true(bson_iter_init(&left, a));
    while (bson_iter_next(&left)) {
        snprintf(path, sizeof path, "%s%s", prefix, bson_iter_key(&left));
        if (is_among(path, changed))
            continue;
        if (!bson_iter_init_find(&right, b, bson_iter_key(&left)))
            fail_msg("%s is gone", path);
        if (bson_iter_type(&left) != bson_iter_type(&right))
            fail_msg("%s has type %d, it was %d", path, bson_iter_type(&right), bson_iter_type(&left));
        if (BSON_ITER_HOLDS_DOCUMENT(&left) || BSON_ITER_HOLDS_ARRAY(&left)) {
            bson_t inner_left, inner_right;
            const bson_value_t *l = bson_iter_value(&left), *r = bson_iter_value(&right);
            bson_init_static(&inner_left, l->value.v_doc.data, l->value.v_doc.data_len);
            bson_init_static(&inner_right, r->value.v_doc.data, r->value.v_doc.data_len);
            strcat(path, ".");
            compare(&inner_left, &inner_right, path, changed);
        } else {
            bson_t one = BSON_INITIALIZER, other = BSON_INITIALIZER;
            bson_append_iter(&one, NULL, 0, &left);
            bson_append_iter(&other, NULL, 0, &right);
            if (!bson_equal(&one, &other))
                fail_msg("%s differs", path);
            bson_destroy(&one);
            bson_destroy(&other);
        }
    }
}

static void same_but_for(const bson_t *a, const bson_t *b, const char *const *changed)
{
    compare(a, b, "", changed);
    compare(b, a, "", changed);
}

static void a_recorded_configuration_is_read(void **state)
{
    (void)state;
    struct replica_config config = config_of(&three);
    assert_string_equal(config.set, "mongo");
    assert_int_equal(config.version, 5);
    assert_int_equal(config.term, -1);
    assert_int_equal(config.member_count, 3);
    assert_string_equal(config.members[2].host, "127.0.3.1:27017");
    assert_int_equal(strlen(config.replica_set_id), 24);
    assert_true(config.setting_count >= 5);
}

static void what_is_not_meant_to_change_does_not(void **state)
{
    (void)state;
    static const char *const version[] = {"version", NULL};
    struct replica_config wanted = config_of(&three);
    bson_t out;
    edit(&three, &wanted, &out);
    same_but_for(&three, &out, version);
    assert_int_equal(config_of(&out).version, 6);
    bson_destroy(&out);
}

static void a_moved_address_keeps_its_member_id(void **state)
{
    (void)state;
    static const char *const changed[] = {"version", "members.1.host", NULL};
    struct replica_config wanted = config_of(&three);
    bson_t out;
    changeable(&wanted, 3)[1].host = "127.0.2.9:27017";
    edit(&three, &wanted, &out);
    same_but_for(&three, &out, changed);
    assert_string_equal(config_of(&out).members[1].host, "127.0.2.9:27017");
    assert_int_equal(config_of(&out).members[1].id, config_of(&three).members[1].id);
    bson_destroy(&out);
}

static void a_vote_and_its_priority_are_taken_together(void **state)
{
    (void)state;
    static const char *const changed[] = {"version", "members.2.votes", "members.2.priority", NULL};
    struct replica_config wanted = config_of(&three);
    struct config_member *members = changeable(&wanted, 3);
    bson_t out;
    members[2].votes = 0;
    members[2].priority = 0;
    edit(&three, &wanted, &out);
    same_but_for(&three, &out, changed);
    assert_int_equal(config_of(&out).members[2].votes, 0);
    bson_destroy(&out);
}

static void a_member_is_removed_and_another_added(void **state)
{
    (void)state;
    struct replica_config wanted = config_of(&three);
    const struct key_value tag = {"zone", "z4"};
    struct config_member *members = changeable(&wanted, 3);
    bson_t out;
    members[0] = members[1];
    members[1] = members[2];
    members[2] = (struct config_member){
        .id = 9, .host = "127.0.4.1:27017", .secondary_delay_secs = 60, .tags = &tag, .tag_count = 1};
    edit(&three, &wanted, &out);
    struct replica_config after = config_of(&out);
    assert_int_equal(after.member_count, 3);
    assert_null(replica_config_find(&after, 0));
    const struct config_member *added = replica_config_find(&after, 9);
    assert_non_null(added);
    assert_int_equal(added->votes, 0);
    assert_int_equal(added->secondary_delay_secs, 60);
    assert_string_equal(added->tags[0].value, "z4");
    /* A 4.0 server knows slaveDelay alone: the new member's delay is called as the others call theirs. */
    char *json = bson_as_relaxed_extended_json(&out, NULL);
    assert_null(strstr(json, "secondaryDelaySecs"));
    bson_free(json);
    bson_destroy(&out);
}

static void a_setting_is_changed_and_another_added(void **state)
{
    (void)state;
    static const char *const changed[] = {"version", "settings.electionTimeoutMillis", "settings.newSetting",
                                          NULL};
    const struct setting settings[] = {{"electionTimeoutMillis", 1000, false}, {"newSetting", 1, true}};
    struct replica_config wanted = config_of(&three);
    bson_t out;
    bson_iter_t iter, found;
    wanted.settings = settings;
    wanted.setting_count = 2;
    edit(&three, &wanted, &out);
    same_but_for(&three, &out, changed);
    assert_true(bson_iter_init(&iter, &out) &&
                bson_iter_find_descendant(&iter, "settings.electionTimeoutMillis", &found));
    assert_int_equal(bson_iter_int32(&found), 1000);
    assert_true(bson_iter_init(&iter, &out) &&
                bson_iter_find_descendant(&iter, "settings.newSetting", &found));
    assert_true(BSON_ITER_HOLDS_BOOL(&found));
    bson_destroy(&out);
}

static void the_term_is_left_to_the_server_and_unknown_fields_are_kept(void **state)
{
    (void)state;
    bson_t out, with = BSON_INITIALIZER;
    bson_concat(&with, &three);
    BSON_APPEND_INT32(&with, "term", 7);
    BSON_APPEND_UTF8(&with, "inventedLater", "kept");
    struct replica_config wanted = config_of(&with);
    assert_int_equal(wanted.term, 7);
    edit(&with, &wanted, &out);
    assert_false(bson_has_field(&out, "term"));
    assert_true(bson_has_field(&out, "inventedLater"));
    bson_destroy(&out);
    bson_destroy(&with);
}

static void the_first_configuration_names_what_differs_from_the_defaults(void **state)
{
    (void)state;
    const struct config_member members[] = {
        {.id = 0, .host = "a:1", .votes = 1, .priority = 1},
        {.id = 1, .host = "b:1", .votes = 1, .arbiter_only = true},
        {.id = 2, .host = "c:1", .hidden = true, .secondary_delay_secs = 5}};
    const struct setting setting = {"electionTimeoutMillis", 1000, false};
    const struct replica_config wanted = {
        .set = "mongo", .members = members, .member_count = 3, .settings = &setting, .setting_count = 1};
    bson_t out;
    struct error err;
    assert_int_equal(config_document_initial(&wanted, DELAY_OLD, &out, &err), 0);
    char *json = bson_as_relaxed_extended_json(&out, NULL);
    assert_string_equal(
        json,
        "{ \"_id\" : \"mongo\", \"version\" : 1, \"members\" : ["
        " { \"_id\" : 0, \"host\" : \"a:1\", \"votes\" : 1, \"priority\" : 1.0 },"
        " { \"_id\" : 1, \"host\" : \"b:1\", \"votes\" : 1, \"priority\" : 0.0, \"arbiterOnly\" : true },"
        " { \"_id\" : 2, \"host\" : \"c:1\", \"votes\" : 0, \"priority\" : 0.0, \"hidden\" : true, "
        "\"slaveDelay\" : 5 } ],"
        " \"settings\" : { \"electionTimeoutMillis\" : 1000 } }");
    bson_free(json);
    bson_destroy(&out);
}

static void what_is_no_configuration_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"_id\":\"m\",\"version\":1}",
                                      "{\"_id\":\"m\",\"version\":1,\"members\":[1]}",
                                      "{\"_id\":\"m\",\"version\":1,\"members\":[{\"_id\":1}]}",
                                      "{\"_id\":7,\"version\":1,\"members\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bson_error_t problem;
        bson_t *document = bson_new_from_json((const uint8_t *)bad[i], -1, &problem);
        struct replica_config config;
        struct error err = {0};
        assert_non_null(document);
        assert_int_equal(config_document_read(document, &arena, &config, &err), -1);
        assert_int_equal(err.code, ERROR_PROTOCOL);
        bson_destroy(document);
    }
}

static void a_configuration_without_members_is_never_sent(void **state)
{
    (void)state;
    struct replica_config wanted = config_of(&three);
    struct error err = {0};
    bson_t out;
    wanted.member_count = 0;
    assert_int_equal(config_document_edit(&three, &wanted, DELAY_BY_DOCUMENT, &out, &err), -1);
    assert_int_equal(config_document_initial(&wanted, DELAY_NEW, &out, &err), -1);
}

/* A configuration of so many members, tags of the first, and settings. */
static void make_config(int members, int tags, int settings, bson_t *out)
{
    bson_t list, one, part;
    char key[16];
    bson_init(out);
    BSON_APPEND_UTF8(out, "_id", "mongo");
    BSON_APPEND_INT32(out, "version", 1);
    BSON_APPEND_ARRAY_BEGIN(out, "members", &list);
    for (int i = 0; i < members; i++) {
        BSON_APPEND_DOCUMENT_BEGIN(&list, "x", &one);
        BSON_APPEND_INT32(&one, "_id", i);
        BSON_APPEND_UTF8(&one, "host", "a:1");
        BSON_APPEND_DOCUMENT_BEGIN(&one, "tags", &part);
        for (int tag = 0; i == 0 && tag < tags; tag++) {
            snprintf(key, sizeof key, "t%d", tag);
            BSON_APPEND_UTF8(&part, key, "v");
        }
        bson_append_document_end(&one, &part);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(out, &list);
    BSON_APPEND_DOCUMENT_BEGIN(out, "settings", &part);
    for (int i = 0; i < settings; i++) {
        snprintf(key, sizeof key, "s%d", i);
        BSON_APPEND_INT32(&part, key, i);
    }
    bson_append_document_end(out, &part);
}

/* What was left out silently would be gone from the configuration that is sent back. */
static void what_is_beyond_a_bound_is_refused_by_its_name(void **state)
{
    static const struct {
        int members, tags, settings;
        const char *bound; /* NULL: it is taken */
    } rows[] = {
        {SET_MEMBERS_MAX, LABELS_MAX, SETTINGS_MAX, NULL},
        {SET_MEMBERS_MAX + 1, 0, 0, "SET_MEMBERS_MAX"},
        {1, LABELS_MAX + 1, 0, "LABELS_MAX"},
        {1, 0, SETTINGS_MAX + 1, "SETTINGS_MAX"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct replica_config config;
        struct error err = {.code = ERROR_NONE};
        bson_t document;
        make_config(rows[i].members, rows[i].tags, rows[i].settings, &document);
        int result = config_document_read(&document, &arena, &config, &err);
        assert_int_equal(result, rows[i].bound ? -1 : 0);
        if (rows[i].bound) {
            assert_int_equal(err.code, ERROR_TOO_LARGE);
            assert_non_null(strstr(err.message, rows[i].bound));
        }
        bson_destroy(&document);
    }
}

/* Found by fuzzing: it was taken for a path, not seen among the settings that are there, and written a second
 * time. */
static void a_setting_with_a_dot_in_its_name_is_written_once(void **state)
{
    struct replica_config config, after;
    struct error err = {.code = ERROR_NONE};
    bson_t document, edited, settings;
    (void)state;
    make_config(1, 0, 0, &document);
    bson_t whole = BSON_INITIALIZER;
    bson_copy_to_excluding_noinit(&document, &whole, "settings", (char *)NULL);
    BSON_APPEND_DOCUMENT_BEGIN(&whole, "settings", &settings);
    BSON_APPEND_INT32(&settings, "a.b", 1);
    bson_append_document_end(&whole, &settings);
    assert_int_equal(config_document_read(&whole, &arena, &config, &err), 0);
    assert_int_equal(config_document_edit(&whole, &config, DELAY_BY_DOCUMENT, &edited, &err), 0);
    assert_int_equal(config_document_read(&edited, &arena, &after, &err), 0);
    assert_int_equal(after.setting_count, 1);
    bson_destroy(&edited);
    bson_destroy(&whole);
    bson_destroy(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_configuration_is_read),
        cmocka_unit_test(what_is_not_meant_to_change_does_not),
        cmocka_unit_test(a_moved_address_keeps_its_member_id),
        cmocka_unit_test(a_vote_and_its_priority_are_taken_together),
        cmocka_unit_test(a_member_is_removed_and_another_added),
        cmocka_unit_test(a_setting_is_changed_and_another_added),
        cmocka_unit_test(the_term_is_left_to_the_server_and_unknown_fields_are_kept),
        cmocka_unit_test(the_first_configuration_names_what_differs_from_the_defaults),
        cmocka_unit_test(what_is_no_configuration_is_refused),
        cmocka_unit_test(a_configuration_without_members_is_never_sent),
        cmocka_unit_test(what_is_beyond_a_bound_is_refused_by_its_name),
        cmocka_unit_test(a_setting_with_a_dot_in_its_name_is_written_once),
    };
    return cmocka_run_group_tests(tests, read_recordings, let_go);
}
