/* What a zone holds, and the driver that shows it to the agent and performs its steps: what an API server,
 * its disks and load balancers would do, in their own time, with their own failures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static struct site *site_of(struct driver *driver)
{
    return (struct site *)driver; /* it is the first member */
}

/* ---- what is shown ---- */

static void see(const struct world *world, const struct member_slot *slot, struct slot_seen *seen)
{
    *seen = (struct slot_seen){.disk_exists = slot->disk.exists,
                               .disk_ready = slot->disk.exists && slot->disk.ready_ms <= world->now_ms,
                               .disk_used = slot->disk.used,
                               .service = slot->service,
                               .controller = slot->controller,
                               .pod = slot->pod,
                               .running = slot->running,
                               .ready = slot->ready,
                               .terminating = slot->terminating,
                               .replicas = slot->replicas,
                               .life = slot->pod_life,
                               .restarts = slot->restarts,
                               .disk_failed = slot->disk_failed > 0,
                               .foreign = slot->foreign_object > 0,
                               .disk_stale = slot->disk_stale && slot->disk.exists,
                               .disk_small = slot->disk_small && slot->disk.exists,
                               .service_stale = slot->service_stale && slot->service,
                               .controller_stale = slot->controller_stale && slot->controller,
                               .secrets_stale = slot->secrets_stale && slot->controller};
    seen->serial = slot->brought.serial;
    memcpy(seen->key_id, slot->loaded.key_id, sizeof seen->key_id);
    memcpy(seen->brought_key_id, slot->brought.key_id, sizeof seen->brought_key_id);
    memcpy(seen->disk_id, slot->disk.id, sizeof seen->disk_id);
    memcpy(seen->mark, slot->disk.mark, sizeof seen->mark);
    memcpy(seen->address, slot->address, sizeof seen->address);
}

void site_look(struct site *site)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (site->world->slots[i].zone == site->zone)
            see(site->world, &site->world->slots[i], &site->seen[i]);
}

void site_changed(struct world *world, int zone)
{
    struct site *site = &world->sites[zone];
    if (site->agent)
        world_later(world, chance_between(&world->chance, 1, 30), H_SITE, zone, site->life);
}

/* The agent is told; with a stale watch it is told nothing new. */
void site_told(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    if (!site->agent || (happening->life && happening->life != site->life) || site->stale)
        return;
    site_look(site);
    agent_holdings_changed(site->agent);
    agent_bury(site);
}

/* What the intent has and the member does not. */
static bool is_late(const struct slot_seen *seen, const struct identity *identity)
{
    return identity->named && ((identity->wanted_serial && identity->wanted_serial != seen->serial) ||
                               strcmp(identity->wanted_key_id, seen->brought_key_id) != 0);
}

static struct member_holding holding_of(const struct slot_seen *seen, const struct identity *identity,
                                        int ordinal, struct arena *arena)
{
    enum disk_state state = !seen->disk_exists  ? DISK_ABSENT
                            : seen->disk_failed ? DISK_FAILED
                            : !seen->disk_ready ? DISK_CREATING
                            : seen->running     ? DISK_ATTACHED
                                                : DISK_READY;
    return (struct member_holding){
        .set = "mongo",
        .ordinal = ordinal,
        .disk = {.name = arena_printf(arena, "mongodb-disk%d", ordinal),
                 .id = seen->disk_ready ? arena_string(arena, seen->disk_id) : "",
                 .state = state,
                 .used = seen->disk_used,
                 .replica_set_id = arena_string(arena, seen->mark),
                 .size_bytes = 10,
                 .used_bytes = 1},
        .controller_exists = seen->controller,
        .replicas = seen->replicas,
        .service_exists = seen->service,
        .address = arena_string(arena, seen->address),
        .pod = {.name = seen->pod ? arena_printf(arena, "mongo-rc%d-pod", ordinal) : "",
                .node = seen->pod ? "vm" : "",
                .image_id = "",
                .running = seen->running,
                .ready = seen->ready,
                .terminating = seen->terminating,
                .restarts = seen->restarts,
                .last_exit = "",
                .key_id = seen->running ? arena_string(arena, seen->key_id) : ""},
        .problem = seen->foreign ? (struct problem){"foreign_object", "the Service is somebody else's", 125}
                                 : (struct problem){.code = "", .message = ""},
        .last_repair = "",
        .foreign = seen->foreign,
        .disk_stale = seen->disk_stale,
        .disk_small = seen->disk_small,
        .secrets_stale = seen->secrets_stale,
        .service_stale = seen->service_stale,
        .controller_stale = seen->controller_stale || (seen->controller && is_late(seen, identity))};
}

static void observe(struct driver *driver, struct arena *arena, struct holdings *out)
{
    struct site *site = site_of(driver);
    struct member_holding *members = arena_array(arena, ORDINALS_MAX, sizeof *members);
    *out = (struct holdings){.zone_problem = {.code = "", .message = ""},
                             .complete = site->world->now_ms >= site->complete_ms,
                             .members = members};
    for (int i = 1; i <= ORDINALS_MAX && out->complete; i++) {
        const struct slot_seen *seen = &site->seen[i];
        if (seen->disk_exists || seen->service || seen->controller || seen->pod)
            members[out->member_count++] = holding_of(seen, &site->identities[i], i, arena);
    }
}

static void route(struct driver *driver, const char *set, int ordinal, struct arena *arena,
                  struct local_route *out)
{
    const struct slot_seen *seen = &site_of(driver)->seen[ordinal];
    (void)set;
    *out = (struct local_route){.host = ""};
    if (!seen->running || !seen->ready)
        return;
    out->host = arena_printf(arena, "127.0.0.%d:27017", ordinal);
    out->incarnation = seen->life;
}

/* ---- addresses and disks ---- */

void service_address(struct world *world, struct member_slot *slot)
{
    slot->address[0] = 0;
    if (slot->service && !slot->no_address)
        snprintf(slot->address, sizeof slot->address, "10.0.%d.%d:27017", slot->ordinal,
                 ++world->next_address);
    slot->address_ms = world->now_ms;
    world_trace(world, slot_name(slot), "its address is %s",
                *slot->address ? slot->address : "not there yet");
    site_changed(world, slot->zone);
}

/* Another disk of the name, or none. */
void disk_clear(struct world *world, struct member_slot *slot, bool exists)
{
    if (slot->disk.exists)
        world->lost_ms[slot->ordinal] = world->now_ms;
    free(slot->disk.data);
    slot->disk = (struct disk){.exists = exists, .ready_ms = world->now_ms};
    if (exists) {
        uuid_text(&sim_random, slot->disk.id);
        slot->disk.data = calloc(1, sizeof *slot->disk.data);
    }
}

static void create_disk(struct world *world, struct member_slot *slot)
{
    if (slot->disk.exists)
        check_disk_step(world, slot, "made anew");
    disk_clear(world, slot, true);
    slot->disk.ready_ms = world->now_ms + (slot->slow_disk ? chance_between(&world->chance, 5000, 40000)
                                                           : chance_between(&world->chance, 20, 1500));
    world_later(world, slot->disk.ready_ms - world->now_ms, H_SITE, slot->zone,
                0); /* whichever agent lives then */
}

/* ---- steps ---- */

/* As all drivers do: a claim is bound to the disk that is there now, and only to the one that was named. */
static int bind_disk(struct member_slot *slot, const struct intent_member *wanted, struct error *err)
{
    if (!slot->disk.exists)
        return error_set(err, ERROR_CONFLICT, "%s can't run: its disk is gone", wanted->node);
    if (*wanted->disk_id && strcmp(wanted->disk_id, slot->disk.id) != 0)
        return error_set(err, ERROR_CONFLICT, "%s can't run: its disk is another one", wanted->node);
    if (!*wanted->disk_id && slot->disk.used)
        return error_set(err, ERROR_CONFLICT, "%s can't run: its disk may hold data", wanted->node);
    memcpy(slot->bound, slot->disk.id, sizeof slot->bound);
    return 0;
}

static int scale(struct world *world, struct member_slot *slot, const struct step *step, int replicas,
                 struct error *err)
{
    if (replicas && bind_disk(slot, step->member, err))
        return -1;
    if (!replicas)
        check_outage(world, slot, "is stopped");
    if (step->kind != STEP_SCALE_TO_ZERO)
        papers_take(&slot->brought, step);
    slot->controller = true;
    slot->replicas = replicas;
    return 0;
}

static int take_away(struct member_slot *slot, bool service, struct error *err)
{
    if (!service && slot->pod)
        return error_set(err, ERROR_CONFLICT, "there still is a pod");
    if (service) {
        slot->service = false;
        slot->address[0] = 0;
    } else {
        slot->controller = false;
        slot->replicas = 0;
        slot->brought = (struct papers){.serial = 0};
    }
    return 0;
}

static void create_service(struct world *world, struct member_slot *slot)
{
    if (slot->service)
        return;
    slot->service = true;
    service_address(world, slot);
}

static int do_step(struct world *world, struct member_slot *slot, const struct step *step, struct error *err)
{
    const struct intent_member *wanted = step->member;
    switch ((int)step->kind) {
    case STEP_CREATE_DISK:
        if (slot->no_quota)
            return error_set(err, ERROR_REFUSED, "the quota for disks is used up");
        create_disk(world, slot);
        return 0;
    case STEP_MARK_DISK:
        snprintf(slot->disk.mark, sizeof slot->disk.mark, "%s", wanted->replica_set_id);
        return 0;
    case STEP_CREATE_SERVICE:
        create_service(world, slot);
        return 0;
    case STEP_UPDATE_DISK:
        slot->disk_stale = false;
        return 0;
    case STEP_GROW_DISK:
        slot->disk_small = false;
        return 0;
    case STEP_UPDATE_SECRETS:
        slot->secrets_stale = false;
        return 0;
    case STEP_UPDATE_SERVICE:
        slot->service_stale = false;
        return 0;
    case STEP_UPDATE_CONTROLLER: /* a running pod, and how many there are, are left as they are */
        slot->controller_stale = false;
        papers_take(&slot->brought, step);
        return 0;
    case STEP_CREATE_CONTROLLER:
        return scale(world, slot, step, wanted->run == RUN_UP ? 1 : 0, err);
    case STEP_SCALE_TO_ONE:
        return scale(world, slot, step, 1, err);
    case STEP_SCALE_TO_ZERO:
        return scale(world, slot, step, 0, err);
    case STEP_DELETE_CONTROLLER:
        return take_away(slot, false, err);
    case PLANTED_DELETE_DISK:
        check_disk_step(world, slot, "deleted");
        return 0;
    case STEP_DELETE_SERVICE:
        return take_away(slot, true, err);
    default:
        return 0;
    }
}

/* Done now, told later; an API that refuses has done nothing, and one whose answer is lost may have done it.
 */
static void perform(struct driver *driver, const struct step *step, uint64_t step_id)
{
    struct site *site = site_of(driver);
    struct world *world = site->world;
    struct member_slot *slot = &world->slots[step->member->ordinal];
    struct error err = {0};
    if (!agent_effect(site))
        return;
    bool refuses = site->refuses && chance_of(&world->chance, 70), done = !refuses;
    if (refuses) {
        static const int codes[] = {409, 410, 429, 500};
        int code = codes[chance_between(&world->chance, 0, 3)];
        done = code == 500 && chance_of(&world->chance, 50);
        error_set(&err, ERROR_PROTOCOL, "the API server answers %d", code);
    }
    struct error own = {0};
    if (done && do_step(world, slot, step, &own) && !err.code)
        err = own;
    if (done)
        pod_manage(world, slot);
    struct happening end = {.at_ms = world->now_ms + (site->slow ? chance_between(&world->chance, 500, 8000)
                                                                 : chance_between(&world->chance, 5, 200)),
                            .kind = H_STEP,
                            .who = site->zone,
                            .other = (int)err.code,
                            .id = step_id,
                            .life = site->life};
    world_at(world, &end);
    site_changed(world, site->zone);
}

void site_step(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    struct error err = {.code = (enum error_code)happening->other, .message = "the step failed"};
    if (!site->agent || happening->life != site->life)
        return;
    if (!site->stale)
        site_look(site);
    agent_step_done(site->agent, happening->id, happening->other ? &err : NULL);
    agent_bury(site);
}

static void intend(struct driver *driver, const struct intent *intent)
{
    struct site *site = site_of(driver);
    for (int i = 0; i <= ORDINALS_MAX; i++)
        site->identities[i].named = false;
    for (size_t i = 0; i < intent->member_count; i++) {
        const struct intent_member *wanted = &intent->members[i];
        struct identity *identity = &site->identities[wanted->ordinal];
        identity->named = true;
        identity->wanted_serial = papers_serial(wanted->certificate_id);
        if (strcmp(identity->wanted_key_id, wanted->key_id) != 0) /* this is asked very often */
            snprintf(identity->wanted_key_id, sizeof identity->wanted_key_id, "%s", wanted->key_id);
    }
}

const struct driver_functions site_functions = {
    .name = "sim", .intend = intend, .observe = observe, .perform = perform, .route = route};
