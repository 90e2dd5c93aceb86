/* The store's records as bytes and back. Reading is bounded and strict: a record that can't be understood is
 * an error, never an empty value, for a ledger that is forgotten could give birth to a set twice. */
#ifndef ATOLL_CONTROLLER_ACT_RECORDS_H
#define ATOLL_CONTROLLER_ACT_RECORDS_H

#include "controller/decide/ledger.h"
#include "proto/base/buffer.h"
#include "proto/base/error.h"
#include "proto/base/json.h"
#include "proto/keyfile.h"

#define RECORD_EPOCH "epoch"
#define RECORD_REVISION "revision"           /* up to here revisions may have been given out */
#define RECORD_SPEC "spec"                   /* as spec_write() makes it, JSON */
#define RECORD_SPEC_REVISION "spec-revision" /* and when it was applied */
#define RECORD_LEDGER_PREFIX "ledger/"
#define RECORD_KEYS_PREFIX "keys/" /* a set's keyfile and first administrator */

/* Every kind of record that a store may hold: the key, or what it begins with, and the kind's name. Whatever
 * is not here is refused at the next start, so nothing can be written that the tests, which go by this list,
 * don't know of. */
#define RECORD_KINDS(X)                                                                                      \
    X(RECORD_EPOCH, "epoch")                                                                                 \
    X(RECORD_REVISION, "revision")                                                                           \
    X(RECORD_SPEC, "spec")                                                                                   \
    X(RECORD_SPEC_REVISION, "spec-revision")                                                                 \
    X(RECORD_LEDGER_PREFIX, "ledger")                                                                        \
    X(RECORD_KEYS_PREFIX, "keys")                                                                            \
    X("token/", "token")                                                                                     \
    X("trust/ca", "ca")                                                                                      \
    X("trust/zone/", "zone")                                                                                 \
    X("trust/join/", "join")                                                                                 \
    X("trust/person/", "person")

/* NULL: it is none of these. */
const char *record_kind(const char *key);

enum { RECORD_NUMBER_MAX = 24, RECORD_BYTES_MAX = 8 << 20 /* as STORE_RECORD_BYTES_MAX */ };

/* The ledger as JSON: in the store, and in the journal. */
struct json *ledger_write(const struct ledger *ledger);
int ledger_read(const struct json *root, const char *set, struct arena *arena, struct ledger *out,
                struct error *err);

int ledger_record_write(const struct ledger *ledger, struct buffer *out, struct error *err);
int ledger_record_read(const char *data, size_t length, const char *set, struct arena *arena,
                       struct ledger *out, struct error *err);

/* A whole number of at most 2^53, in decimal. */
int number_record_read(const char *data, size_t length, const char *key, int64_t *out, struct error *err);

enum { KEYFILE_ROUNDS_MAX = 2 };

/* A set's secrets. Its keyfile has two keys, but for one that was taken over from a time when there was one:
 * proto/keyfile.h */
struct set_keys {
    char id[KEYFILE_ID_MAX]; /* of the keyfile as it is now */
    char keys[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX];
    size_t key_count;
    int rounds; /* of restarts that an exchange has yet to end: 0: none goes on; 2: it began with one key */
    char admin_password[KEYFILE_KEY_MAX]; /* of ADMIN_USER; "": none yet */
    bool admin_made;                      /* MongoDB has acknowledged it */
};
int set_keys_record_write(const struct set_keys *keys, struct buffer *out, struct error *err);
int set_keys_record_read(const char *data, size_t length, const char *set, struct set_keys *out,
                         struct error *err);

struct spec_revision {
    int64_t revision;      /* grows by one with each change that was applied */
    int64_t applied_at_ms; /* wall */
};
int spec_revision_record_write(const struct spec_revision *value, struct buffer *out, struct error *err);
int spec_revision_record_read(const char *data, size_t length, struct spec_revision *out, struct error *err);

#endif
