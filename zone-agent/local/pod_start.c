/* Starting a pod of the local driver: its name, its address, its command line, its process. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/mongod_versions.h"
#include "zone-agent/local/local_internal.h"
#include "zone-agent/local/neighbours.h"
#include "zone-agent/local/process.h"

enum {
    POD_ARGUMENTS_MAX = 32 + MONGOD_ARGUMENTS_MAX,
    SMALL_STORAGE_MB = 20 * 1024,
    OPLOG_LEAST_MB = 990,
    VERSION_TIMEOUT_MS = 3000
};

static bool address_is_free(const char *host, int port)
{
    struct sockaddr_in address;
    int on = 1;
    int fd = uv_ip4_addr(host, port, &address) ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    close(fd);
    return is_free;
}

static bool is_taken_by_another(const struct local_member *member, const char *host, int port)
{
    for (const struct local_member *other = member->driver->members; other; other = other->next)
        if (other != member && *other->pod.name && other->pod.port == port &&
            strcmp(other->pod.host, host) == 0)
            return true;
    return false;
}

static bool is_usable(const struct local_member *member, const struct neighbours *neighbours,
                      const char *host)
{
    int port = member->pod.port;
    return !is_taken_by_another(member, host, port) && !neighbours_holder(neighbours, host, port) &&
           address_is_free(host, port);
}

static int find_address(struct local_member *member, const struct neighbours *neighbours, struct error *err)
{
    struct local_pod *pod = &member->pod;
    char host[LOCAL_HOST_MAX];
    pod->port = member->controller.port;
    if (*pod->host && is_usable(member, neighbours, pod->host))
        return 0;
    for (int n = LOCAL_POD_FIRST; n <= LOCAL_POD_LAST; n++) {
        snprintf(host, sizeof host, "%.11s.%d", member->driver->subnet, n);
        if (!is_usable(member, neighbours, host))
            continue;
        local_copy(pod->host, sizeof pod->host, host);
        return 0;
    }
    return error_set(err, ERROR_CONFLICT, "no address %s.%d to .%d is free on port %d for %s",
                     member->driver->subnet, LOCAL_POD_FIRST, LOCAL_POD_LAST, pod->port, member->node);
}

int local_pod_find_address(struct local_member *member, struct error *err)
{
    struct neighbours *neighbours = neighbours_look(member->driver->dir, member->driver->subnet);
    int result = find_address(member, neighbours, err);
    neighbours_destroy(neighbours);
    return result;
}

/* Both wrote it down before they look: whose folder sorts first keeps it. */
bool local_pod_must_yield(const struct local_member *member)
{
    const struct local_driver *driver = member->driver;
    struct neighbours *neighbours = neighbours_look(driver->dir, driver->subnet);
    const char *holder = neighbours_holder(neighbours, member->pod.host, member->pod.port);
    bool yields = holder && strcmp(holder, driver->dir) < 0;
    neighbours_destroy(neighbours);
    return yields;
}

/* "mongo-rc1-x7k2p": the letters that Kubernetes uses, without vowels and look-alikes. */
void local_pod_make_name(struct local_member *member)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char tail[6] = "";
    for (size_t i = 0; i < 5; i++)
        tail[i] = letters[member->driver->random.next(member->driver->random.context) % (sizeof letters - 1)];
    snprintf(member->pod.name, sizeof member->pod.name, "%.200s-%s", member->controller.name, tail);
}

struct command_line {
    char *arguments[POD_ARGUMENTS_MAX + 1];
    size_t count;
    char data[LOCAL_PATH_MAX], log[LOCAL_PATH_MAX], key[LOCAL_PATH_MAX], pem[LOCAL_PATH_MAX],
        ca[LOCAL_PATH_MAX], port[16], oplog[24];
};

static void add(struct command_line *line, const char *argument)
{
    assert(line->count < POD_ARGUMENTS_MAX);
    line->arguments[line->count++] = (char *)(uintptr_t)argument;
}

static bool says(const struct local_controller *controller, const char *option)
{
    for (size_t i = 0; i < controller->argument_count; i++)
        if (strncmp(controller->arguments[i], option, strlen(option)) == 0)
            return true;
    return false;
}

/* A real mongod would take half of the machine's memory for its cache, three times on a laptop; and 5 % of
 * the whole file system for its oplog, of which the least is 990 MB. Whoever says otherwise in the spec is
 * left alone. */
static void add_sizes(struct command_line *line, const struct local_controller *controller,
                      const char *mongod)
{
    const char *name = strrchr(mongod, '/');
    int64_t storage_mb = controller->storage_bytes >> 20;
    if (strstr(name ? name : mongod, "mongod-sim"))
        return;
    if (!says(controller, "--wiredTigerCacheSizeGB")) {
        add(line, "--wiredTigerCacheSizeGB");
        add(line, "0.25");
    }
    if (storage_mb <= 0 || storage_mb >= SMALL_STORAGE_MB || says(controller, "--oplogSize"))
        return;
    snprintf(line->oplog, sizeof line->oplog, "%d", OPLOG_LEAST_MB);
    add(line, "--oplogSize");
    add(line, line->oplog);
}

/* The arguments may decide it, as of a program that plays several. */
static void ask_version(const struct local_member *member, char out[MONGOD_VERSION_MAX])
{
    const struct local_controller *controller = &member->controller;
    const char *arguments[MONGOD_ARGUMENTS_MAX + 3] = {member->driver->mongod};
    char text[256] = "";
    size_t count = 1;
    for (size_t i = 0; i < controller->argument_count; i++)
        arguments[count++] = controller->arguments[i];
    arguments[count] = "--version";
    process_ask(arguments, VERSION_TIMEOUT_MS, text, sizeof text);
    const char *version = strstr(text, "version v"); /* "db version v7.0.14" */
    snprintf(out, MONGOD_VERSION_MAX, "%.*s", MONGOD_VERSION_MAX - 1,
             version ? version + strlen("version v") : "");
}

/* Clients need no certificate, they log in; one that they show must be of the federation. */
static int add_tls(struct local_member *member, const char *version, struct command_line *line,
                   struct error *err)
{
    const struct mongod_tls_options *names = mongod_tls_options(version);
    if (local_secrets_certificate(member, line->pem, line->ca, err))
        return -1;
    const char *const arguments[] = {names->mode,
                                     names->required,
                                     names->certificate,
                                     line->pem,
                                     names->ca,
                                     line->ca,
                                     names->without_certificate,
                                     names->disabled_protocols,
                                     MONGOD_TLS_DISABLED_PROTOCOLS};
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        add(line, arguments[i]);
    return 0;
}

static int make_command_line(struct local_member *member, struct command_line *line, struct error *err)
{
    const struct local_controller *controller = &member->controller;
    char version[MONGOD_VERSION_MAX] = "";
    *line = (struct command_line){.count = 0};
    if (local_disk_data_path(member, line->data, err) ||
        local_path(member->driver, line->log, "pods", member->node, ".log", err))
        return -1;
    snprintf(line->port, sizeof line->port, "%d", member->pod.port);
    const char *const always[] = {
        member->driver->mongod, "--dbpath",  line->data,  "--port",         line->port,  "--bind_ip",
        member->pod.host,       "--replSet", member->set, "--nounixsocket", "--logpath", line->log,
        "--logappend"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add(line, always[i]);
    if (*controller->key_id || *controller->certificate_id)
        ask_version(member, version);
    if (*controller->key_id) {
        if (local_secrets_keyfile(member, version, line->key, err))
            return -1;
        add(line, "--keyFile");
        add(line, line->key);
    }
    if (*controller->certificate_id && add_tls(member, version, line, err))
        return -1;
    add_sizes(line, controller, member->driver->mongod);
    for (size_t i = 0; i < controller->argument_count; i++)
        add(line, controller->arguments[i]);
    line->arguments[line->count] = NULL;
    return 0;
}

static void on_failed_closed(uv_handle_t *handle)
{
    struct local_driver *driver = handle->data;
    free(handle);
    local_handle_closed(driver);
}

static int spawn(struct local_member *member, struct command_line *line, uv_exit_cb on_exit,
                 struct error *err)
{
    struct local_pod *pod = &member->pod;
    uv_process_t *process = malloc(sizeof *process);
    int log = open(line->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (!process || log < 0) {
        free(process);
        if (log >= 0)
            close(log);
        return error_set_errno(err, errno, "%s can't be opened", line->log);
    }
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = log},
                                     {.flags = UV_INHERIT_FD, .data.fd = log}};
    uv_process_options_t options = {.exit_cb = on_exit,
                                    .file = line->arguments[0],
                                    .args = line->arguments,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    /* Nothing of the agent's may live on in the pod: a lock, a listener. Libraries don't all open with
     * O_CLOEXEC. */
    close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    int result = uv_spawn(member->driver->loop, process, &options);
    local_handle_opened(member->driver); /* libuv has begun the handle even when it failed */
    process->data = member;
    close(log);
    if (result) {
        process->data = member->driver;
        uv_close((uv_handle_t *)process, on_failed_closed);
        return error_set(err, ERROR_IO, "%s can't be started: %s", line->arguments[0], uv_strerror(result));
    }
    pod->process = process;
    pod->pid = process->pid;
    pod->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    pod->start_time = process_start_time(process->pid);
    return 0;
}

int local_pod_spawn(struct local_member *member, uv_exit_cb on_exit, struct error *err)
{
    struct command_line line;
    if (make_command_line(member, &line, err))
        return -1;
    return spawn(member, &line, on_exit, err);
}
