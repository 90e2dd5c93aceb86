/* All that is known of one set at one moment, as plain values: the planner's eyes. Made by
 * controller/observe/ from the zones' reports and from what the controller's own commands were answered;
 * recorded in the journal. */
#ifndef ATOLL_CONTROLLER_DECIDE_OBSERVATION_H
#define ATOLL_CONTROLLER_DECIDE_OBSERVATION_H

#include "proto/model.h"

/* From silence alone follows ZONE_UNKNOWN, and nothing destructive is decided from it. ZONE_FAILED takes two
 * independent signals: the agent is silent, and the zone's members are unreachable from the set's primary. */
#define ZONE_STATES(X)                                                                                       \
    X(ZONE_PENDING, "Pending")     /* its agent never joined */                                              \
    X(ZONE_CONNECTED, "Connected") /* heard of within ZONE_SILENT_AFTER_MS */                                \
    X(ZONE_UNKNOWN, "Unknown")     /* no word from its agent */                                              \
    X(ZONE_FAILED, "Failed")

enum zone_state {
#define X(name, text) name,
    ZONE_STATES(X)
#undef X
};

/* A member of the spec as its zone's agent last reported it. */
struct member_view {
    int ordinal;
    const char *zone;
    enum zone_state zone_state; /* PENDING, CONNECTED or UNKNOWN: FAILED is concluded by the planner */
    bool reported; /* since this controller started, its zone has sent a report that speaks of this member or,
                      with `zone_seen`, of the zone without it */
    bool zone_seen; /* since this controller started, its zone has sent a whole report of what it holds */
    struct member_holding holding;
    struct mongod_view mongod; /* age_ms is as of now */
    struct problem waiting;
    const char *certificate_id; /* of the certificate that its mongod is to show, which bears its address; "":
                                   none was signed */
    int64_t certificate_until_ms;    /* wall: when that one ends; 0: none */
    const char *certificate_problem; /* why none was signed for what its agent asks for; "": one was, or it
                                        doesn't ask */
};

/* What the controller itself asks of MongoDB. One at a time per set. */
#define ACTIONS(X)                                                                                           \
    X(ACTION_NONE, "none")                                                                                   \
    X(ACTION_INITIATE, "initiate")                                                                           \
    X(ACTION_RECONFIGURE, "reconfigure")                                                                     \
    X(ACTION_STEP_DOWN, "step-down")                                                                         \
    X(ACTION_MAKE_ADMIN, "make-admin")

enum action_kind {
#define X(name, text) name,
    ACTIONS(X)
#undef X
};

/* The last action of this controller's life for this set, and how it went. */
struct action_view {
    enum action_kind kind; /* NONE: there was none */
    bool running;
    int64_t started_at_ms; /* wall, as all of these */
    int64_t ended_at_ms;   /* while one runs: when the one before it did; `config` is what it left */
    bool succeeded;
    int code;            /* MongoDB's, or 0 */
    const char *message; /* of the failure */
    unsigned failures;   /* in a row, of this kind */
    int64_t retry_at_ms; /* wall; after a failure nothing of the kind is tried before */
    /* The configuration that was read back after it, from the node that it was sent to; version 0: it
     * couldn't be. */
    struct replica_config config;
    bool config_committed, knows_commitment;
};

struct observation {
    const struct member_view *members; /* one for each member of the spec's set, in its order */
    size_t member_count;
    struct action_view action;
    const char *key_id; /* of the keyfile that all members are to run with; "": without authentication */
    bool admin_wanted;  /* the first administrator was not made yet */
    bool tls;           /* members speak TLS */
};

const char *zone_state_name(enum zone_state state);
const char *action_kind_name(enum action_kind kind);

#endif
