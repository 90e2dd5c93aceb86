/* A PersistentVolume or claim that is there already: what we would make of it, within what the API server
 * lets be changed. Sources: ValidatePersistentVolumeUpdate and ValidatePersistentVolumeClaimUpdate in
 * pkg/apis/core/validation of Kubernetes; the admission plugin PersistentVolumeClaimResize. */
#include <string.h>

#include "zone-agent/kubernetes/objects.h"

/* What is never sent changed: the server refuses it (a volume's source and node affinity, all of a claim's
 * spec but its size), or it follows the server's version (the access modes). */
static bool is_fixed(enum object_kind kind, const char *key)
{
    static const char *const of_volume[] = {"accessModes", "csi", "nodeAffinity", NULL};
    static const char *const of_claim[] = {"accessModes", "storageClassName", "volumeName", NULL};
    for (const char *const *fixed = kind == OBJECT_VOLUME ? of_volume : of_claim; *fixed; fixed++)
        if (strcmp(*fixed, key) == 0)
            return true;
    return false;
}

/* The object that holds "storage", or NULL. */
static const struct json *sizes_of(enum object_kind kind, const struct json *object)
{
    const struct json *spec = json_get(object, "spec");
    return kind == OBJECT_VOLUME ? json_get(spec, "capacity")
                                 : json_get(json_get(spec, "resources"), "requests");
}

double object_storage(enum object_kind kind, const struct json *object)
{
    return object_quantity(json_get_text(sizes_of(kind, object), "storage", ""));
}

bool object_is_small(enum object_kind kind, const struct json *live, const struct intent_member *member)
{
    double size = object_storage(kind, live);
    return size >= 0 && size < (double)member->storage_bytes * 1e3;
}

/* A size is raised when the disk is grown, and never lowered: what is on it has no less room. */
static void keep_size(enum object_kind kind, struct json *wanted, const struct json *live, bool grow)
{
    double has = object_storage(kind, live), wants = object_storage(kind, wanted);
    struct json *sizes = (struct json *)(uintptr_t)sizes_of(kind, wanted);
    if (has >= 0 && (!grow || has > wants))
        json_set(sizes, "storage", json_copy(json_get(sizes_of(kind, live), "storage")));
}

static void keep_fixed(enum object_kind kind, struct json *wanted, const struct json *live)
{
    struct json *spec = json_object();
    const struct json *is = json_get(live, "spec"), *meant = json_get(wanted, "spec");
    for (const struct json *field = json_first(meant); field; field = json_next(field)) {
        const struct json *value = is_fixed(kind, json_key(field)) ? json_get(is, json_key(field)) : field;
        if (value)
            json_set(spec, json_key(field), json_copy(value));
    }
    json_set(wanted, "spec", spec);
}

/* What is known of the disk stands there, and nowhere else: an apply without it would take it away. */
static void keep_marks(struct json *wanted, const struct json *live)
{
    struct json *metadata = (struct json *)(uintptr_t)json_get(wanted, "metadata");
    struct json *marks = (struct json *)(uintptr_t)json_get(metadata, "annotations");
    const struct json *all = json_get(json_get(live, "metadata"), "annotations");
    for (const struct json *mark = json_first(all); mark; mark = json_next(mark)) {
        if (strncmp(json_key(mark), "atoll.dev/", strlen("atoll.dev/")) != 0 ||
            json_get(marks, json_key(mark)))
            continue;
        if (!marks)
            marks = json_set(metadata, "annotations", json_object());
        json_set(marks, json_key(mark), json_copy(mark));
    }
}

void object_keep(enum object_kind kind, struct json *wanted, const struct json *live, bool grow)
{
    keep_fixed(kind, wanted, live);
    keep_size(kind, wanted, live, grow);
    keep_marks(wanted, live);
}

struct json *object_disk(enum object_kind kind, const struct object_zone *zone,
                         const struct intent_member *member, const struct json *live, bool grow)
{
    struct json *wanted =
        kind == OBJECT_VOLUME ? object_volume(zone, member, NULL) : object_claim(zone, member);
    if (live)
        object_keep(kind, wanted, live, grow);
    return wanted;
}
