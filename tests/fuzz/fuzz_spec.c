/* What people (and whoever reaches the controller's port) send as a spec: no bytes may crash the reader, take
 * long or pass the arena's bound; and what was read is read again the same after it was written, in both
 * formats. A byte 0x1e begins an overlay. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/spec_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct spec *spec, enum spec_format format)
{
    struct arena arena;
    struct buffer text, lines;
    struct error err = {0};
    struct spec again;
    static struct spec_problems problems;
    static const struct spec_problems none;
    problems = none;
    arena_init(&arena, 256 << 20);
    buffer_init(&text, 0);
    buffer_init(&lines, 0);
    assert(spec_write(spec, format, &text, &err) == 0);
    struct spec_source source = {"again", text.data, text.length};
    assert(spec_read(&source, 1, &arena, &again, &problems) == 0);
    assert(spec_diff(spec, &again, &lines) == 0);
    assert(spec_check_change(spec, &again, &arena, &problems) == 0);
    buffer_finish(&lines);
    buffer_finish(&text);
    arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spec_problems problems;
    static const struct spec_problems none;
    struct arena arena;
    struct spec spec;
    struct buffer said;
    const char *text = (const char *)data;
    const char *cut = size ? memchr(data, 0x1e, size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size;
    struct spec_source sources[] = {{"base", text, first},
                                    {"overlay", cut ? cut + 1 : "", cut ? size - first - 1 : 0}};
    problems = none;
    arena_init(&arena, 16 << 20);
    buffer_init(&said, 0);
    if (spec_read(sources, cut ? 2 : 1, &arena, &spec, &problems) == 0) {
        check_round_trip(&spec, SPEC_YAML);
        check_round_trip(&spec, SPEC_JSON);
    } else {
        assert(problems.errors > 0 && problems.count > 0);
    }
    for (size_t i = 0; i < problems.count; i++)
        spec_problem_print(&problems.items[i], &said);
    assert(arena.used <= arena.limit);
    buffer_finish(&said);
    arena_finish(&arena);
    return 0;
}
