/* Names of the planner's lists, and the ledger as a value: see plan.h, observation.h, ledger.h. */
#include <string.h>

#include "controller/decide/plan.h"

#define X(name, text) [name] = text,

const char *zone_state_name(enum zone_state state)
{
    static const char *const names[] = {ZONE_STATES(X)};
    return names[state];
}

const char *action_kind_name(enum action_kind kind)
{
    static const char *const names[] = {ACTIONS(X)};
    return names[kind];
}

const char *birth_state_name(enum birth_state state)
{
    static const char *const names[] = {BIRTH_STATES(X)};
    return names[state];
}

const char *set_phase_name(enum set_phase phase)
{
    static const char *const names[] = {SET_PHASES(X)};
    return names[phase];
}

const char *member_phase_name(enum member_phase phase)
{
    static const char *const names[] = {MEMBER_PHASES(X)};
    return names[phase];
}

const char *condition_type_name(enum condition_type type)
{
    static const char *const names[] = {CONDITION_TYPES(X)};
    return names[type];
}

#undef X

const char *condition_status_name(enum condition_status status)
{
    static const char *const names[] = {"False", "True", "Unknown"};
    return names[status];
}
