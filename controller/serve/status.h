/* The status document: what GET /status answers (docs of the contract say each field). It is rebuilt when
 * anything but times, lag and used bytes changed, and at most every STATUS_REFRESH_MS for these; so whoever
 * polls gets the same bytes, or 304. */
#ifndef ATOLL_CONTROLLER_SERVE_STATUS_H
#define ATOLL_CONTROLLER_SERVE_STATUS_H

#include "controller/serve/backend.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

enum { STATUS_REFRESH_MS = 5000, STATUS_LOOK_MS = 50, STATUS_ETAG_MAX = 36 };

/* What somebody has to do before the zone's agent is heard, as a sentence; "" when nothing. */
void status_zone_reason(const struct zone_view *zone, char *out, size_t size);

/* STEADY leaves out generatedAt, lastReportAt, observedAt, lagSeconds and usedBytes. New objects; the caller
 * destroys them. */
enum status_part { STATUS_WHOLE, STATUS_STEADY };
struct json *status_write(const struct federation_view *view, enum status_part part);
struct json *status_write_set(const struct set_view *set, int64_t now_ms, enum status_part part);
struct json *status_write_zone(const struct zone_view *zone, enum status_part part);

/* `for`, `reason`, `message`, `since`, `until`, `endedBy`, `rule`. */
struct json *wait_write(const struct wait *wait);

/* "mongodb://…": the members that clients may use; "" while there is none. Appends to `out`. */
void connection_string(const struct set_view *set, struct buffer *out);

struct status_text {
    struct buffer text;
    char etag[STATUS_ETAG_MAX];        /* of the text */
    char steady_etag[STATUS_ETAG_MAX]; /* of what is news when it changes */
    int64_t revision;
};

struct status_cache {
    struct status_text now;
    bool filled, changed;
    int64_t built_at_ms, looked_at_ms; /* monotonic */
};

void status_cache_init(struct status_cache *cache);
void status_cache_finish(struct status_cache *cache);
void status_cache_changed(struct status_cache *cache);

/* The document as it is now; NULL when memory is out. Valid until the next call. */
const struct status_text *status_cache_get(struct status_cache *cache, const struct backend *backend,
                                           const struct clock *clock);

/* A strong ETag's content for these bytes: 32 hexadecimal digits, no quotes. */
void status_etag(const void *data, size_t length, char out[STATUS_ETAG_MAX]);

#endif
