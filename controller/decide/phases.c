/* Phases and conditions: see phases.h. */
#include "controller/decide/phases.h"

#include "proto/base/plant.h"

enum member_phase member_phase_of(const struct member_situation *member)
{
    uint64_t facts = member->facts;
    if (has(facts, M_ABSENT))
        return facts & (M_LISTED | M_HOLDS) ? MEMBER_PHASE_DRAINING : MEMBER_PHASE_REMOVED;
    if (facts & (M_DISK_LOST | M_HELD) && !has(facts, M_RUNNING))
        return has(facts, M_DISK) ? MEMBER_PHASE_HELD : MEMBER_PHASE_PROVISIONING;
    if (has(facts, M_LISTED)) {
        bool complete = has(facts, M_VOTES) == has(facts, M_VOTE_WANTED);
        if (complete && has(facts, M_SYNCING) && !has(facts, M_SYNCED))
            return MEMBER_PHASE_JOINED;
        return complete               ? MEMBER_PHASE_VOTING
               : has(facts, M_SYNCED) ? MEMBER_PHASE_SYNCED
                                      : MEMBER_PHASE_JOINED;
    }
    if (has(facts, M_ANSWERS))
        return MEMBER_PHASE_REACHABLE;
    if (has(facts, M_ADDRESSED))
        return MEMBER_PHASE_ADDRESSED;
    return facts & (M_HOLDS | M_DISK) ? MEMBER_PHASE_PROVISIONING : MEMBER_PHASE_PENDING;
}

enum member_phase member_phase_next(const struct member_situation *member)
{
    enum member_phase phase = member_phase_of(member);
    if (has(member->facts, M_ABSENT))
        return MEMBER_PHASE_REMOVED;
    if (phase == MEMBER_PHASE_HELD)
        return has(member->facts, M_LISTED) ? MEMBER_PHASE_JOINED : MEMBER_PHASE_REACHABLE;
    return phase < MEMBER_PHASE_VOTING ? phase + 1 : phase;
}

static bool any(const struct situation *situation, uint64_t require, uint64_t forbid)
{
    return situation_first(situation, require, forbid) != NULL;
}

/* A voter is down, unreached or silent; one that copies data, has moved, or has just been born is on its way.
 */
static bool is_degraded(const struct situation *situation)
{
    const struct plan *previous = situation->input->previous;
    bool newborn = previous && (previous->phase == PHASE_INITIATING || previous->phase == PHASE_JOINING);
    for (size_t i = 0; newborn && i < situation->member_count; i++)
        newborn = !situation->members[i].known_down;
    return (!newborn && any(situation, M_LISTED | M_VOTES,
                            M_HEALTHY | M_SYNCING | M_FOLLOWABLE | M_AWAITED | M_ABSENT)) ||
           any(situation, M_ZONE_SILENT, M_ABSENT) || any(situation, M_DISK_LOST, M_ABSENT);
}

/* Nobody misses anything while certificates or keyfiles are exchanged: that is no reason for an alarm. */
static bool is_renewed(const struct situation *situation)
{
    return any(situation, M_LISTED | M_ANSWERS, M_CERTIFIED | M_ABSENT | M_FOREIGN_CERTIFICATE) ||
           any(situation, M_LISTED | M_HEALTHY | M_STALE, M_ABSENT | M_FOREIGN_CERTIFICATE);
}

static enum set_phase unborn_phase(const struct plan *plan)
{
    return plan->ledger.birth == BIRTH_INTENDED ? PHASE_INITIATING : PHASE_PROVISIONING;
}

enum set_phase set_phase_of(const struct situation *situation, const struct rule *rule,
                            const struct plan *plan)
{
    if (has(situation->facts, SET_ABSENT))
        return PHASE_REMOVED;
    if (plan->ledger.birth != BIRTH_DONE)
        return unborn_phase(plan);
    if (!situation->primary && has(situation->facts, ADDRESSES_GONE))
        return PHASE_ADDRESSES_LOST;
    if (!situation->primary && has(situation->facts, QUORUM_GONE))
        return PHASE_QUORUM_LOST;
    bool just_born = situation->term < 0 && situation->input->observation->action.kind == ACTION_INITIATE;
    if (!situation->primary && (situation->term == 0 || just_born))
        return PHASE_INITIATING; /* the first election is to come */
    if ((rule->outcome == OUTCOME_DONE && !plan->ledger_changed) ||
        (PLANT(EARLY_HEALTHY) && situation->primary))
        return PHASE_HEALTHY;
    if (!situation->primary || is_degraded(situation))
        return PHASE_DEGRADED;
    if (situation->input->previous && situation->input->previous->phase == PHASE_INITIATING)
        return PHASE_JOINING;
    if (any(situation, 0, M_LISTED | M_ABSENT) || any(situation, M_LISTED | M_VOTE_WANTED, M_VOTES) ||
        any(situation, M_LISTED | M_SYNCING, M_ABSENT))
        return PHASE_JOINING;
    if (plan->action.kind != ACTION_NONE || has(situation->facts, ACTION_RUNNING) || !situation->committed ||
        any(situation, M_FOLLOWABLE, 0) || any(situation, M_AWAITED, 0) || is_renewed(situation) ||
        any(situation, M_ABSENT | M_LISTED, 0) || has(situation->facts, ATTRIBUTES_DUE))
        return PHASE_RECONFIGURING;
    return PHASE_DEGRADED;
}

static void set_condition(const struct situation *situation, struct plan *plan, enum condition_type type,
                          enum condition_status status, const char *reason, const char *message)
{
    const struct plan *previous = situation->input->previous;
    bool same = previous && previous->conditions[type].status == status;
    plan->conditions[type] = (struct condition){
        .type = type,
        .status = status,
        .reason = reason,
        .message = message,
        .since_ms = same ? moment_before(situation->input, previous->conditions[type].since_ms)
                         : situation->input->now_ms,
    };
}

static void quorum_condition(const struct situation *situation, struct plan *plan)
{
    const char *message =
        arena_printf(situation->arena, "%d of %d votes", situation->healthy_voters, situation->voters);
    if (has(situation->facts, QUORUM))
        set_condition(situation, plan, CONDITION_QUORUM, CONDITION_TRUE, "MajorityReachable", message);
    else if (situation->voters == 0)
        set_condition(situation, plan, CONDITION_QUORUM, CONDITION_FALSE, "NotInitiated",
                      "no configuration yet");
    else if (has(situation->facts, QUORUM_GONE) || has(situation->facts, ADDRESSES_GONE))
        set_condition(situation, plan, CONDITION_QUORUM, CONDITION_FALSE, "MajorityLost", message);
    else
        set_condition(situation, plan, CONDITION_QUORUM, CONDITION_UNKNOWN, "NotEnoughSeen", message);
}

static void primary_condition(const struct situation *situation, struct plan *plan)
{
    if (situation->primary)
        set_condition(situation, plan, CONDITION_PRIMARY, CONDITION_TRUE, "Elected",
                      arena_string(situation->arena, situation->primary->node));
    else
        set_condition(situation, plan, CONDITION_PRIMARY, CONDITION_FALSE, "NoPrimary", "no primary is seen");
}

void plan_conditions(const struct situation *situation, struct plan *plan)
{
    quorum_condition(situation, plan);
    primary_condition(situation, plan);
    bool born = situation->config.version > 0;
    const struct member_situation *moved = situation_first(situation, M_MOVED, M_ABSENT);
    if (!born || moved)
        set_condition(situation, plan, CONDITION_ADDRESSES, CONDITION_FALSE,
                      born ? "AddressMoved" : "NotInitiated",
                      moved ? arena_printf(situation->arena, "%s has moved to %s", moved->node,
                                           moved->view->holding.address)
                            : "no configuration yet");
    else
        set_condition(situation, plan, CONDITION_ADDRESSES, CONDITION_TRUE, "AsConfigured",
                      "the configuration names each known address");
    set_condition(situation, plan, CONDITION_COMMITTED,
                  situation->committed ? CONDITION_TRUE : CONDITION_FALSE,
                  situation->committed ? "OnMajority"
                  : born               ? "NotOnMajority"
                                       : "NotInitiated",
                  arena_printf(situation->arena, "version %lld", (long long)situation->config.version));
    size_t done = 0;
    for (size_t i = 0; i < plan->member_count; i++)
        done += !plan->members[i].waiting;
    set_condition(situation, plan, CONDITION_COMPLETE,
                  done == plan->member_count ? CONDITION_TRUE : CONDITION_FALSE,
                  done == plan->member_count ? "AsSpecified" : "MembersUnfinished",
                  arena_printf(situation->arena, "%zu of %zu members", done, plan->member_count));
}
