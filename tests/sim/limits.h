/* How large a simulated world can be, and whoever waits for a turn in it. */
#ifndef ATOLL_SIM_LIMITS_H
#define ATOLL_SIM_LIMITS_H

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

#endif
