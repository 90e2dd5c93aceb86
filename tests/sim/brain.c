/* Hosts a real controller: its clock, its wakes, its death in the middle of a step, and what is looked at in
 * its plans. Two may run at once: the one that rules, and an old one that does not know that it is deposed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/story.h"
#include "tests/sim/world.h"

static int64_t monotonic(void *context)
{
    (void)context;
    return the_world->now_ms;
}

static int64_t wall(void *context)
{
    (void)context;
    return the_world->now_ms + WALL_AT_START_MS + the_world->clock_offset_ms;
}

static uint64_t next_random(void *context)
{
    (void)context;
    return chance_next(&the_world->chance);
}

const struct random sim_random = {next_random, NULL};
static const struct clock sim_clock = {monotonic, wall, NULL};

bool brain_effect(struct brain *brain)
{
    brain->dying_before = brain->dying;
    if (brain->dying)
        return false;
    if (brain->fuse >= 0 && brain->fuse-- == 0)
        brain->dying = true;
    return !brain->dying;
}

static const char *brain_name(const struct brain *brain)
{
    return brain->index ? "oldctl" : "controller";
}

/* ---- the environment ---- */

static void wake_at(void *context, int64_t monotonic_ms)
{
    struct brain *brain = context;
    int64_t now_ms = brain->world->now_ms;
    struct happening wake = {.at_ms = monotonic_ms < now_ms ? now_ms : monotonic_ms,
                             .kind = H_BRAIN_WAKE,
                             .who = brain->index,
                             .id = ++brain->wake,
                             .life = brain->life};
    world_at(brain->world, &wake);
}

static void intent_changed(void *context, const char *zone)
{
    struct brain *brain = context;
    if (brain_effect(brain))
        link_news(brain, zone);
}

static void status_changed(void *context)
{
    (void)context;
}

static void event_happened(void *context, const struct event *event)
{
    struct brain *brain = context;
    story_event(brain, event);
    if (brain->world->tracing && event->reason != EVENT_WAIT_BEGAN && event->reason != EVENT_WAIT_ENDED)
        world_trace(brain->world, brain_name(brain), "%s", event->message);
}

static int plan(const struct plan_input *input, struct arena *arena, struct plan *out, struct error *err)
{
    int result = plan_set(input, arena, out, err);
    if (result)
        return result;
    coverage_rule(out->rule);
    for (size_t i = 0; i < out->member_count; i++)
        coverage_rule(out->members[i].rule);
    check_plan(the_world, input, out);
    story_planned(input, out);
    return 0;
}

/* ---- life ---- */

void brain_start(struct brain *brain)
{
    const struct controller_environment environment = {
        .clock = &sim_clock,
        .random = &sim_random,
        .store = &brain->store,
        .mongo = &brain->mongo,
        .plan = plan,
        .wake_at = wake_at,
        .intent_changed = intent_changed,
        .status_changed = status_changed,
        .event_happened = event_happened,
        .context = brain,
        .random_text = brain->world->auth ? authority_random_text : NULL,
        .certify = brain->world->tls ? authority_certify : NULL,
        .trusted = brain->world->tls ? authority_trusted : NULL};
    struct error err = {0};
    authority_begin(brain);
    brain->life++;
    brain->heard = 0;
    brain->intended_before = false;
    for (size_t i = 0; i < brain->image.count; i++)
        brain->intended_before |= strstr(brain->image.records[i].data, "\"birth\":\"intended\"") != NULL;
    brain->dying = brain->dying_before = false;
    if (controller_start(&environment, &brain->controller, &err)) {
        brain->controller = NULL;
        world_trace(brain->world, brain_name(brain), "can't start: %s", err.message);
        world_later(brain->world, 1000, H_BRAIN_START, brain->index, 0);
    }
}

void brain_kill(struct brain *brain)
{
    if (!brain->controller)
        return;
    controller_destroy(brain->controller);
    brain->controller = NULL;
    brain->life++;
    brain->fuse = -1;
    brain->dying = false;
    for (int zone = 0; zone < brain->world->zone_count && brain->index == 0; zone++)
        link_break(&brain->world->sites[zone]);
}

/* What began dying within its own step is dead now, and comes back after a while. */
static void bury(struct brain *brain)
{
    if (!brain->dying)
        return;
    world_trace(brain->world, brain_name(brain), "dies in the middle of a step");
    brain->world->crashes++;
    brain_kill(brain);
    if (brain->index == 0)
        world_later(brain->world, chance_between(&brain->world->chance, 200, 6000), H_BRAIN_START, 0, 0);
}

void brain_wake(struct brain *brain, const struct happening *happening)
{
    if (!brain->controller || happening->life != brain->life || happening->id != brain->wake)
        return;
    controller_tick(brain->controller);
    bury(brain);
}

void brain_result(struct brain *brain, const struct mongo_result *result)
{
    controller_action_done(brain->controller, result);
    bury(brain);
}

/* ---- the user ---- */

static void apply(struct brain *brain, const struct buffer *text)
{
    struct spec_request request = {.source = {"spec", buffer_text(text), text->length}, .if_match = -1};
    struct spec_outcome *outcome = calloc(1, sizeof *outcome);
    struct error err = {0};
    spec_outcome_init(outcome);
    int result = controller_apply_spec(brain->controller, &request, outcome, &err);
    if (result && err.code == ERROR_INVALID) {
        fprintf(stderr, "atoll-sim: its own spec is refused: %s\n%s",
                outcome->problems.count ? outcome->problems.items[0].message : err.message,
                buffer_text(text));
        abort();
    }
    if (result)
        world_later(brain->world, 2000, H_SPEC, 0, 0);
    spec_outcome_finish(outcome);
    free(outcome);
    bury(brain);
}

void brain_apply(struct brain *brain)
{
    struct buffer text;
    if (!brain->controller) {
        world_later(brain->world, 2000, H_SPEC, 0, 0);
        return;
    }
    buffer_init(&text, 0);
    wishes_write(brain->world, &text);
    apply(brain, &text);
    buffer_finish(&text);
}

static const struct plan *shown_plan(struct brain *brain)
{
    struct federation_view view;
    if (!brain->controller)
        return NULL;
    controller_view(brain->controller, &view);
    return view.set_count ? view.sets[0].plan : NULL;
}

int brain_row(struct brain *brain)
{
    const struct plan *plan = shown_plan(brain);
    return plan ? plan->rule : 0;
}

/* The phase that the status shows; -1 when it shows none. */
enum set_phase brain_phase(struct brain *brain)
{
    const struct plan *plan = shown_plan(brain);
    return plan ? plan->phase : (enum set_phase) - 1;
}
