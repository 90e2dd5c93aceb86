/* A spec that is applied: read, checked against the one in force, remembered, and then taken as a whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller_internal.h"

void spec_holder_release(struct spec_holder *holder)
{
    if (!holder || --holder->references)
        return;
    arena_finish(&holder->arena);
    free(holder);
}

void spec_outcome_init(struct spec_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    arena_init(&outcome->arena, 0);
    buffer_init(&outcome->diff, 0);
}

void spec_outcome_finish(struct spec_outcome *outcome)
{
    arena_finish(&outcome->arena);
    buffer_finish(&outcome->diff);
}

/* ---- taking it ---- */

static size_t members_in(const struct spec *spec, const char *zone)
{
    size_t count = 0;
    for (size_t s = 0; s < spec->set_count; s++)
        for (size_t m = 0; m < spec->sets[s].member_count; m++)
            if (strcmp(spec->sets[s].members[m].zone, zone) == 0 && !spec->sets[s].members[m].absent)
                count++;
    return count;
}

/* Everything that can fail is made first, so that the spec is taken whole or not at all. */
struct preparation {
    struct zone_state_of *zones;
    struct set_state **sets;
    bool *fresh; /* the set is not one of before */
    struct zone_view *zone_views;
    struct set_view *set_views;
};

static void preparation_finish(struct preparation *ready, size_t set_count)
{
    for (size_t i = 0; ready->sets && ready->fresh && i < set_count; i++)
        if (ready->fresh[i])
            set_state_destroy(ready->sets[i]);
    free(ready->zones);
    free(ready->sets);
    free(ready->fresh);
    free(ready->zone_views);
    free(ready->set_views);
}

static int prepare(struct controller *controller, const struct spec *spec, struct preparation *ready)
{
    *ready = (struct preparation){.zones = calloc(spec->zone_count + 1, sizeof *ready->zones),
                                  .sets = calloc(spec->set_count + 1, sizeof *ready->sets),
                                  .fresh = calloc(spec->set_count + 1, sizeof *ready->fresh),
                                  .zone_views = calloc(spec->zone_count + 1, sizeof *ready->zone_views),
                                  .set_views = calloc(spec->set_count + 1, sizeof *ready->set_views)};
    if (!ready->zones || !ready->sets || !ready->fresh || !ready->zone_views || !ready->set_views)
        return -1;
    for (size_t i = 0; i < spec->set_count; i++) {
        const char *name = spec->sets[i].name;
        ready->sets[i] = controller_set(controller, name);
        if (ready->sets[i])
            continue;
        struct ledger_holder *ledger = controller_ledger(controller, name);
        ready->sets[i] = ledger ? set_state_create(ledger, name) : NULL;
        ready->fresh[i] = true;
        if (!ready->sets[i])
            return -1;
    }
    return 0;
}

/* A zone that was there before keeps what was heard of it and its intent; the others' are let go. */
static void move_zones(struct controller *controller, const struct spec *spec, struct zone_state_of *zones)
{
    for (size_t i = 0; i < spec->zone_count; i++) {
        struct zone_state_of *before = controller_zone(controller, spec->zones[i].name), *zone = &zones[i];
        if (before) {
            *zone = *before;
            zone_sight_init(&before->sight);
            arena_init(&before->intent_arena, 0);
        } else {
            zone_sight_init(&zone->sight);
            arena_init(&zone->intent_arena, 0);
            memcpy(zone->name, spec->zones[i].name, strnlen(spec->zones[i].name, NAME_LENGTH_MAX));
        }
        zone->zone = &spec->zones[i];
        zone->members = members_in(spec, zone->name);
        zone->intent_due = true;
    }
    for (size_t i = 0; i < controller->zone_count; i++) {
        zone_sight_finish(&controller->zones[i].sight);
        arena_finish(&controller->zones[i].intent_arena);
    }
}

static void drop_forgotten_sets(struct controller *controller, const struct spec *spec)
{
    for (size_t i = 0; i < controller->set_count; i++)
        if (!spec_find_set(spec, controller->sets[i]->name))
            set_state_destroy(controller->sets[i]);
}

static int prepare_spec(struct controller *controller, const struct spec *spec, struct preparation *ready,
                        struct error *err)
{
    if (prepare(controller, spec, ready) == 0)
        return 0;
    preparation_finish(ready, spec->set_count);
    return error_set(err, ERROR_NO_MEMORY, "no memory for %zu zones and %zu sets", spec->zone_count,
                     spec->set_count);
}

/* Nothing here can fail. */
static void take_prepared(struct controller *controller, struct spec_holder *holder,
                          struct preparation *prepared)
{
    const struct preparation ready = *prepared;
    const struct spec *spec = &holder->spec;
    move_zones(controller, spec, ready.zones);
    drop_forgotten_sets(controller, spec);
    free(controller->zones);
    free(controller->sets);
    free(controller->zone_views);
    free(controller->set_views);
    free(ready.fresh);
    controller->zones = ready.zones;
    controller->zone_count = spec->zone_count;
    controller->sets = ready.sets;
    controller->set_count = spec->set_count;
    controller->zone_views = ready.zone_views;
    controller->set_views = ready.set_views;
    for (size_t i = 0; i < spec->set_count; i++) {
        ready.sets[i]->set = &spec->sets[i];
        ready.sets[i]->settled = false; /* no intent is built of a plan that was made on another spec */
        ready.sets[i]->due_ms = controller_now(controller);
    }
    holder->references++;
    spec_holder_release(controller->spec);
    controller->spec = holder;
}

int controller_take_spec(struct controller *controller, struct spec_holder *holder, struct error *err)
{
    struct preparation ready;
    if (prepare_spec(controller, &holder->spec, &ready, err))
        return -1;
    take_prepared(controller, holder, &ready);
    return 0;
}

/* ---- applying it ---- */

static int check_match(const struct controller *controller, const struct spec_request *request,
                       struct error *err)
{
    if (request->if_match < 0 || request->if_match == controller->spec_revision.revision)
        return 0;
    return error_set(
        err, ERROR_CONFLICT,
        "the change was made on revision %lld, but revision %lld is in force: look at it and apply again",
        (long long)request->if_match, (long long)controller->spec_revision.revision);
}

static int read_spec(struct controller *controller, const struct spec_request *request,
                     struct spec_holder *holder, struct spec_outcome *outcome, struct error *err)
{
    const struct spec *before = controller->spec ? &controller->spec->spec : NULL;
    if (spec_read(&request->source, 1, &holder->arena, &holder->spec, &outcome->problems) ||
        spec_check_change(before, &holder->spec, &holder->arena, &outcome->problems))
        return error_set(err, ERROR_INVALID, "the federation was not applied: %zu error%s",
                         outcome->problems.errors, outcome->problems.errors == 1 ? "" : "s");
    return 0;
}

static bool auth_of(const struct spec *spec, const char *set)
{
    const struct spec_set *found = spec ? spec_find_set(spec, set) : NULL;
    return found ? found->auth : true;
}

/* Whether the change opens or closes a door; a first spec is held against the defaults, which close all. */
static bool touches_access(const struct spec *before, const struct spec *after)
{
    bool tls = before ? before->tls : true, anonymous = before && before->access_anonymous_status;
    bool touched = tls != after->tls || anonymous != after->access_anonymous_status;
    for (size_t i = 0; i < after->set_count; i++)
        touched |= after->sets[i].auth != auth_of(before, after->sets[i].name);
    return touched;
}

static int check_access(const struct controller *controller, const struct spec_request *request,
                        const struct spec_holder *holder, struct error *err)
{
    if (!request->keep_access ||
        !touches_access(controller->spec ? &controller->spec->spec : NULL, &holder->spec))
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "this changes tls, auth or access, which say who may read and speak: it needs the role "
                     "admin; nothing was applied");
}

static int remember_spec(struct controller *controller, const struct buffer *text,
                         struct spec_revision revision, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, STORE_RECORD_BYTES_MAX);
    int result = spec_revision_record_write(&revision, &bytes, err);
    if (result == 0) {
        struct store_record records[] = {{RECORD_SPEC, text->data, text->length},
                                         {RECORD_SPEC_REVISION, bytes.data, bytes.length}};
        result = controller_remember(controller, records, 2, err);
    }
    buffer_finish(&bytes);
    return result;
}

static bool same_text(const struct buffer *a, const struct buffer *b)
{
    return a->length == b->length && memcmp(buffer_text(a), buffer_text(b), a->length) == 0;
}

static int apply(struct controller *controller, const struct spec_request *request,
                 struct spec_holder *holder, struct buffer *text, struct spec_outcome *outcome,
                 struct error *err)
{
    if (check_match(controller, request, err) || read_spec(controller, request, holder, outcome, err) ||
        check_access(controller, request, holder, err) || spec_write(&holder->spec, SPEC_JSON, text, err))
        return -1;
    size_t lines =
        spec_diff(controller->spec ? &controller->spec->spec : NULL, &holder->spec, &outcome->diff);
    outcome->changed = !controller->spec || !same_text(text, &controller->spec_text);
    outcome->revision = controller->spec_revision.revision;
    if (request->dry_run || !outcome->changed)
        return 0;
    struct spec_revision revision = {controller->spec_revision.revision + 1, controller_wall(controller)};
    struct preparation ready; /* first: what is durable is in force, and what is refused is neither */
    if (prepare_spec(controller, &holder->spec, &ready, err))
        return -1;
    if (remember_spec(controller, text, revision, err)) {
        preparation_finish(&ready, holder->spec.set_count);
        return -1;
    }
    take_prepared(controller, holder, &ready);
    controller->spec_revision = revision;
    outcome->revision = revision.revision;
    struct buffer former = controller->spec_text;
    controller->spec_text = *text;
    *text = former;
    char number[24], detail[48];
    snprintf(number, sizeof number, "%lld", (long long)revision.revision);
    snprintf(detail, sizeof detail, "%zu change%s", lines, lines == 1 ? "" : "s");
    controller_tell(controller, EVENT_SPEC_APPLIED, &(struct event_words){.to = number, .detail = detail});
    controller->environment.status_changed(controller->environment.context);
    controller_wake(controller);
    return 0;
}

int controller_apply_spec(struct controller *controller, const struct spec_request *request,
                          struct spec_outcome *outcome, struct error *err)
{
    struct spec_holder *holder = calloc(1, sizeof *holder);
    struct buffer text;
    if (!holder)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the spec");
    holder->references = 1;
    arena_init(&holder->arena, 64 << 20);
    buffer_init(&text, STORE_RECORD_BYTES_MAX);
    int result = apply(controller, request, holder, &text, outcome, err);
    /* The problems' sentences live as long as the answer, the spec perhaps much longer. */
    for (size_t i = 0; i < outcome->problems.count; i++) {
        struct spec_problem *problem = &outcome->problems.items[i];
        problem->message = arena_string(&outcome->arena, problem->message);
        problem->mark.file = arena_string(&outcome->arena, problem->mark.file);
    }
    spec_holder_release(holder);
    buffer_finish(&text);
    return result;
}
