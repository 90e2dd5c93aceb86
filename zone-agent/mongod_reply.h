/* What a mongod's BSON replies say, as values: pure, so that it is tested with recordings of a real one. */
#ifndef ATOLL_ZONE_AGENT_MONGOD_REPLY_H
#define ATOLL_ZONE_AGENT_MONGOD_REPLY_H

#include <bson/bson.h>

#include "proto/base/error.h"
#include "proto/model.h"

/* Codes of replies that are answers, not failures. https://www.mongodb.com/docs/manual/reference/error-codes/
 */
enum {
    MONGOD_UNAUTHORIZED = 13,
    MONGOD_COMMAND_NOT_FOUND = 59,
    MONGOD_INVALID_REPLICA_SET_CONFIG = 93,
    MONGOD_NOT_YET_INITIALIZED = 94,
};

/* The `code` of a reply; 0 when it is ok. */
int mongod_reply_code(const bson_t *reply);

/* A view that says nothing yet: not asked, no numbers, empty strings. */
struct mongod_view mongod_view_empty(void);

/* `buildInfo` -> "7.0.14"; "" when it doesn't say. */
const char *mongod_reply_version(const bson_t *reply, struct arena *arena);

/* `serverStatus` -> mongod_process_text(); "" when it doesn't say. */
const char *mongod_reply_process(const bson_t *reply, struct arena *arena);

/* `replSetGetStatus`, or its error reply, into state, self_id, term, primary_id, optime, peers and answer:
 * 94 is MONGOD_NOT_INITIALIZED, 93 and state REMOVED are MONGOD_NOT_IN_CONFIG, any other error is
 * MONGOD_SILENT with a problem. At most SET_MEMBERS_MAX peers are read. `config_version` and `config_term`:
 * of the configuration that it uses (0, -1: not told).
 * https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/ */
void mongod_reply_status(const bson_t *reply, struct arena *arena, struct mongod_view *view,
                         int64_t *config_version, int64_t *config_term);

/* `hello` or `isMaster`: an arbiter, and a member whose status can't be read, say here what they are. Fills
 * only what is not known yet. https://www.mongodb.com/docs/manual/reference/command/hello/ */
void mongod_reply_hello(const bson_t *reply, struct mongod_view *view);

/* `replSetGetConfig`. `commitment`: NULL, or says whether the reply tells about it and what. -1 when there is
 * no configuration in it. https://www.mongodb.com/docs/manual/reference/command/replSetGetConfig/ */
struct mongod_commitment {
    bool known, committed;
};
int mongod_reply_config(const bson_t *reply, struct arena *arena, struct replica_config *out,
                        struct mongod_commitment *commitment, struct error *err);

#endif
