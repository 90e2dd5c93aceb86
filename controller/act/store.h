/* What the controller remembers over restarts: a few records, loaded all at once, written together or not at
 * all. A record that was written is durable before write() returns; nothing that relies on it is done
 * earlier. Keys: "epoch", "revision", "spec", "spec-revision", "ledger/SET", "keys/SET"; and "token/…",
 * "trust/…", which are not the controller's own: RECORD_KINDS has all. Beside them a log of lines that only
 * grows: the audit log. */
#ifndef ATOLL_CONTROLLER_ACT_STORE_H
#define ATOLL_CONTROLLER_ACT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/error.h"

enum {
    STORE_RECORDS_MAX = 2048,
    STORE_RECORD_BYTES_MAX = 8 << 20,
    STORE_KEY_MAX = 128,
    STORE_LINES_MAX = 100000, /* of the log; the oldest go */
    STORE_LINE_BYTES_MAX = 8192,
    STORE_LINES_READ_MAX = 1000
};

/* Keys that begin so belong to those who serve, and are none of the state machine's business. */
#define STORE_TOKEN_PREFIX "token/"
enum { STORE_PROBE_BYTES = 64 << 10 };

struct store_record {
    const char *key;
    const void *data; /* NULL in a write: the record is removed */
    size_t length;
};

struct store_line {
    int64_t id; /* grows; never given twice */
    const char *text;
    size_t length;
};

struct store {
    const struct store_functions *functions;
    bool failing; /* the last write or line failed, whoever's it was */
};

struct store_functions {
    /* All records, copied into `arena`. */
    int (*load)(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err);
    /* All of these or none, durable when it returns 0. After -1 nothing is known: the old or the new values
     * may be found by the next load, but never a mixture. */
    int (*write)(struct store *store, const struct store_record *records, size_t count, struct error *err);
    void (*close)(struct store *store);
    /* Whether it takes writes, of STORE_PROBE_BYTES as well; leaves nothing behind. May be NULL: then only a
     * write tells. */
    int (*probe)(struct store *store, struct error *err);

    /* The log (a store without one has NULL here). A line is durable when this returns 0, and open until it
     * is ended; ending replaces its text once and for all: a line that was ended is never changed. */
    int (*log_append)(struct store *store, const char *text, size_t length, int64_t *id, struct error *err);
    int (*log_end)(struct store *store, int64_t id, const char *text, size_t length, struct error *err);
    /* The newest lines with an id below `before` (0: all), newest first, at most `most`, copied into `arena`.
     */
    int (*log_read)(struct store *store, int64_t before, size_t most, struct arena *arena,
                    const struct store_line **out, size_t *count, struct error *err);
};

static inline int store_load(struct store *store, struct arena *arena, const struct store_record **out,
                             size_t *count, struct error *err)
{
    return store->functions->load(store, arena, out, count, err);
}

static inline int store_write(struct store *store, const struct store_record *records, size_t count,
                              struct error *err)
{
    return store->functions->write(store, records, count, err);
}

#endif
