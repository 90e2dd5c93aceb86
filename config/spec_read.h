/* Reading, checking, merging and writing specs. The way of a file: text -> (overlays merged key by key) ->
 * values -> rules between fields. All errors of a file are collected, each with its place; nothing is used
 * from a file with an error. */
#ifndef ATOLL_CONFIG_SPEC_READ_H
#define ATOLL_CONFIG_SPEC_READ_H

#include "config/spec.h"
#include "proto/base/buffer.h"

enum { SPEC_ARENA_BYTES = 96 << 20 /* enough for whatever is within the other bounds */ };
enum {
    SPEC_PROBLEMS_MAX = 100,
    SPEC_DEPTH_MAX = 24,
    SPEC_NODES_MAX = 200000,
    SPEC_SCALAR_MAX = 16384,
    SPEC_FILES_MAX = 16
};

enum spec_severity { SPEC_ERROR, SPEC_WARNING };

struct spec_problem {
    enum spec_severity severity;
    struct spec_mark mark;
    const char *message; /* what is wrong, and what would be right */
};

struct spec_problems {
    struct spec_problem items[SPEC_PROBLEMS_MAX];
    size_t count;
    size_t errors; /* may be more than are kept in `items` */
};

struct spec_source {
    const char *name; /* for messages: the file's name, or "request body" */
    const char *text;
    size_t length;
};

/* Reads YAML (of which JSON is a part), later sources as overlays of earlier ones: maps key by key, list
 * items by `name` (members by `ordinal`, or by their place where none is written), other lists replaced
 * whole. Fills in defaults and checks the rules between fields. 0 when there is no error (warnings may be
 * there); else -1, *out untouched and `problems` says why. `arena` should be bounded (SPEC_ARENA_BYTES);
 * values, marks and problems live in it, but for the names of the sources, which the caller keeps as long.
 * What is accepted can be read again after spec_write(). */
int spec_read(const struct spec_source *sources, size_t count, struct arena *arena, struct spec *out,
              struct spec_problems *problems);

/* Rules between an applied spec and the one before it: nothing leaves by being forgotten, no ordinal changes
 * its zone, no storage shrinks. -1 and problems (which say what to write instead) when it is refused.
 * `before` may be NULL. */
int spec_check_change(const struct spec *before, const struct spec *after, struct arena *arena,
                      struct spec_problems *problems);

/* "FILE:LINE:COLUMN: error: message" */
void spec_problem_print(const struct spec_problem *problem, struct buffer *out);

enum spec_format { SPEC_YAML, SPEC_JSON };
/* Appends the whole spec, only what differs from the defaults; spec_read() of it gives equal values. */
int spec_write(const struct spec *spec, enum spec_format format, struct buffer *out, struct error *err);

/* What changed, a line each, like "set mongo: member 3: zone europe-west1-d added"; for `atoll diff`. The
 * number of lines. */
size_t spec_diff(const struct spec *before, const struct spec *after, struct buffer *out);

#endif
