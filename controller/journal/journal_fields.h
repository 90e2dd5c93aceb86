/* The tables of what a plan is made on; used by the journal's own files alone. */
#ifndef ATOLL_CONTROLLER_JOURNAL_FIELDS_H
#define ATOLL_CONTROLLER_JOURNAL_FIELDS_H

#include "controller/decide/plan.h"
#include "proto/record.h"

/* What a plan takes over from the one before it. */
struct journal_previous {
    enum set_phase phase;
    const struct condition *conditions;
    size_t condition_count;
    const struct wait *waits;
    size_t wait_count;
    const struct member_plan *members; /* ordinal, behind_since_ms and wait alone */
    size_t member_count;
};

extern const struct record observation_record, journal_previous_record;

#endif
