/* The store on a bad disk: torn at every single step of a write, full or failing at every one, bits flipped,
 * cut short. What was acknowledged is found again, or the file is refused and left as it is; never is there a
 * mixture, and never anything that nobody wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controller/act/store_sqlite.h"
#include "proto/base/file.h"
#include "tests/unit/controller/fault_vfs.h"

enum { STATES = 3, LARGE = 9000, FILE_MOST = 1 << 20, FLIPS = 500 };

static char folder[64], path[96], image[96]; /* the store, and where a photograph of it is put */
static int acknowledged,
    photographed_at; /* the last state that write() returned 0 for; the same at the photograph */

static int make_folder(void **state)
{
    (void)state;
    /* In memory where that is possible: thousands of syncs would take long, and it is the order that counts.
     */
    snprintf(folder, sizeof folder, "%s/atoll-faults-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/controller.db", folder);
    snprintf(image, sizeof image, "%s/image.db", folder);
    fault_vfs_install();
    fault_vfs_reset();
    acknowledged = photographed_at = 0;
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    fault_vfs_reset();
    return file_remove_tree(folder, NULL);
}

static void forget_files(const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".new", ".new-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char file[160];
        snprintf(file, sizeof file, "%s%s", name, suffixes[i]);
        unlink(file);
    }
}

static void copy_file(const char *suffix)
{
    char from[160], to[160];
    struct buffer bytes;
    snprintf(from, sizeof from, "%s%s", path, suffix);
    snprintf(to, sizeof to, "%s%s", image, suffix);
    buffer_init(&bytes, FILE_MOST);
    if (file_read(from, FILE_MOST, &bytes, NULL) == 0) {
        FILE *file = fopen(to, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(buffer_text(&bytes), 1, bytes.length, file), bytes.length);
        fclose(file);
    }
    buffer_finish(&bytes);
}

/* What a machine that lost power at this moment would find, but for its memory (-shm). */
static void photograph(void)
{
    forget_files(image);
    copy_file("");
    copy_file("-wal");
    copy_file("-journal");
    copy_file(".new");
    copy_file(".new-journal");
    photographed_at = acknowledged;
}

/* State n: both records are of it, and long enough for several pages. */
static int write_state(struct store *store, int n, struct error *err)
{
    char number[8], *large = malloc(LARGE);
    snprintf(number, sizeof number, "%d", n);
    memset(large, 'a' + n, LARGE);
    const struct store_record records[] = {{"epoch", number, strlen(number)}, {"ledger/mongo", large, LARGE}};
    int result = store_write(store, records, 2, err);
    free(large);
    if (result == 0)
        acknowledged = n;
    return result;
}

/* The state that is found, -1 when the store is refused. Whatever is neither fails the test. */
static int state_in(struct store *store, struct error *err)
{
    struct arena arena;
    const struct store_record *records;
    size_t count;
    int found = -1;
    arena_init(&arena, 0);
    if (store_load(store, &arena, &records, &count, err) == 0) {
        assert_true(count == 0 || count == 2);
        found = count ? atoi(records[0].data) : 0;
        for (size_t i = 0; count && i < LARGE; i++)
            assert_int_equal(((const char *)records[1].data)[i], 'a' + found);
        assert_true(count == 0 || records[1].length == LARGE);
    }
    arena_finish(&arena);
    return found;
}

static int open_and_look(const char *file, struct error *err)
{
    struct store *store = NULL;
    if (store_sqlite_open(file, &store, err))
        return -1;
    int found = state_in(store, err);
    store->functions->close(store);
    return found;
}

/* A life: made or opened, written, closed (which makes a checkpoint), opened and written again. Errors are
 * survived. */
static void live(void)
{
    struct store *store = NULL;
    for (int n = 1; n <= STATES; n++) {
        if (!store && store_sqlite_open(path, &store, NULL))
            continue;
        write_state(store, n, NULL);
        if (n == 2) {
            store->functions->close(store);
            store = NULL;
        }
    }
    if (store)
        store->functions->close(store);
}

static void torn_at_any_step_it_holds_what_was_acknowledged_or_what_was_being_written(void **state)
{
    (void)state;
    int at = 0, steps = 1;
    while (++at <= steps) {
        struct error err = {0};
        forget_files(path);
        forget_files(image);
        fault_vfs_reset();
        acknowledged = 0;
        faults.at = at;
        faults.photograph = photograph;
        live();
        steps = faults.steps;
        assert_int_equal(acknowledged, STATES);
        fault_vfs_reset();
        int found = open_and_look(image, &err);
        if (found != photographed_at && found != photographed_at + 1)
            fail_msg("step %d: state %d, after %d was acknowledged: %s", at, found, photographed_at,
                     err.message);
    }
    assert_true(steps > 40); /* making it, three writes, two checkpoints */
}

static void fails_at_every_step(int code, bool for_good)
{
    int at = 0, steps = 1;
    while (++at <= steps) {
        struct error err = {0};
        forget_files(path);
        fault_vfs_reset();
        acknowledged = 0;
        faults.at = at;
        faults.code = code;
        faults.for_good = for_good;
        live();
        steps =
            for_good && faults.steps >= at ? at + 1 : faults.steps; /* how many there would be is not known */
        int known = acknowledged;
        fault_vfs_reset();
        int found = open_and_look(path, &err);
        if (found < known) /* one that failed may be there all the same */
            fail_msg("step %d fails: state %d, after %d was acknowledged: %s", at, found, known, err.message);
        if (for_good && known == STATES)
            break;
    }
    assert_true(at > 30);
}

static void a_disk_that_fails_once_loses_nothing_and_the_next_write_is_taken(void **state)
{
    (void)state;
    fails_at_every_step(SQLITE_FULL, false);
    fails_at_every_step(SQLITE_IOERR_FSYNC, false);
}

static void a_disk_that_is_full_from_some_moment_on_loses_nothing(void **state)
{
    (void)state;
    fails_at_every_step(SQLITE_FULL, true);
}

static void a_full_disk_is_told_and_when_there_is_room_the_same_store_goes_on(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error err = {0};
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    assert_int_equal(write_state(store, 1, &err), 0);
    for (int i = 0; i < 3; i++) {
        fault_vfs_reset();
        faults.at = 1;
        faults.code = i == 1 ? SQLITE_IOERR_WRITE : SQLITE_FULL;
        faults.for_good = true;
        assert_int_equal(write_state(store, 2, &err), -1);
        assert_int_equal(err.code, ERROR_IO);
        assert_non_null(strstr(err.message, i == 1 ? "look after its disk" : "free some space"));
        assert_non_null(strstr(err.message, path));
        fault_vfs_reset();
        assert_int_equal(state_in(store, &err), 1);
    }
    assert_int_equal(write_state(store, 2, &err), 0);
    store->functions->close(store);
    assert_int_equal(open_and_look(path, &err), 2);
}

static void a_file_that_is_gone_takes_no_more_writes(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error err = {0};
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    assert_int_equal(write_state(store, 1, &err), 0);
    assert_int_equal(rename(path, elsewhere), 0);
    assert_int_equal(write_state(store, 2, &err), -1);
    assert_non_null(strstr(err.message, "moved, replaced or deleted"));
    assert_int_equal(rename(elsewhere, path), 0);
    assert_int_equal(write_state(store, 2, &err), 0);
    store->functions->close(store);
}

/* ---- damage ---- */

static struct buffer content_of(const char *file)
{
    struct buffer bytes;
    buffer_init(&bytes, FILE_MOST);
    assert_int_equal(file_read(file, FILE_MOST, &bytes, NULL), 0);
    return bytes;
}

static void put_content(const char *file, const void *data, size_t length)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
}

/* A refusal says where and what to do, and leaves the file alone. */
static void is_refused_untouched(const char *file, const struct buffer *bytes, const struct error *err)
{
    struct buffer after = content_of(file);
    if (!strstr(err->message, file))
        fail_msg("\"%s\" doesn't name the file", err->message);
    assert_int_equal(after.length, bytes->length);
    assert_memory_equal(buffer_text(&after), buffer_text((struct buffer *)bytes), bytes->length);
    buffer_finish(&after);
}

static void make_state_two(void)
{
    struct store *store = NULL;
    struct error err = {0};
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    assert_int_equal(write_state(store, 1, &err), 0);
    assert_int_equal(write_state(store, 2, &err), 0);
    photograph(); /* with its log, as after a crash */
    store->functions->close(store);
}

/* Bytes at even distances; with ATOLL_EVERY_BYTE=1 each, which takes a minute: do it after a change of
 * format.
 */
static size_t stride_of(size_t length, size_t count)
{
    return getenv("ATOLL_EVERY_BYTE") ? 1 : length / count + 1;
}

static void flipped_bits_are_found_or_do_not_matter(void **state)
{
    (void)state;
    make_state_two();
    struct buffer bytes = content_of(path);
    size_t stride = stride_of(bytes.length, FLIPS), refused = 0;
    for (size_t at = 0; at < bytes.length; at += stride) {
        struct error err = {0};
        forget_files(path);
        bytes.data[at] ^= 0x15;
        put_content(path, bytes.data, bytes.length);
        int found = open_and_look(path, &err);
        if (found < 0)
            is_refused_untouched(path, &bytes, &err);
        else if (found != 2)
            fail_msg("byte %zu flipped: state %d", at, found);
        refused += found < 0;
        bytes.data[at] ^= 0x15;
    }
    assert_true(refused > FLIPS / 4); /* else it was no store that was flipped */
    buffer_finish(&bytes);
}

static void a_store_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    make_state_two();
    struct buffer bytes = content_of(path);
    for (size_t length = 0; length < bytes.length; length += length % 4096 == 4095 ? 1 : 1365) {
        struct error err = {0};
        struct buffer part = {.data = bytes.data, .length = length};
        forget_files(path);
        put_content(path, bytes.data, length);
        if (open_and_look(path, &err) != -1)
            fail_msg("cut to %zu bytes it is taken for a store", length);
        is_refused_untouched(path, &part, &err);
        if (length > 0 && length < 100)
            assert_non_null(strstr(err.message, "not a controller's store"));
    }
    buffer_finish(&bytes);
}

/* A log with a flipped bit ends before it, as one that was torn does: the state is an older one, which is
 * what a backup is too. It is never another one. */
static void a_log_with_flipped_bits_gives_an_older_state_or_none(void **state)
{
    (void)state;
    make_state_two();
    char log[128], fresh[96];
    snprintf(log, sizeof log, "%s-wal", image);
    struct buffer bytes = content_of(image), logged = content_of(log);
    size_t stride = stride_of(logged.length, 200);
    memcpy(fresh, image, sizeof fresh);
    for (size_t at = 0; at < logged.length; at += stride) {
        struct error err = {0};
        forget_files(image);
        logged.data[at] ^= 0x40;
        put_content(image, bytes.data, bytes.length);
        put_content(log, logged.data, logged.length);
        int found = open_and_look(image, &err);
        if (found < -1 || found > 2)
            fail_msg("byte %zu of the log flipped: state %d", at, found);
        logged.data[at] ^= 0x40;
    }
    buffer_finish(&bytes);
    buffer_finish(&logged);
}

static void refuses(const char *because)
{
    struct error err = {0};
    assert_int_equal(open_and_look(path, &err), -1);
    if (!strstr(err.message, because) || !strstr(err.message, path))
        fail_msg("\"%s\" doesn't say \"%s\"", err.message, because);
}

static void a_log_without_its_store_is_not_thrown_away(void **state)
{
    (void)state;
    char log[128];
    make_state_two();
    forget_files(path);
    snprintf(log, sizeof log, "%s-wal", path);
    put_content(log, "the last changes", 16);
    refuses("its log");
    assert_int_equal(access(log, F_OK), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void an_interrupted_restore_is_not_taken_for_an_empty_store(void **state)
{
    (void)state;
    char half[128];
    snprintf(half, sizeof half, "%s.restoring", path);
    put_content(half, "", 0);
    refuses("a restore was interrupted");
}

/* People copy controller.db and nothing else; without this it was what it had been at the last stop. */
static void the_file_alone_holds_what_was_acknowledged(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error err = {0};
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    for (int n = 1; n <= STATES; n++) {
        assert_int_equal(write_state(store, n, &err), 0);
        forget_files(image);
        copy_file("");
        assert_int_equal(open_and_look(image, &err), n);
    }
    store->functions->close(store);
}

static void a_new_store_is_for_its_owner_alone(void **state)
{
    (void)state;
    struct stat about;
    mode_t before = umask(0);
    make_state_two();
    umask(before);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

static void a_store_of_the_first_format_is_brought_up_with_all_it_holds(void **state)
{
    (void)state;
    sqlite3 *db = NULL;
    struct error err = {0};
    char sql[256];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(sql, sizeof sql,
             "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;"
             "PRAGMA application_id=%d; PRAGMA user_version=1;",
             0x41746f6c);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql,
             "INSERT INTO record VALUES ('epoch', CAST('2' AS BLOB)), ('ledger/mongo', "
             "CAST(replace(hex(zeroblob(%d)), "
             "'00', 'c') AS BLOB))",
             LARGE);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_and_look(path, &err), 2);
    assert_int_equal(open_and_look(path, &err), 2);
}

static void more_records_than_can_be_loaded_are_not_written(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error err = {0};
    static char keys[STORE_RECORDS_MAX + 1][16];
    struct store_record records[STORE_RECORDS_MAX + 1];
    for (int i = 0; i <= STORE_RECORDS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        records[i] = (struct store_record){keys[i], "", 0};
    }
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    assert_int_equal(store_write(store, records, STORE_RECORDS_MAX + 1, &err), -1);
    assert_non_null(strstr(err.message, "STORE_RECORDS_MAX"));
    assert_int_equal(store_write(store, records, STORE_RECORDS_MAX, &err), 0);
    assert_int_equal(store_write(store, records, 1, &err), 0); /* one that is there already */
    assert_int_equal(store_write(store, records + STORE_RECORDS_MAX, 1, &err), -1);
    store->functions->close(store);
    assert_int_equal(store_sqlite_open(path, &store, &err), 0);
    store->functions->close(store);
}

#define on_disk(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_disk(torn_at_any_step_it_holds_what_was_acknowledged_or_what_was_being_written),
        on_disk(a_disk_that_fails_once_loses_nothing_and_the_next_write_is_taken),
        on_disk(a_disk_that_is_full_from_some_moment_on_loses_nothing),
        on_disk(a_full_disk_is_told_and_when_there_is_room_the_same_store_goes_on),
        on_disk(a_file_that_is_gone_takes_no_more_writes),
        on_disk(flipped_bits_are_found_or_do_not_matter),
        on_disk(a_store_cut_short_anywhere_is_refused),
        on_disk(a_log_with_flipped_bits_gives_an_older_state_or_none),
        on_disk(a_log_without_its_store_is_not_thrown_away),
        on_disk(an_interrupted_restore_is_not_taken_for_an_empty_store),
        on_disk(the_file_alone_holds_what_was_acknowledged),
        on_disk(a_new_store_is_for_its_owner_alone),
        on_disk(a_store_of_the_first_format_is_brought_up_with_all_it_holds),
        on_disk(more_records_than_can_be_loaded_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
