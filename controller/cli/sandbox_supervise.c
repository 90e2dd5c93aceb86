/* atoll sandbox supervise: keeps a sandbox's controller and agents running until it is told to stop, and then
 * stops these. It never touches members: they outlive their agents, and are stopped by `sandbox down`. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/processes.h"
#include "controller/cli/supervise.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

enum { ORPHAN_PATIENCE_MS = 5000 };

/* What a controller before this one wrote must not be taken for the new one's. */
static void forget_url(const struct supervisor *supervisor, const char *name)
{
    char path[PATH_MAX];
    if (sandbox_path(path, supervisor->dir, name, NULL) == 0)
        file_remove_tree(path, NULL);
}

void supervisor_settle_ports(struct supervisor *supervisor)
{
    struct sandbox *sandbox = &supervisor->sandbox;
    struct error err;
    forget_url(supervisor, "controller/url");
    forget_url(supervisor, "controller/control-url");
    int listen_port = sandbox_free_port(sandbox->listen_port, SANDBOX_LISTEN_PORT, 0);
    int read_port = sandbox_free_port(sandbox->read_port, SANDBOX_READ_PORT, listen_port);
    if (listen_port == sandbox->listen_port && read_port == sandbox->read_port)
        return;
    if (sandbox->listen_port && listen_port != sandbox->listen_port)
        log_warning("ports", "port %d is taken, %d is used instead", sandbox->listen_port, listen_port);
    bool moved = listen_port != sandbox->listen_port;
    sandbox->listen_port = listen_port;
    sandbox->read_port = read_port;
    if (sandbox_write(supervisor->dir, sandbox, &err))
        log_error("ports", "%s", err.message);
    for (size_t i = 0; moved && i < supervisor->agent_count; i++)
        child_stop(supervisor->agents[i], SIGTERM); /* started again with the new URL */
}

/* Copies one of the controller's URLs to the sandbox's own folder; -1 while it isn't there yet. */
static int copy_url(const struct supervisor *supervisor, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX], below[64];
    struct buffer text;
    struct error err;
    snprintf(below, sizeof below, "controller/%s", name);
    buffer_init(&text, 0);
    int result = sandbox_path(from, supervisor->dir, below, &err) ||
                         sandbox_path(to, supervisor->dir, name, &err) ||
                         file_read(from, 4096, &text, &err) || text.length == 0
                     ? -1
                     : 0;
    if (result == 0 && file_replace(to, text.data, text.length, 0600, &err))
        log_error("url", "%s", err.message);
    else if (result == 0)
        log_info("url", "the controller's %s is %.*s", name, (int)strcspn(text.data, "\n"), text.data);
    buffer_finish(&text);
    return result;
}

static int add_agent(struct supervisor *supervisor, size_t index, struct error *err)
{
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for an agent");
    child_init(supervisor, child, supervisor->sandbox.zones[index], (int)index + 1);
    supervisor->agents[supervisor->agent_count++] = child;
    child_start(child);
    return 0;
}

/* Not before the controller listens: while its port is still looked for, another sandbox's controller may
 * answer there, and its federation would be taken for this one. After a resume the address of before is good
 * enough: the zones must be healed. */
static void start_agents(struct supervisor *supervisor)
{
    struct error err;
    while (supervisor->agent_count < supervisor->sandbox.zone_count)
        if (add_agent(supervisor, supervisor->agent_count, &err)) {
            log_error("start", "%s", err.message);
            return;
        }
}

/* As soon as the controller has written both. */
static void on_url_poll(uv_timer_t *timer)
{
    if (copy_url(timer->data, "control-url") || copy_url(timer->data, "url"))
        return;
    uv_timer_stop(timer);
    start_agents(timer->data);
}

void supervisor_controller_started(struct supervisor *supervisor)
{
    uv_timer_start(&supervisor->url_poll, on_url_poll, URL_POLL_MS, URL_POLL_MS);
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

void supervisor_child_ended(struct supervisor *supervisor)
{
    if (!supervisor->stopping || supervisor->controller.running)
        return;
    for (size_t i = 0; i < supervisor->agent_count; i++)
        if (supervisor->agents[i]->running)
            return;
    uv_walk(&supervisor->loop, close_handle, NULL); /* nothing is left: the loop ends */
}

static void stop_children(struct supervisor *supervisor, int signal_number)
{
    child_stop(&supervisor->controller, signal_number);
    for (size_t i = 0; i < supervisor->agent_count; i++)
        child_stop(supervisor->agents[i], signal_number);
}

static void on_kill(uv_timer_t *timer)
{
    log_warning("stop", "not all daemons ended in %d ms; killing them", STOP_PATIENCE_MS);
    stop_children(timer->data, SIGKILL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct supervisor *supervisor = handle->data;
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    log_info("stop", "signal %d (%s): stopping the daemons", number, strsignal(number));
    http_client_destroy(supervisor->http);
    supervisor->http = NULL;
    uv_timer_stop(&supervisor->url_poll);
    uv_timer_stop(&supervisor->housekeeping);
    uv_timer_start(&supervisor->kill, on_kill, STOP_PATIENCE_MS, 0);
    stop_children(supervisor, SIGTERM);
    supervisor_child_ended(supervisor);
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct supervisor *supervisor = timer->data;
    char path[PATH_MAX];
    if (sandbox_path(path, supervisor->dir, "supervisor.log", NULL) == 0)
        log_bound(path);
    if (child_log_path(&supervisor->controller, path, NULL) == 0)
        log_bound(path);
    for (size_t i = 0; i < supervisor->agent_count; i++) {
        supervisor_look_at_identity(supervisor->agents[i]);
        if (child_log_path(supervisor->agents[i], path, NULL) == 0)
            log_bound(path);
    }
    supervisor_look_for_zones(supervisor);
}

int supervisor_add_zone(struct supervisor *supervisor, const char *zone, struct error *err)
{
    struct sandbox *sandbox = &supervisor->sandbox;
    char name[NAME_LENGTH_MAX + 8], path[PATH_MAX];
    if (sandbox->zone_count == SANDBOX_ZONES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a sandbox has at most %d zones", SANDBOX_ZONES_MAX);
    snprintf(name, sizeof name, "zones/%s", zone);
    if (sandbox_path(path, supervisor->dir, name, err) || file_make_folders(path, 0700, err))
        return -1;
    snprintf(sandbox->zones[sandbox->zone_count++], NAME_LENGTH_MAX + 1, "%s", zone);
    if (sandbox_write(supervisor->dir, sandbox, err))
        return sandbox->zone_count--, -1;
    return supervisor->agent_count == sandbox->zone_count - 1
               ? add_agent(supervisor, sandbox->zone_count - 1, err)
               : 0;
}

static int prepare(struct supervisor *supervisor, struct error *err)
{
    if (sandbox_read(supervisor->dir, &supervisor->sandbox, err) ||
        sandbox_program("atoll-controller", supervisor->controller_program, err) ||
        sandbox_program("atoll-zone-agent", supervisor->agent_program, err))
        return -1;
    struct stopped orphans = processes_stop(supervisor->dir, PROCESS_DAEMON, ORPHAN_PATIENCE_MS);
    if (orphans.asked)
        log_warning("start", "stopped %zu daemons that a supervisor before this one had left behind",
                    orphans.asked);
    uv_loop_init(&supervisor->loop);
    supervisor->http = http_client_create(&supervisor->loop, "atoll-sandbox/" ATOLL_VERSION, err);
    return supervisor->http ? 0 : -1;
}

static void init_handles(struct supervisor *supervisor)
{
    uv_loop_t *loop = &supervisor->loop;
    uv_signal_init(loop, &supervisor->terminate);
    uv_signal_init(loop, &supervisor->interrupt);
    uv_timer_init(loop, &supervisor->url_poll);
    uv_timer_init(loop, &supervisor->housekeeping);
    uv_timer_init(loop, &supervisor->kill);
    supervisor->terminate.data = supervisor->interrupt.data = supervisor;
    supervisor->url_poll.data = supervisor->housekeeping.data = supervisor->kill.data = supervisor;
    uv_signal_start(&supervisor->terminate, on_signal, SIGTERM);
    uv_signal_start(&supervisor->interrupt, on_signal, SIGINT);
    uv_timer_start(&supervisor->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
}

static int run(struct supervisor *supervisor, struct error *err)
{
    int result = prepare(supervisor, err);
    if (result)
        return -1;
    init_handles(supervisor);
    child_init(supervisor, &supervisor->controller, NULL, 0);
    child_start(&supervisor->controller);
    uv_run(&supervisor->loop, UV_RUN_DEFAULT);
    uv_loop_close(&supervisor->loop);
    for (size_t i = 0; i < supervisor->agent_count; i++)
        free(supervisor->agents[i]);
    log_info("stop", "all daemons have ended");
    return result;
}

/* The lock that `sandbox up` took and left to us, or our own. */
static int take_lock(const struct invocation *invocation, const char *dir, int *fd, struct error *err)
{
    struct stat held, named;
    char path[PATH_MAX];
    *fd = (int)invocation_number(invocation, "lock-fd", -1);
    if (*fd < 0)
        return sandbox_lock(dir, fd, err);
    if (sandbox_path(path, dir, "lock", err))
        return -1;
    if (fstat(*fd, &held) || stat(path, &named) || held.st_ino != named.st_ino)
        return error_set(err, ERROR_INVALID, "--lock-fd %d is not the lock of %s", *fd, dir);
    if (fcntl(*fd, F_SETFD, FD_CLOEXEC)) /* a daemon must not hold it on when the supervisor has died */
        return error_set_errno(err, errno, "keeping the lock of %s", dir);
    return 0;
}

int command_sandbox_supervise(const struct invocation *invocation)
{
    struct error err;
    int lock_fd = -1;
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    log_configure("sandbox", LOG_LEVEL_INFO);
    setenv("MONGOC_DISABLE_SHM", "1",
           0); /* a daemon that is killed would leave the driver's counters in /dev/shm */
    int failed = !supervisor || sandbox_folder(invocation_text(invocation, "dir"), supervisor->dir, &err) ||
                 take_lock(invocation, supervisor->dir, &lock_fd, &err) || run(supervisor, &err);
    if (failed)
        log_error("start", "%s", supervisor ? err.message : "out of memory");
    free(supervisor);
    return failed ? EXIT_NEGATIVE : EXIT_DONE;
}
