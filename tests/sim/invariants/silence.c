/* 9. Harm from silence: a vote or an entry is taken away only from a member that the spec does not want, or
 * whose disk is known to be another one; a mongod that serves is stopped for these reasons alone, or for a
 * keyfile or certificate; a disk is taken for lost, or for the member's own, only when it is: never because
 * nothing is heard. */
#include <string.h>

#include "controller/decide/situation.h"
#include "tests/sim/world.h"

enum {
    SPEC_LATE_MS = 60000, /* so long a controller may still work on an older spec */
    MENDED_MS =
        90000, /* so long a new disk may have its data again before its vote is taken, given back, … */
    STALE_LATE_MS = 30000, /* so long the word to restart may be under way */
};

/* Now, or so lately that it is being mended. */
static bool lost_its_data(const struct world *world, int ordinal)
{
    const struct member_slot *slot = &world->slots[ordinal];
    int64_t lost_ms = world->lost_ms[ordinal];
    bool lacks = !slot->disk.exists || (!world->wishes[ordinal].arbiter && !slot->disk.data->synced);
    return lost_ms && (lacks || world->now_ms - lost_ms < MENDED_MS);
}

static bool unwanted_lately(struct world *world, int ordinal)
{
    if (!wish_counts(world, ordinal) || !world->wishes[ordinal].votes)
        world->unwanted_ms[ordinal] = world->now_ms;
    return world->unwanted_ms[ordinal] && world->now_ms - world->unwanted_ms[ordinal] < SPEC_LATE_MS;
}

/* Who lost the ledger knows an entry by its address alone, which after a swap is another one's (7): whoever
 * is there now would vote. */
static bool who_is_there_lost_it(const struct world *world, const char *host)
{
    for (int i = 1; i <= ORDINALS_MAX && world->forgotten; i++)
        if (strcmp(world->slots[i].address, host) == 0 && lost_its_data(world, i))
            return true;
    return false;
}

void check_silence(struct world *world, const struct configuration *base, const struct configuration *config)
{
    for (int i = 0; i < base->count; i++) {
        const struct entry *before = &base->entries[i], *after = config_find(config, before->id);
        int ordinal = world->id_owner[before->id & 255];
        if ((after && after->votes >= before->votes) || !ordinal)
            continue;
        if (!unwanted_lately(world, ordinal) && !lost_its_data(world, ordinal) &&
            !who_is_there_lost_it(world, before->host))
            violate(world, 9, "node%d loses its %s, though the spec wants it and it has its data", ordinal,
                    after ? "vote" : "place");
    }
}

/* ---- what a zone does ---- */

/* It runs with what is not the newest of keyfile and certificate, or did when it was told. */
static bool stale_lately(const struct world *world, int ordinal)
{
    int64_t foreign_ms = world->foreign_ms[ordinal];
    if (foreign_ms && world->now_ms - foreign_ms < STALE_LATE_MS)
        return true;
    return world->stale_ms[ordinal] && world->now_ms - world->stale_ms[ordinal] < STALE_LATE_MS;
}

void remember_stale(struct world *world, const struct member_slot *slot)
{
    const struct identity *wanted = &world->sites[slot->zone].identities[slot->ordinal];
    const struct papers *loaded = &slot->loaded;
    if (loaded->serial != slot->brought.serial || loaded->serial != wanted->wanted_serial ||
        strcmp(loaded->key_id, slot->brought.key_id) != 0 ||
        strcmp(loaded->key_id, wanted->wanted_key_id) != 0 || slot->own_disk.exists)
        world->stale_ms[slot->ordinal] = world->now_ms; /* nor is another set's disk its own */
}

void check_stopped(struct world *world, const struct member_slot *slot)
{
    remember_stale(world, slot);
    if (!slot->node.up || !slot->disk.data->config.version || unwanted_lately(world, slot->ordinal) ||
        lost_its_data(world, slot->ordinal) || stale_lately(world, slot->ordinal))
        return;
    violate(world, 9, "%s is stopped, though the spec wants it, it has its data and the newest papers",
            slot_name(slot));
}

/* ---- what a controller decides ---- */

static const struct ledger_member *find_booked(const struct ledger *ledger, int ordinal)
{
    for (size_t i = 0; i < ledger->member_count; i++)
        if (ledger->members[i].ordinal == ordinal)
            return &ledger->members[i];
    return NULL;
}

static void check_booked(struct world *world, const struct ledger_member *before,
                         const struct ledger_member *after)
{
    const struct member_slot *slot = &world->slots[after->ordinal];
    bool names_one = strlen(after->disk_id) == UUID_TEXT_MAX - 1; /* else it says that none is known */
    bool other_disk = names_one && (!before || strcmp(before->disk_id, after->disk_id) != 0);
    if (other_disk && strcmp(after->disk_id, slot->disk.id) != 0 &&
        strcmp(after->disk_id, slot->own_disk.id) != 0 &&
        strcmp(after->disk_id, world->former_disk[after->ordinal]) != 0)
        violate(world, 9, "the ledger takes a disk for %s's that is not there", slot_name(slot));
    if (after->removed && (!before || !before->removed) && !unwanted_lately(world, after->ordinal))
        violate(world, 9, "%s is written off, though the spec wants it", slot_name(slot));
}

static void check_member(struct world *world, const struct member_plan *before, const struct member_plan *now)
{
    const struct member_slot *slot = &world->slots[now->ordinal];
    if (now->facts & M_DISK_LOST && !world->lost_ms[now->ordinal] && !world->foreign_ms[now->ordinal])
        violate(world, 9, "the disk of %s is taken for lost, and never was", slot_name(slot));
    if (before && before->run == RUN_UP && now->run == RUN_HELD && now->zone_state == ZONE_UNKNOWN &&
        !(now->facts & M_DISK_LOST))
        violate(world, 9, "%s is held while nothing is heard of its zone", slot_name(slot));
}

void check_decided(struct world *world, const struct plan_input *input, const struct plan *plan)
{
    for (size_t i = 0; plan->ledger_changed && i < plan->ledger.member_count; i++) {
        const struct ledger_member *after = &plan->ledger.members[i];
        check_booked(world, find_booked(input->ledger, after->ordinal), after);
    }
    const struct plan *previous = input->previous;
    for (size_t i = 0; i < plan->member_count; i++) {
        const struct member_plan *before = NULL, *now = &plan->members[i];
        for (size_t j = 0; previous && !before && j < previous->member_count; j++)
            if (previous->members[j].ordinal == now->ordinal)
                before = &previous->members[j];
        check_member(world, before, now);
    }
}
