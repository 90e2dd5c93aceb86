/* atoll render: a zone's Kubernetes manifests, made by the templates that its agent applies. */
#include <stdio.h>
#include <string.h>

#include "config/spec_intent.h"
#include "controller/cli/console.h"
#include "controller/cli/spec_files.h"
#include "controller/cli/yaml.h"
#include "controller/decide/ranges.h"
#include "zone-agent/kubernetes/objects.h"

struct rendering {
    const struct spec *spec;
    struct arena arena;
    struct buffer out;
    int major, minor;
};

static void put(struct rendering *rendering, struct json *object)
{
    buffer_append_text(&rendering->out, "---\n");
    yaml_write(object, &rendering->out);
    json_destroy(object);
}

static void put_shared(struct rendering *rendering, const struct object_zone *zone,
                       const struct intent_member *member)
{
    put(rendering, object_headless(zone, member));
    put(rendering, object_budget(zone, member));
}

static void put_member(struct rendering *rendering, const struct object_zone *zone,
                       const struct intent_member *member)
{
    if (*zone->project)
        put(rendering, object_volume(zone, member, ""));
    put(rendering, object_claim(zone, member));
    put(rendering, object_service(zone, member, "", NULL));
    put(rendering, object_controller(zone, member, 1));
}

static void put_set(struct rendering *rendering, const struct object_zone *zone, const struct spec_set *set)
{
    struct set_ranges ranges;
    bool first = true;
    ranges_of_set(rendering->spec, set, NULL, 0, NULL, &rendering->arena, &ranges);
    for (size_t i = 0; i < set->member_count; i++) {
        const struct spec_member *member = &set->members[i];
        if (strcmp(member->zone, zone->zone) != 0 || member->absent || set->absent)
            continue;
        struct intent_member intent = spec_intent_member(set, member, &rendering->arena);
        intent.tls = rendering->spec->tls;
        intent.source_ranges = ranges.ranges;
        intent.source_range_count = ranges.count;
        if (first)
            put_shared(rendering, zone, &intent);
        first = false;
        put_member(rendering, zone, &intent);
    }
}

static void put_zone(struct rendering *rendering, const struct spec_zone *zone)
{
    struct object_zone facts = {.federation = rendering->spec->name,
                                .zone = zone->name,
                                .project = zone->project,
                                .namespace_ = zone->namespace_,
                                .major = rendering->major,
                                .minor = rendering->minor};
    buffer_printf(&rendering->out, "# Zone %s of federation %s, namespace %s.\n", zone->name,
                  rendering->spec->name, zone->namespace_);
    if (strcmp(zone->driver, "local") == 0) {
        buffer_append_text(&rendering->out, "# Its driver is local: processes and folders, no manifests.\n");
        return;
    }
    for (size_t i = 0; i < rendering->spec->set_count; i++)
        put_set(rendering, &facts, &rendering->spec->sets[i]);
}

static const char preface[] =
    "# Made by `atoll render`. Left out, because it isn't in the spec: Secrets (keyfile, and certificate "
    "with key), "
    "which the zone's\n"
    "# agent writes, and without which no pod starts; the addresses of the cluster's own pods and nodes and "
    "of the controller in\n"
    "# loadBalancerSourceRanges, and the reserved loadBalancerIP, which the zone's agent adds (with another "
    "hash in atoll.dev/template).\n"
    "# The range 127.0.0.1/32 stands where no other is known: a Service without any would let everybody "
    "in.\n";

static int read_version(const char *text, struct rendering *rendering, struct error *err)
{
    char rest;
    if (!text)
        return 0;
    if (*text == 'v')
        text++;
    if (sscanf(text, "%2d.%3d%c", &rendering->major, &rendering->minor, &rest) >= 2 && rendering->major == 1)
        return 0;
    return error_set(err, ERROR_INVALID, "--kubernetes-version is like 1.29, not %.40s", text);
}

static int render(struct rendering *rendering, const char *zone_name, struct error *err)
{
    bool found = !zone_name;
    buffer_append_text(&rendering->out, preface);
    for (size_t i = 0; i < rendering->spec->zone_count; i++) {
        const struct spec_zone *zone = &rendering->spec->zones[i];
        if (zone_name && strcmp(zone->name, zone_name) != 0)
            continue;
        found = true;
        put_zone(rendering, zone);
    }
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "federation %s has no zone %.63s", rendering->spec->name,
                         zone_name);
    return arena_failed(&rendering->arena) ? error_set(err, ERROR_NO_MEMORY, "no memory for the manifests")
                                           : 0;
}

int command_render(const struct invocation *invocation)
{
    struct error err;
    struct spec_files *files = spec_files_read(invocation, &err);
    if (!files)
        return console_fail(&err, NULL);
    struct rendering rendering = {.spec = &files->spec};
    arena_init(&rendering.arena, 0);
    buffer_init(&rendering.out, 0);
    int failed = read_version(invocation_text(invocation, "kubernetes-version"), &rendering, &err) ||
                 render(&rendering, invocation_text(invocation, "zone"), &err);
    int status = failed ? console_fail(&err, NULL) : console_print(&rendering.out);
    buffer_finish(&rendering.out);
    arena_finish(&rendering.arena);
    spec_files_destroy(files);
    return status;
}
