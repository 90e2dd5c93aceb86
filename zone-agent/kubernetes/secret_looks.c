/* Whether a member's Secrets are still there as they were written. They are not watched: who may list Secrets
 * may read all of the namespace's. They are looked at by name, their metadata alone, once a minute, and more
 * often while a pod waits, which may be for them. One that was touched has another resourceVersion; whether
 * that changed anything of ours, the next apply tells: the server gives a new version only to what has
 * changed. */
#include <stdio.h>
#include <string.h>

#include "zone-agent/kubernetes/steps_internal.h"

static bool is_wanted(const struct intent_member *member, int which)
{
    return which == SECRET_KEYFILE ? member->auth && member->keyfile && *member->keyfile
                                   : member->tls && member->certificate && *member->certificate;
}

static const char *name_of(const struct intent_member *member, int which, struct arena *arena)
{
    return which == SECRET_KEYFILE ? object_secret_name(member, arena)
                                   : object_tls_secret_name(member, arena);
}

/* ---- what a step has written ---- */

void secrets_written(struct job *job, const struct op *op, const char *version)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    int which =
        strcmp(op->name, object_secret_name(job->member, &job->arena)) == 0 ? SECRET_KEYFILE : SECRET_TLS;
    struct secret_note *secret = note ? &note->secrets[which] : NULL;
    if (!secret)
        return;
    if (job->kind == STEP_UPDATE_SECRETS && !op->was)
        job_say_gone(job, OBJECT_SECRET, op->name);
    else if (job->kind == STEP_UPDATE_SECRETS && *secret->version && strcmp(op->was, version) != 0)
        job_say_changed(job, OBJECT_SECRET, op->name, "what it held is not said here");
    snprintf(secret->version, sizeof secret->version, "%s", version);
    secret->stale = false;
}

/* One that nothing could be written for, as a certificate whose key is not here, is looked at again in its
 * time. */
void secrets_settled(struct note *note)
{
    for (size_t i = 0; i < SECRET_COUNT; i++)
        note->secrets[i].stale = false;
}

/* ---- looks ---- */

static void on_looked(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct secret_note *secret = context;
    struct kube_driver *driver = secret->note->driver;
    (void)id;
    secret->request = 0;
    if (driver->closing || (answer->err && answer->status != 404))
        return;
    const char *version = json_get_text(json_get(answer->body, "metadata"), "resourceVersion", "");
    bool stale = answer->status == 404 || strcmp(version, secret->version) != 0;
    if (stale != secret->stale)
        driver_changed(driver);
    secret->stale = stale;
}

static bool is_busy(const struct kube_driver *driver, const struct note *note)
{
    for (const struct job *job = driver->jobs; job; job = job->next)
        if (job->member && job->member->ordinal == note->ordinal && strcmp(job->member->set, note->set) == 0)
            return true;
    return false;
}

/* What is being written is not looked at: the answer would be about what was before. */
static bool is_due(const struct scene *scene, const struct intent_member *member, const struct note *note)
{
    int64_t now_ms = clock_monotonic_ms(&note->driver->clock);
    const struct json *pod = holdings_pod(&scene->input, member->set, member->ordinal);
    const struct json *running =
        json_get(json_get(json_get(json_get(pod, "status"), "mongod"), "state"), "running");
    bool waits = pod && !running;
    return holdings_find(&scene->input, OBJECT_CONTROLLER, member->controller) &&
           !is_busy(note->driver, note) &&
           (waits || !note->secrets_looked_ms || now_ms - note->secrets_looked_ms >= SECRETS_LOOK_MS);
}

static void look_at(struct scene *scene, const struct intent_member *member, struct note *note)
{
    note->secrets_looked_ms = clock_monotonic_ms(&note->driver->clock);
    for (int which = 0; which < SECRET_COUNT; which++) {
        struct secret_note *secret = &note->secrets[which];
        char path[OBJECT_PATH_MAX];
        if (!is_wanted(member, which) || secret->request)
            continue;
        object_path(OBJECT_SECRET, &scene->zone, name_of(member, which, &scene->arena), path);
        const struct kube_request request = {
            .method = "GET", .path = path, .metadata_only = true, .done = on_looked, .context = secret};
        secret->request = kube_request_start(note->driver->client, &request, NULL);
    }
}

void secrets_look(struct kube_driver *driver)
{
    struct scene scene;
    if (!driver->intent || !store_is_complete(driver))
        return;
    scene_make(driver, &scene);
    size_t count = driver->intent->member_count, looked = 0;
    for (size_t turn = 0; turn < count && looked < SECRETS_LOOKS_MOST; turn++) {
        const struct intent_member *member = &driver->intent->members[driver->secrets_next++ % count];
        struct note *note = driver_note(driver, member->set, member->ordinal);
        if (!note || member->run == RUN_ABSENT || !is_due(&scene, member, note))
            continue;
        look_at(&scene, member, note);
        looked++;
    }
    scene_finish(&scene);
}
