/* The intent's way into JSON and back, and what is refused. */
#include "proto/intent.h"

#include "values.h"

enum { ROUNDS = 300 };

static void any_intent_survives_its_way_over_the_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct arena arena, read_into;
        struct buffer text;
        struct error err = {0};
        struct intent_event event = {.bookmark = true};
        arena_init(&arena, 0);
        arena_init(&read_into, 0);
        struct seeded random = {.state = seed, .arena = &arena};
        struct intent intent = random_intent(&random);
        print_message(intent, &intent, &text);
        if (intent_read(text.data, text.length, &read_into, &event, &err) < 0)
            fail_msg("seed %d: %s", (int)seed, err.message);
        assert_false(event.bookmark);
        assert_intent_same(&intent, &event.intent);
        assert_true(intent_equal(&intent, &event.intent));
        buffer_finish(&text);
        assert_intent_same(&intent, &event.intent); /* nothing points into the text */
        arena_finish(&read_into);
        arena_finish(&arena);
    }
}

static int read_text(const char *text, struct arena *arena, struct intent_event *out, struct error *err)
{
    return intent_read(text, strlen(text), arena, out, err);
}

static void the_names_are_those_of_the_contract(void **state)
{
    (void)state;
    const struct key_value labels[] = {{"instance", "rod"}};
    const char *const arguments[] = {"--quiet", "--setParameter=x=1"};
    const struct intent_member members[] = {{.set = "mongo",
                                             .ordinal = 1,
                                             .run = RUN_HELD,
                                             .node = "mongo-node1",
                                             .controller = "mongo-rc1",
                                             .service = "mongo-svc-a",
                                             .volume = "mongo-persistent-storage1",
                                             .disk = "mongodb-disk1",
                                             .image = "mongo:7.0",
                                             .port = 27017,
                                             .storage_bytes = 10,
                                             .storage_type = "pd-ssd",
                                             .arbiter = true,
                                             .disk_id = "d1",
                                             .replica_set_id = "abc",
                                             .labels = labels,
                                             .label_count = 1,
                                             .mongod_arguments = arguments,
                                             .mongod_argument_count = 2}};
    struct intent intent = {.epoch = 3,
                            .revision = 118,
                            .federation = "prod",
                            .zone = "us-east1-b",
                            .members = members,
                            .member_count = 1};
    struct buffer text;
    assert_string_equal(print_message(intent, &intent, &text),
                        "{\"epoch\":3,\"revision\":118,\"federation\":\"prod\",\"zone\":\"us-east1-b\","
                        "\"members\":[{\"set\":\"mongo\","
                        "\"ordinal\":1,\"run\":\"held\",\"node\":\"mongo-node1\",\"controller\":\"mongo-"
                        "rc1\",\"service\":\"mongo-svc-a\","
                        "\"volume\":\"mongo-persistent-storage1\",\"disk\":\"mongodb-disk1\",\"image\":"
                        "\"mongo:7.0\",\"port\":27017,"
                        "\"storageBytes\":10,\"storageType\":\"pd-ssd\",\"arbiter\":true,\"diskId\":\"d1\","
                        "\"replicaSetId\":\"abc\","
                        "\"labels\":{\"instance\":\"rod\"},\"mongodArguments\":[\"--quiet\",\"--setParameter="
                        "x=1\"]}],\"type\":\"INTENT\"}");
    buffer_finish(&text);
}

static void the_least_intent_has_no_members(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    struct intent_event event;
    arena_init(&arena, 0);
    assert_int_equal(
        read_text("{\"type\":\"INTENT\",\"epoch\":1,\"revision\":2,\"zone\":\"z\",\"members\":[],"
                  "\"federation\":null,\"newer\":{\"key\":[1]}}",
                  &arena, &event, &err),
        0);
    assert_false(event.bookmark);
    assert_int_equal(event.intent.revision, 2);
    assert_string_equal(event.intent.federation, "");
    assert_int_equal(event.intent.member_count, 0);
    arena_finish(&arena);
}

static void a_bookmark_has_only_its_numbers(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    struct intent_event event = {0};
    arena_init(&arena, 0);
    assert_int_equal(read_text("{\"type\":\"BOOKMARK\",\"epoch\":3,\"revision\":118}", &arena, &event, &err),
                     0);
    assert_true(event.bookmark);
    assert_int_equal(event.intent.epoch, 3);
    assert_int_equal(event.intent.revision, 118);
    assert_string_equal(event.intent.zone, "");
    arena_finish(&arena);
}

#define HEAD "{\"type\":\"INTENT\",\"epoch\":1,\"revision\":1,\"zone\":\"z\",\"members\":"
#define MEMBER "\"set\":\"m\",\"ordinal\":1,\"run\":\"up\""

static void bad_input_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *problem;
    } table[] = {
        {"", "intent", ""},
        {"[]", "the message", "must be an object"},
        {"{\"epoch\":1", "intent", ""},
        {"{\"epoch\":1,\"revision\":1}", "type", "INTENT or BOOKMARK"},
        {"{\"type\":\"NEWER\",\"epoch\":1}", "type", "INTENT or BOOKMARK"},
        {"{\"type\":\"BOOKMARK\",\"epoch\":1}", "revision", ""},
        {"{\"type\":\"BOOKMARK\",\"epoch\":-1,\"revision\":1}", "epoch", ""},
        {"{\"type\":\"INTENT\",\"epoch\":1,\"revision\":1,\"zone\":\"z\"}", "members", "must be there"},
        {"{\"type\":\"INTENT\",\"revision\":1,\"zone\":\"z\",\"members\":[]}", "epoch", "must be there"},
        {"{\"type\":\"INTENT\",\"epoch\":1,\"revision\":1,\"zone\":\"\",\"members\":[]}", "zone",
         "must not be empty"},
        {HEAD "{}}", "members", "must be a list"},
        {HEAD "[7]}", "members[0]", "must be an object"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":1}]}", "members[0].run", "must be there"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":1,\"run\":\"sideways\"}]}", "members[0].run", "up, held, absent"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":1,\"run\":1}]}", "members[0].run", "up, held, absent"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":0,\"run\":\"up\"}]}", "members[0]", "ordinal"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":1.5,\"run\":\"up\"}]}", "members[0]", "ordinal"},
        {HEAD "[{\"set\":\"m\",\"ordinal\":\"1\",\"run\":\"up\"}]}", "members[0]", "ordinal"},
        {HEAD "[{" MEMBER ",\"port\":65536}]}", "members[0]", "port"},
        {HEAD "[{" MEMBER ",\"arbiter\":1}]}", "members[0].arbiter", "true or false"},
        {HEAD "[{" MEMBER ",\"image\":{}}]}", "members[0].image", "must be a string"},
        {HEAD "[{" MEMBER ",\"labels\":[]}]}", "members[0].labels", "must be an object"},
        {HEAD "[{" MEMBER ",\"labels\":{\"a\":1}}]}", "members[0].labels.a", "must be a string"},
        {HEAD "[{" MEMBER ",\"mongodArguments\":[\"x\",null]}]}", "members[0].mongodArguments[1]",
         "must be a string"},
        {HEAD "[{" MEMBER "},{\"set\":\"n\",\"ordinal\":1,\"run\":\"up\"},{" MEMBER "}]}", "members[2]",
         "members[0] already"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct arena arena;
        struct error err = {0};
        struct intent_event event = {.intent = {.epoch = -77}};
        arena_init(&arena, 0);
        if (read_text(table[i].text, &arena, &event, &err) == 0)
            fail_msg("was read: %s", table[i].text);
        if (!strstr(err.message, table[i].place) || !strstr(err.message, table[i].problem))
            fail_msg("%s\ngave: %s", table[i].text, err.message);
        assert_int_equal(event.intent.epoch, -77); /* outputs only on success */
        arena_finish(&arena);
    }
}

/* One string or list that is one too long each. */
static void what_passes_a_bound_is_refused_by_the_bounds_name(void **state)
{
    (void)state;
    static const struct {
        const char *before, *repeated, *after;
        int times;
        const char *bound;
    } table[] = {
        {HEAD "[{\"ordinal\":1,\"run\":\"up\",\"set\":\"", "s", "\"}]}", NAME_LENGTH_MAX, "NAME_LENGTH_MAX"},
        {HEAD "[{" MEMBER ",\"image\":\"", "i", "\"}]}", TEXT_LENGTH_MAX, "TEXT_LENGTH_MAX"},
        {HEAD "[{" MEMBER ",\"mongodArguments\":[\"", "i", "\"]}]}", ARGUMENT_LENGTH_MAX,
         "ARGUMENT_LENGTH_MAX"},
        {HEAD "[{" MEMBER ",\"labels\":{\"", "k", "\":\"\"}}]}", LABEL_KEY_LENGTH_MAX,
         "LABEL_KEY_LENGTH_MAX"},
        {HEAD "[{" MEMBER ",\"labels\":{\"k\":\"", "v", "\"}}]}", LABEL_VALUE_LENGTH_MAX,
         "LABEL_VALUE_LENGTH_MAX"},
        {HEAD "[{" MEMBER ",\"mongodArguments\":[\"\"", ",\"\"", "]}]}", MONGOD_ARGUMENTS_MAX - 1,
         "MONGOD_ARGUMENTS_MAX"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (int more = 0; more <= 1; more++) {
            struct arena arena;
            struct buffer text;
            struct error err = {0};
            struct intent_event event;
            arena_init(&arena, 0);
            buffer_init(&text, 0);
            buffer_append_text(&text, table[i].before);
            for (int k = 0; k < table[i].times + more; k++)
                buffer_append_text(&text, table[i].repeated);
            buffer_append_text(&text, table[i].after);
            int result = read_text(buffer_text(&text), &arena, &event, &err);
            if (result != -more)
                fail_msg("%s, %d more: %s", table[i].bound, more, err.message);
            if (more) {
                assert_int_equal(err.code, ERROR_TOO_LARGE);
                assert_non_null(strstr(err.message, table[i].bound));
                assert_non_null(strstr(err.message, "members[0]"));
            }
            buffer_finish(&text);
            arena_finish(&arena);
        }
    }
}

static void equality_looks_at_all_but_epoch_and_revision(void **state)
{
    (void)state;
    const struct intent_member one = {.set = "m", .ordinal = 1},
                               held = {.set = "m", .ordinal = 1, .run = RUN_HELD};
    const struct key_value labels[] = {{"a", "b"}}, other_labels[] = {{"a", "c"}};
    const struct intent_member labelled = {.set = "m", .ordinal = 1, .labels = labels, .label_count = 1};
    const struct intent_member otherwise = {
        .set = "m", .ordinal = 1, .labels = other_labels, .label_count = 1};
    const struct intent base = {.epoch = 1, .revision = 1, .zone = "z", .members = &one, .member_count = 1};
    struct intent other = base;
    other.epoch = 2;
    other.revision = 9;
    assert_true(intent_equal(&base, &other));
    other.members = &held;
    assert_false(intent_equal(&base, &other));
    other.members = &labelled;
    assert_false(intent_equal(&base, &other));
    const struct intent first = {.zone = "z", .members = &labelled, .member_count = 1};
    const struct intent second = {.zone = "z", .members = &otherwise, .member_count = 1};
    assert_false(intent_equal(&first, &second));
    other = base;
    other.member_count = 0;
    assert_false(intent_equal(&base, &other));
    other = base;
    other.zone = "y";
    assert_false(intent_equal(&base, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_intent_survives_its_way_over_the_wire),
        cmocka_unit_test(the_names_are_those_of_the_contract),
        cmocka_unit_test(the_least_intent_has_no_members),
        cmocka_unit_test(a_bookmark_has_only_its_numbers),
        cmocka_unit_test(bad_input_is_refused_with_its_place),
        cmocka_unit_test(what_passes_a_bound_is_refused_by_the_bounds_name),
        cmocka_unit_test(equality_looks_at_all_but_epoch_and_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
