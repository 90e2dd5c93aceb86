/* Asks members through mongo-c-driver on a worker thread: see probe.h.
 *
 * A target (one member's client and what was learned from it) belongs to the loop, and to the worker while it
 * is `busy`; the two never touch it at once, so that there is no lock. */
#include "zone-agent/probe.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/file.h"
#include "proto/base/pki.h"
#include "proto/keyfile.h"
#include "proto/mongod_versions.h"
#include "zone-agent/member_keys.h"
#include "zone-agent/mongod_reply.h"

enum { PROBE_TARGETS_MAX = 2 * ZONE_MEMBERS_MAX };

struct target {
    struct target *next;
    struct probe *probe;
    uv_work_t work;
    bool busy;
    int64_t asked_at_ms;
    char set[NAME_LENGTH_MAX + 1];
    int ordinal;
    char host[HOST_LENGTH_MAX];
    uint64_t incarnation, id;
    struct clock clock;
    char password[KEYFILE_KEY_MAX]; /* of __system; "": without authentication */
    bool tls, reload;

    /* The worker's, while busy. */
    mongoc_client_t *client;
    char version[NAME_LENGTH_MAX + 1];      /* "": not asked yet */
    char process[TEXT_LENGTH_MAX + 1];      /* "": not asked yet, or not told */
    char certificate_id[PKI_HASH_TEXT_MAX]; /* "": not asked yet */
    bool certificate_foreign;
    char ca_hash[PKI_HASH_TEXT_MAX]; /* of the CAs that it was judged by */
    bool no_hello;                   /* it doesn't know `hello`: before 4.4.2 */
    struct arena config_arena;
    struct replica_config config; /* version 0: none yet */
    int64_t config_at_ms;
    struct mongod_commitment commitment;

    /* The answer. */
    struct arena arena;
    struct mongod_view view;
};

struct probe {
    uv_loop_t *loop;
    struct clock clock;
    struct probe_events events;
    char *ca_file;
    struct target *targets;
    size_t target_count;
    bool closing;
};

/* ---- on the worker ---- */

static void drop_client(struct target *target)
{
    mongoc_client_destroy(target->client);
    target->client = NULL;
    target->process[0] = 0; /* another one may answer next time */
}

static mongoc_client_t *open_client(const struct target *target)
{
    char text[HOST_LENGTH_MAX + 256];
    snprintf(text, sizeof text,
             "mongodb://%s/"
             "?directConnection=true&connectTimeoutMS=%d&socketTimeoutMS=%d&serverSelectionTimeoutMS=%d"
             "&heartbeatFrequencyMS=3600000&retryReads=false",
             target->host, PROBE_TIMEOUT_MS, PROBE_TIMEOUT_MS, PROBE_TIMEOUT_MS);
    bson_error_t problem;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &problem);
    if (uri && *target->password) {
        mongoc_uri_set_username(uri, "__system");
        mongoc_uri_set_password(uri, target->password);
        mongoc_uri_set_auth_source(uri, "local");
    }
    if (uri && target->tls)
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
    mongoc_client_t *client = uri ? mongoc_client_new_from_uri(uri) : NULL;
    mongoc_uri_destroy(uri);
    if (client && target->tls) {
        mongoc_ssl_opt_t options = *mongoc_ssl_opt_get_default();
        options.ca_file = target->probe->ca_file;
        options.allow_invalid_hostname = true;
        mongoc_client_set_ssl_opts(client, &options);
    }
    if (client)
        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    return client;
}

/* Runs a command. 0 when the server answered at all, also with an error of its own: `reply` has it. */
static int run(struct target *target, const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t problem = {0};
    if (mongoc_client_command_simple(target->client, "admin", command, NULL, reply, &problem))
        return 0;
    if (problem.domain == MONGOC_ERROR_SERVER)
        return 0;
    error_set(err, ERROR_UNREACHABLE, "%s does not answer: %s", target->host, problem.message);
    return -1;
}

static int run_simple(struct target *target, const char *name, bson_t *reply, struct error *err)
{
    bson_t command = BSON_INITIALIZER;
    bson_append_int32(&command, name, -1, 1);
    int result = run(target, &command, reply, err);
    bson_destroy(&command);
    return result;
}

static int learn_version(struct target *target, struct error *err)
{
    bson_t reply;
    if (*target->version)
        return 0;
    int result = run_simple(target, "buildInfo", &reply, err);
    if (result == 0)
        snprintf(target->version, sizeof target->version, "%s", mongod_reply_version(&reply, &target->arena));
    bson_destroy(&reply);
    return result;
}

/* The big sections are left out. One that may not be asked (no permission) is a process that isn't known.
 * https://www.mongodb.com/docs/manual/reference/command/serverStatus/ */
static int learn_process(struct target *target, struct error *err)
{
    static const char *const without[] = {"repl",       "metrics", "locks",       "wiredTiger", "tcmalloc",
                                          "opcounters", "asserts", "connections", "network",    "globalLock"};
    bson_t command = BSON_INITIALIZER, reply;
    if (*target->process)
        return 0;
    bson_append_int32(&command, "serverStatus", -1, 1);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        bson_append_int32(&command, without[i], -1, 0);
    int result = run(target, &command, &reply, err);
    if (result == 0)
        snprintf(target->process, sizeof target->process, "%s", mongod_reply_process(&reply, &target->arena));
    bson_destroy(&reply);
    bson_destroy(&command);
    return result;
}

/* https://www.mongodb.com/docs/manual/reference/command/rotateCertificates/ . Whether it has helped is seen
 * by what it shows then. */
static int reload(struct target *target, struct error *err)
{
    bson_t reply;
    if (!target->reload)
        return 0;
    target->reload = false;
    target->certificate_id[0] = 0;
    int result = run_simple(target, "rotateCertificates", &reply, err);
    bson_destroy(&reply);
    return result;
}

/* The intent's CAs, without those of a former controller. */
static int read_authorities(const struct probe *probe, struct buffer *out, struct error *err)
{
    if (file_read(probe->ca_file, PKI_PEM_MAX, out, err))
        return -1;
    char *former = strstr(buffer_text(out), MEMBER_KEYS_FORMER);
    if (former)
        *former = 0;
    return 0;
}

/* Asked of each process once, and again whenever the CAs are others. */
static int learn_certificate(struct target *target, struct error *err)
{
    struct buffer bundle;
    struct pki_shown shown;
    char hash[PKI_HASH_TEXT_MAX] = "";
    if (!target->tls)
        return 0;
    buffer_init(&bundle, PKI_PEM_MAX);
    int result = read_authorities(target->probe, &bundle, err);
    if (result == 0)
        pki_hash(buffer_text(&bundle), strlen(buffer_text(&bundle)), hash);
    bool known = *target->certificate_id && strcmp(hash, target->ca_hash) == 0;
    if (result == 0 && !known)
        result = pki_shown_certificate(target->host, PROBE_TIMEOUT_MS, buffer_text(&bundle), &shown, err);
    buffer_finish(&bundle);
    if (result || known)
        return result;
    memcpy(target->certificate_id, shown.hash, sizeof shown.hash);
    target->certificate_foreign = shown.foreign;
    memcpy(target->ca_hash, hash, sizeof hash);
    return 0;
}

static bool can_tell_commitment(const struct target *target)
{
    return mongod_has(target->version, MONGOD_COMMITMENT_STATUS) == MONGOD_HAS;
}

static int ask_status(struct target *target, int64_t *config_version, int64_t *config_term, struct error *err)
{
    bson_t reply;
    int result = run_simple(target, "replSetGetStatus", &reply, err);
    if (result == 0)
        mongod_reply_status(&reply, &target->arena, &target->view, config_version, config_term);
    bson_destroy(&reply);
    return result;
}

/* `hello` is asked only where the status didn't tell, to spare an idle zone. Versions before 4.4.2 say 59 to
 * it. */
static int ask_hello(struct target *target, struct error *err)
{
    bson_t reply;
    if (target->view.answer != MONGOD_SILENT)
        return 0;
    int result = run_simple(target, target->no_hello ? "isMaster" : "hello", &reply, err);
    if (result == 0 && !target->no_hello && mongod_reply_code(&reply) == MONGOD_COMMAND_NOT_FOUND) {
        target->no_hello = true;
        bson_destroy(&reply);
        result = run_simple(target, "isMaster", &reply, err);
    }
    if (result == 0)
        mongod_reply_hello(&reply, &target->view);
    bson_destroy(&reply);
    return result;
}

static bool config_is_known(const struct target *target, int64_t version, int64_t term)
{
    bool asks_commitment = target->view.state == MEMBER_PRIMARY && can_tell_commitment(target);
    if (target->config.version == 0 || (version && version != target->config.version) ||
        (term >= 0 && term != target->config.term))
        return false;
    if (asks_commitment && !target->commitment.committed)
        return false;
    return clock_monotonic_ms(&target->clock) < target->config_at_ms + PROBE_CONFIG_REFRESH_MS;
}

static int ask_config(struct target *target, struct error *err)
{
    bool asks_commitment = target->view.state == MEMBER_PRIMARY && can_tell_commitment(target);
    bson_t command = BSON_INITIALIZER, reply;
    struct error refused = {.code = ERROR_NONE};
    bson_append_int32(&command, "replSetGetConfig", -1, 1);
    if (asks_commitment)
        bson_append_bool(&command, "commitmentStatus", -1, true);
    int result = run(target, &command, &reply, err);
    arena_finish(&target->config_arena);
    target->config = mongod_view_empty().config;
    target->commitment = (struct mongod_commitment){false, false};
    if (result == 0 && mongod_reply_config(&reply, &target->config_arena, &target->config,
                                           &target->commitment, &refused) == 0)
        target->config_at_ms = clock_monotonic_ms(&target->clock);
    else if (refused.code != ERROR_NONE) /* people are told why its configuration isn't known */
        target->view.problem = arena_string(&target->arena, refused.message);
    if (arena_failed(&target->config_arena))
        target->config = mongod_view_empty().config;
    bson_destroy(&reply);
    bson_destroy(&command);
    return result;
}

static int ask(struct target *target, struct error *err)
{
    int64_t version = 0, term = -1;
    struct mongod_view *view = &target->view;
    if (!target->client && !(target->client = open_client(target)))
        return error_set(err, ERROR_INTERNAL, "no client for %s can be made", target->host);
    if (reload(target, err) || learn_certificate(target, err) || learn_version(target, err) ||
        learn_process(target, err) || ask_status(target, &version, &term, err) || ask_hello(target, err))
        return -1;
    bool has_config = view->answer == MONGOD_MEMBER || view->answer == MONGOD_NOT_IN_CONFIG;
    if (has_config && !config_is_known(target, version, term) && ask_config(target, err))
        return -1;
    view->version = arena_string(&target->arena, target->version);
    view->process = arena_string(&target->arena, target->process);
    view->certificate_id = arena_string(&target->arena, target->certificate_id);
    view->certificate_foreign = target->tls && target->certificate_foreign;
    if (!has_config)
        return 0;
    view->config = replica_config_copy(&target->arena, &target->config);
    bool is_primary = view->state == MEMBER_PRIMARY;
    view->knows_commitment = is_primary && target->commitment.known;
    view->config_committed = is_primary && target->commitment.committed;
    return 0;
}

static void on_work(uv_work_t *work)
{
    struct target *target = work->data;
    struct error err = {0};
    arena_init(&target->arena, 0);
    target->view = mongod_view_empty();
    if (ask(target, &err) == 0)
        return;
    /* A new client next time: the driver's own would not dial again for five seconds after a failure. */
    drop_client(target);
    target->view = mongod_view_empty();
    target->view.answer = MONGOD_SILENT;
    target->view.version = arena_string(&target->arena, target->version);
    target->view.problem = arena_string(&target->arena, err.message);
}

/* ---- on the loop ---- */

static void free_target(struct target *target)
{
    struct probe *probe = target->probe;
    struct target **link = &probe->targets;
    while (*link != target)
        link = &(*link)->next;
    *link = target->next;
    probe->target_count--;
    mongoc_client_destroy(target->client);
    arena_finish(&target->config_arena);
    explicit_bzero(target->password, sizeof target->password);
    free(target);
}

static void finish_if_closed(struct probe *probe)
{
    if (!probe->closing || probe->targets)
        return;
    free(probe->ca_file);
    free(probe);
    mongoc_cleanup();
}

static void on_work_done(uv_work_t *work, int status)
{
    struct target *target = work->data;
    struct probe *probe = target->probe;
    target->busy = false;
    if (probe->closing) {
        if (status == 0)
            arena_finish(&target->arena);
        free_target(target);
        finish_if_closed(probe);
        return;
    }
    probe->events.done(probe->events.context, target->id, &target->arena, &target->view);
}

static void forget_unused(struct probe *probe)
{
    int64_t now = clock_monotonic_ms(&probe->clock);
    for (struct target *target = probe->targets, *next; target; target = next) {
        next = target->next;
        if (!target->busy && now > target->asked_at_ms + PROBE_FORGET_MS)
            free_target(target);
    }
}

static struct target *find_target(struct probe *probe, const char *set, int ordinal)
{
    for (struct target *target = probe->targets; target; target = target->next)
        if (target->ordinal == ordinal && strcmp(target->set, set) == 0)
            return target;
    if (probe->target_count >= PROBE_TARGETS_MAX)
        return NULL;
    struct target *target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    target->probe = probe;
    target->clock = probe->clock;
    target->ordinal = ordinal;
    snprintf(target->set, sizeof target->set, "%s", set);
    arena_init(&target->config_arena, 0);
    target->config = mongod_view_empty().config;
    target->next = probe->targets;
    probe->targets = target;
    probe->target_count++;
    return target;
}

/* Another process answers there: nothing that was learned is true of it. */
static void start_anew(struct target *target, const struct agent_probe *what)
{
    drop_client(target);
    target->version[0] = target->certificate_id[0] = 0;
    target->no_hello = false;
    arena_finish(&target->config_arena);
    target->config = mongod_view_empty().config;
    target->commitment = (struct mongod_commitment){false, false};
    snprintf(target->host, sizeof target->host, "%s", what->host);
    target->incarnation = what->incarnation;
}

/* Another keyfile: the connections that are open stay good, the next ones are made with it. */
static void take_password(struct target *target, const char *keyfile)
{
    char password[KEYFILE_KEY_MAX] = "";
    keyfile_password(keyfile, password);
    if (strcmp(password, target->password) != 0)
        drop_client(target);
    memcpy(target->password, password, sizeof password);
    explicit_bzero(password, sizeof password);
}

static void answer_silent(struct probe *probe, uint64_t id, const char *problem)
{
    struct arena arena;
    struct mongod_view view = mongod_view_empty();
    arena_init(&arena, 0);
    view.answer = MONGOD_SILENT;
    view.problem = problem;
    probe->events.done(probe->events.context, id, &arena, &view);
}

void probe_ask(struct probe *probe, uint64_t id, const struct agent_probe *what)
{
    forget_unused(probe);
    struct target *target = find_target(probe, what->set, what->ordinal);
    if (!target) {
        answer_silent(probe, id, "there is no memory to ask this member");
        return;
    }
    if (target->busy) {
        answer_silent(probe, id, "the question before has not been answered yet");
        return;
    }
    if (what->incarnation != target->incarnation || strcmp(what->host, target->host))
        start_anew(target, what);
    take_password(target, what->keyfile);
    if (what->tls != target->tls)
        drop_client(target);
    target->tls = what->tls;
    target->reload = what->reload;
    target->busy = true;
    target->id = id;
    target->asked_at_ms = clock_monotonic_ms(&probe->clock);
    target->work.data = target;
    uv_queue_work(probe->loop, &target->work, on_work, on_work_done);
}

struct probe *probe_create(uv_loop_t *loop, const char *ca_file, const struct clock *clock,
                           const struct probe_events *events, struct error *err)
{
    struct probe *probe = calloc(1, sizeof *probe);
    char *copy = probe ? strdup(ca_file) : NULL;
    if (!copy) {
        free(probe);
        error_set(err, ERROR_NO_MEMORY, "no memory for the probe");
        return NULL;
    }
    *probe = (struct probe){.loop = loop, .clock = *clock, .events = *events, .ca_file = copy};
    mongoc_log_set_handler(NULL, NULL); /* what fails is said in the view, once */
    mongoc_init();
    file_unname_shared_memory("mongoc");
    return probe;
}

void probe_destroy(struct probe *probe)
{
    if (!probe)
        return;
    probe->closing = true;
    for (struct target *target = probe->targets, *next; target; target = next) {
        next = target->next;
        if (target->busy)
            uv_cancel((uv_req_t *)&target->work); /* one that has begun runs to its end */
        else
            free_target(target);
    }
    finish_if_closed(probe);
}
