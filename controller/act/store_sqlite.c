/* The store in one SQLite file: its records. Write-ahead log with synchronous=EXTRA: a transaction that was
 * committed survives the loss of power, also where a file system without shared memory makes SQLite fall back
 * to a rollback journal (https://www.sqlite.org/pragma.html#pragma_synchronous). SQLite has no checksums of
 * its own over pages, so each record carries one: a flipped bit is an error, never another ledger. */
#include "controller/act/store_sqlite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "controller/act/store_sqlite_internal.h"
#include "proto/base/hash.h"

int store_sqlite_error(struct store_sqlite *self, int code, struct error *err)
{
    const char *path = self->path, *said = self->db ? sqlite3_errmsg(self->db) : sqlite3_errstr(code);
    int errnum = self->db ? sqlite3_system_errno(self->db) : 0;
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
        return error_set(err, ERROR_INVALID, "%s is damaged (%.80s): " STORE_WAY_OUT, path, said);
    case SQLITE_NOTADB:
        return error_set(err, ERROR_INVALID,
                         "%s is not a controller's store, or is damaged (%.80s): " STORE_WAY_OUT, path, said);
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
    case SQLITE_IOERR:
        return error_set(err, ERROR_IO, "%s: %s (%s, SQLite error %d): look after its disk", path, said,
                         errnum ? strerror(errnum) : "no cause given", code);
    default:
        return error_set(err, ERROR_IO, "%s: %s (SQLite error %d)", path, said, code);
    }
}

int store_sqlite_run(struct store_sqlite *self, const char *sql, struct error *err)
{
    int code = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : store_sqlite_error(self, code, err);
}

int store_sqlite_prepare(struct store_sqlite *self, const char *sql, sqlite3_stmt **out, struct error *err)
{
    int code = sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? 0 : store_sqlite_error(self, code, err);
}

/* ---- reading ---- */

static int load_row(struct store_sqlite *self, sqlite3_stmt *statement, struct arena *arena,
                    struct store_record *record, struct error *err)
{
    const char *key = (const char *)sqlite3_column_text(statement, 0);
    const void *data = sqlite3_column_blob(statement, 1);
    int length = sqlite3_column_bytes(statement, 1);
    if (!key || length < 0 || length > STORE_RECORD_BYTES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "%s: the record %.128s is larger than STORE_RECORD_BYTES_MAX",
                         self->path, key ? key : "?");
    if (!sqlite3_column_int(statement, 2))
        return error_set(err, ERROR_INVALID,
                         "%s is damaged (the checksum of record %.128s differs): " STORE_WAY_OUT, self->path,
                         key);
    record->key = arena_string(arena, key);
    record->data = arena_string_n(arena, data ? data : "", (size_t)length);
    record->length = (size_t)length;
    return 0;
}

int store_sqlite_load(struct store *store, struct arena *arena, const struct store_record **out,
                      size_t *count, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    struct store_record *records = arena_array(arena, STORE_RECORDS_MAX, sizeof *records);
    sqlite3_stmt *statement = NULL;
    if (!records)
        return error_set(err, ERROR_NO_MEMORY, "no memory to load %s", self->path);
    if (store_sqlite_prepare(self, "SELECT key, data, sum = atoll_sum(key, data) FROM record ORDER BY key",
                             &statement, err))
        return -1;
    size_t found = 0;
    int code = SQLITE_DONE, result = 0;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (found == STORE_RECORDS_MAX)
            result = error_set(err, ERROR_TOO_LARGE, "%s holds more than STORE_RECORDS_MAX (%d) records",
                               self->path, STORE_RECORDS_MAX);
        else
            result = load_row(self, statement, arena, &records[found++], err);
    }
    if (result == 0 && code != SQLITE_DONE)
        result = store_sqlite_error(self, code, err);
    sqlite3_finalize(statement);
    if (result == 0 && arena_failed(arena))
        result = error_set(err, ERROR_NO_MEMORY, "no memory to load %s", self->path);
    if (result)
        return -1;
    *out = records;
    *count = found;
    return 0;
}

/* ---- writing ---- */

static int write_record(struct store_sqlite *self, const struct store_record *record, struct error *err)
{
    sqlite3_stmt *statement = record->data ? self->put : self->remove;
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, record->key, -1, SQLITE_STATIC);
    if (record->data)
        sqlite3_bind_blob64(statement, 2, record->data, record->length, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_DONE ? 0 : store_sqlite_error(self, code, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

/* What could not be loaded any more must not be written either. */
static int check_count(struct store_sqlite *self, struct error *err)
{
    sqlite3_reset(self->count);
    int code = sqlite3_step(self->count);
    int64_t count = code == SQLITE_ROW ? sqlite3_column_int64(self->count, 0) : 0;
    sqlite3_reset(self->count);
    if (code != SQLITE_ROW)
        return store_sqlite_error(self, code, err);
    return count <= STORE_RECORDS_MAX
               ? 0
               : error_set(err, ERROR_TOO_LARGE, "%s would hold more than STORE_RECORDS_MAX (%d) records",
                           self->path, STORE_RECORDS_MAX);
}

/* SQLite goes on writing into a file that was moved or deleted, and all of it would be gone with the process.
 */
static int check_place(struct store_sqlite *self, struct error *err)
{
    int moved = 0;
    sqlite3_file_control(self->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved
               ? error_set(
                     err, ERROR_IO,
                     "%s was moved, replaced or deleted while the controller runs: put it back, or stop the "
                     "controller and bring a backup back (atoll-controller --restore)",
                     self->path)
               : 0;
}

static int write_records(struct store_sqlite *self, const struct store_record *records, size_t count,
                         struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = write_record(self, &records[i], err);
    return result || check_count(self, err) ? -1 : store_sqlite_run(self, "COMMIT", err);
}

static int write_all(struct store *store, const struct store_record *records, size_t count, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    for (size_t i = 0; i < count; i++)
        if (records[i].length > STORE_RECORD_BYTES_MAX || strlen(records[i].key) > STORE_KEY_MAX)
            return error_set(err, ERROR_TOO_LARGE, "record %.*s is larger than STORE_RECORD_BYTES_MAX",
                             STORE_KEY_MAX, records[i].key);
    if (check_place(self, err) || store_sqlite_run(self, "BEGIN IMMEDIATE", err))
        return -1;
    int result = write_records(self, records, count, err);
    if (result && !sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static int sqlite_write(struct store *store, const struct store_record *records, size_t count,
                        struct error *err)
{
    int result = write_all(store, records, count, err);
    store->failing = result != 0;
    return result;
}

static int sqlite_log_append(struct store *store, const char *text, size_t length, int64_t *id,
                             struct error *err)
{
    int result = check_place((struct store_sqlite *)store, err) ||
                         store_sqlite_log_append(store, text, length, id, err)
                     ? -1
                     : 0;
    store->failing = result != 0;
    return result;
}

/* Two transactions: within one SQLite would never write what is gone at its end. */
static int sqlite_probe(struct store *store, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    char fill[96];
    sqlite3_snprintf(sizeof fill, fill,
                     "CREATE TABLE probe (x); INSERT INTO probe VALUES (zeroblob(%d)); COMMIT",
                     STORE_PROBE_BYTES);
    int result = check_place(self, err) ||
                         store_sqlite_run(self, "BEGIN IMMEDIATE; DROP TABLE IF EXISTS probe", err) ||
                         store_sqlite_run(self, fill, err) || store_sqlite_run(self, "DROP TABLE probe", err)
                     ? -1
                     : 0;
    if (result && !sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* ---- life ---- */

struct store_sqlite *store_sqlite_create(const char *path)
{
    struct store_sqlite *self = calloc(1, sizeof *self + strlen(path) + 1);
    if (self)
        memcpy(self->path, path, strlen(path) + 1);
    return self;
}

void store_sqlite_destroy(struct store_sqlite *self)
{
    if (!self)
        return;
    sqlite3_stmt *const statements[] = {self->put,    self->remove, self->count,
                                        self->append, self->trim,   self->end};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        sqlite3_finalize(statements[i]);
    sqlite3_close(self->db);
    free(self);
}

static void sqlite_close(struct store *store)
{
    store_sqlite_destroy((struct store_sqlite *)store);
}

static const struct store_functions sqlite_functions = {.load = store_sqlite_load,
                                                        .write = sqlite_write,
                                                        .probe = sqlite_probe,
                                                        .close = sqlite_close,
                                                        .log_append = sqlite_log_append,
                                                        .log_end = store_sqlite_log_end,
                                                        .log_read = store_sqlite_log_read};

/* Not to detect malice, but bits that flip: over key and data. */
static void sum_of_record(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint64_t sum = HASH_START;
    for (int i = 0; i < count; i++) {
        const void *bytes = sqlite3_value_blob(values[i]);
        size_t length = (size_t)sqlite3_value_bytes(values[i]);
        sum = hash_number(hash_bytes(sum, bytes, length), length);
    }
    sqlite3_result_int64(context, (sqlite3_int64)sum);
}

int store_sqlite_connect(struct store_sqlite *self, int flags, struct error *err)
{
    int code = sqlite3_open_v2(self->path, &self->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return store_sqlite_error(self, code, err);
    sqlite3_extended_result_codes(self->db, 1);
    sqlite3_busy_timeout(self->db, STORE_BUSY_MS);
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    code = sqlite3_create_function_v2(self->db, "atoll_sum", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                      sum_of_record, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : store_sqlite_error(self, code, err);
}

static int prepare_statements(struct store_sqlite *self, struct error *err)
{
    return store_sqlite_prepare(self,
                                "INSERT INTO record (key, data, sum) VALUES (?1, ?2, atoll_sum(?1, ?2)) "
                                "ON CONFLICT (key) DO UPDATE SET data = excluded.data, sum = excluded.sum",
                                &self->put, err) ||
                   store_sqlite_prepare(self, "DELETE FROM record WHERE key = ?1", &self->remove, err) ||
                   store_sqlite_prepare(self, "SELECT count(*) FROM record", &self->count, err) ||
                   store_sqlite_log_prepare(self, err)
               ? -1
               : 0;
}

/* Writes are rare, so each goes into the file itself at once: who copies or keeps the file alone, without its
 * log, has what was acknowledged, not what was true weeks ago. */
static const char pragmas[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=EXTRA; PRAGMA wal_autocheckpoint=1";

/* A file that can only be read is found now, not at the first change. */
static const char try_to_write[] =
    "BEGIN IMMEDIATE; DROP TABLE IF EXISTS probe; CREATE TABLE probe (x); DROP TABLE probe; COMMIT";

/* Nothing is written before all that can be wrong with the file has been looked for: statements don't compile
 * on a damaged schema. */
static int open_database(struct store_sqlite *self, struct error *err)
{
    if (store_sqlite_connect(self, SQLITE_OPEN_READWRITE, err) || store_sqlite_check(self, err) ||
        store_sqlite_run(self, pragmas, err) || store_sqlite_upgrade(self, err) ||
        prepare_statements(self, err) || store_sqlite_run(self, try_to_write, err))
        return -1;
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return 0;
}

int store_sqlite_open(const char *path, struct store **out, struct error *err)
{
    int there = store_sqlite_look(path, err);
    if (there < 0 || (there == 0 && store_sqlite_make(path, err)))
        return -1;
    struct store_sqlite *self = store_sqlite_create(path);
    if (!self)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the store");
    self->store.functions = &sqlite_functions;
    if (open_database(self, err)) {
        store_sqlite_destroy(self);
        return -1;
    }
    *out = &self->store;
    return 0;
}
