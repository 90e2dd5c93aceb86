/* Disks and addresses of the Compute API: see disk_source.h. */
#include "zone-agent/kubernetes/disk_source.h"

#include <stdio.h>
#include <string.h>

#include "zone-agent/gce/compute.h"

#define DISK_LABEL_REPLICA_SET "atoll-replica-set-id"

/* Made when the first zone with a project needs it: other clusters have no metadata server to ask. */
static struct compute *compute_of(struct kube_driver *driver, struct error *err)
{
    const struct compute_options options = {.loop = driver->loop,
                                            .http = driver->http,
                                            .clock = &driver->clock,
                                            .random = &driver->random,
                                            .url = driver->compute_url};
    if (!driver->compute)
        driver->compute = compute_create(&options, err);
    return driver->compute;
}

static void remember_problem(struct job *job, const struct compute_problem *problem)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    if (!note)
        return;
    snprintf(note->problem_code, sizeof note->problem_code, "%s", problem ? problem->code : "");
    snprintf(note->problem, sizeof note->problem, "%s", problem ? problem->message : "");
    driver_changed(job->driver);
}

static void on_retrying(void *context, uint64_t id, const struct compute_problem *problem)
{
    struct job *job = context;
    (void)id;
    if (!job->driver->closing)
        remember_problem(job, problem);
}

static void fail(struct job *job, const struct compute_problem *problem)
{
    struct error err;
    remember_problem(job, problem);
    error_set(&err, problem->lasting ? ERROR_REFUSED : ERROR_UNREACHABLE, "%s", problem->message);
    job_fail(job, &err);
}

static void start(struct job *job, struct compute_task *task)
{
    struct kube_driver *driver = job->driver;
    struct error err;
    task->project = driver->project;
    task->zone = driver->zone;
    task->owner = (struct compute_owner){driver->federation, job->member->set, job->member->ordinal};
    task->retrying = on_retrying;
    task->context = job;
    struct compute *compute = compute_of(driver, &err);
    if (!compute || !compute_start(compute, task, &err)) {
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
    }
}

/* Whether the job may go on after this answer. */
static bool settle(struct job *job, const struct compute_result *result)
{
    if (job->driver->closing)
        return false;
    if (result->problem) {
        fail(job, result->problem);
        return false;
    }
    remember_problem(job, NULL);
    return true;
}

static void go_on(struct job *job)
{
    job->at++;
    job_next(job);
}

/* ---- the disk ---- */

static const char *label(const struct compute_disk *disk, const char *key)
{
    for (size_t i = 0; i < disk->label_count; i++)
        if (strcmp(disk->labels[i].key, key) == 0)
            return disk->labels[i].value;
    return "";
}

/* The claim may be a new one for an old disk: what is known of the disk is written on it. */
static void mark_claim(struct json *claim, const struct compute_result *result)
{
    struct json *metadata = (struct json *)(uintptr_t)json_get(claim, "metadata");
    struct json *annotations = json_set(metadata, "annotations", json_object());
    const char *replica_set = label(result->disk, DISK_LABEL_REPLICA_SET);
    if (result->disk->ever_attached)
        json_set_string(annotations, ANNOTATION_USED, "true");
    if (result->adopted)
        json_set_string(annotations, ANNOTATION_ADOPTED, "true");
    if (*replica_set)
        json_set_string(annotations, ANNOTATION_REPLICA_SET, replica_set);
}

static void on_disk(void *context, uint64_t id, const struct compute_result *result)
{
    struct job *job = context;
    struct scene scene;
    (void)id;
    if (!settle(job, result))
        return;
    scene_make(job->driver, &scene);
    job->ops[job->at + 1].body = object_volume(&scene.zone, job->member, result->disk->id);
    scene_finish(&scene);
    mark_claim(job->ops[job->at + 2].body, result);
    go_on(job);
}

/* Whoever has named a disk of their own may mean one that exists. */
static bool is_named_by_user(const struct intent_member *member)
{
    char usual[NAME_LENGTH_MAX + 32];
    snprintf(usual, sizeof usual, "%sdb-disk%d", member->set, member->ordinal);
    return strcmp(usual, member->disk) != 0;
}

void disk_source_ensure(struct job *job)
{
    struct compute_task task = {.kind = COMPUTE_DISK_ENSURE,
                                .name = job->member->disk,
                                .size_bytes = job->member->storage_bytes,
                                .type = job->member->storage_type,
                                .adopt = is_named_by_user(job->member),
                                .done = on_disk};
    start(job, &task);
}

static void on_updated(void *context, uint64_t id, const struct compute_result *result)
{
    struct job *job = context;
    (void)id;
    if (settle(job, result))
        go_on(job);
}

/* Never anything but larger: the reply's own rows see to it. */
void disk_source_grow(struct job *job)
{
    struct compute_task task = {.kind = COMPUTE_DISK_UPDATE,
                                .name = job->member->disk,
                                .size_bytes = job->member->storage_bytes,
                                .type = "",
                                .adopt = is_named_by_user(job->member),
                                .done = on_updated};
    start(job, &task);
}

void disk_source_mark(struct job *job)
{
    const struct key_value mark = {DISK_LABEL_REPLICA_SET, job->member->replica_set_id};
    struct compute_task task = {.kind = COMPUTE_DISK_UPDATE,
                                .name = job->member->disk,
                                .type = "",
                                .labels = &mark,
                                .label_count = 1,
                                .done = on_updated};
    start(job, &task);
}

/* ---- the address ---- */

static void on_address(void *context, uint64_t id, const struct compute_result *result)
{
    struct job *job = context;
    struct scene scene;
    (void)id;
    if (!settle(job, result))
        return;
    scene_make(job->driver, &scene);
    const struct json *live = holdings_find(&scene.input, OBJECT_SERVICE, job->member->service);
    json_destroy(job->ops[job->at + 1].body);
    job->ops[job->at + 1].body = object_service(&scene.zone, job->member, result->address->address,
                                                json_get(json_get(live, "spec"), "loadBalancerSourceRanges"));
    scene_finish(&scene);
    go_on(job);
}

/* Reserved first and then named: an address that came with the Service would go with it. */
void disk_source_address(struct job *job)
{
    struct compute_task task = {
        .kind = COMPUTE_ADDRESS_ENSURE, .name = job->member->service, .done = on_address};
    start(job, &task);
}
