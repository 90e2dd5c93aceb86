/* The pod of a ReplicationController: nothing in it changes with a keyfile's or certificate's content but the
 * keyfile's id, so that a certificate is exchanged without another pod. */
#include <stdio.h>
#include <string.h>

#include "proto/mongod_versions.h"
#include "zone-agent/kubernetes/objects_internal.h"

/* The user and group `mongodb` of the official image. */
enum { MONGODB_USER = 999, STOP_SECONDS = 60, PROBE_SECONDS = 5 };

/* A Secret's files are mode 0440 under an fsGroup, and mongod refuses a keyfile that its group may read
 * (https://github.com/kubernetes/kubernetes/issues/57923): so it is copied into memory, mode 0400, before
 * mongod starts. */
#define SECRET_VOLUME "keyfile-secret"
#define SECRET_FOLDER "/run/atoll/secret"
#define KEY_VOLUME "keyfile"
#define KEY_FOLDER "/run/atoll/keyfile"

/* Certificate, key and CAs stay where kubelet brings them and exchanges them under a running mongod: neither
 * copied nor mounted by subPath. Their mode is no matter to mongod; 0440 under the fsGroup is for its group
 * alone. https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod */
#define TLS_VOLUME "tls"
#define TLS_FOLDER "/run/atoll/tls"
enum { TLS_MODE = 0440 };

static bool has_keyfile(const struct intent_member *member)
{
    return member->auth;
}

/* Clients need no certificate, they log in; one that they show must be of the federation. */
static void append_tls(struct json *command, const struct intent_member *member)
{
    char version[MONGOD_VERSION_MAX];
    mongod_version_of_image(member->image, version);
    const struct mongod_tls_options *names = mongod_tls_options(version);
    const char *const words[] = {names->mode,
                                 names->required,
                                 names->certificate,
                                 TLS_FOLDER "/" CERTIFICATE_KEY,
                                 names->ca,
                                 TLS_FOLDER "/" CA_KEY,
                                 names->without_certificate,
                                 names->disabled_protocols,
                                 MONGOD_TLS_DISABLED_PROTOCOLS};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        objects_append_string(command, words[i]);
}

static void set_command(struct json *container, const struct intent_member *member)
{
    char port[16];
    snprintf(port, sizeof port, "%d", member->port);
    const char *const words[] = {"mongod",        "--replSet", member->set, "--port",        port,
                                 "--bind_ip_all", "--dbpath",  "/data/db",  "--nounixsocket"};
    struct json *command = json_set(container, "command", json_array());
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        objects_append_string(command, words[i]);
    if (has_keyfile(member)) {
        objects_append_string(command, "--keyFile");
        objects_append_string(command, KEY_FOLDER "/" KEYFILE_KEY);
    }
    if (member->tls)
        append_tls(command, member);
    for (size_t i = 0; i < member->mongod_argument_count; i++)
        objects_append_string(command, member->mongod_arguments[i]);
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
    objects_append_string(json_set(json_set(security, "capabilities", json_object()), "drop", json_array()),
                          "ALL");
}

static void set_keyfile_copy(struct json *spec, const struct intent_member *member)
{
    static const char *const words[] = {"install", "-m", "0400", SECRET_FOLDER "/" KEYFILE_KEY,
                                        KEY_FOLDER "/" KEYFILE_KEY};
    struct json *container = json_append(json_set(spec, "initContainers", json_array()), json_object());
    json_set_string(container, "name", "keyfile");
    json_set_string(container, "image", member->image);
    struct json *command = json_set(container, "command", json_array());
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        objects_append_string(command, words[i]);
    struct json *mounts = json_set(container, "volumeMounts", json_array());
    add_mount(mounts, SECRET_VOLUME, SECRET_FOLDER, true);
    add_mount(mounts, KEY_VOLUME, KEY_FOLDER, false);
    set_container_security(container);
}

static void add_keyfile_volumes(struct json *volumes, const struct intent_member *member)
{
    char name[SECRET_NAME_MAX];
    struct json *secret = json_append(volumes, json_object());
    objects_keyfile_name(member, name);
    json_set_string(secret, "name", SECRET_VOLUME);
    json_set_string(json_set(secret, "secret", json_object()), "secretName", name);
    struct json *memory = json_append(volumes, json_object());
    json_set_string(memory, "name", KEY_VOLUME);
    json_set_string(json_set(memory, "emptyDir", json_object()), "medium", "Memory");
}

static void add_tls_volume(struct json *volumes, const struct intent_member *member)
{
    char name[SECRET_NAME_MAX];
    struct json *volume = json_append(volumes, json_object());
    objects_tls_name(member, name);
    json_set_string(volume, "name", TLS_VOLUME);
    struct json *secret = json_set(volume, "secret", json_object());
    json_set_string(secret, "secretName", name);
    json_set_int(secret, "defaultMode", TLS_MODE);
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
    if (member->tls)
        add_mount(mounts, TLS_VOLUME, TLS_FOLDER, true);
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
    objects_set_selector(
        json_set(json_set(term, "labelSelector", json_object()), "matchLabels", json_object()), zone, member);
    struct json *spread =
        json_append(json_set(spec, "topologySpreadConstraints", json_array()), json_object());
    json_set_int(spread, "maxSkew", 1);
    json_set_string(spread, "topologyKey", "kubernetes.io/hostname");
    json_set_string(spread, "whenUnsatisfiable", "ScheduleAnyway");
    objects_set_selector(
        json_set(json_set(spread, "labelSelector", json_object()), "matchLabels", json_object()), zone,
        member);
}

void objects_set_pod(struct json *template, const struct object_zone *zone,
                     const struct intent_member *member)
{
    struct json *metadata = json_set(template, "metadata", json_object());
    struct json *labels = json_set(metadata, "labels", json_object());
    if (has_keyfile(member) && member->key_id && *member->key_id)
        json_set_string(json_set(metadata, "annotations", json_object()), ANNOTATION_KEY_ID, member->key_id);
    for (size_t i = 0; i < member->label_count; i++)
        json_set_string(labels, member->labels[i].key, member->labels[i].value);
    objects_set_labels(labels, zone, member, false); /* after the user's: ours are what we find it by */
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
    if (member->tls)
        add_tls_volume(volumes, member);
    set_security(spec);
    set_placement(spec, zone, member);
    json_set_bool(spec, "automountServiceAccountToken", false);
    json_set_int(spec, "terminationGracePeriodSeconds", STOP_SECONDS);
}
