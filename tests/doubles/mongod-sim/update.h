/* What an update makes of a document: a replacement, or $set, $unset, $inc of fields at the top level. */
#ifndef SIM_UPDATE_H
#define SIM_UPDATE_H

#include "util.h"

/* Appends the changed document to `out`. The _id stays. */
int update_apply(const bson_t *document, const bson_t *change, bson_t *out, struct error *err);
/* The document that an upsert starts from: the filter's equalities. */
void update_base(const bson_t *filter, bson_t *out);

#endif
