/* The kinds of faults, for the files that do them. */
#ifndef ATOLL_SIM_FAULTS_H
#define ATOLL_SIM_FAULTS_H

#include "tests/sim/world.h"

enum fault_kind {
#define X(name, option, weight, least, most, text) FAULT_##name,
#include "tests/sim/faults.def"
#undef X
    FAULT_KINDS
};

/* Each says whether it found something to hit. */
bool fault_of_member(struct world *world, struct planned_fault *fault, struct chance *chance);
/* Begins (by 1) or ends (by -1) one that lasts; false: it is not of these kinds. */
bool fault_that_lasts(struct world *world, int kind, struct member_slot *slot, int by);
void fault_of_all_addresses(struct world *world);

#endif
