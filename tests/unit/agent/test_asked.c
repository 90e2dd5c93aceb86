/* What the controller can ask for and what an agent can do, compared: each thing that an intent can say of a
 * member, begun from an empty zone, from a running member and from a held one, in a zone that does what it is
 * told. Each must come to its end, or to a wait that names who ends it; no step may be one that nothing asks
 * for. tests/tables/asked-and-done.txt shows the ways; to rewrite it: ATOLL_GOLDEN=write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "zone-agent/decide/reconcile.h"

#define OUR_SET "5f0000000000000000000001"

enum { TURNS_MAX = 40, STEPS = 32 };

static const char path[] = ATOLL_SOURCE_DIR "/tests/tables/asked-and-done.txt";
static bool done_at_all[STEPS];

static const char *const step_texts[] = {
#define X(name, text) [name] = text,
    STEP_KINDS(X)
#undef X
};

/* ---- a zone that does what it is told ---- */

static struct member_holding empty_zone(void)
{
    return (struct member_holding){
        .set = "mongo",
        .ordinal = 1,
        .disk = {.name = "mongodb-disk1", .id = "", .state = DISK_ABSENT, .replica_set_id = ""},
        .address = "",
        .pod = {.name = "", .node = "", .image_id = "", .last_exit = ""},
        .problem = {.code = "", .message = ""},
        .last_repair = ""};
}

static struct member_holding running_member(void)
{
    struct member_holding held = empty_zone();
    held.disk = (struct disk_holding){
        .name = "mongodb-disk1", .id = "d1", .state = DISK_ATTACHED, .used = true, .replica_set_id = OUR_SET};
    held.controller_exists = held.service_exists = true;
    held.replicas = 1;
    held.address = "127.0.1.1:27017";
    held.pod = (struct pod_holding){.name = "mongo-rc1-x7k2p",
                                    .node = "n",
                                    .image_id = "",
                                    .running = true,
                                    .ready = true,
                                    .last_exit = ""};
    return held;
}

static struct member_holding held_member(void)
{
    struct member_holding held = running_member();
    held.replicas = 0;
    held.pod = empty_zone().pod;
    held.disk.state = DISK_READY;
    return held;
}

static void perform(enum step_kind step, const struct intent_member *wanted, struct member_holding *held)
{
    switch (step) {
    case STEP_CREATE_DISK:
        held->disk.state = DISK_CREATING;
        break;
    case STEP_MARK_DISK:
        held->disk.replica_set_id = wanted->replica_set_id;
        break;
    case STEP_UPDATE_DISK:
        held->disk_stale = false;
        break;
    case STEP_GROW_DISK:
        held->disk_small = false;
        break;
    case STEP_UPDATE_SECRETS:
        held->secrets_stale = false;
        break;
    case STEP_CREATE_SERVICE:
        held->service_exists = true;
        break;
    case STEP_UPDATE_SERVICE:
        held->service_stale = false;
        break;
    case STEP_CREATE_CONTROLLER:
        held->controller_exists = true;
        held->replicas = wanted->run == RUN_UP;
        break;
    case STEP_UPDATE_CONTROLLER:
        held->controller_stale = false;
        break;
    case STEP_SCALE_TO_ZERO:
    case STEP_SCALE_TO_ONE:
        held->replicas = step == STEP_SCALE_TO_ONE;
        break;
    case STEP_DELETE_CONTROLLER:
        held->controller_exists = false;
        break;
    case STEP_DELETE_SERVICE:
        held->service_exists = false;
        held->address = "";
        break;
    }
}

/* One thing that a zone does by itself while it is waited for; false: nothing moves any more. */
static bool go_on(struct member_holding *held)
{
    bool wants_pod = held->controller_exists && held->replicas > 0;
    if (held->disk.state == DISK_CREATING) {
        held->disk.state = DISK_READY;
        held->disk.id = "d1";
    } else if (*held->pod.name && !wants_pod) {
        held->pod = (struct pod_holding){.name = "", .node = "", .image_id = "", .last_exit = ""};
        held->disk.state = held->disk.state == DISK_ATTACHED ? DISK_READY : held->disk.state;
    } else if (held->service_exists && !*held->address) {
        held->address = "127.0.1.1:27017";
    } else if (wants_pod && !*held->pod.name) {
        held->pod.name = "mongo-rc1-x7k2p";
    } else if (*held->pod.name && !held->pod.running) {
        held->pod.running = held->disk.used = true;
        held->disk.state = DISK_ATTACHED;
    } else if (held->pod.running && !held->pod.ready) {
        held->pod.ready = true;
    } else {
        return false;
    }
    return true;
}

/* ---- the ways ---- */

struct way {
    const char *name;
    struct intent_member wanted;
    struct member_holding held;
};

/* Goes it, writes it down; gives the last decision. */
static struct decision walk(struct way *way, struct buffer *out)
{
    struct decision decision;
    struct arena arena;
    int before = 0;
    arena_init(&arena, 0);
    buffer_printf(out, "%s\n", way->name);
    for (int turn = 0;; turn++) {
        if (turn == TURNS_MAX)
            fail_msg("%s: never comes to an end", way->name);
        reconcile(&way->wanted, &way->held, &arena, &decision);
        if (decision.outcome == DECISION_STEP) {
            buffer_printf(out, "    %d %s\n", decision.rule, step_texts[decision.step]);
            done_at_all[decision.step] = true;
            perform(decision.step, &way->wanted, &way->held);
        } else if (decision.outcome == DECISION_DONE || !go_on(&way->held)) {
            buffer_printf(out, "    %d %s%s\n", decision.rule,
                          decision.outcome == DECISION_DONE ? "done: " : "waits: ",
                          decision.outcome == DECISION_DONE ? decision.name : decision.waiting.code);
            break;
        } else if (decision.rule != before) {
            buffer_printf(out, "    %d waits: %s\n", decision.rule, decision.waiting.code);
        }
        before = decision.rule;
    }
    decision.waiting = (struct problem){.code = "", .message = ""}; /* its text was the arena's */
    arena_finish(&arena);
    return decision;
}

static struct intent_member ask(enum member_run run, const char *disk_id, const char *set_id)
{
    return (struct intent_member){.set = "mongo",
                                  .ordinal = 1,
                                  .run = run,
                                  .node = "mongo-node1",
                                  .controller = "mongo-rc1",
                                  .service = "mongo-svc-a",
                                  .volume = "mongo-persistent-storage1",
                                  .disk = "mongodb-disk1",
                                  .image = "mongo:7.0",
                                  .port = 27017,
                                  .storage_type = "",
                                  .disk_id = disk_id,
                                  .replica_set_id = set_id,
                                  .cpu = "",
                                  .memory = ""};
}

static bool stands(enum member_run run, const struct member_holding *held)
{
    switch (run) {
    case RUN_UP:
        return held->pod.ready && held->service_exists && held->controller_exists;
    case RUN_HELD:
        return !*held->pod.name && held->service_exists && held->controller_exists && !held->replicas;
    default:
        return !*held->pod.name && !held->service_exists && !held->controller_exists;
    }
}

/* 161 and 162: the disk is not the one that is known, or nobody has said that its data may be used. */
static bool decision_is_the_controllers(int rule)
{
    return rule == 161 || rule == 162;
}

/* Done is done as it was asked; a wait without end is one for the controller, who must name another disk. */
static void each_ask(struct buffer *out)
{
    static const enum member_run runs[] = {
#define X(name, text) name,
        MEMBER_RUNS(X)
#undef X
    };
    static const char *const disks[] = {"", "d1", "d2"}, *const sets[] = {"", OUR_SET};
    static const struct {
        const char *name;
        struct member_holding (*zone)(void);
    } froms[] = {
        {"an empty zone", empty_zone}, {"a running member", running_member}, {"a held member", held_member}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs * 18; i++) {
        enum member_run run = runs[i / 18];
        const char *disk = disks[i / 6 % 3], *set = sets[i / 3 % 2];
        size_t from = i % 3;
        char name[160];
        snprintf(name, sizeof name, "asked: %s, disk %s, set %s; from %s", member_run_name(run),
                 !*disk                    ? "any unused one"
                 : strcmp(disk, "d1") == 0 ? "the one that is or comes"
                                           : "another one",
                 *set ? "born" : "not born", froms[from].name);
        struct way way = {name, ask(run, disk, set), froms[from].zone()};
        struct decision end = walk(&way, out);
        bool names_disk = decision_is_the_controllers(end.rule);
        if (end.outcome == DECISION_DONE && !stands(run, &way.held))
            fail_msg("%s: says done, and is not", name);
        if (end.outcome != DECISION_DONE && !(run == RUN_UP && names_disk))
            fail_msg("%s: nobody ends its wait (rule %d)", name, end.rule);
        if (way.held.disk.state == DISK_ABSENT)
            assert_int_equal(run, RUN_ABSENT); /* and a disk is never taken away */
        if (from)
            assert_string_equal(way.held.disk.id, "d1");
    }
}

static void what_has_gone_stale(struct buffer *out)
{
    struct way way = {"asked: as it is; disk, Service, ReplicationController and Secrets have gone stale",
                      ask(RUN_UP, "d1", OUR_SET), running_member()};
    way.held.disk_stale = way.held.service_stale = way.held.controller_stale = true;
    way.held.disk_small = way.held.secrets_stale = true;
    assert_int_equal(walk(&way, out).outcome, DECISION_DONE);
}

static void what_can_be_asked_for_can_be_done_and_nothing_else_is(void **state)
{
    struct buffer now, golden;
    struct error err = {0};
    (void)state;
    buffer_init(&now, 0);
    buffer_init(&golden, 0);
    each_ask(&now);
    what_has_gone_stale(&now);
    for (size_t i = 0; i < sizeof step_texts / sizeof *step_texts; i++)
        if (!done_at_all[i])
            fail_msg("nothing asks for the step: %s", step_texts[i]);
    const char *mode = getenv("ATOLL_GOLDEN");
    if (mode && strcmp(mode, "write") == 0)
        assert_int_equal(file_replace(path, now.data, now.length, 0644, &err), 0);
    if (file_read(path, 1 << 20, &golden, &err))
        fail_msg("%s", err.message);
    assert_string_equal(buffer_text(&now), buffer_text(&golden));
    buffer_finish(&now);
    buffer_finish(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_asked_for_can_be_done_and_nothing_else_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
