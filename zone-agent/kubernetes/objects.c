/* The templates: see objects.h. */
#include "zone-agent/kubernetes/objects_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/hash.h"

static const struct {
    const char *kind, *group, *plural;
    bool namespaced;
} kinds[] = {
#define X(name, kind, group, plural, namespaced) [name] = {kind, group, plural, namespaced},
    OBJECT_KINDS(X)
#undef X
};

const char *object_kind_name(enum object_kind kind)
{
    return kinds[kind].kind;
}

static bool at_least(const struct object_zone *zone, int major, int minor)
{
    return !zone->major || zone->major > major || (zone->major == major && zone->minor >= minor);
}

/* policy/v1 came with 1.21 and v1beta1 went with 1.25. */
static const char *group_of(enum object_kind kind, const struct object_zone *zone)
{
    return kind == OBJECT_BUDGET && !at_least(zone, 1, 21) ? "/apis/policy/v1beta1" : kinds[kind].group;
}

void object_path(enum object_kind kind, const struct object_zone *zone, const char *name,
                 char out[OBJECT_PATH_MAX])
{
    bool in_namespace = kinds[kind].namespaced;
    snprintf(out, OBJECT_PATH_MAX, "%s%s%s/%s%s%s", group_of(kind, zone), in_namespace ? "/namespaces/" : "",
             in_namespace ? zone->namespace_ : "", kinds[kind].plural, name ? "/" : "", name ? name : "");
}

/* ---- what all of them have ---- */

static void set_ordinal(struct json *labels, int ordinal)
{
    char text[16];
    snprintf(text, sizeof text, "%d", ordinal);
    json_set_string(labels, LABEL_ORDINAL, text);
}

void objects_set_labels(struct json *labels, const struct object_zone *zone,
                        const struct intent_member *member, bool shared)
{
    json_set_string(labels, "app.kubernetes.io/managed-by", "atoll");
    json_set_string(labels, LABEL_FEDERATION, zone->federation);
    json_set_string(labels, LABEL_ZONE, zone->zone);
    json_set_string(labels, LABEL_SET, member->set);
    if (!shared)
        set_ordinal(labels, member->ordinal);
}

void objects_set_selector(struct json *selector, const struct object_zone *zone,
                          const struct intent_member *member)
{
    json_set_string(selector, LABEL_FEDERATION, zone->federation);
    json_set_string(selector, LABEL_SET, member->set);
}

struct json *objects_begin(enum object_kind kind, const struct object_zone *zone,
                           const struct intent_member *member, const char *name, bool shared)
{
    struct json *object = json_object();
    json_set_string(object, "apiVersion",
                    kind == OBJECT_BUDGET ? group_of(kind, zone) + strlen("/apis/") : "v1");
    json_set_string(object, "kind", kinds[kind].kind);
    struct json *metadata = json_set(object, "metadata", json_object());
    json_set_string(metadata, "name", name);
    if (kinds[kind].namespaced)
        json_set_string(metadata, "namespace", zone->namespace_);
    objects_set_labels(json_set(metadata, "labels", json_object()), zone, member, shared);
    return object;
}

/* A hash of the object's text, as an annotation. */
static struct json *sign(struct json *object)
{
    struct buffer text;
    uint64_t hash = HASH_START;
    char hex[17];
    buffer_init(&text, 0);
    if (json_print(object, JSON_COMPACT, &text, NULL) == 0)
        hash = hash_bytes(hash, text.data, text.length);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
    buffer_finish(&text);
    struct json *metadata = (struct json *)(uintptr_t)json_get(object, "metadata");
    json_set_string(json_set(metadata, "annotations", json_object()), ANNOTATION_TEMPLATE, hex);
    return object;
}

void objects_append_string(struct json *list, const char *text)
{
    json_append(list, json_string(text));
}

/* ---- the disk ---- */

static void set_storage(struct json *object, int64_t bytes)
{
    char text[32];
    const int64_t gib = INT64_C(1) << 30, mib = 1 << 20;
    if (bytes % gib == 0)
        snprintf(text, sizeof text, "%lldGi", (long long)(bytes / gib));
    else if (bytes % mib == 0)
        snprintf(text, sizeof text, "%lldMi", (long long)(bytes / mib));
    else
        snprintf(text, sizeof text, "%lld", (long long)bytes);
    json_set_string(object, "storage", text);
}

/* ReadWriteOnce keeps nodes apart, not pods; ReadWriteOncePod (stable in 1.29) does. */
static void set_access(struct json *spec, const struct object_zone *zone)
{
    objects_append_string(json_set(spec, "accessModes", json_array()),
                          at_least(zone, 1, 29) ? "ReadWriteOncePod" : "ReadWriteOnce");
}

static void set_zone_affinity(struct json *spec, const struct object_zone *zone)
{
    struct json *required =
        json_set(json_set(spec, "nodeAffinity", json_object()), "required", json_object());
    struct json *term = json_append(json_set(required, "nodeSelectorTerms", json_array()), json_object());
    struct json *expression = json_append(json_set(term, "matchExpressions", json_array()), json_object());
    json_set_string(expression, "key", "topology.gke.io/zone");
    json_set_string(expression, "operator", "In");
    objects_append_string(json_set(expression, "values", json_array()), zone->zone);
}

struct json *object_volume(const struct object_zone *zone, const struct intent_member *member,
                           const char *disk_id)
{
    char handle[1024];
    struct json *object = objects_begin(OBJECT_VOLUME, zone, member, member->disk, false);
    struct json *metadata = (struct json *)(uintptr_t)json_get(object, "metadata");
    if (disk_id && *disk_id)
        json_set_string(json_set(metadata, "annotations", json_object()), ANNOTATION_DISK_ID, disk_id);
    struct json *spec = json_set(object, "spec", json_object());
    set_storage(json_set(spec, "capacity", json_object()), member->storage_bytes);
    set_access(spec, zone);
    json_set_string(spec, "persistentVolumeReclaimPolicy", "Retain");
    json_set_string(spec, "storageClassName",
                    ""); /* else the cluster's default is filled in, and the claim never binds */
    struct json *claim = json_set(spec, "claimRef", json_object());
    json_set_string(claim, "apiVersion", "v1");
    json_set_string(claim, "kind", "PersistentVolumeClaim");
    json_set_string(claim, "namespace", zone->namespace_);
    json_set_string(claim, "name", member->volume);
    struct json *csi = json_set(spec, "csi", json_object());
    json_set_string(csi, "driver", "pd.csi.storage.gke.io");
    snprintf(handle, sizeof handle, "projects/%s/zones/%s/disks/%s", zone->project, zone->zone, member->disk);
    json_set_string(csi, "volumeHandle", handle);
    json_set_string(csi, "fsType", "ext4");
    set_zone_affinity(spec, zone);
    return object;
}

struct json *object_claim(const struct object_zone *zone, const struct intent_member *member)
{
    struct json *object = objects_begin(OBJECT_CLAIM, zone, member, member->volume, false);
    struct json *spec = json_set(object, "spec", json_object());
    set_access(spec, zone);
    if (*zone->project) {
        json_set_string(spec, "storageClassName", "");
        json_set_string(spec, "volumeName", member->disk);
    }
    struct json *resources = json_set(spec, "resources", json_object());
    set_storage(json_set(resources, "requests", json_object()), member->storage_bytes);
    return object;
}

/* ---- the ReplicationController ---- */

/* On the ReplicationController itself, not in its template. An intent that has none says nothing against the
 * one that was brought. */
static void set_certificate_id(struct json *object, const struct intent_member *member)
{
    const struct json *annotations = json_get(json_get(object, "metadata"), "annotations");
    if (member->tls && member->certificate_id && *member->certificate_id)
        json_set_string((struct json *)(uintptr_t)annotations, ANNOTATION_CERTIFICATE_ID,
                        member->certificate_id);
}

struct json *object_controller(const struct object_zone *zone, const struct intent_member *member,
                               int replicas)
{
    struct json *object = objects_begin(OBJECT_CONTROLLER, zone, member, member->controller, false);
    struct json *spec = json_set(object, "spec", json_object());
    struct json *selector = json_set(spec, "selector", json_object());
    json_set_string(selector, "name", member->node);
    json_set_string(selector, LABEL_FEDERATION, zone->federation);
    objects_set_pod(json_set(spec, "template", json_object()), zone, member);
    sign(object); /* without the replicas: they are the reconciler's steps; and without what differs with a
                     certificate */
    set_certificate_id(object, member);
    json_set_int(spec, "replicas", replicas);
    return object;
}

/* ---- Services and budget ---- */

static void set_port(struct json *spec, const struct intent_member *member)
{
    struct json *port = json_append(json_set(spec, "ports", json_array()), json_object());
    json_set_string(port, "name", "mongodb");
    json_set_int(port, "port", member->port);
    json_set_int(port, "targetPort", member->port);
    json_set_string(port, "protocol", "TCP"); /* a key of the list: server-side apply needs it spelled out */
}

static void add_range(struct json *list, const char *range)
{
    if (!range || !*range || json_count(list) >= OBJECT_RANGES_MAX)
        return;
    for (const struct json *known = json_first(list); known; known = json_next(known))
        if (strcmp(json_text(known), range) == 0)
            return;
    objects_append_string(list, range);
}

/* An empty list would admit everybody. */
static void set_ranges(struct json *spec, const struct object_zone *zone, const struct intent_member *member,
                       const struct json *admitted)
{
    struct json *list = json_set(spec, "loadBalancerSourceRanges", json_array());
    for (size_t i = 0; i < member->source_range_count; i++)
        add_range(list, member->source_ranges[i]);
    for (size_t i = 0; i < zone->own_range_count; i++)
        add_range(list, zone->own_ranges[i]);
    for (const struct json *range = json_first(admitted); member->source_ranges_partial && range;
         range = json_next(range))
        add_range(list, json_text(range));
    if (!json_count(list))
        objects_append_string(list, "127.0.0.1/32");
}

struct json *object_service(const struct object_zone *zone, const struct intent_member *member,
                            const char *address, const struct json *admitted)
{
    struct json *object = objects_begin(OBJECT_SERVICE, zone, member, member->service, false);
    struct json *spec = json_set(object, "spec", json_object());
    json_set_string(spec, "type", "LoadBalancer");
    json_set_string(json_set(spec, "selector", json_object()), "name", member->node);
    set_port(spec, member);
    json_set_bool(spec, "publishNotReadyAddresses", true);
    json_set_string(spec, "externalTrafficPolicy",
                    "Local"); /* source addresses arrive, so that ranges hold */
    if (address && *address)
        json_set_string(spec, "loadBalancerIP", address);
    set_ranges(spec, zone, member, admitted);
    return sign(object);
}

const char *object_shared_name(const struct intent_member *member, struct arena *arena)
{
    return arena_printf(arena, "%s-svc", member->set);
}

static struct json *begin_shared(enum object_kind kind, const struct object_zone *zone,
                                 const struct intent_member *member)
{
    char name[NAME_LENGTH_MAX + 8];
    snprintf(name, sizeof name, "%.*s-svc", NAME_LENGTH_MAX, member->set);
    return objects_begin(kind, zone, member, name, true);
}

struct json *object_headless(const struct object_zone *zone, const struct intent_member *member)
{
    struct json *object = begin_shared(OBJECT_SERVICE, zone, member);
    struct json *spec = json_set(object, "spec", json_object());
    json_set_string(spec, "clusterIP", "None");
    json_set_bool(spec, "publishNotReadyAddresses", true);
    objects_set_selector(json_set(spec, "selector", json_object()), zone, member);
    set_port(spec, member);
    return sign(object);
}

struct json *object_budget(const struct object_zone *zone, const struct intent_member *member)
{
    struct json *object = begin_shared(OBJECT_BUDGET, zone, member);
    struct json *spec = json_set(object, "spec", json_object());
    json_set_int(spec, "maxUnavailable", 1);
    objects_set_selector(json_set(json_set(spec, "selector", json_object()), "matchLabels", json_object()),
                         zone, member);
    return sign(object);
}
