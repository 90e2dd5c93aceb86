/* The configuration, its commitment, the primary, and whether a majority of votes is healthy.
 * Commitment: https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/ ("a majority of voting
 * members of the current configuration"); before 4.4 the server can't say, so a majority of voters must
 * report the version. */
#include "controller/decide/situation.h"

#include <string.h>

#include "proto/base/plant.h"

/* The replica set that this set is: the ledger's word, else the first one that a member or a disk shows. */
static const char *reference_id(const struct situation *situation)
{
    const struct ledger *ledger = situation->input->ledger;
    if (ledger->replica_set_id[0])
        return ledger->replica_set_id;
    const char *mark = "";
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_view *view = situation->members[i].view;
        if (view && view->mongod.config.version > 0)
            return view->mongod.config.replica_set_id;
        if (view && !mark[0])
            mark = view->holding.disk.replica_set_id;
    }
    return mark;
}

static bool differs(const char *id, const char *reference)
{
    return id[0] && reference[0] && strcmp(id, reference) != 0;
}

static void find_strangers(struct situation *situation)
{
    const char *reference = reference_id(situation);
    for (size_t i = 0; i < situation->member_count; i++) {
        struct member_situation *member = &situation->members[i];
        if (!member->view)
            continue;
        const struct replica_config *config = &member->view->mongod.config;
        bool other_set = config->version > 0 && strcmp(config->set, situation->input->set->name) != 0;
        if (other_set || (config->version > 0 && differs(config->replica_set_id, reference)) ||
            differs(member->view->holding.disk.replica_set_id, reference))
            member->facts |= M_STRANGER;
        if (member->view->holding.disk.replica_set_id[0])
            situation->facts |= MARK_SEEN;
    }
}

/* When what was seen of the primary was seen (wall). */
static int64_t observed_at(const struct situation *situation)
{
    return situation->primary ? situation->input->now_ms - situation->primary->view->mongod.age_ms : 0;
}

/* Every member of the set has been heard since then: each shows an older one, or has lost its disk. */
static bool nobody_has(const struct situation *situation, const struct replica_config *config,
                       int64_t since_ms)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!member->view || member->zone_state != ZONE_CONNECTED)
            return false;
        if (has(member->facts, M_DISK_LOST))
            continue;
        const struct mongod_view *mongod = &member->view->mongod;
        bool heard = has(member->facts, M_ANSWERS) && mongod->age_ms >= 0 &&
                     situation->input->now_ms - mongod->age_ms > since_ms;
        if (!heard || replica_config_compare(&mongod->config, config) >= 0)
            return false;
    }
    return true;
}

/* What was read back after the last command counts until a primary has spoken since, or nobody can have it
 * any more: before 4.4 a configuration that was never on a majority is gone with the node that had it, and
 * nothing in the others' shows that they are newer. */
static void find_newest_config(struct situation *situation)
{
    const struct action_view *action = &situation->input->observation->action;
    static const struct replica_config none = {.set = "", .term = -1, .replica_set_id = ""};
    bool outdated = (situation->primary && observed_at(situation) > action->ended_at_ms) ||
                    nobody_has(situation, &action->config, action->ended_at_ms);
    const struct replica_config *newest = outdated ? &none : &action->config;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!member->view || has(member->facts, M_STRANGER))
            continue;
        const struct replica_config *config = &member->view->mongod.config;
        if (config->version > 0 && (newest->version == 0 || replica_config_compare(config, newest) > 0))
            newest = config;
    }
    if (newest->version > 0) {
        situation->config = replica_config_copy(situation->arena, newest);
        situation->facts |= CONFIG_SEEN;
    }
}

/* Whoever leads in the highest term. One that leads in a lower term than somebody answers with is about to
 * learn better, or was not asked again since: it counts as no primary anywhere, or its successor would be
 * told to step down in its place. */
static void find_primary(struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (has(member->facts, M_IS_MEMBER) && !has(member->facts, M_STRANGER) &&
            member->view->mongod.term > situation->term)
            situation->term = member->view->mongod.term;
    }
    for (size_t i = 0; i < situation->member_count; i++) {
        struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_IS_MEMBER | M_LEADS) || has(member->facts, M_STRANGER))
            continue;
        if (member->view->mongod.term == situation->term)
            situation->primary = member;
        else
            member->facts &= ~(uint64_t)M_LEADS;
    }
    if (situation->primary)
        situation->facts |= PRIMARY_SEEN;
}

static bool same_config(const struct replica_config *a, const struct replica_config *b)
{
    return a->version == b->version && a->term == b->term;
}

static bool majority_reports_config(const struct situation *situation)
{
    int voters = 0, having = 0;
    for (size_t i = 0; i < situation->config.member_count; i++) {
        const struct config_member *entry = &situation->config.members[i];
        if (entry->votes == 0)
            continue;
        voters++;
        for (size_t j = 0; j < situation->member_count; j++) {
            const struct member_situation *member = &situation->members[j];
            if (has(member->facts, M_IS_MEMBER) && member->view->mongod.self_id == entry->id &&
                same_config(&member->view->mongod.config, &situation->config))
                having++;
        }
    }
    return having > voters / 2;
}

static void find_commitment(struct situation *situation)
{
    const struct action_view *action = &situation->input->observation->action;
    bool by_action = action->config.version > 0 && same_config(&action->config, &situation->config) &&
                     action->knows_commitment && action->config_committed;
    bool by_primary = false, primary_says_no = false;
    if (situation->primary) {
        const struct mongod_view *mongod = &situation->primary->view->mongod;
        bool same = mongod->knows_commitment && same_config(&mongod->config, &situation->config);
        by_primary = same && mongod->config_committed;
        primary_says_no = same && !mongod->config_committed;
    }
    situation->committed =
        situation->config.version > 0 &&
        (by_action || by_primary || (!primary_says_no && majority_reports_config(situation)));
    if (situation->committed || PLANT(NO_COMMITMENT))
        situation->facts |= COMMITTED;
    /* What was read after a step-down is the configuration, and not who leads now: told again, the former
     * primary would refuse. */
    bool read = action->config.version > 0 && action->kind != ACTION_STEP_DOWN;
    if (action->kind == ACTION_NONE || read || observed_at(situation) >= action->ended_at_ms)
        situation->facts |= READ_BACK;
}

void situation_find_config(struct situation *situation)
{
    const struct action_view *action = &situation->input->observation->action;
    if (action->running)
        situation->facts |= ACTION_RUNNING;
    if (!action->running && action->failures > 0 && situation->input->now_ms < action->retry_at_ms)
        situation->facts |= ACTION_RESTING;
    find_strangers(situation);
    find_primary(situation);
    find_newest_config(situation);
    find_commitment(situation);
}

/* A voter of the configuration that the spec doesn't name is judged by the primary's word alone. */
static bool foreign_voter_healthy(const struct situation *situation, int id)
{
    if (!situation->primary)
        return false;
    const struct mongod_view *mongod = &situation->primary->view->mongod;
    for (size_t i = 0; i < mongod->peer_count; i++)
        if (mongod->peers[i].id == id)
            return mongod->peers[i].healthy;
    return false;
}

static const struct member_situation *find_listed(const struct situation *situation, int id)
{
    for (size_t i = 0; i < situation->member_count; i++)
        if (situation->members[i].listed && situation->members[i].listed->id == id)
            return &situation->members[i];
    return NULL;
}

static void find_versions(struct situation *situation)
{
    const char *version = "";
    situation->facts |= SAME_VERSION;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (!has(member->facts, M_ANSWERS) || !member->view->mongod.version[0])
            continue;
        if (version[0] && strcmp(version, member->view->mongod.version) != 0)
            situation->facts &= ~SAME_VERSION;
        version = member->view->mongod.version;
    }
}

/* Whether it can't be elected as things are: who runs at another address and has been started there doesn't
 * find itself in its configuration (https://www.mongodb.com/docs/manual/reference/replica-states/ : REMOVED).
 * Silence proves nothing. */
static bool cannot_lead(const struct member_situation *member, bool elsewhere)
{
    return member->known_down || member->listed->arbiter_only ||
           has(member->facts, M_IS_MEMBER | M_SYNCING) || has(member->facts, M_UNINITIALIZED) ||
           (elsewhere && !has(member->facts, M_IS_MEMBER));
}

/* Members that run, and whose entry can't be told since store and address were lost together. */
static int count_untold(const struct situation *situation)
{
    int untold = 0;
    for (size_t i = 0; i < situation->member_count; i++)
        untold += has(situation->members[i].facts, M_UNTOLD | M_ANSWERS | M_ADDRESSED);
    return untold;
}

/* It runs at another address than the configuration names; whether it shows the certificate for that one is
 * not asked. */
static bool is_away(const struct member_situation *member)
{
    return has(member->facts, M_MOVED | M_RUNNING | M_ANSWERS) && !has(member->facts, M_DISK_LOST);
}

void situation_find_quorum(struct situation *situation)
{
    int down = 0, moved = 0, either = 0, leaderless = 0, untold = count_untold(situation);
    for (size_t i = 0; i < situation->config.member_count; i++) {
        const struct config_member *entry = &situation->config.members[i];
        if (entry->votes == 0)
            continue;
        situation->voters++;
        const struct member_situation *member = find_listed(situation, entry->id);
        if (!member && untold > 0) {
            untold--;
            moved++;
            leaderless++;
            continue;
        }
        if (!member) {
            situation->healthy_voters += foreign_voter_healthy(situation, entry->id);
            continue;
        }
        situation->healthy_voters += has(member->facts, M_HEALTHY);
        bool away = is_away(member);
        bool elsewhere = away && !has(member->facts, M_UNINITIALIZED),
             followable = has(member->facts, M_MOVED | M_FOLLOWABLE);
        moved += away;
        leaderless += cannot_lead(member, elsewhere);
        /* One that copies data can't be healthy before the address of the one it copies from is followed. */
        either += (elsewhere && followable) || has(member->facts, M_HEALTHY) ||
                  has(member->facts, M_IS_MEMBER | M_SYNCING);
        down += !away && member->known_down;
    }
    situation->majority = situation->voters / 2 + 1;
    if (situation->voters == 0)
        return;
    if (situation->healthy_voters >= situation->majority)
        situation->facts |= QUORUM;
    if (either >= situation->majority)
        situation->facts |= MOVED_QUORUM;
    if (situation->voters - down < situation->majority)
        situation->facts |= QUORUM_GONE;
    else if (situation->voters - down - moved < situation->majority ||
             (moved && leaderless == situation->voters))
        situation->facts |= ADDRESSES_GONE;
    find_versions(situation);
    if (situation->voters >= SET_VOTERS_MAX)
        situation->facts |= VOTES_FULL;
}
