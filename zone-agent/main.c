/* The program atoll-zone-agent: options, wiring, and a clean end. Members keep running when the agent ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/file.h"
#include "proto/base/log.h"
#include "zone-agent/agent.h"
#include "zone-agent/controller_link.h"
#include "zone-agent/kubernetes/driver.h"
#include "zone-agent/local/local.h"
#include "zone-agent/probe.h"

enum { EXIT_BAD_USAGE = 2, FILES_WANTED = 16384, WAKE_MOST_MS = 60000 };

static const char help[] =
    "Usage: atoll-zone-agent --dir DIR --zone ZONE --controller URL --driver kubernetes\n"
    "                        [--kubeconfig FILE [--context NAME]] [--namespace NS]\n"
    "       atoll-zone-agent --dir DIR --zone ZONE --controller URL --driver local --subnet 127.0.Z "
    "[--mongod PATH]\n"
    "Keeps one zone's members as the controller's intent says, and reports what it sees.\n"
    "\n"
    "  --dir DIR          where its state is kept: the last intent, and with the local driver disks, pods "
    "and Services\n"
    "  --zone ZONE        the zone's name in the federation's spec\n"
    "  --controller URL   the controller, like http://127.0.0.1:7411\n"
    "  --driver NAME      what the zone is made of; `kubernetes`: a namespace of a cluster; `local`: "
    "processes and\n"
    "                     folders of this machine\n"
    "  --kubeconfig FILE  kubernetes: the cluster, and who the agent is there (without it: the pod's own "
    "service account)\n"
    "  --context NAME     kubernetes: the kubeconfig's context (its current one)\n"
    "  --namespace NS     kubernetes: where the members are (the context's or the pod's own, else default)\n"
    "  --compute-url URL  kubernetes: the Compute API, where the spec names a project "
    "(https://compute.googleapis.com)\n"
    "  --subnet 127.0.Z   local: its Services get addresses .1 to .127, its pods .128 to .254\n"
    "  --mongod PATH      local: the mongod, or atoll-mongod-sim, that pods run (mongod)\n"
    "  --log-level LEVEL  debug, info, warning or error (info)\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM ends the agent and leaves the members running.\n";

struct settings {
    const char *dir, *zone, *controller, *driver, *subnet, *mongod, *log_level, *kubeconfig, *context,
        *namespace_, *compute_url;
};

struct program {
    char dir[PATH_MAX];
    uv_loop_t loop;
    uv_timer_t wake;
    uv_signal_t terminate, interrupt;
    struct http_client *client;
    struct controller_link *link;
    struct probe *probe;
    struct driver *driver;
    struct agent *agent;
    bool stopping;
};

/* ---- options ---- */

static int bad_usage(const char *sentence, const char *what)
{
    fprintf(stderr, "atoll-zone-agent: %s%s (--help lists the options)\n", sentence, what);
    return EXIT_BAD_USAGE;
}

/* An option of the other driver would be ignored: that is said instead. */
static int check_driver(const struct settings *settings)
{
    bool local = strcmp(settings->driver, "local") == 0;
    if (!local && strcmp(settings->driver, "kubernetes"))
        return bad_usage("the driver is `kubernetes` or `local`, not ", settings->driver);
    if (local && (!settings->subnet || !*settings->subnet))
        return bad_usage("missing option ", "--subnet");
    if (local && (settings->kubeconfig || settings->context || settings->namespace_ || settings->compute_url))
        return bad_usage("--kubeconfig, --context, --namespace and --compute-url are options of the driver "
                         "kubernetes, not of ",
                         "local");
    if (!local && (settings->subnet || settings->mongod))
        return bad_usage("--subnet and --mongod are options of the driver local, not of ", "kubernetes");
    if (settings->context && !settings->kubeconfig)
        return bad_usage("--context needs ", "--kubeconfig");
    return 0;
}

static int check_settings(const struct settings *settings)
{
    const struct {
        const char *name, *value;
    } needed[] = {{"--dir", settings->dir},
                  {"--zone", settings->zone},
                  {"--controller", settings->controller},
                  {"--driver", settings->driver}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!needed[i].value || !*needed[i].value)
            return bad_usage("missing option ", needed[i].name);
    if (check_driver(settings))
        return EXIT_BAD_USAGE;
    if (strlen(settings->zone) > NAME_LENGTH_MAX ||
        strspn(settings->zone, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(settings->zone))
        return bad_usage("a zone's name has at most 63 of a-z, 0-9 and -, unlike ", settings->zone);
    return 0;
}

static int set_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0) {
            log_configure("atoll-zone-agent", (enum log_level)i);
            return 0;
        }
    return bad_usage("the log level is debug, info, warning or error, not ", name);
}

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct settings *out)
{
    enum {
        OPTION_DIR = 256,
        OPTION_ZONE,
        OPTION_CONTROLLER,
        OPTION_DRIVER,
        OPTION_SUBNET,
        OPTION_MONGOD,
        OPTION_LOG_LEVEL,
        OPTION_KUBECONFIG,
        OPTION_CONTEXT,
        OPTION_NAMESPACE,
        OPTION_COMPUTE_URL,
        OPTION_HELP,
        OPTION_VERSION
    };
    static const struct option known[] = {{"dir", required_argument, NULL, OPTION_DIR},
                                          {"zone", required_argument, NULL, OPTION_ZONE},
                                          {"controller", required_argument, NULL, OPTION_CONTROLLER},
                                          {"driver", required_argument, NULL, OPTION_DRIVER},
                                          {"subnet", required_argument, NULL, OPTION_SUBNET},
                                          {"mongod", required_argument, NULL, OPTION_MONGOD},
                                          {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                                          {"kubeconfig", required_argument, NULL, OPTION_KUBECONFIG},
                                          {"context", required_argument, NULL, OPTION_CONTEXT},
                                          {"namespace", required_argument, NULL, OPTION_NAMESPACE},
                                          {"compute-url", required_argument, NULL, OPTION_COMPUTE_URL},
                                          {"help", no_argument, NULL, OPTION_HELP},
                                          {"version", no_argument, NULL, OPTION_VERSION},
                                          {NULL, 0, NULL, 0}};
    const char **targets[] = {&out->dir,     &out->zone,       &out->controller, &out->driver,
                              &out->subnet,  &out->mongod,     &out->log_level,  &out->kubeconfig,
                              &out->context, &out->namespace_, &out->compute_url};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0;
        if (option == OPTION_VERSION)
            return printf("atoll-zone-agent %s\n", ATOLL_VERSION) < 0;
        if (option == ':')
            return bad_usage("a value is missing after ", argv[optind - 1]);
        if (option == '?')
            return bad_usage("unknown option ", argv[optind - 1]);
        *targets[option - OPTION_DIR] = optarg;
    }
    if (optind < argc)
        return bad_usage("unexpected argument ", argv[optind]);
    int code = set_log_level(out->log_level);
    if (code == 0)
        code = check_settings(out);
    return code ? code : -1;
}

/* ---- what the agent needs of the world ---- */

static int file_path(const struct program *program, const char *name, char out[PATH_MAX + 64])
{
    return snprintf(out, PATH_MAX + 64, "%s/%s", program->dir, name);
}

static int save(void *context, const char *name, const char *text, size_t length, struct error *err)
{
    char path[PATH_MAX + 64];
    file_path(context, name, path);
    return file_replace(path, text, length, 0600, err);
}

static int load(void *context, const char *name, struct buffer *out, struct error *err)
{
    char path[PATH_MAX + 64];
    file_path(context, name, path);
    return file_read(path, INTENT_BYTES_MAX, out, err);
}

static void on_wake(uv_timer_t *timer)
{
    struct program *program = timer->data;
    agent_tick(program->agent);
}

static void wake_at(void *context, int64_t monotonic_ms)
{
    struct program *program = context;
    int64_t delay_ms = monotonic_ms - clock_monotonic_ms(&clock_system);
    if (program->stopping)
        return;
    uv_update_time(&program->loop);
    uv_timer_start(&program->wake, on_wake,
                   delay_ms < 0              ? 0
                   : delay_ms > WAKE_MOST_MS ? WAKE_MOST_MS
                                             : (uint64_t)delay_ms,
                   0);
}

static void send_message(void *context, enum link_message kind, uint64_t id, const char *text, size_t length)
{
    struct program *program = context;
    controller_link_send(program->link, kind, id, text, length);
}

static void ask_member(void *context, uint64_t id, const struct agent_probe *what)
{
    struct program *program = context;
    probe_ask(program->probe, id, what);
}

static void note(void *context, bool is_problem, const char *sentence)
{
    (void)context;
    log_write(is_problem ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "agent", "%s", sentence);
}

/* ---- what the world tells the agent ---- */

static void on_holdings_changed(void *context)
{
    struct program *program = context;
    if (program->agent && !program->stopping)
        agent_holdings_changed(program->agent);
}

static void on_step_done(void *context, uint64_t step_id, const struct error *err)
{
    struct program *program = context;
    if (program->agent && !program->stopping)
        agent_step_done(program->agent, step_id, err);
}

static void on_zone_cut(void *context, bool cut)
{
    struct program *program = context;
    log_warning("faults", "the zone's network is %s", cut ? "cut, as asked" : "not cut");
    controller_link_cut(program->link, cut);
}

static int on_intent(void *context, const struct intent_event *event, struct error *err)
{
    struct program *program = context;
    return agent_intent(program->agent, event, err);
}

static void on_answer(void *context, enum link_message kind, uint64_t id, const struct link_answer *answer)
{
    struct program *program = context;
    if (answer->err)
        log_debug("link", "%s: %s", kind == LINK_REPORT ? "report" : "heartbeat", answer->err->message);
    agent_link_answer(program->agent, kind, id, answer);
}

static int64_t on_revision(void *context)
{
    struct program *program = context;
    return agent_revision(program->agent);
}

static void on_link_state(void *context, const struct error *err)
{
    (void)context;
    if (err)
        log_warning("link", "the controller can't be heard: %s; the zone goes on by its last intent",
                    err->message);
    else
        log_info("link", "connected to the controller");
}

static void on_probe_done(void *context, uint64_t id, struct arena *arena, const struct mongod_view *view)
{
    struct program *program = context;
    agent_probe_done(program->agent, id, arena, view);
}

/* ---- life ---- */

static void stop(struct program *program)
{
    if (program->stopping)
        return;
    program->stopping = true;
    controller_link_destroy(program->link);
    probe_destroy(program->probe);
    if (program->driver)
        program->driver->functions->close(program->driver, NULL, NULL);
    http_client_destroy(program->client); /* after those that speak through it */
    uv_close((uv_handle_t *)&program->wake, NULL);
    uv_close((uv_handle_t *)&program->terminate, NULL);
    uv_close((uv_handle_t *)&program->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    log_info("main", "ends by signal %d; the members keep running", number);
    stop(handle->data);
}

/* Two agents on one directory would start each member twice. */
static int lock_folder(struct program *program, const char *dir, struct error *err)
{
    char path[PATH_MAX + 64];
    if (file_make_folders(dir, 0700, err))
        return -1;
    if (!realpath(dir, program->dir))
        return error_set_errno(err, errno, "%s can't be used", dir);
    file_path(program, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* held until the process ends */
    if (fd < 0)
        return error_set_errno(err, errno, "%s can't be opened", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return error_set(err, ERROR_REFUSED, "another agent runs on %s already", program->dir);
}

static struct driver *create_local(struct program *program, const struct settings *settings,
                                   struct error *err)
{
    const struct local_driver_options options = {&program->loop,
                                                 program->dir,
                                                 settings->subnet,
                                                 settings->mongod ? settings->mongod : "mongod",
                                                 &clock_system,
                                                 &random_system,
                                                 {program, on_holdings_changed, on_step_done},
                                                 on_zone_cut};
    return local_driver_create(&options, err);
}

static struct driver *create_kubernetes(struct program *program, const struct settings *settings,
                                        struct error *err)
{
    struct kube_config config;
    int failed = settings->kubeconfig ? kubeconfig_read(settings->kubeconfig, settings->context, &config, err)
                                      : kubeconfig_in_cluster(NULL, &config, err);
    if (failed)
        return NULL;
    const struct kubernetes_driver_options options = {
        .loop = &program->loop,
        .http = program->client,
        .config = &config,
        .zone = settings->zone,
        .namespace_ = settings->namespace_ ? settings->namespace_ : config.namespace_name,
        .inside = !settings->kubeconfig,
        .compute_url = settings->compute_url,
        .clock = &clock_system,
        .random = &random_system,
        .events = {program, on_holdings_changed, on_step_done},
        .note = note,
    };
    struct driver *driver = kubernetes_driver_create(&options, err);
    kube_config_finish(&config);
    return driver;
}

static int start_parts(struct program *program, const struct settings *settings, struct error *err)
{
    const struct probe_events probe_events = {program, on_probe_done};
    const struct controller_link_events link_events = {program, on_intent, on_answer, on_revision,
                                                       on_link_state};
    const struct agent_options agent_options = {settings->zone, ATOLL_VERSION, settings->driver};

    if (!(program->client = http_client_create(&program->loop, "atoll-zone-agent/" ATOLL_VERSION, err)))
        return -1;
    program->driver = strcmp(settings->driver, "local") == 0 ? create_local(program, settings, err)
                                                             : create_kubernetes(program, settings, err);
    if (!program->driver ||
        !(program->probe = probe_create(&program->loop, &clock_system, &probe_events, err)))
        return -1;
    const struct agent_environment environment = {
        &clock_system, &random_system, program->driver, program, send_message, ask_member,
        save,          load,           wake_at,         note};
    if (!(program->agent = agent_create(&agent_options, &environment, err)))
        return -1;
    program->link = controller_link_create(&program->loop, program->client, settings->controller,
                                           settings->zone, &random_system, &link_events, err);
    return program->link ? 0 : -1;
}

static void start_handles(struct program *program)
{
    uv_timer_init(&program->loop, &program->wake);
    uv_signal_init(&program->loop, &program->terminate);
    uv_signal_init(&program->loop, &program->interrupt);
    program->wake.data = program->terminate.data = program->interrupt.data = program;
    uv_signal_start(&program->terminate, on_signal, SIGTERM);
    uv_signal_start(&program->interrupt, on_signal, SIGINT);
}

static int run(const struct settings *settings)
{
    static struct program program;
    struct error err = {0};
    if (lock_folder(&program, settings->dir, &err)) {
        log_error("main", "%s", err.message);
        return 1;
    }
    uv_loop_init(&program.loop);
    start_handles(&program);
    int failed = start_parts(&program, settings, &err);
    if (failed) {
        log_error("main", "%s", err.message);
        stop(&program);
    } else {
        log_info("main", "agent %s of zone %s, driver %s, directory %s", ATOLL_VERSION, settings->zone,
                 settings->driver, program.dir);
    }
    uv_run(&program.loop, UV_RUN_DEFAULT);
    agent_destroy(program.agent);
    uv_loop_close(&program.loop);
    return failed ? 1 : 0;
}

/* A zone's agent must be small: one malloc arena, memory given back early, two worker threads. */
static void keep_small(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    setenv("UV_THREADPOOL_SIZE", "2", 1);
}

/* Each connection through a Service takes two files. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_WANTED) {
        limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {.log_level = "info"};
    int code = read_options(argc, argv, &settings);
    if (code >= 0)
        return code;
    keep_small();
    raise_limits();
    signal(SIGPIPE, SIG_IGN);
    return run(&settings);
}
