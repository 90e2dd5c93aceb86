/* What was reached, as numbers that several processes add up. */
#ifndef ATOLL_SIM_COVERAGE_H
#define ATOLL_SIM_COVERAGE_H

#include <stdint.h>

enum { COVERAGE_ROWS = 400, COVERAGE_FAULTS = 64 };

struct coverage {
    uint64_t rows[COVERAGE_ROWS], agent_rows[COVERAGE_ROWS], faults[COVERAGE_FAULTS];
};

void coverage_collect(struct coverage *out);
void coverage_add(struct coverage *sum, const struct coverage *more);

/* Prints all of it; how many things were never reached and have no excuse. */
int coverage_print(const struct coverage *sum);

#endif
