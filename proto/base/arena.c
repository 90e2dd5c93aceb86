/* An arena of growing blocks: see arena.h. */
#include "proto/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_MIN = 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

void arena_finish(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        explicit_bzero(arena->blocks->bytes, arena->blocks->used);
        free(arena->blocks);
        arena->blocks = next;
    }
    arena_init(arena, arena->limit);
}

static void *fail(struct arena *arena)
{
    arena->failed = true;
    return NULL;
}

static struct arena_block *add_block(struct arena *arena, size_t least)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : ARENA_BLOCK_MIN;
    if (size < least)
        size = least;
    struct arena_block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    *block = (struct arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 4)
        return fail(arena);
    size = (size + align - 1) / align * align;
    if (arena->limit && (size > arena->limit || arena->used > arena->limit - size))
        return fail(arena);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size)
        block = add_block(arena, size);
    if (!block)
        return fail(arena);
    void *memory = block->bytes + block->used;
    block->used += size;
    arena->used += size;
    return memset(memory, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    if (size && count > SIZE_MAX / size)
        return fail(arena);
    return arena_alloc(arena, count * size);
}

const char *arena_string_n(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (!copy)
        return "";
    memcpy(copy, text, length);
    return copy;
}

const char *arena_string(struct arena *arena, const char *text)
{
    return text && *text ? arena_string_n(arena, text, strlen(text)) : "";
}

const char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text ? text : "";
}

bool arena_failed(const struct arena *arena)
{
    return arena->failed;
}
