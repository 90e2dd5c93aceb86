/* What can stand in a story, and what each does: see story.h, and tests/stories/README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/story.h"

enum { WAIT_MOST_MS = 300000, QUIET_MS = 3000 };

struct words {
    const char *word[STORY_WORDS_MAX];
    size_t count;
};

static const char *word(const struct words *words, size_t at)
{
    return at < words->count ? words->word[at] : "";
}

/* ---- who is meant ---- */

static int number_after(const char *text, const char *prefix, int most)
{
    char *end;
    size_t length = strlen(prefix);
    if (strncmp(text, prefix, length) != 0)
        return 0;
    long number = strtol(text + length, &end, 10);
    return *end || number < 1 || number > most ? 0 : (int)number;
}

static struct member_slot *primary_of(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].node.up && world->slots[i].node.state == MEMBER_PRIMARY)
            return &world->slots[i];
    return NULL;
}

static struct member_slot *find_node(struct world *world, const char *name, struct error *err)
{
    int ordinal = number_after(name, "node", ORDINALS_MAX);
    struct member_slot *slot = strcmp(name, "primary") == 0 ? primary_of(world)
                               : ordinal                    ? &world->slots[ordinal]
                                                            : NULL;
    if (!slot)
        error_set(err, ERROR_INVALID, "\"%s\" is no member: node1, node2 … or primary", name);
    return slot;
}

static struct site *find_zone(struct world *world, const char *name, struct error *err)
{
    int zone = number_after(name, "z", world->zone_count);
    if (!zone)
        error_set(err, ERROR_INVALID, "\"%s\" is no zone: z1 … z%d", name, world->zone_count);
    return zone ? &world->sites[zone - 1] : NULL;
}

static const struct plan *plan_of(struct world *world)
{
    struct federation_view view;
    if (!world->brains[0].controller)
        return NULL;
    controller_view(world->brains[0].controller, &view);
    return view.set_count ? view.sets[0].plan : NULL;
}

static const struct member_plan *member_plan_of(struct world *world, int ordinal)
{
    const struct plan *plan = plan_of(world);
    for (size_t i = 0; plan && i < plan->member_count; i++)
        if (plan->members[i].ordinal == ordinal)
            return &plan->members[i];
    return NULL;
}

/* ---- conditions ---- */

static bool is_healthy(struct telling *telling, const char *what)
{
    (void)what;
    return check_settled(telling->world) && brain_phase(&telling->world->brains[0]) == PHASE_HEALTHY;
}

static bool is_phase(struct telling *telling, const char *what)
{
    const struct plan *plan = plan_of(telling->world);
    return plan && strcmp(set_phase_name(plan->phase), what) == 0;
}

static bool is_row(struct telling *telling, const char *what)
{
    const struct plan *plan = plan_of(telling->world);
    for (size_t i = 0; plan && i < plan->member_count; i++)
        if (plan->members[i].rule == atoi(what))
            return true;
    return plan && plan->rule == atoi(what);
}

static bool is_initiate_sent(struct telling *telling, const char *what)
{
    (void)what;
    for (int i = 0; i < ACTIONS_MAX; i++)
        if (telling->world->actions[i].active && telling->world->actions[i].sent &&
            telling->world->actions[i].kind == ACTION_INITIATE)
            return true;
    return false;
}

static bool is_member(struct telling *telling, const char *what) /* "node2 SECONDARY" */
{
    char name[16], state[32];
    if (sscanf(what, "%15s %31s", name, state) != 2)
        return false;
    struct member_slot *slot = find_node(telling->world, name, NULL);
    return slot && slot->node.up && strcmp(member_state_name(slot->node.state), state) == 0;
}

static bool is_primary_seen(struct telling *telling, const char *what)
{
    const struct plan *plan = plan_of(telling->world);
    (void)what;
    return plan && plan->primary;
}

static bool never(struct telling *telling, const char *what)
{
    return telling->world->now_ms >= strtoll(what, NULL, 10);
}

/* wait healthy | primary | initiate-sent | phase PHASE | row N | nodeN STATE | N seconds */
static int wait(struct telling *telling, const struct words *words, struct error *err)
{
    char what[64];
    const char *of = word(words, 1);
    snprintf(what, sizeof what, "%s", word(words, 2));
    if (strcmp(of, "healthy") == 0)
        return story_wait(telling, is_healthy, "", WAIT_MOST_MS, err);
    if (strcmp(of, "primary") == 0)
        return story_wait(telling, is_primary_seen, "", WAIT_MOST_MS, err);
    if (strcmp(of, "initiate-sent") == 0)
        return story_wait(telling, is_initiate_sent, "", WAIT_MOST_MS, err);
    if (strcmp(of, "phase") == 0)
        return story_wait(telling, is_phase, what, WAIT_MOST_MS, err);
    if (strcmp(of, "row") == 0)
        return story_wait(telling, is_row, what, WAIT_MOST_MS, err);
    if (strcmp(what, "seconds") == 0 && atoi(of) > 0) {
        snprintf(what, sizeof what, "%lld", (long long)telling->world->now_ms + 1000LL * atoi(of));
        return story_wait(telling, never, what, WAIT_MOST_MS, err);
    }
    if (!find_node(telling->world, of, NULL))
        return error_set(err, ERROR_INVALID, "what is waited for?");
    snprintf(what, sizeof what, "%s %s", of, word(words, 2));
    return story_wait(telling, is_member, what, WAIT_MOST_MS, err);
}

static int expect_member(struct telling *telling, const struct words *words, struct error *err)
{
    const struct member_slot *slot = find_node(telling->world, word(words, 1), err);
    const char *what = word(words, 2), *value = word(words, 3);
    if (!slot)
        return -1;
    const struct member_plan *plan = member_plan_of(telling->world, slot->ordinal);
    if (strcmp(what, "id") == 0 || strcmp(what, "votes") == 0) {
        int is = !plan ? -1 : *what == 'i' ? plan->id : plan->votes;
        return is == atoi(value) ? 0 : error_set(err, ERROR_CONFLICT, "it is %d", is);
    }
    if (strcmp(what, "phase") == 0)
        return plan && strcmp(member_phase_name(plan->phase), value) == 0
                   ? 0
                   : error_set(err, ERROR_CONFLICT, "it is %s",
                               plan ? member_phase_name(plan->phase) : "not planned");
    const char *state = slot->node.up ? member_state_name(slot->node.state) : "DOWN";
    return strcmp(state, what) == 0 ? 0 : error_set(err, ERROR_CONFLICT, "it is %s", state);
}

/* expect healthy | phase PHASE | row N | never row N | births N | nodeN id N | nodeN votes N | nodeN phase P
 * | nodeN STATE */
static int expect(struct telling *telling, const struct words *words, struct error *err)
{
    const char *of = word(words, 1), *what = word(words, 2);
    const struct plan *plan = plan_of(telling->world);
    bool good;
    if (strcmp(of, "healthy") == 0)
        good = is_healthy(telling, "");
    else if (strcmp(of, "phase") == 0)
        good = is_phase(telling, what);
    else if (strcmp(of, "row") == 0)
        good = is_row(telling, what);
    else if (strcmp(of, "never") == 0)
        good = atoi(word(words, 3)) > 0 && atoi(word(words, 3)) < 512 && !telling->rows[atoi(word(words, 3))];
    else if (strcmp(of, "births") == 0)
        good = telling->world->births == atoi(what);
    else
        return expect_member(telling, words, err);
    return good ? 0
                : error_set(err, ERROR_CONFLICT, "is not so: the set is %s, row %d, births %d",
                            plan ? set_phase_name(plan->phase) : "not planned", plan ? plan->rule : 0,
                            telling->world->births);
}

/* ---- who dies and comes back ---- */

static int kill_one(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    if (strcmp(word(words, 1), "controller") == 0) {
        world->crashes++;
        brain_kill(&world->brains[0]);
        return 0;
    }
    if (strcmp(word(words, 1), "agent") == 0) {
        struct site *site = find_zone(world, word(words, 2), err);
        if (site)
            agent_host_kill(site);
        return site ? 0 : -1;
    }
    struct member_slot *slot = find_node(world, word(words, 1), err);
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
    if (strcmp(word(words, 1), "controller") == 0) {
        if (!world->brains[0].controller)
            brain_start(&world->brains[0]);
        return 0;
    }
    struct site *site =
        strcmp(word(words, 1), "agent") == 0
            ? find_zone(world, word(words, 2), err)
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
    const char *what = word(words, 0);
    struct site *site = find_zone(world, word(words, 1), err);
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
    const char *what = word(words, 0);
    struct member_slot *slot = find_node(world, word(words, 1), err);
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
    bool remove = strcmp(word(words, 0), "remove") == 0;
    if (strcmp(word(words, 1), "set") == 0) {
        world->set_absent = remove;
        return apply(telling, words, err);
    }
    struct member_slot *slot = find_node(world, word(words, 1), err);
    if (!slot)
        return -1;
    struct wish *wish = &world->wishes[slot->ordinal];
    if (strcmp(word(words, 0), "add") == 0) {
        struct site *site = find_zone(world, word(words, 3), err);
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
static int store(struct telling *telling, const struct words *words, struct error *err)
{
    struct world *world = telling->world;
    struct brain *brain = &world->brains[0];
    const char *what = word(words, 1);
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
    int at = atoi(word(words, 1)) - 1;
    if (at < 0 || at >= world->fault_count || strcmp(fault_name(world->faults[at].kind), word(words, 2)) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "the seed's history has another fault there: it is of another commit of the model");
    world->faults[at].dropped = false;
    world->faults[at].lasts_ms = (int64_t)(strtod(word(words, 4), NULL) * 1000 + 0.5);
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
    telling->agents = strcmp(word(words, 0), "tell") == 0;
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
    {"wait", 2, 3, wait},
    {"expect", 2, 4, expect},
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
    {"move-all-addresses", 1, 1, all_addresses},
    {"give-addresses-back", 1, 1, addresses_back},
    {"apply", 1, 1, apply},
    {"add", 4, 4, edit},
    {"remove", 2, 2, edit},
    {"want", 2, 2, edit},
    {"store", 2, 2, store},
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
        if (strcmp(commands[i].name, words.word[0]) == 0) {
            if (words.count < commands[i].least || words.count > commands[i].most)
                return error_set(err, ERROR_INVALID, "wants other words: see tests/stories/README.md");
            return commands[i].run(telling, &words, err);
        }
    return error_set(err, ERROR_INVALID, "there is no such command: see tests/stories/README.md");
}

/* ---- the beginning ---- */

int story_arrange(struct world *world, const struct story *story, struct error *err)
{
    int zones = atoi(story_setting(story, "zones", "3")),
        members = atoi(story_setting(story, "members", "3"));
    const char *version = story_setting(story, "version", "7.0");
    for (size_t i = 0; i < story->setting_count; i++) {
        static const char *const known[] = {"zones", "members", "version", "seed", "begins", "runs-on"};
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found |= strcmp(known[k], story->settings[i].key) == 0;
        if (!found)
            return error_set(err, ERROR_INVALID, "%s:%d: %s: there is no such setting", story->path,
                             story->settings[i].line, story->settings[i].key);
    }
    if (zones < 1 || zones > ZONES_MAX || members < 1 || members > ORDINALS_MAX)
        return error_set(err, ERROR_INVALID, "%s: at most %d zones and %d members", story->path, ZONES_MAX,
                         ORDINALS_MAX);
    world->zone_count = zones;
    world->modern = strcmp(version, "4.4") >= 0;
    for (int ordinal = 1; ordinal <= members; ordinal++) {
        int zone = (ordinal - 1) % zones;
        world->wishes[ordinal] = (struct wish){.named = true, .zone = zone, .votes = 1, .priority = 1};
        world->slots[ordinal].zone = zone;
    }
    return 0;
}
