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

static void finish(struct job *job)
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
    finish(job);
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
    finish(job);
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

/* ---- what isn't ours ---- */

static const char *maker_of(const struct json *object)
{
    const struct json *entry = json_first(json_get(json_get(object, "metadata"), "managedFields"));
    return json_get_text(entry, "manager", "an unknown program");
}

static void name_place(const struct op *op, const struct json *object, char out[256])
{
    const char *name = json_get_text(json_get(object, "metadata"), "name", "");
    const char *space = json_get_text(json_get(object, "metadata"), "namespace", "");
    snprintf(out, 256, "%s %.63s%s%.63s", object_kind_name(op->object), space, *space ? "/" : "", name);
}

/* The step ends without an error: the conflict is a fact of the zone, which the rows and explain name. */
static void tell_foreign(struct job *job, const struct op *op, const struct json *object)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    char place[256];
    name_place(op, object, place);
    if (note) {
        snprintf(note->foreign, sizeof note->foreign,
                 "%s exists and isn't ours (made by %.40s, without the labels of federation %.63s, zone "
                 "%.63s, set %.63s%s): it is "
                 "left untouched; delete or rename it, or take member %s out of the spec; %s goes on by "
                 "itself then",
                 place, maker_of(object), job->driver->federation, job->driver->zone, job->member->set,
                 op->shared ? "" : " and of this member", job->member->node, job->member->node);
        snprintf(note->foreign_path, sizeof note->foreign_path, "%s", op->path);
        note->foreign_shared = op->shared;
        job->driver->note(job->driver->events.context, true, note->foreign);
    }
    job->repair[0] = 0;
    finish(job);
}

static void on_foreign_looked_at(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct note *note = context;
    struct kube_driver *driver = note->driver;
    (void)id;
    note->foreign_request = 0;
    if (driver->closing || (answer->err && answer->status != 404))
        return;
    struct object_zone zone = {.federation = driver->federation, .zone = driver->zone};
    struct intent_member member = {.set = note->set, .ordinal = note->ordinal};
    if (answer->status != 404 && !object_is_ours(answer->body, &zone, &member, note->foreign_shared))
        return;
    note->foreign[0] = 0;
    driver_changed(driver);
}

void steps_look_at_foreign(struct kube_driver *driver)
{
    for (size_t i = 0; i < driver->note_count; i++) {
        struct note *note = driver->notes[i];
        if (!*note->foreign || note->foreign_request)
            continue;
        const struct kube_request request = {
            .method = "GET", .path = note->foreign_path, .done = on_foreign_looked_at, .context = note};
        note->foreign_request = kube_request_start(driver->client, &request, NULL);
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
    const struct kube_apply request = {
        .path = op->path, .object = op->body, .force = force, .done = on_written, .context = job};
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

/* A claim's spec can't be changed once it is bound: of one that is there only the labels are put back. */
static void relabel(struct job *job)
{
    const struct json *metadata = json_get(job->ops[job->at].body, "metadata");
    struct json *patch = json_object();
    struct json *to = json_set(patch, "metadata", json_object());
    json_set(to, "labels", json_copy(json_get(metadata, "labels")));
    if (json_get(metadata, "annotations"))
        json_set(to, "annotations", json_copy(json_get(metadata, "annotations")));
    send_write(job, "PATCH", "application/merge-patch+json", patch);
    json_destroy(patch);
}

static void write_over(struct job *job, const struct json *there)
{
    struct op *op = &job->ops[job->at];
    struct error err;
    char place[256];
    name_place(op, there, place);
    if (is_going(there) && op->object != OBJECT_CLAIM) {
        error_set(&err, ERROR_CONFLICT, "%s is still being deleted; it is made again once it is gone", place);
        job_fail(job, &err);
    } else if (op->object == OBJECT_CLAIM) {
        relabel(job);
    } else if (op->object == OBJECT_VOLUME && is_released(there)) {
        release_volume(job);
    } else {
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
    } else if (answer->status == 404) {
        apply(job, false); /* somebody may be quicker: then it is theirs */
    } else if (answer->err) {
        struct error err = *answer->err;
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
    } else if (!object_is_ours(answer->body, &zone, job->member, op->shared)) {
        tell_foreign(job, op, answer->body);
    } else {
        write_over(job, answer->body);
    }
}

static void look(struct job *job)
{
    struct error err;
    const struct kube_request request = {
        .method = "GET", .path = job->ops[job->at].path, .done = on_looked, .context = job};
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

static void on_written(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct job *job = context;
    struct op *op = &job->ops[job->at];
    (void)id;
    job->request = 0;
    if (job->driver->closing)
        return;
    if (answer->err && !((op->kind == OP_DELETE || op->kind == OP_REMOVE) && answer->status == 404)) {
        struct error err = *answer->err;
        error_wrap(&err, "%s", job->what);
        job_fail(job, &err);
        return;
    }
    take_answer(job, op, answer);
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
