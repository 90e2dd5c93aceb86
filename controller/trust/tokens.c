/* Bearer tokens: see tokens.h. */
#include "controller/trust/tokens.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES_MAX = 1024, ID_BYTES = TOKEN_ID_LENGTH / 2, SECRET_BYTES = TOKEN_SECRET_LENGTH / 2 };
#define TOKEN_PREFIX "atoll_"
static const int64_t day_ms = INT64_C(86400000);

static_assert(TOKEN_TEXT_MAX == sizeof TOKEN_PREFIX - 1 + TOKEN_ID_LENGTH + 1 + TOKEN_SECRET_LENGTH + 1,
              "a token's parts");

static void hex_write(const unsigned char *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *text, unsigned char *out, size_t count)
{
    if (strlen(text) != 2 * count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* ---- their records ---- */

static struct json *record_write(const struct token *token)
{
    char hash[2 * TOKEN_HASH_LENGTH + 1];
    struct json *json = json_object();
    hex_write(token->hash, TOKEN_HASH_LENGTH, hash);
    json_set_string(json, "name", token->name);
    json_set_string(json, "role", caller_kind_name(token->role));
    json_set_string(json, "sha256", hash);
    json_set_int(json, "createdMs", token->created_ms);
    json_set_int(json, "expiresMs", token->expires_ms);
    return json;
}

static int record_read(const struct store_record *record, struct token *out, struct error *err)
{
    const char *id = record->key + strlen(STORE_TOKEN_PREFIX);
    struct json *json = json_parse(record->data, record->length, RECORD_BYTES_MAX, err);
    if (!json)
        return error_wrap(err, "the store's record %.64s", record->key);
    const char *name = json_get_text(json, "name", "");
    *out = (struct token){.created_ms = json_get_int(json, "createdMs", 0),
                          .expires_ms = json_get_int(json, "expiresMs", 0)};
    bool good = strlen(id) == TOKEN_ID_LENGTH && caller_name_is_good(name) &&
                caller_role_from_name(json_get_text(json, "role", ""), &out->role) &&
                hex_read(json_get_text(json, "sha256", ""), out->hash, TOKEN_HASH_LENGTH);
    snprintf(out->id, sizeof out->id, "%s", id);
    snprintf(out->name, sizeof out->name, "%s", name);
    json_destroy(json);
    return good ? 0 : error_set(err, ERROR_INVALID, "the store's record %.64s is no token", record->key);
}

int tokens_init(struct tokens *tokens, struct store *store, struct error *err)
{
    struct arena arena;
    const struct store_record *records = NULL;
    size_t count = 0;
    *tokens = (struct tokens){.store = store, .items = calloc(TOKENS_MAX, sizeof *tokens->items)};
    if (!tokens->items)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the tokens");
    arena_init(&arena, 0);
    int result = store_load(store, &arena, &records, &count, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (strncmp(records[i].key, STORE_TOKEN_PREFIX, strlen(STORE_TOKEN_PREFIX)) != 0)
            continue;
        if (tokens->count == TOKENS_MAX)
            result = error_set(err, ERROR_TOO_LARGE, "the store holds more than %d tokens (TOKENS_MAX)",
                               TOKENS_MAX);
        else
            result = record_read(&records[i], &tokens->items[tokens->count++], err);
    }
    arena_finish(&arena);
    if (result)
        tokens_finish(tokens);
    return result ? -1 : 0;
}

void tokens_finish(struct tokens *tokens)
{
    free(tokens->items);
    *tokens = (struct tokens){0};
}

static int keep(struct tokens *tokens, const struct token *token, struct error *err)
{
    char key[sizeof STORE_TOKEN_PREFIX + TOKEN_ID_LENGTH];
    struct buffer text;
    struct json *json = record_write(token);
    buffer_init(&text, RECORD_BYTES_MAX);
    snprintf(key, sizeof key, STORE_TOKEN_PREFIX "%s", token->id);
    int result = json_print(json, JSON_COMPACT, &text, err);
    if (result == 0)
        result = store_write(tokens->store, &(struct store_record){key, text.data, text.length}, 1, err);
    buffer_finish(&text);
    json_destroy(json);
    return result ? -1 : 0;
}

static int forget(struct tokens *tokens, size_t index, struct error *err)
{
    char key[sizeof STORE_TOKEN_PREFIX + TOKEN_ID_LENGTH];
    snprintf(key, sizeof key, STORE_TOKEN_PREFIX "%s", tokens->items[index].id);
    if (store_write(tokens->store, &(struct store_record){key, NULL, 0}, 1, err))
        return -1;
    tokens->items[index] = tokens->items[--tokens->count];
    return 0;
}

/* ---- making and taking away ---- */

/* Those that are over make room, also for their names. */
static int make_room(struct tokens *tokens, const char *name, int64_t now_ms, struct error *err)
{
    for (size_t i = tokens->count; i-- > 0;) {
        bool over = tokens->items[i].expires_ms <= now_ms;
        bool same = strcmp(tokens->items[i].name, name) == 0;
        if (same && !over)
            return error_set(err, ERROR_CONFLICT,
                             "%s has a token already, %s: revoke it first, or give another name", name,
                             tokens->items[i].id);
        if (over && (same || tokens->count == TOKENS_MAX) && forget(tokens, i, err))
            return -1;
    }
    if (tokens->count == TOKENS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "there are %d tokens already (TOKENS_MAX): revoke some",
                         TOKENS_MAX);
    return 0;
}

static int check(const char *name, enum caller_kind role, int64_t days, struct error *err)
{
    if (!caller_name_is_good(name))
        return error_set(
            err, ERROR_INVALID,
            "a token's name has 1 to %d letters, digits or . _ @ - and begins with a letter or digit",
            CALLER_NAME_MAX);
    if (role < CALLER_VIEWER || role > CALLER_ADMIN)
        return error_set(err, ERROR_INVALID, "a token's role is viewer, operator or admin");
    if (days < 1 || days > TOKEN_DAYS_MAX)
        return error_set(err, ERROR_INVALID, "a token lives 1 to %d days, not %lld", TOKEN_DAYS_MAX,
                         (long long)days);
    return 0;
}

static int draw(char id[TOKEN_ID_LENGTH + 1], char text[TOKEN_TEXT_MAX], struct error *err)
{
    unsigned char bytes[ID_BYTES + SECRET_BYTES];
    char secret[TOKEN_SECRET_LENGTH + 1];
    if (RAND_priv_bytes(bytes, sizeof bytes) != 1)
        return error_set(err, ERROR_INTERNAL, "no random bytes can be had for a token");
    hex_write(bytes, ID_BYTES, id);
    hex_write(bytes + ID_BYTES, SECRET_BYTES, secret);
    snprintf(text, TOKEN_TEXT_MAX, TOKEN_PREFIX "%s_%s", id, secret);
    OPENSSL_cleanse(bytes, sizeof bytes);
    OPENSSL_cleanse(secret, sizeof secret);
    return 0;
}

int tokens_create(struct tokens *tokens, const char *name, enum caller_kind role, int64_t days,
                  int64_t now_ms, char text[TOKEN_TEXT_MAX], struct token *out, struct error *err)
{
    struct token token = {.role = role, .created_ms = now_ms, .expires_ms = now_ms + days * day_ms};
    if (check(name, role, days, err) || make_room(tokens, name, now_ms, err) || draw(token.id, text, err))
        return -1;
    snprintf(token.name, sizeof token.name, "%s", name);
    SHA256((const unsigned char *)text, strlen(text), token.hash);
    if (keep(tokens, &token, err)) {
        OPENSSL_cleanse(text, TOKEN_TEXT_MAX);
        return -1;
    }
    tokens->items[tokens->count++] = token;
    *out = token;
    return 0;
}

int tokens_revoke(struct tokens *tokens, const char *id_or_name, struct token *out, struct error *err)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (strcmp(tokens->items[i].id, id_or_name) == 0 || strcmp(tokens->items[i].name, id_or_name) == 0) {
            struct token token = tokens->items[i];
            if (forget(tokens, i, err))
                return -1;
            *out = token;
            return 0;
        }
    return error_set(err, ERROR_NOT_FOUND, "there is no token %.64s: `atoll token list` shows all",
                     id_or_name);
}

/* ---- looking ---- */

static struct token *find_id(const struct tokens *tokens, const char *id, size_t length)
{
    for (size_t i = 0; i < tokens->count && length == TOKEN_ID_LENGTH; i++)
        if (memcmp(tokens->items[i].id, id, length) == 0)
            return &tokens->items[i];
    return NULL;
}

void tokens_find(struct tokens *tokens, const char *text, int64_t now_ms, struct caller *out)
{
    unsigned char hash[TOKEN_HASH_LENGTH];
    const char *id = text + strlen(TOKEN_PREFIX);
    *out = (struct caller){.kind = CALLER_NOBODY, .proof = PROOF_TOKEN, .flaw = FLAW_UNKNOWN};
    if (strlen(text) != TOKEN_TEXT_MAX - 1 || memcmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
        return;
    SHA256((const unsigned char *)text, strlen(text), hash);
    struct token *token = find_id(tokens, id, TOKEN_ID_LENGTH);
    if (!token || CRYPTO_memcmp(hash, token->hash, sizeof hash) != 0)
        return;
    out->flaw = token->expires_ms <= now_ms ? FLAW_EXPIRED : FLAW_NONE;
    out->kind = out->flaw ? CALLER_NOBODY : token->role;
    snprintf(out->name, sizeof out->name, "%s", token->name);
    snprintf(out->mark, sizeof out->mark, "%s", token->id);
    token->used_ms = now_ms;
}

bool tokens_counts(const struct tokens *tokens, const char *id, int64_t now_ms)
{
    const struct token *token = find_id(tokens, id, strlen(id));
    return token && token->expires_ms > now_ms;
}

struct json *token_write(const struct token *token)
{
    struct json *json = json_object();
    json_set_string(json, "id", token->id);
    json_set_string(json, "name", token->name);
    json_set_string(json, "role", caller_kind_name(token->role));
    json_set_time(json, "createdAt", token->created_ms);
    json_set_time(json, "expiresAt", token->expires_ms);
    json_set_time(json, "lastUsedAt", token->used_ms);
    return json;
}
