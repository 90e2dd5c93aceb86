/* Whose file the store is, of which format, and whether it is whole; and how a new one is made. A file that
 * is refused is left as it was found, byte for byte. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/act/store_sqlite.h"
#include "controller/act/store_sqlite_internal.h"
#include "proto/base/file.h"

/* What takes a store from the format of its index to the next one; the first makes an empty file format 1. */
static const char *const upgrades[STORE_FORMAT] = {
    "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID",
    ("ALTER TABLE record ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
     "UPDATE record SET sum = atoll_sum(key, data)"),
    "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, ended INTEGER NOT NULL, data TEXT NOT NULL)",
};

/* ---- is it there? ---- */

/* Its size; -1 when it isn't there. */
static off_t size_of(const char *path, const char *suffix)
{
    char name[STORE_PATH_MAX];
    struct stat about;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &about) == 0 ? about.st_size : -1;
}

int store_sqlite_look(const char *path, struct error *err)
{
    off_t size = size_of(path, "");
    if (strlen(path) + 32 > STORE_PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the path %.200s… is longer than STORE_PATH_MAX (%d)", path,
                         STORE_PATH_MAX);
    if (size == 0) /* a new one is never seen before it is complete */
        return error_set(err, ERROR_INVALID, "%s is empty, its content was lost: " STORE_WAY_OUT, path);
    if (size < 0 && size_of(path, STORE_RESTORING) >= 0)
        return error_set(err, ERROR_INVALID,
                         "%s is missing, and a restore was interrupted: run atoll-controller --restore again",
                         path);
    if (size < 0 && size_of(path, "-wal") > 0)
        return error_set(
            err, ERROR_INVALID,
            "%s is missing, but its log %s-wal is there: put the file back beside it, or move the log "
            "away too",
            path, path);
    return size > 0;
}

/* ---- is it ours, and whole? ---- */

/* The one integer that a pragma or query answers. */
static int ask_number(struct store_sqlite *self, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (store_sqlite_prepare(self, sql, &statement, err))
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *out = 0;
    else
        result = store_sqlite_error(self, code, err);
    sqlite3_finalize(statement);
    return result;
}

static int check_integrity(struct store_sqlite *self, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (store_sqlite_prepare(self, "PRAGMA integrity_check(1)", &statement, err))
        return -1;
    int code = sqlite3_step(statement), result = 0;
    const char *said = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (code != SQLITE_ROW)
        result = store_sqlite_error(self, code, err);
    else if (!said || strcmp(said, "ok") != 0)
        result = error_set(err, ERROR_INVALID, "%s is damaged (%.80s): " STORE_WAY_OUT, self->path,
                           said ? said : "no answer");
    sqlite3_finalize(statement);
    return result;
}

static int check_sums(struct store_sqlite *self, struct error *err)
{
    int64_t wrong = 0;
    if (ask_number(self, "SELECT count(*) FROM record WHERE sum IS NOT atoll_sum(key, data)", &wrong, err))
        return -1;
    return wrong ? error_set(err, ERROR_INVALID,
                             "%s is damaged (the checksum of %lld of its records differs): " STORE_WAY_OUT,
                             self->path, (long long)wrong)
                 : 0;
}

int store_sqlite_check(struct store_sqlite *self, struct error *err)
{
    int64_t format = 0, application = 0, tables = 0;
    if (ask_number(self, "PRAGMA user_version", &format, err) ||
        ask_number(self, "PRAGMA application_id", &application, err) ||
        ask_number(self, "SELECT count(*) FROM sqlite_master WHERE name = 'record'", &tables, err))
        return -1;
    if (application != STORE_APPLICATION)
        return error_set(
            err, ERROR_INVALID,
            "%s is another program's database, or is damaged: nothing was changed; move it away or give "
            "another --dir",
            self->path);
    if (format > STORE_FORMAT)
        return error_set(
            err, ERROR_INVALID,
            "%s was written by a newer version (format %lld, this program knows %d): nothing was changed; "
            "use that version, or a newer one",
            self->path, (long long)format, STORE_FORMAT);
    if (format < 1 || tables != 1)
        return error_set(err, ERROR_INVALID,
                         "%s is damaged (format %lld, %lld tables of records): " STORE_WAY_OUT, self->path,
                         (long long)format, (long long)tables);
    return check_integrity(self, err) || (format > 1 && check_sums(self, err)) ? -1 : 0;
}

/* ---- making and upgrading ---- */

static int upgrade_from(struct store_sqlite *self, int64_t format, struct error *err)
{
    char version[64];
    if (store_sqlite_run(self, "BEGIN IMMEDIATE", err))
        return -1;
    int result = 0;
    for (; format < STORE_FORMAT && result == 0; format++)
        result = store_sqlite_run(self, upgrades[format], err);
    sqlite3_snprintf(sizeof version, version, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                     STORE_APPLICATION, STORE_FORMAT);
    if (result == 0)
        result = store_sqlite_run(self, version, err);
    if (result == 0)
        result = store_sqlite_run(self, "COMMIT", err);
    if (result && !sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int store_sqlite_upgrade(struct store_sqlite *self, struct error *err)
{
    int64_t format = 0;
    if (ask_number(self, "PRAGMA user_version", &format, err))
        return -1;
    return format == STORE_FORMAT ? 0 : upgrade_from(self, format, err);
}

static int fill(const char *path, struct error *err)
{
    struct store_sqlite *self = store_sqlite_create(path);
    if (!self)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the store");
    int result = store_sqlite_connect(self, SQLITE_OPEN_READWRITE, err) ||
                         store_sqlite_run(self, "PRAGMA synchronous=EXTRA", err) || upgrade_from(self, 0, err)
                     ? -1
                     : 0;
    store_sqlite_destroy(self);
    return result;
}

/* An empty file for SQLite to fill, that nobody else may read. */
static int create_private(const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600)) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, errnum, "%s can't be made", path);
    }
    close(fd);
    return 0;
}

int store_sqlite_make(const char *path, struct error *err)
{
    char fresh[STORE_PATH_MAX], journal[STORE_PATH_MAX];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    snprintf(journal, sizeof journal, "%s.new-journal", path);
    unlink(journal); /* of one that was never finished */
    if (create_private(fresh, err) == 0 && fill(fresh, err) == 0 && file_rename(fresh, path, err) == 0)
        return 0;
    unlink(journal);
    unlink(fresh);
    return error_wrap(err, "making an empty store");
}
