/* atoll events: show what happened, and go on with what happens. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/sse.h"
#include "controller/cli/text.h"
#include "proto/base/clock.h"

enum { RECONNECT_FIRST_MS = 200, RECONNECT_MOST_MS = 5000 };

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

/* What it is about: the member, else the set, else the zone. */
static const char *subject_of(const struct json *event)
{
    if (*get(event, "member"))
        return get(event, "member");
    if (*get(event, "set"))
        return get(event, "set");
    return *get(event, "zone") ? get(event, "zone") : "-";
}

static void print_event(const struct json *event, bool colours, struct buffer *out)
{
    struct buffer cell;
    bool warning = strcmp(get(event, "type"), "Warning") == 0;
    char at[32];
    buffer_init(&cell, 0);
    snprintf(at, sizeof at, "%.19s%s", get(event, "at"), *get(event, "at") ? "Z" : "");
    text_escape(at, out);
    buffer_append_text(out, "  ");
    buffer_printf(&cell, "%-7.32s", get(event, "type"));
    struct buffer safe;
    buffer_init(&safe, 0);
    text_escape(buffer_text(&cell), &safe);
    colour_print(warning ? COLOUR_WARN : COLOUR_NONE, colours, buffer_text(&safe), out);
    buffer_clear(&cell);
    buffer_printf(&cell, "  %-22.100s  %-14.100s  ", get(event, "reason"), subject_of(event));
    text_escape(buffer_text(&cell), out);
    text_escape(get(event, "message"), out);
    if (json_get_int(event, "rule", 0) > 0)
        buffer_printf(out, " (rule %lld)", (long long)json_get_int(event, "rule", 0));
    buffer_append_text(out, "\n");
    buffer_finish(&cell);
    buffer_finish(&safe);
}

static int print_list(const struct json *answer, bool json_lines)
{
    const struct json *events = json_get(answer, "events");
    struct buffer out;
    int status = 0;
    buffer_init(&out, 0);
    for (const struct json *event = json_first(events); event && status == 0; event = json_next(event)) {
        if (json_lines)
            status = console_print_json(event, JSON_COMPACT);
        else
            print_event(event, console_colours(STDOUT_FILENO), &out);
    }
    status = status ? status : console_print(&out);
    buffer_finish(&out);
    return status;
}

struct following {
    bool json;
    int status;
    char id[SSE_ID_MAX]; /* of the last event that was shown */
};

/* Only events that are newer than what was shown: the stream may begin with some of these. */
static int on_event(void *context, const char *name, const char *data)
{
    struct following *following = context;
    if (strcmp(name, "event") != 0)
        return 0;
    struct json *event = json_parse(data, strlen(data), SSE_LINE_MAX, NULL);
    if (!event)
        return 0;
    long long id = (long long)json_get_int(event, "id", 0), last = 0;
    sscanf(following->id, "%lld", &last);
    if (id == 0 || id > last) {
        struct buffer out;
        buffer_init(&out, 0);
        if (!following->json)
            print_event(event, console_colours(STDOUT_FILENO), &out);
        following->status = following->json ? console_print_json(event, JSON_COMPACT) : console_print(&out);
        snprintf(following->id, sizeof following->id, "%lld", id);
        buffer_finish(&out);
    }
    json_destroy(event);
    return following->status;
}

static int follow(struct remote *remote, const char *path, struct following *following)
{
    struct error err;
    struct sse sse;
    unsigned attempt = 0;
    sse_init(&sse, on_event, following);
    while (following->status == 0) {
        char resume[SSE_ID_MAX + 32];
        const char *const headers[] = {resume, NULL};
        snprintf(resume, sizeof resume, "Last-Event-ID: %s", following->id);
        sse_restart(&sse);
        bool failed = remote_stream(remote, path, *following->id ? headers : NULL, sse_feed, &sse, &err) != 0;
        if (following->status || !failed)
            break;
        if (err.code != ERROR_UNREACHABLE && err.code != ERROR_TIMEOUT) {
            following->status = console_fail(&err, NULL);
            break;
        }
        console_say("%s; trying again", err.message);
        console_pause(backoff_ms(attempt++, RECONNECT_FIRST_MS, RECONNECT_MOST_MS, &random_system));
    }
    sse_finish(&sse);
    return following->status;
}

/* `base` ends with ? or &. */
static void filtered(struct buffer *path, const char *base, const char *set)
{
    buffer_init(path, 0);
    buffer_append_text(path, base);
    if (set) {
        buffer_append_text(path, "set=");
        path_append(path, set);
    }
}

/* The events of a set that is gone are still told; a name that nothing was ever told of is a mistake. */
static bool is_known(struct remote *remote, const char *set, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/status/sets/");
    path_append(&path, set);
    struct json *answer = remote_get(remote, buffer_text(&path), err);
    buffer_finish(&path);
    json_destroy(answer);
    return answer || err->code != ERROR_NOT_FOUND;
}

static int show(struct remote *remote, const char *set, bool follows, bool json)
{
    struct error err;
    struct buffer path;
    filtered(&path, "/v1/events?limit=1000&", set);
    struct json *answer = remote_get(remote, buffer_text(&path), &err);
    buffer_finish(&path);
    if (!answer) {
        error_wrap(&err, "reading the events");
        return console_fail(&err, NULL);
    }
    struct following following = {.json = json};
    const struct json *events = json_get(answer, "events");
    if (set && json_count(events) == 0 && !is_known(remote, set, &err)) {
        json_destroy(answer);
        error_set(&err, ERROR_NOT_FOUND, "there is no set \"%s\", and no event tells of one", set);
        console_fail(&err, "`atoll status` shows what there is");
        return EXIT_NEGATIVE;
    }
    int64_t last = 0;
    for (const struct json *event = json_first(events); event; event = json_next(event))
        last = json_get_int(event, "id", 0) > last ? json_get_int(event, "id", 0) : last;
    snprintf(following.id, sizeof following.id, "%lld", (long long)last);
    int status = json && !follows ? console_print_json(answer, JSON_PRETTY) : print_list(answer, json);
    if (json_count(events) == 0 && !follows && !json)
        console_say("There are no events yet.");
    json_destroy(answer);
    if (status || !follows)
        return status;
    filtered(&path, "/events?", set);
    status = follow(remote, buffer_text(&path), &following);
    buffer_finish(&path);
    return status;
}

int command_events(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    const char *format = invocation_text(invocation, "output");
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    int status = show(&remote, invocation_argument(invocation, 0), invocation_has(invocation, "follow"),
                      format && strcmp(format, "json") == 0);
    remote_close(&remote);
    return status;
}
