/* What the controller has heard of one zone: the last whole report of its agent, replaced whole, with
 * heartbeats' pulses laid over it. */
#ifndef ATOLL_CONTROLLER_OBSERVE_SIGHT_H
#define ATOLL_CONTROLLER_OBSERVE_SIGHT_H

#include "controller/decide/observation.h"
#include "proto/base/error.h"

enum { RUN_ID_MAX = 64 };

struct zone_sight {
    int64_t heard_at_ms;    /* monotonic, of the last word of its agent; -1: never */
    int64_t heard_wall_ms;  /* the same for people; 0: never */
    int64_t received_at_ms; /* monotonic: when the report's ages were true */
    bool has_report;
    char last_run[RUN_ID_MAX];   /* the run of the agent that `report` is of */
    char former_run[RUN_ID_MAX]; /* the one before: a late word of it is not believed */
    struct report report;
    struct arena arena; /* of `report` */
};

void zone_sight_init(struct zone_sight *sight);
void zone_sight_finish(struct zone_sight *sight);

/* PENDING, CONNECTED or UNKNOWN. */
enum zone_state zone_sight_state(const struct zone_sight *sight, int64_t now_ms);

/* Takes a copy of the report, unless it is older than what is known (a lower or equal sequence of the same
 * run, or a former run): then *taken is false. -1 when memory is out; then nothing has changed. */
int zone_sight_report(struct zone_sight *sight, const struct report *report, int64_t now_ms, int64_t wall_ms,
                      bool *taken, struct error *err);

/* Lays the pulses over the report that they belong to. Whether a whole report is wanted: there is none, or it
 * isn't the one that the agent sent last. */
bool zone_sight_heartbeat(struct zone_sight *sight, const struct heartbeat *heartbeat, int64_t now_ms,
                          int64_t wall_ms);

/* What the report says of a member, or NULL. */
const struct report_member *zone_sight_member(const struct zone_sight *sight, const char *set, int ordinal);

#endif
