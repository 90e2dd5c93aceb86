/* The model of mongod: configurations, logs, processes; and what has been true of configurations.
 * node.c, node_config.c, node_election.c, node_log.c, node_view.c */
#ifndef ATOLL_SIM_MODEL_MONGOD_H
#define ATOLL_SIM_MODEL_MONGOD_H

#include "proto/model.h"
#include "tests/sim/limits.h"
#include "tests/sim/queue.h"

struct world;
struct member_slot;

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

/* A configuration that came to be, and who has had it. */
struct config_record {
    struct configuration config;
    uint64_t had_by; /* ids, as bits */
    bool committed;
};

/* node.c, node_config.c, node_election.c, node_log.c, node_view.c: a model of mongod */
void node_start(struct world *world, struct member_slot *slot);
void node_stop(struct world *world, struct member_slot *slot);
void node_turn(struct world *world, const struct happening *happening);
/* Who gets a request at an address, whether it has anything to say to whom dials or not; `from`: a zone, or
 * the controller's place. */
struct member_slot *node_dial(struct world *world, int from, const char *host);
bool node_replies(const struct world *world, const struct member_slot *slot, int to); /* its packets pass */
/* A member dials: who hears it, and who answers it. NULL also where certificates or keyfiles don't fit. */
struct member_slot *node_there(struct world *world, const struct member_slot *from, const char *host);
struct member_slot *node_at(struct world *world, const struct member_slot *from, const char *host);
struct peer *node_peer(struct node *node, int id);
void node_hear_term(struct world *world, struct member_slot *slot, int64_t term);
void node_install(struct world *world, struct member_slot *slot, const struct configuration *config);
bool node_is_listed(const struct member_slot *slot); /* its address is in its own configuration */
void node_look_again(struct world *world, struct member_slot *slot); /* one that is REMOVED */
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
const char *node_version(const struct world *world, const struct member_slot *slot);
void node_view(struct world *world, const struct member_slot *slot, struct arena *arena,
               struct mongod_view *out);
const char *node_process(const struct member_slot *slot, struct arena *arena); /* as mongod_view.process */
struct replica_config config_value(const struct configuration *config, struct arena *arena);
void client_turn(struct world *world);

#endif
