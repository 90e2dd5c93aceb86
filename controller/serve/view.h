/* The controller's state as those who serve it see it: plain values, borrowed from the controller, valid
 * until its next input. */
#ifndef ATOLL_CONTROLLER_SERVE_VIEW_H
#define ATOLL_CONTROLLER_SERVE_VIEW_H

#include "controller/decide/plan.h"

/* How the zone's agent has enrolled. All zero with --tls off, where nobody enrols. */
struct zone_enrolment {
    const char *state;       /* "unknown", "waiting", "approved", "joined", "removed"; NULL: --tls off */
    const char *waiting_key; /* SHA-256 of the key that waits for approval; "" when none does */
    int64_t requested_at_ms, certificate_expires_at_ms; /* wall; 0: not */
};

/* What certificates there are of the federation itself. All zero with --tls off. */
struct trust_view {
    bool on;
    int64_t ca_expires_at_ms, certificate_expires_at_ms; /* the CA that signs; the listener's */
    const char *ca_stage;                                /* "steady", "announced", "switched" */
};

struct zone_view {
    const struct spec_zone *zone;
    enum zone_state state;     /* FAILED too, where a set's plan concluded it */
    int64_t last_report_at_ms; /* wall: the last word of its agent; 0: never */
    const char *driver, *agent_version;
    size_t members; /* of the spec, in this zone */
    struct problem problem;
    const struct report *report; /* the last one; NULL: none */
    const struct spec *spec;
    int64_t intent_revision, reached_revision; /* 0: none */
    struct zone_enrolment enrolment;
};

struct set_view {
    const struct spec_set *set;
    bool auth;                             /* members and clients authenticate */
    bool tls;                              /* members speak TLS, with each other and with clients */
    const struct plan *plan;               /* NULL: not yet planned for */
    const struct observation *observation; /* what the plan was made on; NULL with it */
    int64_t planned_at_ms;                 /* wall */
};

/* Counters since the start, for metrics. */
struct controller_counts {
    uint64_t plans, intents_sent, reports, reports_ignored, heartbeats, store_writes, store_failures;
    uint64_t actions_started[5], actions_failed[5]; /* by enum action_kind */
};

struct federation_view {
    const struct spec *spec; /* NULL: none was applied yet */
    int64_t revision;        /* of the spec; 0: none */
    int64_t epoch, started_at_ms, now_ms;
    const char *store_problem; /* "" when it takes writes */
    const struct zone_view *zones;
    size_t zone_count;
    const struct set_view *sets;
    size_t set_count;
    const struct controller_counts *counts;
    struct trust_view trust;
};

#endif
