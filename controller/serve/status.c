/* The status document: see status.h. */
#include "controller/serve/status.h"

#include <stdio.h>
#include <string.h>

/* ---- parts ---- */

static void set_known(struct json *object, const char *key, int64_t value, int64_t unknown)
{
    if (value == unknown)
        json_set_null(object, key);
    else
        json_set_int(object, key, value);
}

struct json *wait_write(const struct wait *wait)
{
    struct json *json = json_object();
    json_set_string(json, "for", wait->subject);
    json_set_string(json, "reason", wait->reason);
    json_set_string(json, "message", wait->message);
    json_set_time(json, "since", wait->since_ms);
    json_set_time(json, "until", wait->until_ms);
    json_set_string(json, "endedBy", wait->ended_by);
    json_set_int(json, "rule", wait->rule);
    return json;
}

static void write_conditions(struct json *set, const struct plan *plan)
{
    struct json *list = json_set(set, "conditions", json_array());
    for (int i = 0; plan && i < CONDITION_COUNT; i++) {
        const struct condition *condition = &plan->conditions[i];
        struct json *json = json_append(list, json_object());
        json_set_string(json, "type", condition_type_name(condition->type));
        json_set_string(json, "status", condition_status_name(condition->status));
        json_set_string(json, "reason", condition->reason);
        json_set_string(json, "message", condition->message);
        json_set_time(json, "since", condition->since_ms);
    }
}

/* Clients find hidden members and arbiters of no use; who isn't in the configuration yet is no part of the
 * set. */
void connection_string(const struct set_view *set, struct buffer *out)
{
    size_t count = 0;
    for (size_t i = 0; set->plan && i < set->plan->member_count; i++) {
        const struct member_plan *member = &set->plan->members[i];
        const struct spec_member *wanted = &set->set->members[i];
        if (member->id < 0 || !*member->host || wanted->hidden || wanted->arbiter_only)
            continue;
        buffer_printf(out, "%s%s", count++ ? "," : "mongodb://", member->host);
    }
    if (count)
        buffer_printf(out, "/?replicaSet=%s%s", set->set->name, set->tls ? "&tls=true" : "");
}

/* ---- members ---- */

static void write_disk(struct json *member, const char *name, const struct disk_holding *disk,
                       enum status_part part)
{
    struct json *json = json_set(member, "disk", json_object());
    json_set_string(json, "name", disk && *disk->name ? disk->name : name);
    json_set_string(json, "state", disk_state_name(disk ? disk->state : DISK_ABSENT));
    set_known(json, "sizeBytes", disk ? disk->size_bytes : -1, -1);
    if (part == STATUS_WHOLE)
        set_known(json, "usedBytes", disk ? disk->used_bytes : -1, -1);
}

static void write_pod(struct json *member, const struct pod_holding *pod)
{
    struct json *json = json_set(member, "pod", json_object());
    json_set_string(json, "name", pod ? pod->name : "");
    json_set_string(json, "node", pod ? pod->node : "");
    json_set_bool(json, "ready", pod && pod->ready);
}

static const char *member_reason(const struct member_plan *plan, const struct member_view *seen)
{
    if (seen && *seen->holding.problem.message)
        return seen->holding.problem.message;
    return plan && plan->waiting ? plan->wait.message : "";
}

/* What the planner says of a member; what it has not planned for yet is said as unknown. */
static void write_member_plan(struct json *json, const struct member_plan *plan, enum status_part part)
{
    static const struct member_plan none = {.id = -1, .host = "", .state = MEMBER_UNKNOWN, .lag_seconds = -1};
    bool planned = plan != NULL;
    if (!plan)
        plan = &none;
    set_known(json, "id", plan->id, -1);
    json_set_string(json, "host", plan->host);
    json_set_string(json, "state", member_state_name(plan->state));
    json_set_string(json, "phase", member_phase_name(plan->phase));
    json_set_string(json, "nextPhase", member_phase_name(planned ? plan->next_phase : MEMBER_PHASE_PENDING));
    json_set_bool(json, "healthy", plan->healthy);
    json_set_int(json, "votes", plan->votes);
    json_set_double(json, "priority", plan->priority);
    if (part == STATUS_WHOLE)
        set_known(json, "lagSeconds", plan->lag_seconds, -1);
    struct json *waits = json_set(json, "waits", json_array());
    if (plan->waiting)
        json_append(waits, wait_write(&plan->wait));
}

static struct json *write_member(const struct set_view *set, size_t index, int64_t now_ms,
                                 enum status_part part, struct arena *arena)
{
    const struct spec_member *wanted = &set->set->members[index];
    const struct member_plan *plan = set->plan ? &set->plan->members[index] : NULL;
    const struct member_view *seen = set->observation ? &set->observation->members[index] : NULL;
    struct member_names names = spec_member_names(set->set, wanted, arena);
    struct json *json = json_object();
    json_set_string(json, "name", names.node);
    json_set_int(json, "ordinal", wanted->ordinal);
    json_set_string(json, "zone", wanted->zone);
    write_member_plan(json, plan, part);
    json_set_string(json, "version", seen ? seen->mongod.version : "");
    json_set_string(json, "imageId", seen ? seen->holding.pod.image_id : "");
    if (part == STATUS_WHOLE)
        json_set_time(json, "observedAt",
                      seen && seen->mongod.age_ms >= 0 ? set->planned_at_ms - seen->mongod.age_ms : 0);
    json_set_int(json, "restarts", seen ? seen->holding.pod.restarts : 0);
    write_disk(json, names.disk, seen ? &seen->holding.disk : NULL, part);
    json_set_string(json, "controller", names.controller);
    json_set_string(json, "service", names.service);
    write_pod(json, seen ? &seen->holding.pod : NULL);
    if (seen && seen->certificate_until_ms)
        json_set_time(json, "certificateExpiresAt", seen->certificate_until_ms);
    json_set_string(json, "reason", member_reason(plan, seen));
    (void)now_ms;
    return json;
}

/* ---- sets and zones ---- */

static const char *primary_name(const struct set_view *set, struct arena *arena)
{
    const struct spec_member *primary =
        set->plan && set->plan->primary ? spec_find_member(set->set, set->plan->primary) : NULL;
    return primary ? spec_node_name(set->set, primary, arena) : NULL;
}

static void write_set_head(struct json *json, const struct set_view *set, struct arena *arena)
{
    const struct plan *plan = set->plan;
    const char *primary = primary_name(set, arena);
    struct buffer clients;
    buffer_init(&clients, 0);
    connection_string(set, &clients);
    json_set_string(json, "name", set->set->name);
    json_set_string(json, "phase", set_phase_name(plan ? plan->phase : PHASE_PROVISIONING));
    if (primary)
        json_set_string(json, "primary", primary);
    else
        json_set_null(json, "primary");
    set_known(json, "configVersion", plan ? plan->config.version : 0, 0);
    set_known(json, "configTerm", plan && plan->config.version ? plan->config.term : -1, -1);
    set_known(json, "term", plan ? plan->term : -1, -1);
    struct json *waits = json_set(json, "waits", json_array());
    for (size_t i = 0; plan && i < plan->wait_count; i++)
        json_append(waits, wait_write(&plan->waits[i]));
    json_set_string(json, "connectionString", buffer_text(&clients));
    json_set_bool(json, "auth", set->auth);
    json_set_bool(json, "tls", set->tls);
    buffer_finish(&clients);
}

struct json *status_write_set(const struct set_view *set, int64_t now_ms, enum status_part part)
{
    struct json *json = json_object();
    struct arena arena;
    arena_init(&arena, 0);
    write_set_head(json, set, &arena);
    write_conditions(json, set->plan);
    struct json *members = json_set(json, "members", json_array());
    for (size_t i = 0; i < set->set->member_count; i++)
        json_append(members, write_member(set, i, now_ms, part, &arena));
    arena_finish(&arena);
    return json;
}

/* Whoever has left, or is leaving and has neither controller nor Service any more, has left a disk behind. */
static bool is_retained(const struct spec *spec, const struct member_holding *held)
{
    const struct spec_set *set = spec ? spec_find_set(spec, held->set) : NULL;
    const struct spec_member *member = set ? spec_find_member(set, held->ordinal) : NULL;
    bool wanted = member && !set->absent && !member->absent;
    return !wanted && held->disk.state == DISK_READY && !held->controller_exists && !held->service_exists;
}

static void write_retained(struct json *zone, const struct zone_view *view)
{
    struct json *list = NULL; /* the key is there only when a disk is */
    for (size_t i = 0; view->report && i < view->report->member_count; i++) {
        const struct member_holding *held = &view->report->members[i].holding;
        if (!is_retained(view->spec, held))
            continue;
        if (!list)
            list = json_set(zone, "retainedDisks", json_array());
        struct json *disk = json_append(list, json_object());
        json_set_string(disk, "name", held->disk.name);
        json_set_string(disk, "id", held->disk.id);
        json_set_string(disk, "set", held->set);
        json_set_int(disk, "ordinal", held->ordinal);
        set_known(disk, "sizeBytes", held->disk.size_bytes, -1);
    }
}

/* What somebody has to do before the zone's agent is heard; "" when nothing. */
void status_zone_reason(const struct zone_view *zone, char *out, size_t size)
{
    const char *state = zone->enrolment.state, *name = zone->zone->name;
    *out = 0;
    if (!state)
        return;
    if (*zone->enrolment.waiting_key)
        snprintf(out, size, "its agent waits for approval: atoll zone approve %s --key %.16s", name,
                 zone->enrolment.waiting_key);
    else if (strcmp(state, "removed") == 0)
        snprintf(out, size,
                 "its agent was shut out; a new one enrols with a token of atoll zone join-token %s", name);
    else if (strcmp(state, "unknown") == 0)
        snprintf(out, size, "no agent has enrolled: atoll zone join-token %s", name);
}

static void write_enrolment(struct json *json, const struct zone_view *zone)
{
    char reason[256];
    if (!zone->enrolment.state)
        return;
    status_zone_reason(zone, reason, sizeof reason);
    json_set_string(json, "enrolment", zone->enrolment.state);
    if (zone->enrolment.certificate_expires_at_ms)
        json_set_time(json, "certificateExpiresAt", zone->enrolment.certificate_expires_at_ms);
    json_set_string(json, "reason", reason);
}

struct json *status_write_zone(const struct zone_view *zone, enum status_part part)
{
    struct json *json = json_object();
    json_set_string(json, "name", zone->zone->name);
    json_set_string(json, "state", zone_state_name(zone->state));
    json_set_string(json, "driver", zone->driver);
    if (part == STATUS_WHOLE)
        json_set_time(json, "lastReportAt", zone->last_report_at_ms);
    json_set_string(json, "agentVersion", zone->agent_version);
    json_set_int(json, "members", (int64_t)zone->members);
    json_set_bool(json, "upToDate", zone->intent_revision && zone->reached_revision == zone->intent_revision);
    write_enrolment(json, zone);
    write_retained(json, zone);
    return json;
}

/* ---- the whole ---- */

static void write_summary(struct json *root, const struct federation_view *view)
{
    int64_t connected = 0, sets = 0, healthy_sets = 0, members = 0, healthy_members = 0;
    for (size_t i = 0; i < view->zone_count; i++)
        connected += view->zones[i].state == ZONE_CONNECTED;
    for (size_t i = 0; i < view->set_count; i++) {
        const struct set_view *set = &view->sets[i];
        sets += !set->set->absent;
        healthy_sets += set->plan && set->plan->healthy;
        for (size_t m = 0; m < set->set->member_count; m++) {
            members += !set->set->absent && !set->set->members[m].absent;
            healthy_members += set->plan && set->plan->members[m].healthy;
        }
    }
    struct json *summary = json_set(root, "summary", json_object());
    json_set_int(summary, "zones", (int64_t)view->zone_count);
    json_set_int(summary, "connectedZones", connected);
    json_set_int(summary, "sets", sets);
    json_set_int(summary, "healthySets", healthy_sets);
    json_set_int(summary, "members", members);
    json_set_int(summary, "healthyMembers", healthy_members);
}

static void write_controller(struct json *root, const struct federation_view *view)
{
    struct json *controller = json_set(root, "controller", json_object());
    json_set_string(controller, "version", ATOLL_VERSION);
    json_set_bool(controller, "leader", true); /* it holds the lock of its store, or it would not run */
    json_set_time(controller, "startedAt", view->started_at_ms);
    json_set_bool(controller, "tls", view->trust.on);
    if (!view->trust.on)
        return;
    json_set_time(controller, "certificateExpiresAt", view->trust.certificate_expires_at_ms);
    json_set_time(controller, "caExpiresAt", view->trust.ca_expires_at_ms);
    json_set_string(controller, "caStage", view->trust.ca_stage);
}

struct json *status_write(const struct federation_view *view, enum status_part part)
{
    struct json *root = json_object();
    json_set_string(root, "apiVersion", "atoll/v1");
    json_set_string(root, "federation", view->spec ? view->spec->name : "");
    json_set_int(root, "revision", view->revision);
    if (part == STATUS_WHOLE)
        json_set_time(root, "generatedAt", view->now_ms);
    write_controller(root, view);
    write_summary(root, view);
    struct json *zones = json_set(root, "zones", json_array());
    for (size_t i = 0; i < view->zone_count; i++)
        json_append(zones, status_write_zone(&view->zones[i], part));
    struct json *sets = json_set(root, "sets", json_array());
    for (size_t i = 0; i < view->set_count; i++)
        json_append(sets, status_write_set(&view->sets[i], view->now_ms, part));
    return root;
}
