/* The way of a file from text to a checked spec: see spec_read.h. */
#include "config/spec_read.h"

#include "config/spec_check.h"
#include "config/spec_fields.h"
#include "config/yaml_tree.h"

static struct tree_node *read_trees(const struct spec_source *sources, size_t count, struct arena *arena,
                                    struct spec_problems *problems)
{
    struct tree_node *merged = NULL;
    bool broken = false;
    for (size_t i = 0; i < count; i++) {
        struct tree_node *tree = tree_read(&sources[i], arena, problems);
        broken |= !tree;
        merged = tree_merge(merged, tree, arena, problems);
    }
    return broken ? NULL : merged; /* with a part missing the rest would only give errors that are none */
}

/* A spec is stored as it is written, and has to be read again from that after a restart: with what aliases
 * repeat. */
static void check_written_size(struct reader *reader, const struct spec *spec, struct spec_mark start)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, SPEC_BYTES_MAX);
    if (spec_write(spec, SPEC_JSON, &text, &err))
        READ_ERROR(reader, start, "written out as JSON the spec must have at most %d bytes: %s",
                   SPEC_BYTES_MAX, err.message);
    buffer_finish(&text);
}

static void read_tree(struct reader *reader, const struct tree_node *tree, struct spec *spec)
{
    const struct tree_node *body = tree_get(tree, "spec");
    if (tree->kind != TREE_MAP) {
        READ_ERROR(reader, tree->mark,
                   "a federation's file is a map that begins with \"apiVersion: atoll/v1\", not %s",
                   tree_kind_name(tree));
        return;
    }
    read_fields(reader, &document_record, tree, spec);
    spec->node = tree;
    spec->mark = body ? body->mark : tree->mark;
    if (!arena_failed(reader->arena))
        spec_check(spec, reader->arena, reader->problems);
}

int spec_read(const struct spec_source *sources, size_t count, struct arena *arena, struct spec *out,
              struct spec_problems *problems)
{
    struct reader reader = {arena, problems};
    struct spec spec = spec_default();
    size_t errors_before = problems->errors;
    struct spec_mark start = {count ? sources[0].name : "spec", 1, 1};
    if (count == 0 || count > SPEC_FILES_MAX) {
        READ_ERROR(&reader, start, "%zu files; a spec is 1 file and at most %d overlays", count,
                   SPEC_FILES_MAX - 1);
        return -1;
    }
    size_t count_before = problems->count;
    const struct tree_node *tree = read_trees(sources, count, arena, problems);
    if (tree)
        read_tree(&reader, tree, &spec);
    if (arena_failed(arena)) { /* what was said since then may be wrong */
        problems->count = count_before;
        problems->errors = errors_before;
        READ_ERROR(&reader, start, "the spec needs more memory than it may have");
    }
    if (problems->errors == errors_before)
        check_written_size(&reader, &spec, start);
    problems_sort(problems, sources, count);
    if (problems->errors > errors_before)
        return -1;
    *out = spec;
    return 0;
}
