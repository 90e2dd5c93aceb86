/* atoll sandbox fault: do to a sandbox what networks and load balancers do to people, through its agents'
 * control sockets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/sandbox.h"
#include "controller/cli/text.h"

enum { FAULT_TIMEOUT_SECS = 10, FAULT_ANSWER_MAX = 64 * 1024, SLOW_MS_MAX = 60 * 1000 };

struct fault {
    const char *dir;
    const char *kind; /* "cut", … */
    int64_t ms;       /* of "slow"; -1 else */
};

static int read_fault(const char *text, struct fault *out, struct error *err)
{
    out->kind = text;
    out->ms = -1;
    if (strncmp(text, "slow=", 5) != 0)
        return 0;
    char *end;
    long ms = strtol(text + 5, &end, 10);
    if (*end || end == text + 5 || ms < 1 || ms > SLOW_MS_MAX)
        return error_set(err, ERROR_INVALID, "slow=%s: give whole milliseconds from 1 to %d, like slow=200",
                         text + 5, SLOW_MS_MAX);
    out->kind = "slow";
    out->ms = ms;
    return 0;
}

/* Connects to the zone's socket. Through its folder's descriptor, so that the length of the path doesn't
 * matter. */
static int dial(const struct fault *fault, const char *zone, struct error *err)
{
    char name[NAME_LENGTH_MAX + 8], path[PATH_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = FAULT_TIMEOUT_SECS};
    snprintf(name, sizeof name, "zones/%s", zone);
    if (sandbox_path(path, fault->dir, name, err))
        return -1;
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC),
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control.sock", folder);
    int failed = folder < 0 || fd < 0 ||
                 setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) ||
                 connect(fd, (struct sockaddr *)&address, sizeof address);
    int saved = errno;
    if (folder >= 0)
        close(folder);
    if (!failed)
        return fd;
    if (fd >= 0)
        close(fd);
    return error_set(
        err, ERROR_UNREACHABLE,
        "the agent of zone %s doesn't answer: %s; `atoll sandbox status` shows whether the sandbox runs",
        zone, strerror(saved));
}

static int exchange(int fd, const struct buffer *line, struct buffer *answer, struct error *err)
{
    char part[4096];
    for (size_t sent = 0; sent < line->length;) {
        ssize_t some = send(fd, line->data + sent, line->length - sent, MSG_NOSIGNAL);
        if (some < 0)
            return error_set_errno(err, errno, "asking the agent");
        sent += (size_t)some;
    }
    while (!strchr(buffer_text(answer), '\n')) {
        ssize_t got = recv(fd, part, sizeof part, 0);
        if (got < 0)
            return error_set_errno(err, errno, "waiting for the agent's answer");
        if (got == 0)
            return error_set(err, ERROR_UNREACHABLE, "the agent closed the connection without an answer");
        if (buffer_append(answer, part, (size_t)got))
            return error_set(err, ERROR_TOO_LARGE, "the agent's answer is longer than %d bytes",
                             FAULT_ANSWER_MAX);
    }
    return 0;
}

/* Asks one zone's agent. NULL and `err` when it didn't do it; the caller destroys the answer. */
static struct json *ask(const struct fault *fault, const char *zone, const char *member, struct error *err)
{
    struct json *request = json_object(), *answer = NULL;
    struct buffer line, text;
    json_set_string(request, "fault", fault->kind);
    if (member)
        json_set_string(request, "member", member);
    if (fault->ms >= 0)
        json_set_int(request, "ms", fault->ms);
    buffer_init(&line, 0);
    buffer_init(&text, FAULT_ANSWER_MAX);
    int fd = json_print(request, JSON_COMPACT, &line, err) ? -1 : dial(fault, zone, err);
    if (fd >= 0) {
        buffer_append_text(&line, "\n");
        if (exchange(fd, &line, &text, err) == 0)
            answer = json_parse(buffer_text(&text), text.length, FAULT_ANSWER_MAX, err);
        close(fd);
    }
    const char *problem = json_get_text(answer, "error", NULL);
    if (problem) {
        error_set(err, ERROR_REFUSED, "%s", problem);
        json_destroy(answer);
        answer = NULL;
    }
    json_destroy(request);
    buffer_finish(&line);
    buffer_finish(&text);
    return answer;
}

static void say_done(const struct fault *fault, const char *what, const char *name, const struct json *answer)
{
    struct buffer out;
    const char *address = json_get_text(answer, "address", "");
    buffer_init(&out, 0);
    buffer_printf(&out, "%s %s: ", what, name);
    if (strcmp(fault->kind, "move-address") == 0)
        buffer_printf(&out, "moved to %s", *address ? address : "another address");
    else if (fault->ms >= 0)
        buffer_printf(&out, "slowed down by %lld ms", (long long)fault->ms);
    else
        buffer_append_text(&out, strcmp(fault->kind, "cut") == 0      ? "cut off"
                                 : strcmp(fault->kind, "refuse") == 0 ? "refuses connections"
                                                                      : "healed");
    struct buffer safe;
    buffer_init(&safe, 0);
    text_escape(buffer_text(&out), &safe);
    puts(buffer_text(&safe));
    buffer_finish(&safe);
    buffer_finish(&out);
}

static int do_member(const struct fault *fault, const char *zone, const char *member, struct error *err)
{
    struct json *answer = ask(fault, zone, member, err);
    if (answer)
        say_done(fault, "member", member, answer);
    json_destroy(answer);
    return answer ? 0 : -1;
}

static struct json *fetch_status(const char *dir, struct error *err)
{
    struct remote remote;
    if (context_open_sandbox(dir, &remote, err))
        return NULL;
    struct json *document = remote_get(&remote, "/status", err);
    remote_close(&remote);
    return document;
}

/* An address belongs to a member, so a whole zone's move is each of its members'. */
static int move_zone(const struct fault *fault, const char *zone, struct error *err)
{
    struct json *document = fetch_status(fault->dir, err);
    const struct json *sets = json_get(document, "sets");
    size_t moved = 0;
    int result = document ? 0 : -1;
    for (const struct json *set = json_first(sets); set && result == 0; set = json_next(set)) {
        const struct json *members = json_get(set, "members");
        for (const struct json *member = json_first(members); member && result == 0;
             member = json_next(member))
            if (strcmp(json_get_text(member, "zone", ""), zone) == 0)
                moved++, result = do_member(fault, zone, json_get_text(member, "name", ""), err);
    }
    if (result == 0 && moved == 0)
        result = error_set(err, ERROR_NOT_FOUND, "zone %s has no members whose address could move", zone);
    json_destroy(document);
    return result;
}

static int do_zone(const struct fault *fault, const char *zone, struct error *err)
{
    if (strcmp(fault->kind, "move-address") == 0)
        return move_zone(fault, zone, err);
    struct json *answer = ask(fault, zone, NULL, err);
    if (answer)
        say_done(fault, "zone", zone, answer);
    json_destroy(answer);
    return answer ? 0 : -1;
}

/* The zone of a member by its agents' own state, so that faults work while the controller is away. -1 when
 * none has it. */
static int zone_of_member(const struct sandbox *sandbox, const char *dir, const char *member,
                          const char **zone)
{
    char name[2 * NAME_LENGTH_MAX + 64], path[PATH_MAX];
    for (size_t i = 0; i < sandbox->zone_count; i++) {
        snprintf(name, sizeof name, "zones/%s/pods/%.*s.json", sandbox->zones[i], NAME_LENGTH_MAX, member);
        if (sandbox_path(path, dir, name, NULL) == 0 && access(path, F_OK) == 0)
            return *zone = sandbox->zones[i], 0;
    }
    return -1;
}

static int run(const struct fault *fault, const char *target, const struct sandbox *sandbox,
               struct error *err)
{
    const char *zone;
    for (size_t i = 0; i < sandbox->zone_count; i++)
        if (strcmp(sandbox->zones[i], target) == 0)
            return do_zone(fault, target, err);
    if (strchr(target, '/') || zone_of_member(sandbox, fault->dir, target, &zone))
        return error_set(
            err, ERROR_NOT_FOUND,
            "the sandbox has no zone and no member \"%s\"; `atoll sandbox status` shows what it has", target);
    return do_member(fault, zone, target, err);
}

int command_sandbox_fault(const struct invocation *invocation)
{
    struct error err;
    struct fault fault;
    char dir[PATH_MAX];
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    const char *target = invocation_argument(invocation, 0), *text = invocation_argument(invocation, 1);
    int result = sandbox ? 0 : error_set(&err, ERROR_NO_MEMORY, "out of memory");
    if (result == 0 &&
        (read_fault(text, &fault, &err) || sandbox_folder(invocation_text(invocation, "dir"), dir, &err)))
        result = -1;
    if (result == 0 && !sandbox_exists(dir))
        result = error_set(&err, ERROR_UNREACHABLE, "there is no sandbox in %s; `atoll sandbox up` makes one",
                           dir);
    fault.dir = dir;
    if (result == 0)
        result = sandbox_read(dir, sandbox, &err) || run(&fault, target, sandbox, &err)
                     ? error_wrap(&err, "%s: %s", target, text)
                     : 0;
    free(sandbox);
    return result ? console_fail(&err, NULL) : fflush(stdout) ? EXIT_NEGATIVE : EXIT_DONE;
}
