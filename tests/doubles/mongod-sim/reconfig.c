/* replSetReconfig: the step from one configuration to the next.
 * https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/ */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct reconfig {
    struct request *request; /* NULL: the node's own */
    struct config *config;
    int self;
    bool force;
    int64_t deadline_ms;   /* maxTimeMS */
    int64_t version, term; /* what was installed */
    bool phase_b;
};

static void reconfig_end(struct reconfig *r, const struct error *err)
{
    if (r->request && err) {
        log_line("REPL", "replSetReconfig refused: %s", err->message);
        request_fail_error(r->request, err);
    } else if (r->request) {
        request_reply(r->request, NULL);
    } else if (err) {
        log_line("REPL", "automatic reconfiguration: %s", err->message);
    }
    config_release(r->config);
    free(r);
}

static void reconfig_fail(struct sim *sim, struct reconfig *r, const struct error *err)
{
    if (sim->rs.config_state == CONFIG_RECONFIGURING)
        sim->rs.config_state = CONFIG_STEADY;
    sim->progress = true;
    reconfig_end(r, err);
}

/* 4.0 tells a state by its name; later versions mark every refusal before the installation as such. */
static int not_primary(const struct sim *sim, struct error *err)
{
    if (sim_is_old(sim))
        return fail(err, CODE_NOT_PRIMARY,
                    "replSetReconfig should only be run on PRIMARY, but my state is %s; use the \"force\" "
                    "argument to override",
                    state_name(sim->rs.state));
    return fail(
        err, CODE_NOT_PRIMARY,
        "New config is rejected :: caused by :: replSetReconfig should only be run on a writable PRIMARY. "
        "Current state %s",
        state_name(sim->rs.state));
}

/* ---- phase B: a majority of the new configuration has it ---- */

static bool installed_ready(struct sim *sim, void *data)
{
    const struct reconfig *r = data;
    const struct config *c = sim->rs.config;
    return c->version != r->version || c->term != r->term || replset_config_committed(sim);
}

static void installed_end(struct sim *sim, void *data, enum wait_end why)
{
    struct reconfig *r = data;
    struct error err = {0};
    (void)sim;
    if (why == WAIT_TIMEOUT)
        fail(&err, CODE_MAX_TIME_EXPIRED,
             "Reconfig finished but failed to propagate to a majority :: caused by :: operation exceeded "
             "time limit");
    else if (why != WAIT_READY)
        fail(&err, CODE_STEPPED_DOWN,
             "Reconfig finished but failed to propagate to a majority :: caused by :: Primary stepped down");
    reconfig_end(r, why == WAIT_READY ? NULL : &err);
}

static void install(struct sim *sim, struct reconfig *r)
{
    struct replset *rs = &sim->rs;
    struct config *config = r->config;
    bool primary = rs->state == STATE_PRIMARY;
    r->config = NULL;
    r->version = config->version;
    r->term = config->term;
    replset_install(sim, config, r->self);
    if (primary && rs->state == STATE_PRIMARY)
        replset_write_note(sim, "Reconfig set");
    if (sim_is_old(sim) || r->force)
        reconfig_end(r, NULL);
    else
        wait_for(sim, r->deadline_ms, true, installed_ready, installed_end, r);
}

static void on_quorum(struct sim *sim, const struct error *err, void *data)
{
    struct reconfig *r = data;
    struct error late = {0};
    if (!err && !r->force && sim->rs.state != STATE_PRIMARY && not_primary(sim, &late))
        err = &late;
    if (err)
        reconfig_fail(sim, r, err);
    else
        install(sim, r);
}

static void on_self(struct sim *sim, int self, void *data)
{
    struct reconfig *r = data;
    struct error err = {0};
    char name[80];
    bool old = sim_is_old(sim);
    if (self < 0)
        fail(&err, old ? CODE_CONFIG_INCOMPATIBLE : CODE_NODE_NOT_FOUND,
             "No host described in new configuration %s%s for replica set %s maps to this node",
             old ? "" : "with ", config_name(r->config, name, sizeof name), r->config->set_name);
    else if (!r->force && member_priority(&r->config->members[self]) <= 0)
        fail(&err, old ? CODE_CONFIG_INCOMPATIBLE : CODE_NODE_NOT_ELECTABLE,
             "This node, %s, with _id %lld is not electable under the new configuration %s%s for replica set "
             "%s",
             r->config->members[self].host, (long long)r->config->members[self].id,
             old ? "version " : "with ", config_name(r->config, name, sizeof name), r->config->set_name);
    if (err.detail) {
        reconfig_fail(sim, r, &err);
        return;
    }
    r->self = self;
    if (r->force)
        install(sim, r);
    else
        quorum_check(sim, r->config, self, on_quorum, r);
}

/* A new voter is marked newlyAdded and gets its vote when it has synced (5.0+). Known _ids are left as they
 * were. */
static void mark_new_voters(const struct config *old, struct config *new)
{
    for (int i = 0; i < new->count; i++) {
        int j = config_find_id(old, new->members[i].id);
        if (j < 0)
            new->members[i].newly_added = new->members[i].votes > 0 && !new->members[i].arbiter;
        else
            new->members[i].newly_added = old->members[j].newly_added;
    }
}

static int prepare(struct sim *sim, struct reconfig *r, struct error *err)
{
    struct replset *rs = &sim->rs;
    struct config *new = r->config, *old = rs->config;
    if (strcmp(new->set_name, sim->options.set_name) != 0)
        return fail(
            err, CODE_INVALID_CONFIG,
            "Attempting to reconfigure a replica set with name %s, but command line reports %s; rejecting",
            new->set_name, sim->options.set_name);
    if (!new->has_id && old->has_id) { /* filled in, like by the server */
        new->id = old->id;
        new->has_id = true;
    }
    new->term = r->force || sim_is_old(sim) ? -1 : rs->term;
    if (r->force) {
        int64_t base = new->version > old->version ? new->version : old->version;
        new->version = base + 10000 + (int64_t)sim_random(sim, 90000);
    }
    if (config_validate(new, err) || config_compatible(old, new, r->force, err)) {
        err->detail = CODE_CONFIG_INCOMPATIBLE; /* the server gives every failure here this one code */
        return -1;
    }
    if (!sim_is_old(sim) && !r->force && r->request)
        mark_new_voters(old, new);
    return 0;
}

static void begin(struct sim *sim, struct reconfig *r)
{
    struct error err = {0};
    if (sim->rs.config_state != CONFIG_STEADY) {
        fail(&err, CODE_CONFIG_IN_PROGRESS,
             "Cannot run replSetReconfig because the node is currently updating its configuration");
        reconfig_end(r, &err);
        return;
    }
    if (prepare(sim, r, &err)) {
        reconfig_end(r, &err);
        return;
    }
    sim->rs.config_state = CONFIG_RECONFIGURING;
    self_find(sim, r->config, true, on_self, r);
}

/* ---- phase A: the configuration in force is committed, and so is what was acknowledged under the one before
 * ---- */

static bool current_ready(struct sim *sim, void *data)
{
    const struct replset *rs = &sim->rs;
    (void)data;
    if (rs->config->term < 0) /* a forced one: not waited for */
        return true;
    return replset_config_committed(sim) && rs->committed.term == rs->term;
}

static void current_end(struct sim *sim, void *data, enum wait_end why)
{
    struct reconfig *r = data;
    struct error err = {0};
    char name[80];
    if (why == WAIT_READY && sim->rs.state == STATE_PRIMARY) {
        begin(sim, r);
        return;
    }
    if (why == WAIT_TIMEOUT)
        fail(&err, CODE_CONFIG_NOT_COMMITTED,
             "New config is rejected :: caused by :: Current config with %s has not been committed yet: "
             "operation exceeded "
             "time limit",
             config_name(sim->rs.config, name, sizeof name));
    else
        not_primary(sim, &err);
    reconfig_end(r, &err);
}

void reconfig_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    struct error err = {0};
    struct config *config;
    bson_t doc;
    bool force = get_bool(body, "force", false);
    if (!sim->rs.config || sim->rs.config_state == CONFIG_STARTING) {
        request_fail(request, CODE_NOT_YET_INITIALIZED,
                     "Node not yet initialized; use the replSetInitiate command");
        return;
    }
    if (!get_document(body, "replSetReconfig", &doc)) {
        request_fail(request, CODE_INTERNAL, "no configuration specified");
        return;
    }
    if (!force && sim->rs.state != STATE_PRIMARY) {
        not_primary(sim, &err);
        request_fail_error(request, &err);
        return;
    }
    if (config_parse(&doc, sim->options.server_version, &config, &err)) {
        err.detail = CODE_INVALID_CONFIG;
        request_fail_error(request, &err);
        return;
    }
    struct reconfig *r = xcalloc(1, sizeof *r);
    int64_t limit = get_int(body, "maxTimeMS", 0);
    *r = (struct reconfig){.request = request,
                           .config = config,
                           .self = -1,
                           .force = force,
                           .deadline_ms = limit > 0 ? sim_now(sim) + limit : INT64_MAX};
    if (force || sim_is_old(sim))
        begin(sim, r);
    else
        wait_for(sim, r->deadline_ms, true, current_ready, current_end, r);
}

/* The primary lifts newlyAdded from one member that has synced, by a reconfiguration of its own. */
void reconfig_turn(struct sim *sim, int64_t now)
{
    struct replset *rs = &sim->rs;
    if (sim_is_old(sim) || rs->config_state != CONFIG_STEADY || !replset_config_committed(sim) ||
        rs->committed.term != rs->term)
        return;
    for (int i = 0; i < rs->config->count; i++) {
        const struct member_view *v = &rs->views[i];
        if (!rs->config->members[i].newly_added || !v->up || v->state != STATE_SECONDARY)
            continue;
        struct reconfig *r = xcalloc(1, sizeof *r);
        *r = (struct reconfig){
            .config = config_copy(rs->config), .self = rs->self, .deadline_ms = now + 60000};
        r->config->members[i].newly_added = false;
        r->config->version++;
        log_line("REPL", "%s has synced and gets its vote", rs->config->members[i].host);
        begin(sim, r);
        return;
    }
}
