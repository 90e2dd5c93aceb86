/* A hash table by the bytes of _id for each collection; a list keeps the order of insertion. */
#include "documents.h"

#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that are equal are one _id, whatever their type; other values are compared byte by byte. */
static uint32_t id_hash(const bson_t *key)
{
    bson_iter_t it;
    if (!bson_iter_init_find(&it, key, "_id"))
        return 0;
    if (iter_is_number(&it)) {
        double d = bson_iter_as_double(&it);
        return crc32_of(&d, sizeof d);
    }
    bson_t one = BSON_INITIALIZER;
    bson_append_iter(&one, "", 0, &it);
    uint32_t hash = crc32_of(bson_get_data(&one), one.len);
    bson_destroy(&one);
    return hash;
}

static bool id_equal(const bson_t *a, const bson_t *b)
{
    bson_iter_t x, y;
    if (!bson_iter_init_find(&x, a, "_id") || !bson_iter_init_find(&y, b, "_id"))
        return false;
    if (iter_is_number(&x) && iter_is_number(&y))
        return bson_iter_as_double(&x) <= bson_iter_as_double(&y) &&
               bson_iter_as_double(&x) >= bson_iter_as_double(&y);
    bson_t one = BSON_INITIALIZER, two = BSON_INITIALIZER;
    bson_append_iter(&one, "", 0, &x);
    bson_append_iter(&two, "", 0, &y);
    bool equal = bson_equal(&one, &two);
    bson_destroy(&one);
    bson_destroy(&two);
    return equal;
}

struct collection *documents_collection(const struct documents *docs, const char *ns)
{
    for (struct collection *c = docs->collections; c; c = c->next)
        if (!strcmp(c->name, ns))
            return c;
    return NULL;
}

struct collection *documents_create(struct documents *docs, const char *ns)
{
    struct collection *c = documents_collection(docs, ns);
    if (c || docs->collection_count == COLLECTIONS_MAX)
        return c;
    c = xcalloc(1, sizeof *c);
    snprintf(c->name, sizeof c->name, "%s", ns);
    c->bucket_count = 64;
    c->buckets = xcalloc(c->bucket_count, sizeof *c->buckets);
    c->next = docs->collections;
    docs->collections = c;
    docs->collection_count++;
    return c;
}

static void collection_free(struct collection *c)
{
    for (struct document *d = c->first, *next; d; d = next) {
        next = d->next;
        bson_destroy(d->value);
        free(d);
    }
    free(c->buckets);
    free(c);
}

void documents_drop(struct documents *docs, const char *ns)
{
    for (struct collection **p = &docs->collections; *p; p = &(*p)->next) {
        struct collection *c = *p;
        if (strcmp(c->name, ns) != 0)
            continue;
        *p = c->next;
        docs->collection_count--;
        collection_free(c);
        return;
    }
}

static struct document **bucket_of(const struct collection *c, const bson_t *key, uint32_t hash)
{
    struct document **p = &c->buckets[hash % c->bucket_count];
    while (*p && ((*p)->hash != hash || !id_equal((*p)->value, key)))
        p = &(*p)->next_in_bucket;
    return p;
}

struct document *collection_get(const struct collection *c, const bson_t *key)
{
    return *bucket_of(c, key, id_hash(key));
}

static void collection_grow(struct collection *c)
{
    free(c->buckets);
    c->bucket_count *= 4;
    c->buckets = xcalloc(c->bucket_count, sizeof *c->buckets);
    for (struct document *d = c->first; d; d = d->next) {
        struct document **p = &c->buckets[d->hash % c->bucket_count];
        d->next_in_bucket = *p;
        *p = d;
    }
}

void collection_put(struct documents *docs, struct collection *c, const bson_t *value)
{
    uint32_t hash = id_hash(value);
    struct document **p = bucket_of(c, value, hash), *d = *p;
    if (d) {
        bson_destroy(d->value);
        d->value = bson_copy(value);
        return;
    }
    d = xcalloc(1, sizeof *d);
    d->value = bson_copy(value);
    d->sequence = ++docs->next_sequence;
    d->hash = hash;
    *p = d;
    d->previous = c->last;
    if (c->last)
        c->last->next = d;
    else
        c->first = d;
    c->last = d;
    if (++c->count > c->bucket_count * 2)
        collection_grow(c);
}

void collection_remove(struct collection *c, const bson_t *key)
{
    struct document **p = bucket_of(c, key, id_hash(key)), *d = *p;
    if (!d)
        return;
    *p = d->next_in_bucket;
    *(d->previous ? &d->previous->next : &c->first) = d->next;
    *(d->next ? &d->next->previous : &c->last) = d->previous;
    c->count--;
    bson_destroy(d->value);
    free(d);
}

void documents_clear(struct documents *docs)
{
    while (docs->collections)
        documents_drop(docs, docs->collections->name);
}

bool documents_empty(const struct documents *docs)
{
    return docs->collections == NULL;
}
