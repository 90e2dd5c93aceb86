/* The source ranges of a set: see ranges.h. */
#include "controller/decide/ranges.h"

#include <string.h>

struct collector {
    const char **ranges;
    struct set_ranges *out;
};

static void add(struct collector *collector, const char *range)
{
    struct set_ranges *out = collector->out;
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->ranges[i], range) == 0)
            return;
    if (out->count == RANGES_MAX)
        out->partial = true;
    else
        collector->ranges[out->count++] = range;
}

static void add_all(struct collector *collector, const char *const *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(collector, ranges[i]);
}

static void add_zone(struct collector *collector, const struct spec_zone *zone,
                     const struct zone_egress *reported, size_t reported_count)
{
    struct set_ranges *out = collector->out;
    if (zone->egress_count) {
        add_all(collector, zone->egress, zone->egress_count);
        return;
    }
    if (strcmp(zone->driver, "local") == 0) {
        add(collector, "127.0.0.0/8");
        return;
    }
    for (size_t i = 0; i < reported_count; i++)
        if (reported[i].count && strcmp(reported[i].zone, zone->name) == 0) {
            add_all(collector, reported[i].ranges, reported[i].count);
            return;
        }
    out->partial = true;
    if (!*out->unknown_zone)
        out->unknown_zone = zone->name;
}

static bool has_member_in(const struct spec_set *set, const struct spec_zone *zone)
{
    for (size_t i = 0; i < set->member_count; i++)
        if (strcmp(set->members[i].zone, zone->name) == 0)
            return true;
    return false;
}

void ranges_of_set(const struct spec *spec, const struct spec_set *set, const struct zone_egress *reported,
                   size_t reported_count, const struct zone_egress *controller, struct arena *arena,
                   struct set_ranges *out)
{
    struct collector collector = {arena_array(arena, RANGES_MAX, sizeof(const char *)), out};
    *out = (struct set_ranges){.ranges = collector.ranges, .unknown_zone = ""};
    if (!collector.ranges) {
        out->partial = true;
        return;
    }
    for (size_t i = 0; i < spec->zone_count; i++)
        if (has_member_in(set, &spec->zones[i]))
            add_zone(&collector, &spec->zones[i], reported, reported_count);
    if (controller)
        add_all(&collector, controller->ranges, controller->count);
    add_all(&collector, set->source_ranges, set->source_range_count);
}
