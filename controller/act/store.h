/* What the controller remembers over restarts: a few records, loaded all at once, written together or not at
 * all. A record that was written is durable before write() returns; nothing that relies on it is done
 * earlier. Keys: "epoch", "revision", "spec", "spec-revision", "ledger/SET". */
#ifndef ATOLL_CONTROLLER_ACT_STORE_H
#define ATOLL_CONTROLLER_ACT_STORE_H

#include <stddef.h>

#include "proto/base/arena.h"
#include "proto/base/error.h"

enum { STORE_RECORDS_MAX = 2048, STORE_RECORD_BYTES_MAX = 8 << 20, STORE_KEY_MAX = 128 };

struct store_record {
    const char *key;
    const void *data; /* NULL in a write: the record is removed */
    size_t length;
};

struct store {
    const struct store_functions *functions;
};

struct store_functions {
    /* All records, copied into `arena`. */
    int (*load)(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err);
    /* All of these or none, durable when it returns 0. After -1 nothing is known: the old or the new values
     * may be found by the next load, but never a mixture. */
    int (*write)(struct store *store, const struct store_record *records, size_t count, struct error *err);
    void (*close)(struct store *store);
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
