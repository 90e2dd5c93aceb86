/* The server's own rules for a configuration, and for the step from one to the next; the sentences are the
 * server's. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int member_votes(const struct member_config *m)
{
    return m->newly_added ? 0 : m->votes;
}

double member_priority(const struct member_config *m)
{
    return m->newly_added || m->arbiter ? 0 : m->priority;
}

int config_find_host(const struct config *c, const char *host)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->members[i].host, host))
            return i;
    return -1;
}

int config_find_id(const struct config *c, int64_t id)
{
    for (int i = 0; i < c->count; i++)
        if (c->members[i].id == id)
            return i;
    return -1;
}

int config_voters(const struct config *c)
{
    int n = 0;
    for (int i = 0; i < c->count; i++)
        n += member_votes(&c->members[i]);
    return n;
}

int config_majority(const struct config *c)
{
    return config_voters(c) / 2 + 1;
}

int config_writable_voters(const struct config *c)
{
    int n = 0;
    for (int i = 0; i < c->count; i++)
        n += member_votes(&c->members[i]) && !c->members[i].arbiter;
    return n;
}

int config_write_majority(const struct config *c)
{
    int majority = config_majority(c), writable = config_writable_voters(c);
    return majority < writable ? majority : writable;
}

/* https://www.mongodb.com/docs/manual/reference/write-concern/#implicit-default-write-concern */
bool config_default_majority(const struct config *c)
{
    int arbiters = 0;
    for (int i = 0; i < c->count; i++)
        arbiters += c->members[i].arbiter;
    return c->server_version >= 5 && (!arbiters || config_writable_voters(c) > config_majority(c));
}

int config_compare(int64_t version_a, int64_t term_a, int64_t version_b, int64_t term_b)
{
    if (term_a >= 0 && term_b >= 0 && term_a != term_b)
        return term_a < term_b ? -1 : 1;
    return version_a < version_b ? -1 : version_a > version_b;
}

const char *config_name(const struct config *c, char *text, size_t size)
{
    if (c->server_version >= 5)
        snprintf(text, size, "{version: %" PRId64 ", term: %" PRId64 "}", c->version, c->term);
    else
        snprintf(text, size, "%" PRId64, c->version);
    return text;
}

static int check_member(const struct config *c, const struct member_config *m, struct error *err)
{
    int64_t id_max = c->server_version >= 5 ? INT32_MAX : 255;
    if (m->id < 0 || m->id > id_max)
        return fail(err, CODE_BAD_VALUE, "_id field value of %" PRId64 " is out of range.", m->id);
    if (m->priority < 0 || m->priority > 1000)
        return fail(err, CODE_BAD_VALUE, "priority field value of %g is out of range", m->priority);
    if (m->arbiter && !m->votes)
        return fail(err, CODE_BAD_VALUE, "Arbiter must vote (cannot have 0 votes)");
    if (m->arbiter && m->priority > 0)
        return fail(err, CODE_INVALID_CONFIG,
                    "Member %s is an arbiter but has priority %g. Arbiter priority must be 0.", m->host,
                    m->priority);
    if (m->delay_secs < 0 || m->delay_secs > 3600LL * 24 * 366)
        return fail(err, CODE_BAD_VALUE, "%s field value of %" PRId64 " seconds is out of range",
                    c->server_version >= 5 ? "secondaryDelaySecs" : "slaveDelay", m->delay_secs);
    if (m->delay_secs > 0 && m->priority > 0)
        return fail(err, CODE_BAD_VALUE, "%s requires priority be zero",
                    c->server_version >= 5 ? "secondaryDelaySecs" : "slaveDelay");
    if (m->hidden && m->priority > 0)
        return fail(err, CODE_BAD_VALUE, "priority must be 0 when hidden=true");
    if (!m->build_indexes && m->priority > 0)
        return fail(err, CODE_BAD_VALUE, "priority must be 0 when buildIndexes=false");
    if (!m->votes && m->priority > 0)
        return fail(err, CODE_BAD_VALUE, "priority must be 0 when non-voting (votes:0)");
    return 0;
}

static int check_pair(const struct config *c, int i, int j, struct error *err)
{
    const struct member_config *a = &c->members[i], *b = &c->members[j];
    if (a->id == b->id)
        return fail(err, CODE_BAD_VALUE,
                    "Found two member configurations with same _id field, members.%d._id == members.%d._id "
                    "== %" PRId64,
                    i, j, a->id);
    if (!strcmp(a->host, b->host))
        return fail(
            err, CODE_BAD_VALUE,
            "Found two member configurations with same host field, members.%d.host == members.%d.host == %s",
            i, j, a->host);
    return 0;
}

static bool is_local(const char *host)
{
    char name[HOST_MAX];
    int port;
    return host_split(host, name, sizeof name, &port) == 0 &&
           (!strcmp(name, "localhost") || !strncmp(name, "127.", 4) || !strcmp(name, "::1"));
}

/* All localhost or none, as no other machine could reach such a member. Every 127.* counts as localhost. */
static int check_local(const struct config *c, struct error *err)
{
    int local = 0;
    for (int i = 0; i < c->count; i++)
        local += is_local(c->members[i].host);
    if (local && local != c->count)
        return fail(err, CODE_BAD_VALUE,
                    "Either all host names in a replica set configuration must be localhost references, or "
                    "none must be; "
                    "found %d out of %d",
                    local, c->count);
    return 0;
}

int config_validate(const struct config *c, struct error *err)
{
    int electable = 0;
    if (c->version <= 0 || c->version > INT32_MAX)
        return fail(err, CODE_BAD_VALUE, "version field value of %" PRId64 " is out of range", c->version);
    if (!*c->set_name)
        return fail(err, CODE_BAD_VALUE, "Replica set configuration must have non-empty _id field");
    if (c->protocol_version != 1)
        return fail(err, CODE_BAD_VALUE, "protocolVersion field value of %" PRId64 " is not 1",
                    c->protocol_version);
    if (c->count == 0)
        return fail(err, CODE_BAD_VALUE, "Number of replica set members must be at least 1.");
    for (int i = 0; i < c->count; i++) {
        if (check_member(c, &c->members[i], err))
            return -1;
        electable += member_priority(&c->members[i]) > 0;
        for (int j = i + 1; j < c->count; j++)
            if (check_pair(c, i, j, err))
                return -1;
    }
    if (check_local(c, err))
        return -1;
    int voters = config_voters(c);
    if (voters > VOTERS_MAX || voters == 0)
        return fail(err, CODE_BAD_VALUE,
                    "Replica set configuration contains %d voting members, but must be at least 1 and no "
                    "more than %d",
                    voters, VOTERS_MAX);
    if (!electable)
        return fail(
            err, CODE_BAD_VALUE,
            "Replica set configuration must contain at least one non-arbiter member with priority > 0");
    return 0;
}

static int check_same_member(const struct config *new, const struct member_config *a,
                             const struct member_config *b, struct error *err)
{
    bool same_id = a->id == b->id, same_host = !strcmp(a->host, b->host);
    const char *field = NULL;
    if (same_host && !same_id)
        return fail(err, CODE_CONFIG_INCOMPATIBLE,
                    "New and old configurations both have members with host of %s but in the new "
                    "configuration the _id "
                    "field is %" PRId64 " and in the old configuration it is %" PRId64 " for replica set %s",
                    a->host, b->id, a->id, new->set_name);
    if (!same_id)
        return 0;
    if (a->build_indexes != b->build_indexes)
        field = "buildIndexes";
    else if (a->arbiter != b->arbiter)
        field = "arbiterOnly";
    if (!field)
        return 0;
    return fail(err, CODE_CONFIG_INCOMPATIBLE,
                "New and old configurations differ in the setting of the %s field for member %s; to make "
                "this change, "
                "remove then re-add the member",
                field, a->host);
}

/* The symmetric difference of the voting _ids, counting a newlyAdded member as what it is now: without a
 * vote. */
static int voters_changed(const struct config *old, const struct config *new)
{
    int changed = 0;
    for (int i = 0; i < old->count; i++) {
        int j = config_find_id(new, old->members[i].id);
        changed += member_votes(&old->members[i]) && (j < 0 || !member_votes(&new->members[j]));
    }
    for (int j = 0; j < new->count; j++) {
        int i = config_find_id(old, new->members[j].id);
        changed += member_votes(&new->members[j]) && (i < 0 || !member_votes(&old->members[i]));
    }
    return changed;
}

static int check_newer(const struct config *old, const struct config *new, struct error *err)
{
    char a[80], b[80];
    if (config_compare(new->version, new->term, old->version, old->term) > 0)
        return 0;
    return fail(
        err, CODE_CONFIG_INCOMPATIBLE,
        "New replica set configuration version %smust be greater than old, but %s is not greater than %s for "
        "replica set %s",
        new->server_version >= 5 ? "and term " : "", config_name(new, a, sizeof a),
        config_name(old, b, sizeof b), new->set_name);
}

int config_compatible(const struct config *old, const struct config *new, bool force, struct error *err)
{
    char a[25], b[25] = "not set";
    if (check_newer(old, new, err))
        return -1;
    if (strcmp(old->set_name, new->set_name) != 0)
        return fail(err, CODE_CONFIG_INCOMPATIBLE,
                    "New and old configurations differ in replica set name; old was %s, and new is %s",
                    old->set_name, new->set_name);
    if (old->has_id && (!new->has_id || !bson_oid_equal(&old->id, &new->id))) {
        bson_oid_to_string(&old->id, a);
        if (new->has_id)
            bson_oid_to_string(&new->id, b);
        return fail(err, CODE_CONFIG_INCOMPATIBLE,
                    "New and old configurations differ in replica set ID; old was %s, and new is %s", a, b);
    }
    for (int j = 0; j < new->count; j++)
        for (int i = 0; i < old->count; i++)
            if (check_same_member(new, &old->members[i], &new->members[j], err))
                return -1;
    if (!force && config_default_majority(old) != config_default_majority(new))
        return fail(
            err, CODE_CONFIG_INCOMPATIBLE,
            "Reconfig attempted to install a config that would change the implicit default write concern. "
            "Use the "
            "setDefaultRWConcern command to set a cluster-wide write concern and try the reconfig again.");
    if (!force && new->server_version >= 5 && voters_changed(old, new) > 1)
        return fail(err, CODE_INVALID_CONFIG,
                    "Non force replica set reconfig can only add or remove at most 1 voting member.");
    return 0;
}
