/* The controller as a state machine, apart from loop, sockets, files and libraries: inputs come in as calls,
 * effects go out through small tables of functions. So whole controllers run unchanged on virtual time, many
 * in one process.
 *
 * The order that everything else relies on: what a plan must remember is durable first; then intents change;
 * then its action is begun. While the store takes no writes, nothing is changed at all. Nothing is planned
 * from within an input: an input marks what changed and asks to be woken; controller_tick() does the work, so
 * each set is planned for once a turn at most. */
#ifndef ATOLL_CONTROLLER_CONTROLLER_H
#define ATOLL_CONTROLLER_CONTROLLER_H

#include "controller/act/mongo.h"
#include "controller/act/store.h"
#include "controller/serve/backend.h"
#include "controller/serve/event.h"
#include "proto/base/clock.h"
#include "proto/base/pki.h"
#include "proto/keyfile.h"

enum {
    CONTROLLER_REVISIONS_RESERVED = 1000, /* revisions of intents per durable write */
    CONTROLLER_PULSE_PLAN_MS = 500,       /* heartbeats alone make a set be planned for at most so often */
    CONTROLLER_LOOK_AGAIN_MOST_MS = 5000, /* each set is looked at again at least so often */
    CONTROLLER_LOOK_AGAIN_LEAST_MS = 50,
    CONTROLLER_ZONE_CHECK_MS = 500, /* how often silence is looked for */
    CONTROLLER_STORE_RETRY_FIRST_MS = 200,
    CONTROLLER_STORE_RETRY_MOST_MS = 10000,
    CONTROLLER_ACTION_RETRY_FIRST_MS = 200,
    CONTROLLER_ACTION_RETRY_MOST_MS = 10000,
};

struct controller;

/* A member's certificate: what it is to bear, and what there is already. */
struct certificate_wish {
    const char *set, *node;
    const char *request;      /* of its agent, PEM */
    const char *const *names; /* addresses and DNS names */
    size_t name_count;
    const char *present;     /* the one that it has, PEM; "": none */
    bool addresses_as_names; /* its server looks for addresses among the DNS names: before 4.1.4 */
    bool keep_foreign; /* ERROR_CONFLICT rather than another one in place of one that another CA signed */
};

struct certificate_made {
    struct buffer pem;          /* the caller ends it */
    char id[PKI_HASH_TEXT_MAX]; /* of the certificate: its SHA-256 */
    int64_t renew_at_ms;        /* wall: when to ask again at the latest */
    int64_t expires_at_ms;      /* wall */
};

/* What the controller acts through. Everything outlives the controller; no function may call the controller
 * back from within. */
struct controller_environment {
    const struct clock *clock;
    const struct random *random;
    struct store *store;
    struct mongo *mongo; /* results are handed to controller_action_done() */
    int (*plan)(const struct plan_input *input, struct arena *arena, struct plan *out,
                struct error *err); /* plan_set */
    void (*wake_at)(void *context,
                    int64_t monotonic_ms); /* call controller_tick() then; replaces the last wish */
    void (*intent_changed)(void *context, const char *zone); /* whoever watches it gets controller_watch() */
    void (*status_changed)(void *context); /* what controller_view() shows may be different */
    void (*event_happened)(void *context, const struct event *event);
    /* For controller_view(): what certificates there are. Both NULL: --tls off. */
    void (*describe_trust)(void *context, struct trust_view *out);
    void (*describe_zone)(void *context, const char *zone, struct zone_enrolment *out);
    void *context;
    /* Unguessable text: pki_random_text(). NULL: members have no authentication, whatever the spec says. */
    int (*random_text)(size_t length, char *out, struct error *err);
    /* Gives the present certificate again while it fits, else signs another one. Both NULL: members speak no
     * TLS, whatever the spec says. */
    int (*certify)(void *context, const struct certificate_wish *wish, struct certificate_made *out,
                   struct error *err);
    const char *(*trusted)(
        void *context); /* the CAs that members are to trust, PEM; the same pointer or not, never NULL */
    const char *const *egress; /* CIDRs that the controller dials members from: their Services admit them */
    size_t egress_count;
    size_t journal_bytes; /* that the journals of all sets may have together (JOURNAL_ALL_BYTES_MAX); 0: none
                             is kept */
};

/* Loads the store and raises the epoch, durably. -1 when either can't be done: then there is no controller.
 */
int controller_start(const struct controller_environment *environment, struct controller **out,
                     struct error *err);
void controller_destroy(struct controller *controller);

/* What is in a store, found by loading it as a controller does that starts on it; nothing is written. */
struct store_summary {
    int64_t epoch;
    int64_t revision, applied_at_ms; /* of the spec; 0: none was applied */
    char federation[NAME_LENGTH_MAX + 1];
    size_t sets, members;
};
int controller_summarize(struct store *store, struct store_summary *out, struct error *err);

/* ---- inputs ---- */

/* What has become due. Sets that changed are planned for; wake_at() is called with the next moment. */
void controller_tick(struct controller *controller);

/* Reads, checks, compares, remembers and takes a spec. ERROR_INVALID: see outcome->problems; ERROR_CONFLICT:
 * if_match is not the revision in force; ERROR_IO and others: the store didn't take it, nothing changed. */
int controller_apply_spec(struct controller *controller, const struct spec_request *request,
                          struct spec_outcome *outcome, struct error *err);

/* ERROR_NOT_FOUND for a zone that the spec doesn't name. */
int controller_report(struct controller *controller, const char *zone, const struct report *report,
                      struct zone_answer *out, struct error *err);
int controller_heartbeat(struct controller *controller, const char *zone, const struct heartbeat *heartbeat,
                         struct zone_answer *out, struct error *err);

/* Begins to exchange a set's keyfile: old and new key everywhere, member by member, then the new one alone.
 * ERROR_NOT_FOUND: no such set; ERROR_REFUSED: it has none, an exchange is under way, it is not healthy, or a
 * member is older than 4.2. */
int controller_rotate_keyfile(struct controller *controller, const char *set, struct error *err);

/* The CAs have changed: members' certificates are looked at again. */
void controller_trust_changed(struct controller *controller);

/* Whether every member that runs shows the certificate that it is to show, which was made since the CA last
 * changed. ERROR_CONFLICT with names otherwise: who changes the CA again now would shut them out. */
int controller_members_certified(struct controller *controller, struct error *err);

/* The first administrator's password. ERROR_NOT_FOUND: no such set, or it has none (yet). */
int controller_admin(struct controller *controller, const char *set, char password[KEYFILE_KEY_MAX],
                     struct error *err);

/* The end of an action begun through environment->mongo. A result of another one than that under way is
 * ignored. */
void controller_action_done(struct controller *controller, const struct mongo_result *result);

/* ---- looking ---- */

/* The zone's intent, if there is one newer than `revision`: valid until the next input. *out is NULL when
 * there is none (yet). ERROR_NOT_FOUND for a zone that the spec doesn't name, also when there is no spec. */
int controller_watch(struct controller *controller, const char *zone, int64_t revision,
                     const struct intent **out, struct error *err);

/* What a bookmark says. The revision is 0 while there is no intent. */
struct intent controller_bookmark(const struct controller *controller, const char *zone);

void controller_view(struct controller *controller, struct federation_view *out);

/* Appends the journal of a set: see controller/journal/journal.h. ERROR_NOT_FOUND for a set that the spec
 * doesn't name, and when none is kept. */
int controller_journal(struct controller *controller, const char *set, struct buffer *out, struct error *err);

/* The table by which those who serve the controller call it. */
struct backend controller_backend(struct controller *controller);

#endif
