/* Birth: whether a set may be initiated, by whom, with which first configuration. It happens once in a set's
 * life. https://www.mongodb.com/docs/manual/reference/command/replSetInitiate/ : sent to one node alone,
 * which must be in the list; the others must be empty. The server asks the others, not the receiver; so every
 * member is asked for proof here. */
#include "controller/decide/situation.h"

#include <string.h>

#include "proto/base/plant.h"

/* Silence proves nothing. An adopted disk may hold data that nobody has told of. */
static bool proven_new(const struct member_situation *member)
{
    if (!member->view || member->zone_state != ZONE_CONNECTED || has(member->facts, M_STRANGER))
        return false;
    const struct disk_holding *disk = &member->view->holding.disk;
    if (disk->adopted || disk->replica_set_id[0] || member->view->mongod.config.version > 0)
        return false;
    return has(member->facts, M_UNINITIALIZED) || (has(member->facts, M_DISK) && !disk->used);
}

/* On a new disk nothing is started before every zone has been heard: a store that was lost would otherwise
 * let a member that lost its data vote again. */
static bool held_for_proof(const struct situation *situation, const struct member_situation *member)
{
    if (situation->facts & (INITIATOR_TOLD | CONFIG_SEEN) || (has(situation->facts, BORN) && member->booked))
        return false;
    if (has(situation->facts, BORN)) /* its entry may be one that nobody shows at this moment */
        return !member->view || !member->view->holding.disk.used;
    /* A mark says that there is a set; until its configuration is seen nobody knows whose vote a new disk
     * would get. */
    if (has(situation->facts, ZONES_HEARD) && !has(situation->facts, MARK_SEEN))
        return false;
    return !member->view || !member->view->holding.disk.used;
}

/* Only it may be told again, whatever has become of it in the spec meanwhile. */
static bool is_chosen(const struct situation *situation, const struct member_situation *member)
{
    return has(situation->facts, INITIATOR_TOLD) &&
           member->wanted->ordinal == situation->input->ledger->birth_ordinal;
}

static bool may_initiate(const struct member_situation *member)
{
    return has(member->facts, M_READY | M_MAY_LEAD) && !member->wanted->hidden;
}

/* Since when the plans before this one have waited for the same: the birth's patience counts from there. */
static int64_t waiting_since(const struct situation *situation, int rule)
{
    const struct plan *previous = situation->input->previous;
    for (size_t i = 0; previous && i < previous->wait_count; i++)
        if (previous->waits[i].rule == rule)
            return moment_before(situation->input, previous->waits[i].since_ms);
    return 0;
}

static void find_readiness(struct situation *situation)
{
    enum { RULE_BIRTH_NEEDS_MEMBERS = 34 };
    size_t wanted = 0, heard = 0, new_ones = 0, ready = 0;
    int votes = 0, ready_votes = 0;
    bool electable = false;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (has(member->facts, M_ABSENT))
            continue;
        wanted++;
        heard += has(member->facts, M_ZONE_SEEN);
        new_ones += has(member->facts, M_PROVEN_NEW);
        ready += has(member->facts, M_READY);
        votes += member->wanted->votes;
        ready_votes += has(member->facts, M_READY) ? member->wanted->votes : 0;
        electable |= may_initiate(member);
    }
    if (heard == wanted || PLANT(UNHEARD_BIRTH))
        situation->facts |= ZONES_HEARD;
    if (wanted && (new_ones == wanted || (PLANT(UNHEARD_BIRTH) && new_ones > wanted / 2)))
        situation->facts |= PROVEN_NEW;
    if (wanted && ready == wanted && electable)
        situation->facts |= ALL_READY;
    int64_t since_ms = waiting_since(situation, RULE_BIRTH_NEEDS_MEMBERS);
    situation->patience_ends_ms = (since_ms ? since_ms : situation->input->now_ms) + BIRTH_PATIENCE_MS;
    bool patient = situation->input->now_ms < situation->patience_ends_ms && !PLANT(UNHEARD_BIRTH);
    if (electable && ready_votes > votes / 2 && !patient)
        situation->facts |= ENOUGH_READY;
}

/* Before the birth no disk has held the set's data: one that was never used takes the place of one that was
 * booked. Else too few would be left to tell the chosen node again. */
static bool unborn_disk_lost(const struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (has(member->facts, M_BOOKED | M_DISK_LOST | M_PROVEN_NEW))
            return true;
    }
    return false;
}

static void find_chosen(struct situation *situation)
{
    int ready_votes = 0, booked_votes = 0;
    const struct member_situation *chosen = NULL;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (member->wanted->ordinal == situation->input->ledger->birth_ordinal)
            chosen = member;
        if (!has(member->facts, M_BOOKED))
            continue;
        booked_votes += member->wanted->votes;
        ready_votes += has(member->facts, M_READY) ? member->wanted->votes : 0;
    }
    if (!chosen)
        return;
    if (has(chosen->facts, M_DISK_LOST))
        situation->facts |= CHOSEN_DISK_LOST;
    const struct action_view *action = &situation->input->observation->action;
    if (!has(chosen->facts, M_READY) ||
        situation->input->now_ms - chosen->view->mongod.age_ms < action->ended_at_ms)
        return;
    if (ready_votes > booked_votes / 2)
        situation->facts |= CHOSEN_READY;
    if (unborn_disk_lost(situation))
        situation->facts |= UNBORN_DISK_LOST;
}

/* Reports are of different moments: while addresses change hands two members may seem to have one. */
static bool shares_address(const struct situation *situation, const struct member_situation *member)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *other = &situation->members[i];
        if (other != member && has(other->facts, M_ADDRESSED) &&
            strcmp(other->view->holding.address, member->view->holding.address) == 0)
            return true;
    }
    return false;
}

void situation_find_birth(struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        struct member_situation *member = &situation->members[i];
        if (proven_new(member))
            member->facts |= M_PROVEN_NEW;
        if (has(member->facts, M_PROVEN_NEW | M_UNINITIALIZED | M_ADDRESSED | M_RUNNING | M_CERTIFIED) &&
            (!has(member->facts, M_ABSENT) || is_chosen(situation, member)) &&
            !has(member->facts, M_DISK_LOST) && !shares_address(situation, member))
            member->facts |= M_READY;
    }
    find_readiness(situation);
    find_chosen(situation);
    for (size_t i = 0; i < situation->member_count; i++)
        if (!has(situation->members[i].facts, M_ABSENT) && held_for_proof(situation, &situation->members[i]))
            situation->members[i].facts |= M_HELD;
}

static const struct member_situation *choose_initiator(const struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++)
        if (may_initiate(&situation->members[i]))
            return &situation->members[i];
    return NULL;
}

/* Books an _id and the disk of each ready member, in the order of their ordinals. */
static void book_newborn(const struct situation *situation, struct plan *plan)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_READY))
            continue;
        struct ledger_member booked = {
            .ordinal = member->wanted->ordinal,
            .id = plan->ledger.next_id++,
            .disk_id = member->view->holding.disk.id,
        };
        plan->ledger = ledger_with(situation->arena, &plan->ledger, &booked);
    }
}

static void first_config(const struct situation *situation, struct plan *plan)
{
    struct config_member *entries = arena_array(situation->arena, situation->member_count, sizeof *entries);
    size_t count = 0;
    for (size_t i = 0; entries && i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        const struct ledger_member *booked = ledger_find(&plan->ledger, member->wanted->ordinal);
        if (!booked || booked->id < 0 || booked->removed || !has(member->facts, M_READY))
            continue;
        struct config_member *entry = &entries[count++];
        *entry =
            wanted_entry(member, booked->id, arena_string(situation->arena, member->view->holding.address));
        if (is_chosen(situation, member) && !has(member->facts, M_MAY_LEAD)) {
            /* Who initiates must be electable (error 104), and is the only one with data; what the spec wants
             * of it comes later. */
            entry->votes = 1;
            entry->priority = 1;
            entry->hidden = false;
            entry->secondary_delay_secs = 0;
        }
    }
    plan->action.config = (struct replica_config){
        .set = arena_string(situation->arena, situation->input->set->name),
        .version = 1,
        .term = -1,
        .replica_set_id = "",
        .members = entries,
        .member_count = count,
        .settings = situation->input->set->settings,
        .setting_count = situation->input->set->setting_count,
    };
}

void birth_intend(const struct situation *situation, struct plan *plan)
{
    const struct member_situation *initiator = NULL;
    if (plan->ledger.birth == BIRTH_INTENDED) {
        for (size_t i = 0; i < situation->member_count; i++)
            if ((situation->members[i].wanted->ordinal == plan->ledger.birth_ordinal) != PLANT(INITIATE_ANEW))
                initiator = &situation->members[i];
    } else {
        initiator = choose_initiator(situation);
        book_newborn(situation, plan);
        plan->ledger.birth = BIRTH_INTENDED;
        plan->ledger.birth_ordinal = initiator ? initiator->wanted->ordinal : 0;
        plan->ledger_changed = true;
    }
    if (!initiator) /* only when memory is out: the facts say that there is one */
        return;
    first_config(situation, plan);
    plan->action.kind = ACTION_INITIATE;
    plan->action.ordinal = initiator->wanted->ordinal;
    plan->action.host = arena_string(situation->arena, initiator->view->holding.address);
    plan->action.process = initiator->view->mongod.process;
}
