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
    char shown[128];  /* the ETag of what was shown, without its quotes; "" before */
    unsigned attempt; /* of dialling again */
    struct sse sse;
};

/* The stream begins with where the document stands; only what was not shown yet is a change. */
static int on_stream_event(void *context, const char *name, const char *data)
{
    const struct watch *watch = context;
    if (strcmp(name, "status") != 0)
        return 0;
    struct json *json = json_parse(data, strlen(data), SSE_LINE_MAX, NULL);
    bool changed = strcmp(json_get_text(json, "etag", ""), watch->shown) != 0;
    json_destroy(json);
    return changed;
}

static int watch_lost(struct watch *watch, const struct error *err)
{
    console_say("%s; trying again", err->message);
    console_pause(backoff_ms(watch->attempt++, RECONNECT_FIRST_MS, RECONNECT_MOST_MS, &random_system));
    return 0;
}

/* Always from the whole document: its ETag is the one that the stream tells of. */
static int watch_print(struct watch *watch, const struct json *document)
{
    const struct json *set = watch->set ? status_find_set(document, watch->set) : NULL;
    struct error err;
    if (!watch->set || set)
        return print(set ? set : document, set != NULL, watch->format, true);
    error_set(&err, ERROR_NOT_FOUND, "there is no set \"%s\"", watch->set);
    return fail(&err, watch->set);
}

static int watch_once(struct remote *remote, struct watch *watch)
{
    struct error err;
    struct reply reply;
    if (remote_call(remote, &(struct request){.path = "/status"}, &reply, &err))
        return *watch->shown ? watch_lost(watch, &err) : fail(&err, watch->set);
    struct json *document = reply_check(&reply, &err) ? NULL : reply_json(&reply, &err);
    int status = document        ? watch_print(watch, document)
                 : *watch->shown ? watch_lost(watch, &err)
                                 : fail(&err, watch->set);
    const char *etag = reply.etag + (*reply.etag == '"');
    snprintf(watch->shown, sizeof watch->shown, "%.*s", (int)strcspn(etag, "\""), etag);
    json_destroy(document);
    reply_finish(&reply);
    if (status)
        return status;
    sse_restart(&watch->sse);
    if (remote_stream(remote, "/events", NULL, sse_feed, &watch->sse, &err))
        return watch_lost(watch, &err);
    watch->attempt = 0;
    return EXIT_DONE;
}

static int watch_loop(struct remote *remote, struct watch *watch)
{
    int status = EXIT_DONE;
    sse_init(&watch->sse, on_stream_event, watch);
    while (status == EXIT_DONE)
        status = watch_once(remote, watch);
    sse_finish(&watch->sse);
    return status;
}

int command_status(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    const char *set = invocation_argument(invocation, 0), *format = invocation_text(invocation, "output");
    bool exit_code = invocation_has(invocation, "exit-code"), watches = invocation_has(invocation, "watch"),
         healthy = false;
    if (exit_code && watches) {
        error_set(
            &err, ERROR_INVALID,
            "--watch never ends by itself, so it has no --exit-code; `atoll wait` waits for a condition");
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
