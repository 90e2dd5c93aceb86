/* Maps of a spec as tables of fields: what keys there are, of which kind, and where their values go. One
 * reader goes through all of them, so that unknown keys, wrong types and bad forms are said in the same words
 * everywhere. */
#ifndef ATOLL_CONFIG_SPEC_FIELDS_H
#define ATOLL_CONFIG_SPEC_FIELDS_H

#include "config/spec_problem.h"
#include "config/yaml_tree.h"
#include "proto/base/json.h"

struct reader {
    struct arena *arena;
    struct spec_problems *problems;
};

struct field;

/* What can be done with a field of a kind. */
struct field_kind {
    /* Reads `value` into record + offset; leaves what is there (the default) and says why when it can't. */
    void (*read)(struct reader *reader, const struct field *field, const struct tree_node *value,
                 void *record);
    /* Sets the field in `out`, unless it is as in `defaults` and not everything (`whole`) is asked for. */
    void (*write)(const struct field *field, const void *record, const void *defaults, bool whole,
                  struct json *out);
};

struct field {
    const char *key;
    const struct field_kind *kind;
    size_t offset, count_offset; /* count_offset: of lists and maps */
    bool required;
    int64_t min, max;                       /* of integers, sizes (bytes), counts of lists and maps */
    const char *(*check)(const char *);     /* of texts, list items and a map's values: see spec_format.h */
    const char *(*check_key)(const char *); /* of a map's keys */
    const char *const *choices;             /* of choices: the words, ended by NULL */
    const struct record *record;            /* the map within, or the maps of a list */
};

struct record {
    const char *what; /* for messages: "a zone" */
    const struct field *fields;
    size_t field_count;
};

#define RECORD(text, table)                                                                                  \
    {                                                                                                        \
        .what = (text), .fields = (table), .field_count = sizeof(table) / sizeof *(table)                    \
    }

/* name, and what it fills; in spec_fields_read.c and spec_fields_write.c */
#define FIELD_KINDS(X)                                                                                       \
    X(string)   /* const char * */                                                                           \
    X(quantity) /* const char *, also when written as a number */                                            \
    X(choice)   /* int: which of the words */                                                                \
    X(word)     /* const char *: one of the words */                                                         \
    X(constant) /* nothing: must be the one word */                                                          \
    X(int)      /* int */                                                                                    \
    X(int64)    /* int64_t */                                                                                \
    X(double)   /* double */                                                                                 \
    X(bool)     /* bool */                                                                                   \
    X(size)     /* int64_t, bytes */                                                                         \
    X(duration) /* int64_t, ms */                                                                            \
    X(strings)  /* const char *const *, size_t */                                                            \
    X(ints)     /* const int *, size_t */                                                                    \
    X(map)      /* const struct key_value *, size_t */                                                       \
    X(record)   /* its fields are those of the same struct */

#define X(name)                                                                                              \
    extern const struct field_kind kind_##name;                                                              \
    void read_##name(struct reader *, const struct field *, const struct tree_node *, void *);               \
    void write_##name(const struct field *, const void *, const void *, bool, struct json *);
FIELD_KINDS(X)
#undef X

/* Reads a map by its table into `out`, which holds the defaults. False when it is no map at all (which is
 * said). */
bool read_fields(struct reader *reader, const struct record *record, const struct tree_node *map, void *out);

/* Sets the fields of `value` in `out`. */
void write_fields(const struct record *record, const void *value, const void *defaults, bool whole,
                  struct json *out);

/* The tables of all keys of a spec, in spec_tables.c. */
extern const struct record document_record;

/* The whole spec as a new JSON object, which the caller destroys: what differs from the defaults, or
 * (`whole`) all. */
struct json *spec_to_json(const struct spec *spec, bool whole);

/* Says that `value` is of another type than "wants" (a whole phrase, like "a list of CIDRs"). */
void wrong_type(struct reader *reader, const struct tree_node *value, const char *wants);

/* A plain scalar as a boolean or a number; false when it is none (nothing is said). */
bool scalar_bool(const struct tree_node *node, bool *out);
bool scalar_number(const struct tree_node *node, double *out);

#define READ_ERROR(reader, mark, ...)                                                                        \
    problem_add((reader)->problems, (reader)->arena, SPEC_ERROR, (mark), __VA_ARGS__)

#endif
