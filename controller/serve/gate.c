/* The gate: see gate.h. */
#include "controller/serve/gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/serve/limits.h"
#include "controller/serve/site.h"
#include "controller/trust/trust.h"
#include "proto/base/log.h"

enum { HEADER_MAX = 48 };

static const struct rate_limit rate_of_written_refusals = {1, 20}, rate_of_all_written_refusals = {5, 100};

int gate_init(struct gate *gate, struct store *store, struct error *err)
{
    *gate = (struct gate){.store = store};
    if (rates_init(&gate->rates, random_system.next(random_system.context), err))
        return -1;
    if (tokens_init(&gate->tokens, store, err)) {
        rates_finish(&gate->rates);
        return -1;
    }
    return 0;
}

void gate_finish(struct gate *gate)
{
    tokens_finish(&gate->tokens);
    rates_finish(&gate->rates);
}

/* ---- who asks ---- */

/* The token in "Authorization: Bearer TOKEN"; NULL when there is no such header. */
static const char *bearer_of(const struct http_request *request)
{
    const char *value = http_request_header(request, "Authorization");
    if (!value)
        return NULL;
    return strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 + strspn(value + 7, " ") : "";
}

/* Who opened a session may have lost what it was opened with. */
static bool opener_counts(const struct exchange *exchange, const struct caller *opener)
{
    struct caller now = *opener;
    if (opener->proof == PROOF_CERTIFICATE && exchange->site->trust)
        trust_check_caller(exchange->site->trust, &now);
    return now.flaw == FLAW_NONE &&
           (opener->proof != PROOF_TOKEN ||
            tokens_counts(&exchange->site->gate.tokens, opener->mark, clock_wall_ms(exchange->site->clock)));
}

/* Whether a session's cookie is shown; then the caller is whoever opened it, as a viewer. */
static bool take_session(struct exchange *exchange)
{
    char text[SESSION_TEXT_MAX];
    if (!session_of_cookie(http_request_header(exchange->request, "Cookie"), text))
        return false;
    const struct caller *opener =
        sessions_find(&exchange->site->gate.sessions, text, clock_wall_ms(exchange->site->clock));
    explicit_bzero(text, sizeof text);
    bool counts = opener && opener_counts(exchange, opener);
    if (counts)
        exchange->caller = *opener;
    exchange->caller.kind = counts ? CALLER_VIEWER : CALLER_NOBODY;
    exchange->caller.flaw = counts ? FLAW_NONE : FLAW_UNKNOWN;
    exchange->caller.proof = PROOF_SESSION;
    return true;
}

/* The certificate was verified when the connection was made; whether it still counts is asked each time. */
static void take_certificate(struct exchange *exchange)
{
    exchange->caller = *exchange->request->peer;
    if (exchange->site->trust)
        trust_check_caller(exchange->site->trust, &exchange->caller);
}

/* A token that is shown counts, whatever else does: who shows one means it. Without TLS nobody else can show
 * who they are: whoever reaches a listener of the loopback is trusted, as far as that listener goes. */
static void find_caller(struct exchange *exchange)
{
    const char *bearer = bearer_of(exchange->request);
    exchange->caller = (struct caller){.kind = CALLER_NOBODY};
    if (exchange->listener->reading_only)
        return;
    if (bearer)
        tokens_find(&exchange->site->gate.tokens, bearer, clock_wall_ms(exchange->site->clock),
                    &exchange->caller);
    else if (exchange->request->peer)
        take_certificate(exchange);
    else if (exchange->listener->tls)
        take_session(exchange); /* not on the plain loopback, whose cookies all programs there share */
    else
        exchange->caller = (struct caller){.kind = CALLER_ADMIN, .proof = PROOF_LOOPBACK};
}

/* ---- how often ---- */

static void say_wait(const struct exchange *exchange, const struct limits_wait *wait, char *message,
                     size_t size, char header[HEADER_MAX])
{
    long long seconds = (long long)((wait->ms + 999) / 1000);
    const char *who = exchange->caller.kind == CALLER_NOBODY ? "this address" : "this caller";
    exchange->site->gate.limited++;
    snprintf(header, HEADER_MAX, "Retry-After: %lld", seconds);
    if (wait->for_work)
        snprintf(message, size,
                 "answering %s was more work than is done in so short a time: ask again in %lld s",
                 wait->of_all ? "people" : who, seconds);
    else
        snprintf(message, size, "too many requests from %s: ask again in %lld s", who, seconds);
}

static void refuse_too_many(struct exchange *exchange, const struct limits_wait *wait)
{
    char header[HEADER_MAX], message[160];
    say_wait(exchange, wait, message, sizeof message, header);
    http_respond_error_with(exchange->listener->server, exchange->request->id, 429, "too_many_requests",
                            message, (const char *const[]){header, NULL});
}

/* ---- what is written down ---- */

static bool is_changing(const struct exchange *exchange, enum access_rule rule)
{
    const char *dry_run = http_request_query(exchange->request, "dryRun");
    if (dry_run && strcmp(dry_run, "false") != 0)
        return false;
    if (rule == ACCESS_SECRET)
        return true; /* it changes who knows */
    return strcmp(exchange->request->method, "GET") != 0 &&
           (rule == ACCESS_OPERATE || rule == ACCESS_ADMIN || rule == ACCESS_JOIN || rule == ACCESS_RENEW);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Atoll-Why: what for, percent-encoded, since a header's value is ASCII. */
static void read_why(const struct http_request *request, char out[AUDIT_WHY_MAX])
{
    const char *text = http_request_header(request, "Atoll-Why");
    size_t used = 0;
    for (; text && *text && used + 1 < AUDIT_WHY_MAX; text++) {
        int high = *text == '%' ? hex_value(text[1]) : -1, low = high >= 0 ? hex_value(text[2]) : -1;
        char c = low >= 0 ? (char)(high << 4 | low) : *text;
        text += low >= 0 ? 2 : 0;
        if (c)
            out[used++] = c;
    }
    out[used] = 0;
}

static void describe(const struct exchange *exchange, struct audit_entry *out)
{
    const struct http_request *request = exchange->request;
    *out = (struct audit_entry){.at_ms = clock_wall_ms(exchange->site->clock), .caller = exchange->caller};
    snprintf(out->from, sizeof out->from, "%s", request->remote);
    snprintf(out->method, sizeof out->method, "%s", request->method);
    snprintf(out->path, sizeof out->path, "%s", request->path);
    read_why(request, out->why);
}

static struct gate_change *find_change(struct gate *gate, const struct listener *listener,
                                       uint64_t request_id)
{
    for (size_t i = 0; i < GATE_CHANGES_MAX; i++)
        if (gate->changes[i].listener == listener && (!listener || gate->changes[i].request_id == request_id))
            return &gate->changes[i];
    return NULL;
}

/* False when it couldn't be written down; then the exchange has been answered. */
static bool begin_change(struct exchange *exchange)
{
    struct gate *gate = &exchange->site->gate;
    struct gate_change *change = find_change(gate, NULL, 0);
    struct error err = {0};
    if (!change) {
        http_respond_error(exchange->listener->server, exchange->request->id, 503, "too_large",
                           "as many changes are under way as can be (GATE_CHANGES_MAX): try again later");
        return false;
    }
    describe(exchange, &change->entry);
    if (audit_begin(gate->store, &change->entry, &err)) {
        answer_error(exchange, &err);
        return false;
    }
    change->listener = exchange->listener;
    change->request_id = exchange->request->id;
    return true;
}

void gate_answered(struct gate *gate, const struct listener *listener, uint64_t request_id, int status)
{
    struct error err = {0};
    struct gate_change *change = find_change(gate, listener, request_id);
    if (!change)
        return;
    change->entry.status = status;
    change->entry.outcome = status ? audit_outcome_of(status) : AUDIT_BEGUN;
    if (audit_end(gate->store, &change->entry, &err))
        log_error("audit", "%s", err.message);
    change->listener = NULL;
}

void gate_note(struct exchange *exchange, const char *format, ...)
{
    struct gate_change *change =
        find_change(&exchange->site->gate, exchange->listener, exchange->request->id);
    va_list args;
    if (!change)
        return;
    va_start(args, format);
    vsnprintf(change->entry.detail, sizeof change->entry.detail, format, args);
    va_end(args);
}

/* Refusals of changes are written down too, but nobody fills the disk with them. */
static void write_refusal(struct exchange *exchange, const struct access_answer *answer)
{
    struct gate *gate = &exchange->site->gate;
    struct audit_entry entry;
    struct error err = {0};
    char key[RATE_KEY_MAX];
    int64_t now_ms = clock_monotonic_ms(exchange->site->clock);
    rate_address_key("written ", exchange->request->remote, key);
    if (rates_take(&gate->rates, key, &rate_of_written_refusals, now_ms) ||
        rates_take(&gate->rates, "written", &rate_of_all_written_refusals, now_ms)) {
        gate->unwritten++;
        return;
    }
    describe(exchange, &entry);
    snprintf(entry.detail, sizeof entry.detail, "%s", answer->message);
    if (audit_begin(gate->store, &entry, &err) == 0) {
        entry.outcome = AUDIT_REFUSED;
        entry.status = answer->status;
        audit_end(gate->store, &entry, &err);
    }
    if (err.code)
        log_error("audit", "%s", err.message);
}

/* ---- whether they may ---- */

static bool spec_opens_status(struct site *site)
{
    struct federation_view view;
    site->backend.view(site->backend.context, &view);
    return view.spec && view.spec->access_anonymous_status;
}

static void refuse_reading_only(struct exchange *exchange)
{
    char message[256];
    snprintf(message, sizeof message, "this listener is for reading only: send %s %s to %s",
             exchange->request->method, exchange->request->path, exchange->site->changing_url);
    http_respond_error(exchange->listener->server, exchange->request->id, 403, "refused", message);
}

static void refuse(struct exchange *exchange, const struct access_answer *answer)
{
    static const char *const challenge[] = {"WWW-Authenticate: Bearer realm=\"atoll\"", NULL};
    exchange->site->gate.refused++;
    if (answer->verdict == ACCESS_ELSEWHERE)
        refuse_reading_only(exchange);
    else if (answer->verdict == ACCESS_LOGIN)
        http_respond_error_with(exchange->listener->server, exchange->request->id, 401, "unauthenticated",
                                answer->message, challenge);
    else
        http_respond_error(exchange->listener->server, exchange->request->id, answer->status, "refused",
                           answer->message);
}

/* A web page of somewhere else can make a browser send simple requests here, with what the browser has (a
 * certificate, the loopback's trust): https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/CSRF.
 * Browsers say where such a request comes from; other programs say nothing. */
static bool is_of_another_site(const struct http_request *request)
{
    const char *origin = http_request_header(request, "Origin"), *host = http_request_header(request, "Host");
    if (strcmp(request->method, "GET") == 0 || !origin)
        return false;
    const char *authority = strstr(origin, "://");
    return !authority || !host || strcasecmp(authority + 3, host) != 0;
}

static void decide(struct exchange *exchange, enum access_rule rule, struct access_answer *out)
{
    struct access_question question = {.rule = rule,
                                       .reading_listener = exchange->listener->reading_only,
                                       .anonymous_status =
                                           rule == ACCESS_STATUS && spec_opens_status(exchange->site),
                                       .zone = exchange->name};
    access_decide(&exchange->caller, &question, out);
    if (out->verdict != ACCESS_ALLOWED || !is_of_another_site(exchange->request))
        return;
    *out = (struct access_answer){.verdict = ACCESS_REFUSED, .status = 403};
    snprintf(out->message, sizeof out->message, "a page of another site (%.64s) changes nothing here",
             http_request_header(exchange->request, "Origin"));
}

/* Keeps room for whoever has shown who they are; without TLS an agent is known by what it asks for. */
static bool vouch(struct exchange *exchange, enum access_rule rule)
{
    bool is_agent = rule == ACCESS_AGENT || rule == ACCESS_RENEW || exchange->caller.kind == CALLER_AGENT;
    if (exchange->caller.kind == CALLER_NOBODY ||
        http_vouch(exchange->listener->server, exchange->request->id, is_agent ? HTTP_AGENT : HTTP_PERSON) ==
            0)
        return true;
    http_respond_error_with(
        exchange->listener->server, exchange->request->id, 503, "too_large",
        "as many connections are open as can be (SITE_PERSONS_MAX, SITE_AGENTS_MAX): try again later",
        (const char *const[]){"Retry-After: 5", NULL});
    return false;
}

bool gate_admits(struct exchange *exchange, enum access_rule rule)
{
    struct access_answer answer;
    find_caller(exchange);
    struct limits_wait wait = limits_take(exchange);
    if (wait.ms) {
        refuse_too_many(exchange, &wait);
        return false;
    }
    decide(exchange, rule, &answer);
    bool changing = is_changing(exchange, rule);
    if (answer.verdict != ACCESS_ALLOWED) {
        if (changing)
            write_refusal(exchange, &answer);
        refuse(exchange, &answer);
        return false;
    }
    return vouch(exchange, rule) && (!changing || begin_change(exchange));
}

bool gate_takes_body(struct listener *listener, const struct http_request *head, bool for_agent,
                     struct http_body_terms *terms)
{
    struct exchange exchange = {.site = listener->site, .listener = listener, .request = head};
    find_caller(&exchange);
    /* Without TLS an agent is known by what it asks for; with it nobody else takes of their room. */
    bool is_agent =
        exchange.caller.kind == CALLER_AGENT || (for_agent && exchange.caller.proof == PROOF_LOOPBACK);
    terms->of = is_agent ? HTTP_AGENT : HTTP_PERSON;
    terms->owner = limits_caller_hash(&exchange);
    if (exchange.caller.kind == CALLER_NOBODY) {
        terms->status = 413;
        terms->code = "too_large";
        snprintf(terms->message, sizeof terms->message,
                 "a body may have at most %d bytes from somebody who hasn't shown who they are",
                 HTTP_BODY_SMALL);
        return false;
    }
    struct limits_wait wait = limits_look(&exchange);
    if (wait.ms == 0)
        return true;
    terms->status = 429;
    terms->code = "too_many_requests";
    say_wait(&exchange, &wait, terms->message, sizeof terms->message, terms->header);
    return false;
}
