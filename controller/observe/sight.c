/* What was heard of one zone: see sight.h. */
#include "controller/observe/sight.h"

#include <stdio.h>
#include <string.h>

#include "proto/report.h"

void zone_sight_init(struct zone_sight *sight)
{
    *sight = (struct zone_sight){.heard_at_ms = -1};
    arena_init(&sight->arena, 0);
}

void zone_sight_finish(struct zone_sight *sight)
{
    arena_finish(&sight->arena);
    zone_sight_init(sight);
}

enum zone_state zone_sight_state(const struct zone_sight *sight, int64_t now_ms)
{
    if (sight->heard_at_ms < 0)
        return ZONE_PENDING;
    return now_ms - sight->heard_at_ms <= ZONE_SILENT_AFTER_MS ? ZONE_CONNECTED : ZONE_UNKNOWN;
}

static void heard(struct zone_sight *sight, int64_t now_ms, int64_t wall_ms)
{
    sight->heard_at_ms = now_ms;
    sight->heard_wall_ms = wall_ms;
}

static bool is_old(const struct zone_sight *sight, const char *run_id, int64_t sequence)
{
    if (*sight->former_run && strcmp(run_id, sight->former_run) == 0)
        return true;
    return sight->has_report && strcmp(run_id, sight->last_run) == 0 && sequence <= sight->report.sequence;
}

int zone_sight_report(struct zone_sight *sight, const struct report *report, int64_t now_ms, int64_t wall_ms,
                      bool *taken, struct error *err)
{
    if (strlen(report->run_id) >= RUN_ID_MAX)
        return error_set(err, ERROR_TOO_LARGE, "runId is longer than RUN_ID_MAX (%d)", RUN_ID_MAX - 1);
    *taken = !is_old(sight, report->run_id, report->sequence);
    if (!*taken)
        return 0;
    struct arena arena;
    arena_init(&arena, 0);
    struct report copy = report_copy(&arena, report);
    if (arena_failed(&arena)) {
        arena_finish(&arena);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the report of zone %s", report->zone);
    }
    arena_finish(&sight->arena);
    sight->arena = arena;
    sight->report = copy;
    if (sight->has_report && strcmp(copy.run_id, sight->last_run) != 0)
        memcpy(sight->former_run, sight->last_run, RUN_ID_MAX);
    snprintf(sight->last_run, RUN_ID_MAX, "%s", copy.run_id);
    sight->has_report = true;
    sight->received_at_ms = now_ms;
    heard(sight, now_ms, wall_ms);
    return 0;
}

/* The report is our own copy: its arena's values may be changed. */
static struct report_member *member_of(struct zone_sight *sight, const char *set, int ordinal)
{
    return (struct report_member *)zone_sight_member(sight, set, ordinal);
}

bool zone_sight_heartbeat(struct zone_sight *sight, const struct heartbeat *heartbeat, int64_t now_ms,
                          int64_t wall_ms)
{
    if (*sight->former_run && strcmp(heartbeat->run_id, sight->former_run) == 0)
        return false;
    heard(sight, now_ms, wall_ms);
    if (!sight->has_report || strcmp(heartbeat->run_id, sight->last_run) != 0 ||
        heartbeat->sequence != sight->report.sequence)
        return true;
    int64_t passed_ms = now_ms - sight->received_at_ms;
    for (size_t i = 0; i < sight->report.member_count; i++) {
        struct report_member *member = (struct report_member *)&sight->report.members[i];
        if (member->mongod.age_ms >= 0)
            member->mongod.age_ms += passed_ms;
    }
    for (size_t i = 0; i < heartbeat->member_count; i++) {
        const struct pulse_member *pulse = &heartbeat->members[i];
        struct report_member *member = member_of(sight, pulse->set, pulse->ordinal);
        if (!member)
            continue;
        member->mongod.age_ms = pulse->age_ms;
        member->mongod.optime = pulse->optime;
        member->holding.disk.used_bytes = pulse->used_bytes;
    }
    sight->received_at_ms = now_ms;
    sight->report.epoch = heartbeat->epoch;
    sight->report.revision = heartbeat->revision;
    return false;
}

const struct report_member *zone_sight_member(const struct zone_sight *sight, const char *set, int ordinal)
{
    for (size_t i = 0; sight->has_report && i < sight->report.member_count; i++) {
        const struct report_member *member = &sight->report.members[i];
        if (member->holding.ordinal == ordinal && strcmp(member->holding.set, set) == 0)
            return member;
    }
    return NULL;
}
