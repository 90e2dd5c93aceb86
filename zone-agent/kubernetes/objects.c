/* The templates: see objects.h. */
#include "zone-agent/kubernetes/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The user and group `mongodb` of the official image. */
enum { MONGODB_USER = 999, STOP_SECONDS = 60, PROBE_SECONDS = 5 };

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

static void set_labels(struct json *labels, const struct object_zone *zone,
                       const struct intent_member *member, bool shared)
{
    json_set_string(labels, "app.kubernetes.io/managed-by", "atoll");
    json_set_string(labels, LABEL_FEDERATION, zone->federation);
    json_set_string(labels, LABEL_ZONE, zone->zone);
    json_set_string(labels, LABEL_SET, member->set);
    if (!shared)
        set_ordinal(labels, member->ordinal);
}

/* What a Service or a budget of the whole set selects by. */
static void set_set_selector(struct json *selector, const struct object_zone *zone,
                             const struct intent_member *member)
{
    json_set_string(selector, LABEL_FEDERATION, zone->federation);
    json_set_string(selector, LABEL_SET, member->set);
}

static struct json *begin(enum object_kind kind, const struct object_zone *zone,
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
    set_labels(json_set(metadata, "labels", json_object()), zone, member, shared);
    return object;
}

/* FNV-1a of the object's text, as an annotation. */
static struct json *sign(struct json *object)
{
    struct buffer text;
    uint64_t hash = UINT64_C(14695981039346656037);
    char hex[17];
    buffer_init(&text, 0);
    if (json_print(object, JSON_COMPACT, &text, NULL) == 0)
        for (size_t i = 0; i < text.length; i++)
            hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(1099511628211);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
    buffer_finish(&text);
    struct json *metadata = (struct json *)(uintptr_t)json_get(object, "metadata");
    json_set_string(json_set(metadata, "annotations", json_object()), ANNOTATION_TEMPLATE, hex);
    return object;
}

static void append_string(struct json *list, const char *text)
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
    append_string(json_set(spec, "accessModes", json_array()),
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
    append_string(json_set(expression, "values", json_array()), zone->zone);
}

struct json *object_volume(const struct object_zone *zone, const struct intent_member *member,
                           const char *disk_id)
{
    char handle[1024];
    struct json *object = begin(OBJECT_VOLUME, zone, member, member->disk, false);
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
    struct json *object = begin(OBJECT_CLAIM, zone, member, member->volume, false);
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

/* ---- the pod ---- */

/* A Secret's files are mode 0440 under an fsGroup, and mongod refuses a keyfile that its group may read
 * (https://github.com/kubernetes/kubernetes/issues/57923): so it is copied into memory, mode 0400, before
 * mongod starts. */
#define SECRET_VOLUME "keyfile-secret"
#define SECRET_FOLDER "/run/atoll/secret"
#define KEY_VOLUME "keyfile"
#define KEY_FOLDER "/run/atoll/keyfile"
#define KEY_FILE "keyfile"

static bool has_keyfile(const struct intent_member *member)
{
    return member->auth;
}

static void set_command(struct json *container, const struct intent_member *member)
{
    char port[16];
    snprintf(port, sizeof port, "%d", member->port);
    const char *const words[] = {"mongod",        "--replSet", member->set, "--port",        port,
                                 "--bind_ip_all", "--dbpath",  "/data/db",  "--nounixsocket"};
    struct json *command = json_set(container, "command", json_array());
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        append_string(command, words[i]);
    if (has_keyfile(member)) {
        append_string(command, "--keyFile");
        append_string(command, KEY_FOLDER "/" KEY_FILE);
    }
    for (size_t i = 0; i < member->mongod_argument_count; i++)
        append_string(command, member->mongod_arguments[i]);
}

static void set_resources(struct json *container, const struct intent_member *member)
{
    bool cpu = member->cpu && *member->cpu, memory = member->memory && *member->memory;
    if (!cpu && !memory)
        return;
    struct json *requests =
        json_set(json_set(container, "resources", json_object()), "requests", json_object());
    if (cpu)
        json_set_string(requests, "cpu", member->cpu);
    if (memory)
        json_set_string(requests, "memory", member->memory);
}

/* By TCP alone: a member that recovers or waits for its set must stay reachable, or it never gets well. */
static void set_readiness(struct json *container, const struct intent_member *member)
{
    struct json *probe = json_set(container, "readinessProbe", json_object());
    json_set_int(json_set(probe, "tcpSocket", json_object()), "port", member->port);
    json_set_int(probe, "periodSeconds", PROBE_SECONDS);
}

static void add_mount(struct json *mounts, const char *volume, const char *folder, bool read_only)
{
    struct json *mount = json_append(mounts, json_object());
    json_set_string(mount, "name", volume);
    json_set_string(mount, "mountPath", folder);
    if (read_only)
        json_set_bool(mount, "readOnly", true);
}

static void set_container_security(struct json *container)
{
    struct json *security = json_set(container, "securityContext", json_object());
    json_set_bool(security, "allowPrivilegeEscalation", false);
    append_string(json_set(json_set(security, "capabilities", json_object()), "drop", json_array()), "ALL");
}

static void set_keyfile_copy(struct json *spec, const struct intent_member *member)
{
    static const char *const words[] = {"install", "-m", "0400", SECRET_FOLDER "/" KEY_FILE,
                                        KEY_FOLDER "/" KEY_FILE};
    struct json *container = json_append(json_set(spec, "initContainers", json_array()), json_object());
    json_set_string(container, "name", "keyfile");
    json_set_string(container, "image", member->image);
    struct json *command = json_set(container, "command", json_array());
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        append_string(command, words[i]);
    struct json *mounts = json_set(container, "volumeMounts", json_array());
    add_mount(mounts, SECRET_VOLUME, SECRET_FOLDER, true);
    add_mount(mounts, KEY_VOLUME, KEY_FOLDER, false);
    set_container_security(container);
}

static void add_keyfile_volumes(struct json *volumes, const struct intent_member *member)
{
    char name[TEXT_LENGTH_MAX + 16];
    struct json *secret = json_append(volumes, json_object());
    snprintf(name, sizeof name, "%.*s-keyfile", TEXT_LENGTH_MAX, member->node);
    json_set_string(secret, "name", SECRET_VOLUME);
    json_set_string(json_set(secret, "secret", json_object()), "secretName", name);
    struct json *memory = json_append(volumes, json_object());
    json_set_string(memory, "name", KEY_VOLUME);
    json_set_string(json_set(memory, "emptyDir", json_object()), "medium", "Memory");
}

static void set_container(struct json *spec, const struct intent_member *member)
{
    struct json *container = json_append(json_set(spec, "containers", json_array()), json_object());
    json_set_string(container, "name", "mongod");
    json_set_string(container, "image", member->image);
    set_command(container, member);
    struct json *port = json_append(json_set(container, "ports", json_array()), json_object());
    json_set_string(port, "name", "mongodb");
    json_set_int(port, "containerPort", member->port);
    json_set_string(port, "protocol", "TCP");
    struct json *mounts = json_set(container, "volumeMounts", json_array());
    add_mount(mounts, member->volume, "/data/db", false);
    if (has_keyfile(member))
        add_mount(mounts, KEY_VOLUME, KEY_FOLDER, true);
    set_resources(container, member);
    set_readiness(container, member);
    set_container_security(container);
}

static void set_security(struct json *spec)
{
    struct json *security = json_set(spec, "securityContext", json_object());
    json_set_bool(security, "runAsNonRoot", true);
    json_set_int(security, "runAsUser", MONGODB_USER);
    json_set_int(security, "runAsGroup", MONGODB_USER);
    json_set_int(security, "fsGroup", MONGODB_USER);
    json_set_string(security, "fsGroupChangePolicy", "OnRootMismatch");
    json_set_string(json_set(security, "seccompProfile", json_object()), "type", "RuntimeDefault");
}

/* Members of one set are kept on different nodes: that one node is lost must cost one vote. */
static void set_placement(struct json *spec, const struct object_zone *zone,
                          const struct intent_member *member)
{
    struct json *anti = json_set(json_set(spec, "affinity", json_object()), "podAntiAffinity", json_object());
    struct json *term = json_append(
        json_set(anti, "requiredDuringSchedulingIgnoredDuringExecution", json_array()), json_object());
    json_set_string(term, "topologyKey", "kubernetes.io/hostname");
    set_set_selector(json_set(json_set(term, "labelSelector", json_object()), "matchLabels", json_object()),
                     zone, member);
    struct json *spread =
        json_append(json_set(spec, "topologySpreadConstraints", json_array()), json_object());
    json_set_int(spread, "maxSkew", 1);
    json_set_string(spread, "topologyKey", "kubernetes.io/hostname");
    json_set_string(spread, "whenUnsatisfiable", "ScheduleAnyway");
    set_set_selector(json_set(json_set(spread, "labelSelector", json_object()), "matchLabels", json_object()),
                     zone, member);
}

static void set_pod(struct json *template, const struct object_zone *zone, const struct intent_member *member)
{
    struct json *metadata = json_set(template, "metadata", json_object());
    struct json *labels = json_set(metadata, "labels", json_object());
    if (has_keyfile(member) && member->key_id && *member->key_id)
        json_set_string(json_set(metadata, "annotations", json_object()), ANNOTATION_KEY_ID, member->key_id);
    for (size_t i = 0; i < member->label_count; i++)
        json_set_string(labels, member->labels[i].key, member->labels[i].value);
    set_labels(labels, zone, member, false); /* after the user's: ours are what we find it by */
    json_set_string(labels, "name", member->node);
    json_set_string(labels, "set", member->set);
    struct json *spec = json_set(template, "spec", json_object());
    if (has_keyfile(member))
        set_keyfile_copy(spec, member);
    set_container(spec, member);
    struct json *volumes = json_set(spec, "volumes", json_array());
    struct json *volume = json_append(volumes, json_object());
    json_set_string(volume, "name", member->volume);
    json_set_string(json_set(volume, "persistentVolumeClaim", json_object()), "claimName", member->volume);
    if (has_keyfile(member))
        add_keyfile_volumes(volumes, member);
    set_security(spec);
    set_placement(spec, zone, member);
    json_set_bool(spec, "automountServiceAccountToken", false);
    json_set_int(spec, "terminationGracePeriodSeconds", STOP_SECONDS);
}

struct json *object_controller(const struct object_zone *zone, const struct intent_member *member,
                               int replicas)
{
    struct json *object = begin(OBJECT_CONTROLLER, zone, member, member->controller, false);
    struct json *spec = json_set(object, "spec", json_object());
    struct json *selector = json_set(spec, "selector", json_object());
    json_set_string(selector, "name", member->node);
    json_set_string(selector, LABEL_FEDERATION, zone->federation);
    set_pod(json_set(spec, "template", json_object()), zone, member);
    sign(object); /* without the replicas: they are the reconciler's steps */
    json_set_int(spec, "replicas", replicas);
    return object;
}

const char *object_secret_name(const struct intent_member *member, struct arena *arena)
{
    return arena_printf(arena, "%s-keyfile", member->node);
}

struct json *object_secret(const struct object_zone *zone, const struct intent_member *member)
{
    char name[TEXT_LENGTH_MAX + 16];
    snprintf(name, sizeof name, "%.*s-keyfile", TEXT_LENGTH_MAX, member->node);
    struct json *object = begin(OBJECT_SECRET, zone, member, name, false);
    json_set_string(object, "type", "Opaque");
    json_set_string(json_set(object, "stringData", json_object()), KEY_FILE,
                    member->keyfile ? member->keyfile : "");
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
    append_string(list, range);
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
        append_string(list, "127.0.0.1/32");
}

struct json *object_service(const struct object_zone *zone, const struct intent_member *member,
                            const char *address, const struct json *admitted)
{
    struct json *object = begin(OBJECT_SERVICE, zone, member, member->service, false);
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
    return begin(kind, zone, member, name, true);
}

struct json *object_headless(const struct object_zone *zone, const struct intent_member *member)
{
    struct json *object = begin_shared(OBJECT_SERVICE, zone, member);
    struct json *spec = json_set(object, "spec", json_object());
    json_set_string(spec, "clusterIP", "None");
    json_set_bool(spec, "publishNotReadyAddresses", true);
    set_set_selector(json_set(spec, "selector", json_object()), zone, member);
    set_port(spec, member);
    return sign(object);
}

struct json *object_budget(const struct object_zone *zone, const struct intent_member *member)
{
    struct json *object = begin_shared(OBJECT_BUDGET, zone, member);
    struct json *spec = json_set(object, "spec", json_object());
    json_set_int(spec, "maxUnavailable", 1);
    set_set_selector(json_set(json_set(spec, "selector", json_object()), "matchLabels", json_object()), zone,
                     member);
    return sign(object);
}
