/* createUser, updateUser, dropUser, usersInfo. A password is turned into secrets at once and never kept. */
#include "users.h"

#include "access.h"
#include "sim.h"
#include "write_concern.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER_NAME_MAX = 200, ROLES_MAX = 100 };

static void user_id(const char *user, const char *db, char *out, size_t size)
{
    snprintf(out, size, "%s.%s", db, user);
}

static const bson_t *find_by_id(const struct sim *sim, const char *id)
{
    const struct collection *c = documents_collection(&sim->oplog.docs, USERS_NAMESPACE);
    bson_t key = BSON_INITIALIZER;
    bson_append_utf8(&key, "_id", -1, id, -1);
    const struct document *d = c ? collection_get(c, &key) : NULL;
    bson_destroy(&key);
    return d ? d->value : NULL;
}

const bson_t *user_find(const struct sim *sim, const char *user, const char *db)
{
    char id[2 * SCRAM_USER_MAX + 2];
    user_id(user, db, id, sizeof id);
    return find_by_id(sim, id);
}

bool users_exist(const struct sim *sim)
{
    const struct collection *c = documents_collection(&sim->oplog.docs, USERS_NAMESPACE);
    return c && c->count > 0;
}

static void put_base64(bson_t *out, const char *key, const uint8_t *bytes, size_t size)
{
    char text[2 * SCRAM_SALT_MAX];
    EVP_EncodeBlock((uint8_t *)text, bytes, (int)size);
    bson_append_utf8(out, key, -1, text, -1);
}

static bool get_base64(const bson_t *from, const char *key, uint8_t *out, size_t size)
{
    const char *text = get_text(from, key, "");
    uint8_t bytes[2 * SCRAM_SALT_MAX];
    if (strlen(text) != (size + 2) / 3 * 4 || strlen(text) / 4 * 3 > sizeof bytes ||
        EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)strlen(text)) < (int)size)
        return false;
    memcpy(out, bytes, size);
    return true;
}

bool user_secrets(const bson_t *user, enum scram_mechanism mechanism, struct scram_secrets *out)
{
    bson_t credentials, own;
    if (!get_document(user, "credentials", &credentials) ||
        !get_document(&credentials, scram_name(mechanism), &own))
        return false;
    memset(out, 0, sizeof *out);
    out->iterations = (int)get_int(&own, "iterationCount", 0);
    out->salt_size = scram_salt_size(mechanism);
    return out->iterations > 0 && get_base64(&own, "salt", out->salt, out->salt_size) &&
           get_base64(&own, "storedKey", out->stored_key, scram_key_size(mechanism)) &&
           get_base64(&own, "serverKey", out->server_key, scram_key_size(mechanism));
}

static void put_secrets(bson_t *out, enum scram_mechanism m, const char *user, const char *password)
{
    struct scram_secrets secrets;
    uint8_t salt[SCRAM_SALT_MAX];
    bson_t child;
    if (RAND_bytes(salt, sizeof salt) != 1)
        abort();
    scram_make(m, user, password, salt, &secrets);
    bson_append_document_begin(out, scram_name(m), -1, &child);
    bson_append_int32(&child, "iterationCount", -1, secrets.iterations);
    put_base64(&child, "salt", secrets.salt, secrets.salt_size);
    put_base64(&child, "storedKey", secrets.stored_key, scram_key_size(m));
    put_base64(&child, "serverKey", secrets.server_key, scram_key_size(m));
    bson_append_document_end(out, &child);
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
            return false;
    return true;
}

/* The mechanisms asked for as bits, all when the command names none; 0 for an unknown one. */
static unsigned wanted_mechanisms(const bson_t *body)
{
    bson_iter_t it, child;
    unsigned wanted = 0;
    if (!bson_iter_init_find(&it, body, "mechanisms") || !bson_iter_recurse(&it, &child))
        return (1u << SCRAM_MECHANISMS) - 1;
    while (bson_iter_next(&child)) {
        int m = BSON_ITER_HOLDS_UTF8(&child) ? scram_find(bson_iter_utf8(&child, NULL)) : -1;
        if (m < 0)
            return 0;
        wanted |= 1u << m;
    }
    return wanted;
}

static int put_credentials(const bson_t *body, const char *user, bson_t *out, struct error *err)
{
    const char *password = get_text(body, "pwd", "");
    unsigned wanted = wanted_mechanisms(body);
    bson_t child;
    if (!*password)
        return fail(err, CODE_BAD_VALUE, "Password cannot be empty");
    if (strlen(password) >= SCRAM_PASSWORD_MAX || !is_ascii(password))
        return fail(err, CODE_BAD_VALUE, "the stand-in takes ASCII passwords of up to %d characters alone",
                    SCRAM_PASSWORD_MAX - 1);
    if (!wanted)
        return fail(err, CODE_BAD_VALUE, "mechanisms names one that is unknown");
    bson_append_document_begin(out, "credentials", -1, &child);
    for (int m = 0; m < SCRAM_MECHANISMS; m++)
        if (wanted & 1u << m)
            put_secrets(&child, (enum scram_mechanism)m, user, password);
    bson_append_document_end(out, &child);
    return 0;
}

/* "role" stands for {role, db: the command's}. */
static int put_roles(const bson_t *body, const char *db, bson_t *out, struct error *err)
{
    bson_iter_t it, child;
    bson_t array, entry, given;
    int n = 0;
    if (!bson_iter_init_find(&it, body, "roles") || !BSON_ITER_HOLDS_ARRAY(&it) ||
        !bson_iter_recurse(&it, &child))
        return fail(err, CODE_BAD_VALUE, "\"createUser\" command requires a \"roles\" array");
    bson_append_array_begin(out, "roles", -1, &array);
    int rc = 0;
    while (rc == 0 && bson_iter_next(&child)) {
        bool whole = iter_document(&child, &given);
        const char *role = whole                          ? get_text(&given, "role", "")
                           : BSON_ITER_HOLDS_UTF8(&child) ? bson_iter_utf8(&child, NULL)
                                                          : "";
        const char *role_db = whole ? get_text(&given, "db", db) : db;
        char key[16];
        if (!access_role_exists(role) || n == ROLES_MAX) {
            rc = fail(err, CODE_ROLE_NOT_FOUND, "Could not find role: %s@%s", role, role_db);
            break;
        }
        snprintf(key, sizeof key, "%d", n++);
        bson_append_document_begin(&array, key, -1, &entry);
        bson_append_utf8(&entry, "role", -1, role, -1);
        bson_append_utf8(&entry, "db", -1, role_db, -1);
        bson_append_document_end(&array, &entry);
    }
    bson_append_array_end(out, &array);
    return rc;
}

static void log_change(struct sim *sim, const char *op, const bson_t *o, const char *id)
{
    bson_t entry = BSON_INITIALIZER, key;
    replset_begin_entry(sim, &entry, op, USERS_NAMESPACE);
    bson_append_document(&entry, "o", -1, o);
    if (*op == 'u') {
        bson_append_document_begin(&entry, "o2", -1, &key);
        bson_append_utf8(&key, "_id", -1, id, -1);
        bson_append_document_end(&entry, &key);
    }
    oplog_append(&sim->oplog, &entry);
    bson_destroy(&entry);
}

static void write_done(struct request *request)
{
    bson_t nothing = BSON_INITIALIZER;
    write_concern_reply(request, &nothing);
    bson_destroy(&nothing);
}

static void put_uuid(bson_t *out)
{
    uint8_t bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    bson_append_binary(out, "userId", -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}

void create_user_command(struct request *request)
{
    const bson_t *body = &request->message.body;
    const char *user = get_text(body, "createUser", ""), *db = request->message.db;
    char id[2 * SCRAM_USER_MAX + 2];
    struct error err = {0};
    bson_t document = BSON_INITIALIZER;
    user_id(user, db, id, sizeof id);
    bson_append_utf8(&document, "_id", -1, id, -1);
    put_uuid(&document);
    bson_append_utf8(&document, "user", -1, user, -1);
    bson_append_utf8(&document, "db", -1, db, -1);
    if (!*user || strlen(user) > USER_NAME_MAX || !is_ascii(user) || !strcmp(db, "local"))
        request_fail(request, CODE_BAD_VALUE, "Cannot create users in the %s database or without a name", db);
    else if (find_by_id(request->sim, id))
        request_fail(request, 51003, "User \"%s@%s\" already exists", user, db);
    else if (put_credentials(body, user, &document, &err) || put_roles(body, db, &document, &err))
        request_fail_error(request, &err);
    else {
        log_change(request->sim, "i", &document, id);
        write_done(request);
    }
    bson_destroy(&document);
}

void update_user_command(struct request *request)
{
    const bson_t *body = &request->message.body;
    const char *user = get_text(body, "updateUser", ""), *db = request->message.db;
    char id[2 * SCRAM_USER_MAX + 2];
    struct error err = {0};
    user_id(user, db, id, sizeof id);
    const bson_t *before = find_by_id(request->sim, id);
    bool password = bson_has_field(body, "pwd"), roles = bson_has_field(body, "roles");
    if (!before) {
        request_fail(request, CODE_USER_NOT_FOUND, "User '%s@%s' not found", user, db);
        return;
    }
    if (!password && !roles) {
        request_fail(request, CODE_BAD_VALUE, "Must specify at least one field to update in updateUser");
        return;
    }
    bson_t document = BSON_INITIALIZER;
    bson_copy_to_excluding_noinit(before, &document, password ? "credentials" : "roles",
                                  roles ? "roles" : NULL, NULL);
    if ((password && put_credentials(body, user, &document, &err)) ||
        (roles && put_roles(body, db, &document, &err))) {
        request_fail_error(request, &err);
    } else {
        log_change(request->sim, "u", &document, id);
        write_done(request);
    }
    bson_destroy(&document);
}

void drop_user_command(struct request *request)
{
    const char *user = get_text(&request->message.body, "dropUser", ""), *db = request->message.db;
    char id[2 * SCRAM_USER_MAX + 2];
    user_id(user, db, id, sizeof id);
    if (!find_by_id(request->sim, id)) {
        request_fail(request, CODE_USER_NOT_FOUND, "User '%s@%s' not found", user, db);
        return;
    }
    bson_t key = BSON_INITIALIZER;
    bson_append_utf8(&key, "_id", -1, id, -1);
    log_change(request->sim, "d", &key, id);
    bson_destroy(&key);
    write_done(request);
}

static void put_info(const bson_t *user, bson_t *array, int index)
{
    bson_t entry, mechanisms, credentials;
    char key[16];
    int n = 0;
    snprintf(key, sizeof key, "%d", index);
    bson_append_document_begin(array, key, -1, &entry);
    bson_copy_to_excluding_noinit(user, &entry, "credentials", NULL);
    bson_append_array_begin(&entry, "mechanisms", -1, &mechanisms);
    for (int m = 0; m < SCRAM_MECHANISMS; m++)
        if (get_document(user, "credentials", &credentials) &&
            bson_has_field(&credentials, scram_name((enum scram_mechanism)m)))
            bson_append_utf8(&mechanisms, n++ ? "1" : "0", 1, scram_name((enum scram_mechanism)m), -1);
    bson_append_array_end(&entry, &mechanisms);
    bson_append_document_end(array, &entry);
}

/* What usersInfo asks for: 1 (all of the database), a name, {user, db}, or {forAllDBs: true}. */
static bool is_wanted(const bson_t *body, const char *db, const bson_t *user)
{
    bson_t asked;
    const char *name = get_text(body, "usersInfo", ""), *user_db = get_text(user, "db", "");
    if (get_document(body, "usersInfo", &asked)) {
        if (get_bool(&asked, "forAllDBs", false))
            return true;
        name = get_text(&asked, "user", "");
        db = get_text(&asked, "db", db);
    }
    return !strcmp(user_db, db) && (!*name || !strcmp(name, get_text(user, "user", "")));
}

void users_info_command(struct request *request)
{
    const struct collection *c = documents_collection(&request->sim->oplog.docs, USERS_NAMESPACE);
    bson_t out = BSON_INITIALIZER, array;
    int n = 0;
    bson_append_array_begin(&out, "users", -1, &array);
    for (const struct document *d = c ? c->first : NULL; d; d = d->next)
        if (is_wanted(&request->message.body, request->message.db, d->value))
            put_info(d->value, &array, n++);
    bson_append_array_end(&out, &array);
    request_reply(request, &out);
    bson_destroy(&out);
}
