/* What has a name of ours and isn't ours: it is left untouched and said, and looked at again until it is
 * gone. */
#include <stdio.h>

#include "zone-agent/kubernetes/steps_internal.h"

static const char *maker_of(const struct json *object)
{
    const struct json *entry = json_first(json_get(json_get(object, "metadata"), "managedFields"));
    return json_get_text(entry, "manager", "an unknown program");
}

void op_place(const struct op *op, const struct json *object, char out[256])
{
    const char *name = json_get_text(json_get(object, "metadata"), "name", "");
    const char *space = json_get_text(json_get(object, "metadata"), "namespace", "");
    snprintf(out, 256, "%s %.63s%s%.63s", object_kind_name(op->object), space, *space ? "/" : "", name);
}

void job_tell_foreign(struct job *job, const struct op *op, const struct json *object)
{
    struct note *note = driver_note(job->driver, job->member->set, job->member->ordinal);
    char place[256];
    op_place(op, object, place);
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
    job_end(job);
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
