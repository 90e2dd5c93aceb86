/* What the tests of config/ share: reading specs from texts and files, and asking what was said of them. */
#ifndef ATOLL_TESTS_SPEC_FIXTURE_H
#define ATOLL_TESTS_SPEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/spec_read.h"

struct reading {
    struct arena arena;
    struct spec spec;
    struct spec_problems problems;
    struct buffer said; /* all problems, one a line */
    int result;
};

/* Reads one text (or base and overlay) under the names "spec.yaml" and "overlay.yaml". reading_finish()
 * afterwards. */
void reading_init(struct reading *reading, const char *text);
void reading_init_good(struct reading *reading, const char *text); /* fails the test when it is refused */
void reading_init_overlay(struct reading *reading, const char *base, const char *overlay);
void reading_init_bytes(struct reading *reading, const char *text, size_t length, size_t arena_limit);
void reading_finish(struct reading *reading);

/* The whole file, NUL-terminated; the caller frees it. */
char *file_text(const char *path, size_t *length);

/* The three zones of the examples, with a member in each. */
extern const char three_zones[];

#endif
