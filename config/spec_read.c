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

int spec_read(const struct spec_source *sources, size_t count, struct arena *arena, struct spec *out,
              struct spec_problems *problems)
{
    struct reader reader = {arena, problems};
    struct spec spec = spec_default();
    size_t errors_before = problems->errors;
    struct spec_mark start = {count ? sources[0].name : "spec", 1, 1};
    if (count == 0 || count > SPEC_FILES_MAX) {
        READ_ERROR(&reader, start, "%zu files; a spec is 1 file and at most %d overlays", count, SPEC_FILES_MAX - 1);
        return -1;
    }
    const struct tree_node *tree = read_trees(sources, count, arena, problems);
    if (tree && read_fields(&reader, &document_record, tree, &spec)) {
        const struct tree_node *body = tree_get(tree, "spec");
        spec.node = tree;
        spec.mark = body ? body->mark : tree->mark;
        spec_check(&spec, arena, problems);
    }
    if (arena_failed(arena))
        READ_ERROR(&reader, start, "the file needs more memory than a spec may");
    problems_sort(problems, sources, count);
    if (problems->errors > errors_before)
        return -1;
    *out = spec;
    return 0;
}
