/* The next configuration: from the one that is committed, one safe step towards the spec.
 * https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/ : at most one voting member is added
 * or removed (a changed `votes` counts); the same _id with another host is no voting change; votes 0 forces
 * priority 0; an arbiter always votes. https://www.mongodb.com/docs/manual/tutorial/expand-replica-set/ : new
 * members come without vote and priority. */
#include "controller/decide/membership.h"

#include <string.h>

#include "proto/base/plant.h"

struct config_member wanted_entry(const struct member_situation *member, int id, const char *host)
{
    const struct spec_member *wanted = member->wanted;
    return (struct config_member){
        .id = id,
        .host = host,
        .votes = wanted->votes,
        .priority = wanted->votes ? wanted->priority : 0,
        .hidden = wanted->hidden,
        .arbiter_only = wanted->arbiter_only,
        .secondary_delay_secs = wanted->secondary_delay_secs,
        .tags = wanted->tags,
        .tag_count = wanted->tag_count,
    };
}

static bool has_tag(const struct key_value *tags, size_t count, const struct key_value *tag)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tags[i].key, tag->key) == 0)
            return strcmp(tags[i].value, tag->value) == 0;
    return false;
}

static bool tags_fit(const struct config_member *entry, const struct spec_member *wanted)
{
    if (entry->tag_count != wanted->tag_count)
        return false;
    for (size_t i = 0; i < wanted->tag_count; i++)
        if (!has_tag(entry->tags, entry->tag_count, &wanted->tags[i]))
            return false;
    return true;
}

/* Only members whose vote is already as the spec wants it are judged: the others' priority must stay 0. */
bool entry_attributes_fit(const struct member_situation *member)
{
    const struct config_member *entry = member->listed;
    if (entry->votes != member->wanted->votes)
        return true;
    struct config_member wanted = wanted_entry(member, entry->id, entry->host);
    return entry->priority == wanted.priority && entry->hidden == wanted.hidden &&
           entry->secondary_delay_secs == wanted.secondary_delay_secs && tags_fit(entry, member->wanted);
}

static const struct setting *find_setting(const struct replica_config *config, const char *name)
{
    for (size_t i = 0; i < config->setting_count; i++)
        if (strcmp(config->settings[i].name, name) == 0)
            return &config->settings[i];
    return NULL;
}

size_t settings_due(const struct situation *situation)
{
    const struct spec_set *set = situation->input->set;
    size_t due = 0;
    for (size_t i = 0; situation->config.version > 0 && i < set->setting_count; i++) {
        const struct setting *now = find_setting(&situation->config, set->settings[i].name);
        due += !now || now->value != set->settings[i].value;
    }
    return due;
}

/* ---- edits of the members' list; each works on a copy that has room for the set's members more ---- */

struct edit {
    const struct situation *situation;
    struct config_member *members;
    size_t count;
};

static struct config_member *entry_of(struct edit *edit, const struct member_situation *member)
{
    for (size_t i = 0; member->listed && i < edit->count; i++)
        if (edit->members[i].id == member->listed->id)
            return &edit->members[i];
    return NULL;
}

static void follow(struct edit *edit)
{
    for (size_t i = 0; i < edit->situation->member_count; i++) {
        const struct member_situation *member = &edit->situation->members[i];
        struct config_member *entry = entry_of(edit, member);
        if (entry && moves_along(edit->situation, member))
            entry->host = member->view->holding.address;
    }
}

static void remove_entry(struct edit *edit, const struct config_member *entry)
{
    size_t at = (size_t)(entry - edit->members);
    memmove(edit->members + at, edit->members + at + 1, (edit->count - at - 1) * sizeof *entry);
    edit->count--;
}

static void take_vote(struct edit *edit, const struct member_situation *member)
{
    struct config_member *entry = entry_of(edit, member);
    if (!entry)
        return;
    if (entry->arbiter_only) { /* an arbiter without a vote is refused by the server */
        remove_entry(edit, entry);
        return;
    }
    entry->votes = 0;
    entry->priority = 0;
}

/* All that are ready come at once, since they don't vote; of arbiters, which do, only one. */
static void add_joiners(struct edit *edit, const struct ledger *ledger)
{
    const struct situation *situation = edit->situation;
    bool vote_added = false;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        const struct ledger_member *booked = ledger_find(ledger, member->wanted->ordinal);
        bool arbiter = member->wanted->arbiter_only;
        if (!may_join(member) || !booked || (arbiter && (vote_added || has(situation->facts, VOTES_FULL))))
            continue;
        struct config_member entry = wanted_entry(member, booked->id, member->view->holding.address);
        entry.priority = 0;
        entry.votes = arbiter ? 1 : 0;
        vote_added |= arbiter;
        edit->members[edit->count++] = entry;
    }
}

static void set_attributes(struct edit *edit)
{
    for (size_t i = 0; i < edit->situation->member_count; i++) {
        const struct member_situation *member = &edit->situation->members[i];
        struct config_member *entry = entry_of(edit, member);
        if (entry && !(member->facts & (M_ATTRIBUTES_FIT | M_ABSENT | M_DISK_LOST)))
            *entry = wanted_entry(member, entry->id, entry->host);
    }
}

/* Only planted: what the row and its one subject keep from happening. */
static void give_all_votes(struct edit *edit)
{
    for (size_t i = 0; i < edit->situation->member_count; i++) {
        struct config_member *entry = entry_of(edit, &edit->situation->members[i]);
        if (entry && has(edit->situation->members[i].facts, M_VOTE_WANTED | M_SYNCED))
            entry->votes = 1;
    }
}

static void edit_members(struct edit *edit, enum outcome outcome, const struct ledger *ledger)
{
    const struct member_situation *subject = edit->situation->subject;
    struct config_member *entry = subject ? entry_of(edit, subject) : NULL;
    switch (outcome) {
    case OUTCOME_FOLLOW:
        follow(edit);
        break;
    case OUTCOME_TAKE_VOTE:
        take_vote(edit, subject);
        break;
    case OUTCOME_REMOVE:
        if (entry)
            remove_entry(edit, entry);
        break;
    case OUTCOME_ADD:
        add_joiners(edit, ledger);
        break;
    case OUTCOME_GIVE_VOTE:
        if (entry)
            entry->votes = 1;
        if (PLANT(TWO_VOTERS))
            give_all_votes(edit);
        break;
    default:
        set_attributes(edit);
        break;
    }
}

/* Above every version that is shown or was ever sent (which is durable before it is sent): before 4.4 one
 * that was lost with its primary comes back with that node, and two of one version would stand beside each
 * other for ever. */
static int64_t next_version(const struct situation *situation)
{
    int64_t version = situation->config.version, sent = situation->input->observation->action.config.version;
    version = sent > version ? sent : version;
    if (situation->input->ledger->config_version > version)
        version = situation->input->ledger->config_version;
    for (size_t i = 0; i < situation->member_count; i++) {
        const struct member_situation *member = &situation->members[i];
        if (member->view && !has(member->facts, M_STRANGER) && member->view->mongod.config.version > version)
            version = member->view->mongod.config.version;
    }
    return version + 1;
}

void reconfigure(const struct situation *situation, enum outcome outcome, struct plan *plan)
{
    struct edit edit = {.situation = situation, .count = situation->config.member_count};
    edit.members = arena_array(situation->arena, edit.count + situation->member_count, sizeof *edit.members);
    if (!edit.members || !situation->primary)
        return;
    memcpy(edit.members, situation->config.members, edit.count * sizeof *edit.members);
    edit_members(&edit, outcome, &plan->ledger);
    struct action *action = &plan->action;
    const struct member_view *view = situation->primary->view;
    action->kind = ACTION_RECONFIGURE;
    action->ordinal = situation->primary->wanted->ordinal;
    action->host = view->holding.address[0] ? view->holding.address : situation->primary->listed->host;
    action->process = view->mongod.process;
    action->base = situation->config;
    action->config = situation->config;
    action->config.version = next_version(situation);
    if (outcome == OUTCOME_TAKE_VOTE)
        ledger_note_lost_disks(situation, plan);
    plan->ledger.config_version = action->config.version;
    plan->ledger_changed = true;
    action->config.members = edit.members;
    action->config.member_count = edit.count;
    action->config.settings = NULL;
    action->config.setting_count = 0;
    if (outcome == OUTCOME_SET_ATTRIBUTES) {
        action->config.settings = situation->input->set->settings;
        action->config.setting_count = situation->input->set->setting_count;
    }
}
