/* The store's log: lines that are appended, ended once, and read backwards. The oldest go when there are more
 * than STORE_LINES_MAX. */
#include "controller/act/store_sqlite_internal.h"

int store_sqlite_log_prepare(struct store_sqlite *self, struct error *err)
{
    char trim[96];
    sqlite3_snprintf(sizeof trim, trim, "DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - %d",
                     STORE_LINES_MAX);
    if (store_sqlite_prepare(self, "INSERT INTO log (ended, data) VALUES (0, ?1)", &self->append, err) ||
        store_sqlite_prepare(self, trim, &self->trim, err) ||
        store_sqlite_prepare(self, "UPDATE log SET data = ?1, ended = 1 WHERE id = ?2 AND ended = 0",
                             &self->end, err))
        return -1;
    return 0;
}

static int step_with_line(struct store_sqlite *self, sqlite3_stmt *statement, const char *text, size_t length,
                          int64_t id, struct error *err)
{
    if (length > STORE_LINE_BYTES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a line of %zu bytes is longer than STORE_LINE_BYTES_MAX",
                         length);
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, text, (int)length, SQLITE_STATIC);
    if (id)
        sqlite3_bind_int64(statement, 2, id);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_DONE ? 0 : store_sqlite_error(self, code, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

int store_sqlite_log_append(struct store *store, const char *text, size_t length, int64_t *id,
                            struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    if (store_sqlite_run(self, "BEGIN IMMEDIATE", err))
        return -1;
    int result = step_with_line(self, self->append, text, length, 0, err);
    int64_t given = sqlite3_last_insert_rowid(self->db);
    if (result == 0) {
        int code = sqlite3_step(self->trim);
        result = code == SQLITE_DONE ? 0 : store_sqlite_error(self, code, err);
        sqlite3_reset(self->trim);
    }
    if (result == 0)
        result = store_sqlite_run(self, "COMMIT", err);
    if (result && !sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    if (result == 0)
        *id = given;
    return result;
}

int store_sqlite_log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    if (step_with_line(self, self->end, text, length, id, err))
        return -1;
    if (sqlite3_changes(self->db) != 1)
        return error_set(err, ERROR_NOT_FOUND, "there is no open line %lld in %s", (long long)id, self->path);
    return 0;
}

int store_sqlite_log_read(struct store *store, int64_t before, size_t most, struct arena *arena,
                          const struct store_line **out, size_t *count, struct error *err)
{
    struct store_sqlite *self = (struct store_sqlite *)store;
    size_t room = most < STORE_LINES_READ_MAX ? most : STORE_LINES_READ_MAX, found = 0;
    struct store_line *lines = arena_array(arena, room, sizeof *lines);
    sqlite3_stmt *statement = NULL;
    if (store_sqlite_prepare(self, "SELECT id, data FROM log WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                             &statement, err))
        return -1;
    sqlite3_bind_int64(statement, 1, before > 0 ? before : INT64_MAX);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)room);
    int code = SQLITE_DONE;
    while (lines && found < room && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        size_t length = (size_t)sqlite3_column_bytes(statement, 1);
        lines[found++] = (struct store_line){sqlite3_column_int64(statement, 0),
                                             arena_string_n(arena, text ? text : "", length), length};
    }
    int result = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : store_sqlite_error(self, code, err);
    sqlite3_finalize(statement);
    if (result == 0 && arena_failed(arena))
        result = error_set(err, ERROR_NO_MEMORY, "no memory to read the log of %s", self->path);
    if (result)
        return -1;
    *out = lines;
    *count = found;
    return 0;
}
