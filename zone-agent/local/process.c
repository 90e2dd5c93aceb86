/* Reads /proc: see process.h. */
#include "zone-agent/local/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROC_STAT_BYTES_MAX = 1024,
    PROC_ARGUMENTS_BYTES_MAX = 16 * 1024,
    STAT_START_TIME = 22,
    STAT_STATE = 3
};

static size_t read_some(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[length > 0 ? length : 0] = 0;
    return length > 0 ? (size_t)length : 0;
}

uint64_t process_start_time(int pid)
{
    char path[64], text[PROC_STAT_BYTES_MAX];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_some(path, text, sizeof text);
    char *at = strrchr(text, ')'); /* field 2 may hold anything, also spaces and parentheses */
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    for (int field = STAT_STATE - 1; at && field < STAT_START_TIME; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

static int has_argument(int pid, const char *option, const char *value)
{
    char path[64];
    static char text[PROC_ARGUMENTS_BYTES_MAX];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    size_t length = read_some(path, text, sizeof text);
    for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
        size_t next = at + strlen(text + at) + 1;
        if (strcmp(text + at, option) == 0 && next < length && strcmp(text + next, value) == 0)
            return 1;
    }
    return 0;
}

int process_find_by_argument(const char *option, const char *value)
{
    int found = 0;
    DIR *folder = opendir("/proc");
    if (!folder)
        return 0;
    for (struct dirent *entry; !found && (entry = readdir(folder));)
        if (isdigit((unsigned char)*entry->d_name) && has_argument(atoi(entry->d_name), option, value))
            found = atoi(entry->d_name);
    closedir(folder);
    return found;
}

static pid_t start(const char *const *arguments, int out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    if (posix_spawn_file_actions_init(&actions))
        return 0;
    int failed =
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) ||
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) ||
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) ||
        posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed ? 0 : pid;
}

/* Until the end, or the deadline. */
static bool read_all(int fd, int timeout_ms, char *out, size_t size)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    size_t length = 0;
    ssize_t more = 0;
    do {
        length += (size_t)more;
        if (length + 1 >= size || poll(&waiting, 1, timeout_ms) <= 0)
            return false;
    } while ((more = read(fd, out + length, size - 1 - length)) > 0);
    out[length] = 0;
    return more == 0;
}

void process_ask(const char *const *arguments, int timeout_ms, char *out, size_t size)
{
    int ends[2], status = -1;
    *out = 0;
    if (pipe2(ends, O_CLOEXEC))
        return;
    pid_t pid = start(arguments, ends[1]);
    close(ends[1]);
    if (pid && !read_all(ends[0], timeout_ms, out, size))
        kill(pid, SIGKILL);
    while (pid && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    if (!pid || !WIFEXITED(status) || WEXITSTATUS(status))
        *out = 0;
}

void process_boot_id(char *out, size_t size)
{
    size_t length = read_some("/proc/sys/kernel/random/boot_id", out, size);
    while (length && isspace((unsigned char)out[length - 1]))
        out[--length] = 0;
}
