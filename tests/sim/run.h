/* Many histories, over several processes: see run.c. */
#ifndef ATOLL_SIM_RUN_H
#define ATOLL_SIM_RUN_H

#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

struct tally {
    uint64_t histories, simulated_ms, faults, faults_under_load, reconfigurations, elections, crashes, writes,
        idle, violations;
    uint64_t violated_seed; /* the lowest; valid when `invariant` is not 0 */
    int invariant;
    char violation[400];
    char latest[440]; /* of the violations, with its invariant */
    struct coverage coverage;
};

struct run_options {
    uint64_t seed;
    int histories, jobs;
    bool all; /* goes on after a violation, and names each */
    bool progress;
};

/* Runs `histories` of them, with the seeds from `seed` on. Each job stops at its first violation unless
 * `all`. */
void run_histories(const struct run_options *options, struct tally *out);

/* One history with its trace; the invariant that it breaks, or 0. `faults` NULL: all of its own. */
int run_traced(uint64_t seed, const struct planned_fault *faults, struct buffer *trace, struct tally *out);

#endif
