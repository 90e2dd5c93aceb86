/* What this node knows and is as a member: configuration, state, term, views of the others. The moves between
 * states are here; heartbeat.c, election.c, reconfig.c, stepdown.c and sync.c decide when. */
#ifndef SIM_REPLSET_H
#define SIM_REPLSET_H

#include "config.h"
#include "util.h"

#include <bson/bson.h>

struct sim;
struct request;

enum member_state {
    STATE_STARTUP = 0,
    STATE_PRIMARY = 1,
    STATE_SECONDARY = 2,
    STATE_RECOVERING = 3,
    STATE_STARTUP2 = 5,
    STATE_UNKNOWN = 6,
    STATE_ARBITER = 7,
    STATE_DOWN = 8,
    STATE_ROLLBACK = 9,
    STATE_REMOVED = 10,
};

enum config_state {
    CONFIG_STARTING, /* looks for itself in the configuration that was stored */
    CONFIG_UNINITIALIZED,
    CONFIG_STEADY,
    CONFIG_INITIATING,
    CONFIG_RECONFIGURING,
    CONFIG_BY_HEARTBEAT,
};

/* What is known of one member of the configuration; the own one's entry is not used but for votes. */
struct member_view {
    bool heard; /* ever answered under this configuration */
    bool up;
    enum member_state state;
    struct optime applied, durable;
    int64_t config_version, config_term;
    int64_t term;
    struct optime election_time;
    int64_t up_since_ms, contact_ms;                       /* of uv_now */
    int64_t last_heartbeat_wall, last_heartbeat_recv_wall; /* 0: never */
    int64_t ping_ms;
    char message[512];
    char sync_source[HOST_MAX];
    bool in_flight;
    int failures;
    int64_t due_ms; /* next heartbeat to it */
};

struct election {
    uint64_t generation;
    bool active, dry_run;
    int votes, waiting;
    int64_t term;
};

struct replset {
    struct config *config; /* NULL: none */
    int self;              /* index in it, or -1 */
    enum config_state config_state;
    uint64_t config_generation;
    enum member_state state;
    int64_t term;
    int64_t voted_term; /* durable, with whom it went to */
    int64_t voted_for;
    int primary; /* index, or -1 */
    struct optime committed;
    struct optime election_time;
    struct member_view views[MEMBERS_MAX];
    struct election election;
    int64_t election_ms, takeover_ms; /* when an election is tried */
    int64_t freeze_until_ms, stepdown_until_ms;
    int64_t find_self_ms; /* when a removed node looks for itself again */
    int64_t topology_counter;
    int rbid;
};

const char *state_name(enum member_state state);

/* Applies a record of the journal; 1 when it is of another kind. */
int replset_load(struct sim *sim, const bson_t *record);
/* Writes configuration and vote, for a journal that is written anew. */
void replset_save(void *sim);
/* After the load, with the server listening: looks for itself and begins. */
void replset_start(struct sim *sim);
/* What is due by time; gives the next moment. */
int64_t replset_turn(struct sim *sim, int64_t now_ms);

/* Makes `config` (one reference is taken over) the node's, durably, with itself at index `self` or -1. */
void replset_install(struct sim *sim, struct config *config, int self);
void replset_set_state(struct sim *sim, enum member_state state);
void replset_set_primary(struct sim *sim, int index);
/* A higher term was seen: a primary steps down, a candidate stops. */
void replset_see_term(struct sim *sim, int64_t term);
/* Stops being primary, for whatever reason. */
void replset_step_down(struct sim *sim, const char *why);
void replset_become_primary(struct sim *sim);
void replset_record_vote(struct sim *sim, int64_t term, int64_t member_id);
void replset_reset_election_timer(struct sim *sim);
/* Data of which members are at or past `t`: counted for a write concern. */
int replset_count_at(const struct sim *sim, struct optime t, bool durable, bool voters_only);
/* (version, term) of the own configuration is known by a majority of its voters. */
bool replset_config_committed(const struct sim *sim);
bool replset_is_self(const struct sim *sim, const char *host);
const char *replset_own_host(const struct sim *sim);
/* A new place in the oplog, and an entry that only says something. */
struct optime replset_next_optime(struct sim *sim);
void replset_write_note(struct sim *sim, const char *text);
/* Begins an entry: ts, t, v, op, ns, wall. The caller adds o, o2 and hands it to oplog_append(). */
void replset_begin_entry(struct sim *sim, bson_t *entry, const char *op, const char *ns);
int64_t replset_heartbeat_interval(const struct sim *sim);

/* heartbeat.c */
void heartbeat_turn(struct sim *sim, int64_t now_ms, int64_t *next_ms);
void heartbeat_restart(struct sim *sim);
void heartbeat_command(struct request *request);
/* election.c */
void election_turn(struct sim *sim, int64_t now_ms, int64_t *next_ms);
void election_cancel(struct sim *sim);
/* NULL when it may stand; else why not. */
const char *election_obstacle(const struct sim *sim);
void election_start(struct sim *sim, bool dry_run, const char *why);
void vote_command(struct request *request);
void step_up_command(struct request *request);
/* initiate.c, reconfig.c, stepdown.c */
void initiate_command(struct request *request);
void reconfig_command(struct request *request);
void reconfig_turn(struct sim *sim, int64_t now_ms);
void step_down_command(struct request *request);
void freeze_command(struct request *request);
void step_down_for_shutdown(struct sim *sim);
/* self.c: finds this node among the hosts. done() gets the index or -1; it may be called at once. */
typedef void self_done(struct sim *sim, int index, void *data);
void self_find(struct sim *sim, const struct config *config, bool quick, self_done *done, void *data);
/* quorum.c: asks all members of a new configuration. `err` is NULL when they agree. Never at once. */
typedef void quorum_done(struct sim *sim, const struct error *err, void *data);
void quorum_check(struct sim *sim, const struct config *config, int self, quorum_done *done, void *data);

#endif
