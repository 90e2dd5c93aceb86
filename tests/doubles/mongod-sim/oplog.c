/* Entries are idempotent (whole documents), as an initial sync needs that: it applies some twice. */
#include "oplog.h"

#include <stdlib.h>
#include <string.h>

static struct session **session_slot(const struct oplog *oplog, const uint8_t *id)
{
    struct session *const *p = &oplog->sessions[crc32_of(id, 16) % 1024];
    while (*p && memcmp((*p)->id, id, 16) != 0)
        p = &(*p)->next;
    return (struct session **)p;
}

bool oplog_session_done(const struct oplog *oplog, const uint8_t *id, int64_t number, int32_t index)
{
    const struct session *s = *session_slot(oplog, id);
    return s && s->number == number && index < s->done;
}

static void sessions_clear(struct oplog *oplog)
{
    for (int i = 0; i < 1024; i++)
        while (oplog->sessions[i]) {
            struct session *s = oplog->sessions[i];
            oplog->sessions[i] = s->next;
            free(s);
        }
    oplog->session_count = 0;
}

/* `step` is +1 when an entry is applied and -1 when it is undone. */
static void session_note(struct oplog *oplog, const bson_t *value, int step)
{
    bson_t lsid;
    bson_iter_t it;
    uint32_t size;
    const uint8_t *id;
    if (!get_document(value, "lsid", &lsid) || !bson_iter_init_find(&it, &lsid, "id") ||
        !BSON_ITER_HOLDS_BINARY(&it))
        return;
    bson_iter_binary(&it, NULL, &size, &id);
    if (size != 16)
        return;
    if (oplog->session_count >= SESSIONS_MAX)
        sessions_clear(oplog); /* clients use a handful; forgetting means that a retry may execute again */
    struct session **slot = session_slot(oplog, id), *s = *slot;
    int64_t number = get_int(value, "txnNumber", 0);
    if (!s) {
        s = *slot = xcalloc(1, sizeof *s);
        memcpy(s->id, id, 16);
        oplog->session_count++;
    }
    if (s->number != number)
        s->done = 0;
    s->number = number;
    int32_t index = (int32_t)get_int(value, "stmtId", 0);
    s->done = step > 0 ? index + 1 : index;
}

static void entry_finish(struct entry *e)
{
    bson_destroy(e->value);
    if (e->before)
        bson_destroy(e->before);
}

/* Changes the documents as the entry says, and keeps in it what an undo needs. */
static void apply(struct oplog *oplog, struct entry *e)
{
    const char *op = get_text(e->value, "op", "n"), *ns = get_text(e->value, "ns", "");
    bson_t o;
    if (*op == 'n' || !get_document(e->value, "o", &o))
        return;
    struct collection *c = documents_collection(&oplog->docs, ns);
    if (*op == 'c') {
        if (get_bool(&o, "drop", false))
            documents_drop(&oplog->docs, ns); /* its documents were deleted by entries before */
        else if (!c)
            e->made_collection = documents_create(&oplog->docs, ns) != NULL;
    } else {
        e->made_collection = !c;
        if (!c && !(c = documents_create(&oplog->docs, ns)))
            return;
        struct document *d = collection_get(c, &o);
        e->before = d ? bson_copy(d->value) : NULL;
        if (*op == 'd')
            collection_remove(c, &o);
        else
            collection_put(&oplog->docs, c, &o);
    }
    session_note(oplog, e->value, 1);
}

static void undo(struct oplog *oplog, struct entry *e)
{
    const char *op = get_text(e->value, "op", "n"), *ns = get_text(e->value, "ns", "");
    bson_t o;
    if (*op == 'n' || !get_document(e->value, "o", &o))
        return;
    struct collection *c = documents_create(&oplog->docs, ns);
    if (*op != 'c' && c) {
        if (e->before)
            collection_put(&oplog->docs, c, e->before);
        else
            collection_remove(c, &o);
    }
    if (e->made_collection)
        documents_drop(&oplog->docs, ns);
    session_note(oplog, e->value, -1);
}

/* Forgets the older half when there is too much of it. */
static void trim(struct oplog *oplog)
{
    if (oplog->count <= OPLOG_ENTRIES_MAX && oplog->bytes <= OPLOG_BYTES_MAX)
        return;
    size_t gone = oplog->count / 2;
    for (size_t i = 0; i < gone; i++) {
        oplog->bytes -= oplog->entries[i].value->len;
        entry_finish(&oplog->entries[i]);
    }
    oplog->count -= gone;
    memmove(oplog->entries, oplog->entries + gone, oplog->count * sizeof *oplog->entries);
}

static struct entry *push(struct oplog *oplog, const bson_t *value)
{
    trim(oplog);
    if (oplog->count == oplog->capacity) {
        oplog->capacity = oplog->capacity ? oplog->capacity * 2 : 256;
        oplog->entries = xrealloc(oplog->entries, oplog->capacity * sizeof *oplog->entries);
    }
    struct entry *e = &oplog->entries[oplog->count++];
    *e = (struct entry){.t = optime_of(value), .value = bson_copy(value)};
    oplog->bytes += value->len;
    oplog->last = e->t;
    return e;
}

static void write_record(struct oplog *oplog, const char *kind, const char *key, const bson_t *value,
                         const char *ns)
{
    bson_t record = BSON_INITIALIZER;
    bson_append_utf8(&record, "k", -1, kind, -1);
    if (ns)
        bson_append_utf8(&record, "ns", -1, ns, -1);
    if (value)
        bson_append_document(&record, key, -1, value);
    storage_append(oplog->storage, &record);
    bson_destroy(&record);
}

void oplog_append(struct oplog *oplog, const bson_t *value)
{
    struct entry *e = push(oplog, value);
    apply(oplog, e);
    write_record(oplog, "oplog", "e", value, NULL);
}

bool oplog_sync(struct oplog *oplog)
{
    storage_sync(oplog->storage);
    bool moved = optime_compare(oplog->durable, oplog->last) != 0;
    oplog->durable = oplog->last;
    return moved;
}

int64_t oplog_find_before(const struct oplog *oplog, struct optime t)
{
    size_t low = 0, high = oplog->count; /* entries before low are <= t, from high on > t */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (optime_compare(oplog->entries[middle].t, t) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (int64_t)low - 1;
}

int64_t oplog_find(const struct oplog *oplog, struct optime t)
{
    int64_t i = oplog_find_before(oplog, t);
    return i >= 0 && optime_compare(oplog->entries[i].t, t) == 0 ? i : -1;
}

static void truncate_in_memory(struct oplog *oplog, int64_t index)
{
    while ((int64_t)oplog->count > index + 1) {
        struct entry *e = &oplog->entries[--oplog->count];
        undo(oplog, e);
        oplog->bytes -= e->value->len;
        entry_finish(e);
    }
    oplog->last = oplog->count ? oplog->entries[oplog->count - 1].t : OPTIME_NULL;
}

void oplog_truncate_after(struct oplog *oplog, int64_t index)
{
    truncate_in_memory(oplog, index);
    bson_t place = BSON_INITIALIZER;
    put_optime(&place, "t", oplog->last);
    write_record(oplog, "truncate", "after", &place, NULL);
    bson_destroy(&place);
    oplog_sync(oplog);
}

static void clear(struct oplog *oplog)
{
    for (size_t i = 0; i < oplog->count; i++)
        entry_finish(&oplog->entries[i]);
    oplog->count = 0;
    oplog->bytes = 0;
    oplog->last = oplog->durable = OPTIME_NULL;
    documents_clear(&oplog->docs);
    sessions_clear(oplog);
}

void oplog_sync_begin(struct oplog *oplog)
{
    clear(oplog);
    oplog->syncing = true;
    write_record(oplog, "syncBegin", NULL, NULL, NULL);
}

void oplog_sync_document(struct oplog *oplog, const char *ns, const bson_t *document)
{
    struct collection *c = documents_create(&oplog->docs, ns);
    if (c && document)
        collection_put(&oplog->docs, c, document);
    write_record(oplog, "doc", "d", document, ns);
}

void oplog_sync_done(struct oplog *oplog)
{
    oplog->syncing = false;
    write_record(oplog, "syncDone", NULL, NULL, NULL);
    oplog_sync(oplog);
}

/* An entry that a compaction kept: it is in the documents already. */
static void load_kept(struct oplog *oplog, const bson_t *record, const bson_t *value)
{
    struct entry *e = push(oplog, value);
    bson_t before;
    if (get_document(record, "b", &before))
        e->before = bson_copy(&before);
    e->made_collection = get_bool(record, "made", false);
    session_note(oplog, value, 1);
}

int oplog_load(struct oplog *oplog, const bson_t *record, struct error *err)
{
    const char *kind = get_text(record, "k", "");
    bson_t value;
    (void)err;
    if (!strcmp(kind, "oplog") && get_document(record, "e", &value)) {
        apply(oplog, push(oplog, &value));
    } else if (!strcmp(kind, "kept") && get_document(record, "e", &value)) {
        load_kept(oplog, record, &value);
    } else if (!strcmp(kind, "truncate") && get_document(record, "after", &value)) {
        truncate_in_memory(oplog, oplog_find_before(oplog, get_optime(&value, "t")));
    } else if (!strcmp(kind, "doc")) {
        struct collection *c = documents_create(&oplog->docs, get_text(record, "ns", ""));
        if (c && get_document(record, "d", &value))
            collection_put(&oplog->docs, c, &value);
    } else if (!strcmp(kind, "syncBegin")) {
        clear(oplog);
        oplog->syncing = true;
    } else if (!strcmp(kind, "syncDone")) {
        oplog->syncing = false;
    } else {
        return 1;
    }
    oplog->durable = oplog->last;
    return 0;
}

static void write_kept(struct oplog *oplog, const struct entry *e)
{
    bson_t record = BSON_INITIALIZER;
    bson_append_utf8(&record, "k", -1, "kept", -1);
    bson_append_document(&record, "e", -1, e->value);
    if (e->before)
        bson_append_document(&record, "b", -1, e->before);
    bson_append_bool(&record, "made", -1, e->made_collection);
    storage_append(oplog->storage, &record);
    bson_destroy(&record);
}

void oplog_compact(struct oplog *oplog, void (*others)(void *), void *context)
{
    if (oplog->storage->size < oplog->storage->compact_at || oplog->syncing)
        return;
    storage_rewrite_begin(oplog->storage);
    others(context);
    for (struct collection *c = oplog->docs.collections; c; c = c->next) {
        write_record(oplog, "doc", "d", NULL, c->name);
        for (struct document *d = c->first; d; d = d->next)
            write_record(oplog, "doc", "d", d->value, c->name);
    }
    for (size_t i = oplog->count / 2; i < oplog->count; i++)
        write_kept(oplog, &oplog->entries[i]);
    storage_rewrite_end(oplog->storage);
    log_line("STORAGE", "journal rewritten: %lld bytes", (long long)oplog->storage->size);
}

void oplog_finish(struct oplog *oplog)
{
    clear(oplog);
    free(oplog->entries);
    oplog->entries = NULL;
}
