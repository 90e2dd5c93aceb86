/* A set's keyfile: with what its members know one another, and with which controller and agents act as
 * __system on `local`. Whoever has it may do everything in the set: it goes into files of mode 0600, Secrets
 * and the store, never into a log, a status, an event or the journal.
 *
 * It holds two keys from its birth on, the current one and a spare one: a member logs in at another with the
 * first and, where that is refused, with the second, and lets in whoever has either. So [K1, K2] and [K2, K3]
 * understand each other, and one round of restarts is all that an exchange takes. Before 4.2 a server reads
 * one key alone.
 * https://www.mongodb.com/docs/manual/core/security-internal-authentication/#keyfile-security
 * https://www.mongodb.com/docs/manual/tutorial/rotate-key-replica-set/ */
#ifndef ATOLL_PROTO_KEYFILE_H
#define ATOLL_PROTO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"

enum {
    KEYFILE_KEY_BYTES = 48, /* random ones */
    KEYFILE_KEY_MAX = 1025, /* a key and the zero; the server takes 6 to 1024 characters */
    KEYFILE_KEYS_MAX = 2,   /* the server's limit, 4.2+ */
    KEYFILE_TEXT_MAX = KEYFILE_KEYS_MAX * (KEYFILE_KEY_MAX + 4),
    KEYFILE_ID_BYTES = 8,
    KEYFILE_ID_MAX = 2 * KEYFILE_ID_BYTES + 1,
};

#define KEYFILE_ADMIN_USER "atoll-admin" /* a set's first administrator, on db admin: ours by its name */

/* The file's text: one key as it is, two as a YAML list, which 4.2 and later read as two keys. */
void keyfile_write(const char *const *keys, size_t count, char out[KEYFILE_TEXT_MAX]);

/* The first key of a file's text: with it one logs in as __system. In a rotation every member knows it: the
 * new file's first key is the former one's second. False when there is none. */
bool keyfile_password(const char *text, char out[KEYFILE_KEY_MAX]);

/* The keys of a file's text, and how many they are; 0 when it is none. */
size_t keyfile_read(const char *text, char out[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX]);

/* What a server of this version is to read: `text`, or, where it knows no file of two keys, the first of them
 * alone, which is then written into `first`. A version that nobody knows counts as a new one. */
const char *keyfile_for_version(const char *text, const char *version, char first[KEYFILE_TEXT_MAX]);

#endif
