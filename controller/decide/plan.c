/* The order of concerns: what is seen, what that means, which row fires, what follows from it. Pure. */
#include "controller/decide/plan.h"

#include "controller/decide/membership.h"
#include "controller/decide/phases.h"
#include "controller/decide/waits.h"
#include "proto/base/plant.h"

static void remember_rule(struct plan *plan, int number)
{
    for (size_t i = 0; i < plan->rule_count; i++)
        if (plan->rules[i] == number)
            return;
    if (plan->rule_count < PLAN_RULES_MAX)
        plan->rules[plan->rule_count++] = number;
}

/* ---- members ---- */

/* A member that leaves keeps running until the configuration no longer names it; before anybody knows whether
 * there is a set, a member that the spec takes away is left alone; and so is one whose zone has not said yet
 * what it holds. But one that was told to initiate is spoken of, and kept running, until it has answered: of
 * whom the intent doesn't name, its agent knows no keyfile, and can't ask it. */
static void plan_run(const struct situation *situation, const struct member_situation *member,
                     struct member_plan *out)
{
    bool absent = has(member->facts, M_ABSENT);
    bool known = situation->facts & (BORN | CONFIG_SEEN);
    bool told = !known && has(situation->facts, INITIATOR_TOLD) &&
                situation->input->ledger->birth_ordinal == member->wanted->ordinal;
    out->named =
        has(member->facts, M_ZONE_SEEN) && (!absent || known || told || has(situation->facts, SET_ABSENT));
    if (told && !has(situation->facts, SET_ABSENT))
        out->run = has(member->facts, M_HELD) ? RUN_HELD : RUN_UP;
    else if (has(situation->facts, SET_ABSENT) || (absent && !(member->facts & (M_LISTED | M_BOOKED))))
        out->run = RUN_ABSENT;
    else
        out->run = has(member->facts, M_HELD) ? RUN_HELD : RUN_UP;
    for (size_t i = 0; PLANT(STOP_SECOND) && i < situation->member_count; i++)
        if (situation->members[i].known_down && has(member->facts, M_HEALTHY))
            out->run = RUN_HELD;
}

/* The disk that the member may be started on, by the ledger as it will be. */
static const char *plan_disk(const struct situation *situation, const struct member_situation *member,
                             const struct plan *plan)
{
    const struct ledger_member *booked = ledger_find(&plan->ledger, member->wanted->ordinal);
    if (booked && booked->id >= 0 && !booked->removed && booked->disk_id[0] && !PLANT(EMPTY_VOTES))
        return booked->disk_id;
    if (has(member->facts, M_DISK_LOST))
        return "lost"; /* no disk's id: nothing is started */
    return member->view && has(member->facts, M_DISK)
               ? arena_string(situation->arena, member->view->holding.disk.id)
               : "";
}

static void plan_member(const struct situation *situation, const struct member_situation *member,
                        struct plan *plan, struct member_plan *out)
{
    const struct config_member *listed = member->listed;
    const char *address = member->view ? member->view->holding.address : "";
    *out = (struct member_plan){
        .ordinal = member->wanted->ordinal,
        .phase = member_phase_of(member),
        .next_phase = member_phase_next(member),
        .zone_state = member->zone_state,
        .state = member->state,
        .healthy = has(member->facts, M_HEALTHY),
        .id = listed ? listed->id : -1,
        .host = listed ? listed->host : arena_string(situation->arena, address),
        .votes = listed ? listed->votes : 0,
        .priority = listed ? listed->priority : 0,
        .lag_seconds = member->lag_seconds,
        .behind_since_ms = member->behind_since_ms,
        .facts = member->facts,
    };
    plan_run(situation, member, out);
    const struct rule *rule = rules_match(RULES_OF_MEMBER, member->facts);
    remember_rule(plan, rule->number);
    out->rule = rule->number;
    if (rule->outcome ==
        OUTCOME_RESTART) /* held until its pod is gone: then it is not stale any more, and starts */
        out->run = RUN_HELD;
    out->sentence = member_sentence(situation, member, rule->sentence);
    member_wait(situation, member, rule, out);
}

static void plan_members(struct situation *situation, struct plan *plan)
{
    plan->members = arena_array(situation->arena, situation->member_count, sizeof *plan->members);
    plan->member_count = plan->members ? situation->member_count : 0;
    bool done = true;
    for (size_t i = 0; i < plan->member_count; i++) {
        plan_member(situation, &situation->members[i], plan, &plan->members[i]);
        done &= !plan->members[i].waiting;
    }
    if (done && !has(situation->facts, ATTRIBUTES_DUE))
        situation->facts |= ALL_DONE;
}

/* ---- the set ---- */

static void follow_outcome(const struct situation *situation, const struct rule *rule, struct plan *plan)
{
    switch ((enum outcome)rule->outcome) {
    case OUTCOME_DONE:
    case OUTCOME_WAIT:
    case OUTCOME_TAKE_AWAY:
        break;
    case OUTCOME_ADOPT:
        ledger_adopt(situation, plan);
        break;
    case OUTCOME_BOOK:
        ledger_book(situation, plan);
        break;
    case OUTCOME_ACCEPT_DISK:
        ledger_accept_disk(situation, plan);
        break;
    case OUTCOME_RETIRE:
        ledger_retire(situation, plan);
        break;
    case OUTCOME_INITIATE:
        birth_intend(situation, plan);
        break;
    case OUTCOME_STEP_DOWN:
        plan->action.kind = ACTION_STEP_DOWN;
        plan->action.ordinal = situation->primary->wanted->ordinal;
        plan->action.host = situation->primary->view->holding.address;
        plan->action.process = situation->primary->view->mongod.process;
        plan->action.base = situation->config;
        break;
    case OUTCOME_MAKE_ADMIN:
        plan->action.kind = ACTION_MAKE_ADMIN;
        plan->action.ordinal = situation->primary->wanted->ordinal;
        plan->action.host = situation->primary->view->holding.address;
        break;
    case OUTCOME_RESTART: /* as above */
        for (size_t i = 0; i < plan->member_count; i++)
            if (&situation->members[i] == situation->subject)
                plan->members[i].run = RUN_HELD;
        break;
    case OUTCOME_ADD:
        ledger_book_joiners(situation, plan);
        reconfigure(situation, OUTCOME_ADD, plan);
        break;
    case OUTCOME_FOLLOW:
    case OUTCOME_TAKE_VOTE:
    case OUTCOME_REMOVE:
    case OUTCOME_GIVE_VOTE:
    case OUTCOME_SET_ATTRIBUTES:
        reconfigure(situation, (enum outcome)rule->outcome, plan);
        break;
    }
}

/* The plan owns its values: what still points into spec or observation is copied. */
static void own_action(const struct situation *situation, const struct rule *rule, struct plan *plan)
{
    struct action *action = &plan->action;
    if (action->kind == ACTION_NONE) {
        *action = (struct action){.host = "", .process = "", .sentence = ""};
        return;
    }
    action->rule = rule->number;
    action->sentence = set_sentence(situation, plan, rule->sentence);
    action->host = arena_string(situation->arena, action->host);
    bool known = action->process && !PLANT(TRUST_ADDRESS);
    action->process = known ? arena_string(situation->arena, action->process) : "";
    action->base = replica_config_copy(situation->arena, &action->base);
    action->config = replica_config_copy(situation->arena, &action->config);
}

static int64_t look_again(const struct situation *situation, const struct plan *plan)
{
    const struct plan_input *input = situation->input;
    if (plan->ledger_changed && plan->action.kind == ACTION_NONE)
        return input->now_ms; /* what the ledger now says may allow the next step at once */
    int64_t at_ms = input->now_ms + LOOK_AGAIN_MS;
    int64_t retry_at_ms = input->observation->action.retry_at_ms;
    if (has(situation->facts, ACTION_RESTING) && retry_at_ms < at_ms)
        at_ms = retry_at_ms;
    bool patient = plan->ledger.birth == BIRTH_NONE && situation->patience_ends_ms > input->now_ms;
    if (patient && situation->patience_ends_ms < at_ms)
        at_ms = situation->patience_ends_ms;
    return at_ms;
}

static void plan_the_set(struct situation *situation, struct plan *plan)
{
    const struct rule *rule = rules_match(RULES_OF_SET, situation->facts);
    remember_rule(plan, rule->number);
    situation->subject = membership_subject(situation, rule);
    follow_outcome(situation, rule, plan);
    own_action(situation, rule, plan);
    set_wait(situation, rule, plan);
    plan->rule = rule->number;
    plan->sentence = set_sentence(situation, plan, rule->sentence);
    plan->facts = situation->facts;
    const struct member_situation *primary =
        situation->primary ? situation->primary : situation->told_primary;
    plan->primary = primary ? primary->wanted->ordinal : 0;
    plan->config = situation->config;
    plan->config_committed = situation->committed;
    plan->term = situation->term;
    plan->phase = set_phase_of(situation, rule, plan);
    plan->healthy = plan->phase == PHASE_HEALTHY;
    plan_conditions(situation, plan);
    for (size_t i = 0; i < plan->member_count; i++) {
        plan->members[i].disk_id = plan_disk(situation, &situation->members[i], plan);
        plan->members[i].replica_set_id = plan->ledger.replica_set_id;
    }
    plan->look_again_at_ms = look_again(situation, plan);
}

int plan_set(const struct plan_input *input, struct arena *arena, struct plan *out, struct error *err)
{
    struct situation situation;
    situation_init(&situation, input, arena);
    situation_find_members(&situation);
    situation_find_config(&situation);
    situation_find_standing(&situation);
    situation_find_quorum(&situation);
    situation_find_birth(&situation);
    situation_find_changes(&situation);

    struct plan plan = {.ledger = ledger_copy(arena, input->ledger)};
    if (!arena_failed(arena))
        plan_members(&situation, &plan);
    if (!arena_failed(arena))
        plan_the_set(&situation, &plan);
    plan.ledger = ledger_copy(arena, &plan.ledger);
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "planning set %s: memory is out", input->set->name);
    *out = plan;
    return 0;
}
