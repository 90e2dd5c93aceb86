/* Updates are made on whole documents, field by field. */
#include "update.h"

#include <string.h>

static bool is_operators(const bson_t *change)
{
    bson_iter_t it;
    return bson_iter_init(&it, change) && bson_iter_next(&it) && bson_iter_key(&it)[0] == '$';
}

static int check_operators(const bson_t *change, struct error *err)
{
    bson_iter_t it, field;
    bson_iter_init(&it, change);
    while (bson_iter_next(&it)) {
        const char *name = bson_iter_key(&it);
        if (strcmp(name, "$set") != 0 && strcmp(name, "$inc") != 0 && strcmp(name, "$unset") != 0 &&
            strcmp(name, "$setOnInsert") != 0)
            return fail(err, CODE_FAILED_TO_PARSE,
                        "Unknown modifier: %s. (the stand-in has $set, $inc, $unset)", name);
        if (!BSON_ITER_HOLDS_DOCUMENT(&it) || !bson_iter_recurse(&it, &field))
            return fail(err, CODE_FAILED_TO_PARSE,
                        "Modifiers operate on fields but we found another type for %s", name);
        while (bson_iter_next(&field))
            if (strchr(bson_iter_key(&field), '.'))
                return fail(err, CODE_NOT_IMPLEMENTED,
                            "the stand-in updates fields at the top level alone, not %s",
                            bson_iter_key(&field));
    }
    return 0;
}

/* Points `it` at the field under the operator. */
static bool find_change(const bson_t *change, const char *op, const char *field, bson_iter_t *it)
{
    bson_t doc;
    return get_document(change, op, &doc) && bson_iter_init_find(it, &doc, field);
}

static int append_sum(bson_t *out, const char *key, const bson_iter_t *old, const bson_iter_t *by,
                      struct error *err)
{
    if (!iter_is_number(by) || (old && !iter_is_number(old)))
        return fail(err, CODE_TYPE_MISMATCH, "Cannot apply $inc to a value of non-numeric type");
    if (BSON_ITER_HOLDS_DOUBLE(by) || (old && BSON_ITER_HOLDS_DOUBLE(old))) {
        bson_append_double(out, key, -1, (old ? bson_iter_as_double(old) : 0) + bson_iter_as_double(by));
        return 0;
    }
    int64_t sum = (int64_t)((uint64_t)(old ? bson_iter_as_int64(old) : 0) + (uint64_t)bson_iter_as_int64(by));
    bool small = BSON_ITER_HOLDS_INT32(by) && (!old || BSON_ITER_HOLDS_INT32(old)) && sum >= INT32_MIN &&
                 sum <= INT32_MAX;
    if (small)
        bson_append_int32(out, key, -1, (int32_t)sum);
    else
        bson_append_int64(out, key, -1, sum);
    return 0;
}

static int append_new_fields(const bson_t *document, const bson_t *change, const char *op, bson_t *out,
                             struct error *err)
{
    bson_t doc;
    bson_iter_t it;
    if (!get_document(change, op, &doc))
        return 0;
    bson_iter_init(&it, &doc);
    while (bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        if (bson_has_field(document, key))
            continue;
        if (!strcmp(op, "$inc")) {
            if (append_sum(out, key, NULL, &it, err))
                return -1;
        } else {
            bson_append_iter(out, key, -1, &it);
        }
    }
    return 0;
}

int update_apply(const bson_t *document, const bson_t *change, bson_t *out, struct error *err)
{
    bson_iter_t it, by;
    if (!is_operators(change)) {
        if (bson_iter_init_find(&it, document, "_id"))
            bson_append_iter(out, "_id", -1, &it);
        bool own_id = bson_has_field(document, "_id");
        if (own_id)
            bson_copy_to_excluding_noinit(change, out, "_id", NULL);
        else
            bson_concat(out, change);
        return 0;
    }
    if (check_operators(change, err))
        return -1;
    bson_iter_init(&it, document);
    while (bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        if (strcmp(key, "_id") != 0 && find_change(change, "$unset", key, &by))
            continue;
        if (strcmp(key, "_id") != 0 && find_change(change, "$set", key, &by)) {
            bson_append_iter(out, key, -1, &by);
        } else if (find_change(change, "$inc", key, &by)) {
            if (append_sum(out, key, &it, &by, err))
                return -1;
        } else {
            bson_append_iter(out, key, -1, &it);
        }
    }
    if (append_new_fields(document, change, "$set", out, err))
        return -1;
    return append_new_fields(document, change, "$inc", out, err);
}

void update_base(const bson_t *filter, bson_t *out)
{
    bson_iter_t it;
    bson_iter_init(&it, filter);
    while (bson_iter_next(&it)) {
        bson_t child;
        bson_iter_t first;
        bool operators = BSON_ITER_HOLDS_DOCUMENT(&it) && iter_document(&it, &child) &&
                         bson_iter_init(&first, &child) && bson_iter_next(&first) &&
                         bson_iter_key(&first)[0] == '$';
        if (!operators && !strchr(bson_iter_key(&it), '.'))
            bson_append_iter(out, bson_iter_key(&it), -1, &it);
    }
}
