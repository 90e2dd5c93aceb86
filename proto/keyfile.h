/* A set's keyfile: with what its members know one another, and with which controller and agents act as
 * __system on `local`. Whoever has it may do everything in the set: it goes into files of mode 0600, Secrets
 * and the store, never into a log, a status, an event or the journal.
 * https://www.mongodb.com/docs/manual/core/security-internal-authentication/#keyfile-security */
#ifndef ATOLL_PROTO_KEYFILE_H
#define ATOLL_PROTO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"

enum {
    KEYFILE_KEY_BYTES = 48, /* random ones */
    KEYFILE_KEY_MAX = 1025, /* a key and the zero; the server takes 6 to 1024 characters */
    KEYFILE_KEYS_MAX = 2,   /* while it is rotated: 4.2+ */
    KEYFILE_TEXT_MAX = KEYFILE_KEYS_MAX * (KEYFILE_KEY_MAX + 4),
    KEYFILE_ID_BYTES = 8,
    KEYFILE_ID_MAX = 2 * KEYFILE_ID_BYTES + 1,
};

#define KEYFILE_ADMIN_USER "atoll-admin" /* a set's first administrator, on db admin: ours by its name */

/* The file's text: one key as it is, two as a YAML list, which 4.2 and later read as two keys. */
void keyfile_write(const char *const *keys, size_t count, char out[KEYFILE_TEXT_MAX]);

/* The first key of a file's text: what __system's password is. In a rotation every member knows it: old and
 * new are spread while the old one still counts, then the new one alone. False when there is none. */
bool keyfile_password(const char *text, char out[KEYFILE_KEY_MAX]);

#endif
