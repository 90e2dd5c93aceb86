/* The store's records: see records.h. */
#include "controller/act/records.h"

#include <string.h>

#include "proto/base/json.h"

static const char *const birth_texts[] = {
#define X(name, text) [name] = text,
    BIRTH_STATES(X)
#undef X
};

const char *record_kind(const char *key)
{
    static const struct {
        const char *key, *kind;
    } kinds[] = {
#define X(key, kind) {key, kind},
        RECORD_KINDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].key);
        bool is_prefix = kinds[i].key[length - 1] == '/';
        if (strncmp(key, kinds[i].key, length) == 0 && (is_prefix ? key[length] : !key[length]))
            return kinds[i].kind;
    }
    return NULL;
}

static int birth_from_text(const char *text, enum birth_state *out, struct error *err)
{
    for (size_t i = 0; i < sizeof birth_texts / sizeof *birth_texts; i++)
        if (strcmp(text, birth_texts[i]) == 0) {
            *out = (enum birth_state)i;
            return 0;
        }
    return error_set(err, ERROR_INVALID,
                     "birth \"%.32s\" is not known: was this store written by a newer version?", text);
}

struct json *ledger_write(const struct ledger *ledger)
{
    struct json *root = json_object();
    json_set_string(root, "set", ledger->set);
    json_set_string(root, "birth", birth_texts[ledger->birth]);
    json_set_int(root, "birthOrdinal", ledger->birth_ordinal);
    json_set_string(root, "replicaSetId", ledger->replica_set_id);
    json_set_int(root, "nextId", ledger->next_id);
    if (ledger->config_version)
        json_set_int(root, "configVersion", ledger->config_version);
    struct json *members = json_set(root, "members", json_array());
    for (size_t i = 0; i < ledger->member_count; i++) {
        const struct ledger_member *member = &ledger->members[i];
        struct json *entry = json_append(members, json_object());
        json_set_int(entry, "ordinal", member->ordinal);
        json_set_int(entry, "id", member->id);
        json_set_string(entry, "diskId", member->disk_id);
        json_set_bool(entry, "removed", member->removed);
    }
    return root;
}

int ledger_record_write(const struct ledger *ledger, struct buffer *out, struct error *err)
{
    struct json *root = ledger_write(ledger);
    int result = json_print(root, JSON_COMPACT, out, err);
    json_destroy(root);
    return result;
}

static int read_member(const struct json *json, struct arena *arena, struct ledger_member *out,
                       struct error *err)
{
    int64_t ordinal = 0, id = -1;
    out->disk_id = "";
    if (json_read_int(json, "ordinal", JSON_REQUIRED, 1, INT32_MAX, &ordinal, err) ||
        json_read_int(json, "id", JSON_REQUIRED, -1, INT32_MAX, &id, err) ||
        json_read_string(json, "diskId", JSON_OPTIONAL, arena, &out->disk_id, err) ||
        json_read_bool(json, "removed", JSON_OPTIONAL, &out->removed, err))
        return -1;
    out->ordinal = (int)ordinal;
    out->id = (int)id;
    return 0;
}

static int read_members(const struct json *root, struct arena *arena, struct ledger *out, struct error *err)
{
    const struct json *list = NULL;
    /* Members that left are kept for ever, so there may be more than a set can have at once. */
    if (json_read_array(root, "members", JSON_REQUIRED, 10000, &list, err))
        return -1;
    struct ledger_member *members = arena_array(arena, json_count(list), sizeof *members);
    size_t count = 0;
    if (json_count(list) && !members)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a ledger");
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        if (read_member(item, arena, &members[count++], err))
            return -1;
        if (count > 1 && members[count - 1].ordinal <= members[count - 2].ordinal)
            return error_set(err, ERROR_INVALID, "its members are not in the order of their ordinals");
        if (members[count - 1].id >= out->next_id)
            return error_set(err, ERROR_INVALID, "_id %d is given and not below nextId",
                             members[count - 1].id);
    }
    out->members = members;
    out->member_count = count;
    return 0;
}

int ledger_read(const struct json *root, const char *set, struct arena *arena, struct ledger *out,
                struct error *err)
{
    struct ledger ledger = {.set = "", .replica_set_id = ""};
    const char *birth = "";
    int64_t birth_ordinal = 0, next_id = 0;
    if (json_read_string(root, "set", JSON_REQUIRED, arena, &ledger.set, err) ||
        json_read_string(root, "birth", JSON_REQUIRED, arena, &birth, err) ||
        json_read_int(root, "birthOrdinal", JSON_REQUIRED, 0, INT32_MAX, &birth_ordinal, err) ||
        json_read_string(root, "replicaSetId", JSON_REQUIRED, arena, &ledger.replica_set_id, err) ||
        json_read_int(root, "nextId", JSON_REQUIRED, 0, INT32_MAX, &next_id, err) ||
        json_read_int(root, "configVersion", JSON_OPTIONAL, 0, INT64_C(1) << 53, &ledger.config_version,
                      err) ||
        birth_from_text(birth, &ledger.birth, err))
        return -1;
    ledger.next_id = (int)next_id;
    if (read_members(root, arena, &ledger, err))
        return -1;
    if (strcmp(ledger.set, set) != 0)
        return error_set(err, ERROR_INVALID, "it is of set \"%s\"", ledger.set);
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory for a ledger");
    ledger.birth_ordinal = (int)birth_ordinal;
    *out = ledger;
    return 0;
}

int ledger_record_read(const char *data, size_t length, const char *set, struct arena *arena,
                       struct ledger *out, struct error *err)
{
    struct json *root = json_parse(data, length, RECORD_BYTES_MAX, err);
    int result = root ? ledger_read(root, set, arena, out, err) : -1;
    json_destroy(root);
    return result ? error_wrap(err, "the store's record " RECORD_LEDGER_PREFIX "%s", set) : 0;
}

int number_record_read(const char *data, size_t length, const char *key, int64_t *out, struct error *err)
{
    int64_t value = 0;
    bool good = length > 0 && length < RECORD_NUMBER_MAX;
    for (size_t i = 0; good && i < length; i++) {
        good = data[i] >= '0' && data[i] <= '9' && value <= (INT64_C(1) << 53) / 10;
        value = value * 10 + (data[i] - '0');
    }
    if (!good)
        return error_set(err, ERROR_INVALID, "the store's record %s is not a number", key);
    *out = value;
    return 0;
}

int spec_revision_record_write(const struct spec_revision *value, struct buffer *out, struct error *err)
{
    struct json *root = json_object();
    json_set_int(root, "revision", value->revision);
    json_set_int(root, "appliedAtMs", value->applied_at_ms);
    int result = json_print(root, JSON_COMPACT, out, err);
    json_destroy(root);
    return result;
}

int spec_revision_record_read(const char *data, size_t length, struct spec_revision *out, struct error *err)
{
    struct json *root = json_parse(data, length, RECORD_BYTES_MAX, err);
    struct spec_revision value = {0};
    int result =
        root && !json_read_int(root, "revision", JSON_REQUIRED, 1, INT64_C(1) << 53, &value.revision, err) &&
                !json_read_int(root, "appliedAtMs", JSON_OPTIONAL, 0, INT64_C(1) << 53, &value.applied_at_ms,
                               err)
            ? 0
            : -1;
    json_destroy(root);
    if (result)
        return error_wrap(err, "the store's record " RECORD_SPEC_REVISION);
    *out = value;
    return 0;
}

int set_keys_record_write(const struct set_keys *keys, struct buffer *out, struct error *err)
{
    struct json *root = json_object();
    json_set_string(root, "id", keys->id);
    struct json *list = json_set(root, "keys", json_array());
    for (size_t i = 0; i < keys->key_count; i++)
        json_append(list, json_string(keys->keys[i]));
    json_set_int(root, "rounds", keys->rounds);
    json_set_string(root, "adminPassword", keys->admin_password);
    json_set_bool(root, "adminMade", keys->admin_made);
    int result = json_print(root, JSON_COMPACT, out, err);
    json_destroy(root);
    return result;
}

static int copy_secret(const char *text, char *out, size_t size, struct error *err)
{
    if (!text || strlen(text) >= size)
        return error_set(err, ERROR_INVALID, "a key is missing or too long");
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_set_keys(const struct json *root, struct set_keys *out, struct error *err)
{
    struct set_keys keys = {.key_count = 0};
    const struct json *list = NULL;
    int64_t rounds = 0;
    if (copy_secret(json_get_text(root, "id", NULL), keys.id, sizeof keys.id, err) ||
        copy_secret(json_get_text(root, "adminPassword", ""), keys.admin_password, sizeof keys.admin_password,
                    err) ||
        json_read_bool(root, "adminMade", JSON_OPTIONAL, &keys.admin_made, err) ||
        json_read_int(root, "rounds", JSON_OPTIONAL, 0, KEYFILE_ROUNDS_MAX, &rounds, err) ||
        json_read_array(root, "keys", JSON_REQUIRED, KEYFILE_KEYS_MAX, &list, err))
        return -1;
    for (const struct json *item = json_first(list); item; item = json_next(item))
        if (copy_secret(json_text(item), keys.keys[keys.key_count++], KEYFILE_KEY_MAX, err))
            return -1;
    if (!keys.key_count)
        return error_set(err, ERROR_INVALID, "there is no key");
    keys.rounds = (int)rounds;
    *out = keys;
    return 0;
}

int set_keys_record_read(const char *data, size_t length, const char *set, struct set_keys *out,
                         struct error *err)
{
    struct json *root = json_parse(data, length, RECORD_BYTES_MAX, err);
    int result = root ? read_set_keys(root, out, err) : -1;
    json_destroy(root);
    return result ? error_wrap(err, "the store's record " RECORD_KEYS_PREFIX "%s", set) : 0;
}
