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

/* faults_zone.c */
bool fault_of_zone(struct world *world, struct planned_fault *fault, struct site *site);
void fault_of_zone_ends(struct world *world, int kind, struct site *site);

/* faults_others.c: what is not ours, and what a person mends */
bool fault_of_others(struct world *world, struct planned_fault *fault, struct chance *chance);
void fault_of_others_ends(struct world *world, const struct planned_fault *fault);

/* faults_member.c */
struct member_slot *fault_pick_slot(struct world *world, struct chance *chance, bool running);
bool fault_may_lose_disk(struct world *world,
                         const struct member_slot *slot); /* the others have the data, and a majority */
void fault_lose_disk(struct world *world, struct member_slot *slot, bool emptied);

#endif
