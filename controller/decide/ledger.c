/* The ledger as a value: see ledger.h. */
#include "controller/decide/ledger.h"

#include <string.h>

const struct ledger_member *ledger_find(const struct ledger *ledger, int ordinal)
{
    for (size_t i = 0; i < ledger->member_count; i++)
        if (ledger->members[i].ordinal == ordinal)
            return &ledger->members[i];
    return NULL;
}

static struct ledger_member member_copy(struct arena *arena, const struct ledger_member *member)
{
    struct ledger_member copy = *member;
    copy.disk_id = arena_string(arena, member->disk_id);
    return copy;
}

/* Room for `extra` members more; members stay sorted by ordinal only if the caller keeps them so. */
static struct ledger copy_with_room(struct arena *arena, const struct ledger *ledger, size_t extra)
{
    struct ledger copy = *ledger;
    copy.set = arena_string(arena, ledger->set);
    copy.replica_set_id = arena_string(arena, ledger->replica_set_id);
    struct ledger_member *members = arena_array(arena, ledger->member_count + extra, sizeof *members);
    copy.member_count = members ? ledger->member_count : 0;
    for (size_t i = 0; i < copy.member_count; i++)
        members[i] = member_copy(arena, &ledger->members[i]);
    copy.members = members;
    return copy;
}

struct ledger ledger_copy(struct arena *arena, const struct ledger *ledger)
{
    return copy_with_room(arena, ledger, 0);
}

struct ledger ledger_with(struct arena *arena, const struct ledger *ledger,
                          const struct ledger_member *member)
{
    struct ledger copy = copy_with_room(arena, ledger, 1);
    struct ledger_member *members = (struct ledger_member *)copy.members;
    if (!members)
        return copy;
    size_t at = 0;
    while (at < copy.member_count && members[at].ordinal < member->ordinal)
        at++;
    if (at == copy.member_count || members[at].ordinal != member->ordinal) {
        memmove(members + at + 1, members + at, (copy.member_count - at) * sizeof *members);
        copy.member_count++;
    }
    members[at] = member_copy(arena, member);
    return copy;
}

static bool member_equal(const struct ledger_member *a, const struct ledger_member *b)
{
    return a->ordinal == b->ordinal && a->id == b->id && a->removed == b->removed &&
           strcmp(a->disk_id, b->disk_id) == 0;
}

bool ledger_equal(const struct ledger *a, const struct ledger *b)
{
    if (a->birth != b->birth || a->birth_ordinal != b->birth_ordinal || a->next_id != b->next_id ||
        a->config_version != b->config_version || a->member_count != b->member_count ||
        strcmp(a->set, b->set) != 0 || strcmp(a->replica_set_id, b->replica_set_id) != 0)
        return false;
    for (size_t i = 0; i < a->member_count; i++)
        if (!member_equal(&a->members[i], &b->members[i]))
            return false;
    return true;
}
