/* The program atoll-zone-agent: wiring, and a clean end. Members keep running when the agent ends.
 */
#include <errno.h>
#include <fcntl.h>
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

#include "proto/base/core_dump.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "zone-agent/agent.h"
#include "zone-agent/controller_link.h"
#include "zone-agent/enrolment.h"
#include "zone-agent/kubernetes/driver.h"
#include "zone-agent/local/local.h"
#include "zone-agent/member_keys.h"
#include "zone-agent/options.h"
#include "zone-agent/probe.h"

enum { FILES_WANTED = 16384, WAKE_MOST_MS = 60000 };

struct program {
    char dir[PATH_MAX];
    uv_loop_t loop;
    uv_timer_t wake;
    uv_signal_t terminate, interrupt;
    struct http_client *client;
    struct controller_link *link; /* NULL until there is a certificate */
    struct identity identity;
    struct enrolment *enrolment; /* NULL with a controller at http:// */
    const struct settings *settings;
    struct probe *probe;
    struct driver *driver;
    struct agent *agent;
    uint64_t unsent[2]; /* ids of messages, by their kind; 0: none */
    bool stopping, cut;
};

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
    if (program->link)
        controller_link_send(program->link, kind, id, text, length);
    else
        program->unsent[kind] = id; /* told as lost once there is a link */
}

static void ask_member(void *context, uint64_t id, const struct agent_probe *what)
{
    struct program *program = context;
    probe_ask(program->probe, id, what);
}

static int identify(void *context, const struct intent_member *member, const char *ca, struct arena *arena,
                    struct member_identity *out, struct error *err)
{
    const struct program *program = context;
    return member_keys_identify(program->dir, member, ca, arena, out, err);
}

static void forget_identity(void *context, const char *node)
{
    const struct program *program = context;
    member_keys_forget(program->dir, node);
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
    program->cut = cut;
    if (program->link)
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
    struct program *program = context;
    if (program->enrolment && err && err->code == ERROR_REFUSED)
        enrolment_refused(program->enrolment);
    else if (program->enrolment && !err)
        enrolment_accepted(program->enrolment);
    if (err)
        log_warning("link", "the controller can't be heard: %s; the zone goes on by its last intent",
                    err->message);
    else
        log_info("link", "connected to the controller");
}

static bool on_tls(void *context, struct http_tls *out)
{
    struct program *program = context;
    if (program->enrolment)
        *out = identity_tls(&program->identity);
    return program->enrolment != NULL;
}

static void on_trust(void *context, const char *bundle_hash, bool renew)
{
    struct program *program = context;
    if (program->enrolment)
        enrolment_told(program->enrolment, bundle_hash, renew);
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
    enrolment_destroy(program->enrolment);
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

static int start_link(struct program *program, struct error *err)
{
    const struct controller_link_events events = {program, on_intent, on_answer,    on_revision,
                                                  on_tls,  on_trust,  on_link_state};
    program->link = controller_link_create(&program->loop, program->client, program->settings->controller,
                                           program->settings->zone, &random_system, &events, err);
    if (program->link && program->cut)
        controller_link_cut(program->link, true);
    return program->link ? 0 : -1;
}

static void on_identity_ready(void *context)
{
    struct program *program = context;
    struct error err = {0};
    if (program->stopping)
        return;
    if (start_link(program, &err))
        log_error("link", "%s", err.message);
    error_set(&err, ERROR_UNREACHABLE, "there was no certificate yet");
    for (int kind = 0; kind < 2; kind++)
        if (program->unsent[kind])
            agent_link_answer(program->agent, (enum link_message)kind, program->unsent[kind],
                              &(struct link_answer){.err = &err});
}

static void on_identity_changed(void *context)
{
    struct program *program = context;
    if (program->link && !program->stopping)
        controller_link_redial(program->link);
}

/* The link begins once there is a certificate; meanwhile the zone goes on by its last intent. */
static int start_enrolment(struct program *program, struct error *err)
{
    const struct enrolment_options options = {&program->loop,
                                              program->client,
                                              &clock_system,
                                              &random_system,
                                              program->settings->controller,
                                              program->settings->zone,
                                              program->settings->join_token_file,
                                              &program->identity,
                                              {program, on_identity_ready, on_identity_changed, note}};
    if (identity_open(&program->identity, program->dir, program->settings->zone, err))
        return -1;
    program->enrolment = enrolment_create(&options, err);
    return program->enrolment ? 0 : -1;
}

static int start_parts(struct program *program, const struct settings *settings, struct error *err)
{
    const struct probe_events probe_events = {program, on_probe_done};
    char ca_file[PATH_MAX + 64];
    const struct agent_options agent_options = {settings->zone, ATOLL_VERSION, settings->driver};

    if (!(program->client = http_client_create(&program->loop, "atoll-zone-agent/" ATOLL_VERSION, err)))
        return -1;
    program->driver = strcmp(settings->driver, "local") == 0 ? create_local(program, settings, err)
                                                             : create_kubernetes(program, settings, err);
    file_path(program, MEMBER_KEYS_CA_FILE, ca_file);
    if (!program->driver ||
        !(program->probe = probe_create(&program->loop, ca_file, &clock_system, &probe_events, err)))
        return -1;
    const struct agent_environment environment = {.clock = &clock_system,
                                                  .random = &random_system,
                                                  .driver = program->driver,
                                                  .context = program,
                                                  .send = send_message,
                                                  .probe = ask_member,
                                                  .identify = identify,
                                                  .forget_identity = forget_identity,
                                                  .save = save,
                                                  .load = load,
                                                  .wake_at = wake_at,
                                                  .note = note};
    if (!(program->agent = agent_create(&agent_options, &environment, err)))
        return -1;
    return strncmp(settings->controller, "https://", 8) == 0 ? start_enrolment(program, err)
                                                             : start_link(program, err);
}

static int start_loop(struct program *program, struct error *err)
{
    int code = uv_loop_init(&program->loop);
    if (code)
        return error_set(err, ERROR_INTERNAL, "there is no event loop: %s", uv_strerror(code));
    uv_timer_init(&program->loop, &program->wake);
    program->wake.data = program->terminate.data = program->interrupt.data = program;
    if ((code = uv_signal_init(&program->loop, &program->terminate)) ||
        (code = uv_signal_init(&program->loop, &program->interrupt)) ||
        (code = uv_signal_start(&program->terminate, on_signal, SIGTERM)) ||
        (code = uv_signal_start(&program->interrupt, on_signal, SIGINT)))
        return error_set(err, ERROR_INTERNAL, "signals can't be waited for: %s", uv_strerror(code));
    return 0;
}

static int run(const struct settings *settings)
{
    static struct program program;
    struct error err = {0};
    program.settings = settings;
    if (lock_folder(&program, settings->dir, &err) || start_loop(&program, &err)) {
        log_error("main", "%s", err.message);
        return 1;
    }
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
    identity_close(&program.identity);
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
    int code = options_read(argc, argv, &settings);
    if (code >= 0)
        return code;
    core_dump_forbid();
    keep_small();
    raise_limits();
    signal(SIGPIPE, SIG_IGN);
    return run(&settings);
}
