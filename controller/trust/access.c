/* The table of who may do what: see access.h. */
#include "controller/trust/access.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct rule {
    const char *name;
    enum caller_kind least;
    bool on_reading_listener;
    const char *need;
} rules[] = {
#define X(name, least, reading, need) {#name, least, reading, need},
#include "controller/trust/access.def"
#undef X
};

static const char *const kinds[] = {"nobody", "viewer", "operator", "admin", "agent"};
static const char *const proofs[] = {"none", "loopback", "certificate", "token", "session"};

/* ---- names ---- */

bool caller_name_is_good(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t length = strlen(name);
    return length && length <= CALLER_NAME_MAX && strchr(first, *name) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") == length;
}

const char *caller_kind_name(enum caller_kind kind)
{
    return kinds[kind];
}

bool caller_role_from_name(const char *name, enum caller_kind *out)
{
    for (int kind = CALLER_VIEWER; kind <= CALLER_ADMIN; kind++)
        if (strcmp(name, kinds[kind]) == 0) {
            *out = (enum caller_kind)kind;
            return true;
        }
    return false;
}

const char *caller_proof_name(enum caller_proof proof)
{
    return proofs[proof];
}

const char *access_rule_name(enum access_rule rule)
{
    assert(rule < ACCESS_RULE_COUNT);
    return rules[rule].name;
}

bool access_rule_reads(enum access_rule rule)
{
    return rules[rule].on_reading_listener;
}

void caller_write(const struct caller *caller, char *out, size_t size)
{
    const char *name = caller->kind == CALLER_AGENT ? caller->zone : caller->name;
    if (caller->proof == PROOF_NONE)
        snprintf(out, size, "nobody");
    else
        snprintf(out, size, "%s%s%s (%s%s%s)", kinds[caller->kind], *name ? " " : "", name,
                 proofs[caller->proof], *caller->mark ? " " : "", caller->mark);
}

/* ---- the decision ---- */

/* The reading listener is the loopback's, and open on purpose. */
static bool needs_no_login(const struct access_question *question)
{
    const struct rule *rule = &rules[question->rule];
    if (rule->least == CALLER_NOBODY)
        return true;
    return question->rule == ACCESS_STATUS && (question->reading_listener || question->anonymous_status);
}

static bool is_agent_of(const struct caller *caller, const char *zone)
{
    /* Without TLS an agent can't show who it is. */
    if (caller->kind == CALLER_ADMIN)
        return caller->proof == PROOF_LOOPBACK;
    return caller->kind == CALLER_AGENT && zone && strcmp(caller->zone, zone) == 0;
}

static bool has_role(const struct caller *caller, const struct access_question *question)
{
    const struct rule *rule = &rules[question->rule];
    if (rule->least == CALLER_AGENT)
        return is_agent_of(caller, question->zone);
    /* A page of another site can't read a cookie, but it can make a browser send it: a session changes
     * nothing. */
    if (caller->proof == PROOF_SESSION && rule->least > CALLER_VIEWER)
        return false;
    return caller->kind != CALLER_AGENT && caller->kind >= rule->least;
}

static void say_login(const struct caller *caller, const struct rule *rule, struct access_answer *out)
{
    static const char *const flaws[] = {
        [FLAW_UNKNOWN] = "is not known here", [FLAW_EXPIRED] = "has expired", [FLAW_REVOKED] = "was revoked"};
    out->verdict = ACCESS_LOGIN;
    out->status = 401;
    if (caller->flaw != FLAW_NONE)
        snprintf(out->message, sizeof out->message, "the %s that was shown %s; this needs %s",
                 caller->proof == PROOF_NONE ? "identity" : proofs[caller->proof], flaws[caller->flaw],
                 rule->need);
    else if (rule->least == CALLER_AGENT)
        snprintf(out->message, sizeof out->message, "this needs %s: enrol the agent with a join token",
                 rule->need);
    else
        snprintf(out->message, sizeof out->message,
                 "this needs %s: show a client certificate, or a token (Authorization: Bearer …)",
                 rule->need);
}

static void say_refused(const struct caller *caller, const struct rule *rule, struct access_answer *out)
{
    char who[CALLER_NAME_MAX + CALLER_MARK_MAX + 40];
    out->verdict = ACCESS_REFUSED;
    out->status = 403;
    caller_write(caller, who, sizeof who);
    snprintf(out->message, sizeof out->message, "%s may not do this: it needs %s", who, rule->need);
}

void access_decide(const struct caller *caller, const struct access_question *question,
                   struct access_answer *out)
{
    assert(question->rule < ACCESS_RULE_COUNT &&
           (caller->flaw == FLAW_NONE || caller->kind == CALLER_NOBODY));
    const struct rule *rule = &rules[question->rule];
    *out = (struct access_answer){ACCESS_ALLOWED, 200, ""};
    if (question->reading_listener && !rule->on_reading_listener) {
        out->verdict = ACCESS_ELSEWHERE;
        out->status = 403;
    } else if (caller->flaw != FLAW_NONE && rule->least != CALLER_NOBODY) {
        say_login(
            caller, rule,
            out); /* also where no login is needed: who shows something wants to know that it doesn't count */
    } else if (!needs_no_login(question) && !has_role(caller, question)) {
        if (caller->kind == CALLER_NOBODY)
            say_login(caller, rule, out);
        else
            say_refused(caller, rule, out);
    }
}
