/* Overlays: one tree laid over another, key by key. What stays and what is laid over keep their own places
 * (file, line, column), so that a rule that is broken by both is reported where the last word was said. */
#include <stdio.h>
#include <string.h>

#include "config/spec_problem.h"
#include "config/yaml_tree.h"

struct merging {
    struct arena *arena;
    struct spec_problems *problems;
};

static struct tree_node *merge(struct merging *merging, struct tree_node *base, struct tree_node *overlay);

static void replace_child(struct tree_node *parent, struct tree_node *before, struct tree_node *child,
                          struct tree_node *with)
{
    with->next = child->next;
    if (before)
        before->next = with;
    else
        parent->first = with;
    if (parent->last == child)
        parent->last = with;
}

static void remove_child(struct tree_node *parent, struct tree_node *before, struct tree_node *child)
{
    if (before)
        before->next = child->next;
    else
        parent->first = child->next;
    if (parent->last == child)
        parent->last = before;
    parent->count--;
}

static void add_child(struct merging *merging, struct tree_node *parent, struct tree_node *child)
{
    if (parent->count < TREE_CHILDREN_MAX)
        tree_append(parent, child);
    else
        problem_add(merging->problems, merging->arena, SPEC_ERROR, child->mark,
                    "more than %d entries in one list or map, overlays included", TREE_CHILDREN_MAX);
}

/* A key with nothing behind it (null) takes away what the files before it say, as in RFC 7386. */
static void merge_key(struct merging *merging, struct tree_node *base, struct tree_node *value)
{
    struct tree_node *before = NULL, *child = base->first;
    for (; child && strcmp(child->key, value->key) != 0; child = child->next)
        before = child;
    if (tree_is_null(value)) {
        if (child)
            remove_child(base, before, child);
        return;
    }
    if (!child)
        add_child(merging, base, value);
    else
        replace_child(base, before, child, merge(merging, child, value));
}

static void merge_map(struct merging *merging, struct tree_node *base, struct tree_node *overlay)
{
    for (struct tree_node *value = overlay->first, *next; value; value = next) {
        next = value->next;
        merge_key(merging, base, value);
    }
}

enum { IDENTITY_MAX = 16 }; /* digits of a place */

/* What an item is merged by: its name; of a member its ordinal, or else its place in its own file. "" when by
 * nothing. */
static const char *identity(const struct tree_node *item, bool members, char place[IDENTITY_MAX])
{
    const struct tree_node *key = tree_get(item, members ? "ordinal" : "name");
    if (key && key->kind == TREE_SCALAR)
        return key->text;
    snprintf(place, IDENTITY_MAX, "%d", item->place);
    return members ? place : "";
}

static bool same_identity(const struct tree_node *a, const struct tree_node *b, bool members)
{
    char left[IDENTITY_MAX], right[IDENTITY_MAX];
    return strcmp(identity(a, members, left), identity(b, members, right)) == 0;
}

static bool has_identities(const struct tree_node *list, bool members)
{
    char place[IDENTITY_MAX];
    for (const struct tree_node *item = list->first; item; item = item->next)
        if (item->kind != TREE_MAP || !*identity(item, members, place))
            return false;
    return true;
}

static void merge_item(struct merging *merging, struct tree_node *base, struct tree_node *item, bool members,
                       const void *overlay)
{
    struct tree_node *before = NULL, *twin = base->first;
    for (; twin && !same_identity(twin, item, members); twin = twin->next)
        before = twin;
    if (!twin) {
        item->merged_by = overlay;
        add_child(merging, base, item);
        return;
    }
    char place[IDENTITY_MAX];
    if (twin->merged_by == overlay)
        problem_add(merging->problems, merging->arena, SPEC_ERROR, item->mark,
                    "%s %s is in this list twice; write it once",
                    members ? "the member with ordinal" : "the entry named",
                    problem_quote(merging->arena, identity(item, members, place)));
    int in_base = twin->place;
    struct tree_node *merged = merge(merging, twin, item);
    merged->merged_by = overlay;
    merged->place = in_base;
    replace_child(base, before, twin, merged);
}

/* Lists whose items all say who they are merge item by item; others are replaced whole. */
static struct tree_node *merge_list(struct merging *merging, struct tree_node *base,
                                    struct tree_node *overlay)
{
    bool members = strcmp(overlay->key, "members") == 0;
    if (overlay->count == 0 || !has_identities(base, members) || !has_identities(overlay, members))
        return overlay;
    for (struct tree_node *item = overlay->first, *next; item; item = next) {
        next = item->next;
        merge_item(merging, base, item, members, overlay);
    }
    return base;
}

/* Depth is bounded by that of the trees. */
static struct tree_node *merge(struct merging *merging, struct tree_node *base, struct tree_node *overlay)
{
    if (base->kind == TREE_MAP && overlay->kind == TREE_MAP) {
        merge_map(merging, base, overlay);
        return base;
    }
    if (base->kind == TREE_LIST && overlay->kind == TREE_LIST)
        return merge_list(merging, base, overlay);
    return overlay;
}

struct tree_node *tree_merge(struct tree_node *base, struct tree_node *overlay, struct arena *arena,
                             struct spec_problems *problems)
{
    if (!base || !overlay)
        return base ? base : overlay;
    struct merging merging = {arena, problems};
    return merge(&merging, base, overlay);
}
