/* Zones that are applied to a running sandbox get agents too: the supervisor looks at the applied spec now
 * and then. See supervise.h. Zones that left it keep their agents, which then hold nothing. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/remote.h"
#include "controller/cli/supervise.h"
#include "proto/base/log.h"

static bool is_known(const struct supervisor *supervisor, const char *zone)
{
    for (size_t i = 0; i < supervisor->sandbox.zone_count; i++)
        if (strcmp(supervisor->sandbox.zones[i], zone) == 0)
            return true;
    return false;
}

static void take_zones(struct supervisor *supervisor, const struct json *spec)
{
    const struct json *zones = json_get(json_get(spec, "spec"), "zones");
    struct error err;
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone)) {
        const char *name = json_get_text(zone, "name", "");
        if (!*name || strlen(name) > NAME_LENGTH_MAX || strchr(name, '/') || *name == '.' ||
            is_known(supervisor, name) || strcmp(json_get_text(zone, "driver", ""), "local") != 0)
            continue;
        if (supervisor_add_zone(supervisor, name, &err))
            log_error("zones", "zone %s is in the spec, but starting its agent failed: %s", name,
                      err.message);
        else
            log_info("zones", "zone %s is new in the spec; its agent was started", name);
    }
}

static void on_answer(void *context, const struct http_answer *answer, const struct error *err)
{
    struct supervisor *supervisor = context;
    supervisor->asking = false;
    if (err || answer->status != 200 || supervisor->stopping)
        return; /* asked again soon */
    struct json *spec = json_parse(answer->body, answer->length, REMOTE_BODY_MAX, NULL);
    take_zones(supervisor, spec);
    json_destroy(spec);
}

void supervisor_look_for_zones(struct supervisor *supervisor)
{
    if (supervisor->asking || supervisor->stopping || !supervisor->controller.running)
        return;
    supervisor->asking =
        supervisor_ask(supervisor, "GET", "/v1/federation", NULL, on_answer, supervisor, NULL) != NULL;
}
