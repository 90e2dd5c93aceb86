/* Bugs that can be planted, so that the simulator can show that it would find them (tests/sim). Everywhere
 * else PLANT() is constant false and costs nothing. */
#ifndef ATOLL_BASE_PLANT_H
#define ATOLL_BASE_PLANT_H

enum plant {
    PLANT_NONE,
#define X(name, option, text) PLANT_##name,
#include "proto/base/plants.def"
#undef X
    PLANT_COUNT
};

#ifdef ATOLL_SIM
extern enum plant plant_active;
#define PLANT(name) (plant_active == PLANT_##name)
#else
#define PLANT(name) 0
#endif

/* A step that no driver offers: the simulated one understands it, so that a reconciler with this bug does its
 * harm. */
enum { PLANTED_DELETE_DISK = 1000 };

#endif
