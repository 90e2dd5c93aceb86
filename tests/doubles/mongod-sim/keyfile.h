/* mongod's --keyFile: who knows its key may act as __system on `local`.
 * https://www.mongodb.com/docs/manual/core/security-internal-authentication/#keyfile-security */
#ifndef SIM_KEYFILE_H
#define SIM_KEYFILE_H

#include "scram.h"

enum { KEYFILE_KEYS_MAX = SCRAM_CANDIDATES_MAX, KEY_LENGTH_MIN = 6, KEY_LENGTH_MAX = 1024 };

struct keyfile {
    char keys[KEYFILE_KEYS_MAX][KEY_LENGTH_MAX + 1];
    int count;
    struct scram_secrets secrets[SCRAM_MECHANISMS][KEYFILE_KEYS_MAX]; /* of __system; one salt each */
};

/* Reads the file as the server does: nobody else may read it; white space does not count; base64 characters
 * alone; since 4.2 a YAML list of keys is one too. Works the secrets out. */
int keyfile_read(struct keyfile *keyfile, const char *path, int server_version, struct error *err);

#endif
