/* The processes of a sandbox: see processes.h. */
#include "controller/cli/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { KILL_PATIENCE_MS = 5000, STOP_ROUNDS_MAX = 5 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether `path` is dir/below, or lies in it; `below` "" means dir itself. */
static bool lies_in(const char *path, const char *dir, const char *below)
{
    size_t length = strlen(dir), more = strlen(below);
    if (strncmp(path, dir, length) != 0)
        return false;
    if (more == 0)
        return path[length] == '\0';
    return path[length] == '/' && strncmp(path + length + 1, below, more) == 0 &&
           (path[length + 1 + more] == '\0' || path[length + 1 + more] == '/');
}

/* The value of `--name VALUE` or `--name=VALUE`, or NULL. */
static const char *value_of(const char *line, size_t length, const char *option)
{
    size_t size = strlen(option);
    for (const char *at = line, *end = line + length; at < end; at += strlen(at) + 1) {
        if (strncmp(at, option, size) == 0 && at[size] == '=')
            return at + size + 1;
        if (strcmp(at, option) == 0 && at + size + 1 < end)
            return at + size + 1;
    }
    return NULL;
}

static const char *nth(const char *line, size_t length, int n)
{
    const char *at = line;
    while (n-- > 0 && at < line + length)
        at += strlen(at) + 1;
    return at < line + length ? at : "";
}

enum process_kind process_kind_of(const char *line, size_t length, const char *dir)
{
    if (length == 0 || line[length - 1] != '\0')
        return PROCESS_FOREIGN;
    const char *program = base_name(line), *home = value_of(line, length, "--dir");
    const char *data = value_of(line, length, "--dbpath");
    if (strcmp(program, "atoll") == 0 && strcmp(nth(line, length, 1), "sandbox") == 0 &&
        strcmp(nth(line, length, 2), "supervise") == 0 && home && lies_in(home, dir, ""))
        return PROCESS_SUPERVISOR;
    if (strcmp(program, "atoll-controller") == 0 && home && lies_in(home, dir, "controller"))
        return PROCESS_DAEMON;
    if (strcmp(program, "atoll-zone-agent") == 0 && home && lies_in(home, dir, "zones"))
        return PROCESS_DAEMON;
    return data && lies_in(data, dir, "zones") ? PROCESS_MEMBER : PROCESS_FOREIGN;
}

static enum process_kind look_at(pid_t pid, const char *dir)
{
    char path[64];
    struct stat st;
    static char line[COMMAND_LINE_MAX];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return PROCESS_FOREIGN;
    bool mine = fstat(fd, &st) == 0 && st.st_uid == geteuid();
    size_t length = 0;
    for (ssize_t got;
         mine && length < sizeof line && (got = read(fd, line + length, sizeof line - length)) > 0;)
        length += (size_t)got;
    close(fd);
    return mine ? process_kind_of(line, length, dir) : PROCESS_FOREIGN;
}

/* A handle on the process when it is of these kinds, else -1. The number is looked at again once the handle
 * is held. */
static int grasp(pid_t pid, const char *dir, unsigned kinds)
{
    if (pid == getpid() || !(look_at(pid, dir) & kinds))
        return -1;
    int fd = pidfd_open(pid, 0);
    if (fd >= 0 && !(look_at(pid, dir) & kinds)) {
        close(fd);
        return -1;
    }
    return fd;
}

static size_t find(const char *dir, unsigned kinds, struct pollfd *handles)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && count < PROCESSES_MAX && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        int fd = pid > 0 ? grasp(pid, dir, kinds) : -1;
        if (fd >= 0)
            handles[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    if (proc)
        closedir(proc);
    return count;
}

static size_t signal_all(struct pollfd *handles, size_t count, int number)
{
    size_t sent = 0;
    for (size_t i = 0; i < count; i++)
        sent += handles[i].fd >= 0 && pidfd_send_signal(handles[i].fd, number, NULL, 0) == 0;
    return sent;
}

/* Waits for their ends; closes the handles of those that ended. The number of those that did not. */
static size_t await_ends(struct pollfd *handles, size_t count, int64_t patience_ms)
{
    int64_t end_ms = clock_monotonic_ms(&clock_system) + patience_ms;
    for (;;) {
        size_t alive = 0;
        for (size_t i = 0; i < count; i++) {
            if (handles[i].fd >= 0 && (handles[i].revents & POLLIN))
                close(handles[i].fd), handles[i].fd = -1; /* poll() passes over negative ones */
            alive += handles[i].fd >= 0;
        }
        int64_t left_ms = end_ms - clock_monotonic_ms(&clock_system);
        if (alive == 0 || left_ms <= 0)
            return alive;
        if (poll(handles, count, (int)left_ms) < 0 && errno != EINTR)
            return alive;
    }
}

struct stopped processes_stop(const char *dir, unsigned kinds, int64_t patience_ms)
{
    struct stopped result = {0};
    struct pollfd *handles = calloc(PROCESSES_MAX, sizeof *handles);
    for (int round = 0; handles && round < STOP_ROUNDS_MAX; round++) {
        size_t count = find(dir, kinds, handles);
        if (count == 0)
            break;
        result.asked += signal_all(handles, count, SIGTERM);
        result.left = await_ends(handles, count, patience_ms);
        if (result.left) {
            result.killed += signal_all(handles, count, SIGKILL);
            result.left = await_ends(handles, count, KILL_PATIENCE_MS);
        }
        for (size_t i = 0; i < count; i++)
            if (handles[i].fd >= 0)
                close(handles[i].fd);
    }
    free(handles);
    return result;
}
