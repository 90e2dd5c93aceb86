/* What the controller serves: all listeners together, on one loop. The handlers of routes.def are in
 * agents.c, reading.c, events.c, api.c, people.c, health.c and metrics.c. */
#ifndef ATOLL_CONTROLLER_SERVE_SITE_H
#define ATOLL_CONTROLLER_SERVE_SITE_H

#include "controller/serve/backend.h"
#include "controller/serve/event.h"
#include "controller/serve/gate.h"
#include "controller/serve/http.h"
#include "controller/serve/status.h"
#include "proto/base/clock.h"

enum {
    SITE_LISTENERS_MAX = 2,
    SITE_STREAMS_MAX = 3000,       /* open streams of agents and readers together */
    SITE_READER_STREAMS_MAX = 500, /* of readers */
    SITE_CALLER_STREAMS_MAX = 250, /* of one caller or address: all that come through a proxy have one */
    SITE_STRANGERS_MAX = 1024, /* connections of clients that haven't shown who they are; in each listener */
    SITE_STRANGERS_PER_ADDRESS_MAX = 256,
    SITE_PERSONS_MAX = 512,
    SITE_AGENTS_MAX = 4000, /* a thousand zones with a stream and a connection for the rest each, and as many
                               again while they change over */
    SITE_BODIES_MAX =
        64 << 20, /* bytes of large bodies that haven't come whole: of people, and again of agents */
    SITE_BODIES_OF_ONE_MAX = 8 << 20, /* of one person or agent */
    SITE_SLACK = 500,                 /* connections that were pushed out and aren't closed yet */
    SITE_DESCRIPTORS = 2 * (SITE_STRANGERS_MAX + SITE_SLACK) + SITE_PERSONS_MAX +
                       SITE_AGENTS_MAX, /* files that all of these may be */
    SITE_ZONE_STREAMS_MAX = 4, /* of one zone: an agent's new one beside its old, and somebody who looks */
    SITE_TICK_MS = 250,        /* how often site_tick() is to be called */
    SITE_COMMENT_MS = 15000,   /* a sign of life in Server-Sent Events */
    SITE_EVENTS_LIST_MAX = EVENTS_KEPT,
};

struct site;

struct listener {
    struct site *site;
    struct http_server *server;
    bool reading_only;
    bool tls; /* callers can show certificates, and whoever shows nothing is nobody */
};

enum stream_kind { STREAM_INTENT, STREAM_EVENTS };

struct stream {
    struct listener *listener;
    uint64_t id;
    enum stream_kind kind;
    char name[NAME_LENGTH_MAX + 1]; /* INTENT: the zone; EVENTS: the set, or "" for all */
    uint64_t last_event;
    char etag[STATUS_ETAG_MAX];      /* EVENTS: the status that was told last */
    int64_t next_sign_ms;            /* monotonic: bookmark or comment */
    uint64_t caller;                 /* a hash of whose it is */
    char token[CALLER_MARK_MAX + 1]; /* the id of the token that opened it, or "": it ends with that */
};

struct site {
    struct backend backend;
    const struct clock *clock;
    struct listener listeners[SITE_LISTENERS_MAX];
    size_t listener_count;
    char changing_url[128]; /* where the reading listener sends those who want to change something */
    struct event_ring ring;
    struct status_cache status;
    struct gate gate;
    unsigned descriptors; /* files that connections may be; SITE_DESCRIPTORS where the system allows it */
    struct trust *trust;  /* NULL: --tls off. This and the next two are set before the first listener */
    int (*exchange_ca)(void *context, bool force, struct error *err);
    void *exchange_context;
    struct stream *streams;
    size_t stream_count;
    uint64_t requests, streams_refused;
};

/* One request on its way to its answer; valid during the handler's call. */
struct exchange {
    struct site *site;
    struct listener *listener;
    const struct http_request *request;
    struct caller caller;
    char name[NAME_LENGTH_MAX + 1]; /* what {name} stood for */
};

/* The store is that of tokens and audit log; it outlives the site. */
int site_init(struct site *site, const struct backend *backend, struct store *store,
              const struct clock *clock, struct error *err);

/* Listens, with TLS unless `tls` is NULL; the first call is for the main listener, the second for the one for
 * reading only. */
int site_listen(struct site *site, uv_loop_t *loop, const char *address, int port, bool reading_only,
                struct tls_context *tls, struct error *err);
void site_url(const struct listener *listener, const char *address, char *out, size_t size);

/* Stops listening, hangs up; the servers' memory goes with some turns of the loop. Then site_finish(). */
void site_close(struct site *site);
void site_finish(struct site *site);

/* From the controller's outlet. */
void site_intent_changed(struct site *site, const char *zone);
void site_status_changed(struct site *site);
void site_event_happened(struct site *site, const struct event *event);

/* Bookmarks, comments, news of the status; every SITE_TICK_MS. */
void site_tick(struct site *site);

/* ---- for the handlers ---- */

void answer_json(struct exchange *exchange, int status, const struct json *json, const char *const *headers);
void answer_text(struct exchange *exchange, int status, const char *content_type, const char *text,
                 size_t length);
/* The fitting HTTP status for an error of ours; the message as it is. */
void answer_error(struct exchange *exchange, const struct error *err);
int http_status_of(enum error_code code);

/* NULL when there are too many; then the exchange was answered. */
struct stream *stream_open(struct exchange *exchange, enum stream_kind kind, const char *content_type);
/* False when the client has gone; then the stream is removed. */
bool stream_write(struct site *site, struct stream *stream, const char *data, size_t length);
void stream_end(struct site *site, struct stream *stream);
size_t stream_count_of(const struct site *site, enum stream_kind kind, const char *name);

/* NULL when there are no certificates, or the body is no JSON object; then the exchange was answered. */
struct trust *trust_of(struct exchange *exchange);
struct json *read_body(struct exchange *exchange);
/* answer_json(), and the value is destroyed. */
void answer_and_end(struct exchange *exchange, int status, struct json *json);

/* Ends every stream of the zone's intent. */
void agents_cut(struct site *site, const char *zone);
void agents_tick(struct site *site, struct stream *stream, int64_t now_ms);
void agents_send(struct site *site, struct stream *stream);
void events_tick(struct site *site, struct stream *stream, int64_t now_ms);
void events_send(struct site *site, struct stream *stream);

#define X(function, method, pattern, rule, summary) void function(struct exchange *exchange);
#include "controller/serve/routes.def"
#undef X

#endif
