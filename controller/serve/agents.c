/* What agents say and hear: the intent's stream, reports, heartbeats. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/serve/site.h"
#include "controller/trust/trust.h"
#include "proto/intent.h"
#include "proto/report.h"

enum { REPORT_ARENA_MAX = 16 << 20, HEARTBEAT_BYTES_MAX = 64 << 10 };

/* ---- the intent ---- */

static int intent_line(const struct intent *intent, struct buffer *out, struct error *err)
{
    if (intent_print(intent, out, err))
        return -1;
    return buffer_append_text(out, "\n") ? error_set(err, ERROR_NO_MEMORY, "no memory for an intent") : 0;
}

static void send_line(struct site *site, struct stream *stream, const struct buffer *line)
{
    stream->next_sign_ms = clock_monotonic_ms(site->clock) + INTENT_BOOKMARK_MS;
    stream_write(site, stream, buffer_text(line), line->length);
}

static void send_bookmark(struct site *site, struct stream *stream)
{
    struct intent mark = site->backend.bookmark(site->backend.context, stream->name);
    struct buffer line;
    buffer_init(&line, 0);
    if (buffer_printf(&line, "{\"type\":\"BOOKMARK\",\"epoch\":%lld,\"revision\":%lld}\n",
                      (long long)mark.epoch, (long long)mark.revision) == 0)
        send_line(site, stream, &line);
    buffer_finish(&line);
}

void agents_send(struct site *site, struct stream *stream)
{
    const struct intent *intent = NULL;
    struct buffer line;
    struct error err = {0};
    if (site->backend.watch(site->backend.context, stream->name, 0, &intent, &err) || !intent)
        return;
    buffer_init(&line, 0);
    if (intent_line(intent, &line, &err) == 0)
        send_line(site, stream, &line);
    buffer_finish(&line);
}

void agents_cut(struct site *site, const char *zone)
{
    for (size_t i = site->stream_count; i-- > 0;)
        if (site->streams[i].kind == STREAM_INTENT && strcmp(site->streams[i].name, zone) == 0)
            stream_end(site, &site->streams[i]);
}

void agents_tick(struct site *site, struct stream *stream, int64_t now_ms)
{
    if (now_ms >= stream->next_sign_ms)
        send_bookmark(site, stream);
}

static int query_number(const struct http_request *request, const char *name, int64_t *out, struct error *err)
{
    const char *text = http_request_query(request, name);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 0)
        return error_set(err, ERROR_INVALID, "?%s=%.32s is not a whole number from 0 on", name, text);
    *out = value;
    return 0;
}

static void answer_intent_once(struct exchange *exchange, const struct intent *intent)
{
    struct buffer line;
    struct error err = {0};
    buffer_init(&line, 0);
    if (!intent)
        http_respond_error(exchange->listener->server, exchange->request->id, 404, "not_found",
                           "there is no intent (newer than that) for this zone now");
    else if (intent_line(intent, &line, &err) == 0)
        answer_text(exchange, 200, "application/json", line.data, line.length);
    else
        answer_error(exchange, &err);
    buffer_finish(&line);
}

void serve_agent_intent(struct exchange *exchange)
{
    struct site *site = exchange->site;
    const struct intent *intent = NULL;
    struct error err = {0};
    int64_t revision = 0;
    const char *watch = http_request_query(exchange->request, "watch");
    if (query_number(exchange->request, "revision", &revision, &err) ||
        site->backend.watch(site->backend.context, exchange->name, revision, &intent, &err)) {
        answer_error(exchange, &err);
        return;
    }
    if (!watch || strcmp(watch, "true") != 0) {
        answer_intent_once(exchange, intent);
        return;
    }
    if (stream_count_of(site, STREAM_INTENT, exchange->name) >= SITE_ZONE_STREAMS_MAX) {
        http_respond_error(exchange->listener->server, exchange->request->id, 429, "too_large",
                           "this zone's intent is watched SITE_ZONE_STREAMS_MAX times already");
        return;
    }
    struct stream *stream = stream_open(exchange, STREAM_INTENT, "application/json");
    if (!stream)
        return;
    memcpy(stream->name, exchange->name, sizeof stream->name);
    if (intent)
        agents_send(site, stream);
    else
        send_bookmark(site, stream);
}

/* ---- reports and heartbeats ---- */

static void answer_zone(struct exchange *exchange, const struct zone_answer *answer)
{
    const struct trust *trust = exchange->site->trust;
    struct trust_zone_view zone;
    char text[256], more[128] = "";
    if (trust && exchange->caller.kind == CALLER_AGENT && trust_zone_find(trust, exchange->name, &zone))
        snprintf(more, sizeof more, ",\"bundle\":\"%s\",\"renew\":%s", trust_bundle_hash(trust),
                 zone.renewal_wanted ? "true" : "false");
    int length = snprintf(text, sizeof text, "{\"epoch\":%lld,\"reportWanted\":%s%s%s}\n",
                          (long long)answer->epoch, answer->report_wanted ? "true" : "false",
                          answer->keys_wanted ? ",\"keysWanted\":true" : "", more);
    answer_text(exchange, 200, "application/json", text, (size_t)length);
}

/* A body that can't be read is the client's mistake in form: 422 as for specs. */
void serve_agent_report(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct arena arena;
    struct report report;
    struct zone_answer answer = {0};
    struct error err = {0};
    arena_init(&arena, REPORT_ARENA_MAX);
    if (report_read(exchange->request->body, exchange->request->length, exchange->name, &arena, &report,
                    &err) ||
        site->backend.report(site->backend.context, exchange->name, &report, &answer, &err))
        answer_error(exchange, &err);
    else
        answer_zone(exchange, &answer);
    arena_finish(&arena);
}

void serve_agent_heartbeat(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct arena arena;
    struct heartbeat heartbeat;
    struct zone_answer answer = {0};
    struct error err = {0};
    arena_init(&arena, REPORT_ARENA_MAX);
    if (exchange->request->length > HEARTBEAT_BYTES_MAX)
        error_set(&err, ERROR_TOO_LARGE, "a heartbeat of %zu bytes is larger than HEARTBEAT_BYTES_MAX (%d)",
                  exchange->request->length, HEARTBEAT_BYTES_MAX);
    else if (heartbeat_read(exchange->request->body, exchange->request->length, &arena, &heartbeat, &err) ==
             0)
        site->backend.heartbeat(site->backend.context, exchange->name, &heartbeat, &answer, &err);
    if (err.code)
        answer_error(exchange, &err);
    else
        answer_zone(exchange, &answer);
    arena_finish(&arena);
}
