/* Things that wait for something to become true: a majority write, a committed configuration, a long poll. */
#ifndef SIM_WAITERS_H
#define SIM_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct waiter;

enum { WAITERS_MAX = 10000 };

enum wait_end { WAIT_READY, WAIT_TIMEOUT, WAIT_INTERRUPTED, WAIT_SHUTDOWN };

struct waiters {
    struct waiter *first;
    int count;
};

/* Calls `end` once, never from inside this call: when ready() is true, when the deadline (of uv_now;
 * INT64_MAX: none) has passed, when the node stops being primary and `primary_only` is set, or at shutdown.
 */
void wait_for(struct sim *sim, int64_t deadline_ms, bool primary_only, bool (*ready)(struct sim *, void *),
              void (*end)(struct sim *, void *, enum wait_end), void *data);
/* Ends what is due. Gives the next deadline. */
int64_t waiters_turn(struct sim *sim, int64_t now_ms);
void waiters_end_all(struct sim *sim, bool only_primary, enum wait_end why);

#endif
