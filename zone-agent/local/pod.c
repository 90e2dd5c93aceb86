/* Pods of the local driver: mongod processes in a session of their own that outlive the agent. The state file
 * says which process is whose, by pid, start time and boot id, so that a restarted agent takes running pods
 * over and never starts one twice. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/local/local_internal.h"
#include "zone-agent/local/process.h"

bool local_pod_exists(const struct local_member *member)
{
    return member->pod.pid || member->pod.process || member->pod.watch;
}

/* ---- the state file ---- */

static int save(struct local_member *member, bool starting, struct error *err)
{
    const struct local_pod *pod = &member->pod;
    struct json *json = json_object();
    json_set_string(json, "set", member->set);
    json_set_int(json, "ordinal", member->ordinal);
    json_set_string(json, "node", member->node);
    json_set_string(json, "name", pod->name);
    json_set_int(json, "pid", pod->pid);
    char start_time[24]; /* as text: a number of JSON may be too small for it */
    snprintf(start_time, sizeof start_time, "%llu", (unsigned long long)pod->start_time);
    json_set_string(json, "startTime", start_time);
    json_set_string(json, "bootId", member->driver->boot_id);
    json_set_bool(json, "starting", starting);
    json_set_string(json, "host", pod->host);
    json_set_int(json, "port", pod->port);
    json_set_int(json, "restarts", pod->restarts);
    json_set_string(json, "lastExit", pod->last_exit);
    json_set_string(json, "keyId", pod->key_id);
    return local_save(member->driver, "pods", member->node, json, err);
}

static void remove_state(struct local_member *member)
{
    char path[LOCAL_PATH_MAX];
    if (local_path(member->driver, path, "pods", member->node, ".json", NULL) == 0)
        unlink(path);
}

/* ---- ready ---- */

static void on_dial_closed(uv_handle_t *handle)
{
    struct local_driver *driver = handle->data;
    free(handle);
    local_handle_closed(driver);
}

static void stop_dialing(struct local_member *member)
{
    if (!member->pod.dialing)
        return;
    member->pod.dialing->data = member->driver;
    uv_close((uv_handle_t *)member->pod.dialing, on_dial_closed);
    member->pod.dialing = NULL;
}

static void on_dialed(uv_connect_t *request, int status)
{
    struct local_member *member = status == UV_ECANCELED ? NULL : request->data;
    free(request);
    if (!member)
        return;
    stop_dialing(member);
    if (status)
        return;
    member->pod.ready = true;
    uv_timer_stop(&member->pod.check);
    local_disk_note_filled(member);
    local_problem_clear(member, "pod");
    local_changed(member->driver);
}

/* A pod is ready when its process listens, whatever the state of the replica set: its own Service must lead
 * to it before. */
static void on_check(uv_timer_t *timer)
{
    struct local_member *member = timer->data;
    struct sockaddr_in address;
    if (member->pod.dialing || !member->pod.pid)
        return;
    uv_tcp_t *socket = malloc(sizeof *socket);
    uv_connect_t *request = malloc(sizeof *request);
    if (!socket || !request) {
        free(socket);
        free(request);
        return; /* the timer comes again */
    }
    uv_tcp_init(member->driver->loop, socket);
    local_handle_opened(member->driver);
    socket->data = member;
    request->data = member;
    member->pod.dialing = socket;
    uv_ip4_addr(member->pod.host, member->pod.port, &address);
    if (uv_tcp_connect(request, socket, (const struct sockaddr *)&address, on_dialed)) {
        free(request);
        stop_dialing(member);
    }
}

/* ---- the end of a process ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct local_driver *driver = handle->data;
    free(handle);
    local_handle_closed(driver);
}

static void drop_handles(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    uv_handle_t *handles[] = {(uv_handle_t *)pod->process, (uv_handle_t *)pod->watch};
    for (size_t i = 0; i < 2; i++) {
        if (!handles[i])
            continue;
        handles[i]->data = member->driver;
        uv_close(handles[i], on_handle_closed);
    }
    pod->process = NULL;
    pod->watch = NULL;
    if (pod->pidfd >= 0)
        close(pod->pidfd);
    pod->pidfd = -1;
    stop_dialing(member);
    uv_timer_stop(&pod->kill);
    uv_timer_stop(&pod->check);
}

static void on_restart(uv_timer_t *timer)
{
    local_pod_manage(timer->data);
}

static void ended(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    int64_t now = clock_monotonic_ms(&member->driver->clock);
    bool on_purpose = pod->terminating;
    drop_handles(member);
    if (now >= pod->started_at_ms + LOCAL_POD_STEADY_MS)
        pod->failures = 0;
    pod->pid = 0;
    pod->ready = pod->terminating = false;
    pod->incarnation = 0;
    local_service_pod_gone(member);
    local_disk_look(member);
    if (!on_purpose) {
        int64_t delay_ms = pod->failures ? backoff_ms(pod->failures - 1, LOCAL_RESTART_FIRST_MS,
                                                      LOCAL_RESTART_MOST_MS, &member->driver->random)
                                         : 0;
        pod->failures++;
        pod->restarts++;
        uv_timer_start(&pod->restart, on_restart, (uint64_t)delay_ms, 0);
    }
    if (*pod->name)
        save(member, false, NULL); /* the old file says the same: its process is gone */
    local_changed(member->driver);
    if (on_purpose)
        local_pod_manage(member);
}

static void on_exit_of_child(uv_process_t *process, int64_t status, int signal)
{
    struct local_member *member = process->data;
    if (signal)
        snprintf(member->pod.last_exit, sizeof member->pod.last_exit, "%s was ended by signal %d (%s)",
                 member->pod.name, signal, strsignal(signal));
    else
        snprintf(member->pod.last_exit, sizeof member->pod.last_exit,
                 "%s exited with status %lld: pods/%s.log in the agent's folder says why", member->pod.name,
                 (long long)status, member->node);
    ended(member);
}

static void on_exit_of_adopted(uv_poll_t *watch, int status, int events)
{
    struct local_member *member = watch->data;
    (void)status;
    (void)events;
    snprintf(member->pod.last_exit, sizeof member->pod.last_exit,
             "%s ended; an earlier run of the agent started it, so that its status is not known",
             member->pod.name);
    ended(member);
}

/* ---- stopping ---- */

static void send_signal(struct local_member *member, int number)
{
    if (member->pod.pidfd >= 0) /* by file descriptor: never a stranger that got the pid */
        syscall(SYS_pidfd_send_signal, member->pod.pidfd, number, NULL, 0);
    else if (member->pod.process)
        uv_process_kill(member->pod.process, number);
}

static void on_grace_over(uv_timer_t *timer)
{
    send_signal(timer->data, SIGKILL);
}

static void terminate(struct local_member *member)
{
    if (member->pod.terminating)
        return;
    member->pod.terminating = true;
    send_signal(member, SIGTERM);
    uv_timer_start(&member->pod.kill, on_grace_over, LOCAL_POD_GRACE_MS, 0);
    local_changed(member->driver);
}

/* ---- starting ---- */

static void running(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    pod->started_at_ms = clock_monotonic_ms(&member->driver->clock);
    pod->incarnation = ++member->driver->last_incarnation;
    uv_timer_start(&pod->check, on_check, 0, LOCAL_READY_CHECK_MS);
    local_changed(member->driver);
}

/* An address, in the state file. */
static int choose_address(struct local_member *member, struct error *err)
{
    for (int i = 0; i < LOCAL_ADDRESS_TRIES; i++) {
        if (local_pod_find_address(member, err) || save(member, true, err))
            return -1;
        if (!local_pod_must_yield(member))
            return 0;
    }
    return error_set(err, ERROR_CONFLICT, "other sandboxes take each address that is tried for %s",
                     member->node);
}

/* The state file says `starting` before there is a process, so that a crash in between is noticed by the next
 * agent. */
static int start(struct local_member *member, struct error *err)
{
    struct local_pod *pod = &member->pod;
    if (!*pod->name)
        local_pod_make_name(member);
    local_copy(pod->key_id, sizeof pod->key_id, member->controller.key_id);
    if (choose_address(member, err) || local_disk_set_used(member, err) ||
        local_pod_spawn(member, on_exit_of_child, err))
        return -1;
    if (save(member, false, err)) /* `starting` stands there: found by its command line after a crash */
        local_problem(member, "pod", "%s", err->message);
    running(member);
    return 0;
}

static void start_or_retry(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    struct error err = {0};
    if (start(member, &err) == 0)
        return;
    local_problem(member, "pod", "%s can't be started: %s", member->node, err.message);
    local_copy(pod->last_exit, sizeof pod->last_exit, err.message);
    uv_timer_start(&pod->restart, on_restart,
                   (uint64_t)backoff_ms(pod->failures++, LOCAL_RESTART_FIRST_MS, LOCAL_RESTART_MOST_MS,
                                        &member->driver->random),
                   0);
    local_changed(member->driver);
}

static void forget(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    uv_timer_stop(&pod->restart);
    if (!*pod->name)
        return;
    pod->name[0] = 0;
    pod->restarts = 0;
    pod->failures = 0;
    remove_state(member);
    local_problem_clear(member, "pod");
    local_changed(member->driver);
}

/* The claim is bound to one disk: when that one is gone, there is nothing to start a pod on, and the
 * controller's next decision is about another disk. */
static bool lost_claim(struct local_member *member)
{
    const struct local_disk *disk = &member->disk;
    if (disk->exists && strcmp(disk->id, member->controller.disk_id) == 0)
        return false;
    struct error err = {0};
    if (local_controller_scale(member, 0, &err))
        local_problem(member, "controller", "%s", err.message);
    local_changed(member->driver);
    return true;
}

void local_pod_manage(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    bool wanted = member->controller.exists && member->controller.replicas > 0;
    if (member->driver->closing)
        return;
    if (local_pod_exists(member)) {
        if (!wanted)
            terminate(member);
        return; /* the old one must be gone before the next one starts */
    }
    if (!wanted) {
        forget(member);
        return;
    }
    if (uv_is_active((uv_handle_t *)&pod->restart))
        return;
    local_disk_look(member);
    if (lost_claim(member))
        forget(member);
    else
        start_or_retry(member);
}

/* ---- taking over ---- */

static void adopt(struct local_member *member)
{
    struct local_pod *pod = &member->pod;
    pod->pidfd = (int)syscall(SYS_pidfd_open, pod->pid, 0);
    pod->watch = pod->pidfd >= 0 ? malloc(sizeof *pod->watch) : NULL;
    bool same =
        pod->watch && process_start_time(pod->pid) == pod->start_time; /* asked after the open: no gap */
    if (!same || uv_poll_init(member->driver->loop, pod->watch, pod->pidfd)) {
        free(pod->watch);
        pod->watch = NULL;
        if (pod->pidfd >= 0)
            close(pod->pidfd);
        pod->pidfd = -1;
        pod->pid = 0;
        pod->restarts++;
        local_copy(pod->last_exit, sizeof pod->last_exit, "ended while no agent ran");
        return;
    }
    local_handle_opened(member->driver);
    pod->watch->data = member;
    uv_poll_start(pod->watch, UV_READABLE, on_exit_of_adopted);
    running(member);
}

int local_pod_load(struct local_driver *driver, const char *name, struct error *err)
{
    char path[LOCAL_PATH_MAX], data[LOCAL_PATH_MAX];
    if (local_path(driver, path, "pods", name, "", err))
        return -1;
    struct json *json = local_load(path, err);
    if (!json)
        return -1;
    struct local_member *member =
        local_member_get(driver, json_get_text(json, "set", ""), (int)json_get_int(json, "ordinal", 0),
                         json_get_text(json, "node", ""));
    if (member) {
        struct local_pod *pod = &member->pod;
        bool this_boot = strcmp(json_get_text(json, "bootId", ""), driver->boot_id) == 0;
        local_copy(pod->name, sizeof pod->name, json_get_text(json, "name", ""));
        local_copy(pod->host, sizeof pod->host, json_get_text(json, "host", ""));
        local_copy(pod->last_exit, sizeof pod->last_exit, json_get_text(json, "lastExit", ""));
        local_copy(pod->key_id, sizeof pod->key_id, json_get_text(json, "keyId", ""));
        pod->port = (int)json_get_int(json, "port", 0);
        pod->restarts = json_get_int(json, "restarts", 0);
        pod->pid = this_boot ? (int)json_get_int(json, "pid", 0) : 0;
        pod->start_time = strtoull(json_get_text(json, "startTime", "0"), NULL, 10);
        if (!pod->pid && this_boot && json_get_bool(json, "starting", false) && *member->disk.name &&
            local_disk_data_path(member, data, NULL) == 0) {
            pod->pid = process_find_by_argument("--dbpath", data);
            pod->start_time = pod->pid ? process_start_time(pod->pid) : 0;
        }
        if (pod->pid)
            adopt(member);
        if (pod->pid)
            save(member, false, NULL);
    }
    json_destroy(json);
    return 0;
}

/* ---- life ---- */

void local_pod_init(struct local_member *member)
{
    uv_timer_t *timers[] = {&member->pod.restart, &member->pod.kill, &member->pod.check};
    member->pod.pidfd = -1;
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
        uv_timer_init(member->driver->loop, timers[i]);
        timers[i]->data = member;
        local_handle_opened(member->driver);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct local_member *member = handle->data;
    local_handle_closed(member->driver);
}

void local_pod_close(struct local_member *member)
{
    uv_timer_t *timers[] = {&member->pod.restart, &member->pod.kill, &member->pod.check};
    drop_handles(member);
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
}
