/* atoll sandbox up: start a sandbox on this machine and wait until it is healthy. A start that never worked
 * leaves nothing behind; what was healthy once is never removed here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/cli/apply.h"
#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/explain.h"
#include "controller/cli/processes.h"
#include "controller/cli/sandbox.h"
#include "controller/cli/sandbox_start.h"
#include "controller/cli/status.h"
#include "controller/cli/waiting.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"

enum {
    UP_DEFAULT_SECS = 120,
    UP_POLL_MS = 50,
    MEMBER_PATIENCE_MS = 20000,
    DAEMON_PATIENCE_MS = 8000,
    LOG_LINES = 8
};

struct up {
    char dir[PATH_MAX];
    struct sandbox sandbox;
    struct spec_files *spec; /* what is to be applied; NULL: what the controller has */
    bool healthy_before;
    int64_t end_ms;
    struct remote remote;
    bool connected;
};

/* SIGINT or SIGTERM, or the supervisor's end: no use in waiting further. */
static volatile int interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static int64_t left_ms(const struct up *up)
{
    int64_t left = up->end_ms - clock_monotonic_ms(&clock_system);
    return left > 0 ? left : 0;
}

/* The controller's URL, once it listens. */
static int await_controller(struct up *up, struct error *err)
{
    struct progress progress = {0};
    char url[REMOTE_URL_MAX];
    int result = -1;
    while (result) {
        result = sandbox_url(up->dir, url, sizeof url, err);
        if (result == 0)
            break;
        if (interrupted || left_ms(up) == 0) {
            error_set(err, interrupted ? ERROR_CANCELED : ERROR_TIMEOUT, "the controller didn't start");
            break;
        }
        progress_show(&progress, "the controller is starting", 0);
        console_pause(UP_POLL_MS);
    }
    progress_end(&progress);
    if (result || context_dial_sandbox(up->dir, url, &up->remote, err))
        return -1;
    up->connected = true;
    return 0;
}

/* Applies the spec, again for as long as nobody answers. */
static int apply_spec(struct up *up, int64_t *revision, struct error *err)
{
    *revision = 0;
    while (up->spec) {
        struct json *answer = apply_send(&up->remote, "PUT", "/v1/federation", up->spec, err);
        if (answer) {
            apply_say_warnings(answer, up->spec);
            *revision = json_get_int(answer, "revision", 0);
            json_destroy(answer);
            break;
        }
        if (err->code != ERROR_UNREACHABLE || interrupted || left_ms(up) == 0)
            return error_wrap(err, "applying the sandbox's spec");
        console_pause(UP_POLL_MS);
    }
    return 0;
}

/* What each set that isn't healthy waits for, to standard error. */
static void say_waits(struct up *up)
{
    struct json *document = up->connected ? remote_get(&up->remote, "/status", NULL) : NULL;
    const struct json *sets = json_get(document, "sets");
    for (const struct json *set = json_first(sets); set; set = json_next(set)) {
        struct json *answer = explain_fetch(&up->remote, json_get_text(set, "name", ""), NULL);
        struct buffer text;
        buffer_init(&text, 0);
        if (answer)
            explain_print(answer, clock_wall_ms(&clock_system), 0, &text);
        console_say("%s", buffer_text(&text));
        buffer_finish(&text);
        json_destroy(answer);
    }
    json_destroy(document);
}

static void say_log_end(const struct up *up, const char *name)
{
    char path[PATH_MAX];
    struct buffer text;
    buffer_init(&text, 0);
    if (sandbox_path(path, up->dir, name, NULL) == 0 && file_read(path, 16 << 20, &text, NULL) == 0 &&
        text.length) {
        const char *at = text.data + text.length - 1;
        for (int lines = 0; at > text.data; at--)
            if (at[-1] == '\n' && ++lines == LOG_LINES)
                break;
        console_say("The end of %s:\n%s", name, at);
    }
    buffer_finish(&text);
}

static int give_up(struct up *up, const struct error *err)
{
    struct error removing;
    size_t removed;
    bool foreign;
    struct error told = *err;
    if (interrupted == SIGCHLD)
        error_set(&told, ERROR_INTERNAL, "the sandbox's supervisor ended");
    else if (interrupted)
        error_set(&told, ERROR_CANCELED, "interrupted");
    error_wrap(&told, "bringing the sandbox in %s up", up->dir);
    say_waits(up);
    say_log_end(up, "supervisor.log");
    if (!up->connected)
        say_log_end(up, "logs/controller.log");
    if (up->connected && up->sandbox.zone_count) {
        char name[NAME_LENGTH_MAX +
                  16]; /* a mongod that doesn't start does so in each zone: one speaks for all */
        snprintf(name, sizeof name, "logs/zone-%s.log", up->sandbox.zones[0]);
        say_log_end(up, name);
    }
    processes_stop(up->dir, PROCESS_SUPERVISOR, DAEMON_PATIENCE_MS);
    processes_stop(up->dir, PROCESS_DAEMON, DAEMON_PATIENCE_MS);
    processes_stop(up->dir, PROCESS_MEMBER, MEMBER_PATIENCE_MS);
    if (!up->healthy_before && sandbox_remove(up->dir, &removed, &foreign, &removing))
        console_fail(&removing, NULL);
    int status = console_fail(
        &told, up->healthy_before ? "It was stopped; its data is kept, and `atoll sandbox up` tries again"
                                  : "It was stopped and removed again");
    return told.code == ERROR_TIMEOUT || told.code == ERROR_CANCELED || told.code == ERROR_UNREACHABLE ||
                   status == EXIT_DONE
               ? EXIT_NEGATIVE
               : status;
}

static void say_next(const struct up *up)
{
    char usual[PATH_MAX], option[PATH_MAX + 8] = "";
    const char *set = up->spec && up->spec->spec.set_count ? up->spec->spec.sets[0].name : "mongo";
    if (sandbox_folder(NULL, usual, NULL) || strcmp(usual, up->dir) != 0)
        snprintf(option, sizeof option, " --dir %s", up->dir);
    console_say("\nThe sandbox is up in %s. What to do next:\n"
                "  look on:                 atoll status --watch%s\n"
                "  what it waits for:       atoll explain %s%s\n"
                "  what to connect with:    atoll connection-string %s --with-password%s\n"
                "  see an address move:     atoll sandbox fault %s-node1 move-address%s\n"
                "  remove every trace:      atoll sandbox down%s",
                up->dir, option, set, option, set, option, set, option, option);
}

static void mark_healthy(const struct up *up)
{
    char path[PATH_MAX];
    struct error err;
    if (sandbox_path(path, up->dir, "healthy", &err) || file_replace(path, "", 0, 0600, &err))
        console_fail(&err, NULL);
}

static int bring_up(struct up *up)
{
    struct error err;
    int64_t revision;
    if (await_controller(up, &err) || apply_spec(up, &revision, &err) ||
        wait_for(&up->remote, &(struct condition){.revision = revision, .patient = true}, left_ms(up),
                 &interrupted, &err))
        return give_up(up, &err);
    mark_healthy(up);
    int status = status_show(&up->remote, NULL, NULL, NULL);
    if (status == EXIT_DONE)
        say_next(up);
    return status;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
}

static int start(struct up *up, const struct invocation *invocation)
{
    struct error err;
    int lock_fd = -1, result = -1;
    bool resumes = sandbox_exists(up->dir);
    if (sandbox_prepare(up->dir, &lock_fd, &up->healthy_before, &err) == 0) {
        const char *spec = invocation_text(invocation, "spec");
        bool loaded = sandbox_load(up->dir, invocation, &up->sandbox, &err) == 0;
        if (loaded && (spec || !up->healthy_before))
            up->spec = sandbox_spec(spec, &up->sandbox, &err);
        else if (loaded && resumes)
            console_say("Resuming the sandbox in %s with its data.", up->dir);
        if (loaded && (up->spec || (!spec && up->healthy_before)))
            result =
                sandbox_plan(up->dir, invocation_text(invocation, "mongod"), up->spec, &up->sandbox, &err);
        if (result == 0) {
            catch_signals();
            result = sandbox_start_supervisor(up->dir, lock_fd, &err);
        }
        close(lock_fd); /* the supervisor holds it on */
        size_t removed;
        bool foreign;
        if (result && !up->healthy_before)
            sandbox_remove(up->dir, &removed, &foreign, NULL);
    }
    return result ? console_fail(&err, NULL) : bring_up(up);
}

static bool was_healthy(const struct up *up)
{
    char path[PATH_MAX];
    return sandbox_path(path, up->dir, "healthy", NULL) == 0 && access(path, F_OK) == 0;
}

/* One that has never been healthy: the `up` that began it is still at work, or was killed, perhaps before it
 * applied a spec, and then nobody else would. It is not this command's to stop. */
static int finish_living(struct up *up, const struct invocation *invocation)
{
    struct error err;
    int64_t revision = 0;
    console_say("A sandbox runs in %s already, and has never been healthy yet: its start goes on.", up->dir);
    int result = await_controller(up, &err);
    struct json *document = result ? NULL : remote_get(&up->remote, "/status", &err);
    result = document ? 0 : -1;
    if (document && json_get_int(document, "revision", 0) == 0) {
        result = sandbox_load(up->dir, invocation, &up->sandbox, &err);
        up->spec = result ? NULL : sandbox_spec(invocation_text(invocation, "spec"), &up->sandbox, &err);
        result = up->spec ? apply_spec(up, &revision, &err) : -1;
    }
    json_destroy(document);
    if (result || wait_for(&up->remote, &(struct condition){.revision = revision, .patient = true},
                           left_ms(up), &interrupted, &err)) {
        say_waits(up);
        int status = console_fail(&err, "It still runs; `atoll sandbox down` removes it");
        return err.code == ERROR_TIMEOUT ? EXIT_NEGATIVE : status;
    }
    mark_healthy(up);
    return status_show(&up->remote, NULL, NULL, NULL);
}

static int show_living(struct up *up, const struct invocation *invocation)
{
    struct error err;
    if (!was_healthy(up))
        return finish_living(up, invocation);
    console_say("A sandbox runs in %s already; nothing was changed.", up->dir);
    if (context_open_sandbox(up->dir, &up->remote, &err))
        return console_say("%s.", err.message), EXIT_DONE;
    up->connected = true;
    return status_show(&up->remote, NULL, NULL, NULL);
}

int command_sandbox_up(const struct invocation *invocation)
{
    struct error err;
    struct up *up = calloc(1, sizeof *up);
    if (!up)
        return EXIT_NEGATIVE;
    int status;
    up->end_ms =
        clock_monotonic_ms(&clock_system) + invocation_number(invocation, "timeout", UP_DEFAULT_SECS) * 1000;
    if (sandbox_folder(invocation_text(invocation, "dir"), up->dir, &err))
        status = console_fail(&err, NULL);
    else if (sandbox_is_running(up->dir))
        status = show_living(up, invocation);
    else
        status = start(up, invocation);
    if (up->connected)
        remote_close(&up->remote);
    spec_files_destroy(up->spec);
    free(up);
    return status;
}
