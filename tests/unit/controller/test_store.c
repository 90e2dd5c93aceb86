/* The SQLite store: durable, whole, and clear about what it can't use. And the records in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controller/act/records.h"
#include "controller/act/store_sqlite.h"
#include "proto/base/file.h"

static char folder[] = "/tmp/atoll-store-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/atoll-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/controller.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    struct error err = {0};
    if (store_sqlite_open(path, &store, &err))
        fail_msg("%s", err.message);
    return store;
}

static void put(struct store *store, const char *key, const char *text)
{
    struct error err = {0};
    struct store_record record = {key, text, text ? strlen(text) : 0};
    assert_int_equal(store_write(store, &record, 1, &err), 0);
}

/* "key=data key=data" */
static void holds(struct store *store, const char *expected)
{
    struct arena arena;
    struct buffer text;
    struct error err = {0};
    const struct store_record *records;
    size_t count;
    arena_init(&arena, 0);
    buffer_init(&text, 0);
    assert_int_equal(store_load(store, &arena, &records, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "%s%s=%.*s", i ? " " : "", records[i].key, (int)records[i].length,
                      (const char *)records[i].data);
    assert_string_equal(buffer_text(&text), expected);
    buffer_finish(&text);
    arena_finish(&arena);
}

static void refuses(const char *because)
{
    struct store *store = NULL;
    struct error err = {0};
    assert_int_equal(store_sqlite_open(path, &store, &err), -1);
    if (!strstr(err.message, because))
        fail_msg("\"%s\" doesn't say \"%s\"", err.message, because);
    assert_non_null(strstr(err.message, path));
}

static void what_was_written_is_found_again(void **state)
{
    (void)state;
    struct store *store = open_store();
    holds(store, "");
    put(store, "epoch", "1");
    put(store, "ledger/mongo", "{}");
    put(store, "epoch", "2");
    store->functions->close(store);
    store = open_store();
    holds(store, "epoch=2 ledger/mongo={}");
    put(store, "epoch", NULL);
    holds(store, "ledger/mongo={}");
    store->functions->close(store);
}

static void records_written_together_are_kept_together_or_not_at_all(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct error err = {0};
    char *large = calloc(1, STORE_RECORD_BYTES_MAX + 1);
    put(store, "epoch", "1");
    const struct store_record records[] = {{"epoch", "2", 1}, {"spec", large, STORE_RECORD_BYTES_MAX + 1}};
    assert_int_equal(store_write(store, records, 2, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    holds(store, "epoch=1");
    store->functions->close(store);
    free(large);
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_store_of_a_newer_version_is_refused(void **state)
{
    (void)state;
    struct store *store = open_store();
    store->functions->close(store);
    run_sql("PRAGMA user_version=99");
    refuses("newer version");
}

static void another_programs_database_is_refused(void **state)
{
    (void)state;
    run_sql("CREATE TABLE theirs (x)");
    refuses("another program's database");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    (void)state;
    struct error err;
    char text[4096];
    memset(text, 'x', sizeof text);
    assert_int_equal(file_replace(path, text, sizeof text, 0600, &err), 0);
    refuses("not a controller's store");
}

static void a_damaged_store_is_refused(void **state)
{
    (void)state;
    struct store *store = open_store();
    char key[16];
    char *text = malloc(20001);
    memset(text, 'y', 20000);
    text[20000] = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        put(store, key, text);
    }
    free(text);
    store->functions->close(store);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 4096, SEEK_SET);
    for (int i = 0; i < 4096; i++)
        fputc(0x5a, file);
    fclose(file);
    refuses("damaged");
}

/* ---- records ---- */

static void a_ledger_is_read_as_it_was_written(void **state)
{
    (void)state;
    const struct ledger_member members[] = {{1, 0, "d1", false}, {3, 7, "", true}};
    const struct ledger ledger = {"mongo", BIRTH_DONE, 1, "6b0407215e92c42f711d9b08", 8, 12, members, 2};
    struct ledger back;
    struct buffer bytes;
    struct arena arena;
    struct error err;
    buffer_init(&bytes, 0);
    arena_init(&arena, 0);
    assert_int_equal(ledger_record_write(&ledger, &bytes, &err), 0);
    assert_int_equal(ledger_record_read(bytes.data, bytes.length, "mongo", &arena, &back, &err), 0);
    assert_true(ledger_equal(&ledger, &back));
    assert_int_equal(ledger_record_read(bytes.data, bytes.length, "other", &arena, &back, &err), -1);
    buffer_finish(&bytes);
    arena_finish(&arena);
}

static void a_ledger_that_can_not_be_understood_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"set\":\"mongo\",\"birth\":\"twice\",\"birthOrdinal\":0,"
                                      "\"replicaSetId\":\"\",\"nextId\":0,\"members\":[]}",
                                      "{\"set\":\"mongo\",\"birth\":\"none\",\"birthOrdinal\":0,"
                                      "\"replicaSetId\":\"\",\"nextId\":-1,\"members\":[]}",
                                      "{\"set\":\"mongo\",\"birth\":\"none\",\"birthOrdinal\":0,"
                                      "\"replicaSetId\":\"\",\"nextId\":0,\"members\":[{\"id\":1}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena arena;
        struct ledger ledger;
        struct error err = {0};
        arena_init(&arena, 0);
        assert_int_equal(ledger_record_read(bad[i], strlen(bad[i]), "mongo", &arena, &ledger, &err), -1);
        assert_non_null(strstr(err.message, "ledger/mongo"));
        arena_finish(&arena);
    }
}

static void numbers_are_strict(void **state)
{
    (void)state;
    int64_t value = 0;
    struct error err;
    assert_int_equal(number_record_read("42", 2, "epoch", &value, &err), 0);
    assert_int_equal(value, 42);
    static const char *const bad[] = {"", "-1", "4x", "99999999999999999999", " 4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(number_record_read(bad[i], strlen(bad[i]), "epoch", &value, &err), -1);
}

#define on_disk(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

/* ---- the log ---- */

static int64_t append(struct store *store, const char *text)
{
    struct error err = {0};
    int64_t id = 0;
    if (store->functions->log_append(store, text, strlen(text), &id, &err))
        fail_msg("%s", err.message);
    return id;
}

static void log_is(struct store *store, int64_t before, size_t most, const char *expected)
{
    struct arena arena;
    struct error err = {0};
    const struct store_line *lines = NULL;
    size_t count = 0;
    char found[256] = "";
    arena_init(&arena, 0);
    assert_int_equal(store->functions->log_read(store, before, most, &arena, &lines, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld=%s", i ? " " : "",
                 (long long)lines[i].id, lines[i].text);
    assert_string_equal(found, expected);
    arena_finish(&arena);
}

static void a_line_of_the_log_is_ended_once_and_kept(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *store = open_store();
    log_is(store, 0, 10, "");
    assert_int_equal(append(store, "one"), 1);
    assert_int_equal(append(store, "two"), 2);
    assert_int_equal(store->functions->log_end(store, 1, "ONE", 3, &err), 0);
    assert_int_equal(store->functions->log_end(store, 1, "again", 5, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    store->functions->close(store);
    store = open_store();
    log_is(store, 0, 10, "2=two 1=ONE");
    log_is(store, 2, 10, "1=ONE");
    log_is(store, 0, 1, "2=two");
    holds(store, "");
    store->functions->close(store);
}

static void the_log_keeps_so_many_lines(void **state)
{
    (void)state;
    sqlite3 *db = NULL;
    struct store *store = open_store();
    append(store, "oldest");
    append(store, "second");
    store->functions->close(store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char sql[96];
    snprintf(sql, sizeof sql, "UPDATE sqlite_sequence SET seq = %d", STORE_LINES_MAX);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    store = open_store();
    assert_int_equal(append(store, "newest"), STORE_LINES_MAX + 1);
    char expected[64];
    snprintf(expected, sizeof expected, "%d=newest 2=second", STORE_LINES_MAX + 1);
    log_is(store, 0, 10, expected);
    store->functions->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_disk(what_was_written_is_found_again),
        on_disk(records_written_together_are_kept_together_or_not_at_all),
        on_disk(a_store_of_a_newer_version_is_refused),
        on_disk(another_programs_database_is_refused),
        on_disk(a_file_that_is_no_database_is_refused),
        on_disk(a_damaged_store_is_refused),
        cmocka_unit_test(a_ledger_is_read_as_it_was_written),
        cmocka_unit_test(a_ledger_that_can_not_be_understood_is_an_error),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test_setup_teardown(a_line_of_the_log_is_ended_once_and_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_log_keeps_so_many_lines, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
