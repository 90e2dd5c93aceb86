/* A whole world for one agent on virtual time: a zone of one or more members whose steps take effect at once,
 * a controller that hears reports, mongods that answer probes, and a disk that may refuse to save. Nothing
 * happens but through world_run(). */
#ifndef ATOLL_TESTS_UNIT_AGENT_FIXTURE_H
#define ATOLL_TESTS_UNIT_AGENT_FIXTURE_H

#include "zone-agent/agent.h"

enum { WORLD_MEMBERS = 3, WORLD_PENDING = 64, WORLD_FILES = 2, WORLD_STEPS = 64 };

struct world_member {
    bool disk, service, controller, pod;
    int replicas;
    uint64_t incarnation;
    char address[HOST_LENGTH_MAX], disk_id[16];
    bool used, ready;
    char brought[32],
        shown[32]; /* ids of certificates: which is where mongod reads it, which it has loaded */
    const char *version;
    enum mongod_answer answer;
    enum member_state state;
    uint32_t optime_seconds;
};

struct world_event {
    enum { EVENT_STEP, EVENT_PROBE, EVENT_ANSWER } kind;
    int64_t at_ms;
    uint64_t id;
    enum link_message message;
    int ordinal;
    bool failed;
};

struct world {
    struct driver driver; /* first: the functions find the world by it */
    struct agent *agent;
    const struct intent *intent; /* as the driver was given it */
    int64_t now_ms, wake_ms;     /* wake: INT64_MAX when none is wished */
    uint64_t seed;
    struct clock clock;
    struct random random;
    struct world_member members[WORLD_MEMBERS];

    struct world_event pending[WORLD_PENDING];
    size_t pending_count;

    /* Knobs. */
    int failing_steps;    /* so many next ones fail */
    bool lose_answers;    /* reports and heartbeats get no answer at all */
    bool refuse_messages; /* they fail at once */
    bool mute_mongods;    /* probes fail */
    bool save_fails, zone_unseen;
    int64_t answer_after_ms, step_after_ms;
    bool report_wanted;

    bool tls;
    const char
        *certificate; /* of each intent's members, with "id of " before it as its id; NULL: none was signed */
    bool slow_to_appear; /* what is brought is not where mongod reads it yet: a reload loads the former one */

    /* What was seen. */
    size_t reloads;
    char forgotten[32]; /* whose key */
    size_t reports, heartbeats, probes, steps, wakes;
    int in_flight_reports, most_reports_in_flight;
    enum step_kind step_kinds[WORLD_STEPS];
    int64_t step_at_ms[WORLD_STEPS], report_at_ms;
    struct arena report_arena, heartbeat_arena;
    struct report report; /* the last one sent */
    struct heartbeat heartbeat;

    char file_names[WORLD_FILES][32];
    struct buffer files[WORLD_FILES];
    size_t saves;
};

void world_init(struct world *world);
void world_finish(struct world *world);

/* The agent's process begins, or begins again: with what was saved, and nothing else. */
int world_start(struct world *world, struct error *err);
void world_crash(struct world *world);

/* Lets so much time pass. */
void world_run(struct world *world, int64_t ms);

/* Sends an intent for members 1..count, all to be `run`. */
int world_intend(struct world *world, int64_t epoch, int64_t revision, size_t count, enum member_run run,
                 struct error *err);

const struct report_member *world_reported(const struct world *world, int ordinal);

#endif
