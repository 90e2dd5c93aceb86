/* Decisions are rows: a stable number, the facts that must hold and must not, an outcome, the sentence that
 * people read. The rows are in rules.def, the facts in facts.def; the first row of a table whose facts fit is
 * taken. Logs, events and `atoll explain` cite the number. */
#ifndef ATOLL_CONTROLLER_DECIDE_RULES_H
#define ATOLL_CONTROLLER_DECIDE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buffer.h"

enum rule_table { RULES_OF_SET, RULES_OF_MEMBER };

struct rule {
    int number;
    const char *name;         /* like "follow-moved-address" */
    uint64_t require, forbid; /* masks over the facts of its table */
    int outcome;              /* enum set_outcome or enum member_outcome (situation.h) */
    const char *reason;       /* the wait's code; "" when the row waits for nothing */
    const char *ended_by;     /* who can end the wait; may hold the same placeholders as the sentence */
    const char *sentence;     /* {member}, {zone}, {host}, {problem} … are filled in */
};

/* All rows of a table, in the order in which they are tried. */
const struct rule *rules_of(enum rule_table table, size_t *count);

/* The first row that fits; each table ends with one that always does. */
const struct rule *rules_match(enum rule_table table, uint64_t facts);

const struct rule *rules_find(int number); /* NULL when there is none */

const char *rule_outcome_name(const struct rule *rule); /* "reconfigure: hosts" */

/* The first fact for which the row doesn't fit, in words ("a primary is seen", "not: an action is running"),
 * or NULL when it fits. */
const char *rule_unmet(enum rule_table table, const struct rule *rule, uint64_t facts);

/* The tables as text, for the golden file and the documentation. */
void rules_dump(struct buffer *out);

#endif
