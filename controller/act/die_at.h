/* A process that kills itself at a given moment, for tests of what is durable: `atoll-controller --die-at
 * store:3`. It is an option and nothing else, so that no environment, file or request that somebody left
 * behind can switch it on, and it shows in the process's own command line. Without the option none of this
 * stands between the controller and its store.
 *
 *   store:N          just before the Nth write of this process's life is committed    store:N:after   just
 * after effect:N         before the Nth command to MongoDB is sent                        effect:N:after when
 * it was answered intent:N         before the Nth intent is shown to its agent intent:N:after  just after */
#ifndef ATOLL_CONTROLLER_ACT_DIE_AT_H
#define ATOLL_CONTROLLER_ACT_DIE_AT_H

#include <stdbool.h>

#include "controller/act/mongo.h"
#include "controller/act/store.h"

#define DIE_POINTS(X)                                                                                        \
    X(DIE_STORE, "store")                                                                                    \
    X(DIE_EFFECT, "effect")                                                                                  \
    X(DIE_INTENT, "intent")

enum die_point {
#define X(name, text) name,
    DIE_POINTS(X)
#undef X
        DIE_POINT_COUNT
};

/* All zero: it never dies. */
struct die_at {
    enum die_point point;
    long number; /* from 1; 0: never */
    bool after;
    long reached[DIE_POINT_COUNT][2]; /* so far, before and after */
    struct store store;               /* stands before `inner_store` */
    struct mongo mongo;
    struct store *inner_store;
    struct mongo *inner_mongo;
};

/* "store:3", "effect:1:after". ERROR_INVALID says what would be right. */
int die_at_read(const char *text, struct die_at *out, struct error *err);
/* Counts, and does not return when this is the moment. */
void die_at_reached(struct die_at *self, enum die_point point, bool after);
/* What to use in place of the store or of MongoDB: the same, unless `self` is to die there. */
struct store *die_at_store(struct die_at *self, struct store *store);
struct mongo *die_at_mongo(struct die_at *self, struct mongo *mongo);

#endif
