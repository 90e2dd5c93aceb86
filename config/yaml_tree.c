/* libyaml's events -> a tree of marked nodes: see yaml_tree.h. Events, not libyaml's documents, because its
 * composer has no bound on depth and is quadratic in it (200,000 opening brackets take it a minute). */
#include "config/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "config/spec_problem.h"

struct anchor {
    const char *name;
    struct tree_node *node;
};

struct loader {
    struct arena *arena;
    struct spec_problems *problems;
    const struct spec_source *source;
    yaml_parser_t parser;
    struct tree_node *stack[SPEC_DEPTH_MAX]; /* the maps and lists that are open */
    size_t depth;
    const char *key; /* of the innermost open map; NULL: the next scalar is one */
    struct spec_mark key_mark;
    struct tree_node *root;
    size_t nodes;
    struct anchor anchors[TREE_ANCHORS_MAX];
    size_t anchor_count;
    int documents;
    bool done;
};

static struct spec_mark mark_of(const struct loader *loader, yaml_mark_t mark)
{
    return (struct spec_mark){loader->source->name, (int)mark.line + 1, (int)mark.column + 1};
}

/* Says so and ends the reading of this file. */
#define FATAL(loader, at, ...) problem_add((loader)->problems, (loader)->arena, SPEC_ERROR, (at), __VA_ARGS__)

struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
    if (!map || map->kind != TREE_MAP)
        return NULL;
    for (struct tree_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

bool tree_is_null(const struct tree_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != TREE_SCALAR || !node->plain)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(node->text, nulls[i]) == 0)
            return true;
    return false;
}

void tree_append(struct tree_node *parent, struct tree_node *child)
{
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

/* Puts a finished or just opened node where the events are. Keys that are there twice are said, and the first
 * one is kept. */
static int attach(struct loader *loader, struct tree_node *node)
{
    if (loader->depth == 0) {
        loader->root = node;
        return 0;
    }
    struct tree_node *parent = loader->stack[loader->depth - 1];
    if (parent->count >= TREE_CHILDREN_MAX)
        return FATAL(loader, node->mark, "more than %d entries in one %s", TREE_CHILDREN_MAX,
                     parent->kind == TREE_MAP ? "map" : "list");
    node->key = "";
    if (parent->kind == TREE_MAP) {
        const struct tree_node *twin = tree_get(parent, loader->key);
        node->key = loader->key;
        node->key_mark = loader->key_mark;
        loader->key = NULL;
        if (twin) {
            problem_add(loader->problems, loader->arena, SPEC_ERROR, node->key_mark,
                        "the key \"%s\" is here twice (first in line %d); take one away",
                        problem_quote(loader->arena, node->key), twin->key_mark.line);
            return 0;
        }
    }
    tree_append(parent, node);
    node->place = (int)parent->count;
    return 0;
}

static struct tree_node *node_new(struct loader *loader, enum tree_kind kind, struct spec_mark mark)
{
    if (loader->nodes >= SPEC_NODES_MAX) {
        FATAL(loader, mark, "more than %d values, counting what aliases repeat", SPEC_NODES_MAX);
        return NULL;
    }
    loader->nodes++;
    struct tree_node *node = arena_alloc(loader->arena, sizeof *node);
    if (!node) {
        FATAL(loader, mark, "the spec needs more memory than it may have");
        return NULL;
    }
    *node = (struct tree_node){.kind = kind, .mark = mark, .text = "", .key = ""};
    return node;
}

static int remember_anchor(struct loader *loader, const yaml_char_t *name, struct tree_node *node)
{
    if (!name)
        return 0;
    for (size_t i = 0; i < loader->anchor_count; i++)
        if (strcmp(loader->anchors[i].name, (const char *)name) == 0) {
            loader->anchors[i].node = node;
            return 0;
        }
    if (loader->anchor_count == TREE_ANCHORS_MAX)
        return FATAL(loader, node->mark, "more than %d anchors (&name)", TREE_ANCHORS_MAX);
    loader->anchors[loader->anchor_count++] =
        (struct anchor){arena_string(loader->arena, (const char *)name), node};
    return 0;
}

/* Only YAML's own tags are known; `!!str 5` is the text "5". */
static int check_tag(struct loader *loader, const yaml_char_t *tag, struct spec_mark mark)
{
    static const char own[] = "tag:yaml.org,2002:";
    if (!tag || strcmp((const char *)tag, "!") == 0 || strncmp((const char *)tag, own, sizeof own - 1) == 0)
        return 0;
    return FATAL(loader, mark, "the tag \"%s\" has no meaning in a spec; take it away",
                 problem_quote(loader->arena, (const char *)tag));
}

static int at_key(const struct loader *loader)
{
    return loader->depth > 0 && loader->stack[loader->depth - 1]->kind == TREE_MAP && !loader->key;
}

static int on_scalar(struct loader *loader, const yaml_event_t *event, struct spec_mark mark)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (length > SPEC_SCALAR_MAX)
        return FATAL(loader, mark, "a text of %zu bytes; at most %d are allowed", length, SPEC_SCALAR_MAX);
    if (memchr(value, 0, length))
        return FATAL(loader, mark, "a text with a NUL character in it");
    if (check_tag(loader, event->data.scalar.tag, mark))
        return -1;
    const char *text = arena_string_n(loader->arena, value, length);
    if (at_key(loader)) {
        loader->key = text;
        loader->key_mark = mark;
        return 0;
    }
    struct tree_node *node = node_new(loader, TREE_SCALAR, mark);
    if (!node)
        return -1;
    node->text = text;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag;
    return remember_anchor(loader, event->data.scalar.anchor, node) || attach(loader, node) ? -1 : 0;
}

static int on_start(struct loader *loader, enum tree_kind kind, const yaml_char_t *anchor,
                    const yaml_char_t *tag, struct spec_mark mark)
{
    if (at_key(loader))
        return FATAL(loader, mark, "a key must be a word, not a map or list");
    if (loader->depth == SPEC_DEPTH_MAX)
        return FATAL(loader, mark, "nested more than %d deep", SPEC_DEPTH_MAX);
    if (check_tag(loader, tag, mark))
        return -1;
    struct tree_node *node = node_new(loader, kind, mark);
    if (!node || remember_anchor(loader, anchor, node) || attach(loader, node))
        return -1;
    loader->stack[loader->depth++] = node;
    return 0;
}

/* A copy of what an alias stands for, counted like what is written, so that aliases of aliases can't
 * multiply. Depth is bounded by the check against SPEC_DEPTH_MAX. */
static struct tree_node *copy(struct loader *loader, const struct tree_node *from, size_t depth,
                              struct spec_mark mark)
{
    if (depth > SPEC_DEPTH_MAX) {
        FATAL(loader, mark, "nested more than %d deep, counting what aliases repeat", SPEC_DEPTH_MAX);
        return NULL;
    }
    struct tree_node *to = node_new(loader, from->kind, from->mark);
    if (!to)
        return NULL;
    to->text = from->text;
    to->plain = from->plain;
    for (const struct tree_node *child = from->first; child; child = child->next) {
        struct tree_node *twin = copy(loader, child, depth + 1, mark);
        if (!twin)
            return NULL;
        twin->key = child->key;
        twin->key_mark = child->key_mark;
        twin->place = child->place;
        tree_append(to, twin);
    }
    return to;
}

static int on_alias(struct loader *loader, const char *name, struct spec_mark mark)
{
    if (at_key(loader))
        return FATAL(loader, mark, "a key must be a word, not an alias");
    const struct tree_node *target = NULL;
    for (size_t i = 0; i < loader->anchor_count; i++)
        if (strcmp(loader->anchors[i].name, name) == 0)
            target = loader->anchors[i].node;
    if (!target)
        return FATAL(loader, mark, "the alias *%s has no anchor &%s before it",
                     problem_quote(loader->arena, name), problem_quote(loader->arena, name));
    for (size_t i = 0; i < loader->depth; i++)
        if (loader->stack[i] == target)
            return FATAL(loader, mark, "the alias *%s is within what it stands for",
                         problem_quote(loader->arena, name));
    struct tree_node *node = copy(loader, target, loader->depth, mark);
    return node ? attach(loader, node) : -1;
}

static int on_event(struct loader *loader, const yaml_event_t *event)
{
    struct spec_mark mark = mark_of(loader, event->start_mark);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (loader->documents++ > 0)
            return FATAL(
                loader, mark,
                "a second document (after ---): a spec is one document; write further ones as files of "
                "their own, and overlays as -f base.yaml -f overlay.yaml");
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(loader, event, mark);
    case YAML_MAPPING_START_EVENT:
        return on_start(loader, TREE_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                        mark);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(loader, TREE_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                        mark);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        loader->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return on_alias(loader, (const char *)event->data.alias.anchor, mark);
    case YAML_STREAM_END_EVENT:
        loader->done = true;
        return 0;
    default:
        return 0;
    }
}

/* libyaml tells where bytes can't be read as an offset alone. */
static struct spec_mark mark_of_offset(const struct loader *loader, size_t offset)
{
    struct spec_mark mark = {loader->source->name, 1, 1};
    for (size_t i = 0; i < offset && i < loader->source->length; i++) {
        unsigned char byte = (unsigned char)loader->source->text[i];
        if (byte == '\n') {
            mark.line++;
            mark.column = 1;
        } else if ((byte & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static int on_syntax_error(struct loader *loader)
{
    const yaml_parser_t *parser = &loader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return FATAL(loader, mark_of(loader, parser->mark), "the file needs more memory than there is");
    if (parser->error == YAML_READER_ERROR)
        return FATAL(loader, mark_of_offset(loader, parser->problem_offset), "this is not text in UTF-8: %s",
                     parser->problem);
    const char *hint = strstr(parser->problem, "cannot start any token")
                           ? "; lines are indented with spaces, and texts that begin with a sign are quoted"
                           : "";
    if (!parser->context)
        return FATAL(loader, mark_of(loader, parser->problem_mark), "not YAML: %s%s", parser->problem, hint);
    return FATAL(loader, mark_of(loader, parser->problem_mark), "not YAML: %s, %s (line %d)%s",
                 parser->problem, parser->context, (int)parser->context_mark.line + 1, hint);
}

static int read_events(struct loader *loader)
{
    while (!loader->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&loader->parser, &event))
            return on_syntax_error(loader);
        int failed = on_event(loader, &event);
        yaml_event_delete(&event);
        if (failed)
            return -1;
    }
    return 0;
}

struct tree_node *tree_read(const struct spec_source *source, struct arena *arena,
                            struct spec_problems *problems)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t skip = source->length >= 3 && memcmp(source->text, byte_order_mark, 3) == 0 ? 3 : 0;
    struct spec_source text = {source->name, source->text + skip, source->length - skip};
    struct loader loader = {.arena = arena, .problems = problems, .source = &text};
    struct spec_mark start = {source->name, 1, 1};
    if (source->length > SPEC_BYTES_MAX) {
        FATAL(&loader, start, "the file has %zu bytes; at most %d are allowed", source->length,
              SPEC_BYTES_MAX);
        return NULL;
    }
    if (!yaml_parser_initialize(&loader.parser)) {
        FATAL(&loader, start, "no memory to read the file");
        return NULL;
    }
    yaml_parser_set_encoding(&loader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&loader.parser, (const unsigned char *)text.text, text.length);
    int failed = read_events(&loader);
    yaml_parser_delete(&loader.parser);
    if (failed)
        return NULL;
    if (!loader.root)
        FATAL(&loader, start, "the file is empty; a spec begins with \"apiVersion: atoll/v1\"");
    return loader.root;
}
