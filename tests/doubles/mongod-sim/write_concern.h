/* What a write waits for before it is acknowledged.
 * https://www.mongodb.com/docs/manual/reference/write-concern/ */
#ifndef SIM_WRITE_CONCERN_H
#define SIM_WRITE_CONCERN_H

#include "server.h"

/* Answers the request with `fields` (copied) once the write concern in its body holds for all that is in the
 * oplog now; past wtimeout with a writeConcernError. Since 5.0 the default is majority, before it is w: 1. */
void write_concern_reply(struct request *request, const bson_t *fields);

#endif
