/* Write concerns w: N, w: "majority", j and wtimeout, awaited on the members' real progress. */
#include "write_concern.h"

#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct write_wait {
    struct request *request;
    bson_t *fields;
    struct optime t;
    int64_t w;
    bool majority, journal;
    int64_t timeout_ms;
};

static bool write_ready(struct sim *sim, void *data)
{
    const struct write_wait *w = data;
    if (w->majority)
        return optime_compare(sim->rs.committed, w->t) >= 0;
    if (w->journal && optime_compare(sim->oplog.durable, w->t) < 0)
        return false;
    return replset_count_at(sim, w->t, false, false) >= w->w;
}

static void put_error(bson_t *out, const struct write_wait *w, int code, const char *name, const char *text)
{
    bson_t child, info, concern;
    bson_append_document_begin(out, "writeConcernError", -1, &child);
    bson_append_int32(&child, "code", -1, code);
    bson_append_utf8(&child, "codeName", -1, name, -1);
    bson_append_utf8(&child, "errmsg", -1, text, -1);
    bson_append_document_begin(&child, "errInfo", -1, &info);
    if (code == CODE_WRITE_CONCERN_FAILED)
        bson_append_bool(&info, "wtimeout", -1, true);
    bson_append_document_begin(&info, "writeConcern", -1, &concern);
    if (w->majority)
        bson_append_utf8(&concern, "w", -1, "majority", -1);
    else
        bson_append_int32(&concern, "w", -1, (int32_t)w->w);
    bson_append_int32(&concern, "wtimeout", -1, (int32_t)w->timeout_ms);
    bson_append_document_end(&info, &concern);
    bson_append_document_end(&child, &info);
    bson_append_document_end(out, &child);
}

static void write_end(struct sim *sim, void *data, enum wait_end why)
{
    struct write_wait *w = data;
    bson_t out = BSON_INITIALIZER;
    bson_concat(&out, w->fields);
    if (why == WAIT_INTERRUPTED || why == WAIT_SHUTDOWN) {
        request_fail(w->request, why == WAIT_SHUTDOWN ? CODE_SHUTDOWN : CODE_INTERRUPTED_BY_STATE,
                     "operation was interrupted");
    } else {
        if (why == WAIT_TIMEOUT)
            put_error(&out, w, CODE_WRITE_CONCERN_FAILED, "WriteConcernFailed",
                      "waiting for replication timed out");
        request_reply(w->request, &out);
    }
    (void)sim;
    bson_destroy(&out);
    bson_destroy(w->fields);
    free(w);
}

static int read_concern(const struct sim *sim, const bson_t *body, struct write_wait *w, struct error *err)
{
    bson_t doc;
    bson_iter_t it;
    w->majority = config_default_majority(sim->rs.config);
    w->w = 1;
    if (!get_document(body, "writeConcern", &doc))
        return 0;
    if (bson_iter_init_find(&it, &doc, "w")) {
        w->majority = BSON_ITER_HOLDS_UTF8(&it);
        if (w->majority && strcmp(bson_iter_utf8(&it, NULL), "majority") != 0)
            return fail(err, 79, "No write concern mode named '%s' found in replica set configuration",
                        bson_iter_utf8(&it, NULL));
        w->w = w->majority ? 0 : get_int(&doc, "w", 1);
        if (w->w < 0 || w->w > MEMBERS_MAX)
            return fail(err, CODE_FAILED_TO_PARSE,
                        "w has to be a non-negative number and not greater than 50");
    }
    w->journal = get_bool(&doc, "j", false);
    w->timeout_ms = get_int(&doc, "wtimeout", 0);
    return 0;
}

void write_concern_reply(struct request *request, const bson_t *fields)
{
    struct sim *sim = request->sim;
    struct write_wait *w = xcalloc(1, sizeof *w);
    struct error err = {0};
    *w = (struct write_wait){.request = request, .fields = bson_copy(fields), .t = sim->oplog.last};
    int data_members = 0;
    for (int i = 0; i < sim->rs.config->count; i++)
        data_members += !sim->rs.config->members[i].arbiter;
    sim->progress = true;
    if (read_concern(sim, &request->message.body, w, &err)) {
        request_fail_error(request, &err);
    } else if (w->w > data_members) {
        bson_t out = BSON_INITIALIZER;
        bson_concat(&out, fields);
        put_error(&out, w, CODE_UNSATISFIABLE, "UnsatisfiableWriteConcern", "Not enough data-bearing nodes");
        request_reply(request, &out);
        bson_destroy(&out);
    } else if (!w->majority && w->w <= 1 && !w->journal) {
        request_reply(request, fields);
    } else {
        wait_for(sim, w->timeout_ms > 0 ? sim_now(sim) + w->timeout_ms : INT64_MAX, true, write_ready,
                 write_end, w);
        return;
    }
    bson_destroy(w->fields);
    free(w);
}
