/* The sentences of rules.def with their placeholders filled in. */
#ifndef ATOLL_CONTROLLER_DECIDE_SENTENCE_H
#define ATOLL_CONTROLLER_DECIDE_SENTENCE_H

#include "proto/base/arena.h"

/* What the placeholders stand for; NULL is written as nothing. */
struct sentence_values {
    const char *set, *member, *zone, *host, *old, *state;
    const char *detail;        /* a problem, a number: what the row makes of it */
    const char *list;          /* members, with commas */
    const char *counted_zones; /* for "zones {zones}": "zone a", or "zones a, b" */
};

/* Replaces each {name}; what is no placeholder is kept as it is. White space at the end is dropped. Never
 * NULL. */
const char *sentence_write(struct arena *arena, const char *pattern, const struct sentence_values *values);

#endif
