/* The local driver's table of functions, its members, and what its directory holds: see local.h. */
#include "zone-agent/local/local.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/local/local_internal.h"
#include "zone-agent/local/process.h"

/* ---- what is told to the agent, from the loop ---- */

static void on_later(uv_timer_t *timer)
{
    struct local_driver *driver = timer->data;
    struct completion *completions = driver->completions;
    bool changed = driver->changed;
    driver->completions = NULL;
    driver->completions_end = &driver->completions;
    driver->changed = false;
    if (changed && !driver->closing)
        driver->events.changed(driver->events.context);
    while (completions) {
        struct completion *next = completions->next;
        if (!driver->closing)
            driver->events.step_done(driver->events.context, completions->step_id,
                                     completions->failed ? &completions->err : NULL);
        free(completions);
        completions = next;
    }
}

static void wake(struct local_driver *driver)
{
    if (!driver->closing)
        uv_timer_start(&driver->later, on_later, 0, 0);
}

void local_changed(struct local_driver *driver)
{
    driver->changed = true;
    wake(driver);
}

static void complete(struct local_driver *driver, struct completion *completion)
{
    *driver->completions_end = completion;
    driver->completions_end = &completion->next;
    local_changed(driver);
}

/* ---- the table of functions ---- */

static struct local_driver *local_of(struct driver *driver)
{
    return (struct local_driver *)driver; /* `base` is its first member */
}

static struct disk_holding disk_holding_of(const struct local_member *member, struct arena *arena)
{
    const struct local_disk *disk = &member->disk;
    enum disk_state state = !disk->exists     ? DISK_ABSENT
                            : !*disk->id      ? DISK_FAILED
                            : member->pod.pid ? DISK_ATTACHED
                                              : DISK_READY;
    return (struct disk_holding){.name = arena_string(arena, disk->name),
                                 .id = arena_string(arena, disk->id),
                                 .state = state,
                                 .adopted = disk->adopted,
                                 .used = disk->used,
                                 .replica_set_id = arena_string(arena, disk->replica_set_id),
                                 .size_bytes = disk->size_bytes > 0 ? disk->size_bytes : -1,
                                 .used_bytes = disk->used_bytes};
}

static struct pod_holding pod_holding_of(const struct local_member *member, struct arena *arena)
{
    const struct local_pod *pod = &member->pod;
    return (struct pod_holding){.name = arena_string(arena, pod->name),
                                .node = *pod->name ? "localhost" : "",
                                .image_id = *pod->name ? arena_string(arena, member->driver->mongod) : "",
                                .running = pod->pid != 0,
                                .ready = pod->ready,
                                .terminating = pod->terminating,
                                .restarts = pod->restarts,
                                .last_exit = arena_string(arena, pod->last_exit),
                                .key_id = *pod->name ? arena_string(arena, pod->key_id) : ""};
}

static bool holds_anything(const struct local_member *member)
{
    return member->disk.exists || member->controller.exists || member->service.exists || *member->pod.name ||
           *member->problem.code;
}

static void observe(struct driver *base, struct arena *arena, struct holdings *out)
{
    struct local_driver *driver = local_of(base);
    struct member_holding *members = arena_array(arena, driver->member_count, sizeof *members);
    *out = (struct holdings){.zone_problem = {.code = "", .message = ""}, .complete = true};
    for (const struct local_member *member = driver->members; members && member; member = member->next) {
        if (!holds_anything(member))
            continue;
        members[out->member_count++] = (struct member_holding){
            .set = arena_string(arena, member->set),
            .ordinal = member->ordinal,
            .disk = disk_holding_of(member, arena),
            .controller_exists = member->controller.exists,
            .replicas = member->controller.replicas,
            .service_exists = member->service.exists,
            .address = arena_string(arena, member->service.address),
            .pod = pod_holding_of(member, arena),
            .problem = {arena_string(arena, member->problem.code),
                        arena_string(arena, member->problem.message), 0},
            .last_repair = "",
            .controller_stale =
                member->controller.exists &&
                (strcmp(member->controller.key_id, member->wanted_key_id) != 0 ||
                 strcmp(member->controller.certificate_id, member->wanted_certificate_id) != 0),
        };
    }
    out->members = members;
}

/* What the intent says and no step brings at once: what a ReplicationController is to be made of. */
static void intend(struct driver *base, const struct intent *intent)
{
    for (struct local_member *member = local_of(base)->members; member; member = member->next) {
        local_copy(member->wanted_key_id, sizeof member->wanted_key_id, member->controller.key_id);
        local_copy(member->wanted_certificate_id, sizeof member->wanted_certificate_id,
                   member->controller.certificate_id);
        for (size_t i = 0; i < intent->member_count; i++) {
            const struct intent_member *wanted = &intent->members[i];
            if (wanted->ordinal != member->ordinal || strcmp(wanted->set, member->set) != 0)
                continue;
            local_copy(member->wanted_key_id, sizeof member->wanted_key_id,
                       wanted->key_id ? wanted->key_id : "");
            if (*wanted->certificate_id) /* one that isn't there yet replaces none */
                local_copy(member->wanted_certificate_id, sizeof member->wanted_certificate_id,
                           wanted->certificate_id);
        }
    }
}

static int do_step(struct local_driver *driver, const struct step *step, struct error *err)
{
    const struct intent_member *wanted = step->member;
    struct local_member *member = local_member_get(driver, wanted->set, wanted->ordinal, wanted->node);
    if (!member)
        return error_set(err, ERROR_INVALID, "set %s, ordinal %d, node %s can't be held here: %s",
                         wanted->set, wanted->ordinal, wanted->node,
                         driver->member_count == LOCAL_MEMBERS_MAX ? "too many members" : "bad name");
    int result = 0;
    switch (step->kind) {
    case STEP_CREATE_DISK:
        result = local_disk_create(member, wanted, err);
        break;
    case STEP_UPDATE_DISK: /* nothing here is ever stale, and a folder has no size of its own */
    case STEP_GROW_DISK:
    case STEP_UPDATE_SECRETS:
    case STEP_UPDATE_SERVICE:
        break;
    case STEP_MARK_DISK:
        result = local_disk_mark(member, wanted->replica_set_id, err);
        break;
    case STEP_CREATE_SERVICE:
        result = local_service_create(member, wanted, err);
        break;
    case STEP_CREATE_CONTROLLER:
    case STEP_UPDATE_CONTROLLER:
        result = local_controller_apply(member, step, wanted->run == RUN_UP ? 1 : 0, err);
        break;
    case STEP_SCALE_TO_ONE:
        result = local_controller_apply(member, step, 1, err);
        break;
    case STEP_SCALE_TO_ZERO:
        result = local_controller_scale(member, 0, err);
        break;
    case STEP_DELETE_CONTROLLER:
        result = local_controller_delete(member, err);
        break;
    case STEP_DELETE_SERVICE:
        result = local_service_delete(member, err);
        break;
    }
    local_pod_manage(member);
    return result;
}

static void perform(struct driver *base, const struct step *step, uint64_t step_id)
{
    struct local_driver *driver = local_of(base);
    struct completion *completion = calloc(1, sizeof *completion);
    if (!completion)
        abort(); /* the agent would wait for ever for a step that nobody can answer for */
    completion->step_id = step_id;
    completion->failed = do_step(driver, step, &completion->err) != 0;
    complete(driver, completion);
}

static void route(struct driver *base, const char *set, int ordinal, struct arena *arena,
                  struct local_route *out)
{
    struct local_member *member = local_member_find(local_of(base), set, ordinal);
    *out = (struct local_route){.host = ""};
    if (!member || !member->pod.pid || !member->pod.ready)
        return;
    out->host = arena_printf(arena, "%s:%d", member->pod.host, member->pod.port);
    out->incarnation = member->pod.incarnation;
}

/* ---- looking now and then ---- */

static void on_look(uv_timer_t *timer)
{
    struct local_driver *driver = timer->data;
    for (struct local_member *member = driver->members; member; member = member->next) {
        if (!local_pod_exists(member))
            local_disk_look(member);
        local_service_open(member);
    }
}

/* ---- loading ---- */

static int load_folder(struct local_driver *driver, const char *folder, const char *suffix,
                       int (*load)(struct local_driver *, const char *, struct error *), struct error *err)
{
    char path[LOCAL_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", driver->dir, folder);
    if (file_make_folders(path, 0755, err))
        return -1;
    DIR *entries = opendir(path);
    if (!entries)
        return error_set_errno(err, errno, "%s can't be read", path);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(entries));) {
        size_t length = strlen(entry->d_name), tail = strlen(suffix);
        if (*entry->d_name != '.' && length > tail && strcmp(entry->d_name + length - tail, suffix) == 0)
            result = load(driver, entry->d_name, err);
    }
    closedir(entries);
    return result;
}

static int load(struct local_driver *driver, struct error *err)
{
    if (load_folder(driver, "disks", "", local_disk_load, err) ||
        load_folder(driver, "controllers", ".json", local_controller_load, err) ||
        load_folder(driver, "services", ".json", local_service_load, err) ||
        load_folder(driver, "pods", ".json", local_pod_load, err))
        return error_wrap(err, "what the zone holds can't be read");
    for (struct local_member *member = driver->members; member; member = member->next) {
        local_service_open(member);
        local_pod_manage(member);
    }
    return 0;
}

/* ---- life ---- */

void local_handle_opened(struct local_driver *driver)
{
    driver->open_handles++;
}

void local_handle_closed(struct local_driver *driver)
{
    if (--driver->open_handles || !driver->closing)
        return;
    void (*closed)(void *context) = driver->closed;
    void *context = driver->closed_context;
    while (driver->members) {
        struct local_member *next = driver->members->next;
        local_controller_forget(driver->members);
        free(driver->members);
        driver->members = next;
    }
    while (driver->completions) {
        struct completion *next = driver->completions->next;
        free(driver->completions);
        driver->completions = next;
    }
    free(driver);
    if (closed)
        closed(context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    local_handle_closed(handle->data);
}

static void close_driver(struct driver *base, void (*closed)(void *context), void *context)
{
    struct local_driver *driver = local_of(base);
    uv_timer_t *timers[] = {&driver->later, &driver->look, &driver->usage};
    driver->closing = true;
    driver->closed = closed;
    driver->closed_context = context;
    control_close(driver);
    for (struct local_member *member = driver->members; member; member = member->next) {
        local_service_close(member);
        local_pod_close(member);
    }
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
}

static const struct driver_functions local_functions = {
    .name = "local",
    .intend = intend,
    .observe = observe,
    .perform = perform,
    .route = route,
    .close = close_driver,
};

/* Three numbers of an IPv4 address in 127.0.0.0/8. */
static int check_options(const struct local_driver_options *options, struct error *err)
{
    struct in_addr address;
    char host[LOCAL_HOST_MAX + 8];
    snprintf(host, sizeof host, "%.15s.1", options->subnet);
    if (strncmp(options->subnet, "127.", 4) || strlen(options->subnet) > 11 ||
        inet_pton(AF_INET, host, &address) != 1)
        return error_set(err, ERROR_INVALID, "the subnet must look like 127.0.1, not \"%.40s\"",
                         options->subnet);
    if (*options->dir != '/' || strlen(options->dir) >= LOCAL_PATH_MAX / 2)
        return error_set(err, ERROR_INVALID, "the directory must be an absolute path below %d bytes",
                         LOCAL_PATH_MAX / 2);
    if (strlen(options->mongod) >= LOCAL_PATH_MAX)
        return error_set(err, ERROR_INVALID, "the path of mongod is longer than LOCAL_PATH_MAX (%d)",
                         LOCAL_PATH_MAX);
    return 0;
}

static void start_timers(struct local_driver *driver)
{
    uv_timer_t *timers[] = {&driver->later, &driver->look, &driver->usage};
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
        uv_timer_init(driver->loop, timers[i]);
        timers[i]->data = driver;
        local_handle_opened(driver);
    }
    uv_timer_start(&driver->look, on_look, LOCAL_LOOK_MS, LOCAL_LOOK_MS);
    uv_timer_start(&driver->usage, local_usage_count, LOCAL_LOOK_MS, LOCAL_USAGE_MS);
}

struct driver *local_driver_create(const struct local_driver_options *options, struct error *err)
{
    if (check_options(options, err))
        return NULL;
    struct local_driver *driver = calloc(1, sizeof *driver);
    if (!driver) {
        error_set(err, ERROR_NO_MEMORY, "no memory for the driver");
        return NULL;
    }
    driver->base.functions = &local_functions;
    driver->loop = options->loop;
    driver->clock = *options->clock;
    driver->random = *options->random;
    driver->events = options->events;
    driver->zone_cut = options->zone_cut;
    driver->completions_end = &driver->completions;
    driver->control_folder = -1;
    local_copy(driver->dir, sizeof driver->dir, options->dir);
    local_copy(driver->subnet, sizeof driver->subnet, options->subnet);
    local_copy(driver->mongod, sizeof driver->mongod, options->mongod);
    process_boot_id(driver->boot_id, sizeof driver->boot_id);
    start_timers(driver);
    if (control_open(driver, err) || load(driver, err)) {
        close_driver(&driver->base, NULL, NULL);
        return NULL;
    }
    local_changed(driver);
    return &driver->base;
}
