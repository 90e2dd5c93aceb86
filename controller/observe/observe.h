/* From what was heard of the zones to what the planner sees of one set. */
#ifndef ATOLL_CONTROLLER_OBSERVE_OBSERVE_H
#define ATOLL_CONTROLLER_OBSERVE_OBSERVE_H

#include "config/spec.h"
#include "controller/observe/sight.h"

struct observe_input {
    const struct spec_set *set;
    const struct zone_sight *(*sight_of)(void *context,
                                         const char *zone); /* NULL: a zone that is not known */
    void *context;
    const struct action_view *action;
    const char *key_id; /* as observation.key_id; NULL is "" */
    bool admin_wanted;
    bool tls; /* members speak TLS */
    void (*certificate_of)(void *certificates,
                           struct member_view *out); /* fills in certificate_…; asked only with `tls` */
    void *certificates;
    int64_t now_ms; /* monotonic */
};

/* Deep copies into `arena`, so that it outlives the reports. -1 when memory is out. */
int observe_set(const struct observe_input *input, struct arena *arena, struct observation *out,
                struct error *err);

#endif
