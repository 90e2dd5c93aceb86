/* The fetching side of replication, and the commands that serve it. A fetch also tells how far the fetcher
 * is, so that a majority write is known one round trip after the fetcher's disk has it. Everybody fetches
 * from the primary; the server's chaining is not played. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCH_AWAIT_MS = 2000, /* how long a fetch waits for news */
    FETCH_TIMEOUT_MS = 10000,
    FETCH_RETRY_MS = 200,
    BATCH_ENTRIES_MAX = 2000,
    BATCH_BYTES_MAX = 8 << 20,
};

const char *sync_source_host(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    int i = rs->config && sim->sync.source_id >= 0 ? config_find_id(rs->config, sim->sync.source_id) : -1;
    return i >= 0 && i != rs->self ? rs->config->members[i].host : "";
}

void sync_restart(struct sim *sim)
{
    sim->sync.generation++;
    sim->sync.in_flight = false;
    sim->sync.source_id = -1;
    sim->sync.retry_ms = 0;
    sim->sync.cloning = false;
    sim->progress = true;
}

static void retry_later(struct sim *sim, const char *why)
{
    log_line("SYNC", "%s", why);
    sim->sync.retry_ms = sim_now(sim) + FETCH_RETRY_MS;
    sim->sync.cloning = false;
    sim->sync.source_id = -1;
}

/* Undoes what the primary does not have; it told the last place of its own that is not after ours. */
static void roll_back(struct sim *sim, struct optime common)
{
    int64_t index = oplog_find_before(&sim->oplog, common);
    if (index < 0) {
        log_line("SYNC", "no common point with the primary's oplog: an initial sync is needed");
        sim->sync.stale = true;
        replset_set_state(sim, STATE_RECOVERING);
        return;
    }
    enum member_state before = sim->rs.state;
    log_line("ROLLBACK", "undoing %lld entries", (long long)((int64_t)sim->oplog.count - 1 - index));
    replset_set_state(sim, STATE_ROLLBACK);
    oplog_truncate_after(&sim->oplog, index);
    sim->rs.rbid++;
    if (optime_compare(sim->rs.committed, sim->oplog.last) > 0)
        sim->rs.committed = sim->oplog.last;
    replset_set_state(sim, before);
}

static void take_entries(struct sim *sim, const bson_t *reply)
{
    bson_iter_t it, child;
    bson_t entry;
    if (!bson_iter_init_find(&it, reply, "entries") || !bson_iter_recurse(&it, &child))
        return;
    while (bson_iter_next(&child))
        if (iter_document(&child, &entry) && optime_compare(optime_of(&entry), sim->oplog.last) > 0)
            oplog_append(&sim->oplog, &entry);
    sim->progress = true;
}

/* An initial sync ends when what it cloned is consistent, and not before its least time is over. */
static void maybe_finish_clone(struct sim *sim)
{
    struct sync *s = &sim->sync;
    if (!sim->oplog.syncing || !s->clone_complete || optime_compare(sim->oplog.last, s->clone_end) < 0)
        return;
    if (sim_now(sim) - s->clone_started_ms < sim->options.initial_sync_ms)
        return;
    oplog_sync_done(&sim->oplog);
    log_line("INITSYNC", "initial sync done");
    if (sim->rs.state == STATE_STARTUP2)
        replset_set_state(sim, STATE_SECONDARY);
    replset_reset_election_timer(sim);
    heartbeat_restart(sim);
}

static void on_fetched(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct sync *s = &sim->sync;
    if (arg->generation != s->generation || sim->shutting_down)
        return;
    s->in_flight = false;
    if (!reply || !get_bool(reply, "ok", false)) {
        retry_later(sim, error ? error : get_text(reply, "errmsg", "the fetch was refused"));
        return;
    }
    if (get_int(reply, "term", -1) > sim->rs.term) {
        replset_see_term(sim, get_int(reply, "term", -1));
        return;
    }
    if (get_bool(reply, "tooStale", false)) {
        s->stale = true;
        replset_set_state(sim, STATE_RECOVERING);
        retry_later(sim, "too stale: the primary's oplog begins after our end");
        s->retry_ms = sim_now(sim) + 10000;
        return;
    }
    if (bson_has_field(reply, "common")) {
        roll_back(sim, get_optime(reply, "common"));
        sim->progress = true;
        return;
    }
    take_entries(sim, reply);
    if (s->stale) {
        s->stale = false;
        replset_set_state(sim, STATE_SECONDARY);
    }
    struct optime committed = get_optime(reply, "committed");
    if (optime_compare(committed, sim->oplog.last) > 0)
        committed = sim->oplog.last;
    if (optime_compare(committed, sim->rs.committed) > 0)
        sim->rs.committed = committed;
    replset_reset_election_timer(sim); /* it was the primary who answered */
    sim->progress = true;
}

static void fetch(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    bson_t command = BSON_INITIALIZER;
    struct call_arg arg = {.generation = sim->sync.generation};
    int64_t half = rs->config->election_timeout_ms / 2;
    bson_append_utf8(&command, "simFetchOplog", -1, sim->options.set_name, -1);
    bson_append_int64(&command, "fromId", -1, rs->config->members[rs->self].id);
    bson_append_utf8(&command, "from", -1, replset_own_host(sim), -1);
    put_optime(&command, "applied", sim->oplog.last);
    /* while it clones, its copy is not whole yet and does not count for a majority */
    put_optime(&command, "durable", sim->oplog.syncing ? OPTIME_NULL : sim->oplog.durable);
    put_optime(&command, "committed", rs->committed);
    bson_append_int64(&command, "term", -1, rs->term);
    bson_append_int64(&command, "awaitMS", -1,
                      sim->oplog.syncing      ? 20
                      : half < FETCH_AWAIT_MS ? half
                                              : FETCH_AWAIT_MS);
    sim->sync.in_flight = true;
    peer_call(sim, LANE_SYNC, rs->config->members[rs->primary].host, &command, FETCH_TIMEOUT_MS, on_fetched,
              &arg);
    bson_destroy(&command);
}

static void take_clone(struct sim *sim, const bson_t *reply)
{
    bson_iter_t it, child;
    bson_t item, document;
    if (bson_iter_init_find(&it, reply, "items") && bson_iter_recurse(&it, &child))
        while (bson_iter_next(&child))
            if (iter_document(&child, &item)) {
                bool whole = get_document(&item, "d", &document);
                oplog_sync_document(&sim->oplog, get_text(&item, "ns", ""), whole ? &document : NULL);
            }
}

static void on_cloned(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct sync *s = &sim->sync;
    bson_t anchor;
    if (arg->generation != s->generation || sim->shutting_down)
        return;
    s->in_flight = false;
    if (!reply || !get_bool(reply, "ok", false)) {
        retry_later(sim, error ? error : get_text(reply, "errmsg", "the clone was refused"));
        return;
    }
    if (get_document(reply, "anchor", &anchor)) { /* the first page */
        oplog_sync_begin(&sim->oplog);
        oplog_append(&sim->oplog, &anchor);
        s->clone_complete = false;
    }
    take_clone(sim, reply);
    s->clone_after = get_int(reply, "after", 0);
    snprintf(s->clone_cursor, sizeof s->clone_cursor, "%s", get_text(reply, "cursor", ""));
    if (get_bool(reply, "last", false)) {
        s->clone_complete = true;
        s->clone_end = get_optime(reply, "end");
        s->cloning = false;
    }
    replset_reset_election_timer(sim);
    sim->progress = true;
}

static void clone_step(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    bson_t command = BSON_INITIALIZER;
    struct call_arg arg = {.generation = sim->sync.generation};
    bson_append_utf8(&command, "simClone", -1, sim->options.set_name, -1);
    bson_append_int64(&command, "after", -1, sim->sync.clone_after);
    bson_append_utf8(&command, "cursor", -1, sim->sync.clone_cursor, -1);
    sim->sync.in_flight = true;
    peer_call(sim, LANE_SYNC, rs->config->members[rs->primary].host, &command, FETCH_TIMEOUT_MS, on_cloned,
              &arg);
    bson_destroy(&command);
}

void sync_turn(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    struct sync *s = &sim->sync;
    if (rs->self < 0 || rs->primary < 0 || rs->primary == rs->self || rs->state == STATE_ARBITER ||
        s->in_flight)
        return;
    maybe_finish_clone(sim);
    if (s->retry_ms > now) {
        *next = s->retry_ms < *next ? s->retry_ms : *next;
        return;
    }
    s->source_id = rs->config->members[rs->primary].id;
    bool must_clone = optime_is_null(sim->oplog.last) || (sim->oplog.syncing && !s->clone_complete);
    if (must_clone && !s->cloning) {
        log_line("INITSYNC", "initial sync from %s", rs->config->members[rs->primary].host);
        s->cloning = true;
        s->clone_complete = false;
        s->clone_after = 0;
        s->clone_cursor[0] = 0;
        s->clone_started_ms = now;
    }
    if (s->cloning)
        clone_step(sim);
    else
        fetch(sim);
}

/* ---- the serving side ---- */

struct fetch_wait {
    struct request *request;
    struct optime after, committed;
};

static bool fetch_ready(struct sim *sim, void *data)
{
    const struct fetch_wait *w = data;
    return optime_compare(sim->oplog.last, w->after) > 0 ||
           optime_compare(sim->rs.committed, w->committed) > 0;
}

static void append_entries(const struct sim *sim, bson_t *out, int64_t from)
{
    bson_t array;
    size_t bytes = 0;
    bson_append_array_begin(out, "entries", -1, &array);
    for (int64_t i = from;
         i < (int64_t)sim->oplog.count && i - from < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX; i++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)(i - from));
        bson_append_document(&array, key, -1, sim->oplog.entries[i].value);
        bytes += sim->oplog.entries[i].value->len;
    }
    bson_append_array_end(out, &array);
}

static void fetch_end(struct sim *sim, void *data, enum wait_end why)
{
    struct fetch_wait *w = data;
    bson_t out = BSON_INITIALIZER;
    if (why == WAIT_SHUTDOWN || sim->rs.state != STATE_PRIMARY) {
        request_fail(w->request, CODE_NOT_PRIMARY, "not primary");
    } else {
        int64_t index = oplog_find(&sim->oplog, w->after);
        bson_append_int64(&out, "term", -1, sim->rs.term);
        put_optime(&out, "committed", sim->rs.committed);
        if (index < 0) {
            int64_t before = oplog_find_before(&sim->oplog, w->after);
            if (before >= 0)
                put_optime(&out, "common", sim->oplog.entries[before].t);
            else
                bson_append_bool(&out, "tooStale", -1, true);
        } else {
            append_entries(sim, &out, index + 1);
        }
        request_reply(w->request, &out);
    }
    bson_destroy(&out);
    free(w);
}

static void note_progress(struct sim *sim, const bson_t *body)
{
    struct replset *rs = &sim->rs;
    int i = config_find_id(rs->config, get_int(body, "fromId", -1));
    if (i < 0 || i == rs->self || strcmp(rs->config->members[i].host, get_text(body, "from", "")) != 0)
        return;
    rs->views[i].applied = get_optime(body, "applied");
    rs->views[i].durable = get_optime(body, "durable");
    rs->views[i].contact_ms = sim_now(sim);
    sim->progress = true;
}

void fetch_oplog_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    request_is_internal(request);
    if (strcmp(get_text(body, "simFetchOplog", ""), sim->options.set_name) != 0) {
        request_fail(request, CODE_INCONSISTENT_NAMES, "another set");
        return;
    }
    if (get_int(body, "term", -1) > sim->rs.term)
        replset_see_term(sim, get_int(body, "term", -1));
    if (sim->rs.state != STATE_PRIMARY) {
        request_fail(request, CODE_NOT_PRIMARY, "not primary");
        return;
    }
    struct optime after = get_optime(body, "applied");
    if (oplog_find(&sim->oplog, after) >= 0)
        note_progress(sim, body); /* only what is part of our own history counts */
    struct fetch_wait *w = xcalloc(1, sizeof *w);
    *w = (struct fetch_wait){request, after, get_optime(body, "committed")};
    int64_t wait = oplog_find(&sim->oplog, after) >= 0 ? get_int(body, "awaitMS", 0) : 0;
    wait_for(sim, sim_now(sim) + wait, true, fetch_ready, fetch_end, w);
}

/* One page of documents: from the collection `cursor` and the sequence `after` on ("" is the start). New
 * collections come in at the list's head and so may be missed, but then the oplog after the anchor has them.
 */
static bool append_items(const struct sim *sim, bson_t *out, const char *cursor, uint64_t after)
{
    bson_t array, item;
    uint32_t n = 0;
    size_t bytes = 0;
    char key[32];
    const struct collection *c =
        *cursor ? documents_collection(&sim->oplog.docs, cursor) : sim->oplog.docs.collections;
    const struct document *d = NULL;
    bson_append_array_begin(out, "items", -1, &array);
    for (; c && bytes < BATCH_BYTES_MAX; c = c->next, after = 0) {
        snprintf(key, sizeof key, "%u", n++);
        bson_append_document_begin(&array, key, -1, &item);
        bson_append_utf8(&item, "ns", -1, c->name, -1);
        bson_append_document_end(&array, &item);
        for (d = c->first; d && bytes < BATCH_BYTES_MAX; d = d->next) {
            if (d->sequence <= after)
                continue;
            snprintf(key, sizeof key, "%u", n++);
            bson_append_document_begin(&array, key, -1, &item);
            bson_append_utf8(&item, "ns", -1, c->name, -1);
            bson_append_document(&item, "d", -1, d->value);
            bson_append_document_end(&array, &item);
            bytes += d->value->len;
        }
        if (d)
            break;
    }
    bson_append_array_end(out, &array);
    if (c) {
        bson_append_utf8(out, "cursor", -1, c->name, -1);
        bson_append_int64(out, "after", -1, d ? (int64_t)d->sequence - 1 : 0);
    }
    return c == NULL;
}

void clone_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    const char *cursor = get_text(body, "cursor", "");
    request_is_internal(request);
    if (sim->rs.state != STATE_PRIMARY ||
        strcmp(get_text(body, "simClone", ""), sim->options.set_name) != 0) {
        request_fail(request, CODE_NOT_PRIMARY, "not primary");
        return;
    }
    if (*cursor && !documents_collection(&sim->oplog.docs, cursor)) {
        request_fail(request, CODE_NAMESPACE_NOT_FOUND, "collection %s was dropped during the clone", cursor);
        return;
    }
    bson_t out = BSON_INITIALIZER;
    if (!*cursor)
        bson_append_document(&out, "anchor", -1, sim->oplog.entries[sim->oplog.count - 1].value);
    bool last = append_items(sim, &out, cursor, (uint64_t)get_int(body, "after", 0));
    bson_append_bool(&out, "last", -1, last);
    put_optime(&out, "end", sim->oplog.last);
    request_reply(request, &out);
    bson_destroy(&out);
}
