/* Which characters of text from outside may be shown as they are: those that a terminal shows, not those that
 * it obeys. Pure. */
#ifndef ATOLL_BASE_PRINTABLE_H
#define ATOLL_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point that `text` begins with and its length in bytes; 0 when it is no UTF-8 (RFC 3629). */
size_t printable_point(const unsigned char *text, uint32_t *out);

/* Whether it is a control character (C0, DEL, C1), a line of its own (U+2028, U+2029), or turns the direction
 * of writing, by which a text looks like another one (https://trojansource.codes). */
bool printable_is_not(uint32_t point);

#endif
