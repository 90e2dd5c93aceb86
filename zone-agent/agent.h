/* The agent's state machine: intent, holdings and probes come in; steps, probes, reports and heartbeats go
 * out. It knows no event loop, socket, clock or file of its own: all of that is the environment, so that
 * whole agents run on virtual time in one process. Single-threaded. Inputs only note what happened and ask to
 * be woken; all work is done in agent_tick(), so an environment may call any input from within any of its own
 * functions. */
#ifndef ATOLL_ZONE_AGENT_AGENT_H
#define ATOLL_ZONE_AGENT_AGENT_H

#include "proto/base/buffer.h"
#include "proto/base/clock.h"
#include "proto/intent.h"
#include "proto/report.h"
#include "zone-agent/driver.h"

enum {
    AGENT_PROBE_SETTLED_MS = 1000,
    AGENT_PROBE_UNSETTLED_MS = 250,  /* no primary known, not reached, syncing … */
    AGENT_PROBE_DEADLINE_MS = 15000, /* a probe that nobody answers by then is held for lost */
    AGENT_REPORT_GAP_MS = 20,        /* reports are at least so far apart, unless one is urgent */
    AGENT_ANSWER_DEADLINE_MS = 5000, /* an unanswered report or heartbeat is held for lost */
    AGENT_REPORT_RETRY_FIRST_MS = 100,
    AGENT_REPORT_RETRY_MOST_MS = 3000,
    AGENT_STEP_RETRY_FIRST_MS = 250,
    AGENT_STEP_RETRY_MOST_MS = 30000,
    AGENT_RELOAD_RETRY_MS =
        3000, /* so long after one attempt a member is told again to load its certificate */
    AGENT_SILENT_AFTER_FAILURES = 2, /* one lost answer of a member is not yet silence */
};

/* What one member is to be asked. Strings are valid during the call alone. */
struct agent_probe {
    const char *set;
    int ordinal;
    const char *host;     /* the local route */
    uint64_t incarnation; /* another process than last time has another number */
    bool arbiter;
    const char *keyfile; /* "": without authentication; by its first key */
    bool tls;
    bool reload; /* it is to load its certificate anew before it is asked (5.0+) */
};

/* Who a member is to others: made once for each member, kept in the agent's folder, deleted when the member
 * is taken away. */
struct member_identity {
    const char *key;     /* a private key, PEM; a secret */
    const char *request; /* for a certificate, PEM */
    const char *ca;      /* whose certificates the member believes, PEM */
    bool fits;           /* the certificate is for this key, and one of the CAs signed it */
};

enum link_message { LINK_REPORT, LINK_HEARTBEAT };

struct link_answer {
    const struct error *err; /* NULL: the controller took it */
    int64_t epoch;           /* of the controller */
    bool report_wanted;
    bool keys_wanted; /* it has lost keyfiles that this zone has */
};

/* All pointers must outlive the agent. Every send and probe is answered at most once, by its id; one that is
 * never answered is held for lost after its deadline. */
struct agent_environment {
    const struct clock *clock;
    const struct random *random;
    struct driver *driver;
    void *context;
    void (*send)(void *context, enum link_message kind, uint64_t id, const char *text, size_t length);
    void (*probe)(void *context, uint64_t id, const struct agent_probe *probe);
    /* The member's identity, made where there is none yet; `certificate` and `ca` are the intent's ("":
     * none). Strings in `arena`. */
    int (*identify)(void *context, const struct intent_member *member, const char *ca, struct arena *arena,
                    struct member_identity *out, struct error *err);
    void (*forget_identity)(void *context, const char *node); /* the member has left the zone */
    /* Small named files, durable when `save` returns 0. `load`: ERROR_NOT_FOUND when there is none. */
    int (*save)(void *context, const char *name, const char *text, size_t length, struct error *err);
    int (*load)(void *context, const char *name, struct buffer *out, struct error *err);
    /* Calls agent_tick() at or soon after this monotonic time, never from within; replaces an earlier wish.
     */
    void (*wake_at)(void *context, int64_t monotonic_ms);
    /* A sentence for the log; may be NULL. `rule` 0: none. */
    void (*note)(void *context, bool is_problem, const char *sentence);
};

struct agent_options {
    const char *zone, *version, *driver_name;
};

struct agent;

/* Loads what was saved: the agent works from its last intent at once, with or without a controller. Fails
 * when what was saved can't be read (an agent that has forgotten its epoch might obey a deposed controller).
 */
struct agent *agent_create(const struct agent_options *options, const struct agent_environment *environment,
                           struct error *err);
void agent_destroy(struct agent *agent);

/* A line of the intent stream. Refused (-1) when its epoch is below the accepted one, when it is for another
 * zone or federation, or when it can't be made durable; then nothing has changed. One that is older than the
 * present intent is ignored. */
int agent_intent(struct agent *agent, const struct intent_event *event, struct error *err);

void agent_holdings_changed(struct agent *agent);
void agent_step_done(struct agent *agent, uint64_t step_id, const struct error *err);

/* A member's answer. Takes over `arena`, in which `view` lives; `view->answer` MONGOD_SILENT with a problem
 * when it did not answer. */
void agent_probe_done(struct agent *agent, uint64_t id, struct arena *arena, const struct mongod_view *view);

void agent_link_answer(struct agent *agent, enum link_message kind, uint64_t id,
                       const struct link_answer *answer);

/* Does all that is due. */
void agent_tick(struct agent *agent);

/* For the link: what to ask the stream for. */
int64_t agent_epoch(const struct agent *agent);
int64_t agent_revision(const struct agent *agent);

#endif
