/* Events for readers: the list, and the stream of Server-Sent Events with Last-Event-ID.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/serve/site.h"

static int event_text(const struct event *event, struct buffer *out)
{
    struct json *json = event_write(event);
    struct error err = {0};
    int result = buffer_printf(out, "event: event\nid: %llu\ndata: ", (unsigned long long)event->id) ||
                         json_print(json, JSON_COMPACT, out, &err) || buffer_append_text(out, "\n\n")
                     ? -1
                     : 0;
    json_destroy(json);
    return result;
}

void events_send(struct site *site, struct stream *stream)
{
    const struct event *event;
    struct buffer text;
    buffer_init(&text, 0);
    while ((event = event_ring_next(&site->ring, stream->last_event, stream->name))) {
        if (event_text(event, &text))
            break;
        stream->last_event = event->id;
    }
    if (text.length) {
        stream->next_sign_ms = clock_monotonic_ms(site->clock) + SITE_COMMENT_MS;
        stream_write(site, stream, text.data, text.length);
    }
    buffer_finish(&text);
}

/* Tells of the status when it isn't the one that this client was told of. False when the client has gone. */
static bool send_status(struct site *site, struct stream *stream)
{
    char line[192];
    const struct status_text *status = status_cache_get(&site->status, &site->backend, site->clock);
    if (!status || strcmp(status->steady_etag, stream->etag) == 0)
        return true;
    int length = snprintf(line, sizeof line, "event: status\ndata: {\"revision\":%lld,\"etag\":\"%s\"}\n\n",
                          (long long)status->revision, status->etag);
    memcpy(stream->etag, status->steady_etag, sizeof stream->etag);
    stream->next_sign_ms = clock_monotonic_ms(site->clock) + SITE_COMMENT_MS;
    return stream_write(site, stream, line, (size_t)length);
}

void events_tick(struct site *site, struct stream *stream, int64_t now_ms)
{
    if (!send_status(site, stream) || now_ms < stream->next_sign_ms)
        return;
    stream->next_sign_ms = now_ms + SITE_COMMENT_MS;
    stream_write(site, stream, ": still here\n\n", strlen(": still here\n\n"));
}

static bool check_set(struct exchange *exchange, const char *set)
{
    if (!set || strlen(set) <= NAME_LENGTH_MAX)
        return true;
    http_respond_error(exchange->listener->server, exchange->request->id, 422, "invalid",
                       "?set= is longer than a name can be");
    return false;
}

void serve_events_stream(struct exchange *exchange)
{
    struct site *site = exchange->site;
    const char *set = http_request_query(exchange->request, "set");
    const char *last = http_request_header(exchange->request, "Last-Event-ID");
    if (!check_set(exchange, set))
        return;
    uint64_t last_event = last && *last ? strtoull(last, NULL, 10) : site->ring.next_id - 1;
    /* An id that was never given is of a store or a clock that is gone: this client starts over. */
    if (last_event >= site->ring.next_id)
        last_event = 0;
    struct stream *stream = stream_open(exchange, STREAM_EVENTS, "text/event-stream");
    if (!stream)
        return;
    snprintf(stream->name, sizeof stream->name, "%s", set ? set : "");
    stream->last_event = last_event;
    stream->next_sign_ms = clock_monotonic_ms(site->clock) + SITE_COMMENT_MS;
    if (send_status(site, stream))
        events_send(site, stream);
}

void serve_events_list(struct exchange *exchange)
{
    const char *set = http_request_query(exchange->request, "set");
    const char *limit_text = http_request_query(exchange->request, "limit");
    unsigned long limit = limit_text ? strtoul(limit_text, NULL, 10) : 100;
    const struct event_ring *ring = &exchange->site->ring;
    if (!check_set(exchange, set))
        return;
    if (limit < 1 || limit > SITE_EVENTS_LIST_MAX) {
        http_respond_error(exchange->listener->server, exchange->request->id, 422, "invalid",
                           "?limit= is a number from 1 to 1000");
        return;
    }
    size_t count = 0;
    const struct event *event;
    for (uint64_t id = 0; (event = event_ring_next(ring, id, set)); id = event->id)
        count++;
    struct json *root = json_object();
    struct json *list = json_set(root, "events", json_array());
    for (uint64_t id = 0; (event = event_ring_next(ring, id, set)); id = event->id)
        if (count-- <= limit)
            json_append(list, event_write(event));
    answer_json(exchange, 200, root, NULL);
    json_destroy(root);
}
