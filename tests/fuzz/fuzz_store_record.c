/* What a controller finds in its store at the start: whatever the rows hold, it starts or says why it
 * doesn't, and a ledger that was read is read again the same after it was written. Rows are "KEY\nDATA", with
 * a line "%%" between them. */
#include <assert.h>
#include <string.h>

#include "controller/act/records.h"
#include "controller/controller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 16 };

struct rows {
    struct store store;
    struct store_record records[ROWS_MAX];
    size_t count;
};

static const char between[] = "\n%%\n";

static const char *find(const char *from, const char *end, const char *what)
{
    return memmem(from, (size_t)(end - from), what, strlen(what));
}

static void split(const char *text, size_t length, struct arena *arena, struct rows *out)
{
    const char *end = text + length;
    while (text < end && out->count < ROWS_MAX) {
        const char *stop = find(text, end, between), *last = stop ? stop : end;
        const char *line = memchr(text, '\n', (size_t)(last - text));
        if (!line || line - text > STORE_KEY_MAX)
            break;
        out->records[out->count++] = (struct store_record){arena_string_n(arena, text, (size_t)(line - text)),
                                                           line + 1, (size_t)(last - line - 1)};
        text = stop ? stop + sizeof between - 1 : end;
    }
}

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    struct rows *rows = (struct rows *)store; /* it is the first member */
    (void)arena, (void)err;
    *out = rows->records;
    *count = rows->count;
    return 0;
}

static const struct store_functions functions = {.load = load};

static void try_ledger(const struct store_record *record, struct arena *arena)
{
    struct ledger ledger, again;
    struct error err = {0};
    struct buffer text;
    const char *set = record->key + strlen(RECORD_LEDGER_PREFIX);
    if (ledger_record_read(record->data, record->length, set, arena, &ledger, &err))
        return;
    buffer_init(&text, 0);
    assert(ledger_record_write(&ledger, &text, &err) == 0);
    assert(ledger_record_read(text.data, text.length, set, arena, &again, &err) == 0);
    assert(ledger_equal(&ledger, &again));
    for (size_t i = 0; i < ledger.member_count; i++) {
        assert(ledger_find(&ledger, ledger.members[i].ordinal) == &ledger.members[i]);
        assert(ledger.members[i].id < ledger.next_id);
    }
    buffer_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows rows = {.store.functions = &functions};
    struct store_summary summary;
    struct error err = {0};
    struct arena arena;
    arena_init(&arena, 64 << 20);
    split((const char *)data, size, &arena, &rows);
    for (size_t i = 0; i < rows.count; i++)
        if (strncmp(rows.records[i].key, RECORD_LEDGER_PREFIX, strlen(RECORD_LEDGER_PREFIX)) == 0)
            try_ledger(&rows.records[i], &arena);
    if (controller_summarize(&rows.store, &summary, &err))
        assert(err.message[0]);
    arena_finish(&arena);
    return 0;
}
