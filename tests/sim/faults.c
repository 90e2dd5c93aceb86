/* The faults of a history: drawn in advance, so that some can be left out of it; begun, and ended before it
 * settles. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/faults.h"

static const struct {
    const char *option;
    int weight, least_s, most_s;
    const char *text;
} kinds[] = {
#define X(name, option, weight, least, most, text) {option, weight, least, most, text},
#include "tests/sim/faults.def"
#undef X
};

enum {
    LOAD_LEAST = 5
}; /* writes that the client has had acknowledged: a fault on an idle set proves little */

uint64_t faults_fired[FAULT_KINDS];

const char *fault_name(int kind)
{
    return kinds[kind].option;
}

int fault_kinds(void)
{
    return FAULT_KINDS;
}

/* ---- the plan ---- */

static int draw_kind(struct chance *chance)
{
    int total = 0, kind = 0;
    for (int i = 0; i < FAULT_KINDS; i++)
        total += kinds[i].weight;
    int64_t at = chance_between(chance, 0, total - 1);
    while (at >= kinds[kind].weight)
        at -= kinds[kind++].weight;
    return kind;
}

/* A third come close upon another, since what goes wrong together is what hurts; some come before the birth.
 */
void faults_plan(struct world *world, struct chance *chance)
{
    int64_t window_ms = chance_between(chance, 20000, 90000), at_ms = 0;
    world->fault_count = chance_of(chance, 5) ? 0 : (int)chance_between(chance, 1, 7);
    world->settle_from_ms = 5000;
    for (int i = 0; i < world->fault_count; i++) {
        int kind = draw_kind(chance);
        bool close = i > 0 && chance_of(chance, 35);
        at_ms = close ? at_ms + chance_between(chance, 1, 6000) : chance_between(chance, 500, window_ms);
        world->faults[i] = (struct planned_fault){
            .kind = kind,
            .at_ms = 1000 + at_ms,
            .lasts_ms = 1000 * chance_between(chance, kinds[kind].least_s, kinds[kind].most_s),
            .seed = chance_next(chance)};
    }
}

void faults_schedule(struct world *world, int64_t earlier_ms)
{
    world->fault_schedule++;
    world->settle_from_ms -= earlier_ms;
    for (int i = 0; i < world->fault_count; i++) {
        struct planned_fault *fault = &world->faults[i];
        if (fault->begun)
            continue;
        fault->at_ms -= earlier_ms;
        struct happening begin = {
            .at_ms = fault->at_ms, .kind = H_FAULT_BEGIN, .who = i, .life = world->fault_schedule};
        world_at(world, &begin);
        if (fault->at_ms + fault->lasts_ms > world->settle_from_ms)
            world->settle_from_ms = fault->at_ms + fault->lasts_ms;
    }
}

bool faults_hasten(struct world *world)
{
    int64_t next_ms = INT64_MAX;
    for (int i = 0; i < world->fault_count; i++)
        if (!world->faults[i].begun && world->faults[i].at_ms < next_ms)
            next_ms = world->faults[i].at_ms;
    if (next_ms == INT64_MAX)
        return false;
    int64_t at_ms = world->now_ms + 1 + next_ms % 1000;
    if (next_ms > at_ms)
        faults_schedule(world, next_ms - at_ms);
    return true;
}

/* ---- whom it hits ---- */

static struct site *pick_site(struct world *world, struct chance *chance)
{
    return &world->sites[chance_between(chance, 0, world->zone_count - 1)];
}

/* ---- faults of the controller ---- */

static void kill_controller(struct world *world, struct chance *chance)
{
    world->crashes++;
    world_trace(world, "controller", "is killed");
    brain_kill(&world->brains[0]);
    world_later(world, chance_between(chance, 100, 12000), H_BRAIN_START, 0, 0);
}

/* Its store's disk is copied away, it goes on elsewhere as the old one; here a new one starts. */
static bool double_controller(struct world *world)
{
    struct brain *old = &world->brains[1], *now = &world->brains[0];
    if (old->controller || !now->controller)
        return false;
    image_copy(&old->image, &now->image);
    brain_start(old);
    return true;
}

static bool foreign_disk_in_place(const struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].own_disk.exists)
            return true;
    return false;
}

static bool controller_fault(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    struct brain *brain = &world->brains[0];
    switch (fault->kind) {
    case FAULT_CONTROLLER_FUSE:
        brain->fuse = (int)chance_between(chance, 0, 12);
        return brain->controller != NULL;
    case FAULT_CONTROLLER_DOUBLED:
        return double_controller(world);
    case FAULT_STORE_FULL:
        brain->fails++;
        return true;
    case FAULT_STORE_LOST:
        if (foreign_disk_in_place(world))
            return false;
        brain_kill(brain);
        image_finish(&brain->image);
        world->forgotten = true;
        world_later(world, chance_between(chance, 100, 8000), H_BRAIN_START, 0, 0);
        world_later(world, chance_between(chance, 8500, 20000), H_SPEC, 0, 0);
        fault->lasts_ms = 20000;
        return true;
    case FAULT_STORE_OLD:
        if (!world->has_old_image && !foreign_disk_in_place(world)) { /* the first time it is only kept */
            image_copy(&world->old_image, &brain->image);
            world->has_old_image = true;
            fault->lasts_ms = chance_between(chance, 5000, 40000);
            return true;
        }
        return false;
    case FAULT_KEYFILE_ROTATED:
        return brain->controller && controller_rotate_keyfile(brain->controller, "mongo", NULL) == 0;
    case FAULT_CA_EXCHANGED:
        if (!world->tls || world->exchanges || brain->image.authority.other)
            return false;
        world->exchanges++;
        return true;
    case FAULT_CLOCK_JUMP:
        world->clock_offset_ms += chance_between(chance, -600000, 600000);
        return true;
    default:
        kill_controller(world, chance);
        return true;
    }
}

static void bring_old_image_back(struct world *world, struct chance *chance)
{
    world_trace(world, "store", "the old image is brought back");
    brain_kill(&world->brains[0]);
    image_copy(&world->brains[0].image, &world->old_image);
    world->has_old_image = false;
    world->forgotten = true;
    world_later(world, chance_between(chance, 100, 5000), H_BRAIN_START, 0, 0);
    world_later(world, 6000, H_SPEC, 0, 0);
}

/* ---- faults of the network between members ---- */

static void block(struct world *world, const struct planned_fault *fault, int by)
{
    int zone = fault->who;
    for (int other = 0; other < PLACES; other++) {
        if (other == zone || (other >= world->zone_count && other != CONTROLLER_PLACE))
            continue;
        bool members = other != CONTROLLER_PLACE;
        if (fault->kind == FAULT_PARTITION || (fault->kind == FAULT_MONGO_CUT && !members)) {
            world->blocked[zone][other] += by;
            world->blocked[other][zone] += by;
        } else if (fault->kind == FAULT_ONE_WAY &&
                   (fault->other ? other == (int)(fault->seed % ZONES_MAX) : members)) {
            world->blocked[zone][other] += by;
        }
    }
}

/* ---- beginning and end ---- */

static bool begin(struct world *world, struct planned_fault *fault, struct chance *chance)
{
    switch (fault->kind) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_MONGO_CUT:
        fault->who = pick_site(world, chance)->zone;
        fault->other = (int)chance_between(chance, 0, 1);
        block(world, fault, 1);
        return true;
    case FAULT_SWAP_MIDWAY:
        world->swaps_midway++;
        return true;
    case FAULT_ALL_MOVE:
        fault_of_all_addresses(world);
        return world->births > 0;
    case FAULT_SPEC_EDIT:
        for (int i = 0; i < 8; i++)
            if (wishes_edit(world, chance)) {
                world_later(world, 1, H_SPEC, 0, 0);
                return true;
            }
        return false;
    case FAULT_SET_AWAY:
        if (world->set_absent || !world->births)
            return false;
        world->set_absent = true;
        world_later(world, 1, H_SPEC, 0, 0);
        return true;
    default:
        break;
    }
    if (fault->kind >= FAULT_TOO_STALE)
        return fault_of_others(world, fault, chance);
    if (fault->kind <= FAULT_CLOCK_JUMP)
        return controller_fault(world, fault, chance);
    if (fault->kind <= FAULT_API_STALE || fault->kind == FAULT_ZONE_LOST || fault->kind == FAULT_ZONE_GONE) {
        struct site *site = pick_site(world, chance);
        fault->who = site->zone;
        return fault_of_zone(world, fault, site);
    }
    return fault_of_member(world, fault, chance);
}

void faults_begin(struct world *world, int index)
{
    struct planned_fault *fault = &world->faults[index];
    struct chance chance = {fault->seed};
    fault->begun = true;
    if (fault->dropped)
        return;
    fault->fired = begin(world, fault, &chance);
    if (!fault->fired)
        return;
    world->faults_under_load += world->acked_count >= LOAD_LEAST;
    faults_fired[fault->kind]++;
    world_trace(world, "FAULT", "%s (%s, %d)", kinds[fault->kind].text, kinds[fault->kind].option,
                fault->who);
    world->faults_in_force++;
    struct happening end = {.at_ms = world->now_ms + fault->lasts_ms, .kind = H_FAULT_END, .who = index};
    world_at(world, &end);
}

void faults_end(struct world *world, int index)
{
    struct planned_fault *fault = &world->faults[index];
    struct chance chance = {fault->seed + 1};
    int kind = fault->kind;
    world->faults_in_force--;
    if (fault->lasts_ms > 1000)
        world_trace(world, "FAULT", "is over: %s (%d)", kinds[kind].option, fault->who);
    if (kind == FAULT_PARTITION || kind == FAULT_ONE_WAY || kind == FAULT_MONGO_CUT)
        block(world, fault, -1);
    else if (kind == FAULT_CONTROLLER_DOUBLED)
        brain_kill(&world->brains[1]);
    else if (kind == FAULT_STORE_FULL)
        world->brains[0].fails--;
    else if (kind == FAULT_SWAP_MIDWAY)
        world->swaps_midway -= world->swaps_midway > 0;
    else if (kind == FAULT_STORE_OLD)
        bring_old_image_back(world, &chance);
    else if (kind == FAULT_NODE_DRAINED)
        world->slots[fault->who].no_pod--;
    else if (kind == FAULT_SET_AWAY) {
        world->set_absent = false;
        world_later(world, 1, H_SPEC, 0, 0);
    } else if (kind >= FAULT_TOO_STALE)
        fault_of_others_ends(world, fault);
    else if (kind > FAULT_CLOCK_JUMP && !fault_that_lasts(world, kind, &world->slots[fault->who], -1))
        if (kind <= FAULT_API_STALE || kind == FAULT_ZONE_LOST)
            fault_of_zone_ends(world, kind, &world->sites[fault->who]);
    if (world->now_ms > world->settle_from_ms)
        world->settle_from_ms = world->now_ms;
}
