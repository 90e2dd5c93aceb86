/* The calling side: commands to other members over connections that stay open. */
#ifndef SIM_PEERS_H
#define SIM_PEERS_H

#include <bson/bson.h>
#include <stdint.h>

struct sim;
struct link;

enum {
    PEER_LINKS_MAX = 512,
    PEER_CALLS_MAX = 64, /* waiting on one link */
    PEER_HOST_MAX = 300,
    PEER_IDLE_MS = 60000, /* an unused link is closed after that */
};

/* What a link is for. Calls on one link are answered in order, so that a long poll needs one of its own. */
enum peer_lane { LANE_HEARTBEAT, LANE_SYNC, LANE_CHECK };

struct peers {
    struct link *links;
    int link_count;
    int32_t next_request_id;
};

/* What a call carries to its `done`: ids that tell whether the asker still wants the answer, and a value of
 * its own. */
struct call_arg {
    uint64_t generation;
    int64_t id;
    int64_t started_ms;
    void *data;
};

/* `reply` is NULL when nobody answered, and then `error` says why. A reply may still say ok: 0. */
typedef void peer_done(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error);

/* Sends `command` to db admin at `host` ("ADDRESS:PORT"). `done` is called exactly once, never from inside
 * this call. */
void peer_call(struct sim *sim, enum peer_lane lane, const char *host, const bson_t *command, int timeout_ms,
               peer_done *done, const struct call_arg *arg);

/* Ends the calls whose time is up. Gives the next moment (of uv_now) at which it has something to do, or
 * INT64_MAX. */
int64_t peers_expire(struct sim *sim, int64_t now_ms);
/* Closes all links; calls under way end with an error. */
void peers_close(struct sim *sim);

#endif
