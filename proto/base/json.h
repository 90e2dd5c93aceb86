/* JSON for the whole project; the only place that names its library. Values are trees owned by their root.
 *
 * Reading: json_parse() bounds size, depth and count. The json_read_* functions look a key up in an object
 * and are strict: a key that is there with another type is an error that names the key. An absent key (or
 * null) leaves the output as it is, unless `required`. Writing: json_object(), json_set_*(): a failed
 * allocation is remembered in the root and told by json_print(). */
#ifndef ATOLL_BASE_JSON_H
#define ATOLL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buffer.h"
#include "proto/base/error.h"

struct json; /* an object, array, string, number, boolean or null */

enum { JSON_DEPTH_MAX = 32 };

/* Parses `length` bytes (at most `limit` of them, nested at most JSON_DEPTH_MAX deep, at most half a million
 * values, with nothing but white space behind). Strings that hold a NUL or bad UTF-8 are refused, and so is a
 * key that comes twice. The caller destroys the result. NULL on error. */
struct json *json_parse(const char *text, size_t length, size_t limit, struct error *err);
void json_destroy(struct json *json);

/* Looking */
bool json_is_object(const struct json *json);
bool json_is_array(const struct json *json);
bool json_is_string(const struct json *json);
bool json_is_number(const struct json *json);
bool json_is_bool(const struct json *json);
const struct json *json_get(const struct json *object,
                            const char *key);   /* NULL when absent or not an object */
const char *json_key(const struct json *value); /* the key it stands under, or NULL */
const struct json *
json_first(const struct json *container); /* for (v = json_first(a); v; v = json_next(v)) */
const struct json *json_next(const struct json *value);
size_t json_count(const struct json *container);
const char *json_text(const struct json *value); /* the string, or NULL when it is none */
double json_number(const struct json *value);    /* the number, or 0 */
bool json_whole(const struct json *value,
                int64_t *out);             /* false, and nothing written, unless it is a whole number */
bool json_truth(const struct json *value); /* true only for true */
/* Shorthands for what is already known to be well-formed: the value under key, or the fallback. */
const char *json_get_text(const struct json *object, const char *key, const char *fallback);
int64_t json_get_int(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);

/* Strict reading: 0, or -1 with ERROR_INVALID naming the key. Integers must be whole and within min..max. */
enum json_need { JSON_OPTIONAL, JSON_REQUIRED };
int json_read_string(const struct json *object, const char *key, enum json_need need, struct arena *arena,
                     const char **out, struct error *err);
int json_read_int(const struct json *object, const char *key, enum json_need need, int64_t min, int64_t max,
                  int64_t *out, struct error *err);
int json_read_double(const struct json *object, const char *key, enum json_need need, double *out,
                     struct error *err);
int json_read_bool(const struct json *object, const char *key, enum json_need need, bool *out,
                   struct error *err);
/* The array or object under `key`; *out is NULL when it is absent. At most `most` children. */
int json_read_array(const struct json *object, const char *key, enum json_need need, size_t most,
                    const struct json **out, struct error *err);
int json_read_object(const struct json *object, const char *key, enum json_need need, const struct json **out,
                     struct error *err);

/* Building. json_set() and json_append() take ownership of `child` (NULL is tolerated and remembered as a
 * failure); json_set() replaces a value that is there. Strings with bytes that are no UTF-8 are printed with
 * U+FFFD in their place. */
struct json *json_object(void);
struct json *json_array(void);
struct json *json_string(const char *text);
struct json *json_int(int64_t value);                                            /* exact up to 2^53 */
struct json *json_set(struct json *object, const char *key, struct json *child); /* returns child */
struct json *json_append(struct json *array, struct json *child);                /* returns child */
void json_set_string(struct json *object, const char *key, const char *text);    /* NULL is written as "" */
void json_set_int(struct json *object, const char *key, int64_t value);          /* exact up to 2^53 */
void json_set_double(struct json *object, const char *key, double value);
void json_set_bool(struct json *object, const char *key, bool value);
void json_set_null(struct json *object, const char *key);
void json_set_time(struct json *object, const char *key, int64_t wall_ms); /* RFC 3339 UTC, or null for 0 */
struct json *json_copy(const struct json *json);

/* Appends the text, compact or indented by two spaces. -1 (ERROR_NO_MEMORY or ERROR_TOO_LARGE) when it can't.
 */
enum json_style { JSON_COMPACT, JSON_PRETTY };
int json_print(const struct json *json, enum json_style style, struct buffer *out, struct error *err);

#endif
