/* Heartbeats: every member asks every other one each heartbeatIntervalMillis how it is. By them spread
 * liveness, terms, the primary's name, and newer configurations. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

enum {
    HEARTBEAT_RETRIES = 2
}; /* a failed heartbeat is repeated at once so often before the member counts as down */

static void install_from_heartbeat(struct sim *sim, const bson_t *doc);

static void heartbeat_body(struct sim *sim, bson_t *command)
{
    const struct replset *rs = &sim->rs;
    bson_append_utf8(command, "replSetHeartbeat", -1, sim->options.set_name, -1);
    bson_append_int64(command, "configVersion", -1, rs->config ? rs->config->version : -2);
    if (!sim_is_old(sim))
        bson_append_int64(command, "configTerm", -1, rs->config ? rs->config->term : -1);
    bson_append_int64(command, "hbv", -1, 1);
    bson_append_utf8(command, "from", -1, replset_own_host(sim), -1);
    bson_append_int64(command, "fromId", -1, rs->self >= 0 ? rs->config->members[rs->self].id : -1);
    bson_append_int64(command, "term", -1, rs->term);
    if (rs->primary >= 0)
        bson_append_int64(command, "primaryId", -1, rs->config->members[rs->primary].id);
    bson_append_int32(command, "$replData", -1,
                      1); /* the answer's metadata, with the replica set's id, is wanted */
}

static void view_down(struct sim *sim, int i, const char *why)
{
    struct member_view *v = &sim->rs.views[i];
    if (v->up)
        log_line("REPL", "%s is down: %s", sim->rs.config->members[i].host, why);
    v->up = false;
    v->state = STATE_DOWN;
    v->applied = v->durable = OPTIME_NULL;
    if (sim->options.server_version <
        5) /* since 4.4 it stays what was heard last, and counts for commitment: MemberData::setDownValues */
        v->config_version = v->config_term = -1;
    v->sync_source[0] = 0;
    snprintf(v->message, sizeof v->message, "%s", why);
    if (sim->rs.primary == i)
        replset_set_primary(sim, -1);
}

/* The state that a member tells decides who is primary, as far as its term is ours. */
static void note_primary(struct sim *sim, int i)
{
    struct replset *rs = &sim->rs;
    const struct member_view *v = &rs->views[i];
    if (v->state == STATE_PRIMARY && v->term == rs->term && rs->state != STATE_PRIMARY) {
        replset_set_primary(sim, i);
        replset_reset_election_timer(sim);
    } else if (rs->primary == i && v->state != STATE_PRIMARY) {
        replset_set_primary(sim, -1);
    }
}

static void view_update(struct sim *sim, int i, const bson_t *reply)
{
    struct member_view *v = &sim->rs.views[i];
    int64_t state = get_int(reply, "state", STATE_UNKNOWN);
    struct optime applied = get_optime(reply, "opTime"), durable = get_optime(reply, "durableOpTime");
    if (!v->up)
        v->up_since_ms = sim_now(sim);
    v->up = v->heard = true;
    v->failures = 0;
    v->contact_ms = sim_now(sim);
    v->state = state >= 0 && state <= STATE_REMOVED && *state_name((enum member_state)state)
                   ? (enum member_state)state
                   : STATE_UNKNOWN;
    v->term = get_int(reply, "term", -1);
    v->config_version = get_int(reply, "v", -1);
    v->config_term = get_int(reply, "configTerm", -1);
    bson_iter_t it;
    v->election_time = OPTIME_NULL;
    if (bson_iter_init_find(&it, reply, "electionTime") && BSON_ITER_HOLDS_TIMESTAMP(&it))
        bson_iter_timestamp(&it, &v->election_time.secs, &v->election_time.inc);
    /* a heartbeat's answer may be older than what the member said when it fetched */
    if (optime_compare(applied, v->applied) > 0 || v->state != STATE_SECONDARY)
        v->applied = applied;
    if (optime_compare(durable, v->durable) > 0 || v->state != STATE_SECONDARY)
        v->durable = durable;
    snprintf(v->sync_source, sizeof v->sync_source, "%s", get_text(reply, "syncingTo", ""));
    snprintf(v->message, sizeof v->message, "%s", get_text(reply, "hbmsg", ""));
    sim->progress = true;
}

/* A set of the same name can be another set: then nothing that it says is believed. */
static bool is_of_another_set(const struct sim *sim, const bson_t *reply, char why[], size_t size)
{
    const struct config *ours = sim->rs.config;
    bson_t metadata;
    bson_oid_t theirs;
    char our_text[25], their_text[25];
    if (!reply || !ours->has_id || !get_document(reply, "$replData", &metadata) ||
        !get_oid(&metadata, "replicaSetId", &theirs) || bson_oid_equal(&ours->id, &theirs))
        return false;
    bson_oid_to_string(&ours->id, our_text);
    bson_oid_to_string(&theirs, their_text);
    snprintf(why, size, "replica set IDs do not match, ours: %s; remote node's: %s", our_text, their_text);
    return true;
}

static void on_heartbeat(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct replset *rs = &sim->rs;
    bson_t config;
    if (arg->generation != rs->config_generation || sim->shutting_down)
        return;
    int i = config_find_id(rs->config, arg->id);
    if (i < 0 || i == rs->self)
        return;
    struct member_view *v = &rs->views[i];
    v->in_flight = false;
    v->due_ms = sim_now(sim) + replset_heartbeat_interval(sim);
    v->last_heartbeat_wall = wall_ms();
    char stranger[128];
    if (reply && !get_bool(reply, "ok", false))
        error = get_text(reply, "errmsg", "the heartbeat was refused");
    else if (is_of_another_set(sim, reply, stranger, sizeof stranger))
        error = stranger;
    if (error) {
        int64_t waited = sim_now(sim) - arg->started_ms;
        if (v->failures++ < HEARTBEAT_RETRIES && waited < rs->config->heartbeat_timeout_secs * 1000)
            v->due_ms = sim_now(sim) + 20;
        else
            view_down(sim, i, error);
        sim->progress = true;
        return;
    }
    v->ping_ms =
        (v->heard ? v->ping_ms * 4 + (sim_now(sim) - arg->started_ms) : sim_now(sim) - arg->started_ms) /
        (v->heard ? 5 : 1);
    view_update(sim, i, reply);
    int64_t term = get_int(reply, "term", -1);
    if (term > rs->term)
        replset_see_term(sim, term);
    note_primary(sim, i);
    if (get_document(reply, "config", &config))
        install_from_heartbeat(sim, &config);
}

static void heartbeat_send(struct sim *sim, int i)
{
    struct replset *rs = &sim->rs;
    bson_t command = BSON_INITIALIZER;
    struct call_arg arg = {.generation = rs->config_generation, .id = rs->config->members[i].id};
    rs->views[i].in_flight = true;
    heartbeat_body(sim, &command);
    peer_call(sim, LANE_HEARTBEAT, rs->config->members[i].host, &command,
              (int)rs->config->heartbeat_timeout_secs * 1000, on_heartbeat, &arg);
    bson_destroy(&command);
}

void heartbeat_turn(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    for (int i = 0; i < rs->config->count; i++) {
        struct member_view *v = &rs->views[i];
        if (i == rs->self || v->in_flight)
            continue;
        if (v->due_ms <= now)
            heartbeat_send(sim, i);
        else if (v->due_ms < *next)
            *next = v->due_ms;
    }
}

void heartbeat_restart(struct sim *sim)
{
    for (int i = 0; sim->rs.config && i < sim->rs.config->count; i++)
        sim->rs.views[i].due_ms = sim_now(sim);
    sim->progress = true;
}

/* A node without configuration asks the one that wrote to it. */
static void on_first_heartbeat(struct sim *sim, const struct call_arg *arg, const bson_t *reply,
                               const char *error)
{
    bson_t config;
    (void)arg;
    (void)error;
    if (reply && get_document(reply, "config", &config))
        install_from_heartbeat(sim, &config);
}

static void ask_for_config(struct sim *sim, const char *host)
{
    bson_t command = BSON_INITIALIZER;
    struct call_arg arg = {0};
    heartbeat_body(sim, &command);
    peer_call(sim, LANE_HEARTBEAT, host, &command, 10000, on_first_heartbeat, &arg);
    bson_destroy(&command);
}

static void on_self_found(struct sim *sim, int index, void *data)
{
    struct config *config = data;
    struct replset *rs = &sim->rs;
    bool uninitialized = !rs->config;
    if (rs->config_state == CONFIG_BY_HEARTBEAT)
        rs->config_state = uninitialized ? CONFIG_UNINITIALIZED : CONFIG_STEADY;
    else
        index = -2; /* somebody else was faster */
    /* SERVER-15740: a node that never had a configuration does not take one without itself */
    if (index == -2 || (uninitialized && index < 0) ||
        (rs->config &&
         config_compare(config->version, config->term, rs->config->version, rs->config->term) <= 0)) {
        config_release(config);
        return;
    }
    replset_install(sim, config, index);
}

static void install_from_heartbeat(struct sim *sim, const bson_t *doc)
{
    struct replset *rs = &sim->rs;
    struct config *config;
    struct error err = {0};
    if (rs->config_state != CONFIG_STEADY && rs->config_state != CONFIG_UNINITIALIZED)
        return;
    if (config_parse(doc, sim->options.server_version, &config, &err)) {
        log_line("REPL", "a heartbeat's configuration can't be read: %s", err.message);
        return;
    }
    bool newer = !rs->config ||
                 config_compare(config->version, config->term, rs->config->version, rs->config->term) > 0;
    if (!newer || strcmp(config->set_name, sim->options.set_name) != 0 || config_validate(config, &err) ||
        (rs->config && rs->config->has_id && config->has_id &&
         !bson_oid_equal(&rs->config->id, &config->id))) {
        config_release(config);
        return;
    }
    rs->config_state = CONFIG_BY_HEARTBEAT;
    self_find(sim, config, true, on_self_found, config);
}

/* Whether the sender is in our configuration, as itself: a stranger's term is none of ours. */
static bool is_known(const struct sim *sim, const bson_t *body)
{
    const struct replset *rs = &sim->rs;
    int i = rs->config ? config_find_id(rs->config, get_int(body, "fromId", -1)) : -1;
    return i >= 0 && i != rs->self && !strcmp(rs->config->members[i].host, get_text(body, "from", ""));
}

/* What the sender of a heartbeat tells about itself. */
static void note_sender(struct sim *sim, const bson_t *body)
{
    struct replset *rs = &sim->rs;
    const char *from = get_text(body, "from", "");
    int64_t version = get_int(body, "configVersion", get_int(body, "v", -2)),
            term = get_int(body, "configTerm", -1);
    if (!rs->config) {
        if (*from && version > -2 && rs->config_state == CONFIG_UNINITIALIZED)
            ask_for_config(sim, from);
        return;
    }
    int i = config_find_id(rs->config, get_int(body, "fromId", -1));
    bool known = is_known(sim, body);
    if (known) {
        rs->views[i].last_heartbeat_recv_wall = wall_ms();
        if (rs->views[i].up) {
            rs->views[i].config_version = version;
            rs->views[i].config_term = term;
            sim->progress = true;
        }
    }
    bool newer = config_compare(version, term, rs->config->version, rs->config->term) > 0;
    int64_t primary_id = get_int(body, "primaryId", -1);
    bool other_primary = known && primary_id == rs->config->members[i].id && rs->primary != i;
    if (known && (newer || other_primary || !rs->views[i].up)) {
        rs->views[i].due_ms = sim_now(sim);
        sim->progress = true;
    } else if (newer && *from) {
        ask_for_config(sim, from);
    }
}

static void heartbeat_reply(struct sim *sim, const bson_t *body, bson_t *out)
{
    const struct replset *rs = &sim->rs;
    bool old = sim_is_old(sim);
    if (rs->config &&
        config_compare(get_int(body, "configVersion", get_int(body, "v", -2)),
                       get_int(body, "configTerm", -1), rs->config->version, rs->config->term) < 0) {
        bson_t child;
        bson_append_document_begin(out, "config", -1, &child);
        config_write(rs->config, true, &child);
        bson_append_document_end(out, &child);
    }
    if (rs->state == STATE_PRIMARY)
        put_timestamp(out, "electionTime", rs->election_time);
    bson_append_int32(out, "state", -1, (int32_t)rs->state);
    bson_append_int32(out, "v", -1, rs->config ? (int32_t)rs->config->version : -2);
    if (!old)
        bson_append_int64(out, "configTerm", -1, rs->config ? rs->config->term : -1);
    bson_append_utf8(out, "hbmsg", -1, "", -1);
    bson_append_utf8(out, "set", -1, sim->options.set_name, -1);
    if (*sync_source_host(sim))
        bson_append_utf8(out, "syncingTo", -1, sync_source_host(sim), -1);
    if (rs->config) {
        bson_append_int64(out, "term", -1, rs->term);
        bson_append_int64(out, "primaryId", -1, rs->primary >= 0 ? rs->config->members[rs->primary].id : -1);
    }
    put_optime(out, "durableOpTime",
               sim->oplog.syncing ? OPTIME_NULL : sim->oplog.durable); /* a half copy counts for nothing */
    put_optime(out, "opTime", sim->oplog.last);
    if (get_bool(body, "checkEmpty", false))
        bson_append_bool(out, "hasData", -1, !documents_empty(&sim->oplog.docs) || sim->oplog.count > 0);
    if (bson_has_field(body, "checkEmpty") && rs->config &&
        rs->config->has_id) /* the server's is in the message's metadata */
        bson_append_oid(out, "replicaSetId", -1, &rs->config->id);
    if (bson_has_field(body, "$replData") && rs->config && rs->config->has_id) {
        bson_t metadata;
        bson_append_document_begin(out, "$replData", -1, &metadata);
        bson_append_oid(&metadata, "replicaSetId", -1, &rs->config->id);
        bson_append_document_end(out, &metadata);
    }
}

void heartbeat_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    const char *set = get_text(body, "replSetHeartbeat", "");
    if (sim->rs.config_state == CONFIG_STARTING) {
        request_fail(request, CODE_NOT_YET_INITIALIZED,
                     "Received heartbeat while still initializing replication system");
        return;
    }
    if (strcmp(set, sim->options.set_name) != 0) {
        request_fail(request, CODE_INCONSISTENT_NAMES,
                     "Our set name of %s does not match name %s reported by remote node",
                     sim->options.set_name, set);
        return;
    }
    if (get_int(body, "fromId", -1) >= 0)
        request_is_internal(request);
    int64_t term = get_int(body, "term", -1);
    if (is_known(sim, body) && term > sim->rs.term)
        replset_see_term(sim, term);
    note_sender(sim, body);
    bson_t out = BSON_INITIALIZER;
    heartbeat_reply(sim, body, &out);
    request_reply(request, &out);
    bson_destroy(&out);
}
