/* The rules between the fields of a federation, its zones and its sets: see spec_check.h. */
#include "config/spec_check.h"

#include <stdlib.h>
#include <string.h>

struct spec_mark place_of(const struct tree_node *node, const char *key, struct spec_mark whole)
{
    const struct tree_node *value = tree_get(node, key);
    return value ? value->mark : whole;
}

/* ---- zones ---- */

static void check_zones(struct checker *checker)
{
    const struct spec *spec = checker->spec;
    const struct tree_node *zones = tree_get(tree_get(spec->node, "spec"), "zones");
    if (zones && zones->kind == TREE_LIST && zones->count == 0)
        CHECK_ERROR(checker, zones->mark, "there must be at least one zone");
    for (size_t i = 0; i < spec->zone_count; i++) {
        const struct spec_zone *zone = &spec->zones[i];
        const struct spec_zone *first = spec_find_zone(spec, zone->name);
        if (*zone->name && first != zone)
            CHECK_ERROR(checker, place_of(zone->node, "name", zone->mark),
                        "zone %s is here twice (first in line %d); names of zones are unique", zone->name,
                        first->mark.line);
        if (strcmp(zone->driver, "local") == 0 && *zone->project)
            CHECK_WARNING(checker, place_of(zone->node, "project", zone->mark),
                          "project has no effect in a zone with \"driver: local\"");
    }
}

/* ---- what mongod is started with ---- */

/* Options that Atoll itself sets, by what is said of them.
 * https://www.mongodb.com/docs/manual/reference/program/mongod/ */
static const struct own_option {
    const char *name, *instead;
} own_options[] = {
    {"port", "write \"port:\" in the set"},
    {"bind_ip", NULL},
    {"bind_ip_all", NULL},
    {"dbpath", "the disk is always mounted at /data/db"},
    {"replSet", "it is the set's name"},
    {"keyFile", "write \"auth:\" in the set"},
    {"auth", "write \"auth:\" in the set"},
    {"noauth", "write \"auth: false\" in the set"},
    {"clusterAuthMode", NULL},
    {"config", "write its options one by one"},
    {"f", "write its options one by one"},
    {"fork", "the pod watches over the process"},
    {"shutdown", NULL},
    {"pidfilepath", NULL},
    {"replSetName", "it is the set's name"},
};

/* The option's name without dashes and value ("--port=1" is "port"), or "" for what is no option but the
 * value of one. */
static const char *option_name(struct checker *checker, const char *argument)
{
    if (argument[0] != '-')
        return "";
    const char *name = argument + (argument[1] == '-' ? 2 : 1);
    return arena_string_n(checker->arena, name, strcspn(name, "="));
}

static void check_argument_is_free(struct checker *checker, const char *argument, struct spec_mark mark)
{
    const char *name = option_name(checker, argument);
    const char *instead = NULL;
    bool own = strncmp(name, "tls", 3) == 0 || strncmp(name, "ssl", 3) == 0;
    if (own)
        instead = "write \"tls:\" in the federation's spec";
    for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++)
        if (strcmp(name, own_options[i].name) == 0) {
            own = true;
            instead = own_options[i].instead;
        }
    if (own)
        CHECK_ERROR(checker, mark, "the mongod argument %s is set by Atoll itself; take it away%s%s",
                    problem_quote(checker->arena, argument), instead ? ": " : "", instead ? instead : "");
}

static void check_arguments(struct checker *checker, const struct spec_set *set)
{
    const struct tree_node *list = tree_get(set->node, "mongod");
    const struct tree_node *item = list ? list->first : NULL;
    if (!item || item->kind != TREE_SCALAR)
        return;
    if (item->text[0] != '-')
        CHECK_ERROR(checker, item->mark,
                    "mongod's arguments must begin with an option like --oplogSize, not \"%s\"",
                    problem_quote(checker->arena, item->text));
    size_t bytes = 0;
    for (; item; item = item->next) {
        bytes += strlen(item->text);
        if (item->kind == TREE_SCALAR)
            check_argument_is_free(checker, item->text, item->mark);
    }
    if (bytes > SPEC_ARGUMENTS_BYTES_MAX)
        CHECK_ERROR(checker, list->mark, "mongod's arguments have %zu bytes together; at most %d are allowed",
                    bytes, SPEC_ARGUMENTS_BYTES_MAX);
}

/* ---- sets ---- */

static bool has_kubernetes_member(const struct spec *spec, const struct spec_set *set)
{
    for (size_t i = 0; i < set->member_count; i++) {
        const struct spec_zone *zone = spec_find_zone(spec, set->members[i].zone);
        if (!set->members[i].absent && zone && strcmp(zone->driver, "kubernetes") == 0)
            return true;
    }
    return false;
}

static void check_address(struct checker *checker, const struct spec_set *set)
{
    bool dns = set->address == ADDRESS_DNS, wrote = tree_get(set->node, "domain") != NULL;
    if (dns && !wrote)
        CHECK_ERROR(checker, place_of(set->node, "address", set->mark),
                    "\"address: dns\" needs \"domain\": the DNS zone in which the members' names are, like "
                    "db.example.com");
    if (!dns && wrote)
        CHECK_ERROR(checker, place_of(set->node, "domain", set->mark),
                    "domain has an effect with \"address: dns\" alone; write that, or take domain away");
    if (dns && strlen(set->domain) + 1 + NAME_LENGTH_MAX > 253)
        CHECK_ERROR(checker, place_of(set->node, "domain", set->mark),
                    "domain must leave room for a member's name before it: at most %d characters",
                    253 - 1 - NAME_LENGTH_MAX);
}

static bool is_listed(const int *ordinals, size_t count, int ordinal)
{
    for (size_t i = 0; i < count; i++)
        if (ordinals[i] == ordinal)
            return true;
    return false;
}

static void check_order(struct checker *checker, const struct spec_set *set)
{
    const struct tree_node *list = tree_get(tree_get(set->node, "rollout"), "order");
    struct spec_mark mark = list ? list->mark : set->mark;
    for (size_t i = 0; i < set->rollout_order_count; i++) {
        int ordinal = set->rollout_order[i];
        const struct spec_member *member = spec_find_member(set, ordinal);
        if (is_listed(set->rollout_order, i, ordinal))
            CHECK_ERROR(checker, mark, "rollout.order names member %d twice", ordinal);
        else if (!member || member->absent)
            CHECK_ERROR(checker, mark, "rollout.order names member %d, which set %s does not have", ordinal,
                        set->name);
    }
}

static void check_set(struct checker *checker, const struct spec_set *set)
{
    const struct spec_set *first = spec_find_set(checker->spec, set->name);
    if (*set->name && first != set)
        CHECK_ERROR(checker, place_of(set->node, "name", set->mark),
                    "set %s is here twice (first in line %d); names of sets are unique", set->name,
                    first->mark.line);
    check_arguments(checker, set);
    check_address(checker, set);
    check_order(checker, set);
    const struct tree_node *backup = tree_get(set->node, "backup");
    if (tree_get(backup, "keep") && !tree_get(backup, "schedule"))
        CHECK_WARNING(checker, place_of(backup, "keep", set->mark),
                      "backup.keep has no effect without backup.schedule");
    if (set->absent)
        return;
    if (!tree_get(set->node, "image"))
        CHECK_ERROR(checker, set->mark, "set %s has no \"image\"; write one, like \"image: mongo:7.0\"",
                    *set->name ? set->name : "?");
    check_members(checker, set);
    if (!tree_get(set->node, "sourceRanges") && has_kubernetes_member(checker->spec, set))
        CHECK_WARNING(checker, set->mark,
                      "set %s has no \"sourceRanges\": its Services will admit the other zones, and no "
                      "client; name the ranges that clients come from",
                      *set->name ? set->name : "?");
}

/* Names are what the manual advises; addresses work on every version. Said once, not for every set.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/#mongodb-rsconf-rsconf.members-n-.host
 */
static void check_bare_addresses(struct checker *checker)
{
    for (size_t i = 0; i < checker->spec->set_count; i++) {
        const struct spec_set *set = &checker->spec->sets[i];
        if (set->absent || set->address != ADDRESS_EXTERNAL_IP || !has_kubernetes_member(checker->spec, set))
            continue;
        CHECK_WARNING(
            checker, place_of(set->node, "address", set->mark),
            "members are known by their external addresses; that works, but MongoDB advises DNS names: "
            "\"address: dns\" with a \"domain\"");
        return;
    }
}

/* ---- disks ---- */

struct disk_use {
    const char *zone, *disk, *set;
    const struct spec_member *member;
};

static int by_disk(const void *a, const void *b)
{
    const struct disk_use *left = a, *right = b;
    int order = strcmp(left->zone, right->zone);
    if (order == 0)
        order = strcmp(left->disk, right->disk);
    if (order == 0)
        order = (left->member->mark.line > right->member->mark.line) -
                (left->member->mark.line < right->member->mark.line);
    return order;
}

static void collect_disks(struct checker *checker, struct disk_use *uses)
{
    size_t count = 0;
    for (size_t i = 0; i < checker->spec->set_count; i++) {
        const struct spec_set *set = &checker->spec->sets[i];
        for (size_t j = 0; j < set->member_count; j++) {
            const struct spec_member *member = &set->members[j];
            const char *disk = spec_member_names(set, member, checker->arena).disk;
            uses[count++] = (struct disk_use){member->zone, disk, set->name, member};
        }
    }
}

/* What a zone's intent can hold; members that are being taken out are in it too. `uses` are ordered by zone.
 */
static void check_zone_sizes(struct checker *checker, const struct disk_use *uses, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from; to < count && strcmp(uses[to].zone, uses[from].zone) == 0; to++)
            ;
        const struct spec_zone *zone = spec_find_zone(checker->spec, uses[from].zone);
        if (zone && to - from > ZONE_MEMBERS_MAX)
            CHECK_ERROR(checker, zone->mark, "zone %s has %zu members; at most %d can be in one zone",
                        zone->name, to - from, ZONE_MEMBERS_MAX);
    }
}

/* Two members with one disk in one zone would be two mongods on one set of files. */
static void check_disks(struct checker *checker)
{
    size_t count = 0;
    for (size_t i = 0; i < checker->spec->set_count; i++)
        count += checker->spec->sets[i].member_count;
    struct disk_use *uses = arena_array(checker->arena, count, sizeof *uses);
    if (!uses)
        return;
    collect_disks(checker, uses);
    qsort(uses, count, sizeof *uses, by_disk);
    check_zone_sizes(checker, uses, count);
    for (size_t i = 1; i < count; i++) {
        const struct disk_use *a = &uses[i - 1], *b = &uses[i];
        bool same_member = strcmp(a->set, b->set) == 0 && a->member->ordinal == b->member->ordinal;
        if (!same_member && strcmp(a->zone, b->zone) == 0 && strcmp(a->disk, b->disk) == 0)
            CHECK_ERROR(
                checker, place_of(b->member->node, "disk", b->member->mark),
                "disk %s of zone %s is already that of member %d of set %s; each member needs its own",
                b->disk, b->zone, a->member->ordinal, a->set);
    }
}

void spec_check(const struct spec *spec, struct arena *arena, struct spec_problems *problems)
{
    struct checker checker = {spec, arena, problems};
    check_zones(&checker);
    for (size_t i = 0; i < spec->set_count; i++)
        check_set(&checker, &spec->sets[i]);
    check_disks(&checker);
    check_bare_addresses(&checker);
}
