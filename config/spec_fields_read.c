/* Reading maps by tables of fields, and fields by their kinds: see spec_fields.h. */
#include "config/spec_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/spec_format.h"

enum { FIELDS_MAX = 32 };

#define X(name) const struct field_kind kind_##name = {read_##name, write_##name};
FIELD_KINDS(X)
#undef X

static void *at(void *record, size_t offset)
{
    return (char *)record + offset;
}

const char *tree_kind_name(const struct tree_node *node)
{
    double number;
    bool truth;
    if (node->kind == TREE_MAP)
        return "a map";
    if (node->kind == TREE_LIST)
        return "a list";
    if (tree_is_null(node))
        return "nothing";
    if (scalar_bool(node, &truth))
        return "true or false";
    return scalar_number(node, &number) ? "a number" : "a text";
}

bool scalar_bool(const struct tree_node *node, bool *out)
{
    static const char *const words[] = {"false", "true", "False", "True", "FALSE", "TRUE"};
    for (size_t i = 0; node->kind == TREE_SCALAR && node->plain && i < 6; i++)
        if (strcmp(node->text, words[i]) == 0) {
            *out = i % 2;
            return true;
        }
    return false;
}

bool scalar_number(const struct tree_node *node, double *out)
{
    return node->kind == TREE_SCALAR && node->plain && parse_number(node->text, out);
}

void wrong_type(struct reader *reader, const struct tree_node *value, const char *wants)
{
    const char *key = *value->key ? value->key : "an entry";
    if (tree_is_null(value))
        READ_ERROR(reader, value->mark, "%s has no value; it must be %s, or be left away",
                   problem_quote(reader->arena, key), wants);
    else
        READ_ERROR(reader, value->mark, "%s must be %s, not %s", problem_quote(reader->arena, key), wants,
                   tree_kind_name(value));
}

/* ---- texts ---- */

/* A text, not what YAML takes for a number, a boolean or nothing: `name: 1` is written `name: "1"`. */
static const char *text_of(struct reader *reader, const struct tree_node *value)
{
    double number;
    bool truth;
    if (value->kind != TREE_SCALAR || tree_is_null(value)) {
        wrong_type(reader, value, "a text");
        return NULL;
    }
    if (scalar_bool(value, &truth) || scalar_number(value, &number)) {
        READ_ERROR(reader, value->mark, "%s must be a text, not %s; put it in quotes: \"%s\"",
                   *value->key ? problem_quote(reader->arena, value->key) : "an entry", tree_kind_name(value),
                   problem_quote(reader->arena, value->text));
        return NULL;
    }
    return value->text;
}

static bool checked(struct reader *reader, const struct field *field, const struct tree_node *value,
                    const char *text)
{
    const char *wants = field->check ? field->check(text) : NULL;
    if (!wants)
        return true;
    READ_ERROR(reader, value->mark, "%s \"%s\" must be %s",
               *value->key ? problem_quote(reader->arena, value->key) : field->key,
               problem_quote(reader->arena, text), wants);
    return false;
}

void read_string(struct reader *reader, const struct field *field, const struct tree_node *value,
                 void *record)
{
    const char *text = text_of(reader, value);
    if (text && checked(reader, field, value, text))
        *(const char **)at(record, field->offset) = text;
}

void read_quantity(struct reader *reader, const struct field *field, const struct tree_node *value,
                   void *record)
{
    bool truth;
    if (value->kind != TREE_SCALAR || tree_is_null(value) || scalar_bool(value, &truth)) {
        wrong_type(reader, value, "an amount");
        return;
    }
    if (checked(reader, field, value, value->text))
        *(const char **)at(record, field->offset) = value->text;
}

static int choose(struct reader *reader, const struct field *field, const struct tree_node *value)
{
    const char *text = text_of(reader, value);
    char all[200] = "";
    size_t length = 0, count = 0;
    if (!text)
        return -1;
    for (; field->choices[count]; count++) {
        if (strcmp(field->choices[count], text) == 0)
            return (int)count;
        const char *between = count == 0 ? "" : field->choices[count + 1] ? ", " : " or ";
        length += (size_t)snprintf(all + length, sizeof all - length, "%s%s", between, field->choices[count]);
    }
    READ_ERROR(reader, value->mark, "%s \"%s\" must be %s", field->key, problem_quote(reader->arena, text),
               all);
    return -1;
}

void read_choice(struct reader *reader, const struct field *field, const struct tree_node *value,
                 void *record)
{
    int which = choose(reader, field, value);
    if (which >= 0)
        *(int *)at(record, field->offset) = which;
}

void read_word(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    int which = choose(reader, field, value);
    if (which >= 0)
        *(const char **)at(record, field->offset) = field->choices[which];
}

/* A word that must be this one; it is looked at and not kept. */
void read_constant(struct reader *reader, const struct field *field, const struct tree_node *value,
                   void *record)
{
    (void)record;
    choose(reader, field, value);
}

/* ---- numbers ---- */

static bool whole_number(struct reader *reader, const struct field *field, const struct tree_node *value,
                         int64_t *out)
{
    double number;
    if (!scalar_number(value, &number)) {
        wrong_type(reader, value, "a whole number");
        return false;
    }
    if (number != floor(number) || number < (double)field->min || number > (double)field->max) {
        READ_ERROR(reader, value->mark, "%s %s must be a whole number from %" PRId64 " to %" PRId64,
                   field->key, problem_quote(reader->arena, value->text), field->min, field->max);
        return false;
    }
    *out = (int64_t)number;
    return true;
}

void read_int64(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    int64_t number;
    if (whole_number(reader, field, value, &number))
        *(int64_t *)at(record, field->offset) = number;
}

void read_int(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    int64_t number;
    if (whole_number(reader, field, value, &number))
        *(int *)at(record, field->offset) = (int)number;
}

void read_double(struct reader *reader, const struct field *field, const struct tree_node *value,
                 void *record)
{
    double number;
    if (!scalar_number(value, &number))
        wrong_type(reader, value, "a number");
    else if (number < (double)field->min || number > (double)field->max)
        READ_ERROR(reader, value->mark, "%s %s must be a number from %" PRId64 " to %" PRId64, field->key,
                   problem_quote(reader->arena, value->text), field->min, field->max);
    else
        *(double *)at(record, field->offset) = number;
}

/* YAML 1.1 has these for true and false too, and people write `tls: off`. Only a field that is a truth takes
 * them: elsewhere they are texts. */
static bool is_old_word(const struct tree_node *node, bool *out)
{
    static const char *const words[] = {"off", "no", "on", "yes"};
    for (size_t i = 0; node->kind == TREE_SCALAR && node->plain && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(node->text, words[i]) == 0) {
            *out = i >= 2;
            return true;
        }
    return false;
}

void read_bool(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    bool truth;
    if (scalar_bool(value, &truth) || is_old_word(value, &truth))
        *(bool *)at(record, field->offset) = truth;
    else
        wrong_type(reader, value, "true or false");
}

void read_size(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    int64_t bytes;
    if (value->kind != TREE_SCALAR || tree_is_null(value)) {
        wrong_type(reader, value, "a size like 200Gi");
    } else if (!parse_size(value->text, &bytes)) {
        READ_ERROR(reader, value->mark,
                   "%s \"%s\" must be a size like 200Gi (k, M, G, T, P, Ki, Mi, Gi, Ti, Pi)", field->key,
                   problem_quote(reader->arena, value->text));
    } else if (bytes < field->min || bytes > field->max) {
        struct buffer low, high;
        buffer_init(&low, 0);
        buffer_init(&high, 0);
        print_size(field->min, &low);
        print_size(field->max, &high);
        READ_ERROR(reader, value->mark, "%s %s must be from %s to %s", field->key,
                   problem_quote(reader->arena, value->text), buffer_text(&low), buffer_text(&high));
        buffer_finish(&low);
        buffer_finish(&high);
    } else {
        *(int64_t *)at(record, field->offset) = bytes;
    }
}

void read_duration(struct reader *reader, const struct field *field, const struct tree_node *value,
                   void *record)
{
    int64_t ms;
    if (value->kind != TREE_SCALAR || tree_is_null(value))
        wrong_type(reader, value, "a duration like 90s or 1h30m");
    else if (!parse_duration(value->text, &ms))
        READ_ERROR(reader, value->mark,
                   "%s \"%s\" must be a duration like 500ms, 90s, 1h30m or 7d (with its unit; at most 366d)",
                   field->key, problem_quote(reader->arena, value->text));
    else
        *(int64_t *)at(record, field->offset) = ms;
}

/* ---- lists and maps ---- */

static bool is_list(struct reader *reader, const struct field *field, const struct tree_node *value)
{
    if (value->kind != TREE_LIST) {
        wrong_type(reader, value, "a list");
        return false;
    }
    if ((int64_t)value->count <= field->max)
        return true;
    READ_ERROR(reader, value->mark, "%s has %zu entries; at most %" PRId64 " are allowed", field->key,
               value->count, field->max);
    return false;
}

void read_strings(struct reader *reader, const struct field *field, const struct tree_node *value,
                  void *record)
{
    if (!is_list(reader, field, value))
        return;
    const char **items = arena_array(reader->arena, value->count, sizeof *items);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && items; item = item->next) {
        const char *text = text_of(reader, item);
        if (text && checked(reader, field, item, text))
            items[count++] = text;
    }
    *(const char *const **)at(record, field->offset) = items;
    *(size_t *)at(record, field->count_offset) = count;
}

void read_ints(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    if (!is_list(reader, field, value))
        return;
    int *items = arena_array(reader->arena, value->count, sizeof *items);
    size_t count = 0;
    struct field item_field = {.key = field->key, .min = field->min, .max = INT32_MAX};
    for (const struct tree_node *item = value->first; item && items; item = item->next) {
        int64_t number;
        if (whole_number(reader, &item_field, item, &number))
            items[count++] = (int)number;
    }
    *(const int **)at(record, field->offset) = items;
    *(size_t *)at(record, field->count_offset) = count;
}

void read_map(struct reader *reader, const struct field *field, const struct tree_node *value, void *record)
{
    if (value->kind != TREE_MAP) {
        wrong_type(reader, value, "a map of texts");
        return;
    }
    if ((int64_t)value->count > field->max) {
        READ_ERROR(reader, value->mark, "%s has %zu entries; at most %" PRId64 " are allowed", field->key,
                   value->count, field->max);
        return;
    }
    struct key_value *items = arena_array(reader->arena, value->count, sizeof *items);
    size_t count = 0;
    for (const struct tree_node *item = value->first; item && items; item = item->next) {
        const char *wants = field->check_key ? field->check_key(item->key) : NULL;
        const char *text = text_of(reader, item);
        if (wants)
            READ_ERROR(reader, item->key_mark, "the key \"%s\" of %s must be %s",
                       problem_quote(reader->arena, item->key), field->key, wants);
        if (text && checked(reader, field, item, text) && !wants)
            items[count++] = (struct key_value){item->key, text};
    }
    *(const struct key_value **)at(record, field->offset) = items;
    *(size_t *)at(record, field->count_offset) = count;
}

void read_record(struct reader *reader, const struct field *field, const struct tree_node *value,
                 void *record)
{
    read_fields(reader, field->record, value, record);
}

static void unknown_key(struct reader *reader, const struct record *record, const struct tree_node *value)
{
    const char *keys[FIELDS_MAX];
    size_t count = 0;
    for (; count < record->field_count && count < FIELDS_MAX; count++)
        keys[count] = record->fields[count].key;
    const char *meant = problem_suggest(value->key, keys, count);
    const char *key = problem_quote(reader->arena, value->key);
    if (meant)
        READ_ERROR(reader, value->key_mark, "unknown key \"%s\" in %s; did you mean \"%s\"?", key,
                   record->what, meant);
    else if (strcmp(value->key, "<<") == 0)
        READ_ERROR(reader, value->key_mark,
                   "YAML's merge key (<<) is not supported; use an overlay file, or write it out");
    else {
        char all[400] = "";
        size_t length = 0;
        for (size_t i = 0; i < count && length < sizeof all; i++)
            length += (size_t)snprintf(all + length, sizeof all - length, "%s%s", i ? ", " : "", keys[i]);
        READ_ERROR(reader, value->key_mark, "unknown key \"%s\" in %s; it can have %s", key, record->what,
                   all);
    }
}

bool read_fields(struct reader *reader, const struct record *record, const struct tree_node *map, void *out)
{
    if (map->kind != TREE_MAP) {
        wrong_type(reader, map, "a map");
        return false;
    }
    for (const struct tree_node *value = map->first; value; value = value->next) {
        size_t i = 0;
        while (i < record->field_count && strcmp(record->fields[i].key, value->key) != 0)
            i++;
        if (i == record->field_count)
            unknown_key(reader, record, value);
        else
            record->fields[i].kind->read(reader, &record->fields[i], value, out);
    }
    for (size_t i = 0; i < record->field_count; i++)
        if (record->fields[i].required && !tree_get(map, record->fields[i].key))
            READ_ERROR(reader, map->mark, "%s has no \"%s\"", record->what, record->fields[i].key);
    return true;
}
