/* atoll-mongod-sim: wiring. Reads the command line, opens the data, listens, and turns the loop. */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_BAD_SECURITY = 1, EXIT_BAD_OPTIONS = 2, EXIT_NET = 48, EXIT_DBPATH = 100, TURNS_MAX = 50 };

uint64_t sim_random(struct sim *sim, uint64_t limit)
{
    uint64_t z = (sim->random_state += 0x9E3779B97F4A7C15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return limit ? (z ^ (z >> 31)) % limit : 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* the turn comes with the prepare handle */
}

/* What happened in one step may make the next one possible (durable -> committed -> answered), so it goes
 * round until nothing moves. The bound only makes sure that the sockets get their turn. */
void sim_turn(struct sim *sim)
{
    int64_t next = INT64_MAX;
    uv_update_time(&sim->loop);
    for (int i = 0; i < TURNS_MAX && !sim->shutting_down; i++) {
        int64_t now = sim_now(sim);
        sim->progress = false;
        if (sim->storage.dirty && oplog_sync(&sim->oplog))
            sim->progress = true;
        next = replset_turn(sim, now);
        next = earlier(next, peers_expire(sim, now));
        next = earlier(next, waiters_turn(sim, now));
        if (sim->serve_again)
            server_serve_waiting(sim);
        if (!sim->progress && !sim->storage.dirty && !sim->peers_broken && !sim->serve_again)
            break;
        next = now;
    }
    if (sim->shutting_down)
        return;
    oplog_compact(&sim->oplog, replset_save, sim);
    int64_t wait = next == INT64_MAX ? 3600000 : next - sim_now(sim);
    uv_timer_start(&sim->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

static void on_prepare(uv_prepare_t *handle)
{
    sim_turn(handle->data);
}

static void on_check(uv_check_t *handle)
{
    sim_turn(handle->data);
}

/* Answers get a moment to leave before everything closes. */
static void on_last_moment(uv_timer_t *timer)
{
    struct sim *sim = timer->data;
    peers_close(sim);
    server_close(sim);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&sim->signals[i], NULL);
    uv_close((uv_handle_t *)&sim->prepare, NULL);
    uv_close((uv_handle_t *)&sim->check, NULL);
    uv_close((uv_handle_t *)&sim->timer, NULL);
}

void sim_shutdown(struct sim *sim)
{
    if (sim->shutting_down)
        return;
    log_line("CONTROL", "shutting down");
    step_down_for_shutdown(sim);
    waiters_end_all(sim, false, WAIT_SHUTDOWN);
    waiters_turn(sim, sim_now(sim));
    oplog_sync(&sim->oplog);
    sim->shutting_down = true;
    uv_timer_start(&sim->timer, on_last_moment, 50, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    sim_shutdown(handle->data);
}

static int load_record(void *context, const bson_t *record, struct error *err)
{
    struct sim *sim = context;
    int rc = oplog_load(&sim->oplog, record, err);
    if (rc <= 0)
        return rc;
    return replset_load(sim, record) < 0
               ? error_set(err, ERROR_IO, "the journal holds what this version can't read")
               : 0;
}

static void start_loop(struct sim *sim)
{
    static const int numbers[2] = {SIGTERM, SIGINT};
    uv_prepare_init(&sim->loop, &sim->prepare);
    uv_check_init(&sim->loop, &sim->check);
    uv_timer_init(&sim->loop, &sim->timer);
    sim->prepare.data = sim->check.data = sim->timer.data = sim;
    uv_prepare_start(&sim->prepare, on_prepare);
    uv_check_start(&sim->check, on_check);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&sim->loop, &sim->signals[i]);
        sim->signals[i].data = sim;
        uv_signal_start(&sim->signals[i], on_signal, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
}

static void seed(struct sim *sim)
{
    uint64_t given = sim->options.seed;
    sim->random_state = given ? given : (uint64_t)wall_ms() * 2654435761u ^ (uint64_t)getpid() << 32;
    bson_oid_init(&sim->instance_id, NULL);
    bson_oid_init(&sim->process_id, NULL);
}

/* Keyfile and certificates, before anything is opened. */
static int load_security(struct sim *sim, struct error *err)
{
    const struct options *o = &sim->options;
    if (o->key_file && keyfile_read(&sim->keyfile, o->key_file, o->server_version, err))
        return -1;
    sim->auth_on = o->key_file != NULL;
    return o->tls.mode == TLS_DISABLED ? 0 : tls_load(&sim->tls, &o->tls, err);
}

static int run(struct sim *sim, struct error *err)
{
    if (load_security(sim, err))
        return EXIT_BAD_SECURITY;
    uv_loop_init(&sim->loop);
    seed(sim);
    sim->started_wall_ms = wall_ms();
    sim->oplog.storage = &sim->storage;
    sim->oplog.last = sim->oplog.durable = OPTIME_NULL;
    sim->rs.voted_term = sim->rs.voted_for = -1;
    sim->sync.source_id = -1;
    if (storage_open(&sim->storage, sim->options.dbpath, load_record, sim, err))
        return EXIT_DBPATH;
    if (server_listen(sim, sim->options.bind_ip, sim->options.port, err))
        return EXIT_NET;
    log_line("CONTROL", "mongod-sim playing %s, pid %d, port %d, dbpath %s",
             options_version_text(&sim->options), (int)getpid(), sim->options.port, sim->options.dbpath);
    start_loop(sim);
    replset_start(sim);
    log_line("NETWORK", "waiting for connections on port %d", sim->options.port);
    uv_run(&sim->loop, UV_RUN_DEFAULT);
    uv_loop_close(&sim->loop);
    storage_close(&sim->storage);
    oplog_finish(&sim->oplog);
    config_release(sim->rs.config);
    tls_finish(&sim->tls);
    OPENSSL_cleanse(&sim->keyfile, sizeof sim->keyfile);
    log_line("CONTROL", "shut down");
    return 0;
}

static int open_log(const struct options *options, struct error *err)
{
    if (!options->log_path)
        return 0;
    int fd = open(options->log_path,
                  O_WRONLY | O_CREAT | O_CLOEXEC | (options->log_append ? O_APPEND : O_TRUNC), 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "--logpath %s", options->log_path);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    static struct sim sim;
    struct error err = {0};
    if (options_parse(&sim.options, argc, argv, &err) ||
        (!sim.options.help && !sim.options.version && open_log(&sim.options, &err))) {
        fprintf(stderr, "atoll-mongod-sim: %s\n", err.message);
        return EXIT_BAD_OPTIONS;
    }
    if (sim.options.help) {
        fputs(options_help, stdout);
        return 0;
    }
    if (sim.options.version) {
        printf("atoll-mongod-sim %s\ndb version v%s (played)\n", ATOLL_VERSION,
               options_version_text(&sim.options));
        return 0;
    }
    int status = run(&sim, &err);
    if (status) {
        log_line("CONTROL", "fatal: %s", err.message);
        fprintf(stderr, "atoll-mongod-sim: %s\n", err.message);
    }
    return status;
}
