/* What stands in a journal's entry: one line a field, as in proto/fields.c. Who gives the planner something
 * new to look at adds it here, or what was decided by it can't be reproduced; tests/sim replays every plan of
 * its stories. */
#include "controller/journal/journal_fields.h"

#include "proto/field_rows.h"
#include "proto/fields.h"

_Static_assert(sizeof(enum zone_state) == sizeof(int) && sizeof(enum action_kind) == sizeof(int) &&
                   sizeof(enum set_phase) == sizeof(int) && sizeof(enum condition_type) == sizeof(int) &&
                   sizeof(enum condition_status) == sizeof(int),
               "record.c reads and writes enums as int");

#define X(name, text) {name, text},
static const struct enum_text zone_state_texts[] = {ZONE_STATES(X){0, NULL}};
static const struct enum_text action_texts[] = {ACTIONS(X){0, NULL}};
static const struct enum_text set_phase_texts[] = {SET_PHASES(X){0, NULL}};
static const struct enum_text condition_texts[] = {CONDITION_TYPES(X){0, NULL}};
#undef X
static const struct enum_text condition_status_texts[] = {
    {CONDITION_FALSE, "False"}, {CONDITION_TRUE, "True"}, {CONDITION_UNKNOWN, "Unknown"}, {0, NULL}};

/* ---- the observation ---- */

static const struct field member_view_fields[] = {
    NUMBER(member_view, ordinal, "ordinal", FIELD_INT, 1, INT32_MAX, 0, FIELD_REQUIRED),
    STRING(member_view, zone, "zone", NAME_LENGTH_MAX, 0),
    ENUM(member_view, zone_state, "zoneState", zone_state_texts, ZONE_PENDING, 0),
    BOOL(member_view, reported, "reported"),
    BOOL(member_view, zone_seen, "zoneSeen"),
    RECORD(member_view, holding, "holding", member_holding_record, FIELD_REQUIRED),
    RECORD(member_view, mongod, "mongod", mongod_view_record, 0),
    RECORD(member_view, waiting, "waiting", problem_record, 0),
    STRING(member_view, certificate_id, "certificateId", TEXT_LENGTH_MAX, 0),
    WHOLE(member_view, certificate_until_ms, "certificateUntilMs", -WHOLE_MAX, 0, 0),
    SENTENCE(member_view, certificate_problem, "certificateProblem"),
};
static const struct record member_view_record = RECORD_OF(member_view, member_view_fields);

static const struct field action_view_fields[] = {
    ENUM(action_view, kind, "kind", action_texts, ACTION_NONE, 0),
    BOOL(action_view, running, "running"),
    WHOLE(action_view, started_at_ms, "startedAtMs", -WHOLE_MAX, 0, 0),
    WHOLE(action_view, ended_at_ms, "endedAtMs", -WHOLE_MAX, 0, 0),
    BOOL(action_view, succeeded, "succeeded"),
    NUMBER(action_view, code, "code", FIELD_INT, INT32_MIN, INT32_MAX, 0, 0),
    SENTENCE(action_view, message, "message"),
    NUMBER(action_view, failures, "failures", FIELD_UINT32, 0, UINT32_MAX, 0, 0),
    WHOLE(action_view, retry_at_ms, "retryAtMs", -WHOLE_MAX, 0, 0),
    RECORD(action_view, config, "config", replica_config_record, 0),
    BOOL(action_view, config_committed, "configCommitted"),
    BOOL(action_view, knows_commitment, "knowsCommitment"),
};
static const struct record action_view_record = RECORD_OF(action_view, action_view_fields);

static const struct field observation_fields[] = {
    {.key = "members",
     .kind = FIELD_LIST,
     LIST_PLACE(observation, members, member_count),
     .record = &member_view_record,
     TEXT_MOST(SET_MEMBERS_MAX),
     .flags = FIELD_REQUIRED},
    RECORD(observation, action, "action", action_view_record, 0),
    STRING(observation, key_id, "keyId", NAME_LENGTH_MAX, 0),
    BOOL(observation, admin_wanted, "adminWanted"),
    BOOL(observation, tls, "tls"),
};
const struct record observation_record = RECORD_OF(observation, observation_fields);

/* ---- what is taken over from the plan before ---- */

static const struct field condition_fields[] = {
    ENUM(condition, type, "type", condition_texts, CONDITION_QUORUM, FIELD_REQUIRED),
    ENUM(condition, status, "status", condition_status_texts, CONDITION_UNKNOWN, 0),
    WHOLE(condition, since_ms, "sinceMs", -WHOLE_MAX, 0, 0),
};
static const struct record condition_record = RECORD_OF(condition, condition_fields);

static const struct field wait_fields[] = {
    STRING(wait, subject, "for", TEXT_LENGTH_MAX, 0),
    WHOLE(wait, since_ms, "sinceMs", -WHOLE_MAX, 0, 0),
    NUMBER(wait, rule, "rule", FIELD_INT, 0, INT32_MAX, 0, 0),
};
static const struct record wait_record = RECORD_OF(wait, wait_fields);

static const struct field previous_member_fields[] = {
    NUMBER(member_plan, ordinal, "ordinal", FIELD_INT, 1, INT32_MAX, 0, FIELD_REQUIRED),
    WHOLE(member_plan, behind_since_ms, "behindSinceMs", -WHOLE_MAX, 0, 0),
    BOOL(member_plan, waiting, "waiting"),
    RECORD(member_plan, wait, "wait", wait_record, 0),
};
static const struct record previous_member_record = RECORD_OF(member_plan, previous_member_fields);

static const struct field previous_fields[] = {
    ENUM(journal_previous, phase, "phase", set_phase_texts, PHASE_PROVISIONING, 0),
    LIST(journal_previous, conditions, condition_count, "conditions", condition_record, CONDITION_COUNT),
    LIST(journal_previous, waits, wait_count, "waits", wait_record, PLAN_WAITS_MAX),
    LIST(journal_previous, members, member_count, "members", previous_member_record, SET_MEMBERS_MAX),
};
const struct record journal_previous_record = RECORD_OF(journal_previous, previous_fields);
