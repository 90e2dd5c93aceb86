/* hello and isMaster, also as a long poll (4.4+): with the client's topologyVersion it waits for a change.
 * https://github.com/mongodb/specifications/blob/master/source/server-discovery-and-monitoring/server-monitoring.md
 */
#include "auth.h"
#include "commands.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELLO_AWAIT_MAX_MS = 600000 };

struct hello_wait {
    struct request *request;
    int64_t counter;
};

static void put_hosts(const struct config *c, bson_t *out, const char *key, int kind)
{
    bson_t array;
    char index[16];
    int n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < c->count; i++) {
            const struct member_config *m = &c->members[i];
            int is = m->hidden || m->delay_secs ? -1 : m->arbiter ? 2 : member_priority(m) > 0 ? 0 : 1;
            if (is != kind)
                continue;
            if (pass) {
                snprintf(index, sizeof index, "%d", n);
                bson_append_utf8(&array, index, -1, m->host, -1);
            }
            n++;
        }
        if (!pass && !n)
            return;
        if (!pass)
            bson_append_array_begin(out, key, -1, &array);
        n = 0;
    }
    bson_append_array_end(out, &array);
}

static void put_last_write(const struct sim *sim, bson_t *out)
{
    bson_t child;
    bson_append_document_begin(out, "lastWrite", -1, &child);
    put_optime(&child, "opTime", sim->oplog.last);
    put_host_optime_date(&child, "lastWriteDate", sim->oplog.last);
    if (!optime_is_null(sim->rs.committed)) {
        put_optime(&child, "majorityOpTime", sim->rs.committed);
        put_host_optime_date(&child, "majorityWriteDate", sim->rs.committed);
    }
    bson_append_document_end(out, &child);
}

static void put_own(const struct sim *sim, bson_t *out)
{
    const struct member_config *m = &sim->rs.config->members[sim->rs.self];
    if (m->arbiter)
        bson_append_bool(out, "arbiterOnly", -1, true);
    if (member_priority(m) <= 0 && !m->arbiter)
        bson_append_bool(out, "passive", -1, true);
    if (m->hidden)
        bson_append_bool(out, "hidden", -1, true);
    if (!m->build_indexes)
        bson_append_bool(out, "buildIndexes", -1, false);
    if (m->delay_secs)
        bson_append_int32(out, sim_is_old(sim) ? "slaveDelay" : "secondaryDelaySecs", -1,
                          (int32_t)m->delay_secs);
    if (!bson_empty(m->tags))
        bson_append_document(out, "tags", -1, m->tags);
    bson_append_utf8(out, "me", -1, m->host, -1);
}

static void put_no_config(bson_t *out, const char *role)
{
    bson_append_bool(out, role, -1, false);
    bson_append_bool(out, "secondary", -1, false);
    bson_append_utf8(out, "info", -1, "Does not have a valid replica set config", -1);
    bson_append_bool(out, "isreplicaset", -1, true);
}

void hello_fields(const struct sim *sim, bson_t *out, bool is_hello)
{
    const struct replset *rs = &sim->rs;
    const char *role = is_hello ? "isWritablePrimary" : "ismaster";
    if (!rs->config || rs->config_state == CONFIG_STARTING) {
        put_no_config(out, role);
        return;
    }
    put_hosts(rs->config, out, "hosts", 0);
    put_hosts(rs->config, out, "passives", 1);
    put_hosts(rs->config, out, "arbiters", 2);
    bson_append_utf8(out, "setName", -1, rs->config->set_name, -1);
    if (rs->self < 0) { /* removed */
        put_no_config(out, role);
        return;
    }
    bson_append_int32(out, "setVersion", -1, (int32_t)rs->config->version);
    bson_append_bool(out, role, -1, rs->state == STATE_PRIMARY);
    bson_append_bool(out, "secondary", -1, rs->state == STATE_SECONDARY);
    if (rs->primary >= 0)
        bson_append_utf8(out, "primary", -1, rs->config->members[rs->primary].host, -1);
    put_own(sim, out);
    if (rs->state == STATE_PRIMARY) {
        bson_oid_t id = {{0x7f, 0xff, 0xff, 0xff}};
        for (int i = 0; i < 8; i++)
            id.bytes[4 + i] = (uint8_t)((uint64_t)rs->term >> (8 * (7 - i)));
        bson_append_oid(out, "electionId", -1, &id);
    }
    put_last_write(sim, out);
}

static void put_topology_version(const struct sim *sim, bson_t *out)
{
    bson_t child;
    bson_append_document_begin(out, "topologyVersion", -1, &child);
    bson_append_oid(&child, "processId", -1, &sim->process_id);
    bson_append_int64(&child, "counter", -1, sim->rs.topology_counter);
    bson_append_document_end(out, &child);
}

static void hello_reply(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    bson_t out = BSON_INITIALIZER, start;
    bool old = sim_is_old(sim), is_hello = !strcmp(request->name, "hello");
    if (get_bool(body, "helloOk", false) && !old)
        bson_append_bool(&out, "helloOk", -1, true);
    if (!old)
        put_topology_version(sim, &out);
    hello_fields(sim, &out, is_hello);
    bson_append_int32(&out, "maxBsonObjectSize", -1, 16777216);
    bson_append_int32(&out, "maxMessageSizeBytes", -1, WIRE_MESSAGE_MAX);
    bson_append_int32(&out, "maxWriteBatchSize", -1, 100000);
    bson_append_date_time(&out, "localTime", -1, wall_ms());
    bson_append_int32(&out, "logicalSessionTimeoutMinutes", -1, 30);
    if (!old)
        bson_append_int32(&out, "connectionId", -1, (int32_t)request_connection_id(request));
    bson_append_int32(&out, "minWireVersion", -1, 0);
    bson_append_int32(&out, "maxWireVersion", -1, old ? 7 : 21);
    bson_append_bool(&out, "readOnly", -1, false);
    auth_put_mechanisms(sim, get_text(body, "saslSupportedMechs", ""), &out);
    if (!old && get_document(body, "speculativeAuthenticate", &start))
        auth_speculate(request, &start, &out);
    request_reply(request, &out);
    bson_destroy(&out);
}

static bool topology_moved(struct sim *sim, void *data)
{
    const struct hello_wait *w = data;
    return sim->rs.topology_counter != w->counter;
}

static void hello_wait_end(struct sim *sim, void *data, enum wait_end why)
{
    struct hello_wait *w = data;
    (void)sim;
    if (why == WAIT_SHUTDOWN)
        request_fail(w->request, CODE_SHUTDOWN, "The server is in quiesce mode and will shut down");
    else
        hello_reply(w->request);
    free(w);
}

void hello_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    bson_t version;
    bson_oid_t process;
    bool has_version = get_document(body, "topologyVersion", &version);
    if (sim_is_old(sim) || !has_version) {
        hello_reply(request);
        return;
    }
    int64_t wait = get_int(body, "maxAwaitTimeMS", -1), counter = get_int(&version, "counter", -1);
    if (wait < 0 || wait > HELLO_AWAIT_MAX_MS || counter < 0 || !get_oid(&version, "processId", &process)) {
        request_fail(request, CODE_BAD_VALUE, "topologyVersion and maxAwaitTimeMS (0 to %d) go together",
                     HELLO_AWAIT_MAX_MS);
        return;
    }
    if (!bson_oid_equal(&process, &sim->process_id) || counter != sim->rs.topology_counter) {
        hello_reply(request);
        return;
    }
    struct hello_wait *w = xcalloc(1, sizeof *w);
    *w = (struct hello_wait){request, counter};
    wait_for(sim, sim_now(sim) + wait, false, topology_moved, hello_wait_end, w);
}
