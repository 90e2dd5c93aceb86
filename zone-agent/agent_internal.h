/* What the parts of the agent share: agent.c (inputs, order of work, memory of the intent), agent_member.c
 * (one member's steps and probes), agent_report.c (reports and heartbeats). Nobody else includes this. */
#ifndef ATOLL_ZONE_AGENT_AGENT_INTERNAL_H
#define ATOLL_ZONE_AGENT_AGENT_INTERNAL_H

#include "zone-agent/agent.h"
#include "zone-agent/decide/reconcile.h"

/* Sets and ordinals that an agent can have at a time: those of the intent and those that only the zone still
 * holds. */
enum { AGENT_MEMBERS_MAX = 2 * ZONE_MEMBERS_MAX };

struct agent_member {
    char set[NAME_LENGTH_MAX + 1];
    int ordinal;
    bool present; /* named by the intent or held by the zone */

    const struct intent_member *wanted; /* into the agent's intent; NULL: not named */
    const struct member_holding *held;  /* into the agent's holdings; NULL: nothing */
    struct decision decision;           /* strings in the agent's holdings' arena */

    /* One step in flight at most. */
    uint64_t step_id; /* 0: none */
    enum step_kind step;
    unsigned step_failures; /* in a row, of this kind of step */
    int64_t step_retry_at_ms;
    char step_problem[ERROR_MESSAGE_MAX]; /* of the last failure; "" after a success */
    enum error_code step_problem_code;
    int step_problem_rule;

    int64_t reload_due_at_ms; /* when it may be told to load its certificate */

    /* One probe in flight at most. */
    uint64_t probe_id; /* 0: none */
    int64_t probe_sent_at_ms, probe_due_at_ms;
    uint64_t incarnation;        /* of the process that `view` is about */
    char route[HOST_LENGTH_MAX]; /* "": no pod to ask */
    unsigned probe_failures;
    struct arena view_arena;
    struct mongod_view view;
    int64_t answered_at_ms; /* -1: never */

    /* What makes a report urgent when it changes. */
    char seen_address[HOST_LENGTH_MAX];
    bool seen_running;
};

struct agent_message {
    uint64_t id; /* in flight; 0: none */
    int64_t sent_at_ms;
    unsigned failures;
    int64_t not_before_ms;
};

struct agent {
    struct agent_environment environment;
    char zone[NAME_LENGTH_MAX + 1], version[32], driver_name[32], run_id[UUID_TEXT_MAX];
    uint64_t last_id; /* of steps, probes, messages */

    int64_t epoch; /* the highest accepted; durable */
    struct arena intent_arena;
    struct intent intent; /* revision 0: none. A certificate that doesn't fit its key is "" here */
    struct member_identity *identities; /* one for each of the intent's members; in intent_arena */

    bool look; /* holdings or intent may have changed: observe and reconcile */
    bool reached;
    struct arena holdings_arena;
    struct holdings holdings;

    struct agent_member *members;
    size_t member_count;

    /* Reports. */
    bool report_dirty, report_urgent, report_forced;
    bool keys_wanted; /* the controller has lost keyfiles and asks for them */
    int64_t sequence, acknowledged_sequence, sent_sequence;
    struct agent_message report, heartbeat;
    int64_t report_sent_at_ms, heartbeat_due_at_ms;
    struct arena sent_arena;
    struct report sent; /* the last one that was sent; in sent_arena */
    bool sent_known;    /* the controller acknowledged it, or may yet */
    struct buffer text; /* scratch */
};

int64_t agent_now(const struct agent *agent);
uint64_t agent_next_id(struct agent *agent);
void agent_wake(struct agent *agent);
void agent_note(struct agent *agent, bool is_problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* agent_identity.c */
/* The keys of the intent's members; a certificate that isn't theirs is taken out of it, as one that is still
 * to come. */
void agent_identify(struct agent *agent);
/* Empty when there is none. */
const struct member_identity *agent_identity(const struct agent *agent, const struct intent_member *member);

/* agent_member.c */
void agent_members_look(struct agent *agent);          /* observes, reconciles, begins steps */
void agent_members_probe(struct agent *agent);         /* begins the probes that are due */
bool agent_members_retry(const struct agent *agent);   /* a failed step is due again */
int64_t agent_members_due(const struct agent *agent);  /* when the next of either is due */
void agent_members_forget_intent(struct agent *agent); /* before the intent's arena goes */
void agent_members_finish(struct agent *agent);

/* agent_report.c */
void agent_reports_send(struct agent *agent);
int64_t agent_reports_due(const struct agent *agent);

#endif
