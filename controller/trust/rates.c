/* Token buckets in a table of groups: see rates.h. */
#include "controller/trust/rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/hash.h"

struct rate {
    uint64_t key; /* a hash; 0: free. Two callers with one hash share a bucket, which hurts nobody much */
    double level; /* what is left */
    int64_t at_ms;
};

int rates_init(struct rates *rates, uint64_t salt, struct error *err)
{
    *rates = (struct rates){.places = calloc(RATES_KEYS_MAX, sizeof(struct rate)), .salt = salt};
    return rates->places ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for the rate limits");
}

void rates_finish(struct rates *rates)
{
    free(rates->places);
    *rates = (struct rates){0};
}

/* Salted, and its bits mixed (splitmix64): spread, not secrecy. */
static uint64_t hash_of(uint64_t salt, const char *key)
{
    uint64_t hash = hash_text(HASH_START ^ salt, key);
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    hash ^= hash >> 31;
    return hash ? hash : 1;
}

/* The key's place: its own, a free one, or that of whoever asked longest ago. */
static struct rate *find(struct rates *rates, uint64_t hash)
{
    struct rate *group = rates->places + (hash & (RATES_GROUPS - 1)) * RATES_PER_GROUP, *oldest = group;
    for (size_t i = 0; i < RATES_PER_GROUP; i++) {
        if (group[i].key == hash)
            return &group[i];
        if (oldest->key && (!group[i].key || group[i].at_ms < oldest->at_ms))
            oldest = &group[i];
    }
    oldest->key = 0;
    return oldest;
}

static double level_now(const struct rate *place, uint64_t hash, const struct rate_limit *limit,
                        int64_t now_ms)
{
    if (place->key != hash)
        return limit->burst;
    int64_t passed_ms = now_ms > place->at_ms ? now_ms - place->at_ms : 0;
    double level = place->level + (double)passed_ms * limit->per_second / 1000;
    return level < limit->burst ? level : limit->burst;
}

static int64_t wait_for_one(double level, const struct rate_limit *limit)
{
    if (level >= 1)
        return 0;
    int64_t wait_ms = (int64_t)((1 - level) * 1000 / limit->per_second);
    return wait_ms > 0 ? wait_ms : 1;
}

uint64_t rate_key_hash(const char *key)
{
    return hash_of(0, key);
}

int64_t rates_take(struct rates *rates, const char *key, const struct rate_limit *limit, int64_t now_ms)
{
    if (limit->per_second <= 0)
        return 0;
    uint64_t hash = hash_of(rates->salt, key);
    struct rate *place = find(rates, hash);
    double level = level_now(place, hash, limit, now_ms);
    int64_t wait_ms = wait_for_one(level, limit);
    *place = (struct rate){hash, wait_ms ? level : level - 1, now_ms};
    return wait_ms;
}

void rates_charge(struct rates *rates, const char *key, const struct rate_limit *limit, double cost,
                  int64_t now_ms)
{
    uint64_t hash = hash_of(rates->salt, key);
    struct rate *place = find(rates, hash);
    *place = (struct rate){hash, level_now(place, hash, limit, now_ms) - cost, now_ms};
}

int64_t rates_look(struct rates *rates, const char *key, const struct rate_limit *limit, int64_t now_ms)
{
    if (limit->per_second <= 0)
        return 0;
    uint64_t hash = hash_of(rates->salt, key);
    const struct rate *group = rates->places + (hash & (RATES_GROUPS - 1)) * RATES_PER_GROUP;
    for (size_t i = 0; i < RATES_PER_GROUP; i++)
        if (group[i].key == hash)
            return wait_for_one(level_now(&group[i], hash, limit, now_ms), limit);
    return 0;
}

/* The first four groups of an IPv6 address as getnameinfo() writes it: "2001:db8::1" has fewer before its
 * "::", which are then all there are. */
static size_t network_length(const char *address, size_t length)
{
    int colons = 0;
    for (size_t i = 0; i < length; i++)
        if (address[i] == ':' && (++colons == 4 || (i + 1 < length && address[i + 1] == ':')))
            return i;
    return length;
}

const char *rate_address_key(const char *prefix, const char *remote, char key[RATE_KEY_MAX])
{
    const char *address = *remote == '[' ? remote + 1 : remote;
    size_t length = *remote == '[' ? strcspn(address, "]") : strcspn(address, ":");
    if (*remote == '[')
        length = network_length(address, length);
    snprintf(key, RATE_KEY_MAX, "%s%.*s", prefix, (int)(length < 64 ? length : 64), address);
    return key;
}
