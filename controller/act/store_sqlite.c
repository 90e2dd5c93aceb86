/* The store in one SQLite file; the only file that names SQLite. Write-ahead log with synchronous=FULL: a
 * transaction that was committed survives the loss of power
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). */
#include "controller/act/store_sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    STORE_FORMAT = 1,               /* PRAGMA user_version */
    STORE_APPLICATION = 0x41746f6c, /* PRAGMA application_id: "Atol" */
    STORE_BUSY_MS = 2000,
};

struct store_sqlite {
    struct store store;
    sqlite3 *db;
    sqlite3_stmt *put, *remove;
    char path[];
};

static int sqlite_error(struct store_sqlite *self, int code, struct error *err)
{
    const char *path = self->path, *said = self->db ? sqlite3_errmsg(self->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
        return error_set(
            err, ERROR_INVALID,
            "%s is damaged (%s): stop the controller, keep the file, and put a backup in its place", path,
            said);
    case SQLITE_NOTADB:
        return error_set(err, ERROR_INVALID,
                         "%s is not a controller's store (%s): move it away or give another --dir", path,
                         said);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_set(err, ERROR_IO,
                         "%s can't be written (%s): make it and its folder writable for this user", path,
                         said);
    case SQLITE_FULL:
        return error_set(err, ERROR_IO, "%s can't grow, its disk is full (%s): free some space", path, said);
    case SQLITE_CANTOPEN:
        return error_set(err, ERROR_IO, "%s can't be opened (%s): check the folder and its permissions", path,
                         said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_CONFLICT, "%s is held by another program (%s)", path, said);
    case SQLITE_NOMEM:
        return error_set(err, ERROR_NO_MEMORY, "no memory for %s", path);
    default:
        return error_set(err, ERROR_IO, "%s: %s (SQLite error %d)", path, said, code);
    }
}

static int run(struct store_sqlite *self, const char *sql, struct error *err)
{
    int code = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_error(self, code, err);
}

static int prepare(struct store_sqlite *self, const char *sql, sqlite3_stmt **out, struct error *err)
{
    int code = sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? 0 : sqlite_error(self, code, err);
}

/* The one integer that a pragma answers. */
static int ask_number(struct store_sqlite *self, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (prepare(self, sql, &statement, err))
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *out = 0;
    else
        result = sqlite_error(self, code, err);
    sqlite3_finalize(statement);
    return result;
}

static int check_integrity(struct store_sqlite *self, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (prepare(self, "PRAGMA integrity_check(1)", &statement, err))
        return -1;
    int code = sqlite3_step(statement), result = 0;
    const char *said = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (code != SQLITE_ROW)
        result = sqlite_error(self, code, err);
    else if (!said || strcmp(said, "ok") != 0)
        result =
            error_set(err, ERROR_INVALID,
                      "%s is damaged (%s): stop the controller, keep the file, and put a backup in its place",
                      self->path, said ? said : "no answer");
    sqlite3_finalize(statement);
    return result;
}

/* Whose file it is, and how old; an empty file becomes ours. */
static int check_format(struct store_sqlite *self, struct error *err)
{
    int64_t format = 0, application = 0, tables = 0;
    if (ask_number(self, "PRAGMA user_version", &format, err) ||
        ask_number(self, "PRAGMA application_id", &application, err) ||
        ask_number(self, "SELECT count(*) FROM sqlite_master", &tables, err))
        return -1;
    if (application != STORE_APPLICATION && (application != 0 || tables != 0))
        return error_set(err, ERROR_INVALID,
                         "%s is another program's database: move it away or give another --dir", self->path);
    if (format > STORE_FORMAT)
        return error_set(
            err, ERROR_INVALID,
            "%s was written by a newer version (format %lld, this program knows %d): use that version, or a "
            "newer one",
            self->path, (long long)format, STORE_FORMAT);
    if (application == STORE_APPLICATION)
        return check_integrity(self, err);
    char sql[256];
    sqlite3_snprintf(sizeof sql, sql,
                     "BEGIN IMMEDIATE;"
                     "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;"
                     "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                     STORE_APPLICATION, STORE_FORMAT);
    return run(self, sql, err);
}

static int load_row(sqlite3_stmt *statement, struct arena *arena, struct store_record *record,
                    struct error *err)
{
    const char *key = (const char *)sqlite3_column_text(statement, 0);
    const void *data = sqlite3_column_blob(statement, 1);
    int length = sqlite3_column_bytes(statement, 1);
    if (!key || length < 0 || length > STORE_RECORD_BYTES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the store's record %s is larger than STORE_RECORD_BYTES_MAX",
                         key ? key : "?");
    record->key = arena_string(arena, key);
    record->data = arena_string_n(arena, data ? data : "", (size_t)length);
    record->length = (size_t)length;
    return 0;
}

static int sqlite_load(struct store *store, struct arena *arena, const struct store_record **out,
                       size_t *count, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    struct store_record *records = arena_array(arena, STORE_RECORDS_MAX, sizeof *records);
    sqlite3_stmt *statement = NULL;
    if (!records)
        return error_set(err, ERROR_NO_MEMORY, "no memory to load %s", self->path);
    if (prepare(self, "SELECT key, data FROM record ORDER BY key", &statement, err))
        return -1;
    size_t found = 0;
    int code, result = 0;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (found == STORE_RECORDS_MAX)
            result = error_set(err, ERROR_TOO_LARGE, "%s holds more than %d records", self->path,
                               STORE_RECORDS_MAX);
        else
            result = load_row(statement, arena, &records[found++], err);
    }
    if (result == 0 && code != SQLITE_DONE)
        result = sqlite_error(self, code, err);
    sqlite3_finalize(statement);
    if (result == 0 && arena_failed(arena))
        result = error_set(err, ERROR_NO_MEMORY, "no memory to load %s", self->path);
    if (result)
        return -1;
    *out = records;
    *count = found;
    return 0;
}

static int write_record(struct store_sqlite *self, const struct store_record *record, struct error *err)
{
    sqlite3_stmt *statement = record->data ? self->put : self->remove;
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, record->key, -1, SQLITE_STATIC);
    if (record->data)
        sqlite3_bind_blob64(statement, 2, record->data, record->length, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_DONE ? 0 : sqlite_error(self, code, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

static int sqlite_write(struct store *store, const struct store_record *records, size_t count,
                        struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    for (size_t i = 0; i < count; i++)
        if (records[i].length > STORE_RECORD_BYTES_MAX || strlen(records[i].key) > STORE_KEY_MAX)
            return error_set(err, ERROR_TOO_LARGE, "record %.*s is larger than STORE_RECORD_BYTES_MAX",
                             STORE_KEY_MAX, records[i].key);
    if (run(self, "BEGIN IMMEDIATE", err))
        return -1;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = write_record(self, &records[i], err);
    if (result == 0)
        result = run(self, "COMMIT", err);
    if (result && !sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static void sqlite_close(struct store *store)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    if (!self)
        return;
    sqlite3_finalize(self->put);
    sqlite3_finalize(self->remove);
    sqlite3_close(self->db);
    free(self);
}

static const struct store_functions sqlite_functions = {sqlite_load, sqlite_write, sqlite_close};

static int open_database(struct store_sqlite *self, struct error *err)
{
    int code = sqlite3_open_v2(self->path, &self->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return sqlite_error(self, code, err);
    sqlite3_extended_result_codes(self->db, 1);
    sqlite3_busy_timeout(self->db, STORE_BUSY_MS);
    if (check_format(self, err) || run(self, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", err))
        return -1;
    /* A file that can only be read is found now, not at the first change. */
    if (run(self, "BEGIN IMMEDIATE; CREATE TABLE probe (x); DROP TABLE probe; COMMIT", err))
        return -1;
    return prepare(self,
                   "INSERT INTO record (key, data) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET data = ?2",
                   &self->put, err) ||
                   prepare(self, "DELETE FROM record WHERE key = ?1", &self->remove, err)
               ? -1
               : 0;
}

int store_sqlite_open(const char *path, struct store **out, struct error *err)
{
    struct store_sqlite *self = calloc(1, sizeof *self + strlen(path) + 1);
    if (!self)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the store");
    self->store.functions = &sqlite_functions;
    memcpy(self->path, path, strlen(path) + 1);
    if (open_database(self, err)) {
        sqlite_close(&self->store);
        return -1;
    }
    *out = &self->store;
    return 0;
}
