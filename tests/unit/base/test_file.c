/* Files: bounds, replacement without leftovers, and a removal that never follows a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count - 2;
}

static void a_replaced_file_reads_back_with_its_mode(void **state)
{
    struct error err;
    struct buffer out;
    struct stat about;
    (void)state;
    buffer_init(&out, 0);
    assert_int_equal(file_replace(in_folder("f"), "old content", 11, 0644, &err), 0);
    assert_int_equal(file_replace(in_folder("f"), "new", 3, 0600, &err), 0);
    assert_int_equal(file_read(in_folder("f"), 3, &out, &err), 0);
    assert_string_equal(buffer_text(&out), "new");
    assert_int_equal(stat(in_folder("f"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(count_entries(folder), 1);
    buffer_finish(&out);
}

static void reading_says_why_it_failed_and_leaves_the_buffer(void **state)
{
    struct error err;
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    buffer_append_text(&out, "kept");
    assert_int_equal(file_read(in_folder("none"), 10, &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(file_replace(in_folder("f"), "0123456789", 10, 0600, &err), 0);
    assert_int_equal(file_read(in_folder("f"), 9, &out, &err), -1);
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    assert_int_equal(file_read(folder, 9, &out, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_string_equal(buffer_text(&out), "kept");
    buffer_finish(&out);
}

static void a_replacement_that_fails_leaves_nothing_behind(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(file_replace(in_folder("no/such/f"), "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(file_make_folders(in_folder("full/inner"), 0700, &err), 0);
    assert_int_equal(file_replace(in_folder("full"), "x", 1, 0600, &err), -1); /* a folder that isn't empty */
    assert_int_equal(count_entries(folder), 1);
}

static void folders_are_made_once_and_again(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(file_make_folders(in_folder("a/b/c/"), 0700, &err), 0);
    assert_int_equal(file_make_folders(in_folder("a/b/c"), 0700, &err), 0);
    assert_int_equal(file_replace(in_folder("a/f"), "", 0, 0600, &err), 0);
    assert_int_equal(file_make_folders(in_folder("a/f/d"), 0700, &err), -1);
    assert_non_null(strstr(err.message, "Not a directory"));
}

static void removing_a_tree_never_follows_links(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(file_make_folders(in_folder("outside"), 0700, &err), 0);
    assert_int_equal(file_replace(in_folder("outside/precious"), "x", 1, 0600, &err), 0);
    assert_int_equal(file_make_folders(in_folder("tree/deep/er"), 0700, &err), 0);
    assert_int_equal(file_replace(in_folder("tree/deep/f"), "x", 1, 0600, &err), 0);
    assert_int_equal(symlink("../../outside", in_folder("tree/deep/link")), 0);
    assert_int_equal(mkfifo(in_folder("tree/pipe"), 0600), 0);
    assert_int_equal(file_remove_tree(in_folder("tree"), &err), 0);
    assert_int_equal(access(in_folder("tree"), F_OK), -1);
    assert_int_equal(access(in_folder("outside/precious"), F_OK), 0);
    assert_int_equal(symlink("outside", in_folder("link")), 0);
    assert_int_equal(file_remove_tree(in_folder("link"), &err), 0);
    assert_int_equal(access(in_folder("outside/precious"), F_OK), 0);
    assert_int_equal(file_remove_tree(in_folder("never was"), &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replaced_file_reads_back_with_its_mode, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(reading_says_why_it_failed_and_leaves_the_buffer, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_replacement_that_fails_leaves_nothing_behind, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(folders_are_made_once_and_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(removing_a_tree_never_follows_links, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
