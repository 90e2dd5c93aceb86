/* The simulated world: what is true, whoever knows it. One process, one thread, virtual time; the controller,
 * the agents and the store's records in it are the real ones, everything around them is a model. */
#ifndef ATOLL_SIM_WORLD_H
#define ATOLL_SIM_WORLD_H

#include "controller/controller.h"
#include "proto/base/plant.h"
#include "tests/sim/chance.h"
#include "tests/sim/queue.h"
#include "zone-agent/agent.h"

enum {
    ZONES_MAX = 5,
    ORDINALS_MAX = 8, /* members are 1 … 8 */
    ENTRIES_MAX = 12, /* of a configuration */
    LOG_MAX = 1024,
    OPS_MAX = 2048,
    CONFIGS_MAX = 256,
    FAULTS_MAX = 12, /* in one history */
    ACTIONS_MAX = 16,
    BRAINS = 2,
    RECORDS_MAX = 12,
    HOST_MAX = 24,
    WALL_AT_START_MS = 1795000000,
    CONTROLLER_PLACE = ZONES_MAX, /* the controller's place in the network */
    PLACES = ZONES_MAX + 1,
};

enum happening_kind {
    H_BRAIN_WAKE,
    H_BRAIN_START,
    H_AGENT_WAKE,
    H_AGENT_START,
    H_MESSAGE, /* report or heartbeat reaches the controller */
    H_ANSWER,  /* and its answer the agent */
    H_STREAM,  /* the intent stream of a zone looks after itself */
    H_INTENT,  /* a line of it reaches the agent */
    H_STEP,    /* a driver's step ends */
    H_SITE,    /* what a zone holds may have changed */
    H_PROBE,   /* an agent's question reaches its mongod */
    H_POD,     /* a pod's next state */
    H_NODE,    /* a mongod's turn */
    H_ACTION,  /* a command of the controller's goes on */
    H_CLIENT,  /* the load writes */
    H_SPEC,    /* somebody applies the spec */
    H_FAULT_BEGIN,
    H_FAULT_END,
    H_CHECK, /* a second has passed: invariants that speak of time */
};

/* ---- MongoDB ---- */

struct entry {
    int id;
    char host[HOST_MAX];
    int votes;
    double priority;
    bool hidden, arbiter;
    char tag[16]; /* the value of the tag "zone"; "": none */
    int64_t delay;
};

struct configuration {
    int64_t version, term; /* version 0: none; term -1 before 4.4 */
    char set_id[25];
    int count;
    struct entry entries[ENTRIES_MAX];
};

struct op {
    int term, number, second;
};

/* What a mongod has on its disk. */
struct data {
    struct configuration config;
    int64_t term; /* the highest it voted in or heard of */
    bool synced;  /* has had all data once */
    int length;
    struct op log[LOG_MAX];
};

struct peer {
    int id;
    bool healthy;
    int misses;
    enum member_state state;
    struct optime optime;
    int64_t version, config_term, term;
    int64_t heard_ms;
};

/* One mongod process. */
struct node {
    bool up;
    uint64_t life;
    enum member_state state;
    int self; /* its place in the configuration's entries; -1: not in it */
    struct peer peers[ENTRIES_MAX];
    int peer_count;
    int primary_id;
    int64_t election_ms, frozen_until_ms, majority_ms, takeover_ms, sync_ms;
    int match[ENTRIES_MAX]; /* by the entries of the configuration: how much of our log they have */
    int committed;          /* length of the log that a majority has */
};

/* ---- what a zone holds ---- */

struct disk {
    bool exists, used, held_data;
    char id[UUID_TEXT_MAX];
    char mark[25];
    int64_t ready_ms;
    struct data *data;
};

struct member_slot {
    int ordinal, zone;
    struct disk disk;
    bool service;
    char address[HOST_MAX];
    int64_t address_ms; /* since when */
    bool controller;
    int replicas;
    char bound[UUID_TEXT_MAX];
    bool pod, running, ready, terminating, pod_pending;
    uint64_t pod_life;
    int64_t restarts;
    struct node node;
    /* Faults in force; counters, since they may overlap. */
    int no_address, no_pod, slow_start, slow_sync, slow_disk, no_quota;
};

/* What the agent's driver shows of a slot: a copy, so that a watch can be stale. */
struct slot_seen {
    bool disk_exists, disk_used, disk_ready, service, controller, pod, running, ready, terminating;
    char disk_id[UUID_TEXT_MAX], mark[25], address[HOST_MAX];
    int replicas;
    uint64_t life;
    int64_t restarts;
};

struct saved {
    char name[24];
    char *text;
    size_t length;
};

struct site {
    struct driver driver;
    struct world *world;
    int zone;
    char name[8];
    struct agent *agent; /* NULL: it is dead */
    uint64_t life, wake;
    int64_t complete_ms; /* when the driver has seen the zone once after its start */
    struct saved files[2];
    struct slot_seen seen[ORDINALS_MAX + 1];
    int64_t accepted_epoch; /* the highest that an intent or bookmark was obeyed with, over lives */
    bool stream_open;
    uint64_t stream;
    int64_t stream_revision, stream_busy_ms;
    int down, cut_up, cut_down, stale, refuses, slow, lossy, cut_agent;
    bool lost;
};

/* ---- the controller ---- */

struct record {
    char key[STORE_KEY_MAX];
    char *data;
    size_t length;
};

struct disk_image {
    struct record records[RECORDS_MAX];
    size_t count;
};

struct brain {
    struct store store;
    struct mongo mongo;
    struct world *world;
    int index;
    struct controller *controller; /* NULL: it is dead */
    uint64_t life, wake;
    struct disk_image image;
    int fuse;             /* effects until it dies in the middle of a step; -1: none */
    bool dying;           /* nothing that it does has an effect any more */
    bool dying_before;    /* already before the effect that is looked at */
    int fails;            /* its disk is full */
    unsigned heard;       /* zones that have reported in this life, as bits */
    bool intended_before; /* a former life made a birth's intention durable */
};

struct sim_action {
    bool active, sent, installed;
    uint64_t id, brain_life, target_life;
    int brain, target; /* ordinal; 0: nobody answers there */
    enum action_kind kind;
    struct configuration base, config;
    char host[HOST_MAX], process[32];
    int64_t deadline_ms;
    int stage, code;
    char message[96];
};

/* ---- the history ---- */

struct planned_fault {
    int kind;
    int64_t at_ms, lasts_ms;
    uint64_t seed;
    bool dropped; /* by shrinking */
    bool begun, fired;
    int who, other; /* what it chose */
};

struct wish { /* of one member in the spec */
    bool named, absent, arbiter, hidden;
    int zone, votes;
    double priority;
    bool tagged;
};

/* A configuration that came to be, and who has had it. */
struct config_record {
    struct configuration config;
    uint64_t had_by; /* ids, as bits */
    bool committed;
};

struct options {
    uint64_t seed;
    int histories, jobs;
    bool trace, shrink, coverage, json;
};

struct world {
    int64_t now_ms, settle_from_ms;
    struct chance chance;
    struct queue queue;
    uint64_t seed;
    bool tracing;
    struct buffer *trace;
    int zone_count;
    bool modern; /* 4.4 and later: configuration terms and commitment */
    struct wish wishes[ORDINALS_MAX + 1];
    bool set_absent;
    int next_address;
    struct site sites[ZONES_MAX];
    struct brain brains[BRAINS];
    struct disk_image old_image;
    bool has_old_image;
    int64_t clock_offset_ms;
    struct member_slot slots[ORDINALS_MAX + 1];
    struct sim_action actions[ACTIONS_MAX];
    int blocked[PLACES][PLACES]; /* MongoDB's traffic, from, to */
    struct planned_fault faults[FAULTS_MAX];
    int fault_count, faults_in_force;
    int swaps_midway; /* faults in force that wait for a command */
    uint64_t fault_schedule; /* counts how often the faults to come were drawn near */

    /* The truth that the invariants are about. */
    int violated; /* its number; 0: none */
    char violation[400];
    int ops; /* writes begun */
    uint8_t acked[OPS_MAX];
    int acked_count;
    struct config_record configs[CONFIGS_MAX];
    int config_count;
    int births, initiated; /* that succeeded; the node that was told first */
    bool told_before;
    bool id_gone[256], had_data[ORDINALS_MAX + 1];
    int id_owner[256];                     /* ordinals; 0: not seen yet */
    int64_t unwanted_ms[ORDINALS_MAX + 1]; /* when the spec last did not want it, or its vote */
    int64_t lost_ms[ORDINALS_MAX + 1];     /* when its disk was last lost */
    int64_t down_since_ms[ORDINALS_MAX + 1];
    bool lost_for_good, operator_needed, swapped, forgotten;
    int64_t bad_since_ms[8];   /* one for each thing that can be bad; 0: it is good */
    int64_t said_healthy_ms;   /* since when the status says so; 0: it doesn't */
    int64_t healthy_since_ms;  /* the status says so and it is so */
    int64_t addresses_lost_ms; /* since when the status says so */
    int reconfigurations, elections, crashes;
};

extern struct world *the_world; /* environment.plan has no context */

/* world.c */
void world_run(struct world *world); /* until it is settled or something is violated */
void world_init(struct world *world, uint64_t seed);
/* Without wishes, faults and an end; who calls it makes the wishes, then world_begin()s, and turns it. */
void world_init_quiet(struct world *world, uint64_t seed);
void world_begin(struct world *world);
void world_turn(struct world *world); /* the next thing that happens */
void world_finish(struct world *world);
void world_later(struct world *world, int64_t delay_ms, enum happening_kind kind, int who, uint64_t life);
void world_at(struct world *world, const struct happening *happening);
void world_trace(struct world *world, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void violate(struct world *world, int invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *slot_name(const struct member_slot *slot);

/* wishes.c: the spec as text, and whether the world is as it wants */
void wishes_init(struct world *world);
void wishes_write(const struct world *world, struct buffer *out);
bool wish_counts(const struct world *world, int ordinal); /* is wanted to be there */
bool wishes_edit(struct world *world, struct chance *chance);

/* brain.c: hosts a real controller */
void brain_start(struct brain *brain);
void brain_kill(struct brain *brain);
void brain_wake(struct brain *brain, const struct happening *happening);
void brain_apply(struct brain *brain);
bool brain_effect(struct brain *brain); /* whether an effect of it still counts */
void brain_result(struct brain *brain, const struct mongo_result *result);
extern const struct random sim_random;
enum set_phase brain_phase(struct brain *brain);

/* vault.c: the store's disk */
extern const struct store_functions vault_functions;
void image_copy(struct disk_image *to, const struct disk_image *from);
void image_finish(struct disk_image *image);

/* link.c: between controller and agents */
void link_message(struct world *world, const struct happening *happening);
void link_answer(struct world *world, const struct happening *happening);
void link_stream(struct world *world, const struct happening *happening);
void link_intent(struct world *world, const struct happening *happening);
void link_news(struct brain *brain, const char *zone);
void link_send(void *context, enum link_message kind, uint64_t id, const char *text, size_t length);
void link_break(struct site *site);

/* host.c: hosts a real agent */
void agent_host_start(struct site *site);
void agent_host_kill(struct site *site);
void agent_host_wake(struct site *site, const struct happening *happening);
void agent_host_probe(struct site *site, const struct happening *happening);

/* site.c: what a zone holds, and the simulated driver */
extern const struct driver_functions site_functions;
void site_changed(struct world *world, int zone);
void site_told(struct world *world, const struct happening *happening);
void site_step(struct world *world, const struct happening *happening);
void site_look(struct site *site);
void service_address(struct world *world, struct member_slot *slot);
void disk_clear(struct world *world, struct member_slot *slot, bool exists);

/* pod.c */
void pod_manage(struct world *world, struct member_slot *slot);
void pod_turn(struct world *world, const struct happening *happening);
void pod_kill(struct world *world, struct member_slot *slot, int64_t back_ms);
void pod_remove(struct world *world, struct member_slot *slot);

/* node.c, node_config.c, node_election.c, node_log.c, node_view.c: a model of mongod */
void node_start(struct world *world, struct member_slot *slot);
void node_stop(struct world *world, struct member_slot *slot);
void node_turn(struct world *world, const struct happening *happening);
struct member_slot *node_at(struct world *world, int from, const char *host); /* who answers there; NULL */
struct member_slot *node_there(struct world *world, int from,
                               const char *host); /* who gets a request there */
struct peer *node_peer(struct node *node, int id);
void node_hear_term(struct world *world, struct member_slot *slot, int64_t term);
void node_install(struct world *world, struct member_slot *slot, const struct configuration *config);
int config_compare(const struct configuration *a, const struct configuration *b);
int config_voters(const struct configuration *config);
bool config_same(const struct configuration *a, const struct configuration *b);
const struct entry *config_find(const struct configuration *config, int id);
bool node_committed(struct world *world, const struct member_slot *slot);
struct config_record *config_record(struct world *world, const struct configuration *config);
const struct configuration *newest_committed(struct world *world);
const struct configuration *newest_held(const struct world *world); /* of all that are on disks; NULL */
int node_initiate(struct world *world, struct member_slot *slot, const struct configuration *config,
                  char message[96]);
int node_reconfigure(struct world *world, struct member_slot *slot, const struct configuration *config,
                     char message[96]);
int node_step_down(struct world *world, struct member_slot *slot);
bool node_elect(struct world *world, struct member_slot *slot);
void node_replicate(struct world *world, struct member_slot *slot, struct member_slot *primary);
void node_commit(struct world *world, struct member_slot *slot);
int node_compare_logs(const struct data *a, const struct data *b);
void node_stand_down(struct world *world, struct member_slot *slot);
void node_view(struct world *world, const struct member_slot *slot, struct arena *arena,
               struct mongod_view *out);
const char *node_process(const struct member_slot *slot, struct arena *arena); /* as mongod_view.process */
struct replica_config config_value(const struct configuration *config, struct arena *arena);
void client_turn(struct world *world);

/* actions.c: stands for act/mongo.c */
extern const struct mongo_functions actions_functions;
void actions_turn(struct world *world, const struct happening *happening);

/* faults.c */
void faults_plan(struct world *world, struct chance *chance);
void faults_schedule(struct world *world, int64_t earlier_ms); /* those that are still to come */
bool faults_hasten(struct world *world);                       /* false: none is to come */
void faults_begin(struct world *world, int index);
void faults_end(struct world *world, int index);
void faults_give_addresses_back(struct world *world);
void faults_of_command(struct world *world, const char *host); /* one is on its way there */
const char *fault_name(int kind);
int fault_kinds(void);
extern uint64_t faults_fired[];

/* coverage.c */
void coverage_rule(int number);
void coverage_agent_rule(int number);

/* invariants: called where the thing happens, and once a second */
void check_told_to_initiate(struct world *world, const struct brain *brain, struct member_slot *target,
                            const struct configuration *config);
void check_birth(struct world *world, const struct configuration *config);
void check_reconfiguration(struct world *world, const struct member_slot *target,
                           const struct configuration *base, const struct configuration *config);
void check_ids(struct world *world, const struct configuration *config);
void check_outage(struct world *world, struct member_slot *slot, const char *what);
void check_stepping_down(struct world *world, const struct member_slot *slot);
void check_vote_taken(struct world *world, const struct configuration *base,
                      const struct configuration *config);
void check_silence(struct world *world, const struct configuration *base, const struct configuration *config);
void check_disk_step(struct world *world, struct member_slot *slot, const char *what);
void check_started_empty(struct world *world, struct member_slot *slot);
void check_epoch(struct world *world, struct site *site, int64_t epoch);
void check_log_of_primary(struct world *world, const struct member_slot *slot);
void check_rolled_back(struct world *world, const struct member_slot *slot, const struct op *op);
void check_status(struct world *world);
void check_plan(struct world *world, const struct plan_input *input, const struct plan *plan);
bool check_settled(struct world *world); /* liveness: everything is as the spec wants */
void check_never_settled(struct world *world);

#endif
