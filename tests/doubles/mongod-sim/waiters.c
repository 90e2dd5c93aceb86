/* A list that is looked through whenever something has changed; it is short. */
#include "waiters.h"

#include "sim.h"

#include <stdlib.h>

struct waiter {
    int64_t deadline_ms;
    bool primary_only;
    bool (*ready)(struct sim *, void *);
    void (*end)(struct sim *, void *, enum wait_end);
    void *data;
    bool interrupted;
    enum wait_end why;
    struct waiter *next;
};

void wait_for(struct sim *sim, int64_t deadline_ms, bool primary_only, bool (*ready)(struct sim *, void *),
              void (*end)(struct sim *, void *, enum wait_end), void *data)
{
    struct waiter *w = xcalloc(1, sizeof *w), **p = &sim->waiters.first;
    *w = (struct waiter){deadline_ms, primary_only, ready, end, data, false, WAIT_READY, NULL};
    if (++sim->waiters.count > WAITERS_MAX) { /* refuse by letting it time out at once */
        w->interrupted = true;
        w->why = WAIT_TIMEOUT;
    }
    while (*p)
        p = &(*p)->next;
    *p = w;
    sim->progress = true;
}

static bool due(struct sim *sim, struct waiter *w, int64_t now)
{
    if (w->interrupted)
        return true;
    if (w->ready(sim, w->data))
        w->why = WAIT_READY;
    else if (w->deadline_ms <= now)
        w->why = WAIT_TIMEOUT;
    else
        return false;
    return true;
}

int64_t waiters_turn(struct sim *sim, int64_t now)
{
    int64_t next = INT64_MAX;
    struct waiter *ended = NULL, **tail = &ended;
    for (struct waiter **p = &sim->waiters.first; *p;) {
        struct waiter *w = *p;
        if (!due(sim, w, now)) {
            next = w->deadline_ms < next ? w->deadline_ms : next;
            p = &w->next;
            continue;
        }
        *p = w->next;
        w->next = NULL;
        *tail = w;
        tail = &w->next;
        sim->waiters.count--;
    }
    while (ended) {
        struct waiter *w = ended;
        ended = w->next;
        w->end(sim, w->data, w->why);
        free(w);
    }
    return next;
}

void waiters_end_all(struct sim *sim, bool only_primary, enum wait_end why)
{
    for (struct waiter *w = sim->waiters.first; w; w = w->next)
        if (!w->interrupted && (!only_primary || w->primary_only)) {
            w->interrupted = true;
            w->why = why;
        }
    sim->progress = true;
}
