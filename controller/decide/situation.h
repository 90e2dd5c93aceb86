/* The facts of one set at one moment: what rules.def's conditions mean. Worked out from the planner's input
 * alone, by situation.c (members), standing.c (their places), quorum.c (primary, votes, commitment), birth.c
 * and membership.c (which change is due). */
#ifndef ATOLL_CONTROLLER_DECIDE_SITUATION_H
#define ATOLL_CONTROLLER_DECIDE_SITUATION_H

#include "controller/decide/plan.h"

enum set_fact_bit {
#define SET_FACT(name, words) name##_BIT,
#define MEMBER_FACT(name, words)
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
    SET_FACT_COUNT
};

enum member_fact_bit {
#define SET_FACT(name, words)
#define MEMBER_FACT(name, words) name##_BIT,
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
    MEMBER_FACT_COUNT
};

_Static_assert(SET_FACT_COUNT <= 64 && MEMBER_FACT_COUNT <= 64, "facts are bits of a uint64_t");

/* Wider than int: a GNU extension, so that rows can be constant tables. */
enum set_fact {
#define SET_FACT(name, words) name = UINT64_C(1) << name##_BIT,
#define MEMBER_FACT(name, words)
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

enum member_fact {
#define SET_FACT(name, words)
#define MEMBER_FACT(name, words) name = UINT64_C(1) << name##_BIT,
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

#define OUTCOMES(X)                                                                                          \
    X(OUTCOME_DONE, "nothing to do")                                                                         \
    X(OUTCOME_WAIT, "wait")                                                                                  \
    X(OUTCOME_TAKE_AWAY, "take the set away")                                                                \
    X(OUTCOME_ADOPT, "adopt the set")                                                                        \
    X(OUTCOME_INITIATE, "initiate")                                                                          \
    X(OUTCOME_BOOK, "book a member's _id")                                                                   \
    X(OUTCOME_FOLLOW, "reconfigure: hosts")                                                                  \
    X(OUTCOME_TAKE_VOTE, "reconfigure: take a vote")                                                         \
    X(OUTCOME_ACCEPT_DISK, "accept a new disk")                                                              \
    X(OUTCOME_STEP_DOWN, "step down")                                                                        \
    X(OUTCOME_REMOVE, "reconfigure: remove a member")                                                        \
    X(OUTCOME_RETIRE, "retire a member")                                                                     \
    X(OUTCOME_ADD, "reconfigure: add members without a vote")                                                \
    X(OUTCOME_GIVE_VOTE, "reconfigure: give a vote")                                                         \
    X(OUTCOME_SET_ATTRIBUTES, "reconfigure: priorities, tags, settings")                                     \
    X(OUTCOME_MAKE_ADMIN, "make the first administrator")                                                    \
    X(OUTCOME_RESTART, "restart a member")

enum outcome {
#define X(name, text) name,
    OUTCOMES(X)
#undef X
};

enum {
    RESTART_FRESH_MS =
        2500, /* a member that was not heard for so long may be down already: nobody else is stopped then */
    VIEW_FRESH_MS = 10000,  /* a mongod's answer older than this says nothing about now */
    LAG_SMALL_SECONDS = 15, /* behind the primary by no more than this a member may get its vote; an idle
                               set's writes are 10 s apart */
    LAG_PATIENCE_MS =
        6000, /* agents tell of optimes at different moments: so long it must last to be a lag */
    BIRTH_PATIENCE_MS = 60000, /* so long the birth waits for members that are proven new but late */
    LOOK_AGAIN_MS = 5000,      /* the world is looked at again after this even when nothing seems to change */
};

struct member_situation {
    const struct spec_member *wanted;
    const struct member_view *view;     /* NULL: the observation has nothing of it */
    const struct ledger_member *booked; /* NULL: not in the ledger */
    const struct config_member *listed; /* NULL: not in the configuration */
    const struct peer_view *peer; /* how the primary sees it; NULL: there is no primary, or it doesn't say */
    const char *node;             /* mongo-node1 */
    uint64_t facts;
    bool fresh;                 /* its own mongod's answer is of now */
    bool known_down;            /* positively known not to serve */
    enum zone_state zone_state; /* with FAILED concluded */
    enum member_state state;
    int64_t lag_seconds;     /* -1: not known */
    int64_t behind_since_ms; /* 0: it isn't */
};

struct situation {
    const struct plan_input *input;
    struct arena *arena;
    uint64_t facts;
    struct member_situation *members;
    size_t member_count;
    struct replica_config config; /* the newest known; version 0: none */
    bool committed;
    const struct member_situation *primary; /* NULL: none is seen */
    const struct member_situation
        *told_primary; /* whom the others name, when its own agent is silent; NULL: nobody */
    const struct member_situation
        *subject; /* whom the set's facts speak of: whoever is to be moved, added, … */
    int64_t term;
    int voters, majority, healthy_voters;
    int64_t patience_ends_ms; /* when birth stops waiting for the late; 0: not counting */
};

/* In this order; each adds its facts. */
void situation_init(struct situation *situation, const struct plan_input *input, struct arena *arena);
void situation_find_members(struct situation *situation); /* situation.c */
void situation_find_config(
    struct situation *situation); /* quorum.c: the configuration, primary, commitment */
void situation_find_standing(struct situation *situation); /* standing.c: each member's place in it */
void situation_find_quorum(struct situation *situation);   /* quorum.c */
void situation_find_birth(struct situation *situation);    /* birth.c */
void situation_find_changes(struct situation *situation);  /* membership.c */

/* A moment that the plan before spoke of: not later than now, for the wall clock may have been set back. */
static inline int64_t moment_before(const struct plan_input *input, int64_t at_ms)
{
    return at_ms < input->now_ms ? at_ms : input->now_ms;
}

static inline bool has(uint64_t facts, uint64_t wanted)
{
    return (facts & wanted) == wanted;
}

/* The first member that has all of `require` and none of `forbid`; NULL when there is none. */
const struct member_situation *situation_first(const struct situation *situation, uint64_t require,
                                               uint64_t forbid);

/* A disk that the ledger doesn't have, on which it serves: then the ledger is old. */
bool disk_is_new_to_ledger(const struct member_situation *member);

/* Whether its zone's agent has been heard lately and its mongod's answer is of now. */
bool member_answers_now(const struct member_view *view);

/* birth.c: the ledger with the birth intended (ids and disks booked), and the first configuration. */
void birth_intend(const struct situation *situation, struct plan *plan);
/* membership.c: ledger changes that need no command, and those that must be durable before one. */
void ledger_adopt(const struct situation *situation, struct plan *plan);
void ledger_book(const struct situation *situation, struct plan *plan);
void ledger_accept_disk(const struct situation *situation, struct plan *plan);
void ledger_retire(const struct situation *situation, struct plan *plan);
void ledger_note_lost_disks(const struct situation *situation, struct plan *plan);
void ledger_book_joiners(const struct situation *situation, struct plan *plan);
/* reconfigure.c: the next configuration for an outcome, from the one that is committed. */
void reconfigure(const struct situation *situation, enum outcome outcome, struct plan *plan);
/* The entry that the spec wants for a member; `votes` and `priority` as in the spec. */
struct config_member wanted_entry(const struct member_situation *member, int id, const char *host);
bool entry_attributes_fit(const struct member_situation *member);
/* Settings that the spec names and the configuration has otherwise; their number. */
size_t settings_due(const struct situation *situation);

#endif
