/* What the controller reads from agents: the first byte chooses report or heartbeat. No body may crash it,
 * and what was read is written the same again after it was read again. */
#include <assert.h>
#include <string.h>

#include "proto/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_report(const char *text, size_t length, struct arena *arena)
{
    struct error err = {0};
    struct report report, again;
    struct buffer first, second;
    if (report_read(text, length, "z", arena, &report, &err) < 0)
        return;
    buffer_init(&first, 0);
    buffer_init(&second, 0);
    assert(report_print(&report, &first, &err) == 0);
    assert(report_read(first.data, first.length, "z", arena, &again, &err) == 0);
    assert(report_print(&again, &second, &err) == 0);
    assert(report_same_news(&report, &again));
    assert(strcmp(first.data, second.data) == 0);
    buffer_finish(&first);
    buffer_finish(&second);
}

static void try_heartbeat(const char *text, size_t length, struct arena *arena)
{
    struct error err = {0};
    struct heartbeat heartbeat, again;
    struct buffer first;
    if (heartbeat_read(text, length, arena, &heartbeat, &err) < 0)
        return;
    buffer_init(&first, 0);
    assert(heartbeat_print(&heartbeat, &first, &err) == 0);
    assert(heartbeat_read(first.data, first.length, arena, &again, &err) == 0);
    buffer_finish(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    if (size == 0)
        return 0;
    arena_init(&arena, 64 << 20);
    if (data[0] == 'h')
        try_heartbeat((const char *)data + 1, size - 1, &arena);
    else
        try_report((const char *)data + 1, size - 1, &arena);
    arena_finish(&arena);
    return 0;
}
