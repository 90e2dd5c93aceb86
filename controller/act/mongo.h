/* What the controller tells MongoDB to do: one action at a time and set, off the loop, its result by
 * callback. The planner decides; nothing here does. */
#ifndef ATOLL_CONTROLLER_ACT_MONGO_H
#define ATOLL_CONTROLLER_ACT_MONGO_H

#include "controller/decide/plan.h"

struct uv_loop_s;

enum {
    MONGO_CONNECT_TIMEOUT_MS = 3000,    /* to dial and to say hello */
    MONGO_READ_TIMEOUT_MS = 3000,       /* replSetGetConfig */
    MONGO_COMMAND_TIMEOUT_MS = 6000,    /* replSetInitiate, replSetReconfig */
    MONGO_STEP_DOWN_TIMEOUT_MS = 14000, /* more than secondaryCatchUpPeriodSecs */
    MONGO_QUEUE_MAX_MS = 15000,         /* an action that found no worker for so long is not begun any more */
    MONGO_ACTION_LOST_MS = 60000,       /* more than all of these together: by then no worker is at it */
    MONGO_WORKERS = 16,
};

struct mongo_result {
    uint64_t id; /* of the request */
    bool succeeded;
    int code;            /* MongoDB's, or 0 */
    const char *message; /* of the failure, for people; "" */
    bool sent; /* the command may have reached the server: its effect may be there although it failed */
    /* Read back afterwards from the same node; version 0: it couldn't be. */
    struct replica_config config;
    bool config_committed, knows_commitment;
};

struct mongo {
    const struct mongo_functions *functions;
};

/* With what nodes are dialled; secrets, copied and cleared after use. */
struct mongo_login {
    const char *password;       /* of __system: a key of the keyfile; NULL: no authentication */
    const char *admin_password; /* ACTION_MAKE_ADMIN */
    bool tls;                   /* the node speaks TLS, with a certificate that bears the address */
};

struct mongo_functions {
    /* Begins an action; everything is copied. The result comes exactly once, never from within this call,
     * unless -1 was returned. */
    int (*start)(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                 const struct mongo_login *login, struct error *err);
};

/* The real one: workers of the loop's thread pool. `done` is called on the loop; the result's values live
 * during the call. `ca_file`: the CAs whose certificates nodes may show; read anew for each action. */
int mongo_pool_create(struct uv_loop_s *loop, const char *ca_file,
                      void (*done)(void *context, const struct mongo_result *result), void *context,
                      struct mongo **out, struct error *err);

/* No callback comes any more; the memory goes when the last worker has ended (run the loop until it has
 * nothing left). */
void mongo_pool_close(struct mongo *mongo);

#endif
