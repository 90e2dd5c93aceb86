/* Journals, which people send each other: no file may crash what reads it, nor the planner that runs over it;
 * and what was read and decided is written so that it reads back. */
#include <assert.h>
#include <string.h>

#include "controller/journal/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_entry(const struct replay *replay, const struct json *entry, size_t place)
{
    struct arena arena;
    struct error err = {0};
    struct replay_result result;
    struct entry_stamp stamp;
    struct entry_input input, again;
    arena_init(&arena, 64 << 20);
    if (replay_entry(replay, entry, place, &arena, &result, &err) == 0 &&
        entry_read(entry, replay->set, &arena, &stamp, &input, &err) == 0) {
        const struct plan_input what = {.observation = &input.observation,
                                        .ledger = &input.ledger,
                                        .previous = input.has_previous ? &input.previous : NULL,
                                        .now_ms = input.now_ms};
        struct json *written = entry_write(&stamp, &what, &result.plan);
        assert(entry_read(written, replay->set, &arena, &stamp, &again, &err) == 0);
        json_destroy(written);
    }
    arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replay replay;
    struct error err = {0};
    size_t place = 0;
    if (replay_open((const char *)data, size, &replay, &err))
        return 0;
    for (const struct json *entry = json_first(replay.entries); entry; entry = json_next(entry))
        try_entry(&replay, entry, place++);
    replay_close(&replay);
    return 0;
}
