/* Stands for act/mongo.c, which blocks on a worker thread and so can't run on virtual time: the same phases
 * (read, compare with the base, dial, send, wait, read back), each with its deadline, against the modelled
 * mongods. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

enum stage { STAGE_READ, STAGE_SEND, STAGE_COMMIT_OLD, STAGE_COMMIT_NEW, STAGE_ANSWER, STAGE_READ_BACK };
enum {
    POLL_MS = 200,
    CATCH_UP_MS = 10000,
    CODE_EXCEEDED = 262,
    CODE_TIMEOUT = 50,
    CODE_NOT_COMMITTED = 308,
    CODE_NOT_INITIALIZED = 94,
    CODE_INTERRUPTED = 11602,
    CODE_ALREADY_INITIALIZED = 23
};

static struct brain *brain_of(struct mongo *mongo)
{
    return (struct brain *)((char *)mongo - offsetof(struct brain, mongo));
}

static struct configuration config_of(const struct replica_config *value)
{
    struct configuration config = {.version = value->version, .term = value->term};
    snprintf(config.set_id, sizeof config.set_id, "%s", value->replica_set_id);
    for (size_t i = 0; i < value->member_count && i < ENTRIES_MAX; i++) {
        const struct config_member *member = &value->members[i];
        struct entry *entry = &config.entries[config.count++];
        *entry = (struct entry){.id = member->id,
                                .votes = member->votes,
                                .priority = member->priority,
                                .hidden = member->hidden,
                                .arbiter = member->arbiter_only,
                                .delay = member->secondary_delay_secs};
        snprintf(entry->host, sizeof entry->host, "%s", member->host);
        if (member->tag_count)
            snprintf(entry->tag, sizeof entry->tag, "%s", member->tags[0].value);
    }
    return config;
}

static void again(struct world *world, struct sim_action *action, enum stage stage, int64_t delay_ms)
{
    struct happening next = {.at_ms = world->now_ms + delay_ms,
                             .kind = H_ACTION,
                             .who = (int)(action - world->actions),
                             .id = action->id,
                             .life = action->brain_life};
    action->stage = (int)stage;
    world_at(world, &next);
}

/* What act/mongo.c dials with: a key of the keyfile; the CA's certificates, and none of its own. */
static void take_login(const struct brain *brain, const struct mongo_login *login, struct papers *out)
{
    const struct authority *authority = &brain->image.authority;
    *out = (struct papers){.keys = {papers_key(login->password)}};
    if (login->tls)
        out->believes = UINT32_C(1) << (authority->issuer & 31) |
                        (authority->other ? UINT32_C(1) << (authority->other & 31) : 0);
}

static int start(struct mongo *mongo, uint64_t id, const char *set, const struct action *wanted,
                 const struct mongo_login *login, struct error *err)
{
    struct brain *brain = brain_of(mongo);
    struct world *world = brain->world;
    (void)set;
    if (!brain_effect(brain))
        return 0; /* its word is never heard */
    for (int i = 0; i < ACTIONS_MAX; i++) {
        struct sim_action *action = &world->actions[i];
        if (action->active)
            continue;
        *action = (struct sim_action){.active = true,
                                      .id = id,
                                      .brain = brain->index,
                                      .brain_life = brain->life,
                                      .kind = wanted->kind,
                                      .base = config_of(&wanted->base),
                                      .config = config_of(&wanted->config)};
        take_login(brain, login, &action->papers);
        snprintf(action->host, sizeof action->host, "%s", wanted->host);
        snprintf(action->process, sizeof action->process, "%s", wanted->process);
        again(world, action, STAGE_READ, chance_between(&world->chance, 2, 60));
        faults_of_command(world, action->host);
        return 0;
    }
    return error_set(err, ERROR_TOO_LARGE, "too many commands are under way");
}

const struct mongo_functions actions_functions = {start};

/* ---- the end ---- */

static void finish(struct world *world, struct sim_action *action, const struct configuration *read,
                   bool committed)
{
    struct brain *brain = &world->brains[action->brain];
    struct arena arena;
    arena_init(&arena, 0);
    struct mongo_result result = {.id = action->id,
                                  .succeeded = !*action->message,
                                  .code = action->code,
                                  .message = action->message,
                                  .sent = action->sent,
                                  .config = {.set = "", .term = -1, .replica_set_id = ""}};
    if (read) {
        result.config = config_value(read, &arena);
        result.knows_commitment = world->modern && committed;
        result.config_committed = committed;
    }
    action->active = false;
    if (brain->controller && brain->life == action->brain_life)
        brain_result(brain, &result);
    arena_finish(&arena);
}

static void fail(struct world *world, struct sim_action *action, int code, const char *text, int64_t delay_ms)
{
    action->code = code;
    snprintf(action->message, sizeof action->message, "%s", text);
    again(world, action, STAGE_READ_BACK, delay_ms);
}

static struct member_slot *there(struct world *world, const struct sim_action *action)
{
    struct member_slot *slot = node_dial(world, CONTROLLER_PLACE, action->host);
    return slot && papers_agree(world, &action->papers, &slot->loaded, action->host) ? slot : NULL;
}

static struct member_slot *there_and_back(struct world *world, const struct sim_action *action)
{
    struct member_slot *slot = there(world, action);
    return slot && node_replies(world, slot, CONTROLLER_PLACE) ? slot : NULL;
}

static bool is_meant(const struct sim_action *action, const struct member_slot *slot)
{
    struct arena arena;
    arena_init(&arena, 0);
    bool is = !*action->process || strcmp(node_process(slot, &arena), action->process) == 0;
    arena_finish(&arena);
    return is;
}

static void read_back(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = there_and_back(world, action);
    if (!slot || !is_meant(action, slot) || !slot->disk.data->config.version) {
        finish(world, action, NULL, false);
        return;
    }
    struct configuration config = slot->disk.data->config;
    bool committed = slot->node.state == MEMBER_PRIMARY && world->modern &&
                     config.term == slot->disk.data->term && node_committed(world, slot);
    finish(world, action, &config, committed);
}

/* ---- reading and sending ---- */

static struct member_slot *target_of(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = &world->slots[action->target];
    return slot->node.up && slot->node.life == action->target_life ? slot : NULL;
}

static void read_first(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = there_and_back(world, action);
    if (!slot) {
        snprintf(action->message, sizeof action->message, "nobody answers");
        action->kind = ACTION_NONE;
        again(world, action, STAGE_ANSWER, MONGO_CONNECT_TIMEOUT_MS);
        return;
    }
    if (!is_meant(action, slot)) {
        fail(world, action, 0, "another process answers there", 5);
        return;
    }
    action->target = slot->ordinal; /* the connection that the rest goes over */
    action->target_life = slot->node.life;
    const struct configuration *now = &slot->disk.data->config;
    bool other_set = *action->base.set_id && strcmp(now->set_id, action->base.set_id) != 0;
    if (action->kind != ACTION_INITIATE && now->version && other_set) {
        fail(world, action, 0, "it belongs to another set", 5);
        return;
    }
    if (action->kind == ACTION_INITIATE && now->version) {
        fail(world, action, CODE_ALREADY_INITIALIZED, "it is initialised already", 5);
        return;
    }
    if (action->kind == ACTION_RECONFIGURE &&
        (now->version != action->base.version || now->term != action->base.term)) {
        fail(world, action, now->version ? 0 : CODE_NOT_INITIALIZED,
             "the change was made on another configuration", 5);
        return;
    }
    again(world, action, STAGE_SEND, chance_between(&world->chance, 2, 40));
}

static void lose_answer(struct world *world, struct sim_action *action)
{
    fail(world, action, 0, "no answer in time",
         action->deadline_ms > world->now_ms ? action->deadline_ms - world->now_ms : 1);
}

static void send_step_down(struct world *world, struct sim_action *action, struct member_slot *slot)
{
    check_stepping_down(world, slot);
    int code = node_step_down(world, slot);
    if (code == CODE_EXCEEDED && world->now_ms < action->deadline_ms - MONGO_COMMAND_TIMEOUT_MS + CATCH_UP_MS)
        again(world, action, STAGE_SEND,
              POLL_MS); /* secondaryCatchUpPeriodSecs: it waits for somebody to catch up */
    else if (code)
        fail(world, action, code, "it did not step down", 500);
    else
        again(world, action, STAGE_ANSWER, 20);
}

static void send_initiate(struct world *world, struct sim_action *action, struct member_slot *slot)
{
    char message[96] = "";
    check_told_to_initiate(world, &world->brains[action->brain], slot, &action->config);
    int code = node_initiate(world, slot, &action->config, message);
    if (code)
        fail(world, action, code, message, 50);
    else
        again(world, action, STAGE_ANSWER, chance_between(&world->chance, 5, 800));
}

/* The user is a write of no interest here, but only a primary takes it. */
static void send_make_admin(struct world *world, struct sim_action *action, const struct member_slot *slot)
{
    enum { CODE_NOT_PRIMARY = 10107 };
    if (slot->node.state != MEMBER_PRIMARY)
        fail(world, action, CODE_NOT_PRIMARY, "not primary", 5);
    else
        again(world, action, STAGE_ANSWER, 20);
}

static void send_it(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = there(world, action);
    if (!action->sent)
        action->deadline_ms = world->now_ms + MONGO_COMMAND_TIMEOUT_MS - 1000;
    action->sent = true;
    if (!slot || slot != target_of(world, action)) {
        lose_answer(world, action);
        return;
    }
    if (action->kind == ACTION_STEP_DOWN)
        send_step_down(world, action, slot);
    else if (action->kind == ACTION_INITIATE)
        send_initiate(world, action, slot);
    else if (action->kind == ACTION_MAKE_ADMIN)
        send_make_admin(world, action, slot);
    else {
        check_reconfiguration(world, slot, &slot->disk.data->config, &action->config);
        check_followed(world, &slot->disk.data->config, &action->config);
        again(world, action, STAGE_COMMIT_OLD, 1);
    }
}

/* ---- a reconfiguration waits twice ---- */

/* Since 4.4 it waits until the configuration before is committed; when it does not come to that, nothing has
 * changed. */
static void wait_for_old(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = target_of(world, action);
    char message[96] = "";
    if (!slot) {
        lose_answer(world, action);
        return;
    }
    bool committed = node_committed(world, slot) && slot->disk.data->config.term == slot->disk.data->term;
    if (world->modern && !committed) {
        if (world->now_ms >= action->deadline_ms)
            fail(world, action, CODE_NOT_COMMITTED, "the configuration is not committed", 1);
        else
            again(world, action, STAGE_COMMIT_OLD, POLL_MS);
        return;
    }
    int code = node_reconfigure(world, slot, &action->config, message);
    if (code)
        fail(world, action, code, message, 20);
    else
        again(world, action, STAGE_COMMIT_NEW, 20);
}

/* It waits for a majority of the new one; when that takes too long it is an error, and yet it stays. */
static void wait_for_new(struct world *world, struct sim_action *action)
{
    struct member_slot *slot = target_of(world, action);
    if (!slot)
        lose_answer(world, action);
    else if (slot->node.state != MEMBER_PRIMARY)
        fail(world, action, CODE_INTERRUPTED, "interrupted: it is no longer primary", 1);
    else if (!world->modern || node_committed(world, slot))
        again(world, action, STAGE_ANSWER, 20);
    else if (world->now_ms >= action->deadline_ms)
        fail(world, action, CODE_TIMEOUT, "the new configuration is not on a majority yet", 1);
    else
        again(world, action, STAGE_COMMIT_NEW, POLL_MS);
}

static void answer(struct world *world, struct sim_action *action)
{
    if (action->kind == ACTION_NONE)
        finish(world, action, NULL, false);
    else if (!target_of(world, action) || !there_and_back(world, action))
        lose_answer(world, action);
    else
        again(world, action, STAGE_READ_BACK, 5);
}

void actions_turn(struct world *world, const struct happening *happening)
{
    struct sim_action *action = &world->actions[happening->who];
    if (!action->active || action->id != happening->id || action->brain_life != happening->life)
        return;
    static void (*const stages[])(struct world *, struct sim_action *) = {
        [STAGE_READ] = read_first,         [STAGE_SEND] = send_it,  [STAGE_COMMIT_OLD] = wait_for_old,
        [STAGE_COMMIT_NEW] = wait_for_new, [STAGE_ANSWER] = answer, [STAGE_READ_BACK] = read_back};
    stages[action->stage](world, action);
}
