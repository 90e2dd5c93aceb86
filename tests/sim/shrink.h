/* See shrink.c. */
#ifndef ATOLL_SIM_SHRINK_H
#define ATOLL_SIM_SHRINK_H

#include "tests/sim/world.h"

/* Marks what can be left out of the history's faults, as planned by world_init(), with `invariant` still
 * broken. */
void shrink(uint64_t seed, int invariant, struct planned_fault *faults, int count);

#endif
