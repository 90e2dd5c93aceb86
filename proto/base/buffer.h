/* A growing byte buffer with a bound; always followed by a zero byte, so that it can be read as a string. */
#ifndef ATOLL_BASE_BUFFER_H
#define ATOLL_BASE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data; /* NULL while empty and never grown; use buffer_text() to read it as a string */
    size_t length, capacity;
    size_t limit; /* bytes it may hold; 0 is no limit */
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_finish(struct buffer *buffer); /* clears it first: it may have held a secret */

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Append; -1 when memory or the limit is reached, and then nothing was appended. */
int buffer_append(struct buffer *buffer, const void *data, size_t length);
int buffer_append_text(struct buffer *buffer, const char *text);
int buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first `length` bytes. */
void buffer_consume(struct buffer *buffer, size_t length);

/* The content as a string; "" when empty. Valid until the next change. */
const char *buffer_text(const struct buffer *buffer);

#endif
