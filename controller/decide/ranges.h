/* Who may come to the Services of a set, pure: the addresses that its zones and the controller leave by, and
 * the ranges that the user named. What a zone's own pods and nodes have is added by its agent, which knows
 * them. */
#ifndef ATOLL_CONTROLLER_DECIDE_RANGES_H
#define ATOLL_CONTROLLER_DECIDE_RANGES_H

#include "config/spec.h"

/* What a zone's agent reports of it; `count` 0: nothing is known. */
struct zone_egress {
    const char *zone;
    const char *const *ranges;
    size_t count;
};

struct set_ranges {
    const char *const *ranges; /* in the spec's order, each once, at most RANGES_MAX */
    size_t count;
    bool partial;             /* some zone's addresses are not known, or not all had room */
    const char *unknown_zone; /* the first of them; "" */
};

/* What the spec declares of a zone counts before what its agent reports: private nodes leave by an address
 * that only their NAT's owner knows. Zones of the driver `local` share the machine's loopback addresses.
 * Strings are borrowed from spec, reports and `controller`. */
void ranges_of_set(const struct spec *spec, const struct spec_set *set, const struct zone_egress *reported,
                   size_t reported_count, const struct zone_egress *controller, struct arena *arena,
                   struct set_ranges *out);

#endif
