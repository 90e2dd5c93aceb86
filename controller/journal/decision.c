/* Plans as JSON, and their differences: see decision.h. */
#include "controller/journal/decision.h"

#include <stdio.h>
#include <string.h>

#include "controller/act/records.h"
#include "proto/report.h"

/* ---- writing ---- */

static void write_wait(struct json *list, const struct wait *wait)
{
    struct json *json = json_append(list, json_object());
    json_set_string(json, "for", wait->subject);
    json_set_string(json, "reason", wait->reason);
    json_set_string(json, "message", wait->message);
    json_set_time(json, "since", wait->since_ms);
    json_set_time(json, "until", wait->until_ms);
    json_set_string(json, "endedBy", wait->ended_by);
    json_set_int(json, "rule", wait->rule);
}

static void write_member(struct json *list, const struct member_plan *member)
{
    struct json *json = json_append(list, json_object());
    json_set_int(json, "ordinal", member->ordinal);
    json_set_int(json, "rule", member->rule);
    json_set_string(json, "sentence", member->sentence);
    json_set_string(json, "phase", member_phase_name(member->phase));
    json_set_string(json, "nextPhase", member_phase_name(member->next_phase));
    json_set_string(json, "state", member_state_name(member->state));
    json_set_bool(json, "healthy", member->healthy);
    json_set_int(json, "id", member->id);
    json_set_string(json, "host", member->host);
    if (member->named) {
        struct json *intent = json_set(json, "intent", json_object());
        json_set_string(intent, "run", member_run_name(member->run));
        json_set_string(intent, "diskId", member->disk_id);
        json_set_string(intent, "replicaSetId", member->replica_set_id);
    }
    if (member->waiting)
        write_wait(json_set(json, "waits", json_array()), &member->wait);
}

static struct json *write_action(const struct action *action)
{
    struct json *json = json_object();
    json_set_string(json, "kind", action_kind_name(action->kind));
    json_set_int(json, "rule", action->rule);
    json_set_int(json, "ordinal", action->ordinal);
    json_set_string(json, "host", action->host);
    if (action->kind == ACTION_RECONFIGURE) {
        json_set_int(json, "baseVersion", action->base.version);
        json_set_int(json, "baseTerm", action->base.term);
    }
    if (action->kind == ACTION_INITIATE || action->kind == ACTION_RECONFIGURE)
        json_set(json, "config", replica_config_write(&action->config));
    return json;
}

static void write_conditions(struct json *root, const struct plan *plan)
{
    struct json *list = json_set(root, "conditions", json_array());
    for (int i = 0; i < CONDITION_COUNT; i++) {
        struct json *json = json_append(list, json_object());
        json_set_string(json, "type", condition_type_name(plan->conditions[i].type));
        json_set_string(json, "status", condition_status_name(plan->conditions[i].status));
        json_set_time(json, "since", plan->conditions[i].since_ms);
    }
}

struct json *decision_write(const struct plan *plan)
{
    struct json *root = json_object();
    json_set_string(root, "phase", set_phase_name(plan->phase));
    json_set_int(root, "rule", plan->rule);
    json_set_string(root, "sentence", plan->sentence);
    json_set_int(root, "primary", plan->primary);
    json_set_int(root, "configVersion", plan->config.version);
    json_set_int(root, "configTerm", plan->config.term);
    json_set_int(root, "term", plan->term);
    if (plan->action.kind != ACTION_NONE)
        json_set(root, "action", write_action(&plan->action));
    if (plan->ledger_changed)
        json_set(root, "ledger", ledger_write(&plan->ledger));
    write_conditions(root, plan);
    struct json *waits = json_set(root, "waits", json_array());
    for (size_t i = 0; i < plan->wait_count; i++)
        write_wait(waits, &plan->waits[i]);
    struct json *members = json_set(root, "members", json_array());
    for (size_t i = 0; i < plan->member_count; i++)
        write_member(members, &plan->members[i]);
    json_set_time(root, "lookAgainAt", plan->look_again_at_ms);
    return root;
}

/* ---- whether it is news ---- */

static bool same_member(const struct member_plan *a, const struct member_plan *b)
{
    return a->ordinal == b->ordinal && a->rule == b->rule && a->named == b->named && a->run == b->run &&
           a->phase == b->phase && a->state == b->state && a->zone_state == b->zone_state &&
           a->healthy == b->healthy && a->id == b->id && a->votes == b->votes &&
           strcmp(a->host, b->host) == 0 &&
           (!a->named ||
            (strcmp(a->disk_id, b->disk_id) == 0 && strcmp(a->replica_set_id, b->replica_set_id) == 0));
}

static bool same_config(const struct replica_config *a, const struct replica_config *b)
{
    return a->version == b->version && a->term == b->term && a->member_count == b->member_count;
}

static bool same_action(const struct action *a, const struct action *b)
{
    return a->kind == b->kind && a->rule == b->rule && a->ordinal == b->ordinal &&
           (a->kind == ACTION_NONE || a->kind == ACTION_STEP_DOWN || a->kind == ACTION_MAKE_ADMIN ||
            (same_config(&a->base, &b->base) && same_config(&a->config, &b->config)));
}

bool decision_same(const struct plan *a, const struct plan *b)
{
    if (a->phase != b->phase || a->rule != b->rule || a->primary != b->primary ||
        a->config_committed != b->config_committed || a->ledger_changed != b->ledger_changed ||
        !same_config(&a->config, &b->config) || !same_action(&a->action, &b->action) ||
        (a->ledger_changed && !ledger_equal(&a->ledger, &b->ledger)) || a->member_count != b->member_count)
        return false;
    for (size_t i = 0; i < a->member_count; i++)
        if (!same_member(&a->members[i], &b->members[i]))
            return false;
    return true;
}

/* ---- comparing what was recorded with what is decided now ---- */

enum { DIFFERENCE_TEXT_MAX = 400 };

struct comparison {
    struct arena *arena;
    struct decision_difference *out;
    int count;
};

static const char *text_of(const struct comparison *in, const struct json *value)
{
    struct buffer text;
    if (!value)
        return "";
    if (json_text(value))
        return arena_string(in->arena, json_text(value));
    buffer_init(&text, 0);
    const char *result = json_print(value, JSON_COMPACT, &text, NULL) ? "" : buffer_text(&text);
    result = arena_string_n(in->arena, result, strnlen(result, DIFFERENCE_TEXT_MAX));
    buffer_finish(&text);
    return result;
}

static bool is_container(const struct json *value)
{
    return json_is_object(value) || json_is_array(value);
}

static void compare(struct comparison *in, const char *path, const struct json *a, const struct json *b);

static void compare_objects(struct comparison *in, const char *path, const struct json *a,
                            const struct json *b)
{
    for (const struct json *child = json_first(a); child; child = json_next(child))
        compare(in, arena_printf(in->arena, "%s%s%s", path, *path ? "." : "", json_key(child)), child,
                json_get(b, json_key(child)));
    for (const struct json *child = json_first(b); child; child = json_next(child))
        if (!json_get(a, json_key(child)))
            compare(in, arena_printf(in->arena, "%s%s%s", path, *path ? "." : "", json_key(child)), NULL,
                    child);
}

static void compare_arrays(struct comparison *in, const char *path, const struct json *a,
                           const struct json *b)
{
    const struct json *one = json_first(a), *other = json_first(b);
    for (int i = 0; one || other; i++) {
        compare(in, arena_printf(in->arena, "%s[%d]", path, i), one, other);
        one = one ? json_next(one) : NULL;
        other = other ? json_next(other) : NULL;
    }
}

static void compare(struct comparison *in, const char *path, const struct json *a, const struct json *b)
{
    if (in->count >= DECISION_DIFFERENCES_MAX)
        return;
    if (json_is_object(a) && json_is_object(b)) {
        compare_objects(in, path, a, b);
    } else if (json_is_array(a) && json_is_array(b)) {
        compare_arrays(in, path, a, b);
    } else {
        const char *recorded = text_of(in, a), *decided = text_of(in, b);
        bool same_kind = (a && b && is_container(a) == is_container(b)) || (!a && !b);
        if (!same_kind || strcmp(recorded, decided) != 0)
            in->out[in->count++] = (struct decision_difference){path, recorded, decided};
    }
}

int decision_compare(const struct json *recorded, const struct json *decided, struct arena *arena,
                     struct decision_difference out[DECISION_DIFFERENCES_MAX])
{
    struct comparison in = {.arena = arena, .out = out};
    compare(&in, "", recorded, decided);
    return arena_failed(arena) ? -1 : in.count;
}
