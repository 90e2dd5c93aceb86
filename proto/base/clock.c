/* Time and randomness: see clock.h. */
#include "proto/base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_monotonic_ms(void *context)
{
    (void)context;
    return read_clock_ms(CLOCK_MONOTONIC);
}

static int64_t system_wall_ms(void *context)
{
    (void)context;
    return read_clock_ms(CLOCK_REALTIME);
}

static uint64_t system_random(void *context)
{
    (void)context;
    uint64_t value = 0;
    ssize_t got = getrandom(&value, sizeof value, 0);
    assert(got == (ssize_t)sizeof value); /* getrandom never gives less than 256 bytes once seeded */
    return value;
}

const struct clock clock_system = {system_monotonic_ms, system_wall_ms, NULL};
const struct random random_system = {system_random, NULL};

int64_t backoff_ms(unsigned attempt, int64_t first_ms, int64_t most_ms, const struct random *random)
{
    int64_t delay = first_ms;
    while (attempt-- > 0 && delay < most_ms)
        delay *= 2;
    if (delay > most_ms)
        delay = most_ms;
    int64_t half = delay / 2;
    return half + (int64_t)(random->next(random->context) % (uint64_t)(delay - half + 1));
}

const char *time_text(int64_t wall_ms, char text[TIME_TEXT_MAX])
{
    text[0] = 0;
    time_t seconds = wall_ms / 1000;
    struct tm parts;
    if (wall_ms > 0 && gmtime_r(&seconds, &parts)) {
        size_t used = strftime(text, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(text + used, TIME_TEXT_MAX - used, ".%03dZ", (int)(wall_ms % 1000));
    }
    return text;
}

const char *uuid_text(const struct random *random, char text[UUID_TEXT_MAX])
{
    uint64_t high = random->next(random->context), low = random->next(random->context);
    high = (high & ~0xf000ULL) | 0x4000;
    low = (low & ~(3ULL << 62)) | (2ULL << 62);
    snprintf(text, UUID_TEXT_MAX, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
             (unsigned long long)(low & 0xffffffffffffULL));
    return text;
}
