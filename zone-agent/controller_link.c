/* Stream of intents, reports and heartbeats over HTTP: see controller_link.h. */
#include "zone-agent/controller_link.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINK_URL_MAX = 1024, LINK_ANSWER_BYTES_MAX = 64 * 1024 };

/* A report or heartbeat under way, one of each at most. */
struct link_call {
    struct controller_link *link;
    enum link_message kind;
    uint64_t id; /* 0: none */
    struct http_call *call;
    uv_timer_t lost; /* its answer while the link is cut */
};

struct controller_link {
    struct http_client *client;
    struct random random;
    struct controller_link_events events;
    char url[LINK_URL_MAX], zone[NAME_LENGTH_MAX + 1];
    struct http_call *stream;
    struct buffer line;
    uv_timer_t redial; /* while `cut`: the moment at which silence would be noticed */
    unsigned failures;
    bool up, told, cut, closing;
    bool redialing; /* the stream was ended by us, to be dialled at once */
    bool told_refused;
    struct error refused; /* why a line was refused; its code ERROR_NONE: none was */
    struct link_call calls[2];
    int open_handles; /* timers and calls that still refer to this memory */
};

static void dial(struct controller_link *link);

static void release(struct controller_link *link)
{
    if (--link->open_handles > 0)
        return;
    buffer_finish(&link->line);
    free(link);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void tell_state(struct controller_link *link, const struct error *err)
{
    bool up = err == NULL;
    bool refused =
        err &&
        err->code ==
            ERROR_REFUSED; /* told also of a link that was down already: somebody has to do something */
    if (link->closing || (link->told && link->up == up && (!refused || link->told_refused)))
        return;
    link->told = true;
    link->told_refused = refused;
    link->up = up;
    link->events.state(link->events.context, err);
}

/* ---- the stream ---- */

static void on_redial(uv_timer_t *timer)
{
    struct controller_link *link = timer->data;
    if (!link->cut)
        dial(link);
    else if (link->stream) /* nothing was heard for so long: the other side is given up */
        http_call_cancel(link->stream);
}

static void redial_later(struct controller_link *link)
{
    int64_t delay_ms = backoff_ms(link->failures++, LINK_RETRY_FIRST_MS, LINK_RETRY_MOST_MS, &link->random);
    uv_timer_start(&link->redial, on_redial, (uint64_t)delay_ms, 0);
}

static int take_line(struct controller_link *link, const char *line, size_t length, struct error *err)
{
    struct arena arena;
    struct intent_event event;
    if (length == 0)
        return 0;
    arena_init(&arena, 0);
    int result = intent_read(line, length, &arena, &event, err);
    if (result == 0) {
        link->failures = 0;
        tell_state(link, NULL);
        result = link->events.intent(link->events.context, &event, err);
    }
    arena_finish(&arena);
    return result;
}

static int take_bytes(struct controller_link *link, const char *data, size_t length, struct error *err)
{
    while (length) {
        const char *end = memchr(data, '\n', length);
        size_t piece = end ? (size_t)(end - data) : length;
        if (buffer_append(&link->line, data, piece))
            return error_set(err, ERROR_TOO_LARGE,
                             "a line of the intent stream is longer than INTENT_BYTES_MAX (%d)",
                             INTENT_BYTES_MAX);
        if (!end)
            return 0;
        if (take_line(link, buffer_text(&link->line), link->line.length, err))
            return -1;
        if (link->line.capacity > 64 * 1024)
            buffer_finish(&link->line); /* a big intent must not cost memory for ever */
        buffer_clear(&link->line);
        data += piece + 1;
        length -= piece + 1;
    }
    return 0;
}

static int on_stream_data(void *context, const char *data, size_t length)
{
    struct controller_link *link = context;
    if (link->cut || link->closing)
        return 0; /* what a cut network swallows */
    link->refused = (struct error){.code = ERROR_NONE};
    return take_bytes(link, data, length, &link->refused);
}

static void on_stream_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct controller_link *link = context;
    struct error problem = {.code = ERROR_UNREACHABLE};
    link->stream = NULL;
    buffer_clear(&link->line);
    if (link->closing) {
        release(link);
        return;
    }
    if (link->redialing) {
        link->redialing = false;
        release(link);
        dial(link);
        return;
    }
    if (link->refused.code != ERROR_NONE)
        problem = link->refused;
    else if (err)
        problem = *err;
    else if (answer->status / 100 != 2)
        error_set(&problem, answer->status == 401 || answer->status == 403 ? ERROR_REFUSED : ERROR_PROTOCOL,
                  "the controller answered %d: %.200s", answer->status, answer->body);
    else
        error_set(&problem, ERROR_UNREACHABLE, "the controller ended the stream");
    link->refused = (struct error){.code = ERROR_NONE};
    release(link);
    tell_state(link, &problem);
    if (!link->cut)
        redial_later(link);
}

static void dial(struct controller_link *link)
{
    char url[LINK_URL_MAX + 256];
    struct error err = {0};
    struct http_tls tls;
    if (link->stream || link->closing)
        return;
    snprintf(url, sizeof url, "%s/v1/zones/%s/intent?watch=true&revision=%lld", link->url, link->zone,
             (long long)link->events.revision(link->events.context));
    struct http_call_options options = {
        .method = "GET",
        .url = url,
        .silence_ms = INTENT_SILENCE_MS,
        .tls = link->events.tls(link->events.context, &tls) ? &tls : NULL,
        .body_limit = LINK_ANSWER_BYTES_MAX,
        .on_data = on_stream_data,
        .done = on_stream_done,
        .context = link,
    };
    link->stream = http_client_start(link->client, &options, &err);
    if (link->stream) {
        link->open_handles++;
        return;
    }
    tell_state(link, &err);
    redial_later(link);
}

/* ---- reports and heartbeats ---- */

static void answer_call(struct link_call *call, const struct link_answer *answer)
{
    uint64_t id = call->id;
    call->id = 0;
    call->call = NULL;
    if (!call->link->closing)
        call->link->events.answer(call->link->events.context, call->kind, id, answer);
}

static int read_answer(const struct controller_link *link, const struct http_answer *answer,
                       struct link_answer *out, struct error *err)
{
    if (answer->status != 200)
        return error_set(err, answer->status == 404 ? ERROR_NOT_FOUND : ERROR_PROTOCOL,
                         "the controller answered %d: %.200s", answer->status, answer->body);
    struct json *json = json_parse(answer->body, answer->length, LINK_ANSWER_BYTES_MAX, err);
    if (!json)
        return error_wrap(err, "the controller's answer can't be read");
    out->epoch = json_get_int(json, "epoch", 0);
    out->report_wanted = json_get_bool(json, "reportWanted", false);
    out->keys_wanted = json_get_bool(json, "keysWanted", false);
    if (!link->closing && !link->cut)
        link->events.trust(link->events.context, json_get_text(json, "bundle", ""),
                           json_get_bool(json, "renew", false));
    json_destroy(json);
    return 0;
}

static void on_call_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct link_call *call = context;
    struct controller_link *link = call->link;
    struct link_answer out = {.err = err};
    struct error problem = {0};
    if (!err && read_answer(link, answer, &out, &problem))
        out.err = &problem;
    if (link->cut &&
        !link->closing) { /* the answer is lost on the way: told when it would have been given up */
        call->call = NULL;
        release(link);
        return;
    }
    uv_timer_stop(&call->lost);
    answer_call(call, &out);
    release(link);
}

static void on_lost(uv_timer_t *timer)
{
    struct link_call *call = timer->data;
    struct error err = {.code = ERROR_TIMEOUT, .message = "the controller does not answer"};
    struct link_answer lost = {.err = &err};
    if (call->call)
        http_call_cancel(call->call);
    if (call->id)
        answer_call(call, &lost);
}

static int start_call(struct link_call *call, const char *text, size_t length, struct error *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct controller_link *link = call->link;
    char url[LINK_URL_MAX + 256];
    struct http_tls tls;
    snprintf(url, sizeof url, "%s/v1/zones/%s/%s", link->url, link->zone,
             call->kind == LINK_REPORT ? "report" : "heartbeat");
    struct http_call_options options = {
        .method = call->kind == LINK_REPORT ? "PUT" : "POST",
        .url = url,
        .headers = headers,
        .body = text,
        .body_length = length,
        .timeout_ms = LINK_ANSWER_TIMEOUT_MS,
        .tls = link->events.tls(link->events.context, &tls) ? &tls : NULL,
        .body_limit = LINK_ANSWER_BYTES_MAX,
        .done = on_call_done,
        .context = call,
    };
    call->call = http_client_start(link->client, &options, err);
    if (!call->call)
        return -1;
    link->open_handles++;
    return 0;
}

void controller_link_redial(struct controller_link *link)
{
    if (link->closing || link->cut)
        return;
    link->failures = 0;
    link->redialing = link->stream != NULL;
    if (link->stream)
        http_call_cancel(link->stream);
    else
        uv_timer_start(&link->redial, on_redial, 0, 0);
}

void controller_link_send(struct controller_link *link, enum link_message kind, uint64_t id, const char *text,
                          size_t length)
{
    struct link_call *call = &link->calls[kind];
    struct error err = {0};
    if (call->call)
        return; /* an older one still dies; the agent holds this one for lost after its deadline */
    call->id = id;
    uint64_t lost_after_ms = LINK_ANSWER_TIMEOUT_MS;
    if (!link->cut && start_call(call, text, length, &err))
        lost_after_ms = 0;
    if (link->cut || !call->call)
        uv_timer_start(&call->lost, on_lost, lost_after_ms, 0);
}

/* ---- faults and life ---- */

void controller_link_cut(struct controller_link *link, bool cut)
{
    if (link->cut == cut || link->closing)
        return;
    link->cut = cut;
    if (cut) {
        uv_timer_start(&link->redial, on_redial, INTENT_SILENCE_MS, 0);
        for (int kind = 0; kind < 2; kind++)
            if (link->calls[kind].id)
                uv_timer_start(&link->calls[kind].lost, on_lost, LINK_ANSWER_TIMEOUT_MS, 0);
        return;
    }
    link->failures = 0; /* lines may have been swallowed: the stream begins anew */
    if (link->stream)
        http_call_cancel(link->stream);
    else
        uv_timer_start(&link->redial, on_redial, 0, 0);
}

static void init_timer(struct controller_link *link, uv_loop_t *loop, uv_timer_t *timer, void *data)
{
    uv_timer_init(loop, timer);
    timer->data = data;
    link->open_handles++;
}

struct controller_link *controller_link_create(uv_loop_t *loop, struct http_client *client, const char *url,
                                               const char *zone, const struct random *random,
                                               const struct controller_link_events *events, struct error *err)
{
    size_t length = strlen(url);
    while (length && url[length - 1] == '/')
        length--;
    bool is_http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!is_http || length >= LINK_URL_MAX) {
        error_set(err, ERROR_INVALID, "the controller's URL must look like http://127.0.0.1:7411, not %.200s",
                  url);
        return NULL;
    }
    struct controller_link *link = calloc(1, sizeof *link);
    if (!link) {
        error_set(err, ERROR_NO_MEMORY, "no memory for the link to the controller");
        return NULL;
    }
    link->client = client;
    link->random = *random;
    link->events = *events;
    memcpy(link->url, url, length);
    snprintf(link->zone, sizeof link->zone, "%s", zone);
    buffer_init(&link->line, INTENT_BYTES_MAX);
    init_timer(link, loop, &link->redial, link);
    for (int kind = 0; kind < 2; kind++) {
        link->calls[kind] = (struct link_call){.link = link, .kind = (enum link_message)kind};
        init_timer(link, loop, &link->calls[kind].lost, &link->calls[kind]);
    }
    dial(link);
    return link;
}

void controller_link_destroy(struct controller_link *link)
{
    if (!link)
        return;
    link->closing = true;
    uv_timer_t *timers[] = {&link->redial, &link->calls[0].lost, &link->calls[1].lost};
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
        uv_timer_stop(timers[i]);
        timers[i]->data = link;
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
    }
    if (link->stream)
        http_call_cancel(link->stream);
    for (int kind = 0; kind < 2; kind++)
        if (link->calls[kind].call)
            http_call_cancel(link->calls[kind].call);
}
