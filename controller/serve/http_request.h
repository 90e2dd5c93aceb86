/* The head of an HTTP/1.x request, from bytes to names and values (RFC 9112). Pure; strict, since the lenient
 * readings of the past are what request smuggling is made of. */
#ifndef ATOLL_CONTROLLER_SERVE_HTTP_REQUEST_H
#define ATOLL_CONTROLLER_SERVE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_MAX = 16384,
    HTTP_TARGET_MAX = 8192,
    HTTP_METHOD_MAX = 16,
    HTTP_HEADER_LINES_MAX = 64,
    HTTP_QUERY_MAX = 32
};

struct http_field {
    const char *name, *value;
};

struct http_fields {
    char text[HTTP_HEAD_MAX + 1]; /* what the pointers point into */
    const char *method, *path;
    struct http_field headers[HTTP_HEADER_LINES_MAX];
    size_t header_count;
    struct http_field query[HTTP_QUERY_MAX];
    size_t query_count;
    size_t head_length; /* bytes, with the empty line */
    uint64_t content_length;
    bool http_1_0, keep_alive, expects_continue, accepts_gzip;
};

/* Reads the head at the beginning of `data`: 1 when it is whole and good, 0 when more bytes are needed, else
 * minus the status that answers it, with a sentence in *why (a literal). */
int http_fields_parse(struct http_fields *fields, const char *data, size_t length, const char **why);

const char *http_fields_header(const struct http_fields *fields, const char *name);
const char *http_fields_query(const struct http_fields *fields, const char *name);

/* Whether a Host header's value is "localhost", a name below it, 127.0.0.0/8 or [::1], with or without a
 * port. */
bool http_host_is_loopback(const char *host);

#endif
