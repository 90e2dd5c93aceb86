/* What can stand in a story, and what each does: see story.h, and tests/stories/README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/story.h"

/* ---- who dies and comes back ---- */

static int kill_one(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    if (strcmp(story_word(words, 1), "controller") == 0) {
        world->crashes++;
        brain_kill(&world->brains[0]);
        return 0;
    }
    if (strcmp(story_word(words, 1), "agent") == 0) {
        struct site *site = story_zone(world, story_word(words, 2), err);
        if (site)
            agent_host_kill(site);
        return site ? 0 : -1;
    }
    struct member_slot *slot = story_node(world, story_word(words, 1), err);
    if (slot)
        pod_kill(world, slot, 2000);
    return slot ? 0 : -1;
}

/* start | start controller | start agent ZONE */
static int start(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    if (words->count == 1)
        return 0; /* whoever isn't held back has begun */
    if (strcmp(story_word(words, 1), "controller") == 0) {
        if (!world->brains[0].controller)
            brain_start(&world->brains[0]);
        return 0;
    }
    struct site *site =
        strcmp(story_word(words, 1), "agent") == 0
            ? story_zone(world, story_word(words, 2), err)
            : (error_set(err, ERROR_INVALID, "start controller, or start agent ZONE"), (struct site *)NULL);
    if (site)
        agent_host_start(site);
    return site ? 0 : -1;
}

/* ---- zones ---- */

static void cut_members(struct world *world, int zone, int by)
{
    for (int other = 0; other < PLACES; other++)
        if (other != zone && (other < world->zone_count || other == CONTROLLER_PLACE)) {
            world->blocked[zone][other] += by;
            world->blocked[other][zone] += by;
        }
}

static void lose_zone(struct world *world, struct site *site)
{
    site->down++;
    agent_host_kill(site);
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].zone == site->zone)
            pod_kill(world, &world->slots[i], 1000);
}

/* cut, heal: its members and its agent; silence, hear: its agent alone; lose, return: all of it */
static int zone_command(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    const char *what = story_word(words, 0);
    struct site *site = story_zone(world, story_word(words, 1), err);
    if (!site)
        return -1;
    bool cut = strcmp(what, "cut") == 0, heal = strcmp(what, "heal") == 0;
    int way = cut || strcmp(what, "silence") == 0 ? 1 : heal || strcmp(what, "hear") == 0 ? -1 : 0;
    if (cut || heal)
        cut_members(world, site->zone, way);
    site->cut_up += way;
    site->cut_down += way;
    if (strcmp(what, "lose") == 0)
        lose_zone(world, site);
    if (strcmp(what, "return") == 0) {
        site->down--;
        agent_host_start(site);
    }
    return 0;
}

/* ---- members ---- */

static void replace_disk(struct world *world, struct member_slot *slot, bool exists)
{
    pod_kill(world, slot, 1000);
    disk_clear(world, slot, exists);
    site_changed(world, slot->zone);
}

/* A disk on which another set has lived. */
static void give_foreign_disk(struct world *world, struct member_slot *slot)
{
    replace_disk(world, slot, true);
    slot->disk.used = slot->disk.held_data = true;
    snprintf(slot->disk.mark, sizeof slot->disk.mark, "ffffffffffffffffffffffff");
    site_changed(world, slot->zone);
}

static int member_command(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    const char *what = story_word(words, 0);
    struct member_slot *slot = story_node(world, story_word(words, 1), err);
    if (!slot)
        return -1;
    if (strcmp(what, "move-address") == 0) {
        service_address(world, slot);
    } else if (strcmp(what, "empty-disk") == 0 || strcmp(what, "lose-disk") == 0) {
        replace_disk(world, slot, *what == 'e');
    } else if (strcmp(what, "foreign-disk") == 0) {
        give_foreign_disk(world, slot);
    } else if (strcmp(what, "own-disk") == 0) {
        replace_disk(world, slot, true);
    } else if (strcmp(what, "delete-service") == 0) {
        slot->service = false;
        slot->address[0] = '\0';
        site_changed(world, slot->zone);
    } else if (strcmp(what, "evict") == 0 || strcmp(what, "readmit") == 0) {
        slot->no_pod += *what == 'e' ? 1 : -1;
        if (*what == 'e' && slot->pod)
            pod_remove(world, slot);
    } else if (strcmp(what, "step-down") == 0) {
        node_step_down(world, slot);
    }
    return 0;
}

static int all_addresses(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words, (void)err;
    fault_of_all_addresses(telling->world);
    return 0;
}

static int addresses_back(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words, (void)err;
    faults_give_addresses_back(telling->world);
    return 0;
}

/* ---- the spec ---- */

static int apply(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words;
    if (!telling->world->brains[0].controller)
        return error_set(err, ERROR_CONFLICT, "there is no controller to apply to");
    brain_apply(&telling->world->brains[0]);
    return 0;
}

/* add nodeN in zN | remove nodeN | want nodeN | remove set | want set */
static int edit(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    bool remove = strcmp(story_word(words, 0), "remove") == 0;
    if (strcmp(story_word(words, 1), "set") == 0) {
        world->set_absent = remove;
        return apply(telling, words, err);
    }
    struct member_slot *slot = story_node(world, story_word(words, 1), err);
    if (!slot)
        return -1;
    struct wish *wish = &world->wishes[slot->ordinal];
    if (strcmp(story_word(words, 0), "add") == 0) {
        struct site *site = story_zone(world, story_word(words, 3), err);
        if (!site || wish->named)
            return site ? error_set(err, ERROR_INVALID, "is there already") : -1;
        *wish = (struct wish){.named = true, .zone = site->zone, .votes = 1, .priority = 1};
        slot->zone = site->zone;
    }
    wish->absent = remove;
    return apply(telling, words, err);
}

/* ---- the store ---- */

static void forget(struct world *world)
{
    world->forgotten = true;
}

/* lose | copy | restore | fill | free */
static int rotate(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words;
    struct controller *controller = telling->world->brains[0].controller;
    return controller ? controller_rotate_keyfile(controller, "mongo", err)
                      : error_set(err, ERROR_CONFLICT, "there is no controller");
}

static int exchange(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words, (void)err;
    telling->world->exchanges++; /* a person does the first step, and each next one when it is allowed */
    return 0;
}

static int store(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    struct brain *brain = &world->brains[0];
    const char *what = story_word(words, 1);
    if (strcmp(what, "copy") == 0) {
        image_copy(&world->old_image, &brain->image);
    } else if (strcmp(what, "fill") == 0) {
        brain->fails++;
    } else if (strcmp(what, "free") == 0) {
        brain->fails--;
    } else if (strcmp(what, "lose") == 0 || strcmp(what, "restore") == 0) {
        if (brain->controller)
            return error_set(err, ERROR_INVALID, "kill the controller first");
        image_finish(&brain->image);
        if (*what == 'r')
            image_copy(&brain->image, &world->old_image);
        forget(world);
    } else {
        return error_set(err, ERROR_INVALID, "store copy, restore, lose, fill or free");
    }
    return 0;
}

/* ---- histories ---- */

/* fault N NAME for S s */
static int fault(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    int at = story_number(story_word(words, 1), FAULTS_MAX) - 1;
    if (at < 0 || at >= world->fault_count ||
        strcmp(fault_name(world->faults[at].kind), story_word(words, 2)) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "the seed's history has another fault there: it is of another commit of the model");
    world->faults[at].dropped = false;
    world->faults[at].lasts_ms = (int64_t)(strtod(story_word(words, 4), NULL) * 1000 + 0.5);
    return 0;
}

static int run(struct telling *telling, const struct words *words, struct error *err)
{
    (void)words;
    struct world *world = telling->world;
    if (!*story_setting(telling->story, "history", ""))
        return error_set(err, ERROR_INVALID, "only a story of a history runs by itself");
    world_run(world);
    the_world = world;
    return world->violated
               ? error_set(err, ERROR_CONFLICT, "breaks invariant %d: %s", world->violated, world->violation)
               : 0;
}

static int tell_agents(struct telling *telling, const struct words *words, struct error *err)
{
    (void)err;
    telling->agents = strcmp(story_word(words, 0), "tell") == 0;
    return 0;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    size_t least, most; /* words, its own included */
    int (*run)(struct telling *telling, const struct words *words, struct error *err);
} commands[] = {
    {"start", 1, 3, start},
    {"kill", 2, 3, kill_one},
    {"wait", 2, 3, story_do_wait},
    {"expect", 2, 4, story_do_expect},
    {"cut", 2, 2, zone_command},
    {"heal", 2, 2, zone_command},
    {"silence", 2, 2, zone_command},
    {"hear", 2, 2, zone_command},
    {"lose", 2, 2, zone_command},
    {"return", 2, 2, zone_command},
    {"move-address", 2, 2, member_command},
    {"empty-disk", 2, 2, member_command},
    {"lose-disk", 2, 2, member_command},
    {"foreign-disk", 2, 2, member_command},
    {"own-disk", 2, 2, member_command},
    {"delete-service", 2, 2, member_command},
    {"step-down", 2, 2, member_command},
    {"evict", 2, 2, member_command},
    {"readmit", 2, 2, member_command},
    {"move-all-addresses", 1, 1, all_addresses},
    {"give-addresses-back", 1, 1, addresses_back},
    {"apply", 1, 1, apply},
    {"add", 4, 4, edit},
    {"remove", 2, 2, edit},
    {"want", 2, 2, edit},
    {"store", 2, 2, store},
    {"rotate", 2, 2, rotate},
    {"exchange", 2, 2, exchange},
    {"tell", 2, 2, tell_agents},
    {"hush", 2, 2, tell_agents},
    {"fault", 6, 6, fault},
    {"run", 1, 1, run},
};

int story_do(struct telling *telling, const char *command, struct error *err)
{
    char text[256], *rest = NULL;
    struct words words = {.count = 0};
    snprintf(text, sizeof text, "%s", command);
    for (char *at = strtok_r(text, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
        if (words.count == STORY_WORDS_MAX)
            return error_set(err, ERROR_INVALID, "too many words");
        words.word[words.count++] = at;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, story_word(&words, 0)) == 0) {
            if (words.count < commands[i].least || words.count > commands[i].most)
                return error_set(err, ERROR_INVALID, "wants other words: see tests/stories/README.md");
            return commands[i].run(telling, &words, err);
        }
    return error_set(err, ERROR_INVALID, "there is no such command: see tests/stories/README.md");
}

/* ---- the beginning ---- */

int story_arrange(struct world *world, const struct story *story, struct error *err)
{
    int zones = story_number(story_setting(story, "zones", "3"), ZONES_MAX),
        members = story_number(story_setting(story, "members", "3"), ORDINALS_MAX);
    const char *version = story_setting(story, "version", "7.0");
    for (size_t i = 0; i < story->setting_count; i++) {
        static const char *const known[] = {
            "zones", "members", "version", "seed", "begins", "runs-on", "tls", "auth", "certificates-due"};
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found |= strcmp(known[k], story->settings[i].key) == 0;
        if (!found)
            return error_set(err, ERROR_INVALID, "%s:%d: %s: there is no such setting", story->path,
                             story->settings[i].line, story->settings[i].key);
    }
    if (zones < 1 || members < 1)
        return error_set(err, ERROR_INVALID, "%s: at most %d zones and %d members", story->path, ZONES_MAX,
                         ORDINALS_MAX);
    world->zone_count = zones;
    world->modern = strcmp(version, "4.4") >= 0;
    world->tls = strcmp(story_setting(story, "tls", "true"), "true") == 0;
    world->auth = strcmp(story_setting(story, "auth", "true"), "true") == 0;
    world->certificates_due_ms = 1000 * strtol(story_setting(story, "certificates-due", "0"), NULL, 10);
    for (int ordinal = 1; ordinal <= members; ordinal++) {
        int zone = (ordinal - 1) % zones;
        world->wishes[ordinal] = (struct wish){.named = true, .zone = zone, .votes = 1, .priority = 1};
        world->slots[ordinal].zone = zone;
    }
    return 0;
}
