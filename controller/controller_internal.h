/* The controller's insides, shared by controller*.c alone. */
#ifndef ATOLL_CONTROLLER_CONTROLLER_INTERNAL_H
#define ATOLL_CONTROLLER_CONTROLLER_INTERNAL_H

#include "controller/act/records.h"
#include "controller/controller.h"
#include "controller/journal/journal.h"
#include "controller/observe/observe.h"

_Static_assert((int)RECORD_BYTES_MAX == (int)STORE_RECORD_BYTES_MAX,
               "what the store takes can be read, and the other way round");

/* A spec in force. Plans borrow its strings, so it lives as long as the last plan that was made on it. */
struct spec_holder {
    struct spec spec;
    struct arena arena;
    unsigned references;
};

/* What one member's mongod is to show, and what it was made of. Not durable: the member's agent has it, and
 * tells. */
struct member_certificate {
    struct member_certificate *next;
    int ordinal;
    uint64_t
        seen; /* a fingerprint of what was looked at last: while it is the same, there is nothing to do */
    struct buffer pem; /* empty: none was signed */
    char id[PKI_HASH_TEXT_MAX];
    int64_t renew_at_ms, expires_at_ms; /* wall */
    char problem[ERROR_MESSAGE_MAX]; /* why none was signed for what is now, as was told last; "": one was */
    bool foreign;                    /* its member has one of another CA, whose time has not come */
};

/* What is durable of one set; kept also for sets that the spec doesn't name any more. */
struct ledger_holder {
    struct ledger_holder *next;
    struct ledger ledger;
    struct arena arena;
    struct set_keys keys; /* key_count 0: none yet */
    struct member_certificate *certificates;
};

/* A plan with everything that it was made on. */
struct plan_slot {
    struct arena arena;
    struct plan plan;
    struct observation observation;
    struct spec_holder *spec;
    const struct spec_set *set;
    int64_t at_ms; /* wall */
    bool filled;
};

struct set_state {
    const struct spec_set *set; /* of the spec in force */
    char name[NAME_LENGTH_MAX + 1];
    int64_t due_ms;   /* monotonic: when to plan */
    bool changed;     /* the status may be different since it was planned for */
    bool settled;     /* what the plan must remember is durable: its intents may be sent, its action begun */
    bool egress_told; /* that some zone's addresses are not known */
    bool act;         /* the plan's action is to be looked at in this turn */
    struct ledger_holder *ledger;
    struct plan_slot slots[2];
    int current;
    uint64_t action_id;                                                /* under way; 0: none */
    int64_t action_lost_at_ms, action_retry_at_ms, action_ended_at_ms; /* monotonic */
    struct action_view action; /* strings and configuration in action_arena */
    struct arena action_arena;
    struct journal journal;
};

struct zone_state_of { /* of one zone of the spec */
    const struct spec_zone *zone;
    char name[NAME_LENGTH_MAX + 1];
    size_t members;
    struct zone_sight sight;
    enum zone_state state; /* as was last told */
    bool intent_due;       /* may have to be built anew */
    bool has_intent;
    struct intent intent;
    struct arena intent_arena;
};

struct controller {
    struct controller_environment environment;
    int64_t epoch, revision, revision_reserved, started_at_ms;
    struct spec_holder *spec; /* NULL: none */
    struct spec_revision spec_revision;
    struct buffer spec_text; /* as it is stored */
    struct zone_state_of *zones;
    size_t zone_count;
    struct set_state **sets;
    size_t set_count;
    struct ledger_holder *ledgers;
    uint64_t next_action_id;
    int64_t zone_check_at_ms, store_retry_at_ms; /* monotonic */
    unsigned store_failures;                     /* in a row */
    char store_problem[ERROR_MESSAGE_MAX];       /* "" when it takes writes */
    struct controller_counts counts;
    struct zone_view *zone_views; /* for controller_view() */
    struct set_view *set_views;
};

static inline int64_t controller_now(const struct controller *controller)
{
    return clock_monotonic_ms(controller->environment.clock);
}

static inline int64_t controller_wall(const struct controller *controller)
{
    return clock_wall_ms(controller->environment.clock);
}

/* controller.c */
struct zone_state_of *controller_zone(struct controller *controller, const char *name);
struct set_state *controller_set(const struct controller *controller, const char *name);
/* What the zone of the member says of it, or NULL. *heard, unless NULL: whether it has reported at all. */
const struct report_member *controller_said_of(struct controller *controller, const struct set_state *set,
                                               const struct spec_member *member, bool *heard);
void controller_wake(struct controller *controller); /* as soon as possible */
void controller_set_due(struct set_state *set, int64_t at_ms);

/* controller_store.c: every write goes through here, so that a failure stops all effects and is told once. */
int controller_remember(struct controller *controller, const struct store_record *records, size_t count,
                        struct error *err);
/* A write has failed, and the next is not to be tried yet. */
bool controller_store_rests(const struct controller *controller);
int controller_load(struct controller *controller, struct error *err);
/* The epoch and the reservation of revisions, raised above what was ever given out or seen. */
int controller_raise(struct controller *controller, int64_t epoch, int64_t revision, struct error *err);
int controller_remember_ledger(struct controller *controller, struct set_state *set,
                               const struct ledger *ledger, struct error *err);
struct ledger_holder *controller_ledger(struct controller *controller, const char *set);
void controller_store_retry(struct controller *controller);

/* controller_spec.c */
int controller_take_spec(struct controller *controller, struct spec_holder *holder, struct error *err);
void spec_holder_release(struct spec_holder *holder);

/* controller_sets.c */
struct set_state *set_state_create(struct ledger_holder *ledger, const char *name);
void set_state_destroy(struct set_state *set);
void controller_plan_set(struct controller *controller, struct set_state *set);
void controller_set_act(struct controller *controller, struct set_state *set);
void controller_action_check(struct controller *controller, struct set_state *set);

/* controller_journal.c */
void controller_note(struct controller *controller, struct set_state *set, const struct plan_input *input,
                     const struct plan *plan);

/* controller_keys.c: the sets' secrets. */
bool controller_authenticates(const struct controller *controller, const struct set_state *set);
/* Makes what is missing, durably, before it is used anywhere; but after a lost store what the zones have is
 * taken over, so that it is made only once all of them have been heard. Until then the set has none. */
int controller_keys_ensure(struct controller *controller, struct set_state *set, struct error *err);
/* Whether the zone has keyfiles that this controller doesn't, and should give them. */
bool controller_keys_wanted(const struct controller *controller, const struct zone_state_of *zone);
int controller_keys_load(struct controller *controller, const struct store_record *record, struct error *err);
/* After a plan: an exchange of the keyfile goes on to its second half once every member runs with both keys.
 */
void controller_keys_advance(struct controller *controller, struct set_state *set);
void controller_admin_made(struct controller *controller, struct set_state *set);

/* controller_certificates.c: what members show to each other and to clients. */
bool controller_encrypts(const struct controller *controller);
/* Brings the certificates of the set's members up to date with what their agents have said: signed before the
 * configuration names an address. */
void controller_certificates_ensure(struct controller *controller, struct set_state *set);
/* Whether the zone is left alone: a member of it has a certificate of another CA, and goes on with that until
 * all are exchanged. */
bool controller_certificates_wait(struct controller *controller, const struct zone_state_of *zone);
/* NULL: none was signed yet. With a `problem` it is the one before, which may not bear the member's address.
 */
const struct member_certificate *controller_certificate(const struct set_state *set, int ordinal);
/* What the planner sees of the certificate of `out->ordinal`. */
void controller_certificate_view(const struct set_state *set, struct member_view *out);
void controller_certificates_finish(struct ledger_holder *ledger);

/* controller_intents.c */
void controller_build_intents(struct controller *controller);

/* controller_events.c */
void controller_tell(struct controller *controller, enum event_reason reason,
                     const struct event_words *words);
/* What is news between two plans of a set. `before` may be NULL. */
void controller_tell_plan(struct controller *controller, const struct spec_set *set,
                          const struct plan *before, const struct plan *after);

#endif
