/* SCRAM. Messages are text of the form a=...,b=...; keys never leave this file but as secrets of a server. */
#include "scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *digest;
    size_t key_size, salt_size;
    int iterations;
} mechanisms[SCRAM_MECHANISMS] = {
    {"SCRAM-SHA-1", "SHA1", 20, 16, 10000},
    {"SCRAM-SHA-256", "SHA256", 32, 28, 15000},
};

const char *scram_name(enum scram_mechanism mechanism)
{
    return mechanisms[mechanism].name;
}

int scram_find(const char *name)
{
    for (int i = 0; i < SCRAM_MECHANISMS; i++)
        if (!strcmp(mechanisms[i].name, name))
            return i;
    return -1;
}

size_t scram_key_size(enum scram_mechanism mechanism)
{
    return mechanisms[mechanism].key_size;
}

int scram_iterations(enum scram_mechanism mechanism)
{
    return mechanisms[mechanism].iterations;
}

size_t scram_salt_size(enum scram_mechanism mechanism)
{
    return mechanisms[mechanism].salt_size;
}

static const EVP_MD *digest_of(enum scram_mechanism mechanism)
{
    return EVP_get_digestbyname(mechanisms[mechanism].digest);
}

static void hmac(enum scram_mechanism m, const uint8_t *key, const char *text, uint8_t *out)
{
    HMAC(digest_of(m), key, (int)mechanisms[m].key_size, (const uint8_t *)text, strlen(text), out, NULL);
}

static void hash(enum scram_mechanism m, const uint8_t *in, uint8_t *out)
{
    EVP_Digest(in, mechanisms[m].key_size, out, NULL, digest_of(m), NULL);
}

/* SCRAM-SHA-1 takes md5("user:mongo:password") in hexadecimal for the password. */
static void prepared_password(enum scram_mechanism m, const char *user, const char *password, char *out,
                              size_t size)
{
    char text[SCRAM_USER_MAX + SCRAM_PASSWORD_MAX + 16];
    uint8_t md5[EVP_MAX_MD_SIZE];
    if (m == SCRAM_SHA_256) {
        snprintf(out, size, "%s", password);
        return;
    }
    snprintf(text, sizeof text, "%s:mongo:%s", user, password);
    EVP_Digest(text, strlen(text), md5, NULL, EVP_md5(), NULL);
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, size - 2 * (size_t)i, "%02x", md5[i]);
    OPENSSL_cleanse(text, sizeof text);
}

static void salted_password(enum scram_mechanism m, const char *user, const char *password,
                            const uint8_t *salt, size_t salt_size, int iterations, uint8_t *out)
{
    char prepared[SCRAM_PASSWORD_MAX];
    prepared_password(m, user, password, prepared, sizeof prepared);
    PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), salt, (int)salt_size, iterations, digest_of(m),
                      (int)mechanisms[m].key_size, out);
    OPENSSL_cleanse(prepared, sizeof prepared);
}

void scram_make(enum scram_mechanism m, const char *user, const char *password, const uint8_t *salt,
                struct scram_secrets *out)
{
    uint8_t salted[SCRAM_KEY_MAX], client_key[SCRAM_KEY_MAX];
    memset(out, 0, sizeof *out);
    out->salt_size = mechanisms[m].salt_size;
    out->iterations = mechanisms[m].iterations;
    memcpy(out->salt, salt, out->salt_size);
    salted_password(m, user, password, salt, out->salt_size, out->iterations, salted);
    hmac(m, salted, "Client Key", client_key);
    hash(m, client_key, out->stored_key);
    hmac(m, salted, "Server Key", out->server_key);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

static void encode(const uint8_t *bytes, size_t size, char *out)
{
    EVP_EncodeBlock((uint8_t *)out, bytes, (int)size);
}

/* Gives the number of bytes, or -1; `out` has room for 3/4 of the text and 3 more. */
static int decode(const char *text, uint8_t *out, size_t room)
{
    size_t length = strlen(text);
    if (length == 0 || length % 4 || length / 4 * 3 > room)
        return -1;
    int size = EVP_DecodeBlock(out, (const uint8_t *)text, (int)length);
    if (size < 0)
        return -1;
    return size - (text[length - 1] == '=') - (text[length - 2] == '=');
}

/* Copies the value of "x=value" out of a message; -1 when it is not there or too long. */
static int field(const char *message, char name, char *out, size_t size)
{
    for (const char *p = message; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (p[0] != name || p[1] != '=')
            continue;
        size_t length = strcspn(p + 2, ",");
        if (length >= size)
            return -1;
        memcpy(out, p + 2, length);
        out[length] = 0;
        return 0;
    }
    return -1;
}

static void random_nonce(char *out, size_t size)
{
    uint8_t bytes[24];
    char text[40];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    encode(bytes, sizeof bytes, text);
    snprintf(out, size, "%s", text);
}

/* "=2C" and "=3D" stand for comma and equals sign. */
static int unescape(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++) {
        if (*p != '=')
            *out++ = *p;
        else if (!strncmp(p, "=2C", 3) || !strncmp(p, "=3D", 3))
            *out++ = p[1] == '2' ? ',' : '=', p += 2;
        else
            return -1;
    }
    *out = 0;
    return 0;
}

static int bad_message(struct error *err)
{
    return error_set(err, ERROR_PROTOCOL, "a SCRAM message can't be read");
}

int scram_server_read(struct scram_server *s, const char *message, struct error *err)
{
    char client_nonce[128], own[64];
    if (strncmp(message, "n,,", 3) != 0 || strlen(message) >= sizeof s->first_bare)
        return bad_message(err); /* no channel binding, as drivers do it */
    snprintf(s->first_bare, sizeof s->first_bare, "%s", message + 3);
    if (field(s->first_bare, 'n', s->user, sizeof s->user) || unescape(s->user) ||
        field(s->first_bare, 'r', client_nonce, sizeof client_nonce) || !*client_nonce)
        return bad_message(err);
    random_nonce(own, sizeof own);
    snprintf(s->nonce, sizeof s->nonce, "%s%s", client_nonce, own);
    return 0;
}

void scram_server_challenge(struct scram_server *s)
{
    char salt[2 * SCRAM_SALT_MAX];
    encode(s->candidates[0].salt, s->candidates[0].salt_size, salt);
    snprintf(s->server_first, sizeof s->server_first, "r=%s,s=%s,i=%d", s->nonce, salt,
             s->candidates[0].iterations);
}

static void auth_message(const char *first_bare, const char *server_first, const char *final_bare, char *out,
                         size_t size)
{
    snprintf(out, size, "%s,%s,%s", first_bare, server_first, final_bare);
}

static bool proof_fits(const struct scram_server *s, const struct scram_secrets *c, const char *text,
                       const uint8_t *proof)
{
    uint8_t signature[SCRAM_KEY_MAX], client_key[SCRAM_KEY_MAX], stored[SCRAM_KEY_MAX];
    size_t size = mechanisms[s->mechanism].key_size;
    hmac(s->mechanism, c->stored_key, text, signature);
    for (size_t i = 0; i < size; i++)
        client_key[i] = proof[i] ^ signature[i];
    hash(s->mechanism, client_key, stored);
    return CRYPTO_memcmp(stored, c->stored_key, size) == 0;
}

int scram_server_check(struct scram_server *s, const char *message, char *out, size_t size, struct error *err)
{
    char nonce[256], proof_text[128], binding[16], bare[SCRAM_MESSAGE_MAX], text[3 * SCRAM_MESSAGE_MAX];
    uint8_t proof[128], signature[SCRAM_KEY_MAX];
    const char *end = strstr(message, ",p=");
    if (!end || (size_t)(end - message) >= sizeof bare || field(message, 'c', binding, sizeof binding) ||
        strcmp(binding, "biws") != 0 || field(message, 'r', nonce, sizeof nonce) ||
        strcmp(nonce, s->nonce) != 0 || field(end + 1, 'p', proof_text, sizeof proof_text) ||
        decode(proof_text, proof, sizeof proof) != (int)mechanisms[s->mechanism].key_size)
        return bad_message(err);
    memcpy(bare, message, (size_t)(end - message));
    bare[end - message] = 0;
    auth_message(s->first_bare, s->server_first, bare, text, sizeof text);
    for (int i = 0; i < s->candidate_count; i++) {
        if (!proof_fits(s, &s->candidates[i], text, proof))
            continue;
        char signature_text[64];
        hmac(s->mechanism, s->candidates[i].server_key, text, signature);
        encode(signature, mechanisms[s->mechanism].key_size, signature_text);
        snprintf(out, size, "v=%s", signature_text);
        return 0;
    }
    return error_set(err, ERROR_INVALID, "the proof does not fit");
}

void scram_client_first(struct scram_client *c, enum scram_mechanism mechanism, const char *user, char *out,
                        size_t size)
{
    char nonce[64];
    random_nonce(nonce, sizeof nonce);
    c->mechanism = mechanism;
    snprintf(c->first_bare, sizeof c->first_bare, "n=%s,r=%s", user, nonce);
    snprintf(out, size, "n,,%s", c->first_bare);
}

int scram_client_final(struct scram_client *c, const char *user, const char *password, const char *challenge,
                       char *out, size_t size, struct error *err)
{
    char nonce[256], own[64], salt_text[128], rounds[16], bare[SCRAM_MESSAGE_MAX],
        text[3 * SCRAM_MESSAGE_MAX], proof_text[64];
    uint8_t salt[128], salted[SCRAM_KEY_MAX], key[SCRAM_KEY_MAX], stored[SCRAM_KEY_MAX],
        signature[SCRAM_KEY_MAX];
    size_t key_size = mechanisms[c->mechanism].key_size;
    if (field(challenge, 'r', nonce, sizeof nonce) || field(c->first_bare, 'r', own, sizeof own) ||
        strncmp(nonce, own, strlen(own)) != 0 || field(challenge, 's', salt_text, sizeof salt_text) ||
        field(challenge, 'i', rounds, sizeof rounds))
        return bad_message(err);
    int salt_size = decode(salt_text, salt, sizeof salt), iterations = atoi(rounds);
    if (salt_size < 1 || iterations < 1 || iterations > SCRAM_ITERATIONS_MAX)
        return bad_message(err);
    snprintf(bare, sizeof bare, "c=biws,r=%s", nonce);
    auth_message(c->first_bare, challenge, bare, text, sizeof text);
    salted_password(c->mechanism, user, password, salt, (size_t)salt_size, iterations, salted);
    hmac(c->mechanism, salted, "Server Key", key);
    hmac(c->mechanism, key, text, signature);
    encode(signature, key_size, c->signature);
    hmac(c->mechanism, salted, "Client Key", key);
    hash(c->mechanism, key, stored);
    hmac(c->mechanism, stored, text, signature);
    for (size_t i = 0; i < key_size; i++)
        key[i] ^= signature[i];
    encode(key, key_size, proof_text);
    snprintf(out, size, "%s,p=%s", bare, proof_text);
    OPENSSL_cleanse(salted, sizeof salted);
    return 0;
}

int scram_client_check(const struct scram_client *c, const char *message, struct error *err)
{
    char signature[128];
    if (field(message, 'v', signature, sizeof signature) || strcmp(signature, c->signature) != 0)
        return error_set(err, ERROR_PROTOCOL,
                         "the server's signature does not fit: it does not know the key");
    return 0;
}
