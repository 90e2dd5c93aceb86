/* One daemon of a sandbox: started with its arguments, its log bounded, started again when it dies. See
 * supervise.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/cli/sandbox_clusters.h"
#include "controller/cli/supervise.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"

struct arguments {
    char text[CHILD_ARGUMENTS_MAX][PATH_MAX];
    char *list[CHILD_ARGUMENTS_MAX + 1];
    size_t count;
};

const char *child_name(const struct child *child)
{
    return child->zone ? child->zone : "controller";
}

static void add(struct arguments *arguments, const char *option, const char *value)
{
    snprintf(arguments->text[arguments->count], PATH_MAX, "%s", option);
    arguments->list[arguments->count] = arguments->text[arguments->count];
    arguments->count++;
    if (value)
        add(arguments, value, NULL);
}

static void controller_arguments(const struct child *child, struct arguments *out)
{
    const struct supervisor *supervisor = child->supervisor;
    char text[PATH_MAX + 64];
    add(out, "atoll-controller", NULL); /* not its path: that might match what only members may match */
    snprintf(text, sizeof text, "%s/controller", supervisor->dir);
    add(out, "--dir", text);
    snprintf(text, sizeof text, "127.0.0.1:%d", supervisor->sandbox.listen_port);
    add(out, "--listen", text);
    snprintf(text, sizeof text, "127.0.0.1:%d", supervisor->sandbox.read_port);
    add(out, "--read-listen", text);
    snprintf(text, sizeof text, "%s/" SANDBOX_PASSPHRASE_FILE, supervisor->dir);
    add(out, "--ca-passphrase-file", text);
    snprintf(text, sizeof text, "%s/" SANDBOX_ADMIN_FILE, supervisor->dir);
    add(out, "--admin-file", text);
    if (supervisor->sandbox.cluster_count)
        add(out, "--egress", "127.0.0.1/32"); /* clusters of this machine: the test bed, kind */
}

/* --mongod comes last, behind every mention of the sandbox's directory: only members match `mongod.*DIR`. */
static void agent_arguments(const struct child *child, struct arguments *out)
{
    const struct supervisor *supervisor = child->supervisor;
    char text[PATH_MAX + NAME_LENGTH_MAX + 16];
    add(out, "atoll-zone-agent", NULL);
    snprintf(text, sizeof text, "%s/zones/%s", supervisor->dir, child->zone);
    add(out, "--dir", text);
    add(out, "--zone", child->zone);
    snprintf(text, sizeof text, "https://127.0.0.1:%d", supervisor->sandbox.listen_port);
    add(out, "--controller", text);
    if (supervisor_zone_path(child, SANDBOX_JOIN_TOKEN_FILE, text, NULL) == 0)
        add(out, "--join-token-file", text);
    const char *kubeconfig = sandbox_kubeconfig(&supervisor->sandbox, child->zone);
    if (*kubeconfig) {
        add(out, "--driver", "kubernetes");
        add(out, "--kubeconfig", kubeconfig);
        add(out, "--namespace", SANDBOX_NAMESPACE);
        return;
    }
    add(out, "--driver", "local");
    snprintf(text, sizeof text, "127.0.%d", child->number);
    add(out, "--subnet", text);
    add(out, "--mongod", supervisor->sandbox.mongod);
}

int child_log_path(const struct child *child, char path[PATH_MAX], struct error *err)
{
    char name[NAME_LENGTH_MAX + 16];
    snprintf(name, sizeof name, child->zone ? "logs/zone-%s.log" : "logs/%s.log", child_name(child));
    return sandbox_path(path, child->supervisor->dir, name, err);
}

void log_bound(const char *path)
{
    struct stat st;
    char older[PATH_MAX + 4];
    if (stat(path, &st) || st.st_size < LOG_BYTES_MAX)
        return;
    snprintf(older, sizeof older, "%s.1", path);
    int from = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW),
        to = open(older, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (from >= 0 && to >= 0 && sendfile(to, from, NULL, LOG_BYTES_MAX) > 0)
        ;
    if (from >= 0 && ftruncate(from, 0) == 0)
        log_info("log", "%s was full; its older part is in %s", path, older);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

static void on_restart(uv_timer_t *timer)
{
    child_start(timer->data);
}

void child_start_after(struct child *child, int64_t delay_ms)
{
    if (!child->supervisor->stopping)
        uv_timer_start(&child->restart, on_restart, (uint64_t)delay_ms, 0);
}

/* At once the first time, then with backoff. */
static void start_later(struct child *child)
{
    int64_t now_ms = clock_monotonic_ms(&clock_system), delay_ms = 0;
    if (child->started_ms && now_ms - child->started_ms > STEADY_MS)
        child->failures = 0;
    if (child->failures)
        delay_ms = backoff_ms(child->failures - 1, RESTART_FIRST_MS, RESTART_MOST_MS, &random_system);
    child->failures++;
    uv_timer_start(&child->restart, on_restart, (uint64_t)delay_ms, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    child->running = false;
    if (child->zone)
        supervisor_enrol_anew(child);
    if (!child->supervisor->stopping)
        start_later(child);
    supervisor_child_ended(child->supervisor);
}

static void on_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct child *child = process->data;
    enum log_level level = child->supervisor->stopping ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
    if (signal_number)
        log_write(level, child_name(child), "ended by signal %d (%s) pid=%d", signal_number,
                  strsignal(signal_number), process->pid);
    else
        log_write(level, child_name(child), "ended with exit status %d pid=%d", (int)status, process->pid);
    uv_close((uv_handle_t *)process, on_closed);
}

static int spawn(struct child *child, struct error *err)
{
    static struct arguments arguments; /* too large for a stack; one loop, one thread */
    const struct supervisor *supervisor = child->supervisor;
    char path[PATH_MAX];
    if (child_log_path(child, path, err))
        return -1;
    log_bound(path);
    int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log_fd < 0)
        return error_set_errno(err, errno, "opening %s", path);
    memset(&arguments, 0, sizeof arguments);
    if (child->zone)
        agent_arguments(child, &arguments);
    else
        controller_arguments(child, &arguments);
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = log_fd},
                                     {.flags = UV_INHERIT_FD, .data.fd = log_fd}};
    uv_process_options_t options = {
        .file = child->zone ? supervisor->agent_program : supervisor->controller_program,
        .args = arguments.list,
        .exit_cb = on_exit,
        .stdio = stdio,
        .stdio_count = 3,
        .cwd = "/",
    };
    int failed = uv_spawn(&child->supervisor->loop, &child->process, &options);
    close(log_fd);
    child->process.data = child;
    child->running = true; /* also when it failed: the handle has to be closed */
    return failed ? error_set(err, ERROR_IO, "starting %s: %s", options.file, uv_strerror(failed)) : 0;
}

void child_start(struct child *child)
{
    struct error err;
    if (child->supervisor->stopping || child->running)
        return;
    if (child->zone && !supervisor_may_start(child))
        return;
    if (!child->zone)
        supervisor_settle_ports(child->supervisor);
    child->started_ms = clock_monotonic_ms(&clock_system);
    if (spawn(child, &err)) {
        log_error(child_name(child), "%s", err.message);
        if (child->running)
            uv_close((uv_handle_t *)&child->process, on_closed);
        else
            start_later(child);
        return;
    }
    log_info(child_name(child), "started pid=%d", child->process.pid);
    if (!child->zone)
        supervisor_controller_started(child->supervisor);
}

void child_stop(struct child *child, int signal_number)
{
    if (child->running && !uv_is_closing((uv_handle_t *)&child->process))
        uv_process_kill(&child->process, signal_number);
}

void child_init(struct supervisor *supervisor, struct child *child, const char *zone, int number)
{
    *child = (struct child){.supervisor = supervisor, .zone = zone, .number = number};
    uv_timer_init(&supervisor->loop, &child->restart);
    child->restart.data = child;
}
