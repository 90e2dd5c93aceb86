/* Reading and writing of a configuration. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(struct error *err, const char *what, const char *type)
{
    return fail(err, CODE_TYPE_MISMATCH, "\"%s\" had the wrong type. Expected %s", what, type);
}

static int read_number(const bson_iter_t *it, int64_t *out, struct error *err)
{
    if (!iter_is_number(it))
        return bad(err, bson_iter_key(it), "number");
    double d = BSON_ITER_HOLDS_DOUBLE(it) ? bson_iter_double(it) : 0;
    if (d < -9e15 || d > 9e15)
        return fail(err, CODE_BAD_VALUE, "%s is out of range", bson_iter_key(it));
    *out = BSON_ITER_HOLDS_DOUBLE(it) ? (int64_t)d : bson_iter_as_int64(it);
    return 0;
}

static int read_bool(const bson_iter_t *it, bool *out, struct error *err)
{
    if (!BSON_ITER_HOLDS_BOOL(it) && !iter_is_number(it))
        return bad(err, bson_iter_key(it), "bool");
    *out = bson_iter_as_bool(it);
    return 0;
}

static int read_object(const bson_iter_t *it, bson_t **out, struct error *err)
{
    bson_t child;
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !iter_document(it, &child))
        return bad(err, bson_iter_key(it), "object");
    bson_destroy(*out);
    *out = bson_copy(&child);
    return 0;
}

static int read_host(const bson_iter_t *it, struct member_config *m, struct error *err)
{
    char name[HOST_MAX - 8];
    int port;
    if (!BSON_ITER_HOLDS_UTF8(it))
        return bad(err, "host", "string");
    const char *text = bson_iter_utf8(it, NULL);
    if (host_split(text, name, sizeof name, &port))
        return fail(err, CODE_FAILED_TO_PARSE, "Failed to parse host and port: %.200s", text);
    snprintf(m->host, sizeof m->host, strchr(name, ':') ? "[%s]:%d" : "%s:%d", name, port);
    return 0;
}

static int read_member_field(struct member_config *m, const bson_iter_t *it, int server_version,
                             struct error *err)
{
    const char *key = bson_iter_key(it);
    int64_t number = 0;
    if (!strcmp(key, "_id"))
        return read_number(it, &m->id, err);
    if (!strcmp(key, "host"))
        return read_host(it, m, err);
    if (!strcmp(key, "arbiterOnly"))
        return read_bool(it, &m->arbiter, err);
    if (!strcmp(key, "buildIndexes"))
        return read_bool(it, &m->build_indexes, err);
    if (!strcmp(key, "hidden"))
        return read_bool(it, &m->hidden, err);
    if (!strcmp(key, "newlyAdded") && server_version >= 5)
        return read_bool(it, &m->newly_added, err);
    if (!strcmp(key, "tags"))
        return read_object(it, &m->tags, err);
    if (!strcmp(key, server_version >= 5 ? "secondaryDelaySecs" : "slaveDelay"))
        return read_number(it, &m->delay_secs, err);
    if (!strcmp(key, "priority")) {
        if (!iter_is_number(it))
            return bad(err, key, "number");
        m->priority = bson_iter_as_double(it);
        return 0;
    }
    if (!strcmp(key, "votes")) {
        if (read_number(it, &number, err))
            return -1;
        if (number < 0 || number > 1)
            return fail(err, CODE_BAD_VALUE, "votes field value is %lld but must be 0 or 1",
                        (long long)number);
        m->votes = (int)number;
        return 0;
    }
    if (server_version >= 5 && !strcmp(key, "slaveDelay"))
        return fail(err, 40415, "BSON field 'MemberConfig.slaveDelay' is an unknown field.");
    return fail(err, CODE_INVALID_CONFIG, "Unexpected field %s in replica set member configuration", key);
}

static int read_member(struct config *c, const bson_iter_t *it, struct error *err)
{
    bson_t doc;
    bson_iter_t field;
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !iter_document(it, &doc))
        return bad(err, "members", "array of objects");
    if (c->count == MEMBERS_MAX)
        return fail(err, CODE_BAD_VALUE,
                    "Replica set configuration contains more than the maximum allowable %d", MEMBERS_MAX);
    struct member_config *m = &c->members[c->count++];
    *m = (struct member_config){
        .id = -1, .build_indexes = true, .priority = -1, .votes = 1, .tags = bson_new()};
    if (!bson_has_field(&doc, "_id") || !bson_has_field(&doc, "host"))
        return fail(err, 4, "Missing expected field \"%s\"", bson_has_field(&doc, "_id") ? "host" : "_id");
    bson_iter_init(&field, &doc);
    while (bson_iter_next(&field))
        if (read_member_field(m, &field, c->server_version, err))
            return -1;
    if (m->priority < 0 && !bson_has_field(&doc, "priority"))
        m->priority = m->arbiter ? 0 : 1;
    else if (m->arbiter && m->priority >= 1 && m->priority <= 1)
        m->priority = 0; /* the server takes 1 for "the default" here */
    return 0;
}

static int read_setting(struct config *c, const bson_iter_t *it, struct error *err)
{
    static const struct {
        const char *name;
        size_t place;
        int64_t least;
    } numbers[] = {
        {"heartbeatIntervalMillis", offsetof(struct config, heartbeat_interval_ms), 1},
        {"heartbeatTimeoutSecs", offsetof(struct config, heartbeat_timeout_secs), 1},
        {"electionTimeoutMillis", offsetof(struct config, election_timeout_ms), 1},
        {"catchUpTimeoutMillis", offsetof(struct config, catch_up_timeout_ms), -1},
        {"catchUpTakeoverDelayMillis", offsetof(struct config, takeover_delay_ms), -1},
    };
    const char *key = bson_iter_key(it);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].name)) {
            int64_t *place = (int64_t *)((char *)c + numbers[i].place);
            if (read_number(it, place, err))
                return -1;
            return *place >= numbers[i].least
                       ? 0
                       : fail(err, CODE_BAD_VALUE, "%s field value must be greater than or equal to %lld",
                              key, (long long)numbers[i].least);
        }
    if (!strcmp(key, "chainingAllowed"))
        return read_bool(it, &c->chaining, err);
    if (!strcmp(key, "getLastErrorModes"))
        return read_object(it, &c->modes, err);
    if (!strcmp(key, "getLastErrorDefaults"))
        return read_object(it, &c->defaults, err);
    if (!strcmp(key, "replicaSetId") && BSON_ITER_HOLDS_OID(it)) {
        bson_oid_copy(bson_iter_oid(it), &c->id);
        c->has_id = true;
    }
    return 0; /* 4.0 and 7.0 both take unknown settings without a word */
}

static int read_children(struct config *c, const bson_iter_t *it,
                         int (*each)(struct config *, const bson_iter_t *, struct error *), struct error *err)
{
    bson_iter_t child;
    if (!bson_iter_recurse(it, &child))
        return bad(err, bson_iter_key(it), "object or array");
    while (bson_iter_next(&child))
        if (each(c, &child, err))
            return -1;
    return 0;
}

static int read_field(struct config *c, const bson_iter_t *it, struct error *err)
{
    const char *key = bson_iter_key(it);
    if (!strcmp(key, "_id")) {
        if (!BSON_ITER_HOLDS_UTF8(it))
            return bad(err, key, "string");
        snprintf(c->set_name, sizeof c->set_name, "%s", bson_iter_utf8(it, NULL));
        return 0;
    }
    if (!strcmp(key, "version"))
        return read_number(it, &c->version, err);
    if (!strcmp(key, "term") && c->server_version >= 5)
        return read_number(it, &c->term, err);
    if (!strcmp(key, "protocolVersion"))
        return read_number(it, &c->protocol_version, err);
    if (!strcmp(key, "writeConcernMajorityJournalDefault"))
        return read_bool(it, &c->majority_journal, err);
    if (!strcmp(key, "members"))
        return BSON_ITER_HOLDS_ARRAY(it) ? read_children(c, it, read_member, err) : bad(err, key, "array");
    if (!strcmp(key, "settings"))
        return BSON_ITER_HOLDS_DOCUMENT(it) ? read_children(c, it, read_setting, err)
                                            : bad(err, key, "object");
    return fail(err, CODE_INVALID_CONFIG, "Unexpected field %s in replica set configuration", key);
}

static struct config *config_new(int server_version)
{
    struct config *c = xcalloc(1, sizeof *c);
    c->references = 1;
    c->server_version = server_version;
    c->version = 1; /* replSetInitiate may leave it out */
    c->term = -1;
    c->protocol_version = 1;
    c->majority_journal = true;
    c->chaining = true;
    c->heartbeat_interval_ms = 2000;
    c->heartbeat_timeout_secs = 10;
    c->election_timeout_ms = 10000;
    c->catch_up_timeout_ms = -1;
    c->takeover_delay_ms = 30000;
    c->modes = bson_new();
    c->defaults = bson_new();
    bson_append_int32(c->defaults, "w", -1, 1);
    bson_append_int32(c->defaults, "wtimeout", -1, 0);
    return c;
}

int config_parse(const bson_t *doc, int server_version, struct config **out, struct error *err)
{
    struct config *c = config_new(server_version);
    bson_iter_t it;
    int rc = 0;
    if (!bson_has_field(doc, "_id") || !bson_has_field(doc, "members"))
        rc = fail(err, 4, "Missing expected field \"%s\"", bson_has_field(doc, "_id") ? "members" : "_id");
    bson_iter_init(&it, doc);
    while (rc == 0 && bson_iter_next(&it))
        rc = read_field(c, &it, err);
    if (rc) {
        config_release(c);
        return -1;
    }
    *out = c;
    return 0;
}

struct config *config_reference(struct config *config)
{
    if (config)
        config->references++;
    return config;
}

void config_release(struct config *config)
{
    if (!config || --config->references > 0)
        return;
    for (int i = 0; i < config->count; i++)
        bson_destroy(config->members[i].tags);
    bson_destroy(config->modes);
    bson_destroy(config->defaults);
    free(config);
}

struct config *config_copy(const struct config *config)
{
    struct config *copy = xcalloc(1, sizeof *copy);
    *copy = *config;
    copy->references = 1;
    copy->modes = bson_copy(config->modes);
    copy->defaults = bson_copy(config->defaults);
    for (int i = 0; i < copy->count; i++)
        copy->members[i].tags = bson_copy(config->members[i].tags);
    return copy;
}

static void write_member(const struct config *c, const struct member_config *m, bool internal, bson_t *out)
{
    if (m->id <= INT32_MAX)
        bson_append_int32(out, "_id", -1, (int32_t)m->id);
    else
        bson_append_int64(out, "_id", -1, m->id);
    bson_append_utf8(out, "host", -1, m->host, -1);
    bson_append_bool(out, "arbiterOnly", -1, m->arbiter);
    if (internal && m->newly_added)
        bson_append_bool(out, "newlyAdded", -1, true);
    bson_append_bool(out, "buildIndexes", -1, m->build_indexes);
    bson_append_bool(out, "hidden", -1, m->hidden);
    bson_append_double(out, "priority", -1, m->priority);
    bson_append_document(out, "tags", -1, m->tags);
    bson_append_int64(out, c->server_version >= 5 ? "secondaryDelaySecs" : "slaveDelay", -1, m->delay_secs);
    bson_append_int32(out, "votes", -1, m->votes);
}

static void write_settings(const struct config *c, bson_t *out)
{
    bson_append_bool(out, "chainingAllowed", -1, c->chaining);
    bson_append_int32(out, "heartbeatIntervalMillis", -1, (int32_t)c->heartbeat_interval_ms);
    bson_append_int32(out, "heartbeatTimeoutSecs", -1, (int32_t)c->heartbeat_timeout_secs);
    bson_append_int32(out, "electionTimeoutMillis", -1, (int32_t)c->election_timeout_ms);
    bson_append_int32(out, "catchUpTimeoutMillis", -1, (int32_t)c->catch_up_timeout_ms);
    bson_append_int32(out, "catchUpTakeoverDelayMillis", -1, (int32_t)c->takeover_delay_ms);
    bson_append_document(out, "getLastErrorModes", -1, c->modes);
    bson_append_document(out, "getLastErrorDefaults", -1, c->defaults);
    if (c->has_id)
        bson_append_oid(out, "replicaSetId", -1, &c->id);
}

void config_write(const struct config *c, bool internal, bson_t *out)
{
    bson_t members, child;
    bson_append_utf8(out, "_id", -1, c->set_name, -1);
    bson_append_int32(out, "version", -1, (int32_t)c->version);
    if (c->server_version >= 5 && c->term >= 0)
        bson_append_int64(out, "term", -1, c->term);
    bson_append_int64(out, "protocolVersion", -1, c->protocol_version);
    bson_append_bool(out, "writeConcernMajorityJournalDefault", -1, c->majority_journal);
    bson_append_array_begin(out, "members", -1, &members);
    for (int i = 0; i < c->count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        bson_append_document_begin(&members, key, -1, &child);
        write_member(c, &c->members[i], internal, &child);
        bson_append_document_end(&members, &child);
    }
    bson_append_array_end(out, &members);
    bson_append_document_begin(out, "settings", -1, &child);
    write_settings(c, &child);
    bson_append_document_end(out, &child);
}
