/* replSetGetStatus and replSetGetConfig: this node's view of the set.
 * https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/ */
#include "commands.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

static const char NO_CONFIG[] = "no replset config has been received";

static void put_sync_source(const struct sim *sim, bson_t *out, const char *host)
{
    int i = *host ? config_find_host(sim->rs.config, host) : -1;
    if (sim_is_old(sim))
        bson_append_utf8(out, "syncingTo", -1, host, -1);
    bson_append_utf8(out, "syncSourceHost", -1, host, -1);
    bson_append_int32(out, "syncSourceId", -1, i >= 0 ? (int32_t)sim->rs.config->members[i].id : -1);
}

static void put_optimes(const struct sim *sim, bson_t *out)
{
    bson_t child;
    struct optime committed = sim->rs.committed;
    bool old = sim_is_old(sim);
    bson_append_document_begin(out, "optimes", -1, &child);
    put_optime(&child, "lastCommittedOpTime", committed);
    if (!old)
        put_host_optime_date(&child, "lastCommittedWallTime", committed);
    if (!optime_is_null(committed))
        put_optime(&child, "readConcernMajorityOpTime", committed);
    put_optime(&child, "appliedOpTime", sim->oplog.last);
    put_optime(&child, "durableOpTime", sim->oplog.durable);
    if (!old) {
        put_host_optime_date(&child, "lastAppliedWallTime", sim->oplog.last);
        put_host_optime_date(&child, "lastDurableWallTime", sim->oplog.durable);
    }
    bson_append_document_end(out, &child);
}

static void put_config_of(const struct sim *sim, bson_t *out, int64_t version, int64_t term)
{
    bson_append_int32(out, "configVersion", -1, (int32_t)version);
    if (!sim_is_old(sim))
        bson_append_int64(out, "configTerm", -1, term);
}

static void put_election(bson_t *out, struct optime t)
{
    put_timestamp(out, "electionTime", t);
    put_host_optime_date(out, "electionDate", t);
}

static void put_self(const struct sim *sim, bson_t *out)
{
    const struct replset *rs = &sim->rs;
    bool data = !rs->config->members[rs->self].arbiter;
    bson_append_int32(out, "uptime", -1, (int32_t)((wall_ms() - sim->started_wall_ms) / 1000));
    if (data) {
        put_optime(out, "optime", sim->oplog.last);
        put_host_optime_date(out, "optimeDate", sim->oplog.last);
        if (!sim_is_old(sim)) {
            put_host_optime_date(out, "lastAppliedWallTime", sim->oplog.last);
            put_host_optime_date(out, "lastDurableWallTime", sim->oplog.durable);
        }
    }
    put_sync_source(sim, out, sync_source_host(sim));
    bson_append_utf8(out, "infoMessage", -1,
                     *sync_source_host(sim) ? "" : "could not find member to sync from", -1);
    if (rs->state == STATE_PRIMARY)
        put_election(out, rs->election_time);
    put_config_of(sim, out, rs->config->version, rs->config->term);
    bson_append_bool(out, "self", -1, true);
    bson_append_utf8(out, "lastHeartbeatMessage", -1, "", -1);
}

static void put_other(const struct sim *sim, bson_t *out, int i)
{
    const struct member_view *v = &sim->rs.views[i];
    bson_append_int32(out, "uptime", -1, v->up ? (int32_t)((sim_now(sim) - v->up_since_ms) / 1000) : 0);
    if (!sim->rs.config->members[i].arbiter) {
        put_optime(out, "optime", v->applied);
        put_optime(out, "optimeDurable", v->durable);
        put_host_optime_date(out, "optimeDate", v->applied);
        put_host_optime_date(out, "optimeDurableDate", v->durable);
        if (!sim_is_old(sim)) {
            put_host_optime_date(out, "lastAppliedWallTime", v->applied);
            put_host_optime_date(out, "lastDurableWallTime", v->durable);
        }
    }
    bson_append_date_time(out, "lastHeartbeat", -1, v->last_heartbeat_wall);
    bson_append_date_time(out, "lastHeartbeatRecv", -1, v->last_heartbeat_recv_wall);
    bson_append_int64(out, "pingMs", -1, v->ping_ms);
    bson_append_utf8(out, "lastHeartbeatMessage", -1, v->message, -1);
    put_sync_source(sim, out, v->sync_source);
    bson_append_utf8(out, "infoMessage", -1, "", -1);
    if (v->up && v->state == STATE_PRIMARY)
        put_election(out, v->election_time);
    put_config_of(sim, out, v->config_version, v->config_term);
}

static void put_members(const struct sim *sim, bson_t *out)
{
    const struct replset *rs = &sim->rs;
    bson_t array, member;
    bson_append_array_begin(out, "members", -1, &array);
    for (int i = 0; i < rs->config->count; i++) {
        char key[16];
        bool self = i == rs->self, up = self || rs->views[i].up;
        enum member_state state = self ? rs->state : rs->views[i].state;
        snprintf(key, sizeof key, "%d", i);
        bson_append_document_begin(&array, key, -1, &member);
        bson_append_int32(&member, "_id", -1, (int32_t)rs->config->members[i].id);
        bson_append_utf8(&member, "name", -1, rs->config->members[i].host, -1);
        bson_append_double(&member, "health", -1, up ? 1.0 : 0.0);
        bson_append_int32(&member, "state", -1, (int32_t)state);
        bson_append_utf8(&member, "stateStr", -1,
                         state == STATE_DOWN ? "(not reachable/healthy)" : state_name(state), -1);
        if (self)
            put_self(sim, &member);
        else
            put_other(sim, &member, i);
        bson_append_document_end(&array, &member);
    }
    bson_append_array_end(out, &array);
}

void get_status_command(struct request *request)
{
    struct sim *sim = request->sim;
    const struct replset *rs = &sim->rs;
    bool old = sim_is_old(sim);
    if (!rs->config || rs->config_state == CONFIG_STARTING) {
        request_fail(request, CODE_NOT_YET_INITIALIZED, "%s", NO_CONFIG);
        return;
    }
    if (rs->self < 0) {
        request_fail(request, CODE_INVALID_CONFIG,
                     "Our replica set config is invalid or we are not a member of it");
        return;
    }
    bson_t out = BSON_INITIALIZER;
    bson_append_utf8(&out, "set", -1, rs->config->set_name, -1);
    bson_append_date_time(&out, "date", -1, wall_ms());
    bson_append_int32(&out, "myState", -1, (int32_t)rs->state);
    bson_append_int64(&out, "term", -1, rs->term);
    put_sync_source(sim, &out, sync_source_host(sim));
    bson_append_int64(&out, "heartbeatIntervalMillis", -1, rs->config->heartbeat_interval_ms);
    if (!old) {
        bson_append_int32(&out, "majorityVoteCount", -1, config_majority(rs->config));
        bson_append_int32(&out, "writeMajorityCount", -1, config_write_majority(rs->config));
        bson_append_int32(&out, "votingMembersCount", -1, config_voters(rs->config));
        bson_append_int32(&out, "writableVotingMembersCount", -1, config_writable_voters(rs->config));
    }
    put_optimes(sim, &out);
    put_timestamp(&out, old ? "lastStableCheckpointTimestamp" : "lastStableRecoveryTimestamp", rs->committed);
    put_members(sim, &out);
    request_reply(request, &out);
    bson_destroy(&out);
}

void get_config_command(struct request *request)
{
    struct sim *sim = request->sim;
    const struct replset *rs = &sim->rs;
    const bson_t *body = &request->message.body;
    if (!rs->config || rs->config_state == CONFIG_STARTING) {
        request_fail(request, CODE_NOT_YET_INITIALIZED, "%s", NO_CONFIG);
        return;
    }
    bool commitment = !sim_is_old(sim) && get_bool(body, "commitmentStatus", false);
    if (commitment && rs->state != STATE_PRIMARY) {
        request_fail(request, CODE_NOT_PRIMARY, "commitmentStatus is only supported on primary.");
        return;
    }
    bson_t out = BSON_INITIALIZER, child;
    bson_append_document_begin(&out, "config", -1, &child);
    config_write(rs->config, false, &child);
    bson_append_document_end(&out, &child);
    if (commitment)
        bson_append_bool(&out, "commitmentStatus", -1,
                         replset_config_committed(sim) &&
                             (rs->config->term < 0 || rs->committed.term == rs->term));
    request_reply(request, &out);
    bson_destroy(&out);
}
