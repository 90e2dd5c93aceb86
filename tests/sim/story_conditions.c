/* Who is meant in a story, what it waits for and what it expects: see story.h, and tests/stories/README.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/story.h"

enum { WAIT_MOST_MS = 300000, ROW_MOST = STORY_ROWS - 1, ID_MOST = 255 };

const char *story_word(const struct words *words, size_t at)
{
    return at < words->count ? words->word[at] : "";
}

/* ---- who is meant ---- */

int story_number(const char *text, int most)
{
    char *end;
    long number = strtol(text, &end, 10);
    return end == text || *end || number < 0 || number > most ? -1 : (int)number;
}

/* 1 … most, or 0 when it is none. */
static int number_after(const char *text, const char *prefix, int most)
{
    size_t length = strlen(prefix);
    int number = strncmp(text, prefix, length) == 0 ? story_number(text + length, most) : 0;
    return number > 0 ? number : 0;
}

static struct member_slot *primary_of(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->slots[i].node.up && world->slots[i].node.state == MEMBER_PRIMARY)
            return &world->slots[i];
    return NULL;
}

struct member_slot *story_node(struct world *world, const char *name, struct error *err)
{
    int ordinal = number_after(name, "node", ORDINALS_MAX);
    struct member_slot *slot = strcmp(name, "primary") == 0 ? primary_of(world)
                               : ordinal                    ? &world->slots[ordinal]
                                                            : NULL;
    if (!slot)
        error_set(err, ERROR_INVALID, "\"%s\" is no member: node1, node2 … or primary", name);
    return slot;
}

struct site *story_zone(struct world *world, const char *name, struct error *err)
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
        if (plan->members[i].rule == story_number(what, ROW_MOST))
            return true;
    return plan && plan->rule == story_number(what, ROW_MOST);
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
    struct member_slot *slot = story_node(telling->world, name, NULL);
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
int story_do_wait(struct telling *telling, const struct words *words, struct error *err)
{
    char what[64];
    const char *of = story_word(words, 1);
    snprintf(what, sizeof what, "%s", story_word(words, 2));
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
    int seconds = story_number(of, WAIT_MOST_MS / 1000);
    if (strcmp(what, "seconds") == 0 && seconds > 0) {
        snprintf(what, sizeof what, "%lld", (long long)telling->world->now_ms + 1000LL * seconds);
        return story_wait(telling, never, what, WAIT_MOST_MS, err);
    }
    if (!story_node(telling->world, of, NULL))
        return error_set(err, ERROR_INVALID, "what is waited for?");
    snprintf(what, sizeof what, "%s %s", of, story_word(words, 2));
    return story_wait(telling, is_member, what, WAIT_MOST_MS, err);
}

static int expect_member(struct telling *telling, const struct words *words, struct error *err)
{
    const struct member_slot *slot = story_node(telling->world, story_word(words, 1), err);
    const char *what = story_word(words, 2), *value = story_word(words, 3);
    if (!slot)
        return -1;
    const struct member_plan *plan = member_plan_of(telling->world, slot->ordinal);
    if (strcmp(what, "id") == 0 || strcmp(what, "votes") == 0) {
        int is = !plan ? -1 : *what == 'i' ? plan->id : plan->votes;
        return is == story_number(value, ID_MOST) ? 0 : error_set(err, ERROR_CONFLICT, "it is %d", is);
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
int story_do_expect(struct telling *telling, const struct words *words, struct error *err)
{
    const char *of = story_word(words, 1), *what = story_word(words, 2);
    const struct plan *plan = plan_of(telling->world);
    int row = story_number(story_word(words, 3), ROW_MOST);
    bool good;
    if (strcmp(of, "healthy") == 0)
        good = is_healthy(telling, "");
    else if (strcmp(of, "phase") == 0)
        good = is_phase(telling, what);
    else if (strcmp(of, "row") == 0)
        good = is_row(telling, what);
    else if (strcmp(of, "never") == 0)
        good = row > 0 && !telling->rows[row];
    else if (strcmp(of, "births") == 0)
        good = telling->world->births == story_number(what, ID_MOST);
    else
        return expect_member(telling, words, err);
    return good ? 0
                : error_set(err, ERROR_CONFLICT, "is not so: the set is %s, row %d, births %d",
                            plan ? set_phase_name(plan->phase) : "not planned", plan ? plan->rule : 0,
                            telling->world->births);
}
