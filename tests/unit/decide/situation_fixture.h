/* A set of three zones in every stage of its life, as the planner sees it; tests begin with one of the stages
 * and change what they are about. All values are plain: a test may set any field before it plans. */
#ifndef ATOLL_TESTS_SITUATION_FIXTURE_H
#define ATOLL_TESTS_SITUATION_FIXTURE_H

#include "controller/decide/plan.h"
#include "controller/decide/rules.h"

enum { FIXTURE_MEMBERS = 5, FIXTURE_NOW_MS = 1800000000 };

struct fixture {
    struct arena arena;
    struct spec spec;
    struct spec_set set;
    struct spec_member wanted[FIXTURE_MEMBERS];
    struct observation observation;
    struct member_view views[FIXTURE_MEMBERS];
    struct config_member entries[FIXTURE_MEMBERS];
    struct replica_config config; /* what every mongod that is a member shows */
    struct peer_view peers[FIXTURE_MEMBERS];
    struct ledger ledger;
    struct ledger_member booked[FIXTURE_MEMBERS];
    int64_t now_ms;
    struct plan plan, previous;
    bool planned;
};

/* Nothing has been heard of any zone. Free with fixture_finish(). */
void fixture_init(struct fixture *f, size_t members);
void fixture_finish(struct fixture *f);

/* Stages; each includes those before it. */
void fixture_zones_report_nothing(struct fixture *f);
void fixture_disks_made(struct fixture *f);
void fixture_all_answer_uninitialized(struct fixture *f);
void fixture_healthy(struct fixture *f); /* the first member is primary */

/* Single changes */
void fixture_pod_down(struct fixture *f, int ordinal);
void fixture_zone_silent(struct fixture *f, int ordinal);
void fixture_disk_replaced(struct fixture *f, int ordinal);
void fixture_move(struct fixture *f, int ordinal, const char *host);
void fixture_no_primary(struct fixture *f);
void fixture_new_config(struct fixture *f,
                        const struct replica_config *config); /* all members have it, committed */

/* Plans now; the plan before becomes `previous`. */
const struct plan *fixture_plan(struct fixture *f);
bool plan_fired(const struct plan *plan, int rule);
const struct config_member *entry_in_action(const struct plan *plan, int id);

#endif
