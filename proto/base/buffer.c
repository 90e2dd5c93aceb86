/* A growing byte buffer with a bound: see buffer.h. */
#include "proto/base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_finish(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->data)
        buffer->data[0] = 0;
}

static int reserve(struct buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 4 ||
        (buffer->limit && (more > buffer->limit || buffer->length > buffer->limit - more)))
        return -1;
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity * 2 > need ? buffer->capacity * 2 : need;
    char *data = malloc(capacity); /* realloc() would leave the former content behind */
    if (!data)
        return -1;
    if (buffer->data) {
        memcpy(data, buffer->data, buffer->length + 1);
        explicit_bzero(buffer->data, buffer->capacity);
        free(buffer->data);
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    if (reserve(buffer, length))
        return -1;
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = 0;
    return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result = length < 0 ? -1 : reserve(buffer, (size_t)length);
    if (result == 0) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    return result;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    if (length >= buffer->length) {
        buffer_clear(buffer);
        return;
    }
    memmove(buffer->data, buffer->data + length, buffer->length - length + 1);
    buffer->length -= length;
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data ? buffer->data : "";
}
