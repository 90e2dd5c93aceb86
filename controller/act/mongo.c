/* Actions on MongoDB: the only file of the controller that names mongo-c-driver. Each action runs on a worker
 * (mongo_pool.c) with clients of its own, one to act and one to read back afterwards. The node is dialled
 * directly; an action is never sent to another node than the one that the planner named: addresses change
 * hands, so who answers is asked on the very connection that the command then goes over.
 *
 * After any outcome the configuration is read again: an error or a timeout of replSetReconfig doesn't say
 * that the new configuration is not there
 * (https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/). */
#include "controller/act/mongo_job.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>

#include "controller/act/config_document.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"

enum {
    CODE_ALREADY_INITIALIZED = 23,
    CODE_NOT_YET_INITIALIZED = 94,
    CODE_USER_EXISTS = 51003,
    STEP_DOWN_SECS = 60,
    STEP_DOWN_CATCH_UP_SECS = 10,
    WIRE_VERSION_4_4 = 9,
    WIRE_VERSION_5_0 = 13,
};

/* ---- one question to one node ---- */

/* As a member of the set would: before there is any user, and whatever users there are. Which mechanism is
 * left to the server: 4.0 has SCRAM-SHA-1 alone for it.
 * https://www.mongodb.com/docs/manual/core/security-internal-authentication/ */
static void log_in(mongoc_uri_t *uri, const struct mongo_job *job)
{
    if (!*job->password)
        return;
    mongoc_uri_set_username(uri, "__system");
    mongoc_uri_set_password(uri, job->password);
    mongoc_uri_set_auth_source(uri, "local");
}

/* Only the federation's own CA counts, and the certificate must bear the address that is dialled. */
static void encrypt(mongoc_client_t *client, const struct mongo_job *job)
{
    mongoc_ssl_opt_t options = *mongoc_ssl_opt_get_default();
    options.ca_file = job->ca_file;
    mongoc_client_set_ssl_opts(client, &options);
}

/* A client for one phase. NULL when the host can't be a host. */
static mongoc_client_t *dial(const struct mongo_job *job, int timeout_ms, struct error *err)
{
    const char *host = job->action.host;
    bson_error_t problem;
    char text[HOST_LENGTH_MAX + 16];
    if (strlen(host) > HOST_LENGTH_MAX || strcspn(host, "/?@, ") != strlen(host)) {
        error_set(err, ERROR_INVALID, "%.80s is no address of a mongod", host);
        return NULL;
    }
    snprintf(text, sizeof text, "mongodb://%s/", host);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &problem);
    mongoc_client_t *client = NULL;
    if (!uri) {
        error_set(err, ERROR_INVALID, "%s is no address of a mongod: %s", host, problem.message);
        return NULL;
    }
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_DIRECTCONNECTION, true);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, MONGO_CONNECT_TIMEOUT_MS);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, MONGO_CONNECT_TIMEOUT_MS);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, timeout_ms);
    mongoc_uri_set_appname(uri, "atoll-controller");
    if (*job->ca_file)
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
    log_in(uri, job);
    client = mongoc_client_new_from_uri_with_error(uri, &problem);
    mongoc_uri_destroy(uri);
    if (!client)
        error_set(err, ERROR_UNREACHABLE, "%s can't be asked: %s", host, problem.message);
    else if (*job->ca_file)
        encrypt(client, job);
    if (client)
        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    return client;
}

/* Sends one command. On an error `detail` is the server's own code, or 0 when there was no answer. `reply` is
 * always initialised. */
static int ask(mongoc_client_t *client, const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t problem = {0};
    if (mongoc_client_command_simple(client, "admin", command, NULL, reply, &problem))
        return 0;
    bool answered = problem.domain == MONGOC_ERROR_SERVER;
    bool nobody = problem.domain == MONGOC_ERROR_SERVER_SELECTION || problem.domain == MONGOC_ERROR_STREAM;
    error_set(err,
              answered ? ERROR_REFUSED
              : nobody ? ERROR_UNREACHABLE
                       : ERROR_PROTOCOL,
              "%s", problem.message);
    if (err)
        err->detail = answered ? (int)problem.code : 0;
    return -1;
}

/* Whether the server speaks at least this wire version, as it said in its hello. */
static bool speaks(mongoc_client_t *client, int wire_version)
{
    size_t count = 0;
    bool result = false;
    mongoc_server_description_t **servers = mongoc_client_get_server_descriptions(client, &count);
    for (size_t i = 0; i < count; i++) {
        bson_iter_t iter;
        const bson_t *hello = mongoc_server_description_hello_response(servers[i]);
        result =
            bson_iter_init_find(&iter, hello, "maxWireVersion") && bson_iter_as_int64(&iter) >= wire_version;
    }
    mongoc_server_descriptions_destroy_all(servers, count);
    return result;
}

static int ping(mongoc_client_t *client, struct error *err)
{
    bson_t reply;
    bson_t *command = BCON_NEW("ping", BCON_INT32(1), "maxTimeMS", BCON_INT32(MONGO_READ_TIMEOUT_MS));
    int result = ask(client, command, &reply, err);
    bson_destroy(command);
    bson_destroy(&reply);
    return result;
}

/* The answer is needed twice: it proves who answers, and it makes the connection, so that an address where
 * nobody answers is told apart from an answer that was lost. */
static int check_process(mongoc_client_t *client, struct mongo_job *job, struct error *err)
{
    bson_t reply;
    bson_iter_t host, pid;
    bson_t *command =
        BCON_NEW("serverStatus", BCON_INT32(1), "repl", BCON_INT32(0), "metrics", BCON_INT32(0), "locks",
                 BCON_INT32(0), "wiredTiger", BCON_INT32(0), "maxTimeMS", BCON_INT32(MONGO_READ_TIMEOUT_MS));
    int result = ask(client, command, &reply, err);
    const char *answers = "";
    if (result == 0 && bson_iter_init_find(&host, &reply, "host") && BSON_ITER_HOLDS_UTF8(&host) &&
        bson_iter_init_find(&pid, &reply, "pid"))
        answers = mongod_process_text(&job->arena, bson_iter_utf8(&host, NULL), bson_iter_as_int64(&pid));
    bson_destroy(command);
    bson_destroy(&reply);
    if (result || strcmp(answers, job->action.process) == 0)
        return result;
    return error_set(
        err, ERROR_CONFLICT,
        "at %s another process answers (%s) than the member's agent sees (%s): its address has "
        "changed hands, so nothing was sent; it is tried again at the address that is reported next",
        job->action.host, *answers ? answers : "unknown", job->action.process);
}

/* Dials the node and makes sure who answers. NULL when nobody, or somebody else, does. */
static mongoc_client_t *dial_member(struct mongo_job *job, int timeout_ms, struct error *err)
{
    mongoc_client_t *client = dial(job, timeout_ms, err);
    if (!client)
        return NULL;
    if (*job->action.process ? check_process(client, job, err) : ping(client, err)) {
        mongoc_client_destroy(client);
        return NULL;
    }
    return client;
}

struct server_config {
    bson_t document; /* initialised when read_config() gave 0 */
    struct replica_config config;
    bool committed, knows_commitment;
    bool new_delay_name;
};

static int take_config(const bson_t *reply, struct arena *arena, struct server_config *out, struct error *err)
{
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t length;
    bson_t view;
    if (!bson_iter_init_find(&iter, reply, "config") || !BSON_ITER_HOLDS_DOCUMENT(&iter))
        return error_set(err, ERROR_PROTOCOL, "the answer to replSetGetConfig holds no configuration");
    bson_iter_document(&iter, &length, &data);
    if (!bson_init_static(&view, data, length))
        return error_set(err, ERROR_PROTOCOL, "the answer to replSetGetConfig is broken");
    if (config_document_read(&view, arena, &out->config, err))
        return -1;
    if (bson_iter_init_find(&iter, reply, "commitmentStatus")) {
        out->knows_commitment = true;
        out->committed = bson_iter_as_bool(&iter);
    }
    bson_copy_to(&view, &out->document);
    return 0;
}

/* What the node has now. commitmentStatus is answered by a primary alone, so its refusal means: ask without
 * it. https://www.mongodb.com/docs/manual/reference/command/replSetGetConfig/ */
static int read_config(mongoc_client_t *client, struct arena *arena, struct server_config *out,
                       struct error *err)
{
    bson_t reply;
    *out = (struct server_config){.config = {.set = "", .replica_set_id = "", .term = -1}};
    out->new_delay_name = speaks(client, WIRE_VERSION_5_0);
    bool ask_commitment = speaks(client, WIRE_VERSION_4_4);
    for (;;) {
        bson_t *command =
            BCON_NEW("replSetGetConfig", BCON_INT32(1), "maxTimeMS", BCON_INT32(MONGO_READ_TIMEOUT_MS));
        if (ask_commitment)
            BSON_APPEND_BOOL(command, "commitmentStatus", true);
        int result = ask(client, command, &reply, err);
        bson_destroy(command);
        if (result == 0)
            result = take_config(&reply, arena, out, err);
        bson_destroy(&reply);
        if (result == 0 || !ask_commitment || !err->detail || err->detail == CODE_NOT_YET_INITIALIZED)
            return result;
        ask_commitment = false;
    }
}

/* ---- the actions ---- */

static int send_command(struct mongo_job *job, mongoc_client_t *client, const bson_t *command)
{
    bson_t reply;
    job->began = true;
    int result = ask(client, command, &reply, &job->err);
    bson_destroy(&reply);
    return result;
}

static int initiate_on(struct mongo_job *job, mongoc_client_t *client)
{
    struct server_config now;
    bson_t document;
    /* Sent only to a node that has just said that it is not initialised: a birth happens once. */
    if (read_config(client, &job->arena, &now, &job->err) == 0) {
        bson_destroy(&now.document);
        error_set(&job->err, ERROR_CONFLICT, "%s is initialised already, as a member of set %s",
                  job->action.host, now.config.set);
        job->err.detail = CODE_ALREADY_INITIALIZED;
        return -1;
    }
    if (job->err.detail != CODE_NOT_YET_INITIALIZED)
        return -1;
    if (config_document_initial(&job->action.config, now.new_delay_name ? DELAY_NEW : DELAY_OLD, &document,
                                &job->err))
        return -1;
    bson_t command = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&command, "replSetInitiate", &document);
    BSON_APPEND_INT32(&command, "maxTimeMS", MONGO_COMMAND_TIMEOUT_MS - 1000);
    int result = send_command(job, client, &command);
    bson_destroy(&command);
    bson_destroy(&document);
    return result;
}

/* Another set may have the name, and even the version: the id is what tells them apart. */
static int check_set(const struct mongo_job *job, const struct replica_config *now, struct error *err)
{
    const struct replica_config *base = &job->action.base;
    if (strcmp(now->set, job->set) != 0)
        return error_set(err, ERROR_CONFLICT, "%s is a member of set %s, not of %s", job->action.host,
                         now->set, job->set);
    if (*base->replica_set_id && strcmp(now->replica_set_id, base->replica_set_id) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "%s is a member of another replica set %s (%.24s) than the one that is kept (%.24s)",
                         job->action.host, now->set, now->replica_set_id, base->replica_set_id);
    return 0;
}

static int check_base(const struct mongo_job *job, const struct replica_config *now, struct error *err)
{
    const struct replica_config *base = &job->action.base;
    if (check_set(job, now, err))
        return -1;
    if (now->version == base->version && now->term == base->term)
        return 0;
    return error_set(
        err, ERROR_CONFLICT,
        "%s has configuration version %lld term %lld, but the change was made on version %lld term %lld",
        job->action.host, (long long)now->version, (long long)now->term, (long long)base->version,
        (long long)base->term);
}

static int reconfigure_on(struct mongo_job *job, mongoc_client_t *client)
{
    struct server_config now;
    bson_t document;
    if (read_config(client, &job->arena, &now, &job->err))
        return -1;
    int result = check_base(job, &now.config, &job->err);
    if (result == 0)
        result =
            config_document_edit(&now.document, &job->action.config,
                                 now.new_delay_name ? DELAY_NEW : DELAY_BY_DOCUMENT, &document, &job->err);
    bson_destroy(&now.document);
    if (result)
        return -1;
    bson_t command = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&command, "replSetReconfig", &document);
    BSON_APPEND_INT32(&command, "maxTimeMS", MONGO_COMMAND_TIMEOUT_MS - 1000);
    result = send_command(job, client, &command);
    bson_destroy(&command);
    bson_destroy(&document);
    return result;
}

/* https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/ : before 4.2 the server closes all
 * connections as it steps down, so that no answer is the normal answer; whether it did is seen in the next
 * reports. */
static int step_down_on(struct mongo_job *job, mongoc_client_t *client)
{
    struct server_config now;
    if (read_config(client, &job->arena, &now, &job->err))
        return -1;
    bson_destroy(&now.document);
    if (check_set(job, &now.config, &job->err))
        return -1;
    bson_t *command = BCON_NEW("replSetStepDown", BCON_INT32(STEP_DOWN_SECS), "secondaryCatchUpPeriodSecs",
                               BCON_INT32(STEP_DOWN_CATCH_UP_SECS), "maxTimeMS",
                               BCON_INT32(MONGO_STEP_DOWN_TIMEOUT_MS - 1000));
    int64_t began_ms = clock_monotonic_ms(&clock_system);
    int result = send_command(job, client, command);
    bool in_time = clock_monotonic_ms(&clock_system) - began_ms < MONGO_STEP_DOWN_TIMEOUT_MS;
    bson_destroy(command);
    return result && in_time && job->err.code == ERROR_UNREACHABLE ? 0 : result;
}

/* https://www.mongodb.com/docs/manual/reference/command/createUser/ : one that is there already is ours by
 * its name (an answer was lost, or the store), and gets this password. */
static int make_admin_on(struct mongo_job *job, mongoc_client_t *client)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        bson_t *command =
            BCON_NEW(attempt ? "updateUser" : "createUser", BCON_UTF8(KEYFILE_ADMIN_USER), "pwd",
                     BCON_UTF8(job->admin_password), "roles", "[", "{", "role", BCON_UTF8("root"), "db",
                     BCON_UTF8("admin"), "}", "]", "writeConcern", "{", "w", BCON_UTF8("majority"),
                     "wtimeout", BCON_INT32(MONGO_COMMAND_TIMEOUT_MS - 1000), "}");
        int result = send_command(job, client, command);
        bson_destroy(command);
        if (result == 0 || job->err.detail != CODE_USER_EXISTS)
            return result;
    }
    return -1;
}

static int act_on(struct mongo_job *job, mongoc_client_t *client)
{
    switch (job->action.kind) {
    case ACTION_INITIATE:
        return initiate_on(job, client);
    case ACTION_RECONFIGURE:
        return reconfigure_on(job, client);
    case ACTION_STEP_DOWN:
        return step_down_on(job, client);
    case ACTION_MAKE_ADMIN:
        return make_admin_on(job, client);
    default:
        return error_set(&job->err, ERROR_INTERNAL, "%s is no action", action_kind_name(job->action.kind));
    }
}

static int act(struct mongo_job *job)
{
    int timeout_ms =
        job->action.kind == ACTION_STEP_DOWN ? MONGO_STEP_DOWN_TIMEOUT_MS : MONGO_COMMAND_TIMEOUT_MS;
    if (clock_monotonic_ms(&clock_system) - job->queued_at_ms > MONGO_QUEUE_MAX_MS)
        return error_set(&job->err, ERROR_TIMEOUT, "no worker was free within %d ms", MONGO_QUEUE_MAX_MS);
    mongoc_client_t *client = dial_member(job, timeout_ms, &job->err);
    if (!client)
        return -1;
    int result = act_on(job, client);
    mongoc_client_destroy(client);
    return result;
}

static void read_back(struct mongo_job *job)
{
    struct server_config now;
    struct error err = {0};
    mongoc_client_t *client = dial_member(job, MONGO_READ_TIMEOUT_MS, &err);
    if (!client)
        return;
    if (read_config(client, &job->arena, &now, &err) == 0) {
        bson_destroy(&now.document);
        job->result.config = now.config;
        job->result.config_committed = now.committed;
        job->result.knows_commitment = now.knows_commitment;
    }
    mongoc_client_destroy(client);
}

/* ---- for the pool ---- */

void mongo_perform(struct mongo_job *job)
{
    job->result.succeeded = act(job) == 0;
    job->result.sent = job->began;
    if (!job->result.succeeded) {
        job->result.code = job->err.detail;
        job->result.message = arena_string(&job->arena, job->err.message);
    }
    /* Where nobody answered at all, nobody would answer now. */
    if (job->began || job->result.succeeded || job->err.code != ERROR_UNREACHABLE)
        read_back(job);
}

/* Libraries never log; the driver is no exception. What matters comes back as an error. */
static void swallow_log(mongoc_log_level_t level, const char *domain, const char *message, void *context)
{
    (void)level, (void)domain, (void)message, (void)context;
}

void mongo_driver_init(void)
{
    mongoc_init();
    file_unname_shared_memory("mongoc");
    mongoc_log_set_handler(swallow_log, NULL);
}

void mongo_driver_finish(void)
{
    mongoc_cleanup();
}
