/* Where each member stands: its entry in the configuration, whether it has moved, what it and the others say
 * of its state, its lag; and entries that nobody is known for. See situation.h. */
#include "controller/decide/situation.h"

#include <string.h>

#include "proto/base/plant.h"

static bool id_is_booked(const struct ledger *ledger, int id, int except_ordinal)
{
    for (size_t i = 0; i < ledger->member_count; i++)
        if (ledger->members[i].id == id && ledger->members[i].ordinal != except_ordinal)
            return true;
    return false;
}

/* Reports are of different moments: while addresses change hands two members may lay claim to one entry. */
static bool is_contested(const struct situation *situation, const struct member_situation *member,
                         const struct config_member *entry)
{
    bool own_word = has(member->facts, M_IS_MEMBER);
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other == member || !other->view)
            continue;
        bool by_word = has(other->facts, M_IS_MEMBER);
        bool claims = by_word ? other->view->mongod.self_id == entry->id
                              : has(other->facts, M_ADDRESSED) &&
                                    strcmp(other->view->holding.address, entry->host) == 0;
        if (claims && (by_word || !own_word))
            return true;
    }
    return false;
}

/* The entry of a member that the ledger has no _id for: by what its own mongod says, else by its address. */
static const struct config_member *find_unbooked(const struct situation *situation,
                                                 const struct member_situation *member)
{
    const struct config_member *entry = NULL;
    if (has(member->facts, M_IS_MEMBER))
        entry = replica_config_find(&situation->config, member->view->mongod.self_id);
    for (size_t i = 0; !entry && i < situation->config.member_count && has(member->facts, M_ADDRESSED); i++)
        if (strcmp(situation->config.members[i].host, member->view->holding.address) == 0)
            entry = &situation->config.members[i];
    return entry && !is_contested(situation, member, entry) &&
                   !id_is_booked(situation->input->ledger, entry->id, member->wanted->ordinal)
               ? entry
               : NULL;
}

static void find_entry(const struct situation *situation, struct member_situation *member)
{
    if (has(member->facts, M_BOOKED))
        member->listed = replica_config_find(&situation->config, member->booked->id);
    /* An _id that is gone while its mongod says that it is another one: the ledger is older than the set. */
    bool by_word = !has(member->facts, M_BOOKED) || has(member->facts, M_IS_MEMBER);
    if (!member->listed && by_word && member->view && !has(member->facts, M_STRANGER)) {
        member->listed = find_unbooked(situation, member);
        if (member->listed)
            member->facts |= M_UNBOOKED;
    }
    if (!member->listed)
        return;
    member->facts |= M_LISTED;
    if (PLANT(ACT_ON_SILENCE) && member->zone_state == ZONE_UNKNOWN)
        member->facts |= M_DISK_LOST;
    if (member->listed->votes > 0)
        member->facts |= M_VOTES;
    /* A store that was lost knows no disk: an unused disk of a listed member has lost what it held. */
    bool unknown_disk = !has(member->facts, M_BOOKED) || !member->booked->disk_id[0];
    if (unknown_disk && has(member->facts, M_DISK) && !member->view->holding.disk.used)
        member->facts |= M_DISK_LOST;
    if (has(member->facts, M_BOOKED | M_DISK) && member->view->holding.disk.used &&
        (unknown_disk || disk_is_new_to_ledger(member)))
        member->facts |= M_UNBOOKED;
}

static void find_move(struct member_situation *member)
{
    if (!has(member->facts, M_LISTED | M_ADDRESSED) || member->zone_state != ZONE_CONNECTED)
        return;
    if (strcmp(member->view->holding.address, member->listed->host) == 0 || PLANT(IGNORE_MOVE))
        return;
    member->facts |= M_MOVED;
    if (has(member->facts, M_RUNNING | M_ANSWERS) &&
        (has(member->facts, M_CERTIFIED) || PLANT(FOLLOW_UNCERTIFIED)) && !has(member->facts, M_DISK_LOST))
        member->facts |= M_FOLLOWABLE;
}

/* Two entries of one host are refused: https://www.mongodb.com/docs/manual/reference/replica-configuration/
 */
static void find_taken(const struct situation *situation, struct member_situation *member)
{
    if (member->listed || !has(member->facts, M_ADDRESSED))
        return;
    for (size_t i = 0; i < situation->config.member_count; i++)
        if (strcmp(situation->config.members[i].host, member->view->holding.address) == 0)
            member->facts |= M_ADDRESS_TAKEN;
}

static const struct peer_view *find_peer(const struct mongod_view *mongod, int id)
{
    for (size_t i = 0; i < mongod->peer_count; i++)
        if (mongod->peers[i].id == id)
            return &mongod->peers[i];
    return NULL;
}

/* How others see a member: the primary, or without one whoever answers. */
static const struct peer_view *seen_by_others(const struct situation *situation,
                                              const struct member_situation *member)
{
    if (situation->primary) { /* its word of a host that the configuration no longer names says nothing */
        const struct peer_view *peer = find_peer(&situation->primary->view->mongod, member->listed->id);
        return peer && strcmp(peer->host, member->listed->host) == 0 ? peer : NULL;
    }
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other == member || !has(other->facts, M_IS_MEMBER))
            continue;
        const struct peer_view *peer = find_peer(&other->view->mongod, member->listed->id);
        if (peer)
            return peer;
    }
    return NULL;
}

/* It says, or last said before its agent fell silent, that it leads, in a term that others have left behind.
 */
static bool is_deposed(const struct situation *situation, const struct member_situation *member)
{
    return has(member->facts, M_IS_MEMBER) && member->view->mongod.state == MEMBER_PRIMARY &&
           member->view->mongod.term < situation->term;
}

/* A primary repeats what it heard last of the one before it until that one's silence is long enough: only one
 * leads. */
static enum member_state state_by_others(const struct situation *situation,
                                         const struct member_situation *member)
{
    bool refuted = member->peer && member->peer->state == MEMBER_PRIMARY &&
                   (situation->primary || is_deposed(situation, member));
    return member->peer && !refuted ? member->peer->state : MEMBER_UNKNOWN;
}

static enum member_state find_state(const struct situation *situation, const struct member_situation *member)
{
    if (is_deposed(situation, member))
        return state_by_others(situation, member);
    if (has(member->facts, M_IS_MEMBER))
        return member->view->mongod.state;
    if (has(member->facts, M_ANSWERS))
        return has(member->facts, M_UNINITIALIZED) ? MEMBER_STARTUP : MEMBER_REMOVED;
    if (!member->listed)
        return MEMBER_UNKNOWN;
    if (member->zone_state == ZONE_CONNECTED && has(member->facts, M_ZONE_SEEN))
        return MEMBER_DOWN;
    return state_by_others(situation, member);
}

static bool serves(enum member_state state)
{
    return state == MEMBER_PRIMARY || state == MEMBER_SECONDARY || state == MEMBER_ARBITER;
}

/* A member is healthy when it serves and, where there is a primary, the primary reaches it too. */
static bool is_healthy(const struct situation *situation, const struct member_situation *member)
{
    if (!member->listed || !serves(member->state) || is_deposed(situation, member))
        return false;
    if (situation->primary == member)
        return true;
    if (situation->primary)
        return member->peer && member->peer->healthy && serves(member->peer->state);
    return member->fresh;
}

static int64_t behind_since(const struct plan_input *input, int ordinal)
{
    for (size_t i = 0; input->previous && i < input->previous->member_count; i++)
        if (input->previous->members[i].ordinal == ordinal && input->previous->members[i].behind_since_ms)
            return moment_before(input, input->previous->members[i].behind_since_ms);
    return input->now_ms;
}

static void find_lag(const struct situation *situation, struct member_situation *member)
{
    if (!situation->primary || !member->listed || member->state == MEMBER_ARBITER)
        return;
    struct optime optime = {.term = -1};
    if (has(member->facts, M_IS_MEMBER))
        optime = member->view->mongod.optime;
    else if (member->peer)
        optime = member->peer->optime;
    if (optime.seconds == 0)
        return;
    int64_t lag = (int64_t)situation->primary->view->mongod.optime.seconds - optime.seconds;
    member->lag_seconds = lag > 0 ? lag : 0;
    if (member->lag_seconds <= LAG_SMALL_SECONDS + member->listed->secondary_delay_secs)
        return;
    member->facts |= M_BEHIND;
    member->behind_since_ms = behind_since(situation->input, member->wanted->ordinal);
    if (situation->input->now_ms - member->behind_since_ms >= LAG_PATIENCE_MS)
        member->facts |= M_LAGGING;
}

static void find_place(const struct situation *situation, struct member_situation *member)
{
    if (member->listed)
        member->peer = seen_by_others(situation, member);
    member->state = find_state(situation, member);
    if (member->state == MEMBER_STARTUP || member->state == MEMBER_STARTUP2 ||
        member->state == MEMBER_RECOVERING)
        member->facts |= M_SYNCING;
    if (serves(member->state))
        member->facts |= M_SYNCED;
    if (is_healthy(situation, member))
        member->facts |= M_HEALTHY;
    else if (situation->primary && member->fresh && serves(member->state) &&
             (!member->peer || member->peer->healthy))
        member->facts |= M_AWAITED;
    if (member->listed && entry_attributes_fit(member))
        member->facts |= M_ATTRIBUTES_FIT;
    find_lag(situation, member);
    if (member->zone_state == ZONE_UNKNOWN && situation->primary && member->peer && !member->peer->healthy) {
        member->zone_state = ZONE_FAILED;
        member->facts |= M_ZONE_FAILED;
    }
    bool heard = member->zone_state == ZONE_CONNECTED && has(member->facts, M_ZONE_SEEN);
    bool out = member->state == MEMBER_DOWN || member->state == MEMBER_REMOVED;
    member->known_down = heard ? out : member->peer && !member->peer->healthy;
}

static bool is_claimed(const struct situation *situation, const struct config_member *entry)
{
    for (size_t i = 0; i < situation->member_count; i++)
        if (situation->members[i].listed == entry)
            return true;
    return false;
}

/* After a store was lost: a member that was one before, and whose entry is found neither by its own word nor
 * by its address. Adding it would leave its old entry as a dead voter. */
static void find_untold(struct situation *situation)
{
    bool unclaimed = false;
    for (size_t i = 0; i < situation->config.member_count; i++)
        unclaimed |= !is_claimed(situation, &situation->config.members[i]);
    for (size_t i = 0; unclaimed && i < situation->member_count; i++) {
        struct member_situation *member = &situation->members[i];
        if (member->view && !member->booked && !member->listed &&
            member->view->holding.disk.replica_set_id[0])
            member->facts |= M_UNTOLD;
    }
}

/* An entry that belongs to nobody who is known, and that the primary doesn't reach. */
static bool dead_entry_unclaimed(const struct situation *situation, bool with_vote)
{
    for (size_t i = 0; i < situation->config.member_count; i++) {
        const struct config_member *entry = &situation->config.members[i];
        if ((with_vote && entry->votes == 0) || is_claimed(situation, entry))
            continue;
        const struct peer_view *peer =
            situation->primary ? find_peer(&situation->primary->view->mongod, entry->id) : NULL;
        if (!peer || !peer->healthy)
            return true;
    }
    return false;
}

/* After store and address were lost together, a new disk may be what a voter of the configuration comes back
 * on: with its old address it would vote without its memory. So it is not started while such an entry is
 * left. */
static void find_held_for_entry(struct situation *situation)
{
    if (dead_entry_unclaimed(situation, false))
        situation->facts |= DEAD_ENTRY_SEEN;
    if (!dead_entry_unclaimed(situation, true))
        return;
    for (size_t i = 0; i < situation->member_count; i++) {
        struct member_situation *member = &situation->members[i];
        bool known = !member->view || member->booked || member->listed || has(member->facts, M_ABSENT);
        if (!known && has(member->facts, M_DISK) && !member->view->holding.disk.used)
            member->facts |= M_HELD | M_HELD_FOR_ENTRY;
    }
}

/* A primary whose agent is silent: all that answer and name one name the same. */
static void find_told_primary(struct situation *situation)
{
    int told = -1;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_IS_MEMBER) || member->view->mongod.primary_id < 0)
            continue;
        if (told >= 0 && member->view->mongod.primary_id != told)
            return;
        told = member->view->mongod.primary_id;
    }
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (member->listed && member->listed->id == told && member->zone_state != ZONE_CONNECTED)
            situation->told_primary = member;
    }
    if (situation->told_primary)
        situation->facts |= PRIMARY_TOLD;
}

void situation_find_standing(struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count && !has(situation->facts, SET_ABSENT); i++) {
        find_entry(situation, &situation->members[i]);
        find_move(&situation->members[i]);
        find_taken(situation, &situation->members[i]);
    }
    for (size_t i = 0; i < situation->member_count; i++)
        find_place(situation, &situation->members[i]);
    find_untold(situation);
    find_held_for_entry(situation);
    find_told_primary(situation);
}
