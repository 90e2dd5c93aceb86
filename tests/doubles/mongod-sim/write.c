/* Writing: insert, update by $set, $inc, $unset or replacement, delete, create, drop. Each statement becomes
 * entries of whole documents, so that applying one twice changes nothing. */
#include "commands.h"
#include "match.h"
#include "sim.h"
#include "update.h"
#include "write_concern.h"

#include <stdio.h>
#include <string.h>

enum { DOCUMENT_BYTES_MAX = 16 << 20, ERRORS_MAX = 1000 };

/* One write command under way. */
struct write_run {
    struct request *request;
    struct sim *sim;
    char ns[NAMESPACE_MAX];
    int64_t n, modified;
    bson_t errors, upserted;
    int error_count, upserted_count;
    bool ordered;
    bool has_session;
    bson_t session; /* lsid and txnNumber of a retryable write */
    uint8_t session_id[16];
    int64_t session_number;
};

static bool start(struct write_run *run, struct request *request)
{
    const bson_t *body = &request->message.body;
    const char *name = get_text(body, request->name, "");
    bson_t lsid;
    bson_iter_t it;
    *run = (struct write_run){.request = request, .sim = request->sim};
    if (!*name || strlen(name) + strlen(request->message.db) + 2 > sizeof run->ns) {
        request_fail(request, 73, "Invalid namespace specified '%s.%.200s'", request->message.db, name);
        return false;
    }
    if (bson_has_field(body, "startTransaction") || bson_has_field(body, "autocommit")) {
        request_fail(request, CODE_NOT_IMPLEMENTED, "the stand-in has no transactions");
        return false;
    }
    snprintf(run->ns, sizeof run->ns, "%s.%s", request->message.db, name);
    run->ordered = get_bool(body, "ordered", true);
    bson_init(&run->errors);
    bson_init(&run->upserted);
    bson_init(&run->session);
    if (!bson_has_field(body, "txnNumber") || !get_document(body, "lsid", &lsid) ||
        !bson_iter_init_find(&it, &lsid, "id") || !BSON_ITER_HOLDS_BINARY(&it))
        return true;
    uint32_t size;
    const uint8_t *id;
    bson_iter_binary(&it, NULL, &size, &id);
    run->has_session = size == 16;
    if (run->has_session)
        memcpy(run->session_id, id, 16);
    run->session_number = get_int(body, "txnNumber", 0);
    bson_append_document(&run->session, "lsid", -1, &lsid);
    bson_append_int64(&run->session, "txnNumber", -1, run->session_number);
    return true;
}

static bool is_done_already(const struct write_run *run, int32_t statement)
{
    return run->has_session &&
           oplog_session_done(&run->sim->oplog, run->session_id, run->session_number, statement);
}

static void log_change(struct write_run *run, const char *op, const bson_t *o, int32_t statement)
{
    bson_t entry = BSON_INITIALIZER, key;
    bson_iter_t it;
    replset_begin_entry(run->sim, &entry, op, run->ns);
    bson_append_document(&entry, "o", -1, o);
    if (*op == 'u' && bson_iter_init_find(&it, o, "_id")) {
        bson_append_document_begin(&entry, "o2", -1, &key);
        bson_append_iter(&key, "_id", -1, &it);
        bson_append_document_end(&entry, &key);
    }
    if (run->has_session) {
        bson_concat(&entry, &run->session);
        bson_append_int32(&entry, "stmtId", -1, statement);
    }
    oplog_append(&run->sim->oplog, &entry);
    bson_destroy(&entry);
}

static void note_error(struct write_run *run, int32_t index, const struct error *err)
{
    char key[16];
    bson_t child;
    if (run->error_count >= ERRORS_MAX)
        return;
    snprintf(key, sizeof key, "%d", run->error_count++);
    bson_append_document_begin(&run->errors, key, -1, &child);
    bson_append_int32(&child, "index", -1, index);
    bson_append_int32(&child, "code", -1, err->detail ? err->detail : CODE_INTERNAL);
    bson_append_utf8(&child, "errmsg", -1, err->message, -1);
    bson_append_document_end(&run->errors, &child);
}

static void finish(struct write_run *run, bool is_update)
{
    bson_t out = BSON_INITIALIZER;
    bson_append_int32(&out, "n", -1, (int32_t)run->n);
    if (is_update) {
        bson_append_int32(&out, "nModified", -1, (int32_t)run->modified);
        if (run->upserted_count)
            bson_append_array(&out, "upserted", -1, &run->upserted);
    }
    if (run->error_count)
        bson_append_array(&out, "writeErrors", -1, &run->errors);
    write_concern_reply(run->request, &out);
    bson_destroy(&out);
    bson_destroy(&run->errors);
    bson_destroy(&run->upserted);
    bson_destroy(&run->session);
}

/* Gives every document an _id, which comes first, as the server's does. */
static void with_id(const bson_t *document, bson_t *out)
{
    bson_iter_t it;
    if (bson_iter_init_find(&it, document, "_id")) {
        bson_append_iter(out, "_id", -1, &it);
    } else {
        bson_oid_t id;
        bson_oid_init(&id, NULL);
        bson_append_oid(out, "_id", -1, &id);
    }
    bson_copy_to_excluding_noinit(document, out, "_id", NULL);
}

static int insert_one(struct write_run *run, const bson_t *document, int32_t index, struct error *err)
{
    const struct documents *docs = &run->sim->oplog.docs;
    const struct collection *c = documents_collection(docs, run->ns);
    if (!c && docs->collection_count == COLLECTIONS_MAX)
        return fail(err, CODE_NOT_IMPLEMENTED, "the stand-in has at most %d collections", COLLECTIONS_MAX);
    if (document->len > DOCUMENT_BYTES_MAX)
        return fail(err, 10334, "BSONObj size: %u is invalid. Size must be between 0 and 16793600(16MB)",
                    document->len);
    bson_t full = BSON_INITIALIZER;
    with_id(document, &full);
    int rc = 0;
    if (c && collection_get(c, &full)) {
        bson_t key = BSON_INITIALIZER;
        bson_iter_t it;
        bson_iter_init_find(&it, &full, "_id");
        bson_append_iter(&key, "", -1, &it);
        char *text = bson_as_relaxed_extended_json(&key, NULL);
        rc = fail(err, CODE_DUPLICATE_KEY,
                  "E11000 duplicate key error collection: %s index: _id_ dup key: %s", run->ns, text);
        bson_free(text);
        bson_destroy(&key);
    } else {
        log_change(run, "i", &full, index);
        run->n++;
    }
    bson_destroy(&full);
    return rc;
}

typedef int statement_fn(struct write_run *run, const bson_t *statement, int32_t index, struct error *err);

static void run_all(struct request *request, const char *key, statement_fn *each, bool is_update)
{
    struct write_run run;
    bson_iter_t it, child;
    bson_t statement;
    if (!start(&run, request))
        return;
    if (!bson_iter_init_find(&it, &request->message.body, key) || !BSON_ITER_HOLDS_ARRAY(&it) ||
        !bson_iter_recurse(&it, &child)) {
        struct error err = {0};
        fail(&err, 40414, "BSON field '%s.%s' is missing but a required field", request->name, key);
        note_error(&run, 0, &err);
    } else {
        for (int32_t i = 0; bson_iter_next(&child) && !(run.ordered && run.error_count); i++) {
            struct error err = {0};
            if (is_done_already(&run, i))
                run.n++;
            else if (iter_document(&child, &statement) && each(&run, &statement, i, &err))
                note_error(&run, i, &err);
        }
    }
    finish(&run, is_update);
}

void insert_command(struct request *request)
{
    run_all(request, "documents", insert_one, false);
}

/* The first document that matches, from `d` on. */
static struct document *next_match(struct document *d, const bson_t *filter, struct error *err)
{
    for (; d; d = d->next) {
        int rc = match(d->value, filter, err);
        if (rc < 0)
            return NULL;
        if (rc > 0)
            return d;
    }
    return NULL;
}

static int upsert(struct write_run *run, const bson_t *filter, const bson_t *change, int32_t index,
                  struct error *err)
{
    bson_t base = BSON_INITIALIZER, document = BSON_INITIALIZER, full = BSON_INITIALIZER, child;
    bson_iter_t it;
    char key[16];
    update_base(filter, &base);
    int rc = update_apply(&base, change, &document, err);
    if (!rc) {
        with_id(&document, &full);
        rc = insert_one(run, &full, index, err);
    }
    if (!rc && bson_iter_init_find(&it, &full, "_id")) {
        snprintf(key, sizeof key, "%d", run->upserted_count++);
        bson_append_document_begin(&run->upserted, key, -1, &child);
        bson_append_int32(&child, "index", -1, index);
        bson_append_iter(&child, "_id", -1, &it);
        bson_append_document_end(&run->upserted, &child);
    }
    bson_destroy(&base);
    bson_destroy(&document);
    bson_destroy(&full);
    return rc;
}

static int update_one(struct write_run *run, const bson_t *statement, int32_t index, struct error *err)
{
    bson_t filter, change;
    const struct collection *c = documents_collection(&run->sim->oplog.docs, run->ns);
    bool multi = get_bool(statement, "multi", false);
    int64_t before = run->n;
    if (!get_document(statement, "q", &filter) || !get_document(statement, "u", &change))
        return fail(err, CODE_FAILED_TO_PARSE, "an update needs q and u");
    for (struct document *d = c ? next_match(c->first, &filter, err) : NULL; d;
         d = next_match(d->next, &filter, err)) {
        bson_t changed = BSON_INITIALIZER;
        int rc = update_apply(d->value, &change, &changed, err);
        if (!rc) {
            run->n++;
            if (!bson_equal(d->value, &changed)) {
                run->modified++;
                log_change(run, "u", &changed, index);
            }
        }
        bson_destroy(&changed);
        if (rc)
            return -1;
        if (!multi)
            break;
    }
    if (err->code != ERROR_NONE)
        return -1;
    if (run->n == before && get_bool(statement, "upsert", false))
        return upsert(run, &filter, &change, index, err);
    return 0;
}

void update_command(struct request *request)
{
    run_all(request, "updates", update_one, true);
}

static int delete_one(struct write_run *run, const bson_t *statement, int32_t index, struct error *err)
{
    bson_t filter;
    const struct collection *c = documents_collection(&run->sim->oplog.docs, run->ns);
    if (!get_document(statement, "q", &filter))
        return fail(err, CODE_FAILED_TO_PARSE, "a delete needs q");
    struct document *d = c ? next_match(c->first, &filter, err) : NULL;
    while (d) {
        struct document *after =
            get_int(statement, "limit", 0) == 1 ? NULL : next_match(d->next, &filter, err);
        bson_t key = BSON_INITIALIZER;
        bson_iter_t it;
        bson_iter_init_find(&it, d->value, "_id");
        bson_append_iter(&key, "_id", -1, &it);
        log_change(run, "d", &key, index);
        bson_destroy(&key);
        run->n++;
        d = after;
    }
    return err->code != ERROR_NONE ? -1 : 0;
}

void delete_command(struct request *request)
{
    run_all(request, "deletes", delete_one, false);
}

static void log_collection_command(struct write_run *run, const char *what)
{
    bson_t o = BSON_INITIALIZER;
    bson_append_bool(&o, what, -1, true);
    log_change(run, "c", &o, 0);
    bson_destroy(&o);
}

/* Deletes document by document first, so that a rollback can bring each back. */
static void drop_one(struct write_run *run)
{
    struct error err = {0};
    bson_t all = BSON_INITIALIZER, empty;
    run->has_session = false;
    bson_append_document_begin(&all, "q", -1, &empty);
    bson_append_document_end(&all, &empty);
    delete_one(run, &all, 0, &err);
    log_collection_command(run, "drop");
    bson_destroy(&all);
}

void create_command(struct request *request)
{
    struct write_run run;
    bson_t out = BSON_INITIALIZER;
    if (!start(&run, request))
        return;
    if (documents_collection(&run.sim->oplog.docs, run.ns)) {
        request_fail(request, CODE_NAMESPACE_EXISTS, "Collection %s already exists.", run.ns);
    } else {
        log_collection_command(&run, "create");
        write_concern_reply(request, &out);
    }
    bson_destroy(&out);
    bson_destroy(&run.session);
}

void drop_command(struct request *request)
{
    struct write_run run;
    bson_t out = BSON_INITIALIZER;
    if (!start(&run, request))
        return;
    bool exists = documents_collection(&run.sim->oplog.docs, run.ns);
    if (!exists && sim_is_old(run.sim)) {
        request_fail(request, CODE_NAMESPACE_NOT_FOUND, "ns not found");
    } else {
        if (exists)
            drop_one(&run);
        bson_append_int32(&out, "nIndexesWas", -1, 1);
        bson_append_utf8(&out, "ns", -1, run.ns, -1);
        write_concern_reply(request, &out);
    }
    bson_destroy(&out);
    bson_destroy(&run.session);
}

void drop_database_command(struct request *request)
{
    struct write_run run = {.request = request, .sim = request->sim};
    size_t length = strlen(request->message.db);
    bson_t out = BSON_INITIALIZER;
    bson_init(&run.session);
    for (struct collection *c = run.sim->oplog.docs.collections, *next; c; c = next) {
        next = c->next;
        if (strncmp(c->name, request->message.db, length) != 0 || c->name[length] != '.')
            continue;
        snprintf(run.ns, sizeof run.ns, "%s", c->name);
        drop_one(&run);
    }
    bson_append_utf8(&out, "dropped", -1, request->message.db, -1);
    write_concern_reply(request, &out);
    bson_destroy(&out);
}
