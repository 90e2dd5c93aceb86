/* Collections in memory, found by _id. Knows nothing of replication: oplog.c applies entries here and writes
 * them down. */
#ifndef SIM_DOCUMENTS_H
#define SIM_DOCUMENTS_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

enum { NAMESPACE_MAX = 256, COLLECTIONS_MAX = 1000 };

struct document {
    bson_t *value;
    uint64_t sequence; /* order of insertion over all collections; a replaced document keeps its place */
    struct document *next_in_bucket;
    struct document *previous, *next; /* within the collection, by sequence */
    uint32_t hash;
};

struct collection {
    char name[NAMESPACE_MAX]; /* "db.collection" */
    struct document *first, *last;
    struct document **buckets;
    uint32_t bucket_count, count;
    struct collection *next;
};

struct documents {
    struct collection *collections;
    int collection_count;
    uint64_t next_sequence;
};

struct collection *documents_collection(const struct documents *docs,
                                        const char *ns); /* NULL when there is none */
/* Finds or makes it; NULL past COLLECTIONS_MAX. */
struct collection *documents_create(struct documents *docs, const char *ns);
void documents_drop(struct documents *docs, const char *ns);
/* The document with the _id of `key` (a document that has an _id), or NULL. */
struct document *collection_get(const struct collection *c, const bson_t *key);
/* Inserts or replaces, copying `value`, which has an _id. */
void collection_put(struct documents *docs, struct collection *c, const bson_t *value);
void collection_remove(struct collection *c, const bson_t *key);
void documents_clear(struct documents *docs);
bool documents_empty(const struct documents *docs);

#endif
