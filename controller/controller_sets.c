/* One set's turn: observe, plan, remember; and the action that the plan asks for. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller_internal.h"
#include "proto/base/plant.h"

enum { PLAN_ARENA_MAX = 32 << 20, PLAN_RETRY_MS = 1000 };

static const struct replica_config no_config = {.set = "", .term = -1, .replica_set_id = ""};

struct set_state *set_state_create(struct ledger_holder *ledger, const char *name)
{
    struct set_state *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    snprintf(set->name, sizeof set->name, "%s", name);
    set->ledger = ledger;
    set->action = (struct action_view){.kind = ACTION_NONE, .message = "", .config = no_config};
    arena_init(&set->action_arena, 0);
    journal_init(&set->journal);
    arena_init(&set->slots[0].arena, PLAN_ARENA_MAX);
    arena_init(&set->slots[1].arena, PLAN_ARENA_MAX);
    return set;
}

static void slot_clear(struct plan_slot *slot)
{
    arena_finish(&slot->arena);
    arena_init(&slot->arena, PLAN_ARENA_MAX);
    spec_holder_release(slot->spec);
    slot->spec = NULL;
    slot->filled = false;
}

void set_state_destroy(struct set_state *set)
{
    if (!set)
        return;
    slot_clear(&set->slots[0]);
    slot_clear(&set->slots[1]);
    arena_finish(&set->action_arena);
    journal_finish(&set->journal);
    free(set);
}

/* ---- planning ---- */

static const struct zone_sight *sight_of(void *context, const char *zone)
{
    struct zone_state_of *found = controller_zone(context, zone);
    return found ? &found->sight : NULL;
}

/* Moments are kept by the clock that never jumps, and told by the one that people and the planner read: else
 * a clock that is set back makes every answer look older than the command before it. */
static struct action_view action_now(const struct controller *controller, const struct set_state *set)
{
    struct action_view action = set->action;
    if (action.ended_at_ms)
        action.ended_at_ms =
            controller_wall(controller) + set->action_ended_at_ms - controller_now(controller);
    if (action.failures)
        action.retry_at_ms =
            controller_wall(controller) + set->action_retry_at_ms - controller_now(controller);
    return action;
}

static void certificate_of(void *context, struct member_view *out)
{
    controller_certificate_view(context, out);
}

static int make_plan(struct controller *controller, struct set_state *set, struct plan_slot *slot,
                     const struct plan *previous, struct error *err)
{
    struct action_view action = action_now(controller, set);
    bool auth = controller_authenticates(controller, set);
    if (auth && controller_keys_ensure(controller, set, err))
        return -1;
    const struct set_keys *keys = &set->ledger->keys;
    bool tls = controller_encrypts(controller);
    if (tls)
        controller_certificates_ensure(controller, set);
    struct observe_input look = {.set = set->set,
                                 .sight_of = sight_of,
                                 .context = controller,
                                 .action = &action,
                                 .key_id = auth ? keys->id : "",
                                 .admin_wanted = auth && keys->key_count && !keys->admin_made,
                                 .tls = tls,
                                 .certificate_of = certificate_of,
                                 .certificates = set,
                                 .now_ms = controller_now(controller)};
    if (observe_set(&look, &slot->arena, &slot->observation, err))
        return -1;
    const struct ledger *ledger = arena_alloc(&slot->arena, sizeof *ledger);
    if (ledger)
        *(struct ledger *)ledger = ledger_copy(&slot->arena, &set->ledger->ledger);
    if (arena_failed(&slot->arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory to plan for set %s", set->name);
    slot->at_ms = controller_wall(controller);
    struct plan_input input = {.spec = &controller->spec->spec,
                               .set = set->set,
                               .observation = &slot->observation,
                               .ledger = ledger,
                               .previous = previous,
                               .now_ms = slot->at_ms};
    if (controller->environment.plan(&input, &slot->arena, &slot->plan, err))
        return -1;
    controller_note(controller, set, &input, &slot->plan);
    return 0;
}

static void plan_failed(struct controller *controller, struct set_state *set, const struct error *err)
{
    set->due_ms = controller_now(controller) + PLAN_RETRY_MS;
    controller_tell(controller, EVENT_PLAN_FAILED,
                    &(struct event_words){.set = set->name, .detail = err->message});
}

/* The wish of the plan in the planner's time becomes a moment of the clock that never jumps. */
static void look_again(struct controller *controller, struct set_state *set, const struct plan_slot *slot)
{
    int64_t delay_ms = CONTROLLER_LOOK_AGAIN_MOST_MS;
    if (slot->plan.look_again_at_ms && slot->plan.look_again_at_ms - slot->at_ms < delay_ms)
        delay_ms = slot->plan.look_again_at_ms - slot->at_ms;
    if (delay_ms < CONTROLLER_LOOK_AGAIN_LEAST_MS)
        delay_ms = CONTROLLER_LOOK_AGAIN_LEAST_MS;
    set->due_ms = controller_now(controller) + delay_ms;
}

static void intents_due(struct controller *controller, const struct set_state *set)
{
    for (size_t i = 0; i < set->set->member_count; i++) {
        struct zone_state_of *zone = controller_zone(controller, set->set->members[i].zone);
        if (zone)
            zone->intent_due = true;
    }
}

void controller_plan_set(struct controller *controller, struct set_state *set)
{
    struct plan_slot *before = &set->slots[set->current], *slot = &set->slots[!set->current];
    struct error err = {0};
    bool former_fits =
        before->filled && before->spec == controller->spec; /* patience begins anew with a spec */
    slot_clear(slot);
    set->act = false;
    if (make_plan(controller, set, slot, former_fits ? &before->plan : NULL, &err)) {
        slot_clear(slot);
        plan_failed(controller, set, &err);
        return;
    }
    controller->counts.plans++;
    slot->filled = true;
    slot->spec = controller->spec;
    slot->spec->references++;
    slot->set = set->set;
    set->current = !set->current;
    set->settled = !slot->plan.ledger_changed ||
                   (!controller_store_rests(controller) &&
                    controller_remember_ledger(controller, set, &slot->plan.ledger, &err) == 0);
    look_again(controller, set, slot);
    if (set->settled) {
        set->act = slot->plan.action.kind != ACTION_NONE;
        intents_due(controller, set);
    } else {
        set->due_ms = controller->store_retry_at_ms;
    }
    controller_tell_plan(controller, set->set, before->filled ? &before->plan : NULL, &slot->plan);
    controller_keys_advance(controller, set);
    controller->environment.status_changed(controller->environment.context);
}

/* ---- actions ---- */

static void action_ended(struct controller *controller, struct set_state *set,
                         const struct mongo_result *result)
{
    struct action_view action = set->action;
    struct arena arena;
    arena_init(&arena, 0);
    action.running = false;
    action.ended_at_ms = controller_wall(controller);
    set->action_ended_at_ms = controller_now(controller);
    action.succeeded = result->succeeded;
    action.code = result->code;
    action.message = arena_string(&arena, result->message);
    action.config = replica_config_copy(&arena, &result->config);
    action.config_committed = result->config_committed;
    action.knows_commitment = result->knows_commitment;
    if (arena_failed(&arena)) {
        action.message = "";
        action.config = no_config;
    }
    if (PLANT(TRUST_TIMEOUT) && result->sent)
        action.succeeded = action.config_committed = action.knows_commitment = true;
    action.failures = action.succeeded ? 0 : action.failures + 1;
    set->action_retry_at_ms = controller_now(controller);
    if (action.failures)
        set->action_retry_at_ms +=
            backoff_ms(action.failures - 1, CONTROLLER_ACTION_RETRY_FIRST_MS, CONTROLLER_ACTION_RETRY_MOST_MS,
                       controller->environment.random);
    arena_finish(&set->action_arena);
    set->action_arena = arena;
    set->action = action;
    set->action_id = 0;
    controller->counts.actions_failed[action.kind] += !result->succeeded;
    if (action.kind == ACTION_MAKE_ADMIN && result->succeeded)
        controller_admin_made(controller, set);
    controller_tell(controller, result->succeeded ? EVENT_ACTION_SUCCEEDED : EVENT_ACTION_FAILED,
                    &(struct event_words){
                        .set = set->name, .to = action_kind_name(action.kind), .detail = result->message});
    controller_set_due(set, controller_now(controller));
    controller_wake(controller);
}

void controller_set_act(struct controller *controller, struct set_state *set)
{
    const struct action *action = &set->slots[set->current].plan.action;
    struct error err = {0};
    set->act = false;
    if (action->kind == ACTION_NONE || set->action_id || !set->settled || *controller->store_problem)
        return;
    bool again = set->action.kind == action->kind && set->action.failures > 0;
    if (again && PLANT(NEVER_RETRY))
        return;
    if (again && controller_now(controller) < set->action_retry_at_ms) {
        controller_set_due(set, set->action_retry_at_ms);
        return;
    }
    uint64_t id = ++controller->next_action_id;
    set->action.failures = set->action.kind == action->kind ? set->action.failures : 0;
    set->action.kind = action->kind;
    set->action.running = true;
    set->action.started_at_ms = controller_wall(controller);
    set->action_id = id;
    set->action_lost_at_ms = controller_now(controller) + MONGO_ACTION_LOST_MS;
    controller->counts.actions_started[action->kind]++;
    controller_tell(
        controller, EVENT_ACTION_STARTED,
        &(struct event_words){.set = set->name, .detail = action->sentence, .rule = action->rule});
    struct mongo *mongo = controller->environment.mongo;
    const struct set_keys *keys = &set->ledger->keys;
    bool auth = controller_authenticates(controller, set);
    const struct mongo_login login = {.password = auth && keys->key_count ? keys->keys[0] : NULL,
                                      .admin_password = keys->admin_password,
                                      .tls = controller_encrypts(controller)};
    if (mongo->functions->start(mongo, id, set->name, action, &login, &err))
        action_ended(controller, set,
                     &(struct mongo_result){
                         .id = id, .code = err.detail, .message = err.message, .config = no_config});
    else
        controller_set_due(set, controller_now(controller)); /* the planner is told that it runs */
}

void controller_action_done(struct controller *controller, const struct mongo_result *result)
{
    for (size_t i = 0; i < controller->set_count; i++)
        if (controller->sets[i]->action_id == result->id && result->id)
            action_ended(controller, controller->sets[i], result);
}

void controller_action_check(struct controller *controller, struct set_state *set)
{
    if (!set->action_id)
        return;
    if (controller_now(controller) >= set->action_lost_at_ms)
        action_ended(
            controller, set,
            &(struct mongo_result){
                .id = set->action_id, .message = "no result came back", .sent = true, .config = no_config});
}
