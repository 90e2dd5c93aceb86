/* One history: its beginning, its turns, its end. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_EVERY_MS = 1000,
    SETTLED_FOR_MS = 6000,   /* so long it must stay as it is wanted */
    QUIET_FOR_MS = 2000,     /* so long before the next fault is drawn near */
    SETTLE_MOST_MS = 300000, /* after the last fault has ended: invariant 11's bound */
    OPERATOR_COMES_AFTER_MS = 20000,
    OPERATOR_RESTARTS_AFTER_MS = 5000,
    HAPPENINGS_MOST = 400000, /* a history that never comes to rest is a bug of its own */
};

#define NEVER_MS (INT64_MAX / 4)

struct world *the_world;

const char *slot_name(const struct member_slot *slot)
{
    static const char *const names[] = {"node0", "node1", "node2", "node3", "node4",
                                        "node5", "node6", "node7", "node8"};
    return names[slot->ordinal];
}

void world_trace(struct world *world, const char *who, const char *format, ...)
{
    char text[700];
    va_list args;
    if (!world->tracing)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_printf(world->trace, "%4lld.%03d  %-10s %s\n", (long long)(world->now_ms / 1000),
                  (int)(world->now_ms % 1000), who, text);
}

void violate(struct world *world, int invariant, const char *format, ...)
{
    va_list args;
    if (world->violated)
        return;
    world->violated = invariant;
    va_start(args, format);
    vsnprintf(world->violation, sizeof world->violation, format, args);
    va_end(args);
    world_trace(world, "VIOLATED", "invariant %d: %s", invariant, world->violation);
}

void world_at(struct world *world, const struct happening *happening)
{
    queue_push(&world->queue, happening);
}

void world_later(struct world *world, int64_t delay_ms, enum happening_kind kind, int who, uint64_t life)
{
    struct happening happening = {.at_ms = world->now_ms + delay_ms, .kind = kind, .who = who, .life = life};
    queue_push(&world->queue, &happening);
}

static void init_sites(struct world *world)
{
    for (int zone = 0; zone < world->zone_count; zone++) {
        struct site *site = &world->sites[zone];
        site->driver.functions = &site_functions;
        site->world = world;
        site->zone = zone;
        snprintf(site->name, sizeof site->name, "z%d", zone + 1);
        world_later(world, chance_between(&world->chance, 0, 3000), H_AGENT_START, zone, site->life);
        world_later(world, 100 * zone, H_STREAM, zone, 0);
    }
}

static void init_brains(struct world *world)
{
    for (int i = 0; i < BRAINS; i++) {
        struct brain *brain = &world->brains[i];
        brain->store.functions = &vault_functions;
        brain->mongo.functions = &actions_functions;
        brain->world = world;
        brain->index = i;
        brain->fuse = -1;
    }
    world_later(world, 0, H_BRAIN_START, 0, 0);
    world_later(world, 400, H_SPEC, 0, 0);
}

void world_init_quiet(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->chance.state = seed * 2;
    world->now_ms = 1000; /* 0 means never in more than one place */
    for (int i = 0; i <= ORDINALS_MAX; i++) {
        world->slots[i].ordinal = i;
        world->slots[i].node.self = -1;
    }
    for (int i = 0; i < 256; i++)
        world->id_owner[i] = 0;
    world->settle_from_ms = NEVER_MS;
}

void world_init(struct world *world, uint64_t seed)
{
    struct chance faults = {seed * 2 + 1};
    world_init_quiet(world, seed);
    world->settle_from_ms = 0;
    wishes_init(world);
    faults_plan(world, &faults);
    world_begin(world);
}

void world_begin(struct world *world)
{
    init_brains(world);
    init_sites(world);
    faults_schedule(world, 0);
    world_later(world, CHECK_EVERY_MS, H_CHECK, 0, 0);
    world_later(world, 2000, H_CLIENT, 0, 0);
}

void world_finish(struct world *world)
{
    for (int i = 0; i < BRAINS; i++) {
        if (world->brains[i].controller)
            controller_destroy(world->brains[i].controller);
        image_finish(&world->brains[i].image);
    }
    image_finish(&world->old_image);
    for (int zone = 0; zone < ZONES_MAX; zone++) {
        agent_destroy(world->sites[zone].agent);
        for (size_t i = 0; i < 2; i++)
            free(world->sites[zone].files[i].text);
    }
    for (int i = 0; i <= ORDINALS_MAX; i++) {
        free(world->slots[i].disk.data);
        free(world->slots[i].own_disk.data);
    }
    queue_finish(&world->queue);
}

/* ---- turns ---- */

/* Quiet seconds prove nothing: once all is well the faults that are still to come are drawn near. */
static bool settled_for_long(struct world *world)
{
    if (world->faults_in_force || !check_settled(world)) {
        world->healthy_since_ms = 0;
        return false;
    }
    if (!world->healthy_since_ms)
        world->healthy_since_ms = world->now_ms;
    int64_t for_ms = world->now_ms - world->healthy_since_ms;
    if (for_ms >= QUIET_FOR_MS && faults_hasten(world))
        world->healthy_since_ms = 0;
    return world->now_ms >= world->settle_from_ms && for_ms >= SETTLED_FOR_MS;
}

static void happen_with_agents(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    switch ((enum happening_kind)happening->kind) {
    case H_AGENT_WAKE:
        agent_host_wake(site, happening);
        break;
    case H_AGENT_START:
        if (happening->life == site->life)
            agent_host_start(site);
        break;
    case H_MESSAGE:
        link_message(world, happening);
        break;
    case H_ANSWER:
        link_answer(world, happening);
        break;
    case H_STREAM:
        link_stream(world, happening);
        break;
    case H_INTENT:
        link_intent(world, happening);
        break;
    case H_STEP:
        site_step(world, happening);
        break;
    case H_SITE:
        site_told(world, happening);
        break;
    default:
        agent_host_probe(site, happening);
        break;
    }
}

/* Before 4.4 a mongod that did not find itself looks again only when it is started anew: a person sees "has
 * not taken it over yet" and does that. */
static void restart_lost(struct world *world, struct member_slot *slot)
{
    bool lost = !world->modern && slot->node.up && slot->node.state == MEMBER_REMOVED &&
                node_is_listed(slot) && strcmp(slot->address, world->foreign_host) != 0;
    if (!lost || !slot->lost_self_ms)
        slot->lost_self_ms = lost ? world->now_ms : 0;
    else if (world->now_ms - slot->lost_self_ms > OPERATOR_COMES_AFTER_MS)
        pod_kill(world, slot, 500);
}

static bool said_for_long(struct world *world, int64_t *since_ms, bool now, int64_t for_ms)
{
    if (!now || !*since_ms)
        *since_ms = now ? world->now_ms : 0;
    return *since_ms && world->now_ms - *since_ms > for_ms;
}

/* A member that its own agent has lost the CA of, since store and agent's files went together, is silent to
 * it: row 223. */
static void restart_disowned(struct world *world, struct member_slot *slot)
{
    bool disowned =
        slot->node.up && world->forgotten && world->sites[slot->zone].agent && !agent_host_admits(slot);
    if (said_for_long(world, &slot->disowned_ms, disowned, OPERATOR_COMES_AFTER_MS))
        pod_kill(world, slot, 500);
}

/* Row 87: with two voters somebody must take one away; row 86: the same, when one of three is lost for good.
 */
static void restart_stale(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        struct member_slot *slot = &world->slots[i];
        bool stale = strcmp(slot->loaded.key_id, slot->brought.key_id) != 0 ||
                     slot->loaded.serial != slot->brought.serial;
        if (!slot->node.up || !stale)
            continue;
        world_trace(world, "person", "restarts %s, since nobody else may", slot_name(slot));
        pod_kill(world, slot, 500);
        return;
    }
}

/* Row 55: old servers whose CA is lost are all started anew at one moment. */
static void restart_all(struct world *world)
{
    world_trace(world, "person", "restarts all members, so that they load certificates of the new CA");
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].node.up)
            pod_kill(world, &world->slots[i], 500);
}

/* What a person is asked to do in the end. */
static void operate(struct world *world)
{
    int row = brain_row(&world->brains[0]);
    /* Where a zone is gone too, nobody knows enough to say AddressesLost; the members' own rows tell. */
    bool lost = world->now_ms > world->settle_from_ms + (world->lost_for_good ? 60000 : 0) &&
                (world->lost_for_good || row == 57 || row == 59 || row == 73 ||
                 brain_phase(&world->brains[0]) == PHASE_ADDRESSES_LOST);
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        restart_lost(world, &world->slots[i]);
        restart_disowned(world, &world->slots[i]);
    }
    if (said_for_long(world, &world->addresses_lost_ms, lost, OPERATOR_COMES_AFTER_MS))
        faults_give_addresses_back(world);
    if (said_for_long(world, &world->ca_lost_ms, row == 55, OPERATOR_COMES_AFTER_MS)) {
        restart_all(world);
        world->ca_lost_ms = 0;
    }
    if (said_for_long(world, &world->few_voters_ms, row == 87 || (row == 86 && world->lost_for_good),
                      OPERATOR_RESTARTS_AFTER_MS)) {
        restart_stale(world);
        world->few_voters_ms = 0;
    }
    authority_exchange(world);
}

static void happen(struct world *world, const struct happening *happening)
{
    struct brain *brain = &world->brains[happening->kind == H_BRAIN_WAKE ? happening->who : 0];
    switch ((enum happening_kind)happening->kind) {
    case H_BRAIN_WAKE:
        brain_wake(brain, happening);
        break;
    case H_BRAIN_START:
        if (!brain->controller)
            brain_start(brain);
        break;
    case H_POD:
        pod_turn(world, happening);
        break;
    case H_NODE:
        node_turn(world, happening);
        break;
    case H_ACTION:
        actions_turn(world, happening);
        break;
    case H_CLIENT:
        client_turn(world);
        break;
    case H_SPEC:
        brain_apply(brain);
        break;
    case H_FAULT_BEGIN:
        if (happening->life == world->fault_schedule)
            faults_begin(world, happening->who);
        break;
    case H_FAULT_END:
        faults_end(world, happening->who);
        break;
    case H_CHECK:
        check_status(world);
        check_understood(world);
        operate(world);
        world_later(world, CHECK_EVERY_MS, H_CHECK, 0, 0);
        break;
    default:
        happen_with_agents(world, happening);
        break;
    }
}

static bool goes_on(struct world *world, int happenings)
{
    if (world->violated)
        return false;
    if (happenings > HAPPENINGS_MOST)
        violate(world, 11, "the world never comes to rest: more than %d happenings", HAPPENINGS_MOST);
    if (world->now_ms > world->settle_from_ms + SETTLE_MOST_MS)
        check_never_settled(world);
    return !world->violated && !world->operator_needed;
}

static bool turn(struct world *world, struct happening *happening)
{
    if (!queue_pop(&world->queue, happening))
        return false;
    world->now_ms = happening->at_ms;
    happen(world, happening);
    free(happening->text);
    return true;
}

void world_turn(struct world *world)
{
    struct happening happening;
    turn(world, &happening);
}

void world_run(struct world *world)
{
    struct happening happening;
    int happenings = 0;
    the_world = world;
    while (goes_on(world, ++happenings) && turn(world, &happening))
        if (happening.kind == H_CHECK && settled_for_long(world))
            break;
    the_world = NULL;
}
