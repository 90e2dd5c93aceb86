/* What is news: events of the controller, and the difference between two plans of a set. */
#include <stdio.h>
#include <string.h>

#include "controller/controller_internal.h"

void controller_tell(struct controller *controller, enum event_reason reason, const struct event_words *words)
{
    struct event event;
    event_make(&event, reason, controller_wall(controller), words);
    controller->environment.event_happened(controller->environment.context, &event);
}

static const struct member_plan *plan_of(const struct plan *plan, int ordinal)
{
    for (size_t i = 0; plan && i < plan->member_count; i++)
        if (plan->members[i].ordinal == ordinal)
            return &plan->members[i];
    return NULL;
}

/* The names that a set's events use. */
struct teller {
    struct controller *controller;
    const struct spec_set *set;
    struct arena arena;
};

static const char *node_name(struct teller *teller, size_t index)
{
    return spec_node_name(teller->set, &teller->set->members[index], &teller->arena);
}

static const char *primary_name(struct teller *teller, int ordinal)
{
    for (size_t i = 0; i < teller->set->member_count; i++)
        if (teller->set->members[i].ordinal == ordinal)
            return node_name(teller, i);
    return "";
}

static void tell_phase(struct teller *teller, const struct plan *before, const struct plan *after)
{
    if (before && before->phase == after->phase)
        return;
    bool worse = after->phase == PHASE_DEGRADED || after->phase == PHASE_QUORUM_LOST ||
                 after->phase == PHASE_ADDRESSES_LOST;
    controller_tell(
        teller->controller, worse ? EVENT_PHASE_WORSENED : EVENT_PHASE_CHANGED,
        &(struct event_words){.set = teller->set->name,
                              .from = before ? set_phase_name(before->phase) : "not looked at before",
                              .to = set_phase_name(after->phase)});
}

static void tell_primary(struct teller *teller, const struct plan *before, const struct plan *after)
{
    int former = before ? before->primary : 0;
    if (former == after->primary)
        return;
    controller_tell(
        teller->controller, after->primary ? EVENT_PRIMARY_SEEN : EVENT_PRIMARY_LOST,
        &(struct event_words){.set = teller->set->name,
                              .member = primary_name(teller, after->primary ? after->primary : former),
                              .from = primary_name(teller, former),
                              .to = primary_name(teller, after->primary)});
}

static const char *config_text(const struct replica_config *config, char *text, size_t size)
{
    if (!config->version)
        return "none";
    if (config->term >= 0)
        snprintf(text, size, "version %lld of term %lld", (long long)config->version,
                 (long long)config->term);
    else
        snprintf(text, size, "version %lld", (long long)config->version);
    return text;
}

static void tell_config(struct teller *teller, const struct plan *before, const struct plan *after)
{
    static const struct replica_config none = {.term = -1};
    const struct replica_config *former = before ? &before->config : &none;
    char from[64], to[64];
    if (former->version == after->config.version && (!former->version || former->term == after->config.term))
        return;
    controller_tell(teller->controller, EVENT_CONFIGURATION_CHANGED,
                    &(struct event_words){.set = teller->set->name,
                                          .from = config_text(former, from, sizeof from),
                                          .to = config_text(&after->config, to, sizeof to)});
}

static void tell_conditions(struct teller *teller, const struct plan *before, const struct plan *after)
{
    for (int i = 0; i < CONDITION_COUNT; i++) {
        const struct condition *now = &after->conditions[i];
        enum condition_status former = before ? before->conditions[i].status : CONDITION_UNKNOWN;
        if (former == now->status || (former != CONDITION_TRUE && now->status != CONDITION_TRUE))
            continue;
        controller_tell(
            teller->controller, now->status == CONDITION_TRUE ? EVENT_CONDITION_TRUE : EVENT_CONDITION_LOST,
            &(struct event_words){
                .set = teller->set->name, .to = condition_type_name(now->type), .detail = now->message});
    }
}

static void tell_host(struct teller *teller, const struct event_words *who, const char *former,
                      const char *host)
{
    if (strcmp(former, host) == 0 || !*host)
        return;
    struct event_words words = *who;
    words.from = former;
    words.to = host;
    controller_tell(teller->controller, *former ? EVENT_ADDRESS_MOVED : EVENT_ADDRESS_ASSIGNED, &words);
}

static void tell_member(struct teller *teller, size_t index, const struct member_plan *before,
                        const struct member_plan *after)
{
    bool same = before && before->phase == after->phase && before->state == after->state &&
                strcmp(before->host, after->host) == 0;
    if (same)
        return;
    struct event_words words = {.set = teller->set->name,
                                .zone = teller->set->members[index].zone,
                                .member = node_name(teller, index)};
    tell_host(teller, &words, before ? before->host : "", after->host);
    if (before && before->phase != after->phase) {
        words.from = member_phase_name(before->phase);
        words.to = member_phase_name(after->phase);
        controller_tell(teller->controller, EVENT_MEMBER_PHASE_CHANGED, &words);
    }
    if (before && before->state != after->state) {
        words.from = member_state_name(before->state);
        words.to = member_state_name(after->state);
        controller_tell(teller->controller, EVENT_MEMBER_STATE_CHANGED, &words);
    }
}

/* ---- waits: the same when rule and subject are ---- */

static bool same_wait(const struct wait *a, const struct wait *b)
{
    return a->rule == b->rule && strcmp(a->subject, b->subject) == 0 && strcmp(a->reason, b->reason) == 0;
}

static bool has_wait(const struct plan *plan, const struct wait *wait)
{
    for (size_t i = 0; plan && i < plan->wait_count; i++)
        if (same_wait(&plan->waits[i], wait))
            return true;
    for (size_t i = 0; plan && i < plan->member_count; i++)
        if (plan->members[i].waiting && same_wait(&plan->members[i].wait, wait))
            return true;
    return false;
}

static void tell_wait(struct teller *teller, enum event_reason reason, const char *member,
                      const struct wait *wait)
{
    controller_tell(
        teller->controller, reason,
        &(struct event_words){
            .set = teller->set->name, .member = member, .detail = wait->message, .rule = wait->rule});
}

/* A command has events of its own; that it is waited for is no news beside them. */
static bool is_of_action(const struct wait *wait)
{
    return strcmp(wait->reason, "action_running") == 0;
}

/* The waits of `of` that `other` doesn't have. */
static void tell_waits(struct teller *teller, enum event_reason reason, const struct plan *of,
                       const struct plan *other)
{
    for (size_t i = 0; of && i < of->wait_count; i++)
        if (!has_wait(other, &of->waits[i]) && !is_of_action(&of->waits[i]))
            tell_wait(teller, reason, NULL, &of->waits[i]);
    for (size_t i = 0; of && i < of->member_count; i++) /* one may be of a spec before, with other members */
        if (of->members[i].waiting && !has_wait(other, &of->members[i].wait))
            tell_wait(teller, reason, of->members[i].wait.subject, &of->members[i].wait);
}

void controller_tell_plan(struct controller *controller, const struct spec_set *set,
                          const struct plan *before, const struct plan *after)
{
    struct teller teller = {.controller = controller, .set = set};
    arena_init(&teller.arena, 0);
    tell_phase(&teller, before, after);
    tell_config(&teller, before, after);
    tell_primary(&teller, before, after);
    tell_conditions(&teller, before, after);
    for (size_t i = 0; i < after->member_count && i < set->member_count; i++)
        tell_member(&teller, i, plan_of(before, after->members[i].ordinal), &after->members[i]);
    tell_waits(&teller, EVENT_WAIT_ENDED, before, after);
    tell_waits(&teller, EVENT_WAIT_BEGAN, after, before);
    arena_finish(&teller.arena);
}
