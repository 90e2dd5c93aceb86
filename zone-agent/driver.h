/* What a zone can do, as a small table of functions. A driver never decides: it shows what the zone holds and
 * performs the steps that the reconciler asks for. All calls are made on the agent's loop and return at once.
 */
#ifndef ATOLL_ZONE_AGENT_DRIVER_H
#define ATOLL_ZONE_AGENT_DRIVER_H

#include "proto/base/error.h"
#include "proto/model.h"

/* What the reconciler can ask for; the row of rules.def that asks for it is the step's `rule`. */
#define STEP_KINDS(X)                                                                                        \
    X(STEP_CREATE_DISK, "create the disk")                                                                   \
    X(STEP_MARK_DISK, "mark the disk with the replica set's id")                                             \
    X(STEP_UPDATE_DISK, "bring the disk's objects up to date")                                               \
    X(STEP_GROW_DISK, "grow the disk")                                                                       \
    X(STEP_CREATE_SERVICE, "create the Service")                                                             \
    X(STEP_UPDATE_SERVICE, "bring the Service up to date")                                                   \
    X(STEP_CREATE_CONTROLLER,                                                                                \
      "create the ReplicationController") /* with the intent's replicas and template */                      \
    X(STEP_UPDATE_CONTROLLER, "bring the ReplicationController up to date")                                  \
    X(STEP_UPDATE_SECRETS, "write the Secrets again")                                                        \
    X(STEP_SCALE_TO_ZERO, "set the ReplicationController to no pod")                                         \
    X(STEP_SCALE_TO_ONE, "set the ReplicationController to one pod")                                         \
    X(STEP_DELETE_CONTROLLER, "delete the ReplicationController")                                            \
    X(STEP_DELETE_SERVICE, "delete the Service")

enum step_kind {
#define X(name, text) name,
    STEP_KINDS(X)
#undef X
};

struct step {
    enum step_kind kind;
    int rule;
    const struct intent_member *member; /* valid during driver->perform alone, like these two */
    const char *key;                    /* of the member's certificate, PEM; a secret; "": none */
    const char *ca;                     /* whose certificates it believes, PEM; "": nobody's */
};

/* All that a zone holds, whether the intent names it or not. */
struct holdings {
    const struct member_holding *members;
    size_t member_count;
    struct problem zone_problem;
    const char *const *egress; /* CIDRs that the zone is seen to leave by */
    size_t egress_count;
    bool complete; /* false until the driver has seen the whole zone once; nothing is decided before */
};

/* Where the agent itself asks a member: the local route, which never leaves the zone. */
struct local_route {
    const char *host;     /* "127.0.1.129:27017"; "" when there is no running pod */
    uint64_t incarnation; /* another number whenever another process answers there */
};

struct driver_events {
    void *context;
    void (*changed)(void *context); /* the holdings are not what they were */
    /* Exactly once for each perform, never from within it. `err` NULL when it succeeded. */
    void (*step_done)(void *context, uint64_t step_id, const struct error *err);
};

struct driver {
    const struct driver_functions *functions;
};

struct driver_functions {
    const char *name;
    /* The intent from now on, valid until the next call; before `observe`, so that what differs from it can
     * be said. NULL: the driver doesn't compare. */
    void (*intend)(struct driver *driver, const struct intent *intent);
    /* The holdings now, copied into `arena`. */
    void (*observe)(struct driver *driver, struct arena *arena, struct holdings *out);
    /* Begins a step. The agent has at most one under way per member. */
    void (*perform)(struct driver *driver, const struct step *step, uint64_t step_id);
    void (*route)(struct driver *driver, const char *set, int ordinal, struct arena *arena,
                  struct local_route *out);
    /* Lets go of everything without touching the zone: pods go on running. The driver's memory goes when its
     * loop has closed its handles; then `closed` is called. */
    void (*close)(struct driver *driver, void (*closed)(void *context), void *context);
};

#endif
