/* replSetInitiate: the birth of a set.
 * https://www.mongodb.com/docs/manual/reference/command/replSetInitiate/ */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct initiation {
    struct request *request;
    struct config *config;
    int self;
};

static void initiation_end(struct sim *sim, struct initiation *in, const struct error *err)
{
    if (err && sim->rs.config_state == CONFIG_INITIATING)
        sim->rs.config_state = CONFIG_UNINITIALIZED;
    if (err) {
        log_line("REPL", "replSetInitiate refused: %s", err->message);
        request_fail_error(in->request, err);
        config_release(in->config);
    } else {
        request_reply(in->request, NULL);
    }
    free(in);
}

static void on_quorum(struct sim *sim, const struct error *err, void *data)
{
    struct initiation *in = data;
    struct replset *rs = &sim->rs;
    if (err) {
        initiation_end(sim, in, err);
        return;
    }
    rs->term = -1; /* the entry of an initiation has none */
    replset_write_note(sim, "initiating set");
    rs->term = 0;
    replset_install(sim, in->config, in->self);
    rs->term = rs->term > 0 ? rs->term : 0;
    initiation_end(sim, in, NULL);
}

static void on_self(struct sim *sim, int self, void *data)
{
    struct initiation *in = data;
    struct error err = {0};
    char name[80];
    bool old = sim_is_old(sim);
    if (self < 0)
        fail(&err, CODE_INVALID_CONFIG,
             "No host described in new configuration %s%s for replica set %s maps to this node",
             old ? "" : "with ", config_name(in->config, name, sizeof name), in->config->set_name);
    else if (member_priority(&in->config->members[self]) <= 0)
        fail(&err, CODE_INVALID_CONFIG,
             "This node, %s, with _id %lld is not electable under the new configuration %s%s for replica set "
             "%s",
             in->config->members[self].host, (long long)in->config->members[self].id,
             old ? "version " : "with ", config_name(in->config, name, sizeof name), in->config->set_name);
    if (err.detail) {
        initiation_end(sim, in, &err);
        return;
    }
    in->self = self;
    quorum_check(sim, in->config, self, on_quorum, in);
}

/* replSetInitiate without a document, or with an empty one: a set of this node alone, under its own name. */
static void default_config(struct sim *sim, bson_t *out)
{
    bson_t members, member;
    char host[400], address[256];
    strncpy(address, sim->options.bind_ip, sizeof address - 1);
    address[sizeof address - 1] = 0;
    address[strcspn(address, ",")] = 0;
    snprintf(host, sizeof host, "%s:%d", strcmp(address, "*") ? address : "localhost", sim->options.port);
    bson_append_utf8(out, "_id", -1, sim->options.set_name, -1);
    bson_append_int32(out, "version", -1, 1);
    bson_append_array_begin(out, "members", -1, &members);
    bson_append_document_begin(&members, "0", -1, &member);
    bson_append_int32(&member, "_id", -1, 0);
    bson_append_utf8(&member, "host", -1, host, -1);
    bson_append_document_end(&members, &member);
    bson_append_array_end(out, &members);
}

static int read_config(struct sim *sim, const bson_t *body, struct config **out, struct error *err)
{
    bson_t doc, filled = BSON_INITIALIZER;
    bool given = get_document(body, "replSetInitiate", &doc) && !bson_empty(&doc);
    if (!given)
        default_config(sim, &filled);
    int rc = config_parse(given ? &doc : &filled, sim->options.server_version, out, err);
    bson_destroy(&filled);
    if (rc) {
        err->detail = CODE_INVALID_CONFIG;
        return -1;
    }
    struct config *c = *out;
    if (strcmp(c->set_name, sim->options.set_name) != 0)
        rc = fail(err, CODE_INVALID_CONFIG,
                  "Attempting to initiate a replica set with name %s, but command line reports %s; rejecting",
                  c->set_name, sim->options.set_name);
    else if (c->has_id)
        rc = fail(err, CODE_INVALID_CONFIG,
                  "replica set configuration cannot contain 'replicaSetId' field when "
                  "called from replSetInitiate");
    else if (c->version != 1)
        rc = fail(err, CODE_INVALID_CONFIG,
                  "Configuration used to initiate a replica set must  have version 1, but found %lld",
                  (long long)c->version);
    else if ((rc = config_validate(c, err)) != 0)
        err->detail = CODE_INVALID_CONFIG; /* the server gives every failure here this one code */
    if (rc)
        config_release(c);
    return rc;
}

void initiate_command(struct request *request)
{
    struct sim *sim = request->sim;
    struct config *config;
    struct error err = {0};
    if (sim->rs.config_state != CONFIG_UNINITIALIZED) {
        request_fail(request, CODE_ALREADY_INITIALIZED, "already initialized");
        return;
    }
    if (read_config(sim, &request->message.body, &config, &err)) {
        request_fail_error(request, &err);
        return;
    }
    if (!sim_is_old(sim))
        config->term = 0; /* before the first election */
    bson_oid_init(&config->id, NULL);
    config->has_id = true;
    sim->rs.config_state = CONFIG_INITIATING;
    struct initiation *in = xcalloc(1, sizeof *in);
    *in = (struct initiation){request, config, -1};
    self_find(sim, config, false, on_self, in);
}
