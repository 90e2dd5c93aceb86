/* Which mongod a sandbox's members run, and whether it is one at all: a program that is none would be started
 * over and over until the patience of `sandbox up` is over. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/sandbox_start.h"
#include "proto/base/clock.h"

enum { VERSION_PATIENCE_MS = 60 * 1000, VERSION_BYTES_MAX = 8192 };

/* Every mongod's --version begins with it. */
static const char version_words[] = "db version v";

/* The program that the user means by a name, as a shell would find it. */
static int search_path(const char *name, char out[PATH_MAX])
{
    const char *at = getenv("PATH");
    while (at && *at) {
        char candidate[PATH_MAX];
        size_t length = strcspn(at, ":");
        int written = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, at, name);
        if (length && written < PATH_MAX && access(candidate, X_OK) == 0 && realpath(candidate, out))
            return 0;
        at += length + (at[length] == ':');
    }
    return -1;
}

static void become_program(const char *program, int out)
{
    char *const arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--version",
                               NULL}; /* execv() changes none */
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    execv(program, arguments);
    fprintf(stderr, "%s\n", strerror(errno));
    _exit(127);
}

/* What it says until it ends, or until it has said too much or too long. */
static void read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    int64_t end_ms = clock_monotonic_ms(&clock_system) + VERSION_PATIENCE_MS;
    ssize_t got = 1;
    while (got > 0 && length < size - 1) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = end_ms - clock_monotonic_ms(&clock_system);
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0)
            break;
        got = read(fd, text + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = '\0';
}

/* What `PROGRAM --version` says. -1 when it can't be run. */
static int ask_version(const char *program, char *text, size_t size, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set_errno(err, errno, "asking %s for its version", program);
    pid_t pid = fork();
    if (pid == 0)
        become_program(program, ends[1]);
    int saved = errno;
    close(ends[1]);
    if (pid > 0) {
        read_all(ends[0], text, size);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
    return pid < 0 ? error_set_errno(err, saved, "asking %s for its version", program) : 0;
}

static int check_mongod(const char *program, struct error *err)
{
    char text[VERSION_BYTES_MAX];
    if (ask_version(program, text, sizeof text, err))
        return -1;
    if (strstr(text, version_words))
        return 0;
    text[strcspn(text, "\r\n")] = '\0';
    return error_set(err, ERROR_INVALID,
                     "%s is no mongod: `%s --version` says %s%.200s%s; give the path of a mongod, or sim",
                     program, program, *text ? "\"" : "nothing", text, *text ? "\"" : "");
}

/* `out` is what a resumed sandbox ran, or "". */
static int find_mongod(const char *given, char out[PATH_MAX], struct error *err)
{
    if (given && strcmp(given, "sim") == 0)
        return sandbox_program("atoll-mongod-sim", out, err);
    if (given && !strchr(given, '/') && search_path(given, out) == 0)
        return 0;
    if (given && (!realpath(given, out) || access(out, X_OK)))
        return error_set(err, ERROR_INVALID, "--mongod %s: %s; give the path of a mongod, or sim", given,
                         strerror(errno));
    if (given)
        return 0;
    if (*out && access(out, X_OK) == 0)
        return 0; /* a resumed sandbox stays with what its data was made by */
    if (search_path("mongod", out) == 0)
        return 0;
    console_say("There is no mongod in PATH: the members are simulated (atoll-mongod-sim). --mongod PATH "
                "runs a real one.");
    return sandbox_program("atoll-mongod-sim", out, err);
}

int sandbox_choose_mongod(const char *given, char out[PATH_MAX], struct error *err)
{
    return find_mongod(given, out, err) || check_mongod(out, err) ? -1 : 0;
}
