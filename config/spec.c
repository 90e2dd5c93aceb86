/* The defaults of a spec, the names that the system makes from it, and looking things up in it: see spec.h.
 */
#include "config/spec.h"

#include <assert.h>
#include <string.h>

struct spec_zone spec_zone_default(void)
{
    return (struct spec_zone){
        .name = "", .driver = SPEC_DEFAULT_DRIVER, .project = "", .namespace_ = SPEC_DEFAULT_NAMESPACE};
}

struct spec_set spec_set_default(void)
{
    return (struct spec_set){
        .name = "",
        .image = "",
        .storage_bytes = SPEC_DEFAULT_STORAGE_BYTES,
        .storage_type = SPEC_DEFAULT_STORAGE_TYPE,
        .port = SPEC_DEFAULT_PORT,
        .address = ADDRESS_EXTERNAL_IP,
        .domain = "",
        .cpu = "",
        .memory = "",
        .auth = true,
        .rollout_soak_ms = SPEC_DEFAULT_ROLLOUT_SOAK_MS,
        .rollout_max_lag_ms = SPEC_DEFAULT_ROLLOUT_MAX_LAG_MS,
        .backup_schedule = "",
        .backup_keep = SPEC_DEFAULT_BACKUP_KEEP,
        .drills_allowed = true,
    };
}

struct spec_member spec_member_default(void)
{
    return (struct spec_member){.zone = "", .priority = 1, .votes = 1, .disk = ""};
}

struct spec spec_default(void)
{
    return (struct spec){.name = "", .tls = true};
}

/* https://www.mongodb.com/docs/manual/reference/replica-configuration/#mongodb-rsconf-rsconf.members-n-.priority
 */
double spec_member_default_priority(const struct spec_member *member)
{
    bool never_primary =
        member->votes == 0 || member->hidden || member->arbiter_only || member->secondary_delay_secs > 0;
    return never_primary ? 0 : 1;
}

/* 1 is a, 26 is z, 27 is aa, 28 is ab: like the columns of a spreadsheet. */
static const char *letters(int ordinal, char buffer[16])
{
    char *at = buffer + 15;
    for (*at = 0; ordinal > 0; ordinal = (ordinal - 1) / 26)
        *--at = (char)('a' + (ordinal - 1) % 26);
    return at;
}

/* set + infix + ending, as each plan makes hundreds of them: without a format. */
static const char *join(struct arena *arena, const char *set, const char *infix, const char *ending)
{
    size_t one = strlen(set), two = strlen(infix), three = strlen(ending);
    char *name = arena_alloc(arena, one + two + three + 1);
    if (!name)
        return "";
    memcpy(name, set, one);
    memcpy(name + one, infix, two);
    memcpy(name + one + two, ending, three);
    return name;
}

static const char *digits(int number, char buffer[16])
{
    char *at = buffer + 15;
    *at = '\0';
    for (; number > 0; number /= 10)
        *--at = (char)('0' + number % 10);
    return at;
}

const char *spec_node_name(const struct spec_set *set, const struct spec_member *member, struct arena *arena)
{
    char buffer[16];
    assert(member->ordinal > 0);
    return join(arena, set->name, "-node", digits(member->ordinal, buffer));
}

struct member_names spec_member_names(const struct spec_set *set, const struct spec_member *member,
                                      struct arena *arena)
{
    assert(member->ordinal > 0);
    char buffer[16], service[16];
    const char *n = digits(member->ordinal, buffer);
    bool own_disk = member->disk && *member->disk;
    return (struct member_names){
        .node = join(arena, set->name, "-node", n),
        .controller = join(arena, set->name, "-rc", n),
        .service = join(arena, set->name, "-svc-", letters(member->ordinal, service)),
        .volume = join(arena, set->name, "-persistent-storage", n),
        .disk = own_disk ? arena_string(arena, member->disk) : join(arena, set->name, "db-disk", n),
    };
}

const char *spec_headless_service(const struct spec_set *set, struct arena *arena)
{
    return arena_printf(arena, "%s-svc", set->name);
}

const struct spec_set *spec_find_set(const struct spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->set_count; i++)
        if (strcmp(spec->sets[i].name, name) == 0)
            return &spec->sets[i];
    return NULL;
}

const struct spec_zone *spec_find_zone(const struct spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->zone_count; i++)
        if (strcmp(spec->zones[i].name, name) == 0)
            return &spec->zones[i];
    return NULL;
}

const struct spec_member *spec_find_member(const struct spec_set *set, int ordinal)
{
    for (size_t i = 0; i < set->member_count; i++)
        if (set->members[i].ordinal == ordinal)
            return &set->members[i];
    return NULL;
}
