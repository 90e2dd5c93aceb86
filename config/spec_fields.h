/* Maps of a spec as tables of fields: what keys there are, of which kind, and where their values go. One reader goes through
 * all of them, so that unknown keys, wrong types and bad forms are said in the same words everywhere. */
#ifndef ATOLL_CONFIG_SPEC_FIELDS_H
#define ATOLL_CONFIG_SPEC_FIELDS_H

#include "config/yaml_tree.h"

struct reader {
    struct arena *arena;
    struct spec_problems *problems;
};

struct field {
    const char *key;
    /* Reads `value` into record + offset; leaves what is there (the default) and says why when it can't. */
    void (*read)(struct reader *reader, const struct field *field, const struct tree_node *value, void *record);
    size_t offset, count_offset; /* count_offset: of lists and maps */
    bool required;
    int64_t min, max;                  /* of integers, sizes (bytes), durations (ms), counts of lists and maps */
    const char *(*check)(const char *); /* of texts, list items and a map's values: see spec_format.h */
    const char *(*check_key)(const char *); /* of a map's keys */
    const char *const *choices;        /* of FIELD_CHOICE: the words, ended by NULL */
    const struct record *record;       /* of FIELD_RECORD: the map within */
};

struct record {
    const char *what; /* for messages: "a zone" */
    const struct field *fields;
    size_t field_count;
};

#define RECORD(text, table) {.what = (text), .fields = (table), .field_count = sizeof(table) / sizeof *(table)}

/* Reads a map by its table into `out`, which holds the defaults. False when it is no map at all (which is said). */
bool read_record(struct reader *reader, const struct record *record, const struct tree_node *map, void *out);

/* Kinds */
void field_string(struct reader *, const struct field *, const struct tree_node *, void *);   /* const char * */
void field_quantity(struct reader *, const struct field *, const struct tree_node *, void *); /* the same; numbers too */
void field_choice(struct reader *, const struct field *, const struct tree_node *, void *);   /* int: which of them */
void field_word(struct reader *, const struct field *, const struct tree_node *, void *);     /* const char *, one of them */
void field_int(struct reader *, const struct field *, const struct tree_node *, void *);      /* int */
void field_int64(struct reader *, const struct field *, const struct tree_node *, void *);
void field_double(struct reader *, const struct field *, const struct tree_node *, void *);
void field_bool(struct reader *, const struct field *, const struct tree_node *, void *);
void field_size(struct reader *, const struct field *, const struct tree_node *, void *);     /* int64_t, bytes */
void field_duration(struct reader *, const struct field *, const struct tree_node *, void *); /* int64_t, ms */
void field_strings(struct reader *, const struct field *, const struct tree_node *, void *);  /* const char *const *, size_t */
void field_ints(struct reader *, const struct field *, const struct tree_node *, void *);     /* const int *, size_t */
void field_map(struct reader *, const struct field *, const struct tree_node *, void *);      /* struct key_value *, size_t */
void field_record(struct reader *, const struct field *, const struct tree_node *, void *);   /* read into the same record */

/* Says that `value` is of another type than "wants" (a whole phrase, like "a list of CIDRs"). */
void wrong_type(struct reader *reader, const struct tree_node *value, const char *wants);

/* A plain scalar as a boolean or a number; false when it is none (nothing is said). */
bool scalar_bool(const struct tree_node *node, bool *out);
bool scalar_number(const struct tree_node *node, double *out);

#define READ_ERROR(reader, mark, ...) problem_add((reader)->problems, (reader)->arena, SPEC_ERROR, (mark), __VA_ARGS__)

#endif
