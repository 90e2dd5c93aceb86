/* What the reconciler asks for, as requests to the API server, one after the other. Whatever may exist is
 * looked at before it is written: what isn't ours is left untouched, and said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/disk_source.h"
#include "zone-agent/kubernetes/driver_internal.h"
#include "zone-agent/kubernetes/steps_internal.h"

/* ---- the end of a job ---- */

static void unlink_job(struct job **list, struct job *job)
{
    while (*list && *list != job)
        list = &(*list)->next;
    if (*list)
        *list = job->next;
}

static void free_job(struct job *job)
{
    for (size_t i = 0; i < job->op_count; i++)
        json_destroy(job->ops[i].body);
    arena_finish(&job->arena);
    free(job);
}

void job_end(struct job *job)
{
    struct kube_driver *driver = job->driver;
    unlink_job(&driver->jobs, job);
    job->next = driver->finished;
    driver->finished = job;
    driver_changed(driver);
}

void job_fail(struct job *job, const struct error *err)
{
    job->err = *err;
    job->failed = true;
    job_end(job);
}

static void note_repair(struct job *job)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    if (!note || !*job->repair)
        return;
    note->repairs++;
    snprintf(note->last_repair, sizeof note->last_repair, "%s", job->repair);
    job->driver->note(job->driver->events.context, true, job->repair);
}

static void succeed(struct job *job)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    note_repair(job);
    if (note && job->kind == STEP_DELETE_SERVICE)
        note->had_service = false;
    if (note && job->kind == STEP_DELETE_CONTROLLER)
        note->had_controller = false;
    if (note && job->kind == STEP_UPDATE_SECRETS)
        secrets_settled(note);
    job_end(job);
}

void steps_tell(struct kube_driver *driver)
{
    while (driver->finished) {
        struct job *job = driver->finished;
        driver->finished = job->next;
        if (!driver->closing)
            driver->events.step_done(driver->events.context, job->step_id, job->failed ? &job->err : NULL);
        free_job(job);
    }
}

void steps_finish(struct kube_driver *driver)
{
    struct job *lists[] = {driver->jobs, driver->finished};
    driver->jobs = driver->finished = NULL;
    for (size_t i = 0; i < 2; i++)
        while (lists[i]) {
            struct job *next = lists[i]->next;
            free_job(lists[i]);
            lists[i] = next;
        }
}

/* ---- one operation after the other ---- */

static void on_written(void *context, uint64_t id, const struct kube_answer *answer);

static void fail_to_start(struct job *job, struct error *err)
{
    error_wrap(err, "%s", job->what);
    job_fail(job, err);
}

static void apply(struct job *job, bool force)
{
    struct op *op = &job->ops[job->at];
    struct error err;
    op->version = store_version(job->driver, op->object, op->name);
    const struct kube_apply request = {.path = op->path,
                                       .object = op->body,
                                       .force = force,
                                       .metadata_only = op->object == OBJECT_SECRET,
                                       .done = on_written,
                                       .context = job};
    job->request = kube_apply_start(job->driver->client, &request, &err);
    if (!job->request)
        fail_to_start(job, &err);
}

static void send_write(struct job *job, const char *method, const char *content_type, const struct json *body)
{
    struct buffer text;
    struct error err;
    char path[OBJECT_PATH_MAX + 32];
    buffer_init(&text, 0);
    snprintf(path, sizeof path, "%s%s", job->ops[job->at].path,
             strcmp(method, "PATCH") == 0 ? "?fieldManager=" KUBE_FIELD_MANAGER : "");
    job->request = 0;
    job->ops[job->at].version = store_version(job->driver, job->ops[job->at].object, job->ops[job->at].name);
    if (!body || json_print(body, JSON_COMPACT, &text, &err) == 0) {
        const struct kube_request request = {.method = method,
                                             .path = path,
                                             .content_type = content_type,
                                             .body = text.data,
                                             .length = text.length,
                                             .done = on_written,
                                             .context = job};
        job->request = kube_request_start(job->driver->client, &request, &err);
    }
    buffer_finish(&text);
    if (!job->request)
        fail_to_start(job, &err);
}

static bool is_going(const struct json *object)
{
    return json_get(json_get(object, "metadata"), "deletionTimestamp") != NULL;
}

/* Kept from an earlier life, its claim deleted: it binds again once it forgets that claim's uid. */
static bool is_released(const struct json *volume)
{
    return strcmp(json_get_text(json_get(volume, "status"), "phase", ""), "Released") == 0;
}

static void release_volume(struct job *job)
{
    struct json *patch = json_object();
    struct json *claim = json_set(json_set(patch, "spec", json_object()), "claimRef", json_object());
    json_set_null(claim, "uid");
    json_set_null(claim, "resourceVersion");
    job->ops[job->at].again = true; /* and then it is applied */
    send_write(job, "PATCH", "application/merge-patch+json", patch);
    json_destroy(patch);
}

/* A merge patch, which takes nothing away: what is known of the disk stands on its claim, by more than one
 * kind of write. Of its spec nothing can be changed but the size. */
static void amend_claim(struct job *job, const struct json *there)
{
    const struct op *op = &job->ops[job->at];
    const struct json *metadata = json_get(op->body, "metadata");
    struct json *patch = json_object();
    struct json *to = json_set(patch, "metadata", json_object());
    json_set(to, "labels", json_copy(json_get(metadata, "labels")));
    if (json_get(metadata, "annotations"))
        json_set(to, "annotations", json_copy(json_get(metadata, "annotations")));
    if (job->kind == STEP_GROW_DISK && object_is_small(OBJECT_CLAIM, there, job->member)) {
        struct json *spec = json_set(patch, "spec", json_object());
        json_set(spec, "resources", json_copy(json_get(json_get(op->body, "spec"), "resources")));
    }
    send_write(job, "PATCH", "application/merge-patch+json", patch);
    json_destroy(patch);
}

/* The Compute disk has the size that the intent says only after these. */
static bool has_grown(const struct job *job)
{
    return job->kind == STEP_CREATE_DISK || job->kind == STEP_GROW_DISK;
}

static void write_over(struct job *job, const struct json *there)
{
    struct op *op = &job->ops[job->at];
    struct error err;
    char place[256];
    op_place(op, there, place);
    if (is_going(there) && op->object != OBJECT_CLAIM) {
        error_set(&err, ERROR_CONFLICT, "%s is still being deleted; it is made again once it is gone", place);
        job_fail(job, &err);
    } else if (op->object == OBJECT_CLAIM) {
        amend_claim(job, there);
    } else if (op->object == OBJECT_VOLUME && is_released(there)) {
        release_volume(job);
    } else {
        if (op->object == OBJECT_VOLUME)
            object_keep(OBJECT_VOLUME, op->body, there, has_grown(job));
        apply(job, true);
    }
}

/* What isn't ours is left, and one that is gone already is as good. */
static void remove_if_ours(struct job *job, const struct kube_answer *answer)
{
    struct object_zone zone = {.federation = job->driver->federation, .zone = job->driver->zone};
    if (answer->err && answer->status != 404) {
        struct error err = *answer->err;
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
        return;
    }
    if (answer->status != 404 && object_is_ours(answer->body, &zone, job->member, false)) {
        send_write(job, "DELETE", NULL, NULL);
        return;
    }
    job->at++;
    job_next(job);
}

/* It is gone, and not only out of sight: what is to be done now, the next look says. */
static void tell_gone(struct job *job, const struct op *op)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    if (note && op->object == OBJECT_VOLUME)
        note->had_volume = false;
    if (note && op->object == OBJECT_CLAIM)
        note->had_claim = false;
    job_end(job);
}

static void on_looked(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct job *job = context;
    struct op *op = &job->ops[job->at];
    struct object_zone zone = {.federation = job->driver->federation, .zone = job->driver->zone};
    (void)id;
    job->request = 0;
    if (job->driver->closing)
        return;
    if (op->kind == OP_REMOVE) {
        remove_if_ours(job, answer);
    } else if (answer->status == 404 && op->there) {
        tell_gone(job, op);
    } else if (answer->status == 404) {
        apply(job, false); /* somebody may be quicker: then it is theirs */
    } else if (answer->err) {
        struct error err = *answer->err;
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
    } else if (!object_is_ours(answer->body, &zone, job->member, op->shared)) {
        job_tell_foreign(job, op, answer->body);
    } else {
        if (op->object == OBJECT_SECRET)
            op->was = arena_string(&job->arena,
                                   json_get_text(json_get(answer->body, "metadata"), "resourceVersion", ""));
        write_over(job, answer->body);
    }
}

static void look(struct job *job)
{
    struct error err;
    const struct kube_request request = {.method = "GET",
                                         .path = job->ops[job->at].path,
                                         .metadata_only = job->ops[job->at].object == OBJECT_SECRET,
                                         .done = on_looked,
                                         .context = job};
    job->request = kube_request_start(job->driver->client, &request, &err);
    if (!job->request)
        fail_to_start(job, &err);
}

static void begin_op(struct job *job)
{
    struct op *op = &job->ops[job->at];
    switch (op->kind) {
    case OP_ENSURE:
    case OP_REMOVE:
        look(job);
        break;
    case OP_MERGE:
        send_write(job, "PATCH", "application/merge-patch+json", op->body);
        break;
    case OP_DELETE:
        send_write(job, "DELETE", NULL, op->body);
        break;
    case OP_DISK:
        disk_source_ensure(job);
        break;
    case OP_DISK_GROW:
        disk_source_grow(job);
        break;
    case OP_DISK_MARK:
        disk_source_mark(job);
        break;
    case OP_ADDRESS:
        disk_source_address(job);
        break;
    }
}

void job_next(struct job *job)
{
    if (job->at == job->op_count)
        succeed(job);
    else
        begin_op(job);
}

/* The answer is as good as the watch's next word, and earlier: without it the same step would be asked for
 * again. */
static void take_answer(struct job *job, const struct op *op, const struct kube_answer *answer)
{
    const struct json *metadata = json_get(answer->body, "metadata");
    if (op->kind == OP_DELETE || op->kind == OP_REMOVE)
        store_remove(job->driver, op->object, op->name);
    else if (json_get(metadata, "name") && job->driver->watches[op->object].watch &&
             store_version(job->driver, op->object, op->name) == op->version)
        store_put(job->driver, op->object, answer->body);
}

/* The server does not grow it: its StorageClass, a quota. Asked again at once it would say the same, so the
 * step ends without an error, and the refusal is a fact of the zone that explain names. */
static bool is_growth_refused(const struct job *job, const struct op *op, const struct kube_answer *answer)
{
    return answer->err && job->kind == STEP_GROW_DISK && op->object == OBJECT_CLAIM &&
           (answer->err->code == ERROR_REFUSED || answer->err->code == ERROR_INVALID);
}

static void tell_refused(struct job *job, const struct op *op, const struct kube_answer *answer)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    const struct json *resources = json_get(json_get(op->body, "spec"), "resources");
    if (note) {
        snprintf(
            note->refusal, sizeof note->refusal,
            "%s %.253s is not grown to %s: the API server says \"%.500s\"; let its StorageClass allow it "
            "(allowVolumeExpansion: true), or raise the quota; it is tried again every %d minutes",
            object_kind_name(op->object), op->name,
            json_get_text(json_get(resources, "requests"), "storage", ""), answer->message,
            REFUSED_REST_MS / 60000);
        note->refused_bytes = job->member->storage_bytes;
        note->refused_until_ms = clock_monotonic_ms(&job->driver->clock) + REFUSED_REST_MS;
        job->driver->note(job->driver->events.context, true, note->refusal);
    }
    job_end(job);
}

static void on_written(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct job *job = context;
    struct op *op = &job->ops[job->at];
    (void)id;
    job->request = 0;
    if (job->driver->closing)
        return;
    if (is_growth_refused(job, op, answer)) {
        tell_refused(job, op, answer);
        return;
    }
    if (answer->err && !((op->kind == OP_DELETE || op->kind == OP_REMOVE) && answer->status == 404)) {
        struct error err = *answer->err;
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
        return;
    }
    take_answer(job, op, answer);
    if (op->object == OBJECT_SECRET && op->kind == OP_ENSURE)
        secrets_written(job, op, json_get_text(json_get(answer->body, "metadata"), "resourceVersion", ""));
    if (op->again)
        op->again = false;
    else
        job->at++;
    job_next(job);
}

/* ---- a step ---- */

static struct job *job_create(struct kube_driver *driver, const struct step *step, uint64_t step_id)
{
    static const char *const texts[] = {
#define X(name, text) [name] = text,
        STEP_KINDS(X)
#undef X
    };
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        abort(); /* the agent would wait for ever for a step that nobody can answer for */
    job->driver = driver;
    job->step_id = step_id;
    job->kind = step->kind;
    job->key = step->key ? step->key : "";
    job->ca = step->ca ? step->ca : "";
    arena_init(&job->arena, 0);
    struct intent copy = {
        .federation = driver->federation, .zone = driver->zone, .members = step->member, .member_count = 1};
    copy = intent_copy(&job->arena, &copy);
    job->member = copy.member_count ? &copy.members[0] : NULL;
    job->what = arena_printf(&job->arena, "to %s of %s", texts[step->kind], step->member->node);
    job->next = driver->jobs;
    driver->jobs = job;
    return job;
}

void steps_perform(struct kube_driver *driver, const struct step *step, uint64_t step_id)
{
    struct job *job = job_create(driver, step, step_id);
    struct scene scene;
    struct error err;
    if (!job->member || arena_failed(&job->arena)) {
        error_set(&err, ERROR_NO_MEMORY, "no memory for a step");
        job_fail(job, &err);
        return;
    }
    scene_make(driver, &scene);
    job_plan(job, &scene);
    job->key = job->ca = NULL; /* valid during this call alone */
    scene_finish(&scene);
    job_next(job);
}
