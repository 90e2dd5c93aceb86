/* Which command lines belong to a sandbox, and which only mention it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/cli/processes.h"

#define LINE(text) text, sizeof text

static void only_the_sandboxs_own_programs_are_found(void **state)
{
    static const struct {
        const char *line;
        size_t length;
        enum process_kind kind;
    } cases[] = {
        {LINE("atoll\0sandbox\0supervise\0--dir\0/s/a"), PROCESS_SUPERVISOR},
        {LINE("/opt/bin/atoll\0sandbox\0supervise\0--dir=/s/a\0--lock-fd\0"
              "3"),
         PROCESS_SUPERVISOR},
        {LINE("atoll-controller\0--dir\0/s/a/controller\0--listen\0"
              "127.0.0.1:7411"),
         PROCESS_DAEMON},
        {LINE("atoll-zone-agent\0--dir\0/s/a/zones/us-east1-b\0--zone\0us-east1-b"), PROCESS_DAEMON},
        {LINE("/usr/bin/mongod\0--replSet\0mongo\0--dbpath\0/s/a/zones/z/disks/d/data"), PROCESS_MEMBER},
        {LINE("/b/atoll-mongod-sim\0--dbpath=/s/a/zones/z/disks/d/data"), PROCESS_MEMBER},
        /* another sandbox whose path begins the same, or that lies above or below */
        {LINE("atoll\0sandbox\0supervise\0--dir\0/s/ab"), PROCESS_FOREIGN},
        {LINE("atoll\0sandbox\0supervise\0--dir\0/s/a/b"), PROCESS_FOREIGN},
        {LINE("atoll\0sandbox\0supervise\0--dir\0/s"), PROCESS_FOREIGN},
        {LINE("atoll-controller\0--dir\0/s/a2/controller"), PROCESS_FOREIGN},
        {LINE("atoll-controller\0--dir\0/s/a/controller2"), PROCESS_FOREIGN},
        {LINE("mongod\0--dbpath\0/s/ab/zones/z/disks/d/data"), PROCESS_FOREIGN},
        {LINE("mongod\0--dbpath\0/var/lib/mongodb"), PROCESS_FOREIGN},
        /* people at work on it */
        {LINE("atoll\0sandbox\0down\0--dir\0/s/a"), PROCESS_FOREIGN},
        {LINE("atoll\0status\0--dir\0/s/a\0--watch"), PROCESS_FOREIGN},
        {LINE("tail\0-f\0/s/a/zones/z/pods/mongod.log"), PROCESS_FOREIGN},
        {LINE("vim\0/s/a/sandbox.json"), PROCESS_FOREIGN},
        {LINE("sh\0-c\0mongod --dbpath /s/a/zones/z"), PROCESS_FOREIGN},
        {LINE("atoll-controller\0--dir"), PROCESS_FOREIGN},
        {"", 0, PROCESS_FOREIGN},
        {"atoll", 5, PROCESS_FOREIGN}, /* cut off: no zero byte behind it */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(process_kind_of(cases[i].line, cases[i].length, "/s/a"), cases[i].kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_sandboxs_own_programs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
