/* A YAML file (or JSON, which is a part of YAML) as a tree of nodes that know where they were written.
 * Nothing here knows what a spec is. The only place that names libyaml. Hostile input meets the bounds of
 * spec_read.h and those below. */
#ifndef ATOLL_CONFIG_YAML_TREE_H
#define ATOLL_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/spec_read.h"

enum {
    TREE_CHILDREN_MAX = 1000, /* of one map or list; so that comparing them pairwise stays cheap */
    TREE_ANCHORS_MAX = 64,
};

enum tree_kind { TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree_node {
    enum tree_kind kind;
    struct spec_mark mark;
    const char *text; /* of a scalar: no NUL within, valid UTF-8; "" for maps and lists */
    bool plain;       /* a scalar written without quotes: may be a number, true, false or null */
    const char *key;  /* the key that it stands under in its map; "" in a list */
    struct spec_mark key_mark;
    int place;             /* 1, 2, 3 … among its siblings, in the file that it came from */
    const void *merged_by; /* of spec_merge.c: the overlay's list that has touched it */
    struct tree_node *first, *last, *next;
    size_t count;
};

/* Reads one document. NULL when there is nothing to go on with (syntax, bounds, no document, more than one);
 * some problems (a key that is there twice) leave a tree to look at further. Nodes live in the arena. */
struct tree_node *tree_read(const struct spec_source *source, struct arena *arena,
                            struct spec_problems *problems);

/* The value under `key`, or NULL; also when `map` is NULL or no map. */
struct tree_node *tree_get(const struct tree_node *map, const char *key);

/* Whether it is YAML's null: nothing, ~ or null, without quotes. */
bool tree_is_null(const struct tree_node *node);

/* "a map", "a list", "a text", "a number" …: for messages */
const char *tree_kind_name(const struct tree_node *node);

void tree_append(struct tree_node *parent, struct tree_node *child);

/* Lays `overlay` over `base`, which it changes and returns (either may be NULL): see spec_read(). In
 * spec_merge.c. */
struct tree_node *tree_merge(struct tree_node *base, struct tree_node *overlay, struct arena *arena,
                             struct spec_problems *problems);

#endif
