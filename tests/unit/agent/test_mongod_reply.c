/* What a real mongod 4.0.3 answered, read by the agent's code; and what later versions add, by the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "zone-agent/mongod_reply.h"

static struct arena arena;
static bson_t *recordings[2];

static bson_t *load(const char *name)
{
    char path[512];
    struct buffer text;
    struct error err;
    bson_error_t problem;
    snprintf(path, sizeof path, "%s/tests/doubles/recordings/mongod-4.0.3/%s", ATOLL_SOURCE_DIR, name);
    buffer_init(&text, 0);
    if (file_read(path, 1 << 20, &text, &err))
        fail_msg("%s", err.message);
    buffer_append_text(&text, "}");
    char *wrapped = bson_strdup_printf("{\"all\": %s", buffer_text(&text)); /* the recordings are a list */
    bson_t *out = bson_new_from_json((const uint8_t *)wrapped, -1, &problem);
    bson_free(wrapped);
    buffer_finish(&text);
    if (!out)
        fail_msg("%s: %s", path, problem.message);
    return out;
}

static int open_recordings(void **state)
{
    (void)state;
    recordings[0] = load("commands.json");
    recordings[1] = load("failures-and-auth.json");
    return 0;
}

static int close_recordings(void **state)
{
    (void)state;
    bson_destroy(recordings[0]);
    bson_destroy(recordings[1]);
    arena_finish(&arena);
    return 0;
}

static bool entry_is(bson_iter_t *entry, const char *name, bson_t *reply)
{
    bson_iter_t inner, found;
    const uint8_t *data;
    uint32_t length;
    if (!bson_iter_recurse(entry, &inner) || !bson_iter_find_descendant(&inner, "case", &found) ||
        strcmp(bson_iter_utf8(&found, NULL), name))
        return false;
    bson_iter_recurse(entry, &inner);
    if (!bson_iter_find_descendant(&inner, "reply", &found))
        return false;
    bson_iter_document(&found, &length, &data);
    return bson_init_static(reply, data, length);
}

/* The reply of this case; valid for the next few questions. (A bson_t must not be copied as a struct.) */
static const bson_t *recorded(const char *name)
{
    static bson_t replies[4];
    static size_t turn;
    bson_t *reply = &replies[turn++ % 4];
    bson_iter_t list, entry;
    for (size_t file = 0; file < 2; file++) {
        assert_true(bson_iter_init_find(&list, recordings[file], "all") && bson_iter_recurse(&list, &entry));
        while (bson_iter_next(&entry))
            if (entry_is(&entry, name, reply))
                return reply;
    }
    fail_msg("nobody recorded \"%s\"", name);
    return reply;
}

static struct mongod_view status(const bson_t *reply, int64_t *version, int64_t *term)
{
    struct mongod_view view = mongod_view_empty();
    arena_finish(&arena);
    mongod_reply_status(reply, &arena, &view, version, term);
    return view;
}

static struct mongod_view recorded_status(const char *name, int64_t *version, int64_t *term)
{
    return status(recorded(name), version, term);
}

static void a_new_mongod_is_not_initialized(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view = recorded_status("replSetGetStatus before initiation", &version, &term);
    assert_int_equal(view.answer, MONGOD_NOT_INITIALIZED);
    assert_int_equal(view.self_id, -1);
    assert_int_equal(version, 0);
    view = recorded_status("replSetGetStatus of a member just added", &version, &term);
    assert_int_equal(view.answer, MONGOD_NOT_INITIALIZED);
}

static void a_primary_of_three(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view =
        recorded_status("replSetGetStatus of the primary, three members", &version, &term);
    assert_int_equal(view.answer, MONGOD_MEMBER);
    assert_int_equal(view.state, MEMBER_PRIMARY);
    assert_int_equal(view.self_id, 0);
    assert_int_equal(view.primary_id, 0);
    assert_int_equal(view.term, 1);
    assert_int_equal(view.peer_count, 3);
    assert_string_equal(view.peers[1].host, "127.0.2.1:27017");
    assert_int_equal(view.peers[1].state, MEMBER_SECONDARY);
    assert_true(view.peers[1].healthy);
    assert_true(view.optime.seconds > 0 && view.optime.term == 1);
    assert_int_equal(term, -1); /* 4.0 has no configuration terms */
    assert_true(version >= 5);
}

static void a_secondary_names_its_primary(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view =
        recorded_status("replSetGetStatus of a secondary without vote", &version, &term);
    assert_int_equal(view.state, MEMBER_SECONDARY);
    assert_int_equal(view.self_id, 1);
    assert_int_equal(view.primary_id, 0);
    assert_int_equal(version, 2);
    view = recorded_status("replSetGetStatus right after initiation", &version, &term);
    assert_int_equal(view.primary_id, -1);
}

static void a_member_that_is_down_is_not_healthy(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view =
        recorded_status("replSetGetStatus of the new primary with a member DOWN", &version, &term);
    assert_int_equal(view.peers[0].state, MEMBER_DOWN);
    assert_false(view.peers[0].healthy);
    assert_int_equal(view.primary_id, 2);
}

static void a_primary_that_is_not_healthy_is_none(void **state)
{
    int64_t version, term;
    (void)state;
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(1), "myState", BCON_INT32(2), "members", "[", "{", "_id",
                             BCON_INT32(3), "health", BCON_DOUBLE(0), "state", BCON_INT32(1), "}", "]");
    struct mongod_view view = status(reply, &version, &term);
    assert_int_equal(view.primary_id, -1);
    bson_destroy(reply);
}

static void a_removed_member_is_not_in_the_configuration(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view =
        recorded_status("replSetGetStatus of a member that was removed while it was away", &version, &term);
    assert_int_equal(view.answer, MONGOD_NOT_IN_CONFIG);
    assert_int_equal(view.state, MEMBER_REMOVED);
    bson_t *reply =
        BCON_NEW("ok", BCON_DOUBLE(1), "myState", BCON_INT32(10), "term", BCON_INT64(4), "members", "[", "]");
    view = status(reply, &version, &term);
    assert_int_equal(view.answer, MONGOD_NOT_IN_CONFIG);
    bson_destroy(reply);
}

static void other_errors_are_silence_with_a_reason(void **state)
{
    int64_t version, term;
    (void)state;
    struct mongod_view view = recorded_status(
        "keyfile: replSetGetStatus without authentication once a user exists", &version, &term);
    assert_int_equal(view.answer, MONGOD_SILENT);
    assert_string_equal(view.problem,
                        "replSetGetStatus: command replSetGetStatus requires authentication (code 13)");
}

static void a_configuration_is_read_whole(void **state)
{
    struct replica_config config;
    struct mongod_commitment commitment;
    struct error err;
    (void)state;
    arena_finish(&arena);
    const bson_t *reply = recorded("replSetGetConfig, three members");
    assert_int_equal(mongod_reply_config(reply, &arena, &config, &commitment, &err), 0);
    assert_string_equal(config.set, "mongo");
    assert_int_equal(config.member_count, 3);
    assert_int_equal(config.term, -1);
    assert_string_equal(config.members[2].host, "127.0.3.1:27017");
    assert_int_equal(config.members[2].votes, 1);
    assert_string_equal(config.replica_set_id, "6b0407215e92c42f711d9b08");
    assert_false(commitment.known);
    bool found = false;
    for (size_t i = 0; i < config.setting_count; i++)
        if (strcmp(config.settings[i].name, "electionTimeoutMillis") == 0)
            found = config.settings[i].value == 10000 && !config.settings[i].is_bool;
        else if (strcmp(config.settings[i].name, "chainingAllowed") == 0)
            assert_true(config.settings[i].is_bool);
    assert_true(found);
    const bson_t *none = recorded("replSetGetConfig before initiation");
    assert_int_equal(mongod_reply_config(none, &arena, &config, NULL, &err), -1);
}

static void later_versions_tell_commitment_terms_and_delays(void **state)
{
    struct replica_config config;
    struct mongod_commitment commitment;
    struct error err;
    (void)state;
    arena_finish(&arena);
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(1), "commitmentStatus", BCON_BOOL(true), "config", "{", "_id",
                             "m", "version", BCON_INT32(7), "term", BCON_INT64(3), "members", "[", "{", "_id",
                             BCON_INT32(4), "host", "a:1", "votes", BCON_INT32(0), "priority",
                             BCON_DOUBLE(0.5), "newlyAdded", BCON_BOOL(true), "secondaryDelaySecs",
                             BCON_INT64(60), "tags", "{", "dc", "east", "}", "}", "]", "}");
    assert_int_equal(mongod_reply_config(reply, &arena, &config, &commitment, &err), 0);
    assert_true(commitment.known && commitment.committed);
    assert_int_equal(config.term, 3);
    const struct config_member *member = &config.members[0];
    assert_true(member->newly_added && member->secondary_delay_secs == 60 && member->priority == 0.5 &&
                member->votes == 0);
    assert_string_equal(member->tags[0].key, "dc");
    assert_string_equal(member->tags[0].value, "east");
    bson_destroy(reply);
}

static void version_and_hello(void **state)
{
    (void)state;
    arena_finish(&arena);
    const bson_t *build = recorded("buildInfo"), *primary = recorded("isMaster as primary of one");
    const bson_t *unknown = recorded("hello before initiation (command unknown to this version)");
    struct mongod_view view = mongod_view_empty();
    assert_string_equal(mongod_reply_version(build, &arena), "4.0.3");
    assert_int_equal(mongod_reply_code(unknown), MONGOD_COMMAND_NOT_FOUND);
    assert_int_equal(mongod_reply_code(primary), 0);
    mongod_reply_hello(primary, &view);
    assert_int_equal(view.state, MEMBER_PRIMARY);
    assert_int_equal(view.optime.term, 1);
}

static void garbage_is_no_crash(void **state)
{
    int64_t version, term;
    struct replica_config config;
    struct error err;
    (void)state;
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(1), "myState", BCON_INT32(77), "members", "[", BCON_INT32(1),
                             "{", "_id", BCON_UTF8("x"), "}", "{", "_id", BCON_INT32(-5), "}", "]", "config",
                             "{", "members", BCON_INT32(3), "settings", "[", "]", "}");
    struct mongod_view view = status(reply, &version, &term);
    assert_int_equal(view.state, MEMBER_UNKNOWN);
    assert_int_equal(view.peer_count, 0);
    assert_int_equal(mongod_reply_config(reply, &arena, &config, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_PROTOCOL);
    bson_destroy(reply);
}

/* What is beyond a bound is refused with its name: half a configuration would be edited and sent back as a
 * whole one. */
static void a_configuration_beyond_a_bound_is_refused_by_its_name(void **state)
{
    (void)state;
    for (int member_count = SET_MEMBERS_MAX; member_count <= SET_MEMBERS_MAX + 1; member_count++) {
        struct replica_config config;
        struct error err = {.code = ERROR_NONE};
        bson_t reply = BSON_INITIALIZER, document, members;
        arena_finish(&arena);
        BSON_APPEND_DOUBLE(&reply, "ok", 1);
        BSON_APPEND_DOCUMENT_BEGIN(&reply, "config", &document);
        BSON_APPEND_UTF8(&document, "_id", "mongo");
        BSON_APPEND_INT32(&document, "version", 1);
        BSON_APPEND_ARRAY_BEGIN(&document, "members", &members);
        for (int i = 0; i < member_count; i++) {
            bson_t member;
            BSON_APPEND_DOCUMENT_BEGIN(&members, "x", &member);
            BSON_APPEND_INT32(&member, "_id", i);
            BSON_APPEND_UTF8(&member, "host", "a:1");
            bson_append_document_end(&members, &member);
        }
        bson_append_array_end(&document, &members);
        bson_append_document_end(&reply, &document);
        bool fits = member_count <= SET_MEMBERS_MAX;
        assert_int_equal(mongod_reply_config(&reply, &arena, &config, NULL, &err), fits ? 0 : -1);
        if (!fits) {
            assert_int_equal(err.code, ERROR_TOO_LARGE);
            assert_non_null(strstr(err.message, "SET_MEMBERS_MAX"));
        }
        bson_destroy(&reply);
    }
}

/* "not initialized" is a word that a birth rests upon: only its own number says it. */
static void a_code_is_taken_only_as_it_is(void **state)
{
    (void)state;
    bson_t *wide =
        BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT64((INT64_C(1) << 32) + MONGOD_NOT_YET_INITIALIZED));
    bson_t *zero = BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT32(0));
    assert_int_equal(mongod_reply_code(wide), -1);
    assert_int_equal(mongod_reply_code(zero), -1);
    bson_destroy(wide);
    bson_destroy(zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_mongod_is_not_initialized),
        cmocka_unit_test(a_primary_of_three),
        cmocka_unit_test(a_secondary_names_its_primary),
        cmocka_unit_test(a_member_that_is_down_is_not_healthy),
        cmocka_unit_test(a_primary_that_is_not_healthy_is_none),
        cmocka_unit_test(a_removed_member_is_not_in_the_configuration),
        cmocka_unit_test(other_errors_are_silence_with_a_reason),
        cmocka_unit_test(a_configuration_is_read_whole),
        cmocka_unit_test(later_versions_tell_commitment_terms_and_delays),
        cmocka_unit_test(version_and_hello),
        cmocka_unit_test(garbage_is_no_crash),
        cmocka_unit_test(a_configuration_beyond_a_bound_is_refused_by_its_name),
        cmocka_unit_test(a_code_is_taken_only_as_it_is),
    };
    return cmocka_run_group_tests(tests, open_recordings, close_recordings);
}
