/* A store in memory: see fake_store.h. */
#include "tests/unit/trust/fake_store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct fake_store *of(struct store *store)
{
    return (struct fake_store *)store;
}

static int failure(struct error *err)
{
    return error_set(err, ERROR_IO, "the disk is full");
}

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    struct fake_store *self = of(store);
    struct store_record *records = arena_array(arena, FAKE_RECORDS_MAX, sizeof *records);
    if (self->fails)
        return failure(err);
    for (size_t i = 0; i < self->record_count; i++)
        records[i] =
            (struct store_record){self->records[i].key, self->records[i].text, strlen(self->records[i].text)};
    *out = records;
    *count = self->record_count;
    return 0;
}

static int write_records(struct store *store, const struct store_record *records, size_t count,
                         struct error *err)
{
    struct fake_store *self = of(store);
    if (self->fails)
        return failure(err);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < self->record_count && strcmp(self->records[at].key, records[i].key) != 0)
            at++;
        if (!records[i].data) {
            assert(at < self->record_count);
            self->records[at] = self->records[--self->record_count];
            continue;
        }
        assert(at < FAKE_RECORDS_MAX && records[i].length < FAKE_TEXT_MAX);
        self->record_count += at == self->record_count;
        snprintf(self->records[at].key, STORE_KEY_MAX, "%s", records[i].key);
        snprintf(self->records[at].text, FAKE_TEXT_MAX, "%.*s", (int)records[i].length,
                 (const char *)records[i].data);
    }
    return 0;
}

static int log_append(struct store *store, const char *text, size_t length, int64_t *id, struct error *err)
{
    struct fake_store *self = of(store);
    if (self->fails)
        return failure(err);
    assert(self->line_count < FAKE_LINES_MAX && length < FAKE_TEXT_MAX);
    snprintf(self->lines[self->line_count].text, FAKE_TEXT_MAX, "%.*s", (int)length, text);
    *id = (int64_t)++self->line_count;
    return 0;
}

static int log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err)
{
    struct fake_store *self = of(store);
    if (self->fails)
        return failure(err);
    assert(id >= 1 && (size_t)id <= self->line_count && !self->lines[id - 1].ended);
    self->lines[id - 1].ended = true;
    snprintf(self->lines[id - 1].text, FAKE_TEXT_MAX, "%.*s", (int)length, text);
    return 0;
}

static int log_read(struct store *store, int64_t before, size_t most, struct arena *arena,
                    const struct store_line **out, size_t *count, struct error *err)
{
    struct fake_store *self = of(store);
    struct store_line *lines = arena_array(arena, FAKE_LINES_MAX, sizeof *lines);
    if (self->fails)
        return failure(err);
    *count = 0;
    for (size_t i = self->line_count; i-- > 0 && *count < most;)
        if (before <= 0 || (int64_t)i + 1 < before)
            lines[(*count)++] =
                (struct store_line){(int64_t)i + 1, self->lines[i].text, strlen(self->lines[i].text)};
    *out = lines;
    return 0;
}

static const struct store_functions functions = {
    .load = load, .write = write_records, .log_append = log_append, .log_end = log_end, .log_read = log_read};

void fake_store_init(struct fake_store *store)
{
    memset(store, 0, sizeof *store);
    store->store.functions = &functions;
}

void fake_store_dump(const struct fake_store *store, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (size_t i = 0; i < store->record_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s=%s\n", store->records[i].key,
                                 store->records[i].text);
    for (size_t i = 0; i < store->line_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\n", store->lines[i].text);
}
