/* The rules between an applied spec and the one before it. Nothing leaves by being forgotten, and what can't
 * be changed in a running set is refused here, with what to write instead. */
#include <inttypes.h>
#include <string.h>

#include "config/spec_check.h"
#include "config/spec_format.h"

static struct spec_mark sets_mark(const struct spec *spec)
{
    return place_of(tree_get(spec->node, "spec"), "sets", spec->mark);
}

static int free_ordinal(const struct spec_set *before, const struct spec_set *after)
{
    int highest = 0;
    for (size_t i = 0; i < before->member_count; i++)
        highest = before->members[i].ordinal > highest ? before->members[i].ordinal : highest;
    for (size_t i = 0; i < after->member_count; i++)
        highest = after->members[i].ordinal > highest ? after->members[i].ordinal : highest;
    return highest + 1;
}

/* ---- members ---- */

static void check_missing_member(struct checker *checker, const struct spec_set *after,
                                 const struct spec_member *was)
{
    if (!was->absent)
        CHECK_ERROR(
            checker, place_of(after->node, "members", after->mark),
            "member %d of set %s (zone %s) is missing, and nothing leaves by being forgotten; to take it out "
            "write {ordinal: %d, zone: %s, state: absent} (and \"ordinal\" on the others)",
            was->ordinal, after->name, was->zone, was->ordinal, was->zone);
}

static const char *disk_of(struct checker *checker, const struct spec_set *set,
                           const struct spec_member *member)
{
    return spec_member_names(set, member, checker->arena).disk;
}

static void check_member_change(struct checker *checker, const struct spec_set *before,
                                const struct spec_set *after, const struct spec_member *was,
                                const struct spec_member *is)
{
    if (strcmp(was->zone, is->zone) != 0)
        CHECK_ERROR(checker, place_of(is->node, "zone", is->mark),
                    "member %d of set %s is in zone %s, and an ordinal never changes its zone; write "
                    "{ordinal: %d, zone: "
                    "%s, state: absent} and a new member {ordinal: %d, zone: %s}",
                    is->ordinal, after->name, was->zone, is->ordinal, was->zone, free_ordinal(before, after),
                    is->zone);
    if (was->absent || is->absent)
        return;
    if (was->arbiter_only != is->arbiter_only)
        CHECK_ERROR(checker, place_of(is->node, "arbiterOnly", is->mark),
                    "arbiterOnly of a member never changes in MongoDB; take member %d out with \"state: "
                    "absent\" and add "
                    "one with ordinal %d",
                    is->ordinal, free_ordinal(before, after));
    const char *old_disk = disk_of(checker, before, was), *new_disk = disk_of(checker, after, is);
    if (strcmp(old_disk, new_disk) != 0)
        CHECK_ERROR(checker, place_of(is->node, "disk", is->mark),
                    "member %d of set %s has its data on disk %s; a member's disk never changes", is->ordinal,
                    after->name, old_disk);
}

/* ---- sets ---- */

static const char *size_text(struct checker *checker, int64_t bytes)
{
    struct buffer buffer;
    buffer_init(&buffer, 0);
    print_size(bytes, &buffer);
    const char *text = arena_string(checker->arena, buffer_text(&buffer));
    buffer_finish(&buffer);
    return text;
}

static void check_storage_change(struct checker *checker, const struct spec_set *before,
                                 const struct spec_set *after)
{
    const struct tree_node *storage = tree_get(after->node, "storage");
    struct spec_mark whole = storage ? storage->mark : after->mark;
    if (after->storage_bytes < before->storage_bytes)
        CHECK_ERROR(checker, place_of(storage, "size", whole),
                    "storage of set %s can't shrink from %s to %s; disks only grow", after->name,
                    size_text(checker, before->storage_bytes), size_text(checker, after->storage_bytes));
    if (strcmp(after->storage_type, before->storage_type) != 0)
        CHECK_ERROR(checker, place_of(storage, "type", whole),
                    "storage of set %s is of type %s, and a disk's type never changes; write \"type: %s\"",
                    after->name, before->storage_type, before->storage_type);
}

static void check_set_change(struct checker *checker, const struct spec_set *before,
                             const struct spec_set *after)
{
    if (before->absent || after->absent)
        return;
    check_storage_change(checker, before, after);
    /* Members with and without a keyfile don't understand one another: restarted one by one, they would lose
     * their majority.
     * https://www.mongodb.com/docs/manual/tutorial/enforce-keyfile-access-control-in-existing-replica-set/ */
    if (before->auth != after->auth)
        CHECK_ERROR(checker, place_of(after->node, "auth", after->mark),
                    "auth of set %s can't change from %s to %s: its members would no longer understand one "
                    "another while they are "
                    "restarted one by one; make another set and copy the data",
                    after->name, before->auth ? "true" : "false", after->auth ? "true" : "false");
    for (size_t i = 0; i < before->member_count; i++) {
        const struct spec_member *was = &before->members[i];
        const struct spec_member *is = spec_find_member(after, was->ordinal);
        if (is)
            check_member_change(checker, before, after, was, is);
        else
            check_missing_member(checker, after, was);
    }
}

/* A member that demands TLS and one that speaks none can't hear each other.
 * https://www.mongodb.com/docs/manual/tutorial/upgrade-cluster-to-ssl/ */
static void check_tls_change(struct checker *checker, const struct spec *before, const struct spec *after)
{
    if (before->tls == after->tls || !before->set_count)
        return;
    CHECK_ERROR(checker, place_of(tree_get(after->node, "spec"), "tls", after->mark),
                "tls can't change from %s to %s while there are sets: their members would no longer hear one "
                "another while they are "
                "restarted one by one; make another federation and copy the data",
                before->tls ? "true" : "false", after->tls ? "true" : "false");
}

/* ---- zones ---- */

static bool has_members(const struct spec *spec, const char *zone)
{
    for (size_t i = 0; i < spec->set_count; i++)
        for (size_t j = 0; j < spec->sets[i].member_count; j++) {
            const struct spec_member *member = &spec->sets[i].members[j];
            if (!spec->sets[i].absent && !member->absent && strcmp(member->zone, zone) == 0)
                return true;
        }
    return false;
}

/* Where a zone's objects and disks are does not change under its members: they would be left behind there. */
static void check_zone_change(struct checker *checker, const struct spec *before, const struct spec_zone *was,
                              const struct spec_zone *is)
{
    const struct {
        const char *key, *old, *new;
    } fixed[] = {
        {"driver", was->driver, is->driver},
        {"project", was->project, is->project},
        {"namespace", was->namespace_, is->namespace_},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i].old, fixed[i].new) != 0 && has_members(before, is->name))
            CHECK_ERROR(checker, place_of(is->node, fixed[i].key, is->mark),
                        "%s of zone %s can't change from \"%s\" to \"%s\" while the zone has members; take "
                        "them out first",
                        fixed[i].key, is->name, fixed[i].old, fixed[i].new);
}

int spec_check_change(const struct spec *before, const struct spec *after, struct arena *arena,
                      struct spec_problems *problems)
{
    struct checker checker = {after, arena, problems};
    size_t errors = problems->errors;
    if (!before)
        return 0;
    if (strcmp(before->name, after->name) != 0)
        CHECK_ERROR(&checker, place_of(tree_get(after->node, "metadata"), "name", after->mark),
                    "this controller keeps the federation \"%s\"; a federation's name never changes",
                    before->name);
    check_tls_change(&checker, before, after);
    for (size_t i = 0; i < before->set_count; i++) {
        const struct spec_set *was = &before->sets[i], *is = spec_find_set(after, was->name);
        if (is)
            check_set_change(&checker, was, is);
        else if (!was->absent)
            CHECK_ERROR(&checker, sets_mark(after),
                        "set %s is missing, and nothing leaves by being forgotten; to take it out write "
                        "{name: %s, state: "
                        "absent}",
                        was->name, was->name);
    }
    for (size_t i = 0; i < before->zone_count; i++) {
        const struct spec_zone *is = spec_find_zone(after, before->zones[i].name);
        if (is)
            check_zone_change(&checker, before, &before->zones[i], is);
    }
    return problems->errors > errors ? -1 : 0;
}
