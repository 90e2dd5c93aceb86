/* The controller's inputs and its turn: see controller.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller_internal.h"

struct zone_state_of *controller_zone(struct controller *controller, const char *name)
{
    for (size_t i = 0; i < controller->zone_count; i++)
        if (strcmp(controller->zones[i].name, name) == 0)
            return &controller->zones[i];
    return NULL;
}

struct set_state *controller_set(const struct controller *controller, const char *name)
{
    for (size_t i = 0; i < controller->set_count; i++)
        if (strcmp(controller->sets[i]->name, name) == 0)
            return controller->sets[i];
    return NULL;
}

const struct report_member *controller_said_of(struct controller *controller, const struct set_state *set,
                                               const struct spec_member *member, bool *heard)
{
    const struct zone_state_of *zone = controller_zone(controller, member->zone);
    bool reported = zone && zone->sight.has_report;
    if (heard)
        *heard = reported;
    return reported ? zone_sight_member(&zone->sight, set->name, member->ordinal) : NULL;
}

void controller_wake(struct controller *controller)
{
    controller->environment.wake_at(controller->environment.context, controller_now(controller));
}

void controller_set_due(struct set_state *set, int64_t at_ms)
{
    if (at_ms < set->due_ms)
        set->due_ms = at_ms;
}

int controller_start(const struct controller_environment *environment, struct controller **out,
                     struct error *err)
{
    struct controller *controller = calloc(1, sizeof *controller);
    if (!controller)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the controller");
    controller->environment = *environment;
    controller->started_at_ms = controller_wall(controller);
    buffer_init(&controller->spec_text, STORE_RECORD_BYTES_MAX);
    if (controller_load(controller, err) || controller_raise(controller, 0, 0, err)) {
        controller_destroy(controller);
        return -1;
    }
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%lld", (long long)controller->epoch);
    controller_tell(controller, EVENT_CONTROLLER_STARTED, &(struct event_words){.to = epoch});
    controller_wake(controller);
    *out = controller;
    return 0;
}

void controller_destroy(struct controller *controller)
{
    if (!controller)
        return;
    for (size_t i = 0; i < controller->zone_count; i++) {
        zone_sight_finish(&controller->zones[i].sight);
        arena_finish(&controller->zones[i].intent_arena);
    }
    for (size_t i = 0; i < controller->set_count; i++)
        set_state_destroy(controller->sets[i]);
    while (controller->ledgers) {
        struct ledger_holder *ledger = controller->ledgers;
        controller->ledgers = ledger->next;
        controller_certificates_finish(ledger);
        arena_finish(&ledger->arena);
        free(ledger);
    }
    spec_holder_release(controller->spec);
    buffer_finish(&controller->spec_text);
    free(controller->zones);
    free(controller->sets);
    free(controller->zone_views);
    free(controller->set_views);
    free(controller);
}

/* ---- the turn ---- */

/* The sets that have a member in this zone are planned for at `at_ms`. */
static void zone_changed(struct controller *controller, const struct zone_state_of *zone, int64_t at_ms)
{
    for (size_t i = 0; i < controller->set_count; i++) {
        struct set_state *set = controller->sets[i];
        for (size_t m = 0; m < set->set->member_count; m++)
            if (strcmp(set->set->members[m].zone, zone->name) == 0) {
                controller_set_due(set, at_ms);
                break;
            }
    }
}

static void check_zone(struct controller *controller, struct zone_state_of *zone, int64_t now_ms)
{
    enum zone_state state = zone_sight_state(&zone->sight, now_ms);
    if (state == zone->state)
        return;
    zone->state = state;
    controller_tell(controller, state == ZONE_CONNECTED ? EVENT_ZONE_CONNECTED : EVENT_ZONE_SILENT,
                    &(struct event_words){.zone = zone->name});
    zone_changed(controller, zone, now_ms);
    controller->environment.status_changed(controller->environment.context);
}

static void check_zones(struct controller *controller, int64_t now_ms)
{
    if (now_ms < controller->zone_check_at_ms)
        return;
    controller->zone_check_at_ms = now_ms + CONTROLLER_ZONE_CHECK_MS;
    for (size_t i = 0; i < controller->zone_count; i++)
        check_zone(controller, &controller->zones[i], now_ms);
}

static void schedule(struct controller *controller)
{
    int64_t next_ms = controller_now(controller) + CONTROLLER_LOOK_AGAIN_MOST_MS;
    if (controller->zone_count && controller->zone_check_at_ms < next_ms)
        next_ms = controller->zone_check_at_ms;
    if (*controller->store_problem && controller->store_retry_at_ms < next_ms)
        next_ms = controller->store_retry_at_ms;
    for (size_t i = 0; i < controller->set_count; i++)
        if (controller->sets[i]->due_ms < next_ms)
            next_ms = controller->sets[i]->due_ms;
    controller->environment.wake_at(controller->environment.context, next_ms);
}

void controller_tick(struct controller *controller)
{
    int64_t now_ms = controller_now(controller);
    check_zones(controller, now_ms);
    for (size_t i = 0; i < controller->set_count; i++) {
        struct set_state *set = controller->sets[i];
        controller_action_check(controller, set);
        if (set->due_ms <= now_ms)
            controller_plan_set(controller, set);
    }
    controller_store_retry(controller);
    controller_build_intents(controller);
    for (size_t i = 0; i < controller->set_count; i++)
        if (controller->sets[i]->act)
            controller_set_act(controller, controller->sets[i]);
    schedule(controller);
}

/* ---- what agents say ---- */

/* An agent that has accepted a higher epoch would refuse ours for ever; we hold the store's lock, so we may
 * go above it. The same for revisions, which an older image of our store may have forgotten; and for one of
 * our own epoch that we never gave out: a controller whose store was lost had the same epoch, and what we say
 * would look older than what it said. A revision of an older epoch that we have yet to give out is left out:
 * whoever watches says its revision alone, and would be taken to have ours. */
static int follow(struct controller *controller, const char *zone, int64_t epoch, int64_t revision,
                  struct error *err)
{
    bool not_ours = epoch == controller->epoch && revision > controller->revision;
    if (epoch < controller->epoch && revision > controller->revision &&
        revision <= controller->revision_reserved)
        controller->revision = revision;
    if (epoch <= controller->epoch && revision <= controller->revision_reserved && !not_ours)
        return 0;
    if (controller_store_rests(controller)) /* each agent says it every two seconds */
        return error_set(err, ERROR_IO, "%s", controller->store_problem);
    if (controller_raise(controller, epoch, revision, err))
        return -1;
    char from[24], to[24];
    snprintf(from, sizeof from, "%lld", (long long)epoch);
    snprintf(to, sizeof to, "%lld", (long long)controller->epoch);
    controller_tell(controller, EVENT_EPOCH_RAISED,
                    &(struct event_words){.zone = zone, .from = from, .to = to});
    return 0;
}

static int find_zone(struct controller *controller, const char *name, struct zone_state_of **out,
                     struct error *err)
{
    *out = controller_zone(controller, name);
    if (*out)
        return 0;
    if (!controller->spec)
        return error_set(err, ERROR_NOT_FOUND,
                         "no federation was applied yet, so no zone is known: atoll apply -f FILE");
    return error_set(err, ERROR_NOT_FOUND, "federation %s has no zone %.*s", controller->spec->spec.name,
                     NAME_LENGTH_MAX, name);
}

/* Each report says how often its agent has undone somebody's change since it started, and what the last one
 * was. */
static void tell_repairs(struct controller *controller, const struct zone_state_of *zone,
                         const struct report *report)
{
    bool same_run = zone->sight.has_report && strcmp(zone->sight.report.run_id, report->run_id) == 0;
    for (size_t i = 0; i < report->member_count; i++) {
        const struct member_holding *now = &report->members[i].holding;
        const struct report_member *before =
            same_run ? zone_sight_member(&zone->sight, now->set, now->ordinal) : NULL;
        if (now->repairs > (before ? before->holding.repairs : 0))
            controller_tell(
                controller, EVENT_OBJECT_REPAIRED,
                &(struct event_words){.set = now->set, .zone = zone->name, .detail = now->last_repair});
    }
}

int controller_report(struct controller *controller, const char *name, const struct report *report,
                      struct zone_answer *out, struct error *err)
{
    struct zone_state_of *zone;
    bool taken = false;
    int64_t now_ms = controller_now(controller);
    if (find_zone(controller, name, &zone, err))
        return -1;
    if (follow(controller, name, report->epoch, report->revision, err))
        return -1;
    tell_repairs(controller, zone, report); /* while the one before is still there to compare with */
    if (zone_sight_report(&zone->sight, report, now_ms, controller_wall(controller), &taken, err))
        return -1;
    if (taken) {
        controller->counts.reports++;
        check_zone(controller, zone, now_ms);
        zone_changed(controller, zone, now_ms);
        if (*report->zone_problem.code)
            controller_tell(controller, EVENT_ZONE_PROBLEM,
                            &(struct event_words){.zone = name,
                                                  .detail = report->zone_problem.message,
                                                  .rule = report->zone_problem.rule});
        controller->environment.status_changed(controller->environment.context);
        controller_wake(controller);
    } else {
        controller->counts.reports_ignored++;
    }
    *out = (struct zone_answer){.epoch = controller->epoch,
                                .keys_wanted = controller_keys_wanted(controller, zone)};
    return 0;
}

int controller_heartbeat(struct controller *controller, const char *name, const struct heartbeat *heartbeat,
                         struct zone_answer *out, struct error *err)
{
    struct zone_state_of *zone;
    int64_t now_ms = controller_now(controller);
    if (find_zone(controller, name, &zone, err))
        return -1;
    if (follow(controller, name, heartbeat->epoch, heartbeat->revision, err))
        return -1;
    bool wanted = zone_sight_heartbeat(&zone->sight, heartbeat, now_ms, controller_wall(controller));
    controller->counts.heartbeats++;
    check_zone(controller, zone, now_ms);
    zone_changed(controller, zone, now_ms + CONTROLLER_PULSE_PLAN_MS);
    schedule(controller);
    *out = (struct zone_answer){.epoch = controller->epoch,
                                .report_wanted = wanted,
                                .keys_wanted = controller_keys_wanted(controller, zone)};
    return 0;
}

/* ---- looking ---- */

int controller_watch(struct controller *controller, const char *name, int64_t revision,
                     const struct intent **out, struct error *err)
{
    struct zone_state_of *zone;
    if (find_zone(controller, name, &zone, err))
        return -1;
    *out = zone->has_intent && zone->intent.revision != revision ? &zone->intent : NULL;
    return 0;
}

struct intent controller_bookmark(const struct controller *controller, const char *name)
{
    const struct zone_state_of *zone = controller_zone((struct controller *)controller, name);
    return (struct intent){.epoch = controller->epoch,
                           .revision = zone && zone->has_intent ? zone->intent.revision : 0,
                           .federation = controller->spec ? controller->spec->spec.name : "",
                           .zone = name};
}

static struct zone_view zone_view(const struct zone_state_of *zone)
{
    const struct zone_sight *sight = &zone->sight;
    return (struct zone_view){.zone = zone->zone,
                              .state = zone->state,
                              .last_report_at_ms = sight->heard_wall_ms,
                              .driver = sight->has_report ? sight->report.driver : zone->zone->driver,
                              .agent_version = sight->has_report ? sight->report.version : "",
                              .members = zone->members,
                              .report = sight->has_report ? &sight->report : NULL,
                              .problem = sight->has_report ? sight->report.zone_problem
                                                           : (struct problem){.code = "", .message = ""},
                              .intent_revision = zone->has_intent ? zone->intent.revision : 0,
                              .reached_revision =
                                  sight->has_report && sight->report.reached ? sight->report.revision : 0};
}

/* Silence alone is Unknown; a set's plan may have concluded more from what the set's primary sees. */
static void show_failed_zones(struct controller *controller, const struct set_view *set)
{
    for (size_t i = 0; set->plan && i < set->plan->member_count; i++)
        for (size_t j = 0; j < controller->zone_count; j++)
            if (set->plan->members[i].zone_state == ZONE_FAILED &&
                controller->zone_views[j].state == ZONE_UNKNOWN &&
                strcmp(controller->zones[j].zone->name, set->set->members[i].zone) == 0)
                controller->zone_views[j].state = ZONE_FAILED;
}

void controller_view(struct controller *controller, struct federation_view *out)
{
    for (size_t i = 0; i < controller->zone_count; i++) {
        controller->zone_views[i] = zone_view(&controller->zones[i]);
        controller->zone_views[i].spec = controller->spec ? &controller->spec->spec : NULL;
        if (controller->environment.describe_zone)
            controller->environment.describe_zone(controller->environment.context, controller->zones[i].name,
                                                  &controller->zone_views[i].enrolment);
    }
    for (size_t i = 0; i < controller->set_count; i++) {
        const struct plan_slot *slot = &controller->sets[i]->slots[controller->sets[i]->current];
        /* A plan of a former spec has other members than the set that is shown. */
        bool fits = slot->filled && slot->spec == controller->spec;
        controller->set_views[i] =
            (struct set_view){.set = controller->sets[i]->set,
                              .auth = controller_authenticates(controller, controller->sets[i]),
                              .tls = controller_encrypts(controller),
                              .plan = fits ? &slot->plan : NULL,
                              .observation = fits ? &slot->observation : NULL,
                              .planned_at_ms = slot->at_ms};
        show_failed_zones(controller, &controller->set_views[i]);
    }
    *out = (struct federation_view){.spec = controller->spec ? &controller->spec->spec : NULL,
                                    .revision = controller->spec_revision.revision,
                                    .epoch = controller->epoch,
                                    .started_at_ms = controller->started_at_ms,
                                    .now_ms = controller_wall(controller),
                                    .store_problem = controller->store_problem,
                                    .zones = controller->zone_views,
                                    .zone_count = controller->zone_count,
                                    .sets = controller->set_views,
                                    .set_count = controller->set_count,
                                    .counts = &controller->counts};
    if (controller->environment.describe_trust)
        controller->environment.describe_trust(controller->environment.context, &out->trust);
}

/* ---- the table for those who serve ---- */

static void backend_view(void *context, struct federation_view *out)
{
    controller_view(context, out);
}

static int backend_apply(void *context, const struct spec_request *request, struct spec_outcome *outcome,
                         struct error *err)
{
    return controller_apply_spec(context, request, outcome, err);
}

static int backend_report(void *context, const char *zone, const struct report *report,
                          struct zone_answer *out, struct error *err)
{
    return controller_report(context, zone, report, out, err);
}

static int backend_heartbeat(void *context, const char *zone, const struct heartbeat *heartbeat,
                             struct zone_answer *out, struct error *err)
{
    return controller_heartbeat(context, zone, heartbeat, out, err);
}

static int backend_watch(void *context, const char *zone, int64_t revision, const struct intent **out,
                         struct error *err)
{
    return controller_watch(context, zone, revision, out, err);
}

static struct intent backend_bookmark(void *context, const char *zone)
{
    return controller_bookmark(context, zone);
}

static int backend_journal(void *context, const char *set, struct buffer *out, struct error *err)
{
    return controller_journal(context, set, out, err);
}

static int backend_rotate_keyfile(void *context, const char *set, struct error *err)
{
    return controller_rotate_keyfile(context, set, err);
}

static int backend_admin(void *context, const char *set, char password[KEYFILE_KEY_MAX], struct error *err)
{
    return controller_admin(context, set, password, err);
}

struct backend controller_backend(struct controller *controller)
{
    return (struct backend){.context = controller,
                            .view = backend_view,
                            .apply_spec = backend_apply,
                            .report = backend_report,
                            .heartbeat = backend_heartbeat,
                            .watch = backend_watch,
                            .bookmark = backend_bookmark,
                            .journal = backend_journal,
                            .rotate_keyfile = backend_rotate_keyfile,
                            .admin = backend_admin};
}
