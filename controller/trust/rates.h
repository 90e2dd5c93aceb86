/* How often somebody may ask: a token bucket (https://en.wikipedia.org/wiki/Token_bucket) each, by a key that
 * names a caller or an address. Pure: time comes in. Bounded: of more keys than there is room for, those that
 * asked longest ago are forgotten, which lets them ask again. */
#ifndef ATOLL_CONTROLLER_TRUST_RATES_H
#define ATOLL_CONTROLLER_TRUST_RATES_H

#include <stdint.h>

#include "proto/base/error.h"

enum {
    RATES_GROUPS = 1024 /* a power of two */,
    RATES_PER_GROUP = 4,
    RATES_KEYS_MAX = RATES_GROUPS * RATES_PER_GROUP
};

/* `per_second` in the long run, and `burst` at once. per_second 0: no limit. */
struct rate_limit {
    double per_second, burst;
};

struct rates {
    struct rate *places; /* RATES_KEYS_MAX */
    uint64_t salt;       /* so that nobody can choose keys that push each other out */
};

int rates_init(struct rates *rates, uint64_t salt, struct error *err);
void rates_finish(struct rates *rates);

/* Takes one. 0 when it is allowed, else the milliseconds until it would be. */
int64_t rates_take(struct rates *rates, const char *key, const struct rate_limit *limit, int64_t now_ms);

/* Takes so much of what has been used already, also more than there is left: then all wait until that is made
 * up for. */
void rates_charge(struct rates *rates, const char *key, const struct rate_limit *limit, double cost,
                  int64_t now_ms);

/* Without taking one. */
int64_t rates_look(struct rates *rates, const char *key, const struct rate_limit *limit, int64_t now_ms);

/* The key of an address as in struct http_request ("127.0.0.1:40000", "[2001:db8::1]:40000"): without the
 * port, and of IPv6 only the /64 that one customer has. `prefix` begins it. */
enum { RATE_KEY_MAX = 96 };
uint64_t rate_key_hash(const char *key);
const char *rate_address_key(const char *prefix, const char *remote, char key[RATE_KEY_MAX]);

#endif
