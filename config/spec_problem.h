/* How the parts of config/ say what is wrong: with the place, what is wrong, and what would be right. */
#ifndef ATOLL_CONFIG_SPEC_PROBLEM_H
#define ATOLL_CONFIG_SPEC_PROBLEM_H

#include "config/spec_read.h"

/* Adds a problem. When the list is full an error takes the place of the last warning, or is only counted.
 * Always -1. */
int problem_add(struct spec_problems *problems, struct arena *arena, enum spec_severity severity,
                struct spec_mark mark, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Orders by file (in the order of `sources`), line and column. */
void problems_sort(struct spec_problems *problems, const struct spec_source *sources, size_t count);

/* The one of `words` that somebody who wrote `word` may have meant, or NULL. */
const char *problem_suggest(const char *word, const char *const *words, size_t count);

/* Up to 60 bytes of a text that a user wrote, control characters replaced, for a message. */
const char *problem_quote(struct arena *arena, const char *text);

#endif
