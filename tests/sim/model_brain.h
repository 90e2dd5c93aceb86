/* What hosts a controller: its clock, its disk, its commands to MongoDB. brain.c, vault.c, actions.c */
#ifndef ATOLL_SIM_MODEL_BRAIN_H
#define ATOLL_SIM_MODEL_BRAIN_H

#include "controller/controller.h"
#include "tests/sim/model_mongod.h"
#include "tests/sim/model_trust.h"

struct world;

struct record {
    char key[STORE_KEY_MAX];
    char *data;
    size_t length;
};

struct disk_image {
    struct record records[RECORDS_MAX];
    size_t count;
    struct authority authority;
};

struct brain {
    struct store store;
    struct mongo mongo;
    struct world *world;
    int index;
    struct controller *controller; /* NULL: it is dead */
    uint64_t life, wake;
    struct disk_image image;
    int fuse;          /* effects until it dies in the middle of a step; -1: none */
    bool dying;        /* nothing that it does has an effect any more */
    bool dying_before; /* already before the effect that is looked at */
    int trusted_issuer, trusted_other;
    char trusted[32];     /* what authority_trusted() said last */
    int fails;            /* its disk is full */
    unsigned heard;       /* zones that have reported in this life, as bits */
    bool intended_before; /* a former life made a birth's intention durable */
};

struct sim_action {
    bool active, sent, installed;
    uint64_t id, brain_life, target_life;
    int brain, target; /* ordinal; 0: nobody answers there */
    enum action_kind kind;
    struct configuration base, config;
    struct papers papers; /* by which the controller dials */
    char host[HOST_MAX], process[32];
    int64_t deadline_ms;
    int stage, code;
    char message[96];
};

/* brain.c: hosts a real controller */
void brain_start(struct brain *brain);
void brain_kill(struct brain *brain);
void brain_wake(struct brain *brain, const struct happening *happening);
void brain_apply(struct brain *brain);
bool brain_effect(struct brain *brain); /* whether an effect of it still counts */
void brain_result(struct brain *brain, const struct mongo_result *result);
extern const struct random sim_random;
enum set_phase brain_phase(struct brain *brain);
int brain_row(struct brain *brain); /* of the set, as the status shows it; 0: none */

/* vault.c: the store's disk */
extern const struct store_functions vault_functions;
void image_copy(struct disk_image *to, const struct disk_image *from);
void image_finish(struct disk_image *image);

/* actions.c: stands for act/mongo.c */
extern const struct mongo_functions actions_functions;
void actions_turn(struct world *world, const struct happening *happening);

#endif
