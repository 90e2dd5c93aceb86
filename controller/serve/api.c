/* The spec over HTTP, explain, and the journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/decide/rules.h"
#include "controller/serve/site.h"

/* ---- the spec ---- */

static bool wants_yaml(const struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept");
    return accept && strstr(accept, "yaml");
}

void serve_federation_get(struct exchange *exchange)
{
    struct federation_view view;
    struct buffer text;
    struct error err = {0};
    char header[48];
    const char *const headers[] = {header, "Vary: Accept", NULL};
    bool yaml = wants_yaml(exchange->request);
    exchange->site->backend.view(exchange->site->backend.context, &view);
    buffer_init(&text, 0);
    if (!view.spec) {
        http_respond_error(exchange->listener->server, exchange->request->id, 404, "not_found",
                           "no federation was applied yet: atoll apply -f FILE");
    } else if (spec_write(view.spec, yaml ? SPEC_YAML : SPEC_JSON, &text, &err)) {
        answer_error(exchange, &err);
    } else {
        snprintf(header, sizeof header, "ETag: \"%lld\"", (long long)view.revision);
        http_respond(exchange->listener->server, exchange->request->id,
                     &(struct http_response){200, yaml ? "application/yaml" : "application/json", headers,
                                             text.data, text.length});
    }
    buffer_finish(&text);
}

static void append_lines(struct json *list, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1), text);
        if (length)
            json_append(list, json_string(line));
        text += length + (text[length] == '\n');
    }
}

static void append_problems(struct json *list, const struct spec_problems *problems,
                            enum spec_severity severity)
{
    for (size_t i = 0; i < problems->count; i++) {
        struct buffer line;
        if (problems->items[i].severity != severity)
            continue;
        buffer_init(&line, 0);
        spec_problem_print(&problems->items[i], &line);
        append_lines(list, buffer_text(&line));
        buffer_finish(&line);
    }
}

static void answer_invalid(struct exchange *exchange, const struct spec_outcome *outcome,
                           const struct error *err)
{
    struct json *root = json_object();
    struct json *error = json_set(root, "error", json_object());
    gate_note(exchange, "%s", err->message);
    json_set_string(error, "code", error_code_name(err->code));
    json_set_string(error, "message", err->message);
    struct json *details = json_set(error, "details", json_array());
    append_problems(details, &outcome->problems, SPEC_ERROR);
    append_problems(details, &outcome->problems, SPEC_WARNING);
    answer_json(exchange, 422, root, NULL);
    json_destroy(root);
}

static void answer_outcome(struct exchange *exchange, const struct spec_outcome *outcome, bool diff_only)
{
    struct json *root = json_object();
    char header[48];
    const char *const headers[] = {header, NULL};
    snprintf(header, sizeof header, "ETag: \"%lld\"", (long long)outcome->revision);
    json_set_int(root, "revision", outcome->revision);
    if (!diff_only)
        json_set_bool(root, "changed", outcome->changed);
    gate_note(exchange, "revision %lld, %s", (long long)outcome->revision,
              outcome->changed ? "changed" : "unchanged");
    append_problems(json_set(root, "warnings", json_array()), &outcome->problems, SPEC_WARNING);
    append_lines(json_set(root, "diff", json_array()), buffer_text(&outcome->diff));
    answer_json(exchange, 200, root, diff_only ? NULL : headers);
    json_destroy(root);
}

/* If-Match: "REVISION", or REVISION, or *. */
static int read_if_match(const struct http_request *request, int64_t *out, struct error *err)
{
    const char *text = http_request_header(request, "If-Match");
    char *end;
    *out = -1;
    if (!text || strcmp(text, "*") == 0)
        return 0;
    const char *digits = *text == '"' ? text + 1 : text;
    errno = 0;
    long long value = strtoll(digits, &end, 10);
    if (errno || end == digits || value < 0 || (*end && strcmp(end, "\"") != 0))
        return error_set(err, ERROR_INVALID, "If-Match: %.32s is not a revision, like \"118\"", text);
    *out = value;
    return 0;
}

static void apply(struct exchange *exchange, bool dry_run, bool diff_only)
{
    const struct http_request *request = exchange->request;
    struct spec_outcome *outcome = calloc(1, sizeof *outcome);
    struct spec_request wish = {.source = {"request body", request->body, request->length},
                                .if_match = -1,
                                .dry_run = dry_run,
                                .keep_access = exchange->caller.kind < CALLER_ADMIN};
    struct error err = {0};
    if (!outcome) {
        http_respond_error(exchange->listener->server, request->id, 503, "no_memory",
                           "there is no memory for this spec");
        return;
    }
    spec_outcome_init(outcome);
    if (read_if_match(request, &wish.if_match, &err) ||
        exchange->site->backend.apply_spec(exchange->site->backend.context, &wish, outcome, &err)) {
        if (err.code == ERROR_INVALID)
            answer_invalid(exchange, outcome, &err);
        else
            answer_error(exchange, &err);
    } else {
        answer_outcome(exchange, outcome, diff_only);
    }
    spec_outcome_finish(outcome);
    free(outcome);
}

/* What is no yes or no is refused: who wrote "maybe" may have meant that nothing should happen. */
void serve_federation_put(struct exchange *exchange)
{
    const char *dry_run = http_request_query(exchange->request, "dryRun");
    bool wanted = dry_run && strcmp(dry_run, "true") == 0;
    struct error err;
    if (dry_run && !wanted && strcmp(dry_run, "false") != 0) {
        error_set(&err, ERROR_INVALID, "?dryRun= is true or false");
        answer_error(exchange, &err);
    } else {
        apply(exchange, wanted, false);
    }
}

void serve_federation_diff(struct exchange *exchange)
{
    apply(exchange, true, true);
}

/* ---- explain ---- */

static struct json *append_rule(struct json *list, const struct rule *rule, const char *sentence, bool fires,
                                const char *unmet)
{
    struct json *json = json_append(list, json_object());
    json_set_int(json, "rule", rule->number);
    json_set_string(json, "name", rule->name);
    json_set_string(json, "outcome", rule_outcome_name(rule));
    json_set_string(json, "sentence", sentence);
    json_set_bool(json, "fires", fires);
    json_set_string(json, "unmet", unmet ? unmet : fires ? "" : "an earlier rule was taken");
    return json;
}

static void append_set_rules(struct json *list, const struct plan *plan)
{
    size_t count = 0;
    const struct rule *rules = rules_of(RULES_OF_SET, &count);
    for (size_t i = 0; i < count; i++) {
        bool fires = rules[i].number == plan->rule;
        append_rule(list, &rules[i], fires ? plan->sentence : rules[i].sentence, fires,
                    rule_unmet(RULES_OF_SET, &rules[i], plan->facts));
    }
}

/* Of the members' table: the row that fires for each. */
static void append_member_rules(struct json *list, const struct set_view *set)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < set->plan->member_count; i++) {
        const struct member_plan *member = &set->plan->members[i];
        struct json *json = append_rule(list, rules_find(member->rule), member->sentence, true, NULL);
        json_set_string(json, "member", spec_node_name(set->set, &set->set->members[i], &arena));
    }
    arena_finish(&arena);
}

/* Zones of the set whose agents can't be heard until somebody lets them in. */
static void append_enrolments(struct json *waits, const struct set_view *set,
                              const struct federation_view *view)
{
    for (size_t i = 0; i < view->zone_count; i++) {
        char reason[256], message[384], subject[128];
        bool has_member = false;
        status_zone_reason(&view->zones[i], reason, sizeof reason);
        for (size_t m = 0; *reason && m < set->set->member_count; m++)
            has_member |= strcmp(set->set->members[m].zone, view->zones[i].zone->name) == 0;
        if (!has_member)
            continue;
        snprintf(subject, sizeof subject, "enrolment of zone %s", view->zones[i].zone->name);
        snprintf(message, sizeof message, "Zone %s: %s.", view->zones[i].zone->name, reason);
        json_append(waits, wait_write(&(struct wait){.subject = subject,
                                                     .reason = "ZoneNotEnrolled",
                                                     .message = message,
                                                     .since_ms = view->zones[i].enrolment.requested_at_ms,
                                                     .ended_by = "an admin"}));
    }
}

/* What the zone can't do for a member that is otherwise all that it should be, like growing its disk: nobody
 * waits for it, and the set is healthy, yet somebody has to know. */
static void append_zone_problems(struct json *waits, const struct set_view *set)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; set->plan && set->observation && i < set->plan->member_count; i++) {
        const struct problem *problem = &set->observation->members[i].holding.problem;
        if (set->plan->members[i].waiting || !*problem->message)
            continue;
        json_append(waits, wait_write(&(struct wait){
                               .subject = spec_node_name(set->set, &set->set->members[i], &arena),
                               .reason = problem->code,
                               .message = problem->message,
                               .ended_by = arena_printf(&arena, "zone %s", set->set->members[i].zone),
                               .rule = problem->rule}));
    }
    arena_finish(&arena);
}

static void answer_explain(struct exchange *exchange, const struct set_view *set,
                           const struct federation_view *view)
{
    const struct plan *plan = set->plan;
    struct json *root = json_object();
    json_set_string(root, "set", set->set->name);
    json_set_string(root, "phase", set_phase_name(plan ? plan->phase : PHASE_PROVISIONING));
    struct json *waits = json_set(root, "waits", json_array());
    for (size_t i = 0; plan && i < plan->wait_count; i++)
        json_append(waits, wait_write(&plan->waits[i]));
    for (size_t i = 0; plan && i < plan->member_count; i++)
        if (plan->members[i].waiting)
            json_append(waits, wait_write(&plan->members[i].wait));
    append_zone_problems(waits, set);
    append_enrolments(waits, set, view);
    struct json *rules = json_set(root, "rules", json_array());
    if (plan) {
        append_set_rules(rules, plan);
        append_member_rules(rules, set);
    }
    answer_json(exchange, 200, root, NULL);
    json_destroy(root);
}

void serve_explain(struct exchange *exchange)
{
    struct federation_view view;
    char message[160];
    exchange->site->backend.view(exchange->site->backend.context, &view);
    for (size_t i = 0; i < view.set_count; i++)
        if (strcmp(view.sets[i].set->name, exchange->name) == 0) {
            answer_explain(exchange, &view.sets[i], &view);
            return;
        }
    snprintf(message, sizeof message, "there is no set %s", exchange->name);
    http_respond_error(exchange->listener->server, exchange->request->id, 404, "not_found", message);
}

/* ---- the journal ---- */

void serve_journal(struct exchange *exchange)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 0);
    if (exchange->site->backend.journal(exchange->site->backend.context, exchange->name, &text, &err))
        answer_error(exchange, &err);
    else
        answer_text(exchange, 200, "application/json", text.data, text.length);
    buffer_finish(&text);
}
