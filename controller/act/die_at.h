/* A process that kills itself at a given moment, for tests of what is durable: `atoll-controller --die-at
 * store:ledger:2`. It is an option and nothing else, so that no environment, file or request that somebody
 * left behind can switch it on, and it shows in the process's own command line. Without the option none of
 * this stands between the controller and its store.
 *
 * A moment is named by what is written or sent, so that its name stays true when something else is written
 * before it:
 *
 *   store:KIND[:N]     just before the Nth write of this kind in this process's life is committed (N: 1)
 *   effect:KIND[:N]    before the Nth command of this kind to MongoDB is sent
 *   intent[:N]         before the Nth intent is shown to its agent
 *   …:after            just after it: committed; answered; shown
 *   watch              never; what passes is logged by these names
 *   list               prints all kinds, and ends
 *
 * A write of several records is of each one's kind; where a record is removed, of kind no-KIND. */
#ifndef ATOLL_CONTROLLER_ACT_DIE_AT_H
#define ATOLL_CONTROLLER_ACT_DIE_AT_H

#include <stdbool.h>

#include "controller/act/mongo.h"
#include "controller/act/records.h"
#include "controller/act/store.h"

/* Beside RECORD_KINDS and ACTIONS: what goes another way into the store, and what is removed of it. */
#define DIE_WRITES(X)                                                                                        \
    X("no-token")                                                                                            \
    X("no-join")                                                                                             \
    X("no-person")                                                                                           \
    X("audit") /* a change that begins, in the audit log; a line that is ended */                            \
    X("audit-end")

enum { DIE_MOMENT_MAX = 64, DIE_ACTIONS = 256 };

/* All zero: it never dies. */
struct die_at {
    bool on, watches;
    char moment[DIE_MOMENT_MAX]; /* "store:ledger:after": without the number */
    long number;                 /* from 1 */
    long reached;
    enum action_kind actions[DIE_ACTIONS]; /* that are under way, by id modulo DIE_ACTIONS */
    struct store store;                    /* stands before `inner_store` */
    struct mongo mongo;
    struct store *inner_store;
    struct mongo *inner_mongo;
};

/* "store:ledger:2:after", "effect:initiate", "intent:3", "watch". ERROR_INVALID says what would be right. */
int die_at_read(const char *text, struct die_at *out, struct error *err);
/* A line for each kind: "store:epoch". */
void die_at_print_kinds(void);

/* Each counts, and does not return when this is the moment. */
void die_at_intent(struct die_at *self, bool after);
void die_at_action_done(struct die_at *self, uint64_t id);
/* What to use in place of the store or of MongoDB: the same, unless `self` is on. */
struct store *die_at_store(struct die_at *self, struct store *store);
struct mongo *die_at_mongo(struct die_at *self, struct mongo *mongo);

#endif
