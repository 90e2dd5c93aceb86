/* Replication: a secondary fetches the primary's oplog by long polls; an empty one clones the documents
 * first. */
#ifndef SIM_SYNC_H
#define SIM_SYNC_H

#include "util.h"

struct sim;
struct request;

struct sync {
    uint64_t generation; /* of the call under way; an answer to an older one is dropped */
    bool in_flight;
    int64_t retry_ms;
    int64_t source_id;      /* the member that is fetched from, -1: none */
    bool cloning;           /* initial sync: documents are being fetched */
    bool stale;             /* behind the primary's oplog: only an initial sync helps */
    char clone_cursor[256]; /* the next page begins in this collection, after this sequence */
    int64_t clone_after;
    struct optime clone_begin, clone_end;
    int64_t clone_started_ms;
    bool clone_complete;
};

void sync_turn(struct sim *sim, int64_t now_ms, int64_t *next_ms);
/* The primary or the configuration changed: what is under way is forgotten. */
void sync_restart(struct sim *sim);
/* Commands by which members serve each other; not mongod's. */
void fetch_oplog_command(struct request *request);
void clone_command(struct request *request);
const char *sync_source_host(const struct sim *sim); /* "" when there is none */

#endif
