/* The planner: spec, observation, ledger and time in; what to do next out. Pure: no clock, no socket, no
 * memory but the arena's. Events only wake it; it reads the whole each time. */
#ifndef ATOLL_CONTROLLER_DECIDE_PLAN_H
#define ATOLL_CONTROLLER_DECIDE_PLAN_H

#include "config/spec.h"
#include "controller/decide/ledger.h"
#include "controller/decide/observation.h"

/* Set phases that exist so far; later ones (RollingOut, Drilling, Restoring) come with what they are for. */
#define SET_PHASES(X)                                                                                        \
    X(PHASE_PROVISIONING, "Provisioning")                                                                    \
    X(PHASE_INITIATING, "Initiating")                                                                        \
    X(PHASE_JOINING, "Joining")                                                                              \
    X(PHASE_RECONFIGURING, "Reconfiguring")                                                                  \
    X(PHASE_HEALTHY, "Healthy")                                                                              \
    X(PHASE_DEGRADED, "Degraded")                                                                            \
    X(PHASE_QUORUM_LOST, "QuorumLost")                                                                       \
    X(PHASE_ADDRESSES_LOST, "AddressesLost")                                                                 \
    X(PHASE_REMOVED, "Removed")

enum set_phase {
#define X(name, text) name,
    SET_PHASES(X)
#undef X
};

#define MEMBER_PHASES(X)                                                                                     \
    X(MEMBER_PHASE_PENDING, "Pending")           /* nothing of it exists yet, or nobody has said */          \
    X(MEMBER_PHASE_PROVISIONING, "Provisioning") /* its zone is making disk, Service, pod */                 \
    X(MEMBER_PHASE_ADDRESSED, "Addressed")       /* its Service has an address */                            \
    X(MEMBER_PHASE_REACHABLE, "Reachable")       /* its mongod answers */                                    \
    X(MEMBER_PHASE_JOINED, "Joined")             /* in the configuration, without data or vote yet */        \
    X(MEMBER_PHASE_SYNCED, "Synced")             /* has the data */                                          \
    X(MEMBER_PHASE_VOTING, "Voting")             /* all that the spec wants of it */                         \
    X(MEMBER_PHASE_HELD, "Held")                 /* kept from running on purpose */                          \
    X(MEMBER_PHASE_DRAINING, "Draining")                                                                     \
    X(MEMBER_PHASE_REMOVED, "Removed")

enum member_phase {
#define X(name, text) name,
    MEMBER_PHASES(X)
#undef X
};

#define CONDITION_TYPES(X)                                                                                   \
    X(CONDITION_QUORUM, "Quorum")       /* a majority of votes is healthy */                                 \
    X(CONDITION_PRIMARY, "Primary")     /* exactly one member takes writes */                                \
    X(CONDITION_ADDRESSES, "Addresses") /* the configuration names each member's address */                  \
    X(CONDITION_COMMITTED, "Committed") /* the configuration is committed */                                 \
    X(CONDITION_COMPLETE, "Complete")   /* every member of the spec votes, or does what the spec wants of it \
                                         */

enum condition_type {
#define X(name, text) name,
    CONDITION_TYPES(X)
#undef X
        CONDITION_COUNT
};

enum condition_status { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

struct condition {
    enum condition_type type;
    enum condition_status status;
    const char *reason, *message;
    int64_t since_ms; /* wall: when `status` last changed */
};

/* What one zone's intent says of a member. */
struct member_plan {
    int ordinal;
    bool named; /* whether the intent speaks of it at all: what it doesn't name, the agent leaves alone */
    enum member_run run;
    const char *disk_id; /* as intent_member.disk_id */
    const char *replica_set_id;
    enum member_phase phase, next_phase;
    enum zone_state zone_state; /* of its zone, with FAILED concluded */
    enum member_state state;    /* MEMBER_UNKNOWN when nobody who can know has said */
    bool healthy;
    int id;           /* MongoDB's _id in the configuration; -1: none */
    const char *host; /* in the configuration, or where it will be; "" when it has no address */
    int votes;
    double priority;
    int64_t lag_seconds;     /* behind the primary; -1: not known */
    int64_t behind_since_ms; /* wall: since when more than a little; 0: it isn't */
    int rule;                /* the row that fired for it, and its sentence */
    const char *sentence;
    uint64_t facts; /* for explain: see rules.h */
    bool waiting;
    struct wait wait; /* when `waiting` */
};

struct action {
    enum action_kind kind;
    int rule;
    int ordinal; /* of the member that it is sent to */
    const char *host;
    const char
        *process; /* mongod_view.process of that member: it is sent only if this one answers; "": not known */
    struct replica_config base; /* RECONFIGURE, STEP_DOWN: it is sent only to a node of this set, and a
                                 * reconfiguration only if the node still has this version and term */
    struct replica_config
        config; /* INITIATE, RECONFIGURE: what is wanted; fields that it doesn't model are kept as they are */
    const char *sentence; /* what it is for, for log, events and explain */
};

enum { PLAN_RULES_MAX = 128, PLAN_WAITS_MAX = 64 };

struct plan {
    enum set_phase phase;
    uint64_t facts;
    int rule; /* the row that fired for the set, and its sentence */
    const char *sentence;
    int primary; /* ordinal of the primary, by its own word or else by the others'; 0: none is known */
    struct replica_config config; /* the newest that is known; version 0: none */
    bool config_committed;
    int64_t term; /* the highest election term seen; -1: none */
    bool healthy;
    struct member_plan *members; /* one for each member of the spec, in its order */
    size_t member_count;
    struct wait waits[PLAN_WAITS_MAX]; /* of the set; those of the members are with them */
    size_t wait_count;
    struct condition conditions[CONDITION_COUNT];
    struct ledger ledger; /* what must be durable before intents are sent or the action is done */
    bool ledger_changed;
    struct action action;
    int64_t look_again_at_ms;  /* wall; 0: only when something changes */
    int rules[PLAN_RULES_MAX]; /* numbers of the rows that fired */
    size_t rule_count;
};

struct plan_input {
    const struct spec *spec;
    const struct spec_set *set;
    const struct observation *observation;
    const struct ledger *ledger;
    const struct plan *previous; /* NULL at first: gives waits and conditions their `since` */
    int64_t now_ms;              /* wall */
};

/* Works the plan out into `arena`. -1 only when memory is out; then *out is untouched. */
int plan_set(const struct plan_input *input, struct arena *arena, struct plan *out, struct error *err);

const char *set_phase_name(enum set_phase phase);
const char *member_phase_name(enum member_phase phase);
const char *condition_type_name(enum condition_type type);
const char *condition_status_name(enum condition_status status);

#endif
