/* A replica set's configuration as MongoDB writes it, and our changes to it. A reconfiguration edits the
 * document that the server has: what we don't model is kept as it is.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/ */
#ifndef ATOLL_CONTROLLER_ACT_CONFIG_DOCUMENT_H
#define ATOLL_CONTROLLER_ACT_CONFIG_DOCUMENT_H

#include <bson/bson.h>

#include "proto/base/error.h"
#include "proto/model.h"

/* How this server calls the delay of a member: secondaryDelaySecs since 5.0, slaveDelay before. */
enum delay_name { DELAY_BY_DOCUMENT, DELAY_OLD, DELAY_NEW };

/* The values that we model. ERROR_PROTOCOL when it isn't a configuration; counts and lengths are bounded. */
int config_document_read(const bson_t *document, struct arena *arena, struct replica_config *out,
                         struct error *err);

/* `before` with the members and settings of `wanted` (found by _id), a version one higher and no term (the
 * server sets it). `out` is initialised by this call; the caller destroys it, on success alone. */
int config_document_edit(const bson_t *before, const struct replica_config *wanted,
                         enum delay_name delay_name, bson_t *out, struct error *err);

/* For replSetInitiate. As above. */
int config_document_initial(const struct replica_config *wanted, enum delay_name delay_name, bson_t *out,
                            struct error *err);

#endif
