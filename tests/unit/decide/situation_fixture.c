/* Situations for the planner's tests: see situation_fixture.h. */
#include "situation_fixture.h"

#include <assert.h>
#include <string.h>

static const char *const zones[] = {"us-east1-b", "us-central1-f", "europe-west1-d", "asia-east1-a",
                                    "me-west1-a"};

void fixture_init(struct fixture *f, size_t members)
{
    assert(members <= FIXTURE_MEMBERS);
    *f = (struct fixture){.now_ms = FIXTURE_NOW_MS};
    arena_init(&f->arena, 0);
    for (size_t i = 0; i < members; i++) {
        f->wanted[i] = (struct spec_member){
            .ordinal = (int)i + 1, .zone = zones[i], .priority = 1, .votes = 1, .disk = ""};
        f->views[i] =
            (struct member_view){.ordinal = (int)i + 1, .zone = zones[i], .zone_state = ZONE_PENDING};
        struct member_holding *holding = &f->views[i].holding;
        *holding = (struct member_holding){.set = "mongo", .ordinal = (int)i + 1, .address = ""};
        holding->disk = (struct disk_holding){.name = "", .id = "", .replica_set_id = ""};
        holding->pod = (struct pod_holding){.name = "", .node = "", .image_id = "", .last_exit = ""};
        holding->problem = (struct problem){.code = "", .message = ""};
        f->views[i].waiting = holding->problem;
        f->views[i].mongod = (struct mongod_view){.problem = "",
                                                  .version = "",
                                                  .age_ms = -1,
                                                  .self_id = -1,
                                                  .term = -1,
                                                  .primary_id = -1,
                                                  .config = {.set = "", .replica_set_id = ""}};
    }
    f->set = (struct spec_set){
        .name = "mongo", .image = "mongo:7.0", .port = 27017, .members = f->wanted, .member_count = members};
    f->spec = (struct spec){.name = "prod", .sets = &f->set, .set_count = 1};
    f->observation = (struct observation){.members = f->views, .member_count = members};
    f->observation.action = (struct action_view){.message = "", .config = {.set = "", .replica_set_id = ""}};
    f->ledger = (struct ledger){.set = "mongo", .replica_set_id = "", .members = f->booked};
}

void fixture_finish(struct fixture *f)
{
    arena_finish(&f->arena);
}

void fixture_zones_report_nothing(struct fixture *f)
{
    for (size_t i = 0; i < f->set.member_count; i++) {
        f->views[i].zone_state = ZONE_CONNECTED;
        f->views[i].zone_seen = true;
        f->views[i].reported = true;
    }
}

void fixture_disks_made(struct fixture *f)
{
    fixture_zones_report_nothing(f);
    for (size_t i = 0; i < f->set.member_count; i++) {
        f->views[i].holding.disk.state = DISK_READY;
        f->views[i].holding.disk.id = arena_printf(&f->arena, "disk-%zu", i + 1);
    }
}

void fixture_all_answer_uninitialized(struct fixture *f)
{
    fixture_disks_made(f);
    for (size_t i = 0; i < f->set.member_count; i++) {
        struct member_view *view = &f->views[i];
        view->holding.service_exists = view->holding.controller_exists = true;
        view->holding.address = arena_printf(&f->arena, "127.0.%zu.1:27017", i + 1);
        view->holding.disk.used = true;
        view->holding.disk.state = DISK_ATTACHED;
        view->holding.pod.running = true;
        view->mongod.answer = MONGOD_NOT_INITIALIZED;
        view->mongod.age_ms = 100;
        view->mongod.version = "7.0.14";
    }
}

static void show_config(struct fixture *f)
{
    for (size_t i = 0; i < f->set.member_count; i++) {
        struct mongod_view *mongod = &f->views[i].mongod;
        if (mongod->answer == MONGOD_MEMBER)
            mongod->config = f->config;
    }
}

void fixture_healthy(struct fixture *f)
{
    fixture_all_answer_uninitialized(f);
    size_t count = f->set.member_count;
    for (size_t i = 0; i < count; i++) {
        f->entries[i] = (struct config_member){
            .id = (int)i, .host = f->views[i].holding.address, .votes = 1, .priority = 1};
        f->peers[i] = (struct peer_view){.id = (int)i,
                                         .host = f->entries[i].host,
                                         .healthy = true,
                                         .state = i ? MEMBER_SECONDARY : MEMBER_PRIMARY,
                                         .optime = {1, 1000, 1},
                                         .config_version = 1,
                                         .config_term = 1};
        f->booked[i] = (struct ledger_member){
            .ordinal = (int)i + 1, .id = (int)i, .disk_id = f->views[i].holding.disk.id};
    }
    f->config = (struct replica_config){.set = "mongo",
                                        .version = 1,
                                        .term = 1,
                                        .replica_set_id = "6b0407215e92c42f711d9b08",
                                        .members = f->entries,
                                        .member_count = count};
    f->ledger.birth = BIRTH_DONE;
    f->ledger.birth_ordinal = 1;
    f->ledger.replica_set_id = f->config.replica_set_id;
    f->ledger.next_id = (int)count;
    f->ledger.member_count = count;
    for (size_t i = 0; i < count; i++) {
        struct mongod_view *mongod = &f->views[i].mongod;
        f->views[i].holding.disk.replica_set_id = f->config.replica_set_id;
        *mongod = (struct mongod_view){.answer = MONGOD_MEMBER,
                                       .problem = "",
                                       .version = "7.0.14",
                                       .age_ms = 100,
                                       .state = i ? MEMBER_SECONDARY : MEMBER_PRIMARY,
                                       .self_id = (int)i,
                                       .term = 1,
                                       .primary_id = 0,
                                       .optime = {1, 1000, 1},
                                       .peers = f->peers,
                                       .peer_count = count,
                                       .config_committed = i == 0,
                                       .knows_commitment = i == 0};
    }
    show_config(f);
}

void fixture_pod_down(struct fixture *f, int ordinal)
{
    struct member_view *view = &f->views[ordinal - 1];
    view->holding.pod.running = false;
    view->holding.pod.last_exit = "killed by signal 9";
    view->mongod.answer = MONGOD_SILENT;
    f->peers[ordinal - 1].healthy = false;
    f->peers[ordinal - 1].state = MEMBER_DOWN;
}

void fixture_zone_silent(struct fixture *f, int ordinal)
{
    f->views[ordinal - 1].zone_state = ZONE_UNKNOWN;
    f->views[ordinal - 1].mongod.age_ms = 60000;
}

void fixture_disk_replaced(struct fixture *f, int ordinal)
{
    struct member_view *view = &f->views[ordinal - 1];
    fixture_pod_down(f, ordinal);
    view->holding.disk.id = arena_printf(&f->arena, "another-disk-%d", ordinal);
    view->holding.disk.used = false;
    view->holding.disk.replica_set_id = "";
    view->holding.disk.state = DISK_READY;
}

void fixture_move(struct fixture *f, int ordinal, const char *host)
{
    f->views[ordinal - 1].holding.address = host;
    f->peers[ordinal - 1].healthy = false;
    f->peers[ordinal - 1].state = MEMBER_DOWN;
}

void fixture_no_primary(struct fixture *f)
{
    for (size_t i = 0; i < f->set.member_count; i++) {
        if (f->views[i].mongod.state == MEMBER_PRIMARY)
            f->views[i].mongod.state = MEMBER_SECONDARY;
        f->views[i].mongod.primary_id = -1;
    }
}

void fixture_new_config(struct fixture *f, const struct replica_config *config)
{
    f->config = replica_config_copy(&f->arena, config);
    f->config.replica_set_id = f->ledger.replica_set_id;
    show_config(f);
}

const struct plan *fixture_plan(struct fixture *f)
{
    struct error err;
    f->previous = f->plan;
    struct plan_input input = {.spec = &f->spec,
                               .set = &f->set,
                               .observation = &f->observation,
                               .ledger = &f->ledger,
                               .previous = f->planned ? &f->previous : NULL,
                               .now_ms = f->now_ms};
    int failed = plan_set(&input, &f->arena, &f->plan, &err);
    assert(!failed);
    f->planned = true;
    return &f->plan;
}

bool plan_fired(const struct plan *plan, int rule)
{
    for (size_t i = 0; i < plan->rule_count; i++)
        if (plan->rules[i] == rule)
            return true;
    return false;
}

const struct config_member *entry_in_action(const struct plan *plan, int id)
{
    return replica_config_find(&plan->action.config, id);
}
