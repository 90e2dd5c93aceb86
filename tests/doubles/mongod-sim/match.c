/* A small part of the query language: what tests and tools of a replica set ask for. */
#include "match.h"

#include <string.h>

static int sign(double d)
{
    return d < 0 ? -1 : d > 0;
}

int compare_values(const bson_iter_t *a, const bson_iter_t *b)
{
    if (iter_is_number(a) && iter_is_number(b)) {
        if (!BSON_ITER_HOLDS_DOUBLE(a) && !BSON_ITER_HOLDS_DOUBLE(b)) {
            int64_t x = bson_iter_as_int64(a), y = bson_iter_as_int64(b);
            return x < y ? -1 : x > y;
        }
        return sign(bson_iter_as_double(a) - bson_iter_as_double(b));
    }
    if (bson_iter_type(a) != bson_iter_type(b))
        return bson_iter_type(a) < bson_iter_type(b) ? -1 : 1;
    if (BSON_ITER_HOLDS_TIMESTAMP(a)) {
        struct optime x = {0, 0, 0}, y = {0, 0, 0};
        bson_iter_timestamp(a, &x.secs, &x.inc);
        bson_iter_timestamp(b, &y.secs, &y.inc);
        return optime_compare(x, y);
    }
    if (BSON_ITER_HOLDS_DATE_TIME(a)) {
        int64_t x = bson_iter_date_time(a), y = bson_iter_date_time(b);
        return x < y ? -1 : x > y;
    }
    if (BSON_ITER_HOLDS_UTF8(a))
        return sign(strcmp(bson_iter_utf8(a, NULL), bson_iter_utf8(b, NULL)));
    bson_t x = BSON_INITIALIZER, y = BSON_INITIALIZER;
    bson_append_iter(&x, "", 0, a);
    bson_append_iter(&y, "", 0, b);
    int order = bson_compare(&x, &y);
    bson_destroy(&x);
    bson_destroy(&y);
    return order;
}

static bool is_operator_document(const bson_iter_t *it, bson_t *out)
{
    bson_iter_t first;
    return BSON_ITER_HOLDS_DOCUMENT(it) && iter_document(it, out) && bson_iter_init(&first, out) &&
           bson_iter_next(&first) && bson_iter_key(&first)[0] == '$';
}

/* Equality; an array also matches when one of its elements does. A missing field equals null. */
static bool equals(const bson_iter_t *value, const bson_iter_t *wanted)
{
    bson_iter_t child;
    if (!value)
        return BSON_ITER_HOLDS_NULL(wanted);
    if (compare_values(value, wanted) == 0)
        return true;
    if (!BSON_ITER_HOLDS_ARRAY(value) || !bson_iter_recurse(value, &child))
        return false;
    while (bson_iter_next(&child))
        if (compare_values(&child, wanted) == 0)
            return true;
    return false;
}

static bool is_in(const bson_iter_t *value, const bson_iter_t *list)
{
    bson_iter_t child;
    if (!bson_iter_recurse(list, &child))
        return false;
    while (bson_iter_next(&child))
        if (equals(value, &child))
            return true;
    return false;
}

static bool comparable(const bson_iter_t *a, const bson_iter_t *b)
{
    return a && ((iter_is_number(a) && iter_is_number(b)) || bson_iter_type(a) == bson_iter_type(b));
}

static int match_operator(const bson_iter_t *value, const bson_iter_t *op, struct error *err)
{
    const char *name = bson_iter_key(op);
    if (!strcmp(name, "$eq"))
        return equals(value, op);
    if (!strcmp(name, "$ne"))
        return !equals(value, op);
    if (!strcmp(name, "$in"))
        return is_in(value, op);
    if (!strcmp(name, "$exists"))
        return (value != NULL) == bson_iter_as_bool(op);
    if (!strcmp(name, "$gt"))
        return comparable(value, op) && compare_values(value, op) > 0;
    if (!strcmp(name, "$gte"))
        return comparable(value, op) && compare_values(value, op) >= 0;
    if (!strcmp(name, "$lt"))
        return comparable(value, op) && compare_values(value, op) < 0;
    if (!strcmp(name, "$lte"))
        return comparable(value, op) && compare_values(value, op) <= 0;
    return fail(err, CODE_BAD_VALUE,
                "unknown operator: %s (the stand-in has $eq $ne $in $exists $gt $gte $lt $lte)", name);
}

int match(const bson_t *document, const bson_t *filter, struct error *err)
{
    bson_iter_t field;
    bson_iter_init(&field, filter);
    while (bson_iter_next(&field)) {
        bson_iter_t root, found, op;
        bson_t operators;
        const bson_iter_t *value = NULL;
        const char *path = bson_iter_key(&field);
        if (path[0] == '$')
            return fail(err, CODE_BAD_VALUE, "unknown top level operator: %s", path);
        if (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, path, &found))
            value = &found;
        if (!is_operator_document(&field, &operators)) {
            if (!equals(value, &field))
                return 0;
            continue;
        }
        bson_iter_init(&op, &operators);
        while (bson_iter_next(&op)) {
            int rc = match_operator(value, &op, err);
            if (rc <= 0)
                return rc;
        }
    }
    return 1;
}
