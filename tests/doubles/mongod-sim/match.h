/* Does a document match a filter? Equality of fields (dotted paths too), $eq, $in, and comparisons of
 * numbers, dates, timestamps and strings. */
#ifndef SIM_MATCH_H
#define SIM_MATCH_H

#include "util.h"

/* 1: matches; 0: does not; -1 with an error: the filter has an operator that is not played. */
int match(const bson_t *document, const bson_t *filter, struct error *err);
/* Orders two values of one kind; values of different kinds are ordered by type. */
int compare_values(const bson_iter_t *a, const bson_iter_t *b);

#endif
