/* The reading paths of the status: the whole, one set, one zone; 304 for what the client has already. */
#include <stdio.h>
#include <string.h>

#include "controller/serve/site.h"

/* Whether If-None-Match names this ETag: a list of them, or "*".
 * https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match */
static bool client_has(const struct http_request *request, const char *etag)
{
    const char *list = http_request_header(request, "If-None-Match");
    char quoted[STATUS_ETAG_MAX + 2];
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    return list && (strcmp(list, "*") == 0 || strstr(list, quoted));
}

static void answer_with_etag(struct exchange *exchange, const char *text, size_t length, const char *etag)
{
    char header[STATUS_ETAG_MAX + 16];
    const char *const headers[] = {header, NULL};
    bool same = client_has(exchange->request, etag);
    snprintf(header, sizeof header, "ETag: \"%s\"", etag);
    http_respond(exchange->listener->server, exchange->request->id,
                 &(struct http_response){.status = same ? 304 : 200,
                                         .content_type = same ? NULL : "application/json",
                                         .headers = headers,
                                         .body = same ? NULL : text,
                                         .length = same ? 0 : length});
}

void serve_status(struct exchange *exchange)
{
    struct site *site = exchange->site;
    const struct status_text *status = status_cache_get(&site->status, &site->backend, site->clock);
    if (!status)
        http_respond_error(exchange->listener->server, exchange->request->id, 503, "no_memory",
                           "there is no memory for the status");
    else
        answer_with_etag(exchange, status->text.data, status->text.length, status->etag);
}

/* Takes `json`. */
static void answer_part(struct exchange *exchange, struct json *json)
{
    struct buffer text;
    struct error err = {0};
    char etag[STATUS_ETAG_MAX];
    buffer_init(&text, 0);
    if (json_print(json, JSON_COMPACT, &text, &err) || buffer_append_text(&text, "\n")) {
        answer_error(exchange, &err);
    } else {
        status_etag(text.data, text.length, etag);
        answer_with_etag(exchange, text.data, text.length, etag);
    }
    buffer_finish(&text);
    json_destroy(json);
}

static void answer_none(struct exchange *exchange, const struct federation_view *view, const char *kind)
{
    char message[256];
    if (view->spec)
        snprintf(message, sizeof message, "federation %s has no %s %s", view->spec->name, kind,
                 exchange->name);
    else
        snprintf(message, sizeof message,
                 "no federation was applied yet, so there is no %s %s: atoll apply -f FILE", kind,
                 exchange->name);
    http_respond_error(exchange->listener->server, exchange->request->id, 404, "not_found", message);
}

void serve_status_set(struct exchange *exchange)
{
    struct federation_view view;
    exchange->site->backend.view(exchange->site->backend.context, &view);
    for (size_t i = 0; i < view.set_count; i++)
        if (strcmp(view.sets[i].set->name, exchange->name) == 0) {
            answer_part(exchange, status_write_set(&view.sets[i], view.now_ms, STATUS_WHOLE));
            return;
        }
    answer_none(exchange, &view, "set");
}

void serve_status_zone(struct exchange *exchange)
{
    struct federation_view view;
    exchange->site->backend.view(exchange->site->backend.context, &view);
    for (size_t i = 0; i < view.zone_count; i++)
        if (strcmp(view.zones[i].zone->name, exchange->name) == 0) {
            answer_part(exchange, status_write_zone(&view.zones[i], STATUS_WHOLE));
            return;
        }
    answer_none(exchange, &view, "zone");
}
