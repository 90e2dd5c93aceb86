/* The simulated world: what is true, whoever knows it. One process, one thread, virtual time; the controller,
 * the agents and the store's records in it are the real ones, everything around them is a model. */
#ifndef ATOLL_SIM_WORLD_H
#define ATOLL_SIM_WORLD_H

#include "proto/base/plant.h"
#include "tests/sim/chance.h"
#include "tests/sim/invariants.h"
#include "tests/sim/model_brain.h"
#include "tests/sim/model_trust.h"
#include "tests/sim/model_zone.h"
#include "tests/sim/queue.h"

struct planned_fault {
    int kind;
    int64_t at_ms, lasts_ms;
    uint64_t seed;
    bool dropped; /* by shrinking */
    bool begun, fired;
    int who, other; /* what it chose */
};

struct wish { /* of one member in the spec */
    bool named, absent, arbiter, hidden;
    int zone, votes;
    double priority;
    bool tagged;
};

struct world {
    int64_t now_ms, settle_from_ms;
    struct chance chance;
    struct queue queue;
    uint64_t seed;
    bool tracing;
    struct buffer *trace;
    int zone_count;
    bool modern; /* 4.4 and later: configuration terms and commitment; and 5.0: certificates are loaded
                    without a restart */
    bool tls, auth;
    int64_t certificates_due_ms; /* the least that one is left as it is; 0: for as long as a history lasts */
    int serials, authorities;    /* handed out */
    int exchanges;               /* of the CA that a person wants */
    struct wish wishes[ORDINALS_MAX + 1];
    bool set_absent;
    int next_address;
    struct site sites[ZONES_MAX];
    struct brain brains[BRAINS];
    struct disk_image old_image;
    bool has_old_image;
    int64_t clock_offset_ms;
    struct member_slot slots[ORDINALS_MAX + 1];
    struct sim_action actions[ACTIONS_MAX];
    char foreign_host[HOST_MAX]; /* where another replica set answers: slot 0; "": nowhere */
    int blocked[PLACES][PLACES]; /* MongoDB's traffic, from, to */
    struct planned_fault faults[FAULTS_MAX];
    int fault_count, faults_in_force, faults_under_load;
    int swaps_midway;        /* faults in force that wait for a command */
    uint64_t fault_schedule; /* counts how often the faults to come were drawn near */

    /* The truth that the invariants are about. */
    int violated; /* its number; 0: none */
    char violation[400];
    int ops; /* writes begun */
    uint8_t acked[OPS_MAX];
    int acked_count;
    struct config_record configs[CONFIGS_MAX];
    int config_count;
    int births, initiated; /* that succeeded; the node that was told first */
    bool told_before;
    bool id_gone[256], had_data[ORDINALS_MAX + 1];
    int id_owner[256];                     /* ordinals; 0: not seen yet */
    int64_t unwanted_ms[ORDINALS_MAX + 1]; /* when the spec last did not want it, or its vote */
    int64_t lost_ms[ORDINALS_MAX + 1];     /* when its disk was last lost */
    int64_t down_since_ms[ORDINALS_MAX + 1];
    bool lost_for_good, operator_needed, swapped, forgotten;
    int64_t bad_since_ms[8];  /* one for each thing that can be bad; 0: it is good */
    int64_t said_healthy_ms;  /* since when the status says so; 0: it doesn't */
    int64_t healthy_since_ms; /* the status says so and it is so */
    int64_t addresses_lost_ms, ca_lost_ms, few_voters_ms, unheard_ms; /* since when the status says so */
    int reconfigurations, elections, crashes;
};

extern struct world *the_world; /* environment.plan has no context */

/* world.c */
void world_run(struct world *world); /* until it is settled or something is violated */
void world_init(struct world *world, uint64_t seed);
/* Without wishes, faults and an end; who calls it makes the wishes, then world_begin()s, and turns it. */
void world_init_quiet(struct world *world, uint64_t seed);
void world_begin(struct world *world);
void world_turn(struct world *world); /* the next thing that happens */
void world_finish(struct world *world);
void world_later(struct world *world, int64_t delay_ms, enum happening_kind kind, int who, uint64_t life);
void world_at(struct world *world, const struct happening *happening);
void world_trace(struct world *world, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void violate(struct world *world, int invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *slot_name(const struct member_slot *slot);

/* wishes.c: the spec as text, and whether the world is as it wants */
void wishes_init(struct world *world);
void wishes_write(const struct world *world, struct buffer *out);
bool wish_counts(const struct world *world, int ordinal); /* is wanted to be there */
bool wishes_edit(struct world *world, struct chance *chance);

/* faults.c */
void faults_plan(struct world *world, struct chance *chance);
void faults_schedule(struct world *world, int64_t earlier_ms); /* those that are still to come */
bool faults_hasten(struct world *world);                       /* false: none is to come */
void faults_begin(struct world *world, int index);
void faults_end(struct world *world, int index);
void faults_give_addresses_back(struct world *world);
void faults_of_command(struct world *world, const char *host); /* one is on its way there */
const char *fault_name(int kind);
int fault_kinds(void);
extern uint64_t faults_fired[];

/* coverage.c */
void coverage_rule(int number);
void coverage_agent_rule(int number);

#endif
