/* Implementation of the shorthands in util.h. */
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int optime_compare(struct optime a, struct optime b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    if (a.secs != b.secs)
        return a.secs < b.secs ? -1 : 1;
    if (a.inc != b.inc)
        return a.inc < b.inc ? -1 : 1;
    return 0;
}

bool optime_is_null(struct optime t)
{
    return t.secs == 0 && t.inc == 0;
}

const char *code_name(int code, int major_version)
{
    switch (code) {
#define X(name, number, text, old_text)                                                                      \
    case number:                                                                                             \
        return major_version >= 5 ? text : old_text;
        SIM_CODES(X)
#undef X
    default:
        return "UnknownError";
    }
}

int fail(struct error *err, int code, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(err, ERROR_REFUSED, "%s", text);
    if (err)
        err->detail = code;
    return -1;
}

void put_timestamp(bson_t *b, const char *key, struct optime t)
{
    bson_append_timestamp(b, key, -1, t.secs, t.inc);
}

void put_optime(bson_t *b, const char *key, struct optime t)
{
    bson_t child;
    bson_append_document_begin(b, key, -1, &child);
    put_timestamp(&child, "ts", t);
    bson_append_int64(&child, "t", -1, t.term);
    bson_append_document_end(b, &child);
}

void put_host_optime_date(bson_t *b, const char *key, struct optime t)
{
    bson_append_date_time(b, key, -1, (int64_t)t.secs * 1000);
}

struct optime optime_of(const bson_t *b)
{
    struct optime t = OPTIME_NULL;
    bson_iter_t it;
    if (bson_iter_init_find(&it, b, "ts") && BSON_ITER_HOLDS_TIMESTAMP(&it))
        bson_iter_timestamp(&it, &t.secs, &t.inc);
    t.term = get_int(b, "t", -1);
    return t;
}

struct optime get_optime(const bson_t *b, const char *key)
{
    bson_t child;
    if (!get_document(b, key, &child))
        return OPTIME_NULL;
    return optime_of(&child);
}

bool iter_is_number(const bson_iter_t *it)
{
    return BSON_ITER_HOLDS_INT32(it) || BSON_ITER_HOLDS_INT64(it) || BSON_ITER_HOLDS_DOUBLE(it);
}

int64_t get_int(const bson_t *b, const char *key, int64_t otherwise)
{
    bson_iter_t it;
    if (!bson_iter_init_find(&it, b, key))
        return otherwise;
    if (BSON_ITER_HOLDS_DOUBLE(&it)) {
        double d = bson_iter_double(&it);
        return d >= -9e18 && d <= 9e18 ? (int64_t)d : otherwise;
    }
    return iter_is_number(&it) ? bson_iter_as_int64(&it) : otherwise;
}

bool get_bool(const bson_t *b, const char *key, bool otherwise)
{
    bson_iter_t it;
    return bson_iter_init_find(&it, b, key) ? bson_iter_as_bool(&it) : otherwise;
}

const char *get_text(const bson_t *b, const char *key, const char *otherwise)
{
    bson_iter_t it;
    if (bson_iter_init_find(&it, b, key) && BSON_ITER_HOLDS_UTF8(&it))
        return bson_iter_utf8(&it, NULL);
    return otherwise;
}

bool get_oid(const bson_t *b, const char *key, bson_oid_t *out)
{
    bson_iter_t it;
    if (!bson_iter_init_find(&it, b, key) || !BSON_ITER_HOLDS_OID(&it))
        return false;
    bson_oid_copy(bson_iter_oid(&it), out);
    return true;
}

bool iter_document(const bson_iter_t *it, bson_t *out)
{
    const uint8_t *data;
    uint32_t size;
    if (BSON_ITER_HOLDS_DOCUMENT(it))
        bson_iter_document(it, &size, &data);
    else if (BSON_ITER_HOLDS_ARRAY(it))
        bson_iter_array(it, &size, &data);
    else
        return false;
    return bson_init_static(out, data, size);
}

bool get_document(const bson_t *b, const char *key, bson_t *out)
{
    bson_iter_t it;
    return bson_iter_init_find(&it, b, key) && iter_document(&it, out);
}

uint32_t crc32_of(const void *data, size_t size)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++)
                c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            table[i] = c;
        }
    uint32_t crc = 0xFFFFFFFFu;
    for (const uint8_t *p = data; size--; p++)
        crc = table[(crc ^ *p) & 255] ^ (crc >> 8);
    return crc ^ 0xFFFFFFFFu;
}

int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_line(const char *component, const char *format, ...)
{
    int64_t now = wall_ms();
    time_t secs = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&secs, &tm);
    char stamp[40], text[2048];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%s.%03dZ I %-8s %s\n", stamp, (int)(now % 1000), component, text);
    fflush(stdout);
}

int host_split(const char *text, char *host, size_t host_size, int *port)
{
    const char *colon, *end;
    *port = 27017;
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (!end)
            return -1;
        text++;
        colon = end[1] == ':' ? end + 1 : NULL;
        if (!colon && end[1])
            return -1;
    } else {
        colon = strrchr(text, ':');
        end = colon ? colon : text + strlen(text);
    }
    if (end == text || (size_t)(end - text) >= host_size)
        return -1;
    if (colon) {
        char *rest;
        long value = strtol(colon + 1, &rest, 10);
        if (rest == colon + 1 || *rest || value < 1 || value > 65535)
            return -1;
        *port = (int)value;
    }
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = 0;
    return 0;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    p = realloc(p, size ? size : 1);
    if (!p)
        abort();
    return p;
}

char *xstrdup(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}
