/* What must never happen: each is asked where the thing happens, or once a simulated second. invariants/,
 * liveness.c */
#ifndef ATOLL_SIM_INVARIANTS_H
#define ATOLL_SIM_INVARIANTS_H

#include "tests/sim/model_brain.h"
#include "tests/sim/model_zone.h"

struct world;

/* invariants: called where the thing happens, and once a second */
void check_told_to_initiate(struct world *world, const struct brain *brain, struct member_slot *target,
                            const struct configuration *config);
void check_birth(struct world *world, const struct configuration *config);
void check_reconfiguration(struct world *world, const struct member_slot *target,
                           const struct configuration *base, const struct configuration *config);
/* `base`: what it changes; NULL at a birth */
void check_ids(struct world *world, const struct configuration *base, const struct configuration *config);
void check_outage(struct world *world, struct member_slot *slot, const char *what);
/* A configuration names no address that its member has no certificate for. */
void check_followed(struct world *world, const struct configuration *base,
                    const struct configuration *config);
void check_understood(
    struct world *world); /* who could hear one another does, but for certificates and keyfiles */
void check_stepping_down(struct world *world, const struct member_slot *slot);
void check_vote_taken(struct world *world, const struct configuration *base,
                      const struct configuration *config);
void check_silence(struct world *world, const struct configuration *base, const struct configuration *config);
void check_disk_step(struct world *world, struct member_slot *slot, const char *what);
void check_started_empty(struct world *world, struct member_slot *slot);
void check_epoch(struct world *world, struct site *site, int64_t epoch);
void check_log_of_primary(struct world *world, const struct member_slot *slot);
void check_rolled_back(struct world *world, const struct member_slot *slot, const struct op *op);
void check_status(struct world *world);
void check_plan(struct world *world, const struct plan_input *input, const struct plan *plan);
bool check_settled(struct world *world); /* liveness: everything is as the spec wants */
void check_never_settled(struct world *world);

#endif
