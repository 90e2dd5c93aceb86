/* Waits: what is waited for, since when, until when, who ends it, and why in one sentence: see waits.h. */
#include "controller/decide/waits.h"

#include <stdio.h>
#include <string.h>

enum { LIST_LENGTH_MAX = 400 };

/* What the row can say in detail about a member: the zone's problem, how its pod ended, why its mongod is
 * silent, its lag. */
static const char *member_detail(const struct situation *situation, const struct member_situation *member)
{
    if (has(member->facts, M_CERTIFICATE_REFUSED))
        return member->view->certificate_problem;
    if (!member->view)
        return "";
    if (has(member->facts, M_BEHIND))
        return arena_printf(situation->arena, "%lld", (long long)member->lag_seconds);
    const char *last_exit = has(member->facts, M_RUNNING) ? "" : member->view->holding.pod.last_exit;
    if (member->view->waiting.message[0] && last_exit[0])
        return arena_printf(situation->arena, "%s (%s)", member->view->waiting.message, last_exit);
    const char *waiting = member->view->waiting.message, *problem = member->view->holding.problem.message;
    if (waiting[0] && problem[0] &&
        strcmp(waiting, problem)) /* what is being done, and why it doesn't get done */
        return arena_printf(situation->arena, "%s: %s", waiting, problem);
    if (member->view->waiting.message[0])
        return member->view->waiting.message;
    if (member->view->holding.problem.message[0])
        return member->view->holding.problem.message;
    if (has(member->facts, M_RUNNING) && member->view->mongod.problem[0])
        return member->view->mongod.problem;
    return last_exit;
}

/* An item that is there already, or has no room, is left out. */
static void append(char *list, const char *item)
{
    size_t used = strlen(list);
    if (strstr(list, item) || used + strlen(item) + 3 > LIST_LENGTH_MAX)
        return;
    snprintf(list + used, LIST_LENGTH_MAX - used, "%s%s", used ? ", " : "", item);
}

static bool unfinished(const struct plan *plan, size_t i)
{
    return plan->members[i].waiting;
}

/* While a birth lacks proof: those who haven't given it. */
static const char *list_unproven(const struct situation *situation)
{
    char list[LIST_LENGTH_MAX] = "";
    for (size_t i = 0; i < situation->member_count; i++)
        if (!has(situation->members[i].facts, M_PROVEN_NEW) && !has(situation->members[i].facts, M_ABSENT))
            append(list, situation->members[i].node);
    return arena_string(situation->arena, list);
}

static const char *list_members(const struct situation *situation, const struct plan *plan)
{
    char list[LIST_LENGTH_MAX] = "";
    if (!(situation->facts & (BORN | CONFIG_SEEN | PROVEN_NEW)) && has(situation->facts, ZONES_HEARD))
        return list_unproven(situation);
    for (size_t i = 0; i < situation->member_count; i++)
        if (unfinished(plan, i) ||
            (situation->members[i].listed && !has(situation->members[i].facts, M_ATTRIBUTES_FIT)))
            append(list, situation->members[i].node);
    if (!list[0] && settings_due(situation))
        append(list, "settings");
    return arena_string(situation->arena, list);
}

/* "zone a", "zones a, b". */
static const char *count_zones(const struct situation *situation, const char *list)
{
    return arena_printf(situation->arena, "zone%s %s", *list && !strchr(list, ',') ? "" : "s", list);
}

/* With `unheard` only those that have not reported; otherwise those whose members are unfinished. */
static const char *list_zones(const struct situation *situation, const struct plan *plan, bool unheard)
{
    char list[LIST_LENGTH_MAX] = "";
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        bool silent = !has(member->facts, M_ZONE_SEEN) && !has(member->facts, M_ABSENT);
        if (unheard ? silent : !plan || unfinished(plan, i))
            append(list, member->wanted->zone);
    }
    return arena_string(situation->arena, list);
}

static struct sentence_values member_values(const struct situation *situation,
                                            const struct member_situation *member)
{
    return (struct sentence_values){
        .set = situation->input->set->name,
        .member = member->node,
        .zone = member->wanted->zone,
        .host = member->view ? member->view->holding.address : "",
        .old = member->listed ? member->listed->host : "",
        .state = member_state_name(member->state),
        .detail = member_detail(situation, member),
    };
}

const char *member_sentence(const struct situation *situation, const struct member_situation *member,
                            const char *pattern)
{
    struct sentence_values values = member_values(situation, member);
    values.counted_zones = count_zones(situation, list_zones(situation, NULL, true));
    return sentence_write(situation->arena, pattern, &values);
}

const char *set_sentence(const struct situation *situation, const struct plan *plan, const char *pattern)
{
    struct sentence_values values = {.set = situation->input->set->name, .member = "the set", .zone = ""};
    if (situation->subject)
        values = member_values(situation, situation->subject);
    const struct action_view *action = &situation->input->observation->action;
    if (action->running)
        values.detail = action_kind_name(action->kind);
    else if (has(situation->facts, ACTION_RESTING))
        values.detail =
            arena_printf(situation->arena, "%s: %s", action_kind_name(action->kind), action->message);
    values.list = list_members(situation, plan);
    bool unheard = !has(situation->facts, ZONES_HEARD) && !has(situation->facts, BORN);
    values.counted_zones = count_zones(situation, list_zones(situation, plan, unheard));
    return sentence_write(situation->arena, pattern, &values);
}

static bool same_wait(const struct wait *a, const struct wait *b)
{
    return a->rule == b->rule && strcmp(a->subject, b->subject) == 0;
}

void member_wait(const struct situation *situation, const struct member_situation *member,
                 const struct rule *rule, struct member_plan *out)
{
    out->waiting = rule->outcome != OUTCOME_DONE;
    if (!out->waiting)
        return;
    out->wait = (struct wait){
        .subject = arena_string(situation->arena, member->node),
        .reason = rule->reason,
        .message = out->sentence,
        .ended_by = member_sentence(situation, member, rule->ended_by),
        .since_ms = situation->input->now_ms,
        .rule = rule->number,
    };
    const struct plan *previous = situation->input->previous;
    for (size_t i = 0; previous && i < previous->member_count; i++)
        if (previous->members[i].waiting && same_wait(&previous->members[i].wait, &out->wait))
            out->wait.since_ms = moment_before(situation->input, previous->members[i].wait.since_ms);
}

void set_wait(const struct situation *situation, const struct rule *rule, struct plan *plan)
{
    if (!rule->reason[0])
        return;
    const struct plan_input *input = situation->input;
    struct wait *wait = &plan->waits[plan->wait_count++];
    *wait = (struct wait){
        .subject = arena_printf(situation->arena, "set %s", input->set->name),
        .reason = rule->reason,
        .message = set_sentence(situation, plan, rule->sentence),
        .ended_by = set_sentence(situation, plan, rule->ended_by),
        .since_ms = input->now_ms,
        .rule = rule->number,
    };
    for (size_t i = 0; input->previous && i < input->previous->wait_count; i++)
        if (same_wait(&input->previous->waits[i], wait))
            wait->since_ms = moment_before(input, input->previous->waits[i].since_ms);
    if (has(situation->facts, ACTION_RESTING))
        wait->until_ms = input->observation->action.retry_at_ms;
}
