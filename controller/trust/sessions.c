/* Sessions of a browser: see sessions.h. */
#include "controller/trust/sessions.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static void hash_of(const char *text, unsigned char out[SESSION_HASH_LENGTH])
{
    SHA256((const unsigned char *)text, strlen(text), out);
}

static struct session *find(struct sessions *sessions, const char *text)
{
    unsigned char hash[SESSION_HASH_LENGTH];
    hash_of(text, hash);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (sessions->items[i].expires_ms && CRYPTO_memcmp(sessions->items[i].hash, hash, sizeof hash) == 0)
            return &sessions->items[i];
    return NULL;
}

int sessions_open(struct sessions *sessions, const struct caller *caller, int64_t now_ms,
                  char text[SESSION_TEXT_MAX], struct error *err)
{
    unsigned char bytes[(SESSION_TEXT_MAX - 1) / 2];
    struct session *place = &sessions->items[0];
    if (caller->proof != PROOF_TOKEN && caller->proof != PROOF_CERTIFICATE)
        return error_set(err, ERROR_INVALID, "a session is opened with a token or a certificate");
    if (RAND_priv_bytes(bytes, sizeof bytes) != 1)
        return error_set(err, ERROR_INTERNAL, "no random bytes can be had for a session");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    OPENSSL_cleanse(bytes, sizeof bytes);
    for (size_t i = 1; i < SESSIONS_MAX; i++)
        if (sessions->items[i].expires_ms < place->expires_ms)
            place = &sessions->items[i];
    *place = (struct session){.expires_ms = now_ms + SESSION_LIFETIME_S * INT64_C(1000), .caller = *caller};
    hash_of(text, place->hash);
    return 0;
}

const struct caller *sessions_find(const struct sessions *sessions, const char *text, int64_t now_ms)
{
    const struct session *session = find((struct sessions *)(uintptr_t)sessions, text);
    return session && session->expires_ms > now_ms ? &session->caller : NULL;
}

void sessions_end(struct sessions *sessions, const char *text)
{
    struct session *session = find(sessions, text);
    if (session)
        *session = (struct session){.expires_ms = 0};
}

bool session_of_cookie(const char *header, char text[SESSION_TEXT_MAX])
{
    static const char name[] = SESSION_COOKIE "=";
    for (const char *at = header; at && *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ";");
        if (strncmp(at, name, sizeof name - 1) == 0 && length == sizeof name - 1 + SESSION_TEXT_MAX - 1) {
            memcpy(text, at + sizeof name - 1, SESSION_TEXT_MAX - 1);
            text[SESSION_TEXT_MAX - 1] = 0;
            return true;
        }
        at += length + (at[length] == ';');
    }
    return false;
}
