/* Reading: find, count, aggregate as drivers' count_documents sends it, and the lists. Everything comes in
 * the first batch; what does not fit is a clear error, as there are no cursors. */
#include "commands.h"
#include "match.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIND_BYTES_MAX = 40 << 20, FIND_DOCUMENTS_MAX = 200000 };

struct query {
    const bson_t **found;
    size_t count, capacity;
    size_t bytes;
    bson_t filter;
};

static int keep(struct query *q, const bson_t *document, struct error *err)
{
    int rc = match(document, &q->filter, err);
    if (rc <= 0)
        return rc;
    if (q->count == FIND_DOCUMENTS_MAX)
        return fail(err, CODE_NOT_IMPLEMENTED, "more than %d documents: the stand-in has no cursors",
                    FIND_DOCUMENTS_MAX);
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 64;
        q->found = xrealloc(q->found, q->capacity * sizeof *q->found);
    }
    q->found[q->count++] = document;
    return 0;
}

static int select_oplog(const struct sim *sim, struct query *q, struct error *err)
{
    for (size_t i = 0; i < sim->oplog.count; i++)
        if (keep(q, sim->oplog.entries[i].value, err) < 0)
            return -1;
    return 0;
}

static int select_documents(const struct sim *sim, const char *ns, struct query *q, struct error *err)
{
    bson_iter_t it;
    if (!strcmp(ns, "local.oplog.rs"))
        return select_oplog(sim, q, err);
    const struct collection *c = documents_collection(&sim->oplog.docs, ns);
    if (!c)
        return 0;
    bool by_id = bson_iter_init_find(&it, &q->filter, "_id") && !BSON_ITER_HOLDS_DOCUMENT(&it) &&
                 !BSON_ITER_HOLDS_NULL(&it);
    if (by_id) {
        const struct document *d = collection_get(c, &q->filter);
        return d && keep(q, d->value, err) < 0 ? -1 : 0;
    }
    for (const struct document *d = c->first; d; d = d->next)
        if (keep(q, d->value, err) < 0)
            return -1;
    return 0;
}

static void take_filter(struct query *q, const bson_t *body, const char *key)
{
    bson_t filter;
    bson_init(&q->filter);
    if (get_document(body, key, &filter))
        bson_concat(&q->filter, &filter);
}

static void query_finish(struct query *q)
{
    free(q->found);
    bson_destroy(&q->filter);
}

struct sort_context {
    const char *field;
    int direction;
};

static int by_field(const void *a, const void *b, void *data)
{
    const struct sort_context *s = data;
    bson_iter_t x, y;
    bool has_x = bson_iter_init_find(&x, *(const bson_t *const *)a, s->field);
    bool has_y = bson_iter_init_find(&y, *(const bson_t *const *)b, s->field);
    if (!has_x || !has_y)
        return s->direction * (has_x - has_y);
    return s->direction * compare_values(&x, &y);
}

/* One field, or $natural. */
static int sort(struct query *q, const bson_t *body, struct error *err)
{
    bson_t doc;
    bson_iter_t it;
    if (!get_document(body, "sort", &doc) || bson_empty(&doc))
        return 0;
    bson_iter_init(&it, &doc);
    bson_iter_next(&it);
    struct sort_context s = {bson_iter_key(&it), bson_iter_as_int64(&it) < 0 ? -1 : 1};
    if (bson_count_keys(&doc) != 1)
        return fail(err, CODE_NOT_IMPLEMENTED, "the stand-in sorts by one field alone");
    if (strcmp(s.field, "$natural") != 0) {
        qsort_r(q->found, q->count, sizeof *q->found, by_field, &s);
    } else if (s.direction < 0) {
        for (size_t i = 0; i < q->count / 2; i++) {
            const bson_t *swap = q->found[i];
            q->found[i] = q->found[q->count - 1 - i];
            q->found[q->count - 1 - i] = swap;
        }
    }
    return 0;
}

/* What the caller asked for and is not played must not be ignored silently. */
static int refuse_unknown(const bson_t *body, const char *const *known, struct error *err)
{
    static const char *const generic[] = {"$db",
                                          "lsid",
                                          "$clusterTime",
                                          "$readPreference",
                                          "readConcern",
                                          "maxTimeMS",
                                          "comment",
                                          "txnNumber",
                                          "batchSize",
                                          "singleBatch",
                                          "noCursorTimeout",
                                          "allowDiskUse",
                                          "apiVersion",
                                          "writeConcern",
                                          "hint",
                                          "cursor",
                                          "allowPartialResults",
                                          NULL};
    bson_iter_t it;
    bson_iter_init(&it, body);
    bson_iter_next(&it);
    while (bson_iter_next(&it)) {
        bool found = false;
        for (int list = 0; list < 2; list++)
            for (const char *const *k = list ? generic : known; *k && !found; k++)
                found = !strcmp(*k, bson_iter_key(&it));
        if (!found)
            return fail(err, CODE_NOT_IMPLEMENTED,
                        "the stand-in does not have the option \"%s\" of this command", bson_iter_key(&it));
    }
    return 0;
}

static void put_cursor(bson_t *out, const char *ns, const struct query *q, size_t from, size_t to)
{
    bson_t cursor, batch;
    bson_append_document_begin(out, "cursor", -1, &cursor);
    bson_append_array_begin(&cursor, "firstBatch", -1, &batch);
    for (size_t i = from; i < to; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i - from);
        bson_append_document(&batch, key, -1, q->found[i]);
    }
    bson_append_array_end(&cursor, &batch);
    bson_append_int64(&cursor, "id", -1, 0);
    bson_append_utf8(&cursor, "ns", -1, ns, -1);
    bson_append_document_end(out, &cursor);
}

static bool full_name(struct request *request, char *ns, size_t size)
{
    const char *name = get_text(&request->message.body, request->name, "");
    if (*name && (size_t)snprintf(ns, size, "%s.%s", request->message.db, name) < size)
        return true;
    request_fail(request, 73, "Invalid namespace specified '%s.%.200s'", request->message.db, name);
    return false;
}

void find_command(struct request *request)
{
    static const char *const known[] = {"filter", "limit", "skip", "sort", "projection", NULL};
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    char ns[NAMESPACE_MAX];
    struct query q = {0};
    struct error err = {0};
    bson_t projection, out = BSON_INITIALIZER;
    if (!full_name(request, ns, sizeof ns))
        return;
    take_filter(&q, body, "filter");
    int rc = refuse_unknown(body, known, &err);
    if (!rc && get_document(body, "projection", &projection) && !bson_empty(&projection))
        rc = fail(&err, CODE_NOT_IMPLEMENTED, "the stand-in has no projection");
    if (!rc)
        rc = select_documents(sim, ns, &q, &err);
    if (!rc)
        rc = sort(&q, body, &err);
    size_t from = (size_t)get_int(body, "skip", 0), limit = (size_t)llabs(get_int(body, "limit", 0));
    from = from < q.count ? from : q.count;
    size_t to = limit && limit < q.count - from ? from + limit : q.count;
    for (size_t i = from; i < to; i++)
        q.bytes += q.found[i]->len;
    if (!rc && q.bytes > FIND_BYTES_MAX)
        rc = fail(&err, CODE_NOT_IMPLEMENTED, "more than %d bytes: the stand-in has no cursors",
                  FIND_BYTES_MAX);
    if (rc) {
        request_fail_error(request, &err);
    } else {
        put_cursor(&out, ns, &q, from, to);
        request_reply(request, &out);
    }
    bson_destroy(&out);
    query_finish(&q);
}

static int count_matches(const struct sim *sim, const char *ns, struct query *q, struct error *err)
{
    return select_documents(sim, ns, q, err);
}

void count_command(struct request *request)
{
    static const char *const known[] = {"query", NULL};
    char ns[NAMESPACE_MAX];
    struct query q = {0};
    struct error err = {0};
    if (!full_name(request, ns, sizeof ns))
        return;
    take_filter(&q, &request->message.body, "query");
    if (refuse_unknown(&request->message.body, known, &err) || count_matches(request->sim, ns, &q, &err)) {
        request_fail_error(request, &err);
    } else {
        bson_t out = BSON_INITIALIZER;
        bson_append_int32(&out, "n", -1, (int32_t)q.count);
        request_reply(request, &out);
        bson_destroy(&out);
    }
    query_finish(&q);
}

/* [{$match: ...}, {$group: {_id: 1, n: {$sum: 1}}}] and [{$match: ...}, {$count: NAME}]: how drivers count.
 */
static int read_pipeline(const bson_t *body, struct query *q, char *name, size_t size, struct error *err)
{
    bson_t pipeline, stage, filter;
    bson_iter_t it, first;
    bson_init(&q->filter);
    *name = 0;
    if (!get_document(body, "pipeline", &pipeline))
        return fail(err, CODE_FAILED_TO_PARSE, "'pipeline' option must be specified as an array");
    bson_iter_init(&it, &pipeline);
    while (bson_iter_next(&it)) {
        if (!iter_document(&it, &stage) || !bson_iter_init(&first, &stage) || !bson_iter_next(&first))
            return fail(err, CODE_FAILED_TO_PARSE, "a stage must be an object with one field");
        const char *kind = bson_iter_key(&first);
        if (!strcmp(kind, "$match") && !*name && iter_document(&first, &filter))
            bson_concat(&q->filter, &filter);
        else if (!strcmp(kind, "$count") && BSON_ITER_HOLDS_UTF8(&first))
            snprintf(name, size, "%s", bson_iter_utf8(&first, NULL));
        else if (!strcmp(kind, "$group") && iter_document(&first, &filter) &&
                 bson_has_field(&filter, "n.$sum"))
            snprintf(name, size, "n");
        else
            return fail(err, CODE_NOT_IMPLEMENTED,
                        "the stand-in's aggregate has $match and a count alone, not %s", kind);
    }
    return *name ? 0 : fail(err, CODE_NOT_IMPLEMENTED, "the stand-in's aggregate only counts");
}

void aggregate_command(struct request *request)
{
    char ns[NAMESPACE_MAX], name[64];
    struct query q = {0};
    struct error err = {0};
    if (!full_name(request, ns, sizeof ns))
        return;
    if (read_pipeline(&request->message.body, &q, name, sizeof name, &err) ||
        count_matches(request->sim, ns, &q, &err)) {
        request_fail_error(request, &err);
    } else {
        bson_t out = BSON_INITIALIZER, result = BSON_INITIALIZER;
        const bson_t *one[] = {&result};
        struct query answer = {.found = one};
        bson_append_int32(&result, "_id", -1, 1);
        bson_append_int32(&result, name, -1, (int32_t)q.count);
        put_cursor(&out, ns, &answer, 0, q.count ? 1 : 0);
        request_reply(request, &out);
        bson_destroy(&result);
        bson_destroy(&out);
    }
    query_finish(&q);
}

/* The part before the first dot; databases are what collections say. */
static size_t database_length(const char *ns)
{
    return strcspn(ns, ".");
}

void list_databases_command(struct request *request)
{
    const struct documents *docs = &request->sim->oplog.docs;
    bson_t out = BSON_INITIALIZER, array, item;
    int n = 0;
    bson_append_array_begin(&out, "databases", -1, &array);
    for (const struct collection *c = docs->collections; c; c = c->next) {
        size_t length = database_length(c->name);
        bool seen = false;
        for (const struct collection *d = docs->collections; d != c && !seen; d = d->next)
            seen = database_length(d->name) == length && !strncmp(c->name, d->name, length);
        if (seen)
            continue;
        char key[16];
        snprintf(key, sizeof key, "%d", n++);
        bson_append_document_begin(&array, key, -1, &item);
        bson_append_utf8(&item, "name", -1, c->name, (int)length);
        if (!get_bool(&request->message.body, "nameOnly", false)) {
            bson_append_double(&item, "sizeOnDisk", -1, 4096);
            bson_append_bool(&item, "empty", -1, false);
        }
        bson_append_document_end(&array, &item);
    }
    bson_append_array_end(&out, &array);
    request_reply(request, &out);
    bson_destroy(&out);
}

void list_collections_command(struct request *request)
{
    size_t length = strlen(request->message.db);
    struct query q = {0};
    struct error err = {0};
    char ns[NAMESPACE_MAX];
    bson_t out = BSON_INITIALIZER;
    int rc = 0;
    take_filter(&q, &request->message.body, "filter");
    for (const struct collection *c = request->sim->oplog.docs.collections; c && !rc; c = c->next) {
        if (database_length(c->name) != length || strncmp(c->name, request->message.db, length) != 0)
            continue;
        bson_t *item = bson_new(), child;
        bson_append_utf8(item, "name", -1, c->name + length + 1, -1);
        bson_append_utf8(item, "type", -1, "collection", -1);
        bson_append_document_begin(item, "options", -1, &child);
        bson_append_document_end(item, &child);
        bson_append_document_begin(item, "info", -1, &child);
        bson_append_bool(&child, "readOnly", -1, false);
        bson_append_document_end(item, &child);
        size_t before = q.count;
        rc = keep(&q, item, &err);
        if (q.count == before)
            bson_destroy(item);
    }
    snprintf(ns, sizeof ns, "%.100s.$cmd.listCollections", request->message.db);
    if (rc < 0) {
        request_fail_error(request, &err);
    } else {
        put_cursor(&out, ns, &q, 0, q.count);
        request_reply(request, &out);
    }
    for (size_t i = 0; i < q.count; i++)
        bson_destroy((bson_t *)q.found[i]);
    bson_destroy(&out);
    query_finish(&q);
}

void kill_cursors_command(struct request *request)
{
    static const char *const lists[] = {"cursorsKilled", "cursorsNotFound", "cursorsAlive", "cursorsUnknown"};
    bson_t out = BSON_INITIALIZER, array, asked;
    for (int i = 0; i < 4; i++) { /* every result came whole, so no cursor is ever open */
        if (i == 1 && get_document(&request->message.body, "cursors", &asked)) {
            bson_append_array(&out, lists[i], -1, &asked);
            continue;
        }
        bson_append_array_begin(&out, lists[i], -1, &array);
        bson_append_array_end(&out, &array);
    }
    request_reply(request, &out);
    bson_destroy(&out);
}
