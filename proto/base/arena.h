/* An arena: memory for values that live and die together (one decision, one decoded message). Allocations are
 * zeroed and freed all at once. Running out is sticky: arena_alloc() gives NULL, arena_string() gives "", and
 * arena_failed() says so at the end, so that code that builds values need not check at each step but once. */
#ifndef ATOLL_BASE_ARENA_H
#define ATOLL_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used;  /* bytes given out so far, over all blocks */
    size_t limit; /* bytes that may be given out; 0 is no limit */
    bool failed;
};

/* An empty arena that gives out at most `limit` bytes (0: no limit). Allocates nothing yet. */
void arena_init(struct arena *arena, size_t limit);

/* Clears all, since messages carry secrets, and frees it; the arena is empty and usable again. */
void arena_finish(struct arena *arena);

/* `size` zeroed bytes, aligned for anything, or NULL when memory or the limit is reached. */
void *arena_alloc(struct arena *arena, size_t size);

/* Room for `count` things of `size` bytes; NULL when count is 0, on overflow, or when memory is out. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Copies of strings; `text` may be NULL, which copies as "". Never NULL. */
const char *arena_string(struct arena *arena, const char *text);
const char *arena_string_n(struct arena *arena, const char *text, size_t length);
const char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether any allocation since arena_init() failed. */
bool arena_failed(const struct arena *arena);

#endif
