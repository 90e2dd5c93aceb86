/* The oplog and the documents that it makes. Every change goes through here: appended by a primary, fetched
 * by a secondary, undone in a rollback; each is written to the journal, and durable after oplog_sync(). */
#ifndef SIM_OPLOG_H
#define SIM_OPLOG_H

#include "documents.h"
#include "storage.h"
#include "util.h"

enum {
    OPLOG_ENTRIES_MAX = 200000,
    OPLOG_BYTES_MAX =
        128 << 20,        /* older entries are forgotten past either; a member behind them is too stale */
    SESSIONS_MAX = 20000, /* remembered for retried writes */
};

struct entry {
    struct optime t;
    bson_t *value;  /* ts, t, v, op, ns, wall, o, o2, and lsid, txnNumber, stmtId of a retryable write */
    bson_t *before; /* the document that it replaced or removed, for a rollback; NULL: there was none */
    bool made_collection;
};

/* The last retryable write of one session: which of its statements are done. */
struct session {
    uint8_t id[16];
    int64_t number;
    int32_t done; /* statements 0..done-1 are; a bulk write executes in order */
    struct session *next;
};

struct oplog {
    struct storage *storage;
    struct documents docs;
    struct entry *entries; /* a ring would save moves; trimming in halves makes them rare enough */
    size_t count, capacity;
    int64_t bytes;
    struct optime last;    /* last applied */
    struct optime durable; /* last one on the disk */
    struct session *sessions[1024];
    int session_count;
    bool syncing; /* an initial sync was begun and not finished */
};

/* Applies one record of the journal at start. Records of other kinds than oplog's give 1, else 0 or -1. */
int oplog_load(struct oplog *oplog, const bson_t *record, struct error *err);
/* Appends an entry of the given place; `value` is copied. It is later than oplog->last. */
void oplog_append(struct oplog *oplog, const bson_t *value);
/* Makes what was appended durable. True when that moved oplog->durable. */
bool oplog_sync(struct oplog *oplog);
/* The index of the entry that is exactly at `t`, or -1. */
int64_t oplog_find(const struct oplog *oplog, struct optime t);
/* The index of the last entry at or before `t`, or -1. */
int64_t oplog_find_before(const struct oplog *oplog, struct optime t);
/* Undoes all after the entry at `index`, newest first. */
void oplog_truncate_after(struct oplog *oplog, int64_t index);
/* Initial sync: forget everything; take a cloned document or collection; begin the oplog with an anchor;
 * done. */
void oplog_sync_begin(struct oplog *oplog);
void oplog_sync_document(struct oplog *oplog, const char *ns,
                         const bson_t *document); /* NULL: the collection alone */
void oplog_sync_done(struct oplog *oplog);
/* Writes the journal anew when it has grown; `others` appends what is not the oplog's. */
void oplog_compact(struct oplog *oplog, void (*others)(void *), void *context);
/* True when statement `index` of that retryable write is done already. */
bool oplog_session_done(const struct oplog *oplog, const uint8_t *id, int64_t number, int32_t index);
void oplog_finish(struct oplog *oplog);

#endif
