/* Pods: what a ReplicationController starts and stops, and the mongod in them. */
#include <string.h>

#include "tests/sim/world.h"

enum pod_turn_kind { POD_START = 1, POD_READY, POD_GONE };

static void later(struct world *world, struct member_slot *slot, int64_t delay_ms, enum pod_turn_kind kind)
{
    struct happening turn = {.at_ms = world->now_ms + delay_ms,
                             .kind = H_POD,
                             .who = slot->ordinal,
                             .other = (int)kind,
                             .life = slot->pod_life};
    world_at(world, &turn);
}

void pod_manage(struct world *world, struct member_slot *slot)
{
    bool wanted = slot->controller && slot->replicas > 0;
    if (slot->pod && !wanted && !slot->terminating) {
        slot->terminating = true;
        later(world, slot, chance_between(&world->chance, 100, 3000), POD_GONE);
    } else if (!slot->pod && wanted && !slot->pod_pending) {
        slot->pod_pending = true;
        later(world, slot, chance_between(&world->chance, 50, 800), POD_START);
    }
}

static void forget(struct world *world, struct member_slot *slot)
{
    node_stop(world, slot);
    slot->pod = slot->running = slot->ready = slot->terminating = slot->pod_pending = false;
    slot->pod_life++;
    site_changed(world, slot->zone);
}

void pod_delete(struct world *world, struct member_slot *slot)
{
    if (slot->terminating)
        return;
    slot->terminating = true;
    later(world, slot, chance_between(&world->chance, 50, 3000), POD_GONE);
    site_changed(world, slot->zone);
}

/* The pod's object is gone; its controller makes another one. */
void pod_remove(struct world *world, struct member_slot *slot)
{
    forget(world, slot);
    pod_manage(world, slot);
}

static void start(struct world *world, struct member_slot *slot)
{
    bool wanted = slot->controller && slot->replicas > 0;
    if (!wanted || slot->running) {
        slot->pod_pending = false;
        return;
    }
    if (slot->no_pod || slot->disk_failed || world->sites[slot->zone].down ||
        (slot->disk.exists && slot->disk.ready_ms > world->now_ms)) {
        later(world, slot, 500, POD_START);
        return;
    }
    slot->pod_pending = false;
    if (!slot->disk.exists || strcmp(slot->disk.id, slot->bound) != 0) {
        slot->replicas = 0; /* the claim is bound to one disk, and that one is gone */
        forget(world, slot);
        return;
    }
    slot->pod = slot->running = true;
    papers_load(&slot->loaded, &slot->brought, node_version(world, slot)); /* a pod bears its keyfile's id */
    slot->disk.used = true;
    slot->pod_life++;
    later(world, slot,
          slot->slow_start ? chance_between(&world->chance, 3000, 30000)
                           : chance_between(&world->chance, 50, 1200),
          POD_READY);
    site_changed(world, slot->zone);
}

void pod_kill(struct world *world, struct member_slot *slot, int64_t back_ms)
{
    if (!slot->running)
        return;
    node_stop(world, slot);
    slot->running = slot->ready = false;
    slot->pod_life++;
    slot->restarts++;
    if (slot->terminating)
        later(world, slot, 100, POD_GONE);
    else {
        slot->pod_pending = true;
        later(world, slot, back_ms, POD_START);
    }
    site_changed(world, slot->zone);
}

void pod_turn(struct world *world, const struct happening *happening)
{
    struct member_slot *slot = &world->slots[happening->who];
    if (happening->life != slot->pod_life)
        return;
    switch ((enum pod_turn_kind)happening->other) {
    case POD_START:
        start(world, slot);
        break;
    case POD_READY:
        slot->ready = true;
        node_start(world, slot);
        site_changed(world, slot->zone);
        break;
    case POD_GONE:
        forget(world, slot);
        pod_manage(world, slot);
        break;
    }
}
