/* A mongod finds itself in a configuration by dialling each of its hosts and comparing who answers: behind a
 * load balancer no list of own addresses would help. */
#include "sim.h"

#include <stdlib.h>

enum { SELF_TIMEOUT_MS = 30000 };

struct self_search {
    const struct config *config; /* one reference */
    int waiting;
    bool told;
    self_done *done;
    void *data;
};

static void tell(struct sim *sim, struct self_search *s, int index)
{
    if (s->told)
        return;
    s->told = true;
    if (!sim->shutting_down)
        s->done(sim, index, s->data);
    else
        s->done(sim, -1, s->data);
}

static void on_is_self(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct self_search *s = arg->data;
    bson_oid_t id;
    (void)error;
    s->waiting--;
    if (reply && get_oid(reply, "id", &id) && bson_oid_equal(&id, &sim->instance_id))
        tell(sim, s, (int)arg->id);
    if (s->waiting > 0)
        return;
    tell(sim, s, -1);
    config_release((struct config *)s->config);
    free(s);
}

void self_find(struct sim *sim, const struct config *config, bool quick, self_done *done, void *data)
{
    int own = *replset_own_host(sim) ? config_find_host(config, replset_own_host(sim)) : -1;
    if (quick && own >= 0) { /* the same host as before: nothing to dial for */
        done(sim, own, data);
        return;
    }
    struct self_search *s = xcalloc(1, sizeof *s);
    bson_t command = BSON_INITIALIZER;
    *s =
        (struct self_search){.config = config_reference((struct config *)config), .done = done, .data = data};
    s->waiting = config->count;
    bson_append_int32(&command, "_isSelf", -1, 1);
    for (int i = 0; i < config->count; i++) {
        struct call_arg arg = {.id = i, .data = s};
        peer_call(sim, LANE_CHECK, config->members[i].host, &command, SELF_TIMEOUT_MS, on_is_self, &arg);
    }
    bson_destroy(&command);
}
