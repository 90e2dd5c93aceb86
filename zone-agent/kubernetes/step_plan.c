/* Which requests a step is made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/steps_internal.h"

static const char *annotation(const struct json *object, const char *key)
{
    return json_get_text(json_get(json_get(object, "metadata"), "annotations"), key, "");
}

static struct op *add(struct job *job, const struct scene *scene, enum op_kind kind, enum object_kind object,
                      const char *name, struct json *body)
{
    struct op *op = &job->ops[job->op_count++];
    *op = (struct op){.kind = kind, .object = object, .name = arena_string(&job->arena, name), .body = body};
    object_path(object, &scene->zone, name, op->path);
    return op;
}

/* ---- what somebody did to our objects ---- */

void job_say_changed(struct job *job, enum object_kind kind, const char *name, const char *where)
{
    if (!*job->repair)
        snprintf(job->repair, sizeof job->repair,
                 "%s %s was changed by somebody else (%s) and is as it was again", object_kind_name(kind),
                 name, where);
}

void job_say_gone(struct job *job, enum object_kind kind, const char *name)
{
    if (!*job->repair)
        snprintf(job->repair, sizeof job->repair, "%s %s was deleted by somebody else and is made again",
                 object_kind_name(kind), name);
}

static void look_for_drift(struct job *job, enum object_kind kind, const char *name,
                           const struct json *wanted, const struct json *live)
{
    char where[256];
    if (holdings_drift(wanted, live, where))
        job_say_changed(job, kind, name, where);
}

/* ---- disk ---- */

static void add_claim_marks(struct job *job, const struct scene *scene, const char *key, const char *value)
{
    struct json *patch = json_object();
    struct json *metadata = json_set(patch, "metadata", json_object());
    json_set_string(json_set(metadata, "annotations", json_object()), key, value);
    add(job, scene, OP_MERGE, OBJECT_CLAIM, job->member->volume, patch);
}

static void plan_disk(struct job *job, const struct scene *scene)
{
    if (*scene->zone.project) {
        add(job, scene, OP_DISK, OBJECT_VOLUME, job->member->disk, NULL);
        /* Its body is made when the disk's id is known. */
        add(job, scene, OP_ENSURE, OBJECT_VOLUME, job->member->disk, NULL);
    }
    add(job, scene, OP_ENSURE, OBJECT_CLAIM, job->member->volume, object_claim(&scene->zone, job->member));
}

/* Of a disk that is there: its objects as they are meant to be, and in between as large. */
static void add_disk_object(struct job *job, const struct scene *scene, enum object_kind kind,
                            const char *name)
{
    const struct json *live = holdings_find(&scene->input, kind, name);
    struct json *wanted = object_disk(kind, &scene->zone, job->member, live, job->kind == STEP_GROW_DISK);
    if (job->kind == STEP_UPDATE_DISK && !live)
        job_say_changed(job, kind, name, "our labels were taken off");
    else if (job->kind == STEP_UPDATE_DISK)
        look_for_drift(job, kind, name, wanted, live);
    add(job, scene, OP_ENSURE, kind, name, wanted)->there = true;
}

static void plan_disk_update(struct job *job, const struct scene *scene)
{
    if (*scene->zone.project)
        add_disk_object(job, scene, OBJECT_VOLUME, job->member->disk);
    add_disk_object(job, scene, OBJECT_CLAIM, job->member->volume);
}

/* The disk first: a PersistentVolume never says more than there is. Of a claim with a StorageClass its driver
 * grows what is behind it. */
static void plan_disk_growth(struct job *job, const struct scene *scene)
{
    if (!*scene->zone.project) {
        add_disk_object(job, scene, OBJECT_CLAIM, job->member->volume);
        return;
    }
    add(job, scene, OP_DISK_GROW, OBJECT_VOLUME, job->member->disk, NULL);
    add_disk_object(job, scene, OBJECT_VOLUME, job->member->disk);
}

/* ---- Service ---- */

static void add_shared(struct job *job, const struct scene *scene, enum object_kind kind, struct json *wanted)
{
    const char *name = object_shared_name(job->member, &job->arena);
    const struct json *live = holdings_find(&scene->input, kind, name);
    if (job->kind == STEP_UPDATE_SERVICE && !live)
        job_say_gone(job, kind, name);
    look_for_drift(job, kind, name, wanted, live);
    add(job, scene, OP_ENSURE, kind, name, wanted)->shared = true;
}

static void plan_service(struct job *job, const struct scene *scene)
{
    const char *name = job->member->service;
    const struct json *live = holdings_find(&scene->input, OBJECT_SERVICE, name);
    const struct json *spec = json_get(live, "spec");
    const struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    struct json *wanted = object_service(&scene->zone, job->member, json_get_text(spec, "loadBalancerIP", ""),
                                         json_get(spec, "loadBalancerSourceRanges"));
    if (job->kind == STEP_CREATE_SERVICE && note && note->had_service)
        job_say_gone(job, OBJECT_SERVICE, name);
    look_for_drift(job, OBJECT_SERVICE, name, wanted, live);
    if (*scene->zone.project)
        add(job, scene, OP_ADDRESS, OBJECT_SERVICE, name, NULL);
    add(job, scene, OP_ENSURE, OBJECT_SERVICE, name, wanted);
    add_shared(job, scene, OBJECT_SERVICE, object_headless(&scene->zone, job->member));
    add_shared(job, scene, OBJECT_BUDGET, object_budget(&scene->zone, job->member));
}

/* ---- ReplicationController ---- */

/* The disk bears the mark before a mongod may be started on it: a crash in between must not make it look
 * unused. */
static void add_use(struct job *job, const struct scene *scene)
{
    const struct json *claim = holdings_find(&scene->input, OBJECT_CLAIM, job->member->volume);
    if (strcmp(annotation(claim, ANNOTATION_USED), "true") != 0)
        add_claim_marks(job, scene, ANNOTATION_USED, "true");
}

/* Before a pod can look for them, and before the ReplicationController says that they are there. */
static void add_secrets(struct job *job, const struct scene *scene)
{
    const struct intent_member *member = job->member;
    if (member->auth && *member->keyfile)
        add(job, scene, OP_ENSURE, OBJECT_SECRET, object_secret_name(member, &job->arena),
            object_secret(&scene->zone, member));
    if (member->tls && *member->certificate && *job->key)
        add(job, scene, OP_ENSURE, OBJECT_SECRET, object_tls_secret_name(member, &job->arena),
            object_tls_secret(&scene->zone, member, job->key, job->ca));
}

static void plan_controller(struct job *job, const struct scene *scene, int replicas)
{
    const char *name = job->member->controller;
    const struct json *live = holdings_find(&scene->input, OBJECT_CONTROLLER, name);
    const struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    struct json *wanted = object_controller(&scene->zone, job->member, replicas);
    if (replicas)
        add_use(job, scene);
    if (job->kind == STEP_CREATE_CONTROLLER && note && note->had_controller)
        job_say_gone(job, OBJECT_CONTROLLER, name);
    if (job->kind == STEP_UPDATE_CONTROLLER)
        look_for_drift(job, OBJECT_CONTROLLER, name, wanted, live);
    add_secrets(job, scene);
    add(job, scene, OP_ENSURE, OBJECT_CONTROLLER, name, wanted);
}

static int replicas_now(const struct job *job, const struct scene *scene)
{
    const struct json *live = holdings_find(&scene->input, OBJECT_CONTROLLER, job->member->controller);
    return json_get_int(json_get(live, "spec"), "replicas", 0) > 0;
}

/* ---- going ---- */

static void add_delete(struct job *job, const struct scene *scene, enum object_kind kind, const char *name)
{
    const struct json *live = holdings_find(&scene->input, kind, name);
    const char *uid = json_get_text(json_get(live, "metadata"), "uid", "");
    if (!live)
        return;
    struct json *options = json_object();
    json_set_string(options, "apiVersion", "v1");
    json_set_string(options, "kind", "DeleteOptions");
    json_set_string(options, "propagationPolicy", "Background");
    json_set_string(json_set(options, "preconditions", json_object()), "uid",
                    uid); /* this one, not its successor */
    add(job, scene, OP_DELETE, kind, name, options);
}

static bool is_last_of_set(const struct job *job, const struct scene *scene)
{
    for (size_t i = 0; i < scene->input.object_count; i++) {
        const struct json *labels = json_get(json_get(scene->objects[i].object, "metadata"), "labels");
        const char *ordinal = json_get_text(labels, LABEL_ORDINAL, "");
        if (scene->objects[i].kind == OBJECT_SERVICE && *ordinal && atoi(ordinal) != job->member->ordinal &&
            strcmp(json_get_text(labels, LABEL_SET, ""), job->member->set) == 0)
            return false;
    }
    return true;
}

static void plan_service_removal(struct job *job, const struct scene *scene)
{
    const char *shared = object_shared_name(job->member, &job->arena);
    if (is_last_of_set(job, scene)) {
        add_delete(job, scene, OBJECT_SERVICE, shared);
        add_delete(job, scene, OBJECT_BUDGET, shared);
    }
    add_delete(job, scene, OBJECT_SERVICE, job->member->service);
}

void job_plan(struct job *job, const struct scene *scene)
{
    switch (job->kind) {
    case STEP_CREATE_DISK:
        plan_disk(job, scene);
        break;
    case STEP_UPDATE_DISK:
        plan_disk_update(job, scene);
        break;
    case STEP_GROW_DISK:
        plan_disk_growth(job, scene);
        break;
    case STEP_UPDATE_SECRETS:
        add_secrets(job, scene);
        break;
    case STEP_MARK_DISK:
        if (*scene->zone.project)
            add(job, scene, OP_DISK_MARK, OBJECT_VOLUME, job->member->disk, NULL);
        add_claim_marks(job, scene, ANNOTATION_REPLICA_SET, job->member->replica_set_id);
        break;
    case STEP_CREATE_SERVICE:
    case STEP_UPDATE_SERVICE:
        plan_service(job, scene);
        break;
    case STEP_CREATE_CONTROLLER:
        plan_controller(job, scene, job->member->run == RUN_UP);
        break;
    case STEP_UPDATE_CONTROLLER:
        plan_controller(job, scene, replicas_now(job, scene));
        break;
    case STEP_SCALE_TO_ONE:
        plan_controller(job, scene, 1);
        break;
    case STEP_SCALE_TO_ZERO:
        plan_controller(job, scene, 0);
        break;
    case STEP_DELETE_CONTROLLER:
        add_delete(job, scene, OBJECT_CONTROLLER, job->member->controller);
        add(job, scene, OP_REMOVE, OBJECT_SECRET, object_secret_name(job->member, &job->arena), NULL);
        add(job, scene, OP_REMOVE, OBJECT_SECRET, object_tls_secret_name(job->member, &job->arena), NULL);
        break;
    case STEP_DELETE_SERVICE:
        plan_service_removal(job, scene);
        break;
    }
}
