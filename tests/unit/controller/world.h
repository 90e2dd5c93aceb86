/* A controller in a world of its own: virtual time, a store in memory, a planner and a MongoDB that do what
 * the test says. Every effect is written down in `trace`, in its order. */
#ifndef ATOLL_TESTS_CONTROLLER_WORLD_H
#define ATOLL_TESTS_CONTROLLER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/controller.h"

enum { WORLD_START_MS = 1000000, WORLD_WALL_MS = 1795000000, WORLD_RECORDS_MAX = 16 };

struct kept_record {
    char key[STORE_KEY_MAX];
    char data[8192];
    size_t length;
};

/* What the scripted planner answers. */
struct script {
    enum member_run run;
    const char *disk_id;
    enum action_kind action;
    bool remember; /* gives node 1 an _id in the ledger, unless it has one */
    bool fails;
    enum set_phase phase;
    bool healthy;
    const char *healthy_with; /* with this keyfile alone; NULL: with any */
    int64_t lag_seconds;
    int64_t look_again_in_ms;
    unsigned calls;
    struct action_view seen; /* the action as it was last observed; its strings are copied */
    char seen_message[128];
    enum zone_state seen_zone;
    int64_t seen_age_ms;
};

struct world {
    int64_t now_ms;
    int64_t wake_ms; /* -1: none asked for */
    struct kept_record records[WORLD_RECORDS_MAX];
    size_t record_count;
    bool store_fails, ledgers_fail; /* the latter: there is room for small records alone */
    unsigned store_tries;
    struct store store;
    struct mongo mongo;
    uint64_t last_action; /* id */
    struct controller *controller;
    struct buffer trace;
    struct event last_events[8];
    unsigned events[EVENT_REASON_COUNT]; /* how often */
    /* Members' certificates; the text of one names what it was signed for. */
    bool encrypts; /* before world_boot() */
    const char *ca;
    unsigned signatures;
    int64_t certificate_life_ms;
    /* Keyfiles: what is made at random is "secret1", "secret2" … */
    bool authenticates; /* before world_boot() */
    unsigned secrets;
    char password[16]; /* what the last action logged in with */
};

extern struct script script;
extern struct world world;

/* cmocka's setup and teardown: an empty world with a started controller. */
int world_setup(void **state);
int world_teardown(void **state);

void world_crash(void);             /* the controller's memory is lost; the store stays */
void world_boot(void);              /* a new controller on that store; fails the test when it can't start */
void world_apply(const char *spec); /* fails the test when it is refused */
void world_run(int64_t ms);         /* time passes; ticks as they were asked for */
void world_trace_is(const char *expected); /* and forgets it */
void world_trace_forget(void);

extern const char three_zones[]; /* a spec: set mongo, zones z1, z2, z3 */

/* A report of a zone that holds nothing, or the members that are given. */
struct report world_report(const char *zone, const char *run, int64_t sequence);
struct report_member world_member(int ordinal);
void world_tell(const struct report *report); /* fails the test when it is not answered */
void world_all_report(void);                  /* z1 … z3, run "r", sequence 1 */
void world_heartbeat(const char *zone, const char *run, int64_t sequence, struct zone_answer *answer);

#endif
