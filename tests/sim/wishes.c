/* What the user wants: the spec as text, how it is edited, and who counts. */
#include <string.h>

#include "tests/sim/world.h"

static int zone_for(const struct world *world, int ordinal)
{
    return (ordinal - 1) % world->zone_count;
}

static void wish_member(struct world *world, int ordinal)
{
    world->wishes[ordinal] =
        (struct wish){.named = true, .zone = zone_for(world, ordinal), .votes = 1, .priority = 1};
    world->slots[ordinal].zone = zone_for(world, ordinal);
}

void wishes_init(struct world *world)
{
    struct chance *chance = &world->chance;
    world->zone_count = 3 + (chance_of(chance, 25) ? 2 * (int)chance_between(chance, 0, 1) : 0);
    world->modern = chance_of(chance, 60);
    world->tls = chance_of(chance, 75);
    world->auth = chance_of(chance, 80);
    if (chance_of(chance, 30))
        world->certificates_due_ms = 15000;
    int members = world->zone_count == 5 || chance_of(chance, 15) ? 5 : 3;
    for (int ordinal = 1; ordinal <= members; ordinal++)
        wish_member(world, ordinal);
    if (chance_of(chance, 10))
        world->wishes[members].priority = 2;
    if (chance_of(chance, 8)) {
        world->wishes[members].arbiter = true;
        world->wishes[members].priority = 0;
    } else if (chance_of(chance, 8) && members == 5) {
        world->wishes[members].votes = 0;
        world->wishes[members].priority = 0;
    }
}

bool wish_counts(const struct world *world, int ordinal)
{
    return !world->set_absent && world->wishes[ordinal].named && !world->wishes[ordinal].absent;
}

static void write_member(const struct world *world, int ordinal, struct buffer *out)
{
    const struct wish *wish = &world->wishes[ordinal];
    buffer_printf(out, "        - {ordinal: %d, zone: z%d", ordinal, wish->zone + 1);
    if (wish->absent)
        buffer_append_text(out, ", state: absent");
    else if (wish->arbiter)
        buffer_append_text(out, ", arbiterOnly: true");
    else
        buffer_printf(out, ", votes: %d, priority: %d%s", wish->votes, (int)wish->priority,
                      wish->tagged ? ", tags: {zone: here}" : "");
    buffer_append_text(out, "}\n");
}

void wishes_write(const struct world *world, struct buffer *out)
{
    buffer_append_text(out, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: sim}\nspec:\n");
    buffer_printf(out, "  tls: %s\n  zones:\n", world->tls ? "true" : "false");
    for (int zone = 0; zone < world->zone_count; zone++)
        buffer_printf(out, "    - {name: z%d, driver: local}\n", zone + 1);
    buffer_printf(out,
                  "  sets:\n    - name: mongo\n      image: mongo:%s\n      auth: %s\n%s      members:\n",
                  world->modern ? "7.0" : "4.0", world->auth ? "true" : "false",
                  world->set_absent ? "      state: absent\n" : "");
    for (int ordinal = 1; ordinal <= ORDINALS_MAX; ordinal++)
        if (world->wishes[ordinal].named)
            write_member(world, ordinal, out);
}

/* ---- edits ---- */

static int count_wanted(const struct world *world, bool electable)
{
    int count = 0;
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->wishes[i].named && !world->wishes[i].absent)
            count += !electable || world->wishes[i].priority > 0;
    return count;
}

static int count_voters(const struct world *world)
{
    int count = 0;
    for (int i = 1; i <= ORDINALS_MAX; i++)
        count += world->wishes[i].named && !world->wishes[i].absent && world->wishes[i].votes;
    return count;
}

static bool add_member(struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++) {
        if (world->wishes[i].named)
            continue;
        if (count_wanted(world, false) >= 7)
            return false;
        wish_member(world, i);
        return true;
    }
    return false;
}

static bool toggle_presence(struct world *world, int ordinal)
{
    struct wish *wish = &world->wishes[ordinal];
    if (!wish->absent &&
        (count_wanted(world, false) <= 3 || (wish->priority > 0 && count_wanted(world, true) <= 2)))
        return false;
    wish->absent = !wish->absent;
    return true;
}

static int find_absent(const struct world *world)
{
    for (int i = 1; i <= ORDINALS_MAX; i++)
        if (world->wishes[i].named && world->wishes[i].absent)
            return i;
    return 0;
}

bool wishes_edit(struct world *world, struct chance *chance)
{
    int ordinal = (int)chance_between(chance, 1, ORDINALS_MAX);
    int what = (int)chance_between(chance, 0, 11);
    if (what >= 4 && what <= 6 && find_absent(world) && chance_of(chance, 60))
        ordinal =
            find_absent(world); /* who comes back is told less often than who leaves, and is the harder one */
    struct wish *wish = &world->wishes[ordinal];
    if (what <= 3)
        return add_member(world) && (what > 1 || add_member(world) || true);
    if (!wish->named)
        return false;
    if (what <= 6)
        return toggle_presence(world, ordinal);
    if (wish->absent || wish->arbiter)
        return false;
    if (what == 7) {
        wish->tagged = !wish->tagged;
        return true;
    }
    if (what == 8 && wish->votes) {
        wish->priority = wish->priority == 1 ? 3 : 1;
        return true;
    }
    if (wish->votes && (count_wanted(world, true) <= 2 || count_voters(world) <= 2))
        return false;
    wish->votes = !wish->votes;
    wish->priority = wish->votes;
    return true;
}
