/* What the zone holds of each member: see holdings.h. */
#include "zone-agent/kubernetes/holdings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/hash.h"

static const struct json *metadata_of(const struct json *object)
{
    return json_get(object, "metadata");
}

static const char *label(const struct json *object, const char *key)
{
    return json_get_text(json_get(metadata_of(object), "labels"), key, "");
}

static const char *annotation(const struct json *object, const char *key)
{
    return json_get_text(json_get(metadata_of(object), "annotations"), key, "");
}

static const char *name_of(const struct json *object)
{
    return json_get_text(metadata_of(object), "name", "");
}

/* What goes into the report: who may write into the cluster must not be able to make one that the controller
 * refuses, and so silence the zone. A name that is longer than it can be is as good as none. */
static const char *bounded(struct arena *arena, const char *text, size_t most)
{
    return strlen(text) <= most ? arena_string(arena, text) : "";
}

static int64_t count_of(const struct json *object, const char *key)
{
    int64_t count = json_get_int(object, key, 0);
    return count < 0 ? 0 : count > INT32_MAX ? INT32_MAX : count;
}

static bool is_going(const struct json *object)
{
    return json_get(metadata_of(object), "deletionTimestamp") != NULL;
}

static bool of_our_federation(const struct holdings_input *input, const struct json *object)
{
    const char *federation = input->zone->federation;
    return (!*federation || strcmp(label(object, LABEL_FEDERATION), federation) == 0) &&
           strcmp(label(object, LABEL_ZONE), input->zone->zone) == 0;
}

static int ordinal_of(const struct json *object)
{
    const char *text = label(object, LABEL_ORDINAL);
    long value = strtol(text, NULL, 10);
    return value > 0 && value <= 1000000 ? (int)value : 0;
}

static bool is_of(const struct holdings_input *input, const struct observed *seen, enum object_kind kind,
                  const char *set, int ordinal)
{
    return seen->kind == kind && of_our_federation(input, seen->object) &&
           ordinal_of(seen->object) == ordinal && strcmp(label(seen->object, LABEL_SET), set) == 0;
}

const struct json *holdings_find(const struct holdings_input *input, enum object_kind kind, const char *name)
{
    for (size_t i = 0; i < input->object_count; i++)
        if (input->objects[i].kind == kind && strcmp(name_of(input->objects[i].object), name) == 0 &&
            of_our_federation(input, input->objects[i].object))
            return input->objects[i].object;
    return NULL;
}

/* By labels; and by `name` where the intent says it, for a copy that somebody made under another name bears
 * our labels too. */
static const struct json *find(const struct holdings_input *input, enum object_kind kind, const char *set,
                               int ordinal, const char *name)
{
    for (size_t i = 0; i < input->object_count; i++)
        if (is_of(input, &input->objects[i], kind, set, ordinal) &&
            (!name || strcmp(name_of(input->objects[i].object), name) == 0))
            return input->objects[i].object;
    return NULL;
}

/* ---- the pod ---- */

/* Who has ended for good (evicted, for one) is no pod any more: its controller makes another. */
static int liveliness(const struct json *pod)
{
    const char *phase = json_get_text(json_get(pod, "status"), "phase", "");
    if (strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0)
        return 0;
    return is_going(pod) ? 1 : strcmp(phase, "Running") == 0 ? 3 : 2;
}

const struct json *holdings_pod(const struct holdings_input *input, const char *set, int ordinal)
{
    const struct json *best = NULL;
    for (size_t i = 0; i < input->object_count; i++) {
        const struct json *pod = input->objects[i].object;
        if (!is_of(input, &input->objects[i], OBJECT_POD, set, ordinal) || !liveliness(pod))
            continue;
        if (!best || liveliness(pod) > liveliness(best) ||
            (liveliness(pod) == liveliness(best) &&
             strcmp(json_get_text(metadata_of(pod), "creationTimestamp", ""),
                    json_get_text(metadata_of(best), "creationTimestamp", "")) > 0))
            best = pod;
    }
    return best;
}

static const struct json *mongod_of(const struct json *pod)
{
    return json_get(json_get(pod, "status"), "mongod");
}

static bool is_running(const struct json *pod)
{
    return json_get(json_get(mongod_of(pod), "state"), "running") != NULL;
}

static const char *last_exit(const struct json *pod, struct arena *arena)
{
    const struct json *ended = json_get(json_get(mongod_of(pod), "lastState"), "terminated");
    if (!ended)
        return "";
    const char *reason = json_get_text(ended, "reason", "");
    return arena_printf(arena, "mongod ended with exit code %lld%s%s%s at %s",
                        (long long)json_get_int(ended, "exitCode", -1), *reason ? " (" : "", reason,
                        *reason ? ")" : "", json_get_text(ended, "finishedAt", "an unknown time"));
}

static struct pod_holding pod_holding(const struct json *pod, struct arena *arena)
{
    struct pod_holding out = {.name = "", .node = "", .image_id = "", .last_exit = ""};
    if (!pod)
        return out;
    out.name = bounded(arena, name_of(pod), TEXT_LENGTH_MAX);
    out.node = bounded(arena, json_get_text(json_get(pod, "spec"), "nodeName", ""), TEXT_LENGTH_MAX);
    out.image_id = bounded(arena, json_get_text(mongod_of(pod), "imageID", ""), TEXT_LENGTH_MAX);
    out.running = is_running(pod);
    out.terminating = is_going(pod);
    out.ready = out.running && !out.terminating && json_get_bool(json_get(pod, "status"), "ready", false);
    out.restarts = count_of(mongod_of(pod), "restartCount");
    out.last_exit = last_exit(pod, arena);
    out.key_id = arena_string(arena, annotation(pod, ANNOTATION_KEY_ID));
    return out;
}

/* ---- the disk ---- */

/* What there is, where the claim's status says it: a larger request may be waiting for its driver. */
static int64_t size_of(const struct json *claim, const struct json *volume)
{
    const struct json *capacity = json_get(json_get(claim, "status"), "capacity");
    double size = volume     ? object_storage(OBJECT_VOLUME, volume)
                  : capacity ? object_quantity(json_get_text(capacity, "storage", ""))
                             : object_storage(OBJECT_CLAIM, claim);
    return size < 0 || size > 9e18 ? -1 : (int64_t)(size / 1000);
}

/* Without a project the claim is the disk. With one the disk is Google's: its id stands on its
 * PersistentVolume. */
static struct disk_holding disk_holding(const struct holdings_input *input,
                                        const struct intent_member *wanted, const struct json *claim,
                                        bool runs, struct arena *arena)
{
    struct disk_holding out = {.name = wanted ? arena_string(arena, wanted->disk) : "",
                               .id = "",
                               .replica_set_id = "",
                               .size_bytes = -1,
                               .used_bytes = -1};
    if (!claim)
        return out;
    const char *volume_name = json_get_text(json_get(claim, "spec"), "volumeName", "");
    const struct json *volume =
        *input->zone->project ? holdings_find(input, OBJECT_VOLUME, volume_name) : NULL;
    if (*input->zone->project && !volume)
        return out;
    if (!wanted)
        out.name = bounded(arena, volume ? volume_name : name_of(claim), TEXT_LENGTH_MAX);
    out.id = bounded(
        arena, volume ? annotation(volume, ANNOTATION_DISK_ID) : json_get_text(metadata_of(claim), "uid", ""),
        TEXT_LENGTH_MAX);
    bool lost = strcmp(json_get_text(json_get(claim, "status"), "phase", ""), "Lost") == 0;
    out.state = lost ? DISK_FAILED : runs ? DISK_ATTACHED : DISK_READY;
    out.used = strcmp(annotation(claim, ANNOTATION_USED), "true") == 0;
    out.adopted = strcmp(annotation(claim, ANNOTATION_ADOPTED), "true") == 0;
    out.replica_set_id = bounded(arena, annotation(claim, ANNOTATION_REPLICA_SET), NAME_LENGTH_MAX);
    out.size_bytes = size_of(claim, volume);
    return out;
}

/* ---- the Service ---- */

static const char *address_of(const struct json *service, struct arena *arena)
{
    const struct json *ingress =
        json_first(json_get(json_get(json_get(service, "status"), "loadBalancer"), "ingress"));
    const char *ip = json_get_text(ingress, "ip", ""), *name = json_get_text(ingress, "hostname", "");
    const struct json *port = json_first(json_get(json_get(service, "spec"), "ports"));
    if (!*ip && !*name)
        return "";
    const char *host = arena_printf(arena, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", *ip ? ip : name,
                                    (long long)json_get_int(port, "port", 0));
    return strlen(host) <= HOST_LENGTH_MAX ? host : "";
}

static bool same_annotation(const struct json *wanted, const struct json *live, const char *key)
{
    return strcmp(annotation(wanted, key), annotation(live, key)) == 0;
}

bool holdings_drift(const struct json *wanted, const struct json *live, char where[static 256])
{
    return live && same_annotation(wanted, live, ANNOTATION_TEMPLATE) &&
           same_annotation(wanted, live, ANNOTATION_CERTIFICATE_ID) && !object_matches(wanted, live, where);
}

static bool is_stale(struct json *wanted, const struct json *live)
{
    char where[256];
    bool stale = !live || !object_matches(wanted, live, where);
    json_destroy(wanted);
    return stale;
}

static bool service_is_stale(const struct holdings_input *input, const struct intent_member *wanted,
                             const struct json *service, struct arena *arena)
{
    const char *shared = object_shared_name(wanted, arena);
    const struct json *spec = json_get(service, "spec");
    const struct json *admitted = json_get(spec, "loadBalancerSourceRanges");
    const char *address = json_get_text(spec, "loadBalancerIP", "");
    return is_stale(object_service(input->zone, wanted, address, admitted), service) ||
           is_stale(object_headless(input->zone, wanted), holdings_find(input, OBJECT_SERVICE, shared)) ||
           is_stale(object_budget(input->zone, wanted), holdings_find(input, OBJECT_BUDGET, shared));
}

/* With a project the disk is as large as its PersistentVolume says, and its claim's request stays as it is:
 * the server grows claims of a StorageClass alone. */
static void compare_disk(const struct holdings_input *input, const struct intent_member *wanted,
                         const struct json *claim, const struct member_note *note, struct arena *arena,
                         struct member_holding *out)
{
    const struct object_zone *zone = input->zone;
    const char *volume_name = json_get_text(json_get(claim, "spec"), "volumeName", "");
    const struct json *volume = *zone->project ? holdings_find(input, OBJECT_VOLUME, volume_name) : NULL;
    if (!claim || is_going(claim) || (*zone->project && (!volume || is_going(volume)))) {
        out->disk_stale = note && ((!claim && note->had_claim) ||
                                   (claim && !is_going(claim) && !volume && note->had_volume));
        return;
    }
    out->disk_stale = is_stale(object_disk(OBJECT_CLAIM, zone, wanted, claim, false), claim) ||
                      (volume && is_stale(object_disk(OBJECT_VOLUME, zone, wanted, volume, false), volume));
    bool bound = strcmp(json_get_text(json_get(claim, "status"), "phase", ""), "Bound") == 0;
    bool small = volume ? object_is_small(OBJECT_VOLUME, volume, wanted)
                        : bound && object_is_small(OBJECT_CLAIM, claim, wanted);
    bool refused = small && note && note->refused_bytes == wanted->storage_bytes;
    out->disk_small = small && !(refused && note->rests);
    if (refused && !*out->problem.code)
        out->problem = (struct problem){"disk_not_grown", arena_string(arena, note->refusal), 0};
}

/* ---- one member, and all ---- */

static const struct intent_member *wanted_of(const struct holdings_input *input, const char *set, int ordinal)
{
    for (size_t i = 0; input->intent && i < input->intent->member_count; i++)
        if (input->intent->members[i].ordinal == ordinal && strcmp(input->intent->members[i].set, set) == 0)
            return &input->intent->members[i];
    return NULL;
}

static const struct member_note *note_of(const struct holdings_input *input, const char *set, int ordinal)
{
    for (size_t i = 0; i < input->note_count; i++)
        if (input->notes[i].ordinal == ordinal && strcmp(input->notes[i].set, set) == 0)
            return &input->notes[i];
    return NULL;
}

static void add_note(struct member_holding *member, const struct member_note *note, struct arena *arena)
{
    member->problem = (struct problem){.code = "", .message = ""};
    member->last_repair = "";
    if (!note)
        return;
    member->repairs = note->repairs;
    member->last_repair = arena_string(arena, note->last_repair);
    member->foreign = *note->foreign != 0;
    if (*note->problem_code)
        member->problem =
            (struct problem){arena_string(arena, note->problem_code), arena_string(arena, note->problem), 0};
    if (member->foreign)
        member->problem = (struct problem){"foreign_object", arena_string(arena, note->foreign), 0};
}

static void build_member(const struct holdings_input *input, const char *set, int ordinal,
                         struct arena *arena, struct member_holding *out)
{
    const struct intent_member *wanted = wanted_of(input, set, ordinal);
    const struct json *claim = find(input, OBJECT_CLAIM, set, ordinal, wanted ? wanted->volume : NULL);
    const struct json *service = find(input, OBJECT_SERVICE, set, ordinal, wanted ? wanted->service : NULL);
    const struct json *controller =
        find(input, OBJECT_CONTROLLER, set, ordinal, wanted ? wanted->controller : NULL);
    const struct json *pod = holdings_pod(input, set, ordinal);
    if (service && is_going(service))
        service = NULL;
    if (controller && is_going(controller))
        controller = NULL;
    *out = (struct member_holding){.set = arena_string(arena, set), .ordinal = ordinal};
    out->pod = pod_holding(pod, arena);
    out->disk = disk_holding(input, wanted, claim, out->pod.running, arena);
    out->service_exists = service != NULL;
    out->address = service ? address_of(service, arena) : "";
    out->controller_exists = controller != NULL;
    out->replicas = (int)count_of(json_get(controller, "spec"), "replicas");
    const struct member_note *note = note_of(input, set, ordinal);
    add_note(out, note, arena);
    if (!wanted || wanted->run == RUN_ABSENT)
        return;
    compare_disk(input, wanted, claim, note, arena, out);
    out->secrets_stale = note && note->secrets_stale;
    out->service_stale = service && service_is_stale(input, wanted, service, arena);
    /* Two pods would mean two mongod on one disk. */
    int replicas = out->replicas > 1 ? 1 : out->replicas;
    out->controller_stale =
        controller && is_stale(object_controller(input->zone, wanted, replicas), controller);
}

static bool is_listed(const struct holdings *out, const char *set, int ordinal)
{
    for (size_t i = 0; i < out->member_count; i++)
        if (out->members[i].ordinal == ordinal && strcmp(out->members[i].set, set) == 0)
            return true;
    return false;
}

static void add_member(const struct holdings_input *input, const char *set, int ordinal, struct arena *arena,
                       struct member_holding *members, struct holdings *out)
{
    if (!*set || strlen(set) > NAME_LENGTH_MAX || !ordinal || out->member_count == HOLDINGS_MEMBERS_MAX ||
        is_listed(out, set, ordinal))
        return;
    build_member(input, set, ordinal, arena, &members[out->member_count++]);
}

static void build_egress(const struct holdings_input *input, struct arena *arena, struct holdings *out)
{
    const char **egress = arena_array(arena, RANGES_MAX, sizeof *egress);
    for (size_t i = 0; egress && i < input->object_count; i++) {
        if (input->objects[i].kind != OBJECT_NODE)
            continue;
        const struct json *list = json_get(input->objects[i].object, "egress");
        for (const struct json *range = json_first(list); range && out->egress_count < RANGES_MAX;
             range = json_next(range))
            egress[out->egress_count++] = arena_string(arena, json_text(range));
    }
    out->egress = egress;
}

void holdings_build(const struct holdings_input *input, struct arena *arena, struct holdings *out)
{
    *out = (struct holdings){.zone_problem = {.code = "", .message = ""}};
    size_t most = input->object_count + input->note_count;
    struct member_holding *members =
        arena_array(arena, most < HOLDINGS_MEMBERS_MAX ? most : HOLDINGS_MEMBERS_MAX, sizeof *members);
    build_egress(input, arena, out);
    out->members = members;
    if (!members)
        return;
    for (size_t i = 0; i < input->object_count; i++) {
        const struct observed *seen = &input->objects[i];
        if (seen->kind != OBJECT_NODE && seen->kind != OBJECT_VOLUME &&
            of_our_federation(input, seen->object))
            add_member(input, label(seen->object, LABEL_SET), ordinal_of(seen->object), arena, members, out);
    }
    for (size_t i = 0; i < input->note_count; i++)
        if (*input->notes[i].foreign || *input->notes[i].problem_code)
            add_member(input, input->notes[i].set, input->notes[i].ordinal, arena, members, out);
}

/* ---- routes ---- */

/* Another number whenever another process answers: the container's id, or its count of restarts. */
static uint64_t incarnation_of(const struct json *pod)
{
    char text[256];
    snprintf(text, sizeof text, "%.80s %.120s %lld", json_get_text(metadata_of(pod), "uid", ""),
             json_get_text(mongod_of(pod), "containerID", ""),
             (long long)json_get_int(mongod_of(pod), "restartCount", 0));
    uint64_t hash = hash_text(HASH_START, text);
    return hash ? hash : 1;
}

void holdings_route(const struct holdings_input *input, const char *set, int ordinal, bool inside,
                    struct arena *arena, struct local_route *out)
{
    const struct intent_member *wanted = wanted_of(input, set, ordinal);
    const struct json *pod = holdings_pod(input, set, ordinal);
    const struct json *service = find(input, OBJECT_SERVICE, set, ordinal, wanted ? wanted->service : NULL);
    *out = (struct local_route){.host = ""};
    if (!pod || !is_running(pod) || !service)
        return;
    const struct json *port = json_first(json_get(json_get(service, "spec"), "ports"));
    const char *ip = json_get_text(json_get(pod, "status"), "podIP", "");
    if (!inside)
        out->host = address_of(service, arena);
    else if (*ip)
        out->host = arena_printf(arena, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip,
                                 (long long)json_get_int(port, "port", 0));
    out->incarnation = incarnation_of(pod);
}
