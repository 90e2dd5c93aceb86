/* atoll-controller: options, loop, wiring; nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "config/spec_format.h"
#include "controller/act/die_at.h"
#include "controller/act/store_sqlite.h"
#include "controller/controller.h"
#include "controller/journal/journal.h"
#include "controller/maintenance.h"
#include "controller/serve/site.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/pki.h"

/* Of the process: 0 done, 1 it may be tried again (as systemd and others do), and these. */
enum { EXIT_USAGE = 2, EXIT_STORE_UNUSABLE = 65 /* EX_DATAERR: a person has to look at it first */ };

enum { PATH_TEXT_MAX = 4096, ADDRESS_MAX = 64, STOP_PATIENCE_MS = 3000, EGRESS_MAX = 16, OTHER_FILES = 256 };

struct endpoint {
    bool on;
    char address[ADDRESS_MAX];
    int port;
};

struct options {
    const char *dir, *backup, *restore; /* the latter two NULL: run */
    bool overwrite;
    struct endpoint listen, read_listen;
    enum log_level level;
    const char *egress[EGRESS_MAX];
    size_t egress_count;
    struct die_at die_at; /* for tests alone, so it is not in `usage` */
};

struct daemon {
    struct options options;
    uv_loop_t loop;
    uv_timer_t wake, tick, patience;
    uv_signal_t term, interrupt;
    struct store *store;
    struct mongo *mongo;
    struct controller *controller;
    struct site site;
    bool site_ready;
    bool abandoned; /* a command to MongoDB was still under way when patience ended */
    int lock;
};

static const char usage[] =
    "Usage: atoll-controller --dir DIR [--listen ADDRESS:PORT] [--read-listen off|ADDRESS:PORT] [--egress "
    "CIDR]... [--log-level LEVEL]\n"
    "\n"
    "The controller of a federation: it takes the spec, listens to the zones' agents, and keeps the replica "
    "sets whole.\n"
    "\n"
    "  --dir DIR                  where its state is kept (controller.db), made when it is not there\n"
    "  --listen ADDRESS:PORT      agents, people and changes [127.0.0.1:7411]; plain HTTP, so loopback only; "
    "port 0: a free one\n"
    "  --read-listen ADDRESS:PORT for reading only, loopback, or off [off]\n"
    "  --egress CIDR              the addresses that this controller leaves by: members' Services in "
    "Kubernetes admit them;\n"
    "                             may be given several times\n"
    "  --log-level LEVEL          debug, info, warning or error [info]\n"
    "  --help, --version\n"
    "\n"
    "Instead of running:\n"
    "  --backup FILE              an image of the store in DIR, also while a controller runs on it; --overwrite: also "
    "if FILE exists\n"
    "  --restore FILE             puts an image in the store's place, while no controller runs; keeps the old one "
    "beside it\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 bad usage, 65 the store can't be used, which starting again does not change "
    "(docs/state.md).\n"
    "\n"
    "Once it listens it writes DIR/url (where to read) and DIR/control-url (where to change).\n";

/* ---- options ---- */

static int bad_usage(const char *message, const char *value)
{
    fprintf(stderr, "atoll-controller: %s%s\nTry: atoll-controller --help\n", message, value);
    return -1;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* "127.0.0.1:7411", "[::1]:7411" */
static int read_endpoint(const char *text, struct endpoint *out)
{
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon || colon == text)
        return bad_usage("an address and a port are needed, like 127.0.0.1:7411, not ", text);
    long port = strtol(colon + 1, &end, 10);
    size_t length = (size_t)(colon - text);
    if (end == colon + 1 || *end || port < 0 || port > 65535)
        return bad_usage("a port is a number from 0 to 65535, not ", colon + 1);
    if (*text == '[' && text[length - 1] == ']')
        text++, length -= 2;
    if (length >= sizeof out->address)
        return bad_usage("this address is too long: ", text);
    memcpy(out->address, text, length);
    out->address[length] = 0;
    if (strcmp(out->address, "localhost") == 0)
        strcpy(out->address, "127.0.0.1");
    if (!is_loopback(out->address))
        return bad_usage("plain HTTP is served on loopback addresses alone (127.0.0.1, ::1), not on ",
                         out->address);
    out->port = (int)port;
    out->on = true;
    return 0;
}

static int read_level(const char *text, enum log_level *out)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    return bad_usage("--log-level is debug, info, warning or error, not ", text);
}

static int read_egress(const char *text, struct options *out)
{
    if (check_cidr(text))
        return bad_usage("--egress needs an address and a prefix length, like 203.0.113.7/32, not ", text);
    if (out->egress_count == EGRESS_MAX)
        return bad_usage("--egress was given too often: ", text);
    out->egress[out->egress_count++] = text;
    return 0;
}

static int read_die_at(const char *text, struct options *out)
{
    struct error err;
    return die_at_read(text, &out->die_at, &err) ? bad_usage(err.message, "") : 0;
}

static int read_option(int option, struct options *out)
{
    switch (option) {
    case 'k':
        return read_die_at(optarg, out);
    case 'b':
        out->backup = optarg;
        return *optarg ? 0 : bad_usage("--backup needs the name of a file", "");
    case 's':
        out->restore = optarg;
        return *optarg ? 0 : bad_usage("--restore needs the name of a file", "");
    case 'o':
        out->overwrite = true;
        return 0;
    case 'd':
        out->dir = optarg;
        return *optarg ? 0 : bad_usage("--dir needs a folder", "");
    case 'l':
        return read_endpoint(optarg, &out->listen);
    case 'r':
        out->read_listen.on = false;
        return strcmp(optarg, "off") == 0 ? 0 : read_endpoint(optarg, &out->read_listen);
    case 'e':
        return read_egress(optarg, out);
    case 'v':
        return read_level(optarg, &out->level);
    case 'h':
        fputs(usage, stdout);
        exit(0);
    case 'V':
        puts("atoll-controller " ATOLL_VERSION);
        exit(0);
    default:
        return bad_usage("that option is not known, or needs a value: ", optarg ? optarg : "see above");
    }
}

static int read_options(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},         {"listen", required_argument, NULL, 'l'},
        {"read-listen", required_argument, NULL, 'r'}, {"egress", required_argument, NULL, 'e'},
        {"log-level", required_argument, NULL, 'v'},   {"help", no_argument, NULL, 'h'},
        {"die-at", required_argument, NULL, 'k'},      {"backup", required_argument, NULL, 'b'},
        {"restore", required_argument, NULL, 's'},     {"overwrite", no_argument, NULL, 'o'},
        {"version", no_argument, NULL, 'V'},           {0}};
    int option;
    *out = (struct options){.listen = {true, "127.0.0.1", 7411}, .level = LOG_LEVEL_INFO};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (read_option(option, out))
            return -1;
    if (optind < argc)
        return bad_usage("nothing is known to do with ", argv[optind]);
    if ((out->backup && out->restore) || (out->overwrite && !out->backup))
        return bad_usage("--overwrite goes with --backup, and --backup not with --restore", "");
    return out->dir ? 0 : bad_usage("--dir DIR is needed: where the controller's state is kept", "");
}

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
    die_at_reached(&self->options.die_at, DIE_INTENT, false);
    if (self->site_ready)
        site_intent_changed(&self->site, zone);
    die_at_reached(&self->options.die_at, DIE_INTENT, true);
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
    die_at_reached(&self->options.die_at, DIE_EFFECT, true);
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

static int start_controller(struct daemon *self, struct error *err)
{
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/" STORE_FILE, self->options.dir);
    if (store_sqlite_open(path, &self->store, err) ||
        mongo_pool_create(&self->loop, action_done, self, &self->mongo, err))
        return -1;
    if (self->options.die_at.number)
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
                                                 .context = self,
                                                 .random_text = pki_random_text,
                                                 .egress = self->options.egress,
                                                 .egress_count = self->options.egress_count,
                                                 .journal_bytes = JOURNAL_ALL_BYTES_MAX};
    if (controller_start(&environment, &self->controller, err) == 0)
        return 0;
    return error_wrap(err, "starting on %s (a backup can be brought back with --restore; see docs/state.md)", path);
}

static int write_url(const struct daemon *self, const char *name, const char *url, struct error *err)
{
    char path[PATH_TEXT_MAX], line[160];
    snprintf(path, sizeof path, "%s/%s", self->options.dir, name);
    int length = snprintf(line, sizeof line, "%s\n", url);
    return file_replace(path, line, (size_t)length, 0644, err);
}

/* A file for each connection that may be: the usual soft limit of 1024 is for programs with select(). Gives how many there may be. */
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
                "only %llu files may be open, and all limits on connections together need %llu: they are lowered in proportion; raise "
                "the limit (ulimit -Hn, LimitNOFILE=)",
                (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
    return limit.rlim_cur > 2 * OTHER_FILES ? (unsigned)limit.rlim_cur - OTHER_FILES : OTHER_FILES;
}

/* Keys and tokens are in this process' memory, and a core dump would be a copy of them on a disk. */
static void forbid_core_dumps(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static int start_serving(struct daemon *self, struct error *err)
{
    const struct endpoint *main_end = &self->options.listen, *read_end = &self->options.read_listen;
    struct backend backend = controller_backend(self->controller);
    char url[128], read_url[128];
    if (site_init(&self->site, &backend, die_at_store(&self->options.die_at, self->store), &clock_system, err))
        return -1;
    self->site_ready = true;
    self->site.descriptors = open_files_for_connections();
    if (site_listen(&self->site, &self->loop, main_end->address, main_end->port, false, err))
        return -1;
    site_url(&self->site.listeners[0], main_end->address, url, sizeof url);
    memcpy(read_url, url, sizeof read_url);
    if (read_end->on) {
        if (site_listen(&self->site, &self->loop, read_end->address, read_end->port, true, err))
            return -1;
        site_url(&self->site.listeners[1], read_end->address, read_url, sizeof read_url);
    }
    if (write_url(self, "control-url", url, err) || write_url(self, "url", read_url, err))
        return -1;
    log_warning("main",
                "%s is plain HTTP: whoever can open a connection from this machine can change the federation",
                url);
    log_info("main", "serving on %s, reading on %s", url, read_url);
    return 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *self = timer->data;
    site_tick(&self->site);
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

static void finish(struct daemon *self)
{
    if (!uv_is_closing((uv_handle_t *)&self->tick))
        stop(self);
    if (!self->abandoned)
        uv_run(&self->loop, UV_RUN_DEFAULT);
    controller_destroy(self->controller);
    if (self->site_ready)
        site_finish(&self->site);
    if (self->store)
        self->store->functions->close(self->store);
    if (self->abandoned) {
        log_warning("main", "a command to MongoDB is left without its answer");
        _exit(0); /* the worker still uses the loop's memory */
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
    if (read_options(argc, argv, &self.options))
        return EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write, as a full disk is */
    forbid_core_dumps();
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
    finish(&self);
    return result;
}
