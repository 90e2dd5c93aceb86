/* SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, as MongoDB speaks them: pure, but for
 * random nonces. https://github.com/mongodb/specifications/blob/master/source/auth/auth.md */
#ifndef SIM_SCRAM_H
#define SIM_SCRAM_H

#include "proto/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scram_mechanism { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_MECHANISMS };
enum {
    SCRAM_KEY_MAX = 32,
    SCRAM_SALT_MAX = 64,
    SCRAM_USER_MAX = 256,
    SCRAM_MESSAGE_MAX = 1024,
    SCRAM_PASSWORD_MAX = 1100, /* a key of a keyfile has at most 1024 characters */
    SCRAM_CANDIDATES_MAX = 2,  /* a keyfile's keys */
    SCRAM_ITERATIONS_MAX = 1000000,
};

/* What a server keeps instead of a password. */
struct scram_secrets {
    uint8_t salt[SCRAM_SALT_MAX];
    size_t salt_size;
    int iterations;
    uint8_t stored_key[SCRAM_KEY_MAX], server_key[SCRAM_KEY_MAX];
};

/* "SCRAM-SHA-1", "SCRAM-SHA-256"; -1 for any other name. */
const char *scram_name(enum scram_mechanism mechanism);
int scram_find(const char *name);
size_t scram_key_size(enum scram_mechanism mechanism);
/* The server's defaults: 10,000 rounds with 16 bytes, 15,000 with 28. */
int scram_iterations(enum scram_mechanism mechanism);
size_t scram_salt_size(enum scram_mechanism mechanism);

/* Secrets of a user's password with the given salt (of scram_salt_size()); SCRAM-SHA-1 digests the password
 * with the user's name first, as MongoDB does. */
void scram_make(enum scram_mechanism mechanism, const char *user, const char *password, const uint8_t *salt,
                struct scram_secrets *out);

/* One conversation on the server's side. */
struct scram_server {
    enum scram_mechanism mechanism;
    char user[SCRAM_USER_MAX];
    struct scram_secrets candidates[SCRAM_CANDIDATES_MAX]; /* of one salt; whichever fits is taken */
    int candidate_count;
    char first_bare[SCRAM_MESSAGE_MAX], server_first[SCRAM_MESSAGE_MAX], nonce[256];
};

/* Reads the client's first message: fills user and nonce; the caller then finds the candidates. */
int scram_server_read(struct scram_server *s, const char *message, struct error *err);
/* The server's first message, kept in s->server_first. */
void scram_server_challenge(struct scram_server *s);
/* Checks the client's proof; gives the server's last message. */
int scram_server_check(struct scram_server *s, const char *message, char *out, size_t size,
                       struct error *err);

/* One conversation on the client's side: first, final, and the check of the server's signature. */
struct scram_client {
    enum scram_mechanism mechanism;
    char first_bare[SCRAM_MESSAGE_MAX], signature[128];
};

void scram_client_first(struct scram_client *c, enum scram_mechanism mechanism, const char *user, char *out,
                        size_t size);
int scram_client_final(struct scram_client *c, const char *user, const char *password, const char *challenge,
                       char *out, size_t size, struct error *err);
int scram_client_check(const struct scram_client *c, const char *message, struct error *err);

#endif
