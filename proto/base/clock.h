/* Time and randomness as values that are passed in, so that whole daemons run on virtual time in a test.
 * Decisions take `now_ms` as an argument; only wiring code holds a clock. */
#ifndef ATOLL_BASE_CLOCK_H
#define ATOLL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    int64_t (*monotonic_ms)(void *context); /* never jumps; for deadlines and ages */
    int64_t (*wall_ms)(void *context);      /* since 1970, UTC; for people */
    void *context;
};

struct random {
    uint64_t (*next)(void *context); /* uniform over 64 bits */
    void *context;
};

/* The machine's own. */
extern const struct clock clock_system;
extern const struct random random_system;

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->context);
}

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

/* How long to wait before attempt number `attempt` (0 is the first retry): doubles from `first_ms` up to
 * `most_ms`, with full jitter above half, so that a thousand agents don't come back at one instant. Pure but
 * for `random`. */
int64_t backoff_ms(unsigned attempt, int64_t first_ms, int64_t most_ms, const struct random *random);

enum { TIME_TEXT_MAX = 32, UUID_TEXT_MAX = 37 };

/* "2026-11-23T08:00:00.000Z" for a wall time; "" for 0. */
const char *time_text(int64_t wall_ms, char text[TIME_TEXT_MAX]);

/* A random UUID (version 4), lower case. */
const char *uuid_text(const struct random *random, char text[UUID_TEXT_MAX]);

#endif
