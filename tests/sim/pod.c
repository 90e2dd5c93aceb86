/* Pods: what a ReplicationController starts and stops, and the mongod in them. Whoever deletes a pod gets its
 * successor at once, while the old one still ends, and has the disk; the successor starts once it is gone:
 * ReadWriteOncePod, or mongod's lock, sees to that. */
#include <string.h>

#include "tests/sim/world.h"

enum pod_turn_kind { POD_START = 1, POD_READY, POD_GONE, POD_OLD_GONE, POD_EVICTED };

static void later(struct world *world, struct member_slot *slot, int64_t delay_ms, enum pod_turn_kind kind)
{
    struct happening turn = {.at_ms = world->now_ms + delay_ms,
                             .kind = H_POD,
                             .who = slot->ordinal,
                             .other = (int)kind,
                             .life = kind == POD_OLD_GONE ? slot->old_life : slot->pod_life};
    world_at(world, &turn);
}

static bool is_wanted(const struct member_slot *slot)
{
    return slot->controller && slot->replicas > 0;
}

bool pod_is_there(const struct member_slot *slot)
{
    return slot->pod || slot->old;
}

void pod_manage(struct world *world, struct member_slot *slot)
{
    bool wanted = is_wanted(slot);
    if (slot->pod && !wanted && slot->old) { /* the successor, which has never run */
        slot->pod = slot->pod_pending = false;
        slot->pod_life++;
    } else if (slot->pod && !wanted && !slot->terminating) {
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
    slot->old = slot->attached = false;
    slot->old_life++;
    slot->pod_life++;
    site_changed(world, slot->zone);
}

/* The old one is still there for a while, with its mongod; its successor's object is there in a moment. */
static void leave(struct world *world, struct member_slot *slot)
{
    slot->old = true;
    slot->old_life++;
    slot->pod = slot->running = slot->ready = slot->attached = false;
    slot->pod_pending = true;
    slot->pod_life++;
    later(world, slot, chance_between(&world->chance, 50, 3000), POD_OLD_GONE);
    later(world, slot, chance_between(&world->chance, 50, 800), POD_START);
    site_changed(world, slot->zone);
}

void pod_delete(struct world *world, struct member_slot *slot)
{
    if (slot->terminating || slot->old)
        return;
    if (is_wanted(slot)) {
        leave(world, slot);
        return;
    }
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

static bool waits(const struct world *world, const struct member_slot *slot)
{
    return slot->old || slot->no_pod || slot->node_lost || slot->disk_failed ||
           (slot->slow_attach && !slot->attached) || world->sites[slot->zone].down ||
           (slot->disk.exists && slot->disk.ready_ms > world->now_ms);
}

static void start(struct world *world, struct member_slot *slot)
{
    if (!is_wanted(slot) || slot->running) {
        slot->pod_pending = false;
        return;
    }
    if (waits(world, slot)) {
        if (!slot->pod) { /* its object is there, and pending */
            slot->pod = true;
            site_changed(world, slot->zone);
        }
        later(world, slot, 500, POD_START);
        return;
    }
    slot->pod_pending = false;
    if (!slot->disk.exists || strcmp(slot->disk.id, slot->bound) != 0) {
        slot->replicas = 0; /* the claim is bound to one disk, and that one is gone */
        forget(world, slot);
        return;
    }
    check_mounted(world, slot);
    slot->pod = slot->running = slot->attached = true;
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
    if (slot->old)
        node_stop(world, slot); /* that is the old one's */
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

void pod_lose_node(struct world *world, struct member_slot *slot)
{
    node_stop(world, slot);
    slot->node_lost++;
    later(world, slot, chance_between(&world->chance, 1000, 15000), POD_EVICTED);
}

/* What ended there is known to have ended; what nobody has deleted is started again. */
void pod_find_node(struct world *world, struct member_slot *slot)
{
    if (--slot->node_lost == 0 && !slot->node.up && !slot->old)
        pod_kill(world, slot, 500);
}

void pod_turn(struct world *world, const struct happening *happening)
{
    struct member_slot *slot = &world->slots[happening->who];
    enum pod_turn_kind kind = (enum pod_turn_kind)happening->other;
    if (happening->life != (kind == POD_OLD_GONE ? slot->old_life : slot->pod_life))
        return;
    if (slot->node_lost && (kind == POD_GONE || kind == POD_OLD_GONE)) {
        later(world, slot, 500, kind); /* nobody there can say that it has ended */
        return;
    }
    switch (kind) {
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
    case POD_OLD_GONE:
        node_stop(world, slot);
        slot->old = false;
        site_changed(world, slot->zone);
        break;
    case POD_EVICTED: /* by the cluster, which has not heard of the node for long */
        if (slot->node_lost)
            pod_delete(world, slot);
        break;
    }
}
