/* The shape of a message's values, said once: a table of fields for each struct. Writing, reading with
 * bounds, copying and comparing follow from the table, so that no field can be forgotten in one of the four.
 * proto/ uses this, and controller/journal/; others call intent.h, report.h, model.h. */
#ifndef ATOLL_PROTO_RECORD_H
#define ATOLL_PROTO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/error.h"
#include "proto/base/json.h"

enum field_kind {
    FIELD_STRING,   /* const char *, at most `most` bytes */
    FIELD_SENTENCE, /* the same, for people: the writer cuts it and mends bad UTF-8 instead of sending what
                       can't be read */
    FIELD_INT,      /* int, within min..max */
    FIELD_INT64,
    FIELD_UINT32,
    FIELD_DOUBLE,
    FIELD_BOOL,
    FIELD_ENUM,     /* as its text */
    FIELD_RECORD,   /* a struct within the struct */
    FIELD_LIST,     /* pointer and count of structs */
    FIELD_STRINGS,  /* pointer and count of const char * */
    FIELD_MAP,      /* pointer and count of struct key_value, as an object */
    FIELD_SETTINGS, /* pointer and count of struct setting, as an object */
};

enum field_flag {
    FIELD_REQUIRED = 1, /* an error when absent (a string also when empty); always written */
    FIELD_VOLATILE = 2, /* changes all the time without being news */
    FIELD_STAMP = 4,    /* says which message this is, not what it says */
    FIELD_SECRET = 8,   /* left out by whoever writes for people's eyes */
};

/* One value of an enum; tables of them end with a NULL text. */
struct enum_text {
    int number;
    const char *text;
};

struct field {
    const char *key;
    enum field_kind kind;
    unsigned flags;
    size_t offset, count_offset;
    int64_t min, max;  /* of integers */
    int64_t fallback;  /* of numbers and enums: what an absent key means; such a number is not written, states
                          always are */
    size_t most;       /* bytes of a string, items of a list */
    const char *bound; /* the name of `most`, for messages */
    size_t text_most;  /* bytes of each string in a list or map */
    const char *text_bound;
    const struct record *record;
    const struct enum_text *texts;
};

struct record {
    size_t size;
    const struct field *fields;
    size_t field_count;
};

/* What an object without any key means. */
void record_defaults(const struct record *record, void *out);

/* Appends the JSON text of `value`, compact, without the fields that have one of the flags in `skip`, nor
 * those that have their fallback. Errors: the buffer's bound, memory; then nothing was appended. */
int record_print(const struct record *record, const void *value, unsigned skip, struct buffer *out,
                 struct error *err);

/* The same as a new tree, for those who add to it or look into it. NULL when memory is out. */
struct json *record_write(const struct record *record, const void *value, unsigned skip);

/* Reads strictly; errors name the path below `path` ("" is the root) and the bound that was passed. Unknown
 * keys are ignored. *out is written only on success; all that it refers to is in `arena`. */
int record_read(const struct record *record, const struct json *json, const char *path, struct arena *arena,
                void *out, struct error *err);

/* A deep copy. When the arena runs out (arena_failed()), lists are empty and strings "". */
void record_copy(const struct record *record, struct arena *arena, const void *from, void *to);

/* Equal but for the fields that have one of the flags in `skip`. */
bool record_equal(const struct record *record, const void *a, const void *b, unsigned skip);

/* The text of an enum's value, or NULL. */
const char *enum_text_of(const struct enum_text *texts, int number);

/* Access to a field's pointer or count whatever its type: through memcpy, because a `const struct x *` must
 * not be read as a `const void *` (strict aliasing). */
const void *field_pointer(const struct field *field, const void *value);
size_t field_count(const struct field *field, const void *value);
int64_t field_integer(const struct field *field, const void *value);
void field_set_list(const struct field *field, void *value, const void *items, size_t count);
void field_set_integer(const struct field *field, void *value, int64_t number);
size_t field_item_size(const struct field *field);

#endif
