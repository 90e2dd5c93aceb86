/* What survives a kill: one append-only file of records, each with length and checksum. A torn tail is cut
 * off. */
#ifndef SIM_STORAGE_H
#define SIM_STORAGE_H

#include "proto/base/error.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

enum { STORAGE_COMPACT_BYTES = 64 << 20 };

struct storage {
    char path[4096];
    int dir_fd;
    int lock_fd;
    int fd;
    bool dirty; /* written, but not yet on the disk */
    int64_t size;
    int64_t compact_at; /* the size past which a rewrite pays */
};

typedef int storage_record(void *context, const bson_t *record, struct error *err);

/* Takes the directory's lock (ERROR_CONFLICT when another process has it), and hands every whole record to
 * `each`. */
int storage_open(struct storage *storage, const char *dir, storage_record *each, void *context,
                 struct error *err);
/* Appends a record; it is durable after storage_sync(). A disk that fails ends the process, as it does
 * mongod. */
void storage_append(struct storage *storage, const bson_t *record);
void storage_sync(struct storage *storage);
/* Replaces the whole file: begin, append as usual, end. A crash before the end leaves the old file in force.
 */
void storage_rewrite_begin(struct storage *storage);
void storage_rewrite_end(struct storage *storage);
void storage_close(struct storage *storage);

#endif
