/* Reports, heartbeats and configurations: their way into JSON and back, what is news, and what is refused. */
#include "proto/report.h"

#include "values.h"

enum { ROUNDS = 200 };

static void any_report_survives_its_way_over_the_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct arena arena, read_into;
        struct buffer text;
        struct error err = {0};
        struct report back;
        arena_init(&arena, 0);
        arena_init(&read_into, 0);
        struct seeded random = {.state = seed, .arena = &arena};
        struct report report = random_report(&random);
        print_message(report, &report, &text);
        if (report_read(text.data, text.length, report.zone, &read_into, &back, &err) < 0)
            fail_msg("seed %d: %s", (int)seed, err.message);
        buffer_finish(&text);
        assert_report_same(&report, &back);
        arena_finish(&read_into);
        arena_finish(&arena);
    }
}

static void any_heartbeat_survives_its_way_over_the_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct arena arena;
        struct buffer text;
        struct error err = {0};
        struct heartbeat back;
        arena_init(&arena, 0);
        struct seeded random = {.state = seed, .arena = &arena};
        struct heartbeat heartbeat = random_heartbeat(&random);
        print_message(heartbeat, &heartbeat, &text);
        if (heartbeat_read(text.data, text.length, &arena, &back, &err) < 0)
            fail_msg("seed %d: %s", (int)seed, err.message);
        buffer_finish(&text);
        assert_heartbeat_same(&heartbeat, &back);
        arena_finish(&arena);
    }
}

static void any_configuration_survives_its_way_over_the_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct arena arena;
        struct error err = {0};
        struct replica_config back;
        arena_init(&arena, 0);
        struct seeded random = {.state = seed, .arena = &arena};
        struct replica_config config = random_config(&random);
        struct json *json = replica_config_write(&config);
        if (replica_config_read(json, &arena, &back, &err) < 0)
            fail_msg("seed %d: %s", (int)seed, err.message);
        json_destroy(json);
        assert_config_same(&config, &back);
        arena_finish(&arena);
    }
}

static int read_text(const char *text, struct arena *arena, struct report *out, struct error *err)
{
    return report_read(text, strlen(text), "z", arena, out, err);
}

static const char LEAST[] =
    "{\"zone\":\"z\",\"runId\":\"r\",\"sequence\":1,\"epoch\":0,\"revision\":0,"
    "\"members\":[{\"holding\":{\"set\":\"m\",\"ordinal\":2},\"mongod\":null,\"newer\":1}]}";

static void what_is_absent_is_not_known(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    struct report report;
    struct buffer text;
    arena_init(&arena, 0);
    assert_int_equal(read_text(LEAST, &arena, &report, &err), 0);
    assert_int_equal(report.member_count, 1);
    const struct report_member *member = &report.members[0];
    const struct mongod_view *mongod = &member->mongod;
    assert_string_equal(report.zone_problem.code, "");
    assert_string_equal(member->holding.address, "");
    assert_string_equal(member->holding.pod.name, "");
    assert_int_equal(member->holding.disk.state, DISK_ABSENT);
    assert_int_equal(member->holding.disk.size_bytes, -1);
    assert_int_equal(member->holding.disk.used_bytes, -1);
    assert_int_equal(mongod->answer, MONGOD_NOT_ASKED);
    assert_int_equal(mongod->state, MEMBER_UNKNOWN);
    assert_int_equal(mongod->age_ms, -1);
    assert_int_equal(mongod->self_id, -1);
    assert_int_equal(mongod->term, -1);
    assert_int_equal(mongod->primary_id, -1);
    assert_int_equal(mongod->optime.term, -1);
    assert_int_equal(mongod->config.version, 0);
    assert_int_equal(mongod->config.term, -1);
    assert_string_equal(mongod->config.set, "");
    /* and what is not known is not written, but for states */
    assert_string_equal(
        print_message(report, &report, &text),
        "{\"zone\":\"z\",\"runId\":\"r\",\"sequence\":1,\"epoch\":0,\"revision\":0,\"members\":"
        "[{\"holding\":{\"set\":\"m\",\"ordinal\":2,\"disk\":{\"state\":\"Absent\"}},"
        "\"mongod\":{\"answer\":\"not-asked\",\"state\":\"UNKNOWN\"}}]}");
    buffer_finish(&text);
    arena_finish(&arena);
}

static void zeroes_are_not_taken_for_unknown(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    struct buffer text;
    struct report back;
    const struct report_member member = {
        .holding = {.set = "m", .ordinal = 1}}; /* NULL strings, ids and terms 0 */
    const struct report report = {.zone = "z", .run_id = "r", .members = &member, .member_count = 1};
    arena_init(&arena, 0);
    print_message(report, &report, &text);
    assert_int_equal(read_text(buffer_text(&text), &arena, &back, &err), 0);
    assert_int_equal(back.members[0].mongod.self_id, 0);
    assert_int_equal(back.members[0].mongod.state, MEMBER_STARTUP);
    assert_int_equal(back.members[0].mongod.optime.term, 0);
    assert_int_equal(back.members[0].holding.disk.size_bytes, 0);
    assert_string_equal(back.members[0].holding.disk.name, "");
    buffer_finish(&text);
    arena_finish(&arena);
}

/* ---- what is news ---- */

struct sample {
    struct config_member config_member;
    struct peer_view peer;
    struct report_member member;
    struct report report;
};

static void make_sample(struct sample *sample)
{
    *sample = (struct sample){
        .config_member = {.id = 0, .host = "h:1", .votes = 1, .priority = 1},
        .peer = {.id = 0, .host = "h:1", .state = MEMBER_PRIMARY, .optime = {1, 2, 3}},
        .member = {.holding = {.set = "m", .ordinal = 1, .disk = {.used_bytes = 5}},
                   .mongod = {.age_ms = 9,
                              .optime = {1, 2, 3},
                              .config_committed = true,
                              .config = {.set = "m", .version = 1, .member_count = 1},
                              .peer_count = 1}},
        .report = {.zone = "z", .run_id = "r", .sequence = 4, .member_count = 1},
    };
    sample->report.members = &sample->member;
    sample->member.mongod.peers = &sample->peer;
    sample->member.mongod.config.members = &sample->config_member;
}

#define CHANGES(change, is_news)                                                                             \
    do {                                                                                                     \
        make_sample(&sample);                                                                                \
        change;                                                                                              \
        bool differs = !report_same_news(&before.report, &sample.report);                                    \
        if (differs != (is_news))                                                                            \
            fail_msg("%s: %s", #change, differs ? "is told though it is no news" : "is news and not told");  \
    } while (0)

static void only_what_moves_all_the_time_is_no_news(void **state)
{
    (void)state;
    struct sample sample, before;
    make_sample(&before);
    CHANGES(sample.report.sequence = 5, false);
    CHANGES(sample.member.mongod.age_ms = 10, false);
    CHANGES(sample.member.mongod.optime.seconds = 10, false);
    CHANGES(sample.member.mongod.optime.term = 10, false);
    CHANGES(sample.member.holding.disk.used_bytes = 10, false);
    CHANGES(sample.peer.optime.increment = 10, false);

    CHANGES(sample.report.run_id = "s", true);
    CHANGES(sample.report.epoch = 1, true);
    CHANGES(sample.report.revision = 1, true);
    CHANGES(sample.report.reached = true, true);
    CHANGES(sample.report.driver = "local", true);
    CHANGES(sample.report.zone_problem.code = "x", true);
    CHANGES(sample.report.member_count = 0, true);
    CHANGES(sample.member.waiting.message = "x", true);
    CHANGES(sample.member.holding.disk.id = "x", true);
    CHANGES(sample.member.holding.disk.state = DISK_READY, true);
    CHANGES(sample.member.holding.disk.size_bytes = 1, true);
    CHANGES(sample.member.holding.disk.replica_set_id = "x", true);
    CHANGES(sample.member.holding.address = "x", true);
    CHANGES(sample.member.holding.replicas = 1, true);
    CHANGES(sample.member.holding.pod.ready = true, true);
    CHANGES(sample.member.holding.pod.restarts = 1, true);
    CHANGES(sample.member.holding.problem.rule = 1, true);
    CHANGES(sample.member.mongod.answer = MONGOD_SILENT, true);
    CHANGES(sample.member.mongod.state = MEMBER_PRIMARY, true);
    CHANGES(sample.member.mongod.term = 3, true);
    CHANGES(sample.member.mongod.primary_id = 3, true);
    CHANGES(sample.member.mongod.config_committed = false, true);
    CHANGES(sample.member.mongod.config.version = 2, true);
    CHANGES(sample.config_member.host = "other:1", true);
    CHANGES(sample.config_member.priority = 0.5, true);
    CHANGES(sample.peer.state = MEMBER_SECONDARY, true);
    CHANGES(sample.peer.healthy = true, true);
    CHANGES(sample.peer.config_version = 2, true);
}

/* ---- refusals ---- */

#define HEAD "{\"zone\":\"z\",\"runId\":\"r\",\"sequence\":1,\"epoch\":0,\"revision\":0,\"members\":"
#define HOLDING "\"holding\":{\"set\":\"m\",\"ordinal\":1}"
#define CONFIG HEAD "[{" HOLDING ",\"mongod\":{\"config\":"

static void bad_input_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *problem;
    } table[] = {
        {"", "report", ""},
        {"7", "the message", "must be an object"},
        {HEAD "[]", "report", ""},
        {"{\"zone\":\"y\",\"runId\":\"r\",\"sequence\":1,\"epoch\":0,\"revision\":0,\"members\":[]}", "zone",
         "is y, but it was sent as zone z"},
        {"{\"zone\":\"z\",\"sequence\":1,\"epoch\":0,\"revision\":0,\"members\":[]}", "runId",
         "must be there"},
        {HEAD "null}", "members", "must be there"},
        {HEAD "[{}]}", "members[0].holding", "must be there"},
        {HEAD "[{\"holding\":{\"ordinal\":1}}]}", "members[0].holding.set", "must be there"},
        {HEAD "[{" HOLDING "},{" HOLDING "}]}", "members[1]", "members[0] already"},
        {HEAD "[{" HOLDING ",\"mongod\":[]}]}", "members[0].mongod", "must be an object"},
        {HEAD "[{" HOLDING ",\"mongod\":{\"state\":\"FATAL\"}}]}", "members[0].mongod.state",
         "PRIMARY, SECONDARY"},
        {HEAD "[{" HOLDING ",\"mongod\":{\"optime\":{\"seconds\":4294967296}}}]}", "members[0].mongod.optime",
         "seconds"},
        {HEAD "[{" HOLDING ",\"mongod\":{\"selfId\":-2}}]}", "members[0].mongod", "selfId"},
        {HEAD "[{" HOLDING ",\"mongod\":{\"term\":1e300}}]}", "members[0].mongod", "term"},
        {CONFIG "{\"members\":[{\"id\":1}]}}}]}", "members[0].mongod.config.members[0].host",
         "must be there"},
        {CONFIG "{\"members\":[{\"id\":1,\"host\":\"h\",\"votes\":2}]}}}]}",
         "members[0].mongod.config.members[0]", "votes"},
        {CONFIG "{\"members\":[{\"id\":1,\"host\":\"h\",\"priority\":\"1\"}]}}}]}",
         "members[0].mongod.config.members[0]", "priority"},
        {CONFIG "{\"settings\":{\"x\":\"1\"}}}}]}", "members[0].mongod.config.settings.x",
         "a number, true or false"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct arena arena;
        struct error err = {0};
        struct report report = {.sequence = -77};
        arena_init(&arena, 0);
        if (read_text(table[i].text, &arena, &report, &err) == 0)
            fail_msg("was read: %s", table[i].text);
        if (!strstr(err.message, table[i].place) || !strstr(err.message, table[i].problem))
            fail_msg("%s\ngave: %s", table[i].text, err.message);
        assert_int_equal(report.sequence, -77);
        arena_finish(&arena);
    }
}

static void a_zone_with_too_many_members_is_refused(void **state)
{
    (void)state;
    struct report_member members[ZONE_MEMBERS_MAX + 1] = {0};
    struct report report = {.zone = "z", .run_id = "r", .members = members};
    for (int i = 0; i <= ZONE_MEMBERS_MAX; i++)
        members[i].holding = (struct member_holding){.set = "m", .ordinal = i + 1};
    for (size_t more = 0; more <= 1; more++) {
        struct arena arena;
        struct buffer text;
        struct error err = {0};
        struct report back;
        arena_init(&arena, 0);
        report.member_count = ZONE_MEMBERS_MAX + more;
        print_message(report, &report, &text);
        assert_int_equal(read_text(buffer_text(&text), &arena, &back, &err), more ? -1 : 0);
        if (more)
            assert_non_null(
                strstr(err.message, "members: has 201 entries, at most 200 are allowed (ZONE_MEMBERS_MAX)"));
        buffer_finish(&text);
        arena_finish(&arena);
    }
}

static void a_report_that_its_arena_cannot_hold_is_refused(void **state)
{
    (void)state;
    int refused = 0;
    for (size_t limit = 1;; limit += 16, refused++) {
        struct arena arena;
        struct error err = {0};
        struct report report;
        arena_init(&arena, limit);
        int result = read_text(LEAST, &arena, &report, &err);
        arena_finish(&arena);
        if (result == 0)
            break;
        assert_int_equal(err.code, ERROR_NO_MEMORY);
        assert_true(limit < 10000);
    }
    assert_true(refused > 10);
}

/* mongod's and clouds' own words are quoted; a report must not be lost for them */
static void sentences_are_made_readable_by_the_writer(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } table[] = {
        {"all is well: é€😀", "all is well: é€😀"},
        {"bad \xff\xfe byte", "bad ?? byte"},
        {"cut \xe2\x82", "cut ??"},
        {"overlong \xc0\xaf", "overlong ??"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
    };
    char endless[2 * SENTENCE_LENGTH_MAX];
    memset(endless, 'x', sizeof endless);
    memcpy(endless + SENTENCE_LENGTH_MAX - 1, "é", 2); /* across the cut */
    endless[sizeof endless - 1] = '\0';
    for (size_t i = 0; i <= sizeof table / sizeof *table; i++) {
        bool is_long = i == sizeof table / sizeof *table;
        struct arena arena;
        struct buffer text;
        struct error err = {0};
        struct report back;
        struct report report = {
            .zone = "z", .run_id = "r", .zone_problem = {.message = is_long ? endless : table[i].text}};
        arena_init(&arena, 0);
        print_message(report, &report, &text);
        if (read_text(buffer_text(&text), &arena, &back, &err) < 0)
            fail_msg("%s", err.message);
        if (is_long)
            assert_int_equal(strlen(back.zone_problem.message), SENTENCE_LENGTH_MAX - 1);
        else
            assert_string_equal(back.zone_problem.message, table[i].expected);
        buffer_finish(&text);
        arena_finish(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_report_survives_its_way_over_the_wire),
        cmocka_unit_test(any_heartbeat_survives_its_way_over_the_wire),
        cmocka_unit_test(any_configuration_survives_its_way_over_the_wire),
        cmocka_unit_test(what_is_absent_is_not_known),
        cmocka_unit_test(zeroes_are_not_taken_for_unknown),
        cmocka_unit_test(only_what_moves_all_the_time_is_no_news),
        cmocka_unit_test(bad_input_is_refused_with_its_place),
        cmocka_unit_test(a_zone_with_too_many_members_is_refused),
        cmocka_unit_test(a_report_that_its_arena_cannot_hold_is_refused),
        cmocka_unit_test(sentences_are_made_readable_by_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
