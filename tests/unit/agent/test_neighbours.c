/* Whose process a command line is, to an agent that looks for the addresses of its neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "zone-agent/local/neighbours.h"

static void is(const char *words, const char *folder, bool is_sandbox)
{
    char line[512];
    const char *start = NULL;
    size_t length = 0, size = strlen(words) + 1;
    bool sandbox = false;
    memcpy(line, words, size);
    for (size_t i = 0; i < size; i++)
        line[i] = line[i] == ' ' ? '\0' : line[i];
    bool found = neighbour_folder(line, size, &start, &length, &sandbox);
    assert_int_equal(found, folder != NULL);
    if (!folder)
        return;
    assert_int_equal(length, strlen(folder));
    assert_memory_equal(start, folder, length);
    assert_int_equal(sandbox, is_sandbox);
}

static void a_process_belongs_to_the_zone_that_its_command_line_names(void **state)
{
    (void)state;
    is("/usr/bin/atoll-zone-agent --dir /s/zones/a --zone a --mongod /x/mongod", "/s/zones/a", false);
    is("/x/mongod-sim --dbpath /s/zones/a/disks/mongodb-disk1/data --port 27017", "/s/zones/a", false);
    is("mongod --port 1 --dbpath /disks/d/disks/d/data", "/disks/d", false);
    is("atoll sandbox supervise --dir /s --lock-fd 3", "/s", true);
}

static void other_processes_belong_to_nobody(void **state)
{
    (void)state;
    is("mongod --dbpath /var/lib/mongodb", NULL, false);
    is("mongod --dbpath /data", NULL, false);
    is("mongod --dbpath data", NULL, false);
    is("mongod --dbpath", NULL, false);
    is("mongod --dbpath /s/zones/a/disks/mongodb-disk1/else", NULL, false);
    is("atoll sandbox up --dir /s", NULL, false);
    is("atoll-zone-agent --dir relative", NULL, false);
    is("vi /s/zones/a/services/x.json", NULL, false);
    is("", NULL, false);
    const char *start;
    size_t length;
    bool sandbox;
    assert_false(neighbour_folder("", 0, &start, &length, &sandbox));
    assert_false(neighbour_folder("cut off", 3, &start, &length, &sandbox));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_belongs_to_the_zone_that_its_command_line_names),
        cmocka_unit_test(other_processes_belong_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
