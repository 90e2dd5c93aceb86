/* Of each object only what is used is kept. */
#include <stdio.h>
#include <string.h>

#include "zone-agent/kubernetes/holdings.h"

static void keep(struct json *to, const struct json *from, const char *key)
{
    const struct json *value = json_get(from, key);
    if (value)
        json_set(to, key, json_copy(value));
}

static void keep_annotations(struct json *to, const struct json *metadata)
{
    struct json *kept = json_set(to, "annotations", json_object());
    const struct json *all = json_get(metadata, "annotations");
    for (const struct json *value = json_first(all); value; value = json_next(value))
        if (strncmp(json_key(value), "atoll.dev/", strlen("atoll.dev/")) == 0)
            json_set(kept, json_key(value), json_copy(value));
}

static struct json *keep_metadata(struct json *to, const struct json *object)
{
    const struct json *metadata = json_get(object, "metadata");
    struct json *kept = json_set(to, "metadata", json_object());
    keep(kept, metadata, "name");
    keep(kept, metadata, "uid");
    keep(kept, metadata, "labels");
    keep(kept, metadata, "creationTimestamp");
    keep(kept, metadata, "deletionTimestamp");
    keep_annotations(kept, metadata);
    return kept;
}

static bool is_ready(const struct json *status)
{
    const struct json *conditions = json_get(status, "conditions");
    for (const struct json *condition = json_first(conditions); condition; condition = json_next(condition))
        if (strcmp(json_get_text(condition, "type", ""), "Ready") == 0)
            return strcmp(json_get_text(condition, "status", ""), "True") == 0;
    return false;
}

static void trim_pod(struct json *to, const struct json *object)
{
    const struct json *status = json_get(object, "status");
    keep(json_set(to, "spec", json_object()), json_get(object, "spec"), "nodeName");
    struct json *kept = json_set(to, "status", json_object());
    keep(kept, status, "phase");
    keep(kept, status, "podIP");
    json_set_bool(kept, "ready", is_ready(status));
    const struct json *containers = json_get(status, "containerStatuses");
    for (const struct json *container = json_first(containers); container; container = json_next(container)) {
        if (strcmp(json_get_text(container, "name", ""), "mongod") != 0)
            continue;
        struct json *mongod = json_set(kept, "mongod", json_object());
        keep(mongod, container, "imageID");
        keep(mongod, container, "containerID");
        keep(mongod, container, "restartCount");
        keep(mongod, container, "state");
        keep(mongod, container, "lastState");
    }
}

static void append_range(struct json *list, const char *address)
{
    char range[64];
    if (!address || !*address || strlen(address) > 45)
        return;
    snprintf(range, sizeof range, "%s%s", address,
             strchr(address, '/')   ? ""
             : strchr(address, ':') ? "/128"
                                    : "/32");
    json_append(list, json_string(range));
}

/* Nodes are many and change often: only their ranges are kept. */
static void trim_node(struct json *to, const struct json *object)
{
    struct json *own = json_set(to, "own", json_array()), *egress = json_set(to, "egress", json_array());
    const struct json *addresses = json_get(json_get(object, "status"), "addresses");
    for (const struct json *entry = json_first(addresses); entry; entry = json_next(entry)) {
        const char *type = json_get_text(entry, "type", ""), *address = json_get_text(entry, "address", "");
        if (strcmp(type, "InternalIP") == 0)
            append_range(own, address);
        if (strcmp(type, "ExternalIP") == 0) {
            append_range(own, address);
            append_range(egress, address);
        }
    }
    const struct json *spec = json_get(object, "spec"), *ranges = json_get(spec, "podCIDRs");
    for (const struct json *range = json_first(ranges); range; range = json_next(range))
        append_range(own, json_text(range));
    if (!ranges)
        append_range(own, json_get_text(spec, "podCIDR", ""));
}

struct json *holdings_trim(enum object_kind kind, const struct json *object)
{
    struct json *trimmed = json_object();
    if (kind == OBJECT_NODE) {
        struct json *metadata = json_set(trimmed, "metadata", json_object());
        keep(metadata, json_get(object, "metadata"), "name");
        trim_node(trimmed, object);
        return trimmed;
    }
    keep_metadata(trimmed, object);
    if (kind == OBJECT_POD) {
        trim_pod(trimmed, object);
        return trimmed;
    }
    keep(trimmed, object, "spec");
    struct json *status = json_set(trimmed, "status", json_object());
    keep(status, json_get(object, "status"), "phase");
    keep(status, json_get(object, "status"), "loadBalancer");
    if (kind == OBJECT_CLAIM)
        keep(status, json_get(object, "status"), "capacity");
    return trimmed;
}
