/* See spec_fixture.h. */
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char three_zones[] =
    "apiVersion: atoll/v1\n"
    "kind: Federation\n"
    "metadata: {name: prod}\n"
    "spec:\n"
    "  zones: [{name: a, driver: local}, {name: b, driver: local}, {name: c, driver: local}]\n"
    "  sets:\n"
    "    - name: mongo\n"
    "      image: mongo:7.0\n"
    "      storage: {size: 200Gi}\n"
    "      members:\n"
    "        - {zone: a, labels: {instance: rod}}\n"
    "        - {zone: b, labels: {instance: jane}}\n"
    "        - {zone: c, labels: {instance: freddy}}\n";

static void read_sources(struct reading *reading, const struct spec_source *sources, size_t count,
                         size_t limit)
{
    memset(reading, 0, sizeof *reading);
    arena_init(&reading->arena, limit);
    buffer_init(&reading->said, 0);
    reading->result = spec_read(sources, count, &reading->arena, &reading->spec, &reading->problems);
    for (size_t i = 0; i < reading->problems.count; i++) {
        spec_problem_print(&reading->problems.items[i], &reading->said);
        buffer_append_text(&reading->said, "\n");
    }
    assert_int_equal(reading->result, reading->problems.errors ? -1 : 0);
}

void reading_init_bytes(struct reading *reading, const char *text, size_t length, size_t arena_limit)
{
    struct spec_source source = {"spec.yaml", text, length};
    read_sources(reading, &source, 1, arena_limit);
}

void reading_init(struct reading *reading, const char *text)
{
    reading_init_bytes(reading, text, strlen(text), 16 << 20);
}

void reading_init_good(struct reading *reading, const char *text)
{
    reading_init(reading, text);
    if (reading->result)
        fail_msg("%s", buffer_text(&reading->said));
}

void reading_init_overlay(struct reading *reading, const char *base, const char *overlay)
{
    struct spec_source sources[] = {{"spec.yaml", base, strlen(base)},
                                    {"overlay.yaml", overlay, strlen(overlay)}};
    read_sources(reading, sources, 2, 16 << 20);
}

void reading_finish(struct reading *reading)
{
    buffer_finish(&reading->said);
    arena_finish(&reading->arena);
}

char *file_text(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("can't open %s", path);
    struct buffer buffer;
    char chunk[4096];
    size_t got;
    buffer_init(&buffer, 0);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_append(&buffer, chunk, got);
    fclose(file);
    if (length)
        *length = buffer.length;
    return buffer.data ? buffer.data : calloc(1, 1);
}
