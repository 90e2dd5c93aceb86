/* The whole stand-in as one value. Each part below is described in its own header. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "auth.h"
#include "config.h"
#include "oplog.h"
#include "options.h"
#include "peers.h"
#include "replset.h"
#include "server.h"
#include "storage.h"
#include "sync.h"
#include "tls.h"
#include "util.h"
#include "waiters.h"

#include <uv.h>

struct sim {
    struct options options;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    uv_signal_t signals[2];
    struct server server;
    struct peers peers;
    struct storage storage;
    struct oplog oplog;
    struct replset rs;
    struct sync sync;
    struct waiters waiters;
    bool auth_on; /* there is a keyfile: who did not log in may do next to nothing */
    struct keyfile keyfile;
    struct tls tls;
    bson_oid_t instance_id; /* what _isSelf tells */
    bson_oid_t process_id;  /* topologyVersion's */
    int64_t started_wall_ms;
    int32_t next_request_id;
    uint64_t random_state;
    bool progress;     /* something changed that a waiter may wait for */
    bool peers_broken; /* a link is to be taken down */
    bool serve_again;  /* a client's next request may wait */
    bool shutting_down;
};

static inline int64_t sim_now(const struct sim *sim)
{
    return (int64_t)uv_now(&sim->loop);
}

static inline bool sim_is_old(const struct sim *sim)
{
    return sim->options.server_version < 5;
}

/* A number from 0 to below `limit`. */
uint64_t sim_random(struct sim *sim, uint64_t limit);
/* Everything that is due, once around: sync the journal, heartbeats, elections, replication, waiters; sets
 * the timer. */
void sim_turn(struct sim *sim);
/* A clean end: a primary steps down first. */
void sim_shutdown(struct sim *sim);

#endif
