/* Rates of requests, work and handshakes: see limits.h. */
#include "controller/serve/limits.h"

#include <stdio.h>

#include "controller/serve/site.h"

/* Requests in a second, in the long run, and at once. An agent sends a heartbeat every two seconds and a
 * report when something changed; dashboards poll once a second; the reading listener is for a proxy or a
 * Prometheus on this machine. */
static const struct rate_limit rate_of_agent = {100, 1000}, rate_of_person = {50, 300},
                               rate_of_stranger = {20, 100}, rate_of_local_reader = {1000, 3000},
                               rate_of_bad_logins = {1, 60};

/* Milliseconds of the loop's time. A zone is Unknown after seven seconds of silence (ZONE_SILENT_AFTER_MS),
 * so nobody gets more than one at once, and all people together two. */
static const struct rate_limit work_of_person = {200, 1000}, work_of_stranger = {100, 500},
                               work_of_local_reader = {400, 2000}, work_of_people = {400, 2000};
static const char all_people[] = "work of people";

/* A handshake takes half a millisecond to one and a half. Many agents may come back at once from one address.
 */
static const struct rate_limit rate_of_handshakes = {100, 500};

/* Who it is in the tables, and which limits are theirs; false: none. */
struct caller_limits {
    char key[RATE_KEY_MAX];
    const struct rate_limit *requests, *work; /* work NULL: as much as they like */
};

static bool limits_of(const struct exchange *exchange, struct caller_limits *out)
{
    const struct caller *caller = &exchange->caller;
    *out = (struct caller_limits){.requests = &rate_of_stranger, .work = &work_of_stranger};
    if (caller->proof == PROOF_LOOPBACK)
        return false;
    if (caller->kind == CALLER_AGENT) {
        snprintf(out->key, sizeof out->key, "zone %s", caller->zone);
        out->requests = &rate_of_agent;
        out->work = NULL;
    } else if (caller->kind != CALLER_NOBODY) {
        snprintf(out->key, sizeof out->key, "%d %.*s", caller->proof, CALLER_NAME_MAX, caller->name);
        out->requests = &rate_of_person;
        out->work = &work_of_person;
    } else {
        rate_address_key("", exchange->request->remote, out->key);
        if (exchange->listener->reading_only) {
            out->requests = &rate_of_local_reader;
            out->work = &work_of_local_reader;
        }
    }
    return true;
}

static void work_key(const struct caller_limits *limits, char out[RATE_KEY_MAX])
{
    snprintf(out, RATE_KEY_MAX, "work %.*s", RATE_KEY_MAX - 6, limits->key);
}

uint64_t limits_caller_hash(const struct exchange *exchange)
{
    struct caller_limits limits;
    return limits_of(exchange, &limits) ? rate_key_hash(limits.key) : 0;
}

static struct limits_wait look_at_work(const struct exchange *exchange, const struct caller_limits *limits)
{
    struct rates *rates = &exchange->site->gate.rates;
    int64_t now_ms = clock_monotonic_ms(exchange->site->clock);
    struct limits_wait wait = {.for_work = true};
    char key[RATE_KEY_MAX];
    if (!limits->work)
        return wait;
    work_key(limits, key);
    wait.ms = rates_look(rates, key, limits->work, now_ms);
    if (wait.ms == 0 && limits->work == &work_of_person) {
        wait.ms = rates_look(rates, all_people, &work_of_people, now_ms);
        wait.of_all = wait.ms > 0;
    }
    return wait;
}

struct limits_wait limits_look(const struct exchange *exchange)
{
    struct caller_limits limits;
    if (!limits_of(exchange, &limits))
        return (struct limits_wait){0};
    struct limits_wait wait = look_at_work(exchange, &limits);
    if (wait.ms)
        return wait;
    return (struct limits_wait){.ms = rates_look(&exchange->site->gate.rates, limits.key, limits.requests,
                                                 clock_monotonic_ms(exchange->site->clock))};
}

/* Who tries tokens out is slower still, and doesn't make the others of their address so. */
static int64_t take_login(struct exchange *exchange, int64_t now_ms)
{
    char key[RATE_KEY_MAX];
    return rates_take(&exchange->site->gate.rates, rate_address_key("login ", exchange->request->remote, key),
                      &rate_of_bad_logins, now_ms);
}

struct limits_wait limits_take(struct exchange *exchange)
{
    int64_t now_ms = clock_monotonic_ms(exchange->site->clock);
    struct caller_limits limits;
    struct limits_wait wait = {0}, work = {0};
    if (limits_of(exchange, &limits)) {
        wait.ms = rates_take(&exchange->site->gate.rates, limits.key, limits.requests, now_ms);
        work = look_at_work(exchange, &limits);
    }
    int64_t login_ms = exchange->caller.flaw == FLAW_NONE ? 0 : take_login(exchange, now_ms);
    if (login_ms > wait.ms)
        wait.ms = login_ms;
    return work.ms > wait.ms ? work : wait;
}

void limits_charge(struct exchange *exchange, double took_ms)
{
    struct rates *rates = &exchange->site->gate.rates;
    int64_t now_ms = clock_monotonic_ms(exchange->site->clock);
    struct caller_limits limits;
    char key[RATE_KEY_MAX];
    if (!limits_of(exchange, &limits) || !limits.work)
        return;
    work_key(&limits, key);
    rates_charge(rates, key, limits.work, took_ms, now_ms);
    if (limits.work == &work_of_person)
        rates_charge(rates, all_people, &work_of_people, took_ms, now_ms);
}

bool limits_take_handshake(struct listener *listener, const char *remote)
{
    char key[RATE_KEY_MAX];
    return rates_take(&listener->site->gate.rates, rate_address_key("hands ", remote, key),
                      &rate_of_handshakes, clock_monotonic_ms(listener->site->clock)) == 0;
}
