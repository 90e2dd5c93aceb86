/* Which change of membership is due, and for whom; and what the ledger must say before it happens. Rules:
 * https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/ (one voting member at a time),
 * https://www.mongodb.com/docs/manual/tutorial/resync-replica-set-member/ (members that lost their data). */
#include "controller/decide/membership.h"

#include <string.h>

#include "proto/base/plant.h"

/* A fact of the set is: some member has these facts and not those. The same table finds the member that a row
 * speaks of. */
static const struct {
    uint64_t fact, require, forbid;
} finders[] = {
    {STRANGER_SEEN, M_STRANGER, 0},
    {FOREIGN_CERTIFICATE_SEEN, M_LISTED | M_STALE | M_ANSWERS | M_FOREIGN_CERTIFICATE, M_ABSENT},
    {UNBOOKED_SEEN, M_UNBOOKED, 0},
    {MOVED_SEEN, M_MOVED | M_FOLLOWABLE, 0},
    {LOST_VOTER_SEEN, M_LISTED | M_DISK_LOST | M_VOTES, M_UNBOOKED},
    {LOST_QUIET_SEEN, M_BOOKED | M_DISK_LOST, M_VOTES},
    {LEAVER_LEADS, M_LISTED | M_LEADS, M_MAY_LEAD},
    {LEAVER_VOTES, M_LISTED | M_VOTES, M_VOTE_WANTED},
    {LEAVER_LISTED, M_LISTED | M_ABSENT, M_VOTES},
    {LEAVER_BOOKED, M_BOOKED | M_ABSENT, M_LISTED},
    {UNTOLD_SEEN, M_UNTOLD, 0},
    {JOINER_READY, M_BORN | M_ZONE_SEEN | M_DISK | M_ADDRESSED | M_RUNNING | M_ANSWERS | M_CERTIFIED,
     M_LISTED | M_ABSENT | M_DISK_LOST | M_STRANGER | M_IS_MEMBER | M_ZONE_SILENT | M_UNTOLD |
         M_ADDRESS_TAKEN},
    {VOTE_DUE, M_LISTED | M_VOTE_WANTED | M_SYNCED | M_ANSWERS | M_HEALTHY, M_VOTES | M_BEHIND | M_DISK_LOST},
    {ATTRIBUTES_DUE, M_LISTED, M_ATTRIBUTES_FIT | M_ABSENT | M_DISK_LOST},
};

enum { FINDER_COUNT = sizeof finders / sizeof *finders };

static const struct member_situation *by_ordinal(const struct situation *situation, int ordinal)
{
    for (size_t i = 0; i < situation->member_count; i++)
        if (situation->members[i].wanted->ordinal == ordinal)
            return &situation->members[i];
    return NULL;
}

/* It has moved, and nobody reaches it before it is started with the certificate for its new address. */
static bool is_unloaded(const struct member_situation *member)
{
    return has(member->facts, M_LISTED | M_MOVED | M_STALE | M_ANSWERS) && !has(member->facts, M_CERTIFIED);
}

/* A reconfiguration needs the answers of a majority at the hosts that it names. */
static bool majority_is_believed(const struct situation *situation)
{
    int votes = 0;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        votes += has(member->facts, M_LISTED | M_VOTES | M_ANSWERS) && !is_unloaded(member);
    }
    return votes >= situation->majority;
}

/* Whom the rows of restarts speak of: first those whom nobody reaches, then those without a vote, other
 * secondaries, the primary last. */
static const struct member_situation *next_stale(const struct situation *situation)
{
    const struct member_situation *member = situation_first(
        situation, M_LISTED | M_MOVED | M_STALE | M_ANSWERS, M_LEADS | M_ABSENT | M_CERTIFIED);
    if (!member)
        member = situation_first(situation, M_LISTED | M_STALE, M_LEADS | M_ABSENT | M_VOTES);
    if (!member)
        member = situation_first(situation, M_LISTED | M_STALE, M_LEADS | M_ABSENT);
    return member ? member : situation_first(situation, M_LISTED | M_STALE, M_ABSENT);
}

const struct member_situation *membership_subject(const struct situation *situation, const struct rule *rule)
{
    if (rule->require & INITIATOR_TOLD)
        return by_ordinal(situation, situation->input->ledger->birth_ordinal);
    if (rule->outcome == OUTCOME_INITIATE)
        return situation_first(situation, M_READY | M_MAY_LEAD, 0);
    if (rule->require & STALE_SEEN)
        return next_stale(situation);
    if (rule->outcome == OUTCOME_ADOPT)
        return situation_first(situation, M_IS_MEMBER, M_STRANGER);
    if (rule->require & (MISPLACED_LEADS | UNLOADED_LEADS | PRIMARY_ASTRAY))
        return situation->primary;
    for (size_t i = 0; i < FINDER_COUNT; i++)
        if (rule->require & finders[i].fact)
            return situation_first(situation, finders[i].require, finders[i].forbid);
    if (rule->require & PRIMARY_TOLD)
        return situation->told_primary;
    if (rule->require & MARK_SEEN)
        return situation_first(situation, M_DISK, 0);
    return situation->primary;
}

static bool electable_remains(const struct situation *situation, const struct member_situation *member)
{
    for (size_t i = 0; i < situation->config.member_count; i++) {
        const struct config_member *entry = &situation->config.members[i];
        if (entry != member->listed && entry->votes > 0 && entry->priority > 0)
            return true;
    }
    return false;
}

bool vote_is_spared(const struct situation *situation, const struct member_situation *member)
{
    int voters = situation->voters - 1;
    int healthy = situation->healthy_voters - (has(member->facts, M_HEALTHY) ? 1 : 0);
    if (PLANT(UNSPARED_VOTE))
        return true;
    return voters > 0 && healthy > voters / 2 && electable_remains(situation, member);
}

/* Reports are of different moments: while addresses change hands two members may be said to have moved to
 * one. */
static bool shares_address(const struct situation *situation, const struct member_situation *moved)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other != moved && has(other->facts, M_MOVED) &&
            strcmp(other->view->holding.address, moved->view->holding.address) == 0)
            return true;
    }
    return false;
}

/* Whether its host changes with the next step: it answers at its new address; or its old one is where a
 * member that answers has moved to, so that the two trade places (a primary takes the entry with its own
 * address for itself). One that must be started first to be believed there is waited for where the primary
 * could not do without its vote. */
bool moves_along(const struct situation *situation, const struct member_situation *member)
{
    if (!has(member->facts, M_MOVED) || has(member->facts, M_FOLLOWABLE))
        return has(member->facts, M_MOVED);
    if (is_unloaded(member) && !majority_is_believed(situation))
        return false;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other != member && has(other->facts, M_MOVED | M_FOLLOWABLE) &&
            strcmp(other->view->holding.address, member->listed->host) == 0)
            return true;
    }
    return false;
}

/* Two members never share a host: a moved member may not take an address that another entry keeps. */
static bool clashes(const struct situation *situation, const struct member_situation *moved)
{
    if (shares_address(situation, moved))
        return true;
    for (size_t i = 0; i < situation->config.member_count; i++) {
        const struct config_member *entry = &situation->config.members[i];
        if (entry == moved->listed || strcmp(entry->host, moved->view->holding.address) != 0)
            continue;
        bool leaves = false;
        for (size_t j = 0; j < situation->member_count; j++)
            leaves |= situation->members[j].listed == entry && moves_along(situation, &situation->members[j]);
        if (!leaves)
            return true;
    }
    return false;
}

static bool any_clash(const struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++)
        if (moves_along(situation, &situation->members[i]) && clashes(situation, &situation->members[i]))
            return true;
    return false;
}

/* It may be down already, since it is on its way: so the others alone are asked. Of several that have moved
 * and that nobody reaches, each may be restarted while the rest is well: that takes nothing away. */
static bool restart_is_spared(const struct situation *situation, const struct member_situation *member)
{
    int healthy = 0;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other == member || has(other->facts, M_ABSENT))
            continue;
        bool heard =
            other->view && other->view->mongod.age_ms >= 0 && other->view->mongod.age_ms <= RESTART_FRESH_MS;
        if (heard && is_unloaded(member) && has(other->facts, M_LISTED | M_MOVED | M_ANSWERS))
            continue; /* heard just now: it may be the one that was restarted before */
        if (!heard || !has(other->facts, M_LISTED | M_HEALTHY) ||
            other->facts & (M_BEHIND | M_LAGGING | M_ZONE_SILENT))
            return false;
        healthy += has(other->facts, M_VOTES);
    }
    return healthy >= situation->majority && electable_remains(situation, member) &&
           !has(member->facts, M_ZONE_SILENT);
}

/* Restarts, for secrets that a mongod reads at its start alone. */
static void find_restarts(struct situation *situation)
{
    const struct member_situation *member = next_stale(situation);
    if (situation->input->observation->admin_wanted)
        situation->facts |= ADMIN_DUE;
    const struct member_situation *primary = situation->primary;
    if (primary && is_unloaded(primary))
        situation->facts |= UNLOADED_LEADS | (restart_is_spared(situation, primary) ? UNLOADED_SPARED : 0);
    if (!member)
        return;
    if (is_unloaded(member))
        situation->facts |= UNLOADED_SEEN;
    situation->facts |= STALE_SEEN | (has(member->facts, M_LEADS) ? STALE_LEADS : 0);
    if (restart_is_spared(situation, member))
        situation->facts |= RESTART_SPARED;
    if (has(member->facts, M_VOTES) && situation->voters - 1 < situation->majority)
        situation->facts |= TOO_FEW_VOTERS;
}

void situation_find_changes(struct situation *situation)
{
    for (size_t i = 0; i < FINDER_COUNT; i++)
        if (situation_first(situation, finders[i].require, finders[i].forbid))
            situation->facts |= finders[i].fact;
    find_restarts(situation);
    if (any_clash(situation))
        situation->facts |= MOVED_CLASH;
    if (settings_due(situation))
        situation->facts |= ATTRIBUTES_DUE;
    const struct member_situation *primary = situation->primary;
    if (primary && (!primary->listed || primary->listed->priority <= 0))
        situation->facts |= MISPLACED_LEADS;
    if (primary && has(primary->facts, M_MOVED) && !has(primary->facts, M_CERTIFIED))
        situation->facts |= PRIMARY_ASTRAY;
    const struct member_situation *giver =
        situation_first(situation, M_LISTED | M_DISK_LOST | M_VOTES, M_UNBOOKED);
    if (!giver)
        giver = situation_first(situation, M_LISTED | M_VOTES, M_VOTE_WANTED);
    if (!giver)
        giver = situation_first(situation, M_LISTED | M_LEADS, M_MAY_LEAD);
    if (giver && vote_is_spared(situation, giver))
        situation->facts |= VOTE_SPARED;
    if (giver && !electable_remains(situation, giver))
        situation->facts |= LAST_MEMBER_LEAVES;
}

/* ---- the ledger ---- */

/* An _id that a lost ledger may have given to a member that has left since is skipped: so many are left free.
 */
enum { ADOPTION_ID_GAP = 16, MEMBER_ID_MAX_BEFORE_5_0 = 255 };

/* What no disk has for an id: a listed member whose disk nobody knows, and which was never used, has lost its
 * data. */
static const char *const DISK_UNKNOWN = "lost";

static void book(const struct situation *situation, struct plan *plan, const struct member_situation *member)
{
    struct ledger_member booked = {
        .ordinal = member->wanted->ordinal,
        .id = member->listed->id,
        .disk_id = has(member->facts, M_DISK_LOST) ? DISK_UNKNOWN
                   : has(member->facts, M_DISK)    ? member->view->holding.disk.id
                                                   : "",
    };
    plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
    plan->ledger_changed = true;
}

/* The configuration names an _id that the ledger would give out yet: the ledger is older than the set (an
 * image of the store was brought back, or there was none), and others may have been given after it. */
static void leave_gap(const struct situation *situation, struct plan *plan)
{
    int highest = -1;
    for (size_t i = 0; i < situation->config.member_count; i++)
        if (situation->config.members[i].id > highest)
            highest = situation->config.members[i].id;
    if (highest < plan->ledger.next_id)
        return;
    int next = highest + 1 + ADOPTION_ID_GAP;
    plan->ledger.next_id = next <= MEMBER_ID_MAX_BEFORE_5_0 ? next : highest + 1;
    plan->ledger_changed = true;
}

void ledger_book(const struct situation *situation, struct plan *plan)
{
    leave_gap(situation, plan);
    for (size_t i = 0; i < situation->member_count; i++)
        if (has(situation->members[i].facts, M_UNBOOKED))
            book(situation, plan, &situation->members[i]);
}

void ledger_adopt(const struct situation *situation, struct plan *plan)
{
    plan->ledger.birth = BIRTH_DONE;
    plan->ledger.replica_set_id = situation->config.replica_set_id;
    plan->ledger_changed = true;
    ledger_book(situation, plan);
}

/* Without a vote it may start on the disk that it has now. */
void ledger_accept_disk(const struct situation *situation, struct plan *plan)
{
    leave_gap(situation, plan);
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_BOOKED | M_DISK_LOST) || has(member->facts, M_VOTES))
            continue;
        struct ledger_member booked = *member->booked;
        booked.disk_id = member->view->holding.disk.id;
        if (!has(member->facts, M_LISTED)) /* an arbiter lost its vote by being removed: its _id is spent */
            booked.id = plan->ledger.next_id++;
        plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
        plan->ledger_changed = true;
    }
}

void ledger_retire(const struct situation *situation, struct plan *plan)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_BOOKED | M_ABSENT) || has(member->facts, M_LISTED))
            continue;
        struct ledger_member booked = *member->booked;
        booked.removed = true;
        plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
        plan->ledger_changed = true;
    }
}

bool may_join(const struct member_situation *member)
{
    return has(member->facts,
               M_BORN | M_ZONE_SEEN | M_DISK | M_ADDRESSED | M_RUNNING | M_ANSWERS | M_CERTIFIED) &&
           !(member->facts &
             (M_LISTED | M_ABSENT | M_DISK_LOST | M_STRANGER | M_IS_MEMBER | M_ZONE_SILENT | M_UNTOLD));
}

/* One that was in a configuration and is out of it has spent its _id, even if an older ledger still has it
 * booked. */
static bool has_fresh_id(const struct member_situation *member)
{
    if (PLANT(REUSE_ID) && member->booked)
        return true;
    return has(member->facts, M_BOOKED) && member->view->mongod.answer != MONGOD_NOT_IN_CONFIG;
}

/* A member gets its _id before it is added, so that a crash in between never gives it to another. One that
 * came back gets a fresh one. */
/* A disk that nobody knew until it was lost is known to be lost from now on, also when the entry is gone that
 * showed it. */
void ledger_note_lost_disks(const struct situation *situation, struct plan *plan)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_BOOKED | M_DISK_LOST) || member->booked->disk_id[0])
            continue;
        struct ledger_member booked = *member->booked;
        booked.disk_id = DISK_UNKNOWN;
        plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
        plan->ledger_changed = true;
    }
}

void ledger_book_joiners(const struct situation *situation, struct plan *plan)
{
    leave_gap(situation, plan);
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!may_join(member) || has_fresh_id(member))
            continue;
        struct ledger_member booked = {
            .ordinal = member->wanted->ordinal,
            .id = plan->ledger.next_id++,
            .disk_id = member->view->holding.disk.id,
        };
        plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
        plan->ledger_changed = true;
    }
}
