/* Asks the zone's own members, by the local route: one MongoDB client per member, kept open, on a worker
 * thread because it blocks. Only this file's .c names mongo-c-driver. */
#ifndef ATOLL_ZONE_AGENT_PROBE_H
#define ATOLL_ZONE_AGENT_PROBE_H

#include <uv.h>

#include "zone-agent/agent.h"

enum {
    PROBE_TIMEOUT_MS = 1000, /* of connecting, and of each command */
    PROBE_CONFIG_REFRESH_MS =
        30000,               /* the configuration is asked for again when it changed, and once in a while */
    PROBE_FORGET_MS = 30000, /* a member that was not asked for so long loses its client */
};

struct probe;

/* `done` gives each answer once, from the loop; it takes over `arena`, in which the view lives. */
struct probe_events {
    void *context;
    void (*done)(void *context, uint64_t id, struct arena *arena, const struct mongod_view *view);
};

/* `ca_file`: whose members' certificates are believed. The certificate need not bear the local route: pods'
 * addresses come and go, and that route never leaves the zone. */
struct probe *probe_create(uv_loop_t *loop, const char *ca_file, const struct clock *clock,
                           const struct probe_events *events, struct error *err);

/* Asks one member. While it is still being asked by an earlier call the answer is MONGOD_SILENT. */
void probe_ask(struct probe *probe, uint64_t id, const struct agent_probe *what);

/* No more events; the memory goes when what is under way has ended (some seconds at most): run the loop until
 * it has nothing left. NULL is tolerated. */
void probe_destroy(struct probe *probe);

#endif
