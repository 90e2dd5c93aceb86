/* What must be remembered of one set for as long as it lives: durable before any effect that relies on it. */
#ifndef ATOLL_CONTROLLER_DECIDE_LEDGER_H
#define ATOLL_CONTROLLER_DECIDE_LEDGER_H

#include "proto/model.h"

#define BIRTH_STATES(X)                                                                                      \
    X(BIRTH_NONE, "none")                                                                                    \
    X(BIRTH_INTENDED, "intended") /* replSetInitiate may have been sent, to `birth_ordinal` alone */         \
    X(BIRTH_DONE, "done")         /* the set exists, with `replica_set_id` */

enum birth_state {
#define X(name, text) name,
    BIRTH_STATES(X)
#undef X
};

struct ledger_member {
    int ordinal;
    int id; /* MongoDB's _id; -1: none given. Given before it is first used, never to another member */
    const char *disk_id; /* the disk that its data is on; "": none known yet */
    bool removed;        /* left the set; its disk is retained. Coming back it gets a fresh id */
};

struct ledger {
    const char *set;
    enum birth_state birth;
    int birth_ordinal;          /* the node that initiates; 0: none */
    const char *replica_set_id; /* "" before the birth is done */
    int next_id;                /* the lowest _id that was never given */
    int64_t config_version;     /* the highest version of a configuration that was ever sent; 0: none */
    const struct ledger_member *members; /* by ordinal */
    size_t member_count;
};

const char *birth_state_name(enum birth_state state);
const struct ledger_member *ledger_find(const struct ledger *ledger, int ordinal);
struct ledger ledger_copy(struct arena *arena, const struct ledger *ledger);
bool ledger_equal(const struct ledger *a, const struct ledger *b);

/* A copy in which the member of this ordinal is `member` (added when it was not there). */
struct ledger ledger_with(struct arena *arena, const struct ledger *ledger,
                          const struct ledger_member *member);

#endif
