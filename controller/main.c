/* atoll-controller: loop and wiring; nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "controller/act/die_at.h"
#include "controller/act/store_sqlite.h"
#include "controller/controller.h"
#include "controller/credentials.h"
#include "controller/journal/journal.h"
#include "controller/maintenance.h"
#include "controller/options.h"
#include "controller/serve/site.h"
#include "proto/base/core_dump.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/pki.h"

/* Of the process: 0 done, 1 it may be tried again (as systemd and others do), and these. */
enum { EXIT_USAGE = 2, EXIT_STORE_UNUSABLE = 65 /* EX_DATAERR: a person has to look at it first */ };

enum { PATH_TEXT_MAX = 4096, STOP_PATIENCE_MS = 3000, OTHER_FILES = 256 };

struct daemon {
    struct options options;
    uv_loop_t loop;
    uv_timer_t wake, tick, patience;
    uv_signal_t term, interrupt;
    struct store *store;
    struct mongo *mongo;
    struct controller *controller;
    struct credentials *credentials; /* NULL with --tls off */
    struct site site;
    bool site_ready;
    bool abandoned; /* a command to MongoDB was still under way when patience ended */
    int lock;
};

/* ---- the controller's environment ---- */

static void on_wake(uv_timer_t *timer)
{
    struct daemon *self = timer->data;
    controller_tick(self->controller);
}

static void wake_at(void *context, int64_t monotonic_ms)
{
    struct daemon *self = context;
    int64_t delay_ms = monotonic_ms - clock_monotonic_ms(&clock_system);
    /* The loop's time stands still during a turn; a timer must not fall due before the moment that was asked
     * for. */
    uv_update_time(&self->loop);
    uv_timer_start(&self->wake, on_wake, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

static void intent_changed(void *context, const char *zone)
{
    struct daemon *self = context;
    die_at_intent(&self->options.die_at, false);
    if (self->site_ready)
        site_intent_changed(&self->site, zone);
    die_at_intent(&self->options.die_at, true);
}

static void status_changed(void *context)
{
    struct daemon *self = context;
    if (self->site_ready)
        site_status_changed(&self->site);
}

static void event_happened(void *context, const struct event *event)
{
    struct daemon *self = context;
    bool warning = strcmp(event_type_text(event->reason), "Warning") == 0;
    log_write(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "event", "%s reason=%s%s%s%s%s rule=%d",
              event->message, event_reason_text(event->reason), *event->set ? " set=" : "", event->set,
              *event->zone ? " zone=" : "", event->zone, event->rule);
    if (self->site_ready)
        site_event_happened(&self->site, event);
}

static void action_done(void *context, const struct mongo_result *result)
{
    struct daemon *self = context;
    die_at_action_done(&self->options.die_at, result->id);
    controller_action_done(self->controller, result);
}

/* ---- life ---- */

static int lock_folder(struct daemon *self, struct error *err)
{
    char path[PATH_TEXT_MAX];
    if (file_make_folders(self->options.dir, 0700, err))
        return -1;
    snprintf(path, sizeof path, "%s/lock", self->options.dir);
    self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0)
        return error_set_errno(err, errno, "%s can't be opened", path);
    if (flock(self->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return error_set_errno(err, errno, "%s can't be locked", path);
    return error_set(err, ERROR_CONFLICT,
                     "another controller runs on %s: stop it first, or give another --dir",
                     self->options.dir);
}

static void describe_trust(void *context, struct trust_view *out)
{
    const struct daemon *self = context;
    if (self->credentials)
        credentials_describe(self->credentials, out);
}

static void describe_zone(void *context, const char *zone, struct zone_enrolment *out)
{
    const struct daemon *self = context;
    if (self->credentials)
        credentials_describe_zone(self->credentials, zone, out);
}

static int certify(void *context, const struct certificate_wish *wish, struct certificate_made *out,
                   struct error *err)
{
    const struct daemon *self = context;
    const struct trust_member member = {.set = wish->set,
                                        .node = wish->node,
                                        .request = wish->request,
                                        .names = wish->names,
                                        .name_count = wish->name_count,
                                        .present = wish->present,
                                        .addresses_as_names = wish->addresses_as_names,
                                        .keep_foreign = wish->keep_foreign};
    struct pki_facts facts;
    if (trust_certify_member(credentials_trust(self->credentials), &member, &out->pem, &facts, err))
        return -1;
    memcpy(out->id, facts.hash, sizeof out->id);
    out->renew_at_ms = pki_renew_at_s(&facts) * 1000;
    out->expires_at_ms = facts.not_after_s * 1000;
    return 0;
}

static const char *trusted(void *context)
{
    const struct daemon *self = context;
    return trust_bundle(credentials_trust(self->credentials));
}

static int start_controller(struct daemon *self, struct error *err)
{
    char path[PATH_TEXT_MAX], ca_file[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/" STORE_FILE, self->options.dir);
    snprintf(ca_file, sizeof ca_file, "%s/" CREDENTIALS_CA_FILE, self->options.dir);
    if (store_sqlite_open(path, &self->store, err) ||
        mongo_pool_create(&self->loop, ca_file, action_done, self, &self->mongo, err))
        return -1;
    if (self->options.die_at.on)
        log_warning("main", "--die-at: this process kills itself at a given moment, as tests want it");
    struct controller_environment environment = {.clock = &clock_system,
                                                 .random = &random_system,
                                                 .store = die_at_store(&self->options.die_at, self->store),
                                                 .mongo = die_at_mongo(&self->options.die_at, self->mongo),
                                                 .plan = plan_set,
                                                 .wake_at = wake_at,
                                                 .intent_changed = intent_changed,
                                                 .status_changed = status_changed,
                                                 .event_happened = event_happened,
                                                 .describe_trust = describe_trust,
                                                 .describe_zone = describe_zone,
                                                 .context = self,
                                                 .random_text = pki_random_text,
                                                 .certify = self->options.tls_off ? NULL : certify,
                                                 .trusted = self->options.tls_off ? NULL : trusted,
                                                 .egress = self->options.egress,
                                                 .egress_count = self->options.egress_count,
                                                 .journal_bytes = JOURNAL_ALL_BYTES_MAX};
    if (controller_start(&environment, &self->controller, err) == 0)
        return 0;
    return error_wrap(err, "starting on %s (a backup can be brought back with --restore; see docs/state.md)",
                      path);
}

static int exchange_ca(void *context, bool force, struct error *err)
{
    struct daemon *self = context;
    if (!force && controller_members_certified(self->controller, err))
        return -1;
    if (credentials_exchange_ca(self->credentials, force, err))
        return -1;
    controller_trust_changed(self->controller);
    return 0;
}

static int start_credentials(struct daemon *self, struct error *err)
{
    const struct options *options = &self->options;
    const struct credentials_options wanted = {.store = die_at_store(&self->options.die_at, self->store),
                                               .clock = &clock_system,
                                               .dir = options->dir,
                                               .passphrase_file = options->passphrase_file,
                                               .listen = options->listen.address,
                                               .names = options->names,
                                               .name_count = options->name_count,
                                               .admin_file = options->admin_file};
    if (options->tls_off)
        return 0;
    if (credentials_open(&wanted, &self->credentials, err))
        return -1;
    self->site.trust = credentials_trust(self->credentials);
    self->site.exchange_ca = exchange_ca;
    self->site.exchange_context = self;
    return 0;
}

static int write_url(const struct daemon *self, const char *name, const char *url, struct error *err)
{
    char path[PATH_TEXT_MAX], line[160];
    snprintf(path, sizeof path, "%s/%s", self->options.dir, name);
    int length = snprintf(line, sizeof line, "%s\n", url);
    return file_replace(path, line, (size_t)length, 0644, err);
}

/* A file for each connection that may be: the usual soft limit of 1024 is for programs with select(). Gives
 * how many there may be. */
static unsigned open_files_for_connections(void)
{
    struct rlimit limit;
    rlim_t wanted = SITE_DESCRIPTORS + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return SITE_DESCRIPTORS;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted)
        return SITE_DESCRIPTORS;
    log_warning("main",
                "only %llu files may be open, and all limits on connections together need %llu: they are "
                "lowered in proportion; raise "
                "the limit (ulimit -Hn, LimitNOFILE=)",
                (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
    return limit.rlim_cur > 2 * OTHER_FILES ? (unsigned)limit.rlim_cur - OTHER_FILES : OTHER_FILES;
}

static int start_serving(struct daemon *self, struct error *err)
{
    const struct endpoint *main_end = &self->options.listen, *read_end = &self->options.read_listen;
    struct backend backend = controller_backend(self->controller);
    char url[128], read_url[128];
    if (site_init(&self->site, &backend, die_at_store(&self->options.die_at, self->store), &clock_system,
                  err))
        return -1;
    self->site_ready = true;
    self->site.descriptors = open_files_for_connections();
    if (start_credentials(self, err))
        return -1;
    struct tls_context *tls = self->credentials ? credentials_tls(self->credentials) : NULL;
    if (site_listen(&self->site, &self->loop, main_end->address, main_end->port, false, tls, err))
        return -1;
    site_url(&self->site.listeners[0], main_end->address, url, sizeof url);
    memcpy(read_url, url, sizeof read_url);
    if (read_end->on) {
        if (site_listen(&self->site, &self->loop, read_end->address, read_end->port, true, NULL, err))
            return -1;
        site_url(&self->site.listeners[1], read_end->address, read_url, sizeof read_url);
    }
    if (write_url(self, "control-url", url, err) || write_url(self, "url", read_url, err))
        return -1;
    if (self->options.tls_off)
        log_warning("main",
                    "--tls off: %s is plain HTTP: whoever can open a connection from this machine can change "
                    "the federation",
                    url);
    log_info("main", "serving on %s, reading on %s", url, read_url);
    return 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *self = timer->data;
    site_tick(&self->site);
    if (self->credentials)
        credentials_tick(self->credentials);
}

static void on_patience(uv_timer_t *timer)
{
    struct daemon *self = timer->data;
    self->abandoned = true;
    uv_stop(&self->loop);
}

/* Whatever is left: the loop then has nothing more to do and uv_run() returns; but a worker that waits for
 * MongoDB is waited for only so long (what it does is found out after the next start, as after a crash). */
static void stop(struct daemon *self)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&self->wake, (uv_handle_t *)&self->tick,
                                    (uv_handle_t *)&self->term, (uv_handle_t *)&self->interrupt};
    if (self->site_ready)
        site_close(&self->site);
    mongo_pool_close(self->mongo);
    self->mongo = NULL;
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
    uv_timer_start(&self->patience, on_patience, STOP_PATIENCE_MS, 0);
    uv_unref((uv_handle_t *)&self->patience);
}

static void on_signal(uv_signal_t *handle, int number)
{
    log_info("main", "stopping on %s", strsignal(number));
    stop(handle->data);
}

static int start_loop(struct daemon *self, struct error *err)
{
    int code = uv_loop_init(&self->loop);
    if (code)
        return error_set(err, ERROR_INTERNAL, "there is no event loop: %s", uv_strerror(code));
    uv_timer_init(&self->loop, &self->wake);
    uv_timer_init(&self->loop, &self->tick);
    uv_timer_init(&self->loop, &self->patience);
    self->wake.data = self->tick.data = self->patience.data = self->term.data = self->interrupt.data = self;
    if ((code = uv_signal_init(&self->loop, &self->term)) ||
        (code = uv_signal_init(&self->loop, &self->interrupt)) ||
        (code = uv_signal_start(&self->term, on_signal, SIGTERM)) ||
        (code = uv_signal_start(&self->interrupt, on_signal, SIGINT)))
        return error_set(err, ERROR_INTERNAL, "signals can't be waited for: %s", uv_strerror(code));
    uv_timer_start(&self->tick, on_tick, SITE_TICK_MS, SITE_TICK_MS);
    return 0;
}

static void finish(struct daemon *self, int result)
{
    if (!uv_is_closing((uv_handle_t *)&self->tick))
        stop(self);
    if (!self->abandoned)
        uv_run(&self->loop, UV_RUN_DEFAULT);
    controller_destroy(self->controller);
    if (self->site_ready)
        site_finish(&self->site);
    credentials_close(self->credentials);
    if (self->store)
        self->store->functions->close(self->store);
    if (self->abandoned) {
        log_warning("main", "a command to MongoDB is left without its answer");
        _exit(result); /* the worker still uses the loop's memory */
    }
    uv_close((uv_handle_t *)&self->patience, NULL);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    uv_loop_close(&self->loop);
}

static int maintain(struct daemon *self)
{
    const struct options *options = &self->options;
    struct error err = {0};
    int result = options->backup ? maintenance_backup(options->dir, options->backup, options->overwrite, &err)
                 : lock_folder(self, &err) ? -1
                                           : maintenance_restore(options->dir, options->restore, &err);
    if (result)
        fprintf(stderr, "atoll-controller: %s\n", err.message);
    return result ? 1 : 0;
}

/* What the store holds does not get better by itself; a full disk or a missing permission may. */
static int start_failed(const struct error *err)
{
    return err->code == ERROR_INVALID ? EXIT_STORE_UNUSABLE : 1;
}

int main(int argc, char **argv)
{
    static struct daemon self;
    struct error err = {0};
    char workers[16];
    if (options_read(argc, argv, &self.options))
        return EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write, as a full disk is */
    core_dump_forbid();
    if (self.options.backup || self.options.restore)
        return maintain(&self);
    log_configure("atoll-controller", self.options.level);
    snprintf(workers, sizeof workers, "%d", MONGO_WORKERS);
    setenv("UV_THREADPOOL_SIZE", workers, 0);
    if (lock_folder(&self, &err) || start_loop(&self, &err)) {
        log_error("main", "%s", err.message);
        return 1;
    }
    int result = start_controller(&self, &err) ? start_failed(&err) : start_serving(&self, &err) ? 1 : 0;
    if (result)
        log_error("main", "%s", err.message);
    else
        uv_run(&self.loop, UV_RUN_DEFAULT);
    finish(&self, result);
    return result;
}
