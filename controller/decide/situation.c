/* What is true of each member by itself: its disk, address, process. Its place in the configuration is in
 * standing.c. */
#include "controller/decide/situation.h"

#include <string.h>

#include "proto/base/plant.h"
#include "proto/mongod_versions.h"

void situation_init(struct situation *situation, const struct plan_input *input, struct arena *arena)
{
    *situation = (struct situation){.input = input, .arena = arena, .term = -1};
    situation->members = arena_array(arena, input->set->member_count, sizeof *situation->members);
    situation->member_count = situation->members ? input->set->member_count : 0;
    if (input->set->absent)
        situation->facts |= SET_ABSENT;
    if (input->ledger->birth == BIRTH_DONE)
        situation->facts |= BORN;
    if (input->ledger->birth == BIRTH_INTENDED)
        situation->facts |= INITIATOR_TOLD;
}

const struct member_situation *situation_first(const struct situation *situation, uint64_t require,
                                               uint64_t forbid)
{
    for (size_t i = 0; i < situation->member_count; i++) {
        uint64_t facts = situation->members[i].facts;
        if (has(facts, require) && !(facts & forbid))
            return &situation->members[i];
    }
    return NULL;
}

bool member_answers_now(const struct member_view *view)
{
    return view->zone_state == ZONE_CONNECTED && view->mongod.age_ms >= 0 &&
           view->mongod.age_ms <= VIEW_FRESH_MS && view->mongod.answer != MONGOD_NOT_ASKED;
}

static const struct member_view *find_view(const struct observation *observation, int ordinal)
{
    for (size_t i = 0; i < observation->member_count; i++)
        if (observation->members[i].ordinal == ordinal)
            return &observation->members[i];
    return NULL;
}

static uint64_t wanted_facts(const struct spec_set *set, const struct spec_member *wanted)
{
    if (set->absent || wanted->absent)
        return M_ABSENT;
    uint64_t facts = 0;
    if (wanted->votes > 0)
        facts |= M_VOTE_WANTED;
    if (wanted->votes > 0 && wanted->priority > 0 && !wanted->arbiter_only)
        facts |= M_MAY_LEAD;
    return facts;
}

static uint64_t holding_facts(const struct member_view *view)
{
    const struct member_holding *holding = &view->holding;
    uint64_t facts = 0;
    if (holding->service_exists || holding->controller_exists)
        facts |= M_HOLDS;
    if (holding->disk.state == DISK_READY || holding->disk.state == DISK_ATTACHED)
        facts |= M_DISK;
    if (holding->address[0])
        facts |= M_ADDRESSED;
    if (holding->pod.running && !holding->pod.terminating)
        facts |= M_RUNNING;
    if (view->waiting.code[0] || holding->problem.code[0])
        facts |= M_PROBLEM;
    return facts;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool shows_foreign_certificate(const struct observation *observation, const struct member_view *view)
{
    return observation->tls && view->mongod.certificate_foreign;
}

static bool is_certified(const struct observation *observation, const struct member_view *view)
{
    const char *wanted = view->certificate_id;
    return !observation->tls || (wanted && *wanted && same_text(wanted, view->mongod.certificate_id));
}

/* A mongod reads its keyfile at its start alone, an old one its certificate, too. One whose zone can't tell
 * with what it was started (an older agent) is stale. */
static bool is_stale(const struct observation *observation, const struct member_view *view)
{
    const char *wanted = observation->key_id, *shown = view->mongod.certificate_id;
    if (!view->holding.pod.running)
        return false;
    bool certificate = shown && *shown && view->certificate_id && *view->certificate_id &&
                       !is_certified(observation, view) &&
                       mongod_has(view->mongod.version, MONGOD_ROTATES_CERTIFICATES) == MONGOD_LACKS;
    return certificate || (wanted && *wanted && !same_text(wanted, view->holding.pod.key_id));
}

static uint64_t mongod_facts(const struct member_view *view)
{
    switch (view->mongod.answer) {
    case MONGOD_NOT_INITIALIZED:
        return M_ANSWERS | M_UNINITIALIZED;
    case MONGOD_NOT_IN_CONFIG:
        return M_ANSWERS;
    case MONGOD_MEMBER:
        return M_ANSWERS | M_IS_MEMBER | (view->mongod.state == MEMBER_PRIMARY ? M_LEADS : 0);
    case MONGOD_NOT_ASKED:
    case MONGOD_SILENT:
        break;
    }
    return 0;
}

/* Who serves in the set has its data; on a disk that a mongod was started on (`used` goes with the id), it is
 * the ledger that is old. */
static bool has_data(const struct member_situation *member)
{
    enum member_state state = member->view->mongod.state;
    return has(member->facts, M_IS_MEMBER | M_RUNNING) &&
           (state == MEMBER_PRIMARY || state == MEMBER_SECONDARY);
}

bool disk_is_new_to_ledger(const struct member_situation *member)
{
    const struct disk_holding *disk = &member->view->holding.disk;
    return disk->used && disk->id[0] && strcmp(member->booked->disk_id, disk->id) != 0 && has_data(member);
}

/* Ids compared, never emptiness concluded: a disk that nobody has described yet is not lost. */
static bool disk_lost(const struct member_situation *member)
{
    const struct ledger_member *booked = member->booked;
    if (PLANT(EMPTY_VOTES) || !booked || booked->removed || booked->id < 0 || !has(member->facts, M_DISK))
        return false;
    const struct disk_holding *disk = &member->view->holding.disk;
    return booked->disk_id[0] && disk->id[0] && strcmp(booked->disk_id, disk->id) != 0 &&
           !(disk->used && has_data(member));
}

static void find_member(const struct situation *situation, const struct spec_member *wanted,
                        struct member_situation *member)
{
    const struct plan_input *input = situation->input;
    member->wanted = wanted;
    member->view = find_view(input->observation, wanted->ordinal);
    member->booked = ledger_find(input->ledger, wanted->ordinal);
    member->node = spec_node_name(input->set, wanted, situation->arena);
    member->zone_state = member->view ? member->view->zone_state : ZONE_PENDING;
    member->state = MEMBER_UNKNOWN;
    member->lag_seconds = -1;
    member->facts = wanted_facts(input->set, wanted);
    if (member->booked && member->booked->id >= 0 && !member->booked->removed)
        member->facts |= M_BOOKED;
    if (input->ledger->birth == BIRTH_DONE)
        member->facts |= M_BORN;
    if (!member->view)
        return;
    if (member->view->zone_seen)
        member->facts |= M_ZONE_SEEN;
    if (member->view->zone_state == ZONE_UNKNOWN)
        member->facts |= M_ZONE_SILENT;
    member->facts |= holding_facts(member->view);
    if (is_stale(input->observation, member->view))
        member->facts |= M_STALE;
    if (is_certified(input->observation, member->view))
        member->facts |= M_CERTIFIED;
    if (input->observation->tls && member->view->certificate_problem && *member->view->certificate_problem)
        member->facts |= M_CERTIFICATE_REFUSED;
    if (shows_foreign_certificate(input->observation, member->view))
        member->facts |= M_FOREIGN_CERTIFICATE;
    member->fresh = member_answers_now(member->view);
    if (member->fresh)
        member->facts |= mongod_facts(member->view);
    if (disk_lost(member))
        member->facts |= M_DISK_LOST;
}

void situation_find_members(struct situation *situation)
{
    for (size_t i = 0; i < situation->member_count; i++)
        find_member(situation, &situation->input->set->members[i], &situation->members[i]);
}
