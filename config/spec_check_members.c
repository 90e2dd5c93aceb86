/* The rules about one set's members: MongoDB's own
 * (https://www.mongodb.com/docs/manual/reference/replica-configuration/ and
 * .../reference/limits/), those of the names that are made for them, and what a layout can't survive. */
#include <string.h>

#include "config/spec_check.h"

struct tally {
    int present, votes, electable, data_voters, arbiters;
    double least_priority, most_priority; /* of the electable */
    const struct spec_member *highest;
};

static struct tally tally_of(const struct spec_set *set)
{
    struct tally tally = {0};
    for (size_t i = 0; i < set->member_count; i++) {
        const struct spec_member *member = &set->members[i];
        if (member->absent)
            continue;
        tally.present++;
        tally.votes += member->votes;
        tally.arbiters += member->arbiter_only;
        tally.data_voters += member->votes && !member->arbiter_only;
        if (member->arbiter_only || !member->votes || member->priority <= 0)
            continue;
        if (!tally.electable++ || member->priority < tally.least_priority)
            tally.least_priority = member->priority;
        if (!tally.highest || member->priority > tally.most_priority) {
            tally.most_priority = member->priority;
            tally.highest = member;
        }
    }
    return tally;
}

/* ---- one member ---- */

static void check_zone(struct checker *checker, const struct spec_member *member)
{
    const struct spec *spec = checker->spec;
    if (!*member->zone || spec->zone_count == 0 || spec_find_zone(spec, member->zone))
        return;
    const char *names[64];
    size_t count = 0;
    for (; count < spec->zone_count && count < sizeof names / sizeof *names; count++)
        names[count] = spec->zones[count].name;
    const char *meant = problem_suggest(member->zone, names, count);
    const char *zone = problem_quote(checker->arena, member->zone);
    struct spec_mark mark = place_of(member->node, "zone", member->mark);
    if (meant)
        CHECK_ERROR(checker, mark, "there is no zone \"%s\"; did you mean \"%s\"?", zone, meant);
    else
        CHECK_ERROR(checker, mark, "there is no zone \"%s\"; list it under spec.zones", zone);
}

static void check_priority(struct checker *checker, const struct spec_member *member)
{
    const char *why = member->arbiter_only               ? "arbiterOnly"
                      : member->votes == 0               ? "votes: 0"
                      : member->hidden                   ? "hidden"
                      : member->secondary_delay_secs > 0 ? "secondaryDelaySecs"
                                                         : NULL;
    if (why && member->priority > 0)
        CHECK_ERROR(checker, place_of(member->node, "priority", member->mark),
                    "a member with %s can't become primary: its priority must be 0 (or left away)", why);
}

static void check_arbiter(struct checker *checker, const struct spec_member *member)
{
    if (!member->arbiter_only)
        return;
    if (member->votes == 0)
        CHECK_ERROR(checker, place_of(member->node, "votes", member->mark),
                    "an arbiter is there to vote: take \"votes: 0\" away, or arbiterOnly");
    if (member->secondary_delay_secs > 0)
        CHECK_ERROR(checker, place_of(member->node, "secondaryDelaySecs", member->mark),
                    "an arbiter has no data to delay: take secondaryDelaySecs away");
    if (member->tag_count > 0)
        CHECK_ERROR(checker, place_of(member->node, "tags", member->mark),
                    "MongoDB allows no tags on an arbiter: take them away");
}

static void check_delay(struct checker *checker, const struct spec_member *member)
{
    if (member->secondary_delay_secs > 0 && !member->hidden)
        CHECK_WARNING(checker, place_of(member->node, "secondaryDelaySecs", member->mark),
                      "a delayed member that isn't hidden serves old data to clients; add \"hidden: true\"");
}

/* Labels that the system sets itself: see the Service's selector. */
static void check_labels(struct checker *checker, const struct spec_member *member)
{
    const struct tree_node *labels = tree_get(member->node, "labels");
    for (const struct tree_node *label = labels ? labels->first : NULL; label; label = label->next)
        if (strcmp(label->key, "name") == 0 || strcmp(label->key, "set") == 0 ||
            strncmp(label->key, "atoll.dev/", 10) == 0)
            CHECK_ERROR(checker, label->key_mark,
                        "the label \"%s\" is set by Atoll itself; choose another key",
                        problem_quote(checker->arena, label->key));
}

static void check_name(struct checker *checker, const struct spec_set *set, const struct spec_member *member)
{
    struct member_names names = spec_member_names(set, member, checker->arena);
    if (strlen(names.volume) > NAME_LENGTH_MAX)
        CHECK_ERROR(checker, place_of(set->node, "name", set->mark),
                    "the set's name is too long: %s would have %zu characters, Kubernetes allows %d",
                    names.volume, strlen(names.volume), NAME_LENGTH_MAX);
}

static void check_member(struct checker *checker, const struct spec_set *set,
                         const struct spec_member *member)
{
    const struct spec_member *first = spec_find_member(set, member->ordinal);
    if (first != member)
        CHECK_ERROR(checker, place_of(member->node, "ordinal", member->mark),
                    "ordinal %d is given twice (first in line %d); each member has its own", member->ordinal,
                    first->mark.line);
    check_zone(checker, member);
    check_labels(checker, member);
    if (member->absent)
        return;
    check_priority(checker, member);
    check_arbiter(checker, member);
    check_delay(checker, member);
}

/* ---- all of them ---- */

static void check_votes(struct checker *checker, const struct spec_set *set, const struct tally *tally)
{
    struct spec_mark mark = place_of(set->node, "members", set->mark);
    if (tally->present > SET_MEMBERS_MAX)
        CHECK_ERROR(checker, mark, "%d members; MongoDB allows %d in a set", tally->present, SET_MEMBERS_MAX);
    if (tally->votes > SET_VOTERS_MAX)
        CHECK_ERROR(checker, mark,
                    "%d votes; MongoDB allows %d in a set: write \"votes: 0\" in %d of the members",
                    tally->votes, SET_VOTERS_MAX, tally->votes - SET_VOTERS_MAX);
    else if (tally->votes > 0 && tally->votes % 2 == 0)
        CHECK_WARNING(checker, mark,
                      "an even number of votes (%d) survives no more losses than %d would; add a member or "
                      "write \"votes: 0\" in one",
                      tally->votes, tally->votes - 1);
    if (tally->electable == 0)
        CHECK_ERROR(checker, mark,
                    "no member can become primary: at least one needs a vote and a priority above 0");
}

static int votes_in(const struct spec_set *set, const char *zone)
{
    int votes = 0;
    for (size_t i = 0; i < set->member_count; i++)
        if (!set->members[i].absent && strcmp(set->members[i].zone, zone) == 0)
            votes += set->members[i].votes;
    return votes;
}

/* The zone with the most votes, and how many zones have votes at all. */
static const char *biggest_zone(const struct spec_set *set, int *most, int *zones)
{
    const char *biggest = "";
    *most = *zones = 0;
    for (size_t i = 0; i < set->member_count; i++) {
        const struct spec_member *member = &set->members[i];
        bool seen = member->absent || !member->votes || !*member->zone;
        for (size_t j = 0; j < i && !seen; j++)
            seen = !set->members[j].absent && set->members[j].votes &&
                   strcmp(set->members[j].zone, member->zone) == 0;
        if (seen)
            continue;
        int votes = votes_in(set, member->zone);
        (*zones)++;
        if (votes > *most) {
            *most = votes;
            biggest = member->zone;
        }
    }
    return biggest;
}

/* A set in a single zone is a choice; one over several zones means to survive the loss of any one. */
static void check_layout(struct checker *checker, const struct spec_set *set, const struct tally *tally)
{
    int most, zones;
    if (tally->present > SET_MEMBERS_MAX)
        return;
    const char *biggest = biggest_zone(set, &most, &zones);
    struct spec_mark mark = place_of(set->node, "members", set->mark);
    if (zones == 2)
        CHECK_WARNING(checker, mark,
                      "two zones never survive the loss of the bigger one: without %s (%d of %d votes) there "
                      "is no majority and no primary; put a third voting member into a third zone",
                      biggest, most, tally->votes);
    else if (zones > 2 && (tally->votes - most) * 2 <= tally->votes)
        CHECK_WARNING(checker, mark,
                      "the loss of zone %s (%d of %d votes) leaves no majority and no primary; spread the "
                      "votes so that no zone has half of them",
                      biggest, most, tally->votes);
    if (tally->data_voters == 2 && tally->arbiters > 0)
        CHECK_WARNING(checker, mark,
                      "two members with data and an arbiter: when one of the two is down, writes with "
                      "\"w: majority\" wait until it is back; a third member with data instead of the "
                      "arbiter mends that");
}

/* Priority takeover: https://www.mongodb.com/docs/manual/core/replica-set-elections/ */
static void check_takeover(struct checker *checker, const struct tally *tally)
{
    if (tally->highest && tally->most_priority > tally->least_priority)
        CHECK_WARNING(
            checker, place_of(tally->highest->node, "priority", tally->highest->mark),
            "member %d has a higher priority than others: after each outage of it there is a second election "
            "when it takes over again; that is your choice",
            tally->highest->ordinal);
}

void check_members(struct checker *checker, const struct spec_set *set)
{
    struct tally tally = tally_of(set);
    if (tally.present == 0) {
        CHECK_ERROR(
            checker, place_of(set->node, "members", set->mark),
            "set %s has no members; list at least one, or write \"state: absent\" to take the set out",
            *set->name ? set->name : "?");
        return;
    }
    for (size_t i = 0; i < set->member_count; i++)
        check_member(checker, set, &set->members[i]);
    if (*set->name)
        check_name(checker, set,
                   &set->members[set->member_count - 1]); /* the highest ordinal has the longest name */
    check_votes(checker, set, &tally);
    check_layout(checker, set, &tally);
    check_takeover(checker, &tally);
}
