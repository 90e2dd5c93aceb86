/* The text of JSON, apart from trees: what is let through to the parser, and how values are written. Used by
 * json.c, and by who writes messages without a tree (proto/record_print.c). */
#ifndef ATOLL_BASE_JSON_TEXT_H
#define ATOLL_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buffer.h"
#include "proto/base/error.h"

enum { JSON_COUNT_MAX = 500000 }; /* values and keys in one text */

/* Checks all but the order of tokens: depth, count, characters, strings (escapes, UTF-8, no NUL), numbers
 * (RFC 8259). */
int json_scan(const char *text, size_t length, struct error *err);

/* ERROR_INVALID with line and column of the byte `at`. Returns -1. */
int json_error_at(const char *text, size_t at, struct error *err, const char *what);

struct json_printer {
    struct buffer *out;
    bool pretty;
    bool full, incomplete, too_deep; /* what went wrong; looked at once, at the end */
};

void json_print_raw(struct json_printer *printer, const char *text);
void json_print_line(struct json_printer *printer, int depth); /* a new, indented line when pretty */
void json_print_text(struct json_printer *printer,
                     const char *text); /* bytes that are no UTF-8 become U+FFFD */
void json_print_number(struct json_printer *printer,
                       double number); /* whole ones without exponent; NaN as null */

#endif
