/* Backup and restore of the controller's store: see maintenance.h. */
#include "controller/maintenance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/act/records.h"
#include "controller/act/store_sqlite.h"
#include "controller/controller.h"
#include "proto/base/file.h"

enum {
    FILE_PATH_MAX = 4096,
    /* How many _ids may have been given after the image was made, which nobody who is asked now remembers. A
     * member's _id before MongoDB 5.0 is at most 255. */
    RESTORE_ID_GAP = 16,
    ID_MOST_BEFORE_5_0 = 255,
    KEPT_MAX = 1000, /* of one second */
};

static int join(char path[FILE_PATH_MAX], const char *dir, const char *name, struct error *err)
{
    return (size_t)snprintf(path, FILE_PATH_MAX, "%s/%s", dir, name) < FILE_PATH_MAX - 64
               ? 0
               : error_set(err, ERROR_TOO_LARGE, "the path %.200s… is longer than FILE_PATH_MAX (%d)", dir,
                           FILE_PATH_MAX);
}

static int summary_of(const char *path, struct store_summary *out, struct error *err)
{
    struct store *store = NULL;
    if (store_sqlite_open_image(path, &store, err))
        return -1;
    int result = controller_summarize(store, out, err);
    store->functions->close(store);
    return result ? error_wrap(err, "%s", path) : 0;
}

static void say_summary(const char *what, const char *file, const struct store_summary *summary)
{
    char applied[TIME_TEXT_MAX];
    printf("%s %s: epoch %lld, ", what, file, (long long)summary->epoch);
    if (!summary->revision) {
        puts("no federation was applied yet");
        return;
    }
    printf("federation %s, revision %lld of %s, sets %zu, members %zu\n", summary->federation,
           (long long)summary->revision, time_text(summary->applied_at_ms, applied), summary->sets,
           summary->members);
}

/* ---- backup ---- */

/* Gives the finished file its name; without `overwrite` only if nobody has it. */
static int publish(const char *temporary, const char *file, bool overwrite, struct error *err)
{
    if (overwrite)
        return file_rename(temporary, file, err);
    if (link(temporary, file) == 0)
        return file_rename(temporary, file,
                           err); /* which leaves two names of one file alone, and is durable */
    if (errno == EEXIST)
        return error_set(err, ERROR_CONFLICT, "%s exists: give another name, or --overwrite", file);
    return error_set_errno(err, errno, "%s can't be made", file);
}

static int write_image(const char *store, const char *temporary, const char *file, bool overwrite,
                       struct error *err)
{
    struct store_summary summary;
    if (store_sqlite_copy(store, temporary, err) || summary_of(temporary, &summary, err) ||
        publish(temporary, file, overwrite, err))
        return -1;
    say_summary("backup", file, &summary);
    return 0;
}

int maintenance_backup(const char *dir, const char *file, bool overwrite, struct error *err)
{
    char store[FILE_PATH_MAX], temporary[FILE_PATH_MAX + 8];
    struct stat about;
    if (join(store, dir, STORE_FILE, err))
        return -1;
    if (!overwrite && lstat(file, &about) == 0)
        return error_set(err, ERROR_CONFLICT, "%s exists: give another name, or --overwrite", file);
    if (stat(file, &about) == 0 && !S_ISREG(about.st_mode))
        return error_set(err, ERROR_INVALID, "%s is no file: a backup is one file, give its name", file);
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", file) >= FILE_PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the path %.200s… is longer than FILE_PATH_MAX (%d)", file,
                         FILE_PATH_MAX);
    int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return error_set_errno(err, errno, "a file beside %s can't be made", file);
    close(fd);
    int result = write_image(store, temporary, file, overwrite, err);
    unlink(temporary);
    return result ? error_wrap(err, "nothing was backed up") : 0;
}

/* ---- restore ---- */

/* An _id may have been given to a member after the image was made, and that one may have left again: then
 * neither the image nor any configuration knows it. So some are left free. */
static int leave_gap(struct store *store, const struct store_record *record, struct error *err)
{
    struct arena arena;
    struct buffer bytes;
    struct ledger ledger;
    arena_init(&arena, 0);
    buffer_init(&bytes, STORE_RECORD_BYTES_MAX);
    int result = ledger_record_read(record->data, record->length, record->key + strlen(RECORD_LEDGER_PREFIX),
                                    &arena, &ledger, err);
    if (result == 0 && ledger.next_id > 0) {
        int next = ledger.next_id + RESTORE_ID_GAP;
        ledger.next_id = next <= ID_MOST_BEFORE_5_0 ? next : ledger.next_id;
        result = ledger_record_write(&ledger, &bytes, err);
        if (result == 0)
            result =
                store_write(store, &(struct store_record){record->key, bytes.data, bytes.length}, 1, err);
    }
    buffer_finish(&bytes);
    arena_finish(&arena);
    return result;
}

static int leave_gaps(const char *path, struct error *err)
{
    struct store *store = NULL;
    struct arena arena;
    const struct store_record *records = NULL;
    size_t count = 0;
    if (store_sqlite_open(path, &store, err))
        return -1;
    arena_init(&arena, 0);
    int result = store_load(store, &arena, &records, &count, err);
    for (size_t i = 0; i < count && result == 0; i++)
        if (strncmp(records[i].key, RECORD_LEDGER_PREFIX, strlen(RECORD_LEDGER_PREFIX)) == 0)
            result = leave_gap(store, &records[i], err);
    arena_finish(&arena);
    store->functions->close(store);
    return result;
}

static int create_empty(const char *dir, const char *path, struct error *err)
{
    static const char *const leftovers[] = {"-wal", "-shm", "-journal"};
    char name[FILE_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
        snprintf(name, sizeof name, "%s%s", path, leftovers[i]);
        unlink(name);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "%s can't be made", path);
    struct stat about; /* root restores for the user that the folder belongs to */
    int failed = geteuid() == 0 && stat(dir, &about) == 0 && fchown(fd, about.st_uid, about.st_gid);
    int errnum = errno;
    close(fd);
    return failed ? error_set_errno(err, errnum, "%s can't be given to the owner of its folder", path) : 0;
}

/* A name that no other restore has used, not even one in the same second. */
static void name_kept(const char *store, char kept[FILE_PATH_MAX])
{
    char when[32], log[FILE_PATH_MAX + 8];
    struct stat about;
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    snprintf(kept, FILE_PATH_MAX, "%s.before-%s", store, when);
    for (int i = 2; i < KEPT_MAX; i++) {
        snprintf(log, sizeof log, "%s-wal", kept);
        if (lstat(kept, &about) && lstat(log, &about))
            return;
        snprintf(kept, FILE_PATH_MAX, "%s.before-%s-%d", store, when, i);
    }
}

/* Gives a file a second name; gives 1 when there was none to keep. */
static int keep(const char *store, const char *kept, const char *suffix, struct error *err)
{
    char from[FILE_PATH_MAX + 8], to[FILE_PATH_MAX + 8];
    snprintf(from, sizeof from, "%s%s", store, suffix);
    snprintf(to, sizeof to, "%s%s", kept, suffix);
    if (link(from, to) == 0)
        return 0;
    return errno == ENOENT ? 1 : error_set_errno(err, errno, "%s can't be kept as %s", from, to);
}

static int take_away(const char *store, const char *suffix, struct error *err)
{
    char path[FILE_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s%s", store, suffix);
    return unlink(path) && errno != ENOENT ? error_set_errno(err, errno, "%s can't be taken away", path) : 0;
}

/* The old store has its second name, with its log, before the first of its files goes. From then on until the
 * new one has its place, the file that is being restored keeps every controller from starting. */
static int exchange(const char *store, const char *restoring, char kept[FILE_PATH_MAX], struct error *err)
{
    name_kept(store, kept);
    int kept_store = keep(store, kept, "", err);
    if (kept_store < 0 || keep(store, kept, "-wal", err) < 0)
        return -1;
    if (kept_store)
        *kept = 0;
    return take_away(store, "", err) || take_away(store, "-wal", err) || take_away(store, "-shm", err) ||
                   file_rename(restoring, store, err)
               ? -1
               : 0;
}

int maintenance_restore(const char *dir, const char *file, struct error *err)
{
    char store[FILE_PATH_MAX], restoring[FILE_PATH_MAX + 16], kept[FILE_PATH_MAX];
    struct store_summary summary;
    if (join(store, dir, STORE_FILE, err) || summary_of(file, &summary, err))
        return error_wrap(err, "nothing was restored");
    snprintf(restoring, sizeof restoring, "%s" STORE_RESTORING, store);
    bool again = access(restoring, F_OK) == 0;
    if (create_empty(dir, restoring, err) || store_sqlite_copy(file, restoring, err) ||
        leave_gaps(restoring, err)) {
        if (!again)
            unlink(restoring);
        return error_wrap(err, "nothing was restored");
    }
    if (exchange(store, restoring, kept, err))
        return error_wrap(err, "the restore is unfinished, repeat it");
    say_summary("restored", file, &summary);
    if (*kept)
        printf("the store before it is kept as %s\n", kept);
    puts("Start the controller when you are sure that no other one runs for this federation. Its epoch rises "
         "above all that\n"
         "the agents have accepted as soon as they report, and nothing is decided before; what is true of "
         "the sets comes from\n"
         "the members themselves. The spec is the one of the backup: apply the newest one you have. Tokens "
         "that were\n"
         "revoked since are valid again: revoke them once more.");
    return 0;
}
