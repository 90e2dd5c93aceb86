/* Images of the store: one is made of a store that is being written, by SQLite's online backup
 * (https://www.sqlite.org/backup.html), and looked at without changing it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/act/store_sqlite.h"
#include "controller/act/store_sqlite_internal.h"
#include "proto/base/file.h"

enum { COPY_WAIT_MS = 50, COPY_PATIENCE_MS = 10000 };

static int refuse_write(struct store *store, const struct store_record *records, size_t count,
                        struct error *err)
{
    (void)store, (void)records, (void)count;
    return error_set(err, ERROR_REFUSED, "an image of a store is only read");
}

static void close_image(struct store *store)
{
    store_sqlite_destroy((struct store_sqlite *)store);
}

static const struct store_functions image_functions = {
    .load = store_sqlite_load, .write = refuse_write, .close = close_image};

int store_sqlite_open_image(const char *path, struct store **out, struct error *err)
{
    int there = store_sqlite_look(path, err);
    if (there <= 0)
        return there ? -1 : error_set(err, ERROR_NOT_FOUND, "there is no store %s", path);
    struct store_sqlite *self = store_sqlite_create(path);
    if (!self)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the store");
    self->store.functions = &image_functions;
    if (store_sqlite_connect(self, SQLITE_OPEN_READONLY, err) || store_sqlite_check(self, err)) {
        store_sqlite_destroy(self);
        return -1;
    }
    *out = &self->store;
    return 0;
}

/* All pages in one go: what is written meanwhile goes into the log and is not part of the image. */
static int copy_pages(struct store_sqlite *from, struct store_sqlite *to, struct error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!backup)
        return store_sqlite_error(to, sqlite3_errcode(to->db), err);
    int code, waited_ms = 0;
    do {
        code = sqlite3_backup_step(backup, -1);
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
            waited_ms += sqlite3_sleep(COPY_WAIT_MS);
    } while ((code == SQLITE_BUSY || code == SQLITE_LOCKED) && waited_ms < COPY_PATIENCE_MS);
    sqlite3_backup_finish(backup);
    return code == SQLITE_DONE ? 0 : store_sqlite_error(to, code, err);
}

static int copy_into(struct store_sqlite *from, struct store_sqlite *to, struct error *err)
{
    if (store_sqlite_connect(to, SQLITE_OPEN_READWRITE, err) ||
        store_sqlite_run(to, "PRAGMA synchronous=EXTRA", err) || copy_pages(from, to, err))
        return -1;
    /* One file, without a log beside it, wherever it is carried. */
    return store_sqlite_run(to, "PRAGMA journal_mode=DELETE", err);
}

static int sync_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd), errnum = errno;
    if (fd >= 0)
        close(fd);
    return failed ? error_set_errno(err, errnum, "%s can't be made durable", path) : 0;
}

int store_sqlite_copy(const char *from, const char *to, struct error *err)
{
    struct store *source = NULL;
    if (store_sqlite_open_image(from, &source, err))
        return -1;
    struct store_sqlite *target = store_sqlite_create(to);
    int result = target ? copy_into((struct store_sqlite *)source, target, err)
                        : error_set(err, ERROR_NO_MEMORY, "no memory for the copy of %s", from);
    store_sqlite_destroy(target);
    source->functions->close(source);
    return result ? -1 : sync_file(to, err);
}
