/* What the parts of the SQLite store share: store_sqlite.c (records), store_sqlite_format.c (whose file it
 * is, whether it is whole, how a new one is made), store_sqlite_backup.c (images of it), store_sqlite_log.c
 * (the audit log's lines). Only these name SQLite. */
#ifndef ATOLL_CONTROLLER_ACT_STORE_SQLITE_INTERNAL_H
#define ATOLL_CONTROLLER_ACT_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>
#include <stdint.h>

#include "controller/act/store.h"

enum {
    STORE_FORMAT = 3,               /* PRAGMA user_version: 1 had no checksums, 2 no log */
    STORE_APPLICATION = 0x41746f6c, /* PRAGMA application_id: "Atol" */
    STORE_BUSY_MS = 2000,
    STORE_PATH_MAX = 4096,
};

/* What to do about a store that can't be used any more: the end of each such message. */
#define STORE_WAY_OUT                                                                                        \
    "nothing was changed; keep it and bring a backup back (atoll-controller --restore), or move it away "    \
    "and "                                                                                                   \
    "start with an empty one, which takes over the sets that exist: docs/state.md"

struct store_sqlite {
    struct store store;
    sqlite3 *db;
    sqlite3_stmt *put, *remove, *count;
    sqlite3_stmt *append, *trim, *end; /* of the log */
    char path[];
};

/* ---- store_sqlite.c ---- */

/* The handle alone, nothing opened yet; destroyed by store_sqlite_destroy(). NULL when memory is out. */
struct store_sqlite *store_sqlite_create(const char *path);
void store_sqlite_destroy(struct store_sqlite *self);
/* Opens self->path with these SQLITE_OPEN_* flags. What is closed again before it was found good leaves the
 * file as it is: no checkpoint is made of a damaged log. */
int store_sqlite_connect(struct store_sqlite *self, int flags, struct error *err);

/* What went wrong, to which file, and what to do, by SQLite's code. */
int store_sqlite_error(struct store_sqlite *self, int code, struct error *err);
int store_sqlite_run(struct store_sqlite *self, const char *sql, struct error *err);
int store_sqlite_prepare(struct store_sqlite *self, const char *sql, sqlite3_stmt **out, struct error *err);
int store_sqlite_load(struct store *store, struct arena *arena, const struct store_record **out,
                      size_t *count, struct error *err);

/* ---- store_sqlite_log.c ---- */

int store_sqlite_log_prepare(struct store_sqlite *self, struct error *err);
int store_sqlite_log_append(struct store *store, const char *text, size_t length, int64_t *id,
                            struct error *err);
int store_sqlite_log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err);
int store_sqlite_log_read(struct store *store, int64_t before, size_t most, struct arena *arena,
                          const struct store_line **out, size_t *count, struct error *err);

/* ---- store_sqlite_format.c ---- */

/* Whether `path` is there to be opened: 1 yes, 0 no and nothing of it is left either, -1 it must not be
 * opened: it is empty, or gone without its log, or half restored. */
int store_sqlite_look(const char *path, struct error *err);
/* Makes an empty store that appears under its name only when it is complete and durable. */
int store_sqlite_make(const char *path, struct error *err);
/* Whether it is ours, of a format that is known, and whole. Reads alone. */
int store_sqlite_check(struct store_sqlite *self, struct error *err);
/* Brings an older format up to this one, in one transaction. */
int store_sqlite_upgrade(struct store_sqlite *self, struct error *err);

#endif
