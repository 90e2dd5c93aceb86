/* What happened, for people: events with a reason out of events.def. The last EVENTS_KEPT are kept. */
#ifndef ATOLL_CONTROLLER_SERVE_EVENT_H
#define ATOLL_CONTROLLER_SERVE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/json.h"

enum { EVENTS_KEPT = 1000, EVENT_NAME_MAX = 96, EVENT_MESSAGE_MAX = 512 };

enum event_reason {
#define X(name, reason, type, sentence) name,
#include "controller/serve/events.def"
#undef X
    EVENT_REASON_COUNT
};

/* What an event is about; NULL where it isn't about that. */
struct event_words {
    const char *set, *zone, *member, *from, *to, *detail;
    int rule; /* the decision row that led to it; 0: none */
};

struct event {
    uint64_t id; /* grows by one; goes on over restarts only as far as the ring's first id does (see
                    event_ring_init) */
    int64_t at_ms;
    enum event_reason reason;
    char set[EVENT_NAME_MAX], zone[EVENT_NAME_MAX], member[EVENT_NAME_MAX];
    char message[EVENT_MESSAGE_MAX];
    int rule;
};

/* Fills in all but `id`. */
void event_make(struct event *event, enum event_reason reason, int64_t at_ms,
                const struct event_words *words);

const char *event_reason_text(enum event_reason reason); /* "PhaseChanged" */
const char *event_type_text(enum event_reason reason);   /* "Normal", "Warning" */

struct event_ring {
    struct event *events; /* EVENTS_KEPT places */
    uint64_t next_id;
    size_t count;
};

/* Ids begin at `first_id`: give one that is above those of former runs, so that a Last-Event-ID of theirs
 * means "all". */
int event_ring_init(struct event_ring *ring, uint64_t first_id, struct error *err);
void event_ring_finish(struct event_ring *ring);
const struct event *event_ring_add(struct event_ring *ring, const struct event *event);

/* The oldest that is kept with an id above `after` and, unless `set` is NULL or empty, of this set; NULL when
 * there is none. */
const struct event *event_ring_next(const struct event_ring *ring, uint64_t after, const char *set);

/* {"id","at","type","reason","set","zone","member","message","rule"} */
struct json *event_write(const struct event *event);

#endif
