/* Random values of the shared structs, all from one seed; see values.h. */
#include "values.h"

uint64_t seeded_next(struct seeded *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t seeded_below(struct seeded *random, uint64_t limit)
{
    return seeded_next(random) % limit;
}

static bool some(struct seeded *random)
{
    return seeded_below(random, 2);
}

/* Small, edge and large whole numbers. */
static int64_t whole(struct seeded *random, int64_t least, int64_t most)
{
    switch (seeded_below(random, 6)) {
    case 0:
        return least;
    case 1:
        return most;
    case 2:
        return least + (int64_t)seeded_below(random, (uint64_t)(most - least) + 1);
    default: {
        int64_t range = most - least;
        return least + (int64_t)seeded_below(random, (uint64_t)(range < 100 ? range : 100) + 1);
    }
    }
}

static int64_t big(struct seeded *random, int64_t least)
{
    return whole(random, least, INT64_C(1) << 53);
}

/* Up to `most` bytes, with what JSON must escape and with letters of two, three and four bytes. */
static const char *text(struct seeded *random, size_t least, size_t most)
{
    static const char *const pieces[] = {"a", "Z", "7", "-", "\"", "\\", "\n", "\x01", "/", "é", "€", "😀"};
    char out[8192 + 1];
    size_t used = 0, want = seeded_below(random, 8) ? seeded_below(random, 24) : most;
    if (some(random) && !least)
        return "";
    want = want < least ? least : want > most ? most : want;
    assert_true(want < sizeof out);
    while (used < want) {
        const char *piece = pieces[seeded_below(random, sizeof pieces / sizeof *pieces)];
        if (used + strlen(piece) > want)
            piece = "x";
        memcpy(out + used, piece, strlen(piece));
        used += strlen(piece);
    }
    return arena_string_n(random->arena, out, used);
}

/* Mostly few, at times none or the most. */
static size_t how_many(struct seeded *random, size_t most)
{
    return seeded_below(random, 20) ? seeded_below(random, most < 4 ? most + 1 : 4) : most;
}

static const struct key_value *map(struct seeded *random, size_t *count)
{
    *count = how_many(random, LABELS_MAX);
    struct key_value *pairs = arena_array(random->arena, *count, sizeof *pairs);
    for (size_t i = 0; i < *count; i++) {
        pairs[i].key = arena_printf(random->arena, "%s%zu", text(random, 0, LABEL_KEY_LENGTH_MAX - 2), i);
        pairs[i].value = text(random, 0, LABEL_VALUE_LENGTH_MAX);
    }
    return pairs;
}

static struct optime random_optime(struct seeded *random)
{
    return (struct optime){.term = big(random, -1),
                           .seconds = (uint32_t)whole(random, 0, UINT32_MAX),
                           .increment = (uint32_t)whole(random, 0, UINT32_MAX)};
}

static enum member_state random_state(struct seeded *random)
{
    enum member_state state = MEMBER_UNKNOWN;
    while (!member_state_from_number((int64_t)seeded_below(random, 11), &state))
        ;
    return state;
}

struct replica_config random_config(struct seeded *random)
{
    struct replica_config config = {.set = text(random, 0, TEXT_LENGTH_MAX),
                                    .version = big(random, 0),
                                    .term = big(random, -1),
                                    .replica_set_id = text(random, 0, 24),
                                    .member_count = how_many(random, SET_MEMBERS_MAX),
                                    .setting_count = how_many(random, SETTINGS_MAX)};
    struct config_member *members = arena_array(random->arena, config.member_count, sizeof *members);
    for (size_t i = 0; i < config.member_count; i++) {
        members[i] = (struct config_member){.id = (int)whole(random, 0, INT32_MAX),
                                            .host = text(random, 1, HOST_LENGTH_MAX),
                                            .votes = (int)whole(random, 0, 1),
                                            .priority = (double)seeded_below(random, 4001) / 4,
                                            .hidden = some(random),
                                            .arbiter_only = some(random),
                                            .newly_added = some(random),
                                            .secondary_delay_secs = big(random, 0)};
        members[i].tags = map(random, &members[i].tag_count);
    }
    config.members = members;
    struct setting *settings = arena_array(random->arena, config.setting_count, sizeof *settings);
    for (size_t i = 0; i < config.setting_count; i++) {
        bool is_bool = some(random);
        double value = is_bool ? (double)some(random) : (double)whole(random, -1000000, 1000000) / 8;
        settings[i] = (struct setting){
            .name = arena_printf(random->arena, "s%zu", i), .is_bool = is_bool, .value = value};
    }
    config.settings = settings;
    return config;
}

static const struct peer_view *random_peers(struct seeded *random, size_t *count)
{
    *count = how_many(random, SET_MEMBERS_MAX);
    struct peer_view *peers = arena_array(random->arena, *count, sizeof *peers);
    for (size_t i = 0; i < *count; i++)
        peers[i] = (struct peer_view){.id = (int)whole(random, 0, INT32_MAX),
                                      .host = text(random, 0, HOST_LENGTH_MAX),
                                      .state = random_state(random),
                                      .healthy = some(random),
                                      .optime = random_optime(random),
                                      .config_version = big(random, -1),
                                      .config_term = big(random, -1)};
    return peers;
}

static struct mongod_view random_mongod(struct seeded *random)
{
    struct mongod_view view = {.answer = (enum mongod_answer)seeded_below(random, MONGOD_MEMBER + 1),
                               .problem = text(random, 0, SENTENCE_LENGTH_MAX),
                               .age_ms = big(random, -1),
                               .version = text(random, 0, NAME_LENGTH_MAX),
                               .state = random_state(random),
                               .self_id = (int)whole(random, -1, INT32_MAX),
                               .term = big(random, -1),
                               .primary_id = (int)whole(random, -1, INT32_MAX),
                               .optime = random_optime(random),
                               .config = random_config(random),
                               .config_committed = some(random),
                               .knows_commitment = some(random),
                               .certificate_id = text(random, 0, TEXT_LENGTH_MAX),
                               .certificate_foreign = some(random)};
    view.peers = random_peers(random, &view.peer_count);
    return view;
}

static struct problem random_problem(struct seeded *random)
{
    return (struct problem){.code = text(random, 0, NAME_LENGTH_MAX),
                            .message = text(random, 0, SENTENCE_LENGTH_MAX),
                            .rule = (int)whole(random, 0, INT32_MAX)};
}

static const char *const *random_ranges(struct seeded *random, size_t *count)
{
    *count = how_many(random, RANGES_MAX);
    const char **ranges = arena_array(random->arena, *count, sizeof *ranges);
    for (size_t i = 0; i < *count; i++)
        ranges[i] = text(random, 0, RANGE_LENGTH_MAX);
    return ranges;
}

static struct member_holding random_holding(struct seeded *random, size_t index)
{
    return (struct member_holding){.set = text(random, 1, NAME_LENGTH_MAX),
                                   .ordinal = (int)index + 1, /* unique, as readers demand */
                                   .disk = {.name = text(random, 0, TEXT_LENGTH_MAX),
                                            .id = text(random, 0, TEXT_LENGTH_MAX),
                                            .state = (enum disk_state)seeded_below(random, DISK_FAILED + 1),
                                            .adopted = some(random),
                                            .used = some(random),
                                            .replica_set_id = text(random, 0, NAME_LENGTH_MAX),
                                            .size_bytes = big(random, -1),
                                            .used_bytes = big(random, -1)},
                                   .controller_exists = some(random),
                                   .replicas = (int)whole(random, 0, INT32_MAX),
                                   .service_exists = some(random),
                                   .address = text(random, 0, HOST_LENGTH_MAX),
                                   .pod = {.name = text(random, 0, TEXT_LENGTH_MAX),
                                           .node = text(random, 0, TEXT_LENGTH_MAX),
                                           .image_id = text(random, 0, TEXT_LENGTH_MAX),
                                           .running = some(random),
                                           .ready = some(random),
                                           .terminating = some(random),
                                           .restarts = big(random, 0),
                                           .last_exit = text(random, 0, SENTENCE_LENGTH_MAX),
                                           .key_id = text(random, 0, NAME_LENGTH_MAX)},
                                   .problem = random_problem(random),
                                   .repairs = big(random, 0),
                                   .last_repair = text(random, 0, SENTENCE_LENGTH_MAX)};
}

struct report random_report(struct seeded *random)
{
    struct report report = {.zone = text(random, 1, NAME_LENGTH_MAX),
                            .run_id = text(random, 1, NAME_LENGTH_MAX),
                            .version = text(random, 0, NAME_LENGTH_MAX),
                            .sequence = big(random, 0),
                            .epoch = big(random, 0),
                            .revision = big(random, 0),
                            .reached = some(random),
                            .driver = text(random, 0, NAME_LENGTH_MAX),
                            .zone_problem = random_problem(random),
                            .member_count = how_many(random, 5)};
    struct report_member *members = arena_array(random->arena, report.member_count, sizeof *members);
    for (size_t i = 0; i < report.member_count; i++)
        members[i] = (struct report_member){.holding = random_holding(random, i),
                                            .mongod = random_mongod(random),
                                            .waiting = random_problem(random),
                                            .key_id = text(random, 0, NAME_LENGTH_MAX),
                                            .keyfile = text(random, 0, KEYFILE_LENGTH_MAX),
                                            .certificate_request = text(random, 0, PEM_LENGTH_MAX),
                                            .certificate = text(random, 0, PEM_LENGTH_MAX)};
    report.members = members;
    report.egress = random_ranges(random, &report.egress_count);
    return report;
}

static struct intent_member random_intent_member(struct seeded *random, size_t index)
{
    struct intent_member member = {.set = text(random, 1, NAME_LENGTH_MAX),
                                   .ordinal = (int)index + 1,
                                   .run = (enum member_run)seeded_below(random, RUN_ABSENT + 1),
                                   .node = text(random, 0, TEXT_LENGTH_MAX),
                                   .controller = text(random, 0, TEXT_LENGTH_MAX),
                                   .service = text(random, 0, TEXT_LENGTH_MAX),
                                   .volume = text(random, 0, TEXT_LENGTH_MAX),
                                   .disk = text(random, 0, TEXT_LENGTH_MAX),
                                   .image = text(random, 0, TEXT_LENGTH_MAX),
                                   .port = (int)whole(random, 0, 65535),
                                   .storage_bytes = big(random, 0),
                                   .storage_type = text(random, 0, NAME_LENGTH_MAX),
                                   .arbiter = some(random),
                                   .disk_id = text(random, 0, TEXT_LENGTH_MAX),
                                   .replica_set_id = text(random, 0, 24),
                                   .mongod_argument_count = how_many(random, MONGOD_ARGUMENTS_MAX)};
    member.labels = map(random, &member.label_count);
    const char **arguments = arena_array(random->arena, member.mongod_argument_count, sizeof *arguments);
    for (size_t i = 0; i < member.mongod_argument_count; i++)
        arguments[i] = text(random, 0, ARGUMENT_LENGTH_MAX);
    member.mongod_arguments = arguments;
    member.cpu = text(random, 0, NAME_LENGTH_MAX);
    member.memory = text(random, 0, NAME_LENGTH_MAX);
    member.source_ranges = random_ranges(random, &member.source_range_count);
    member.source_ranges_partial = some(random);
    member.auth = some(random);
    member.keyfile = text(random, 0, KEYFILE_LENGTH_MAX);
    member.key_id = text(random, 0, NAME_LENGTH_MAX);
    member.tls = some(random);
    member.certificate = text(random, 0, PEM_LENGTH_MAX);
    member.certificate_id = text(random, 0, TEXT_LENGTH_MAX);
    return member;
}

struct intent random_intent(struct seeded *random)
{
    struct intent intent = {.epoch = big(random, 0),
                            .revision = big(random, 0),
                            .federation = text(random, 0, NAME_LENGTH_MAX),
                            .zone = text(random, 1, NAME_LENGTH_MAX),
                            .project = text(random, 0, NAME_LENGTH_MAX),
                            .namespace_ = text(random, 0, NAME_LENGTH_MAX),
                            .ca = text(random, 0, PEM_LENGTH_MAX),
                            .member_count = how_many(random, 20)};
    struct intent_member *members = arena_array(random->arena, intent.member_count, sizeof *members);
    for (size_t i = 0; i < intent.member_count; i++)
        members[i] = random_intent_member(random, i);
    intent.members = members;
    return intent;
}

struct heartbeat random_heartbeat(struct seeded *random)
{
    struct heartbeat heartbeat = {.run_id = text(random, 1, NAME_LENGTH_MAX),
                                  .sequence = big(random, 0),
                                  .epoch = big(random, 0),
                                  .revision = big(random, 0),
                                  .member_count = how_many(random, ZONE_MEMBERS_MAX)};
    struct pulse_member *members = arena_array(random->arena, heartbeat.member_count, sizeof *members);
    for (size_t i = 0; i < heartbeat.member_count; i++)
        members[i] = (struct pulse_member){.set = text(random, 1, NAME_LENGTH_MAX),
                                           .ordinal = (int)i + 1,
                                           .age_ms = big(random, -1),
                                           .optime = random_optime(random),
                                           .used_bytes = big(random, -1)};
    heartbeat.members = members;
    return heartbeat;
}
