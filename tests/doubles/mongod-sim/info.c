/* Commands that tell something about the process. */
#include "commands.h"
#include "sim.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void reply_and_free(struct request *request, bson_t *out)
{
    request_reply(request, out);
    bson_destroy(out);
}

void ping_command(struct request *request)
{
    request_reply(request, NULL);
}

void end_sessions_command(struct request *request)
{
    request_reply(request, NULL);
}

void build_info_command(struct request *request)
{
    bson_t out = BSON_INITIALIZER, child;
    bool old = sim_is_old(request->sim);
    int version[4] = {old ? 4 : 7, 0, old ? 3 : 14, 0};
    bson_append_utf8(&out, "version", -1, options_version_text(&request->sim->options), -1);
    bson_append_utf8(&out, "gitVersion", -1, "atoll-mongod-sim", -1);
    bson_append_array_begin(&out, "modules", -1, &child);
    bson_append_array_end(&out, &child);
    bson_append_utf8(&out, "allocator", -1, "system", -1);
    bson_append_utf8(&out, "javascriptEngine", -1, "none", -1);
    bson_append_utf8(&out, "sysInfo", -1, "deprecated", -1);
    bson_append_array_begin(&out, "versionArray", -1, &child);
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        bson_append_int32(&child, key, -1, version[i]);
    }
    bson_append_array_end(&out, &child);
    bson_append_document_begin(&out, "openssl", -1, &child);
    bson_append_utf8(&child, "running", -1, OpenSSL_version(OPENSSL_VERSION), -1);
    bson_append_document_end(&out, &child);
    bson_append_document_begin(&out, "buildEnvironment", -1, &child);
    bson_append_utf8(&child, "distmod", -1, "", -1);
    bson_append_utf8(&child, "target_os", -1, "linux", -1);
    bson_append_document_end(&out, &child);
    bson_append_int32(&out, "bits", -1, 64);
    bson_append_bool(&out, "debug", -1, false);
    bson_append_int32(&out, "maxBsonObjectSize", -1, 16777216);
    bson_append_array_begin(&out, "storageEngines", -1, &child);
    bson_append_utf8(&child, "0", -1, "wiredTiger", -1);
    bson_append_array_end(&out, &child);
    reply_and_free(request, &out);
}

void server_status_command(struct request *request)
{
    struct sim *sim = request->sim;
    bson_t out = BSON_INITIALIZER, child;
    char host[256] = "";
    int64_t up = wall_ms() - sim->started_wall_ms;
    gethostname(host, sizeof host - 1);
    bson_append_utf8(&out, "host", -1, host, -1);
    bson_append_utf8(&out, "version", -1, options_version_text(&sim->options), -1);
    bson_append_utf8(&out, "process", -1, "mongod", -1);
    bson_append_int64(&out, "pid", -1, getpid());
    bson_append_double(&out, "uptime", -1, (double)(up / 1000));
    bson_append_int64(&out, "uptimeMillis", -1, up);
    bson_append_int64(&out, "uptimeEstimate", -1, up / 1000);
    bson_append_date_time(&out, "localTime", -1, wall_ms());
    if (get_bool(&request->message.body, "connections", true)) {
        bson_append_document_begin(&out, "connections", -1, &child);
        bson_append_int32(&child, "current", -1, sim->server.client_count);
        bson_append_int32(&child, "available", -1, CLIENTS_MAX - sim->server.client_count);
        bson_append_int32(&child, "totalCreated", -1, (int32_t)sim->server.next_client_id);
        bson_append_document_end(&out, &child);
    }
    if (get_bool(&request->message.body, "repl", true)) {
        bson_append_document_begin(&out, "repl", -1, &child);
        hello_fields(sim, &child, !sim_is_old(sim));
        bson_append_int32(&child, "rbid", -1, sim->rs.rbid);
        bson_append_document_end(&out, &child);
    }
    if (get_bool(&request->message.body, "storageEngine", true)) {
        bson_append_document_begin(&out, "storageEngine", -1, &child);
        bson_append_utf8(&child, "name", -1, "wiredTiger", -1);
        bson_append_bool(&child, "persistent", -1, true);
        bson_append_document_end(&out, &child);
    }
    reply_and_free(request, &out);
}

void whatsmyuri_command(struct request *request)
{
    bson_t out = BSON_INITIALIZER;
    char name[100];
    request_peer_name(request, name, sizeof name);
    bson_append_utf8(&out, "you", -1, name, -1);
    reply_and_free(request, &out);
}

void is_self_command(struct request *request)
{
    bson_t out = BSON_INITIALIZER;
    bson_append_oid(&out, "id", -1, &request->sim->instance_id);
    reply_and_free(request, &out);
}

/* featureCompatibilityVersion alone, and parameters that say what the stand-in has. */
void get_parameter_command(struct request *request)
{
    bson_t out = BSON_INITIALIZER, child;
    bool old = sim_is_old(request->sim),
         all = !strcmp(get_text(&request->message.body, "getParameter", ""), "*");
    bson_iter_t it;
    if (all || bson_has_field(&request->message.body, "featureCompatibilityVersion")) {
        bson_append_document_begin(&out, "featureCompatibilityVersion", -1, &child);
        bson_append_utf8(&child, "version", -1, old ? "4.0" : "7.0", -1);
        bson_append_document_end(&out, &child);
    }
    if (all || bson_iter_init_find(&it, &request->message.body, "enableElectionHandoff"))
        bson_append_bool(&out, "enableElectionHandoff", -1, true);
    if (all || bson_iter_init_find(&it, &request->message.body, "authenticationMechanisms")) {
        bson_append_array_begin(&out, "authenticationMechanisms", -1, &child);
        bson_append_utf8(&child, "0", -1, "SCRAM-SHA-1", -1);
        bson_append_utf8(&child, "1", -1, "SCRAM-SHA-256", -1);
        bson_append_array_end(&out, &child);
    }
    if (bson_empty(&out))
        request_fail(request, CODE_ILLEGAL_OPERATION, "no option found to get");
    else
        request_reply(request, &out);
    bson_destroy(&out);
}

void get_cmd_line_command(struct request *request)
{
    const struct options *o = &request->sim->options;
    bson_t out = BSON_INITIALIZER, parsed, child;
    bson_append_array_begin(&out, "argv", -1, &child);
    bson_append_utf8(&child, "0", -1, "mongod", -1);
    bson_append_array_end(&out, &child);
    bson_append_document_begin(&out, "parsed", -1, &parsed);
    bson_append_document_begin(&parsed, "net", -1, &child);
    bson_append_utf8(&child, "bindIp", -1, o->bind_ip, -1);
    bson_append_int32(&child, "port", -1, o->port);
    bson_append_document_end(&parsed, &child);
    bson_append_document_begin(&parsed, "replication", -1, &child);
    bson_append_utf8(&child, "replSet", -1, o->set_name, -1);
    bson_append_document_end(&parsed, &child);
    bson_append_document_begin(&parsed, "storage", -1, &child);
    bson_append_utf8(&child, "dbPath", -1, o->dbpath, -1);
    bson_append_document_end(&parsed, &child);
    bson_append_document_end(&out, &parsed);
    reply_and_free(request, &out);
}

/* Reads certificates, keys and CA again, for connections to come (5.0+).
 * https://www.mongodb.com/docs/manual/reference/command/rotateCertificates/ */
void rotate_certificates_command(struct request *request)
{
    struct sim *sim = request->sim;
    struct error err = {0};
    if (sim->options.tls.mode == TLS_DISABLED) {
        request_fail(request, CODE_ILLEGAL_OPERATION,
                     "Can't rotate certificates when TLS is disabled on this server");
    } else if (tls_load(&sim->tls, &sim->options.tls, &err)) {
        log_line("NETWORK", "rotateCertificates: %s; the old ones stay", err.message);
        request_fail(request, CODE_INVALID_SSL, "%s", err.message);
    } else {
        log_line("NETWORK", "certificates were rotated: %s", get_text(&request->message.body, "message", ""));
        request_reply(request, NULL);
    }
}

/* Shells ask for startup warnings; there are none. */
void get_log_command(struct request *request)
{
    bson_t out = BSON_INITIALIZER, empty;
    bson_append_int32(&out, "totalLinesWritten", -1, 0);
    bson_append_array_begin(&out, "log", -1, &empty);
    bson_append_array_end(&out, &empty);
    reply_and_free(request, &out);
}

/* Like SIGTERM. The connection ends without an answer, as the server's does. */
void shutdown_command(struct request *request)
{
    struct sim *sim = request->sim;
    if (strcmp(request->message.db, "admin") != 0) {
        request_fail(request, CODE_UNAUTHORIZED, "shutdown may only be run against the admin database.");
        return;
    }
    request->message.more_to_come = true;
    request_reply(request, NULL);
    sim_shutdown(sim);
}
