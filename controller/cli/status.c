/* atoll status: show zones, sets and members. */
#include "controller/cli/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/sse.h"
#include "controller/cli/status_view.h"
#include "proto/base/clock.h"

enum { RECONNECT_FIRST_MS = 200, RECONNECT_MOST_MS = 5000 };

static int print_table(const struct json *document, bool one_set, bool wide, bool redraw)
{
    struct view view = {.wide = wide, .colours = console_colours(STDOUT_FILENO), .width = console_width()};
    struct buffer out;
    buffer_init(&out, 0);
    if (redraw && console_is_terminal(STDOUT_FILENO))
        buffer_append_text(&out, "\033[H\033[2J");
    if (one_set)
        status_view_set(document, &view, clock_wall_ms(&clock_system), &out);
    else
        status_view(document, &view, &out);
    if (redraw && !console_is_terminal(STDOUT_FILENO))
        buffer_append_text(&out, "\n");
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

static int print(const struct json *document, bool one_set, const char *format, bool redraw)
{
    if (format && strcmp(format, "json") == 0)
        return console_print_json(document, redraw ? JSON_COMPACT : JSON_PRETTY);
    if (format && strcmp(format, "yaml") == 0)
        return (redraw && printf("---\n") < 0) ? EXIT_NEGATIVE : console_print_yaml(document);
    return print_table(document, one_set, format && strcmp(format, "wide") == 0, redraw);
}

static struct json *fetch(struct remote *remote, const char *set, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, set ? "/status/sets/" : "/status");
    if (set)
        path_append(&path, set);
    struct json *document = remote_get(remote, buffer_text(&path), err);
    buffer_finish(&path);
    return document;
}

static int fail(struct error *err, const char *set)
{
    if (set)
        error_wrap(err, "showing the status of %s", set);
    else
        error_wrap(err, "showing the status");
    return console_fail(err, err->code == ERROR_NOT_FOUND ? "`atoll status` shows what there is" : NULL);
}

int status_show(struct remote *remote, const char *set, const char *format, bool *healthy)
{
    struct error err;
    struct json *document = fetch(remote, set, &err);
    if (!document)
        return fail(&err, set);
    if (healthy)
        *healthy = set ? set_is_healthy(document) : status_is_healthy(document);
    int status = print(document, set != NULL, format, false);
    json_destroy(document);
    return status;
}

struct watch {
    const char *set, *format;
    const char *url;
    unsigned attempt; /* of dialling the stream again */
    int status;
};

static int end_stream(void *context, const char *name, const char *data)
{
    (void)data;
    *(bool *)context = strcmp(name, "status") == 0;
    return *(bool *)context;
}

/* Waits for the next sign that the document has changed. */
static int await_change(struct remote *remote, struct sse *sse, struct error *err)
{
    sse_restart(sse);
    return remote_stream(remote, "/events", NULL, sse_feed, sse, err);
}

static int watch_lost(struct watch *watch, const struct error *err)
{
    console_say("%s; trying again", err->message);
    console_pause(backoff_ms(watch->attempt++, RECONNECT_FIRST_MS, RECONNECT_MOST_MS, &random_system));
    return 0;
}

static int watch_loop(struct remote *remote, struct watch *watch)
{
    struct error err;
    struct sse sse;
    bool changed = false;
    int status = 0;
    char last[128] = "";
    sse_init(&sse, end_stream, &changed);
    while (status == 0) {
        struct reply reply;
        struct buffer path;
        buffer_init(&path, 0);
        buffer_append_text(&path, watch->set ? "/status/sets/" : "/status");
        if (watch->set)
            path_append(&path, watch->set);
        int failed = remote_call(remote, &(struct request){.path = buffer_text(&path)}, &reply, &err);
        buffer_finish(&path);
        if (failed) {
            status = *last ? watch_lost(watch, &err) : fail(&err, watch->set);
            continue;
        }
        struct json *document = reply_check(&reply, &err) ? NULL : reply_json(&reply, &err);
        if (!document)
            status = fail(&err, watch->set);
        else if (strcmp(last, reply.etag) != 0 || !*last)
            status = print(document, watch->set != NULL, watch->format, true);
        snprintf(last, sizeof last, "%s", *reply.etag ? reply.etag : "-");
        json_destroy(document);
        reply_finish(&reply);
        if (status == 0 && await_change(remote, &sse, &err))
            status = watch_lost(watch, &err);
        else
            watch->attempt = 0;
    }
    sse_finish(&sse);
    return status;
}

int command_status(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    const char *set = invocation_argument(invocation, 0), *format = invocation_text(invocation, "output");
    bool exit_code = invocation_has(invocation, "exit-code"), watches = invocation_has(invocation, "watch"), healthy = false;
    if (exit_code && watches) {
        error_set(&err, ERROR_INVALID, "--watch never ends by itself, so it has no --exit-code; `atoll wait` waits for a condition");
        return console_fail(&err, NULL);
    }
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    int status;
    if (watches)
        status = watch_loop(&remote, &(struct watch){.set = set, .format = format});
    else
        status = status_show(&remote, set, format, &healthy);
    remote_close(&remote);
    return status == 0 && exit_code && !healthy ? EXIT_NEGATIVE : status;
}
