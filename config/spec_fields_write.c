/* Writing values by tables of fields: see spec_fields.h. What is written is what the reader of the same kind
 * reads. */
#include <string.h>

#include "config/spec_fields.h"
#include "config/spec_format.h"

static const void *at(const void *record, size_t offset)
{
    return (const char *)record + offset;
}

static void write_text(const struct field *field, const char *text, const char *fallback, bool whole,
                       struct json *out)
{
    if (whole || strcmp(text, fallback) != 0)
        json_set_string(out, field->key, text);
}

void write_string(const struct field *field, const void *record, const void *defaults, bool whole,
                  struct json *out)
{
    write_text(field, *(const char *const *)at(record, field->offset),
               *(const char *const *)at(defaults, field->offset), whole, out);
}

void write_quantity(const struct field *field, const void *record, const void *defaults, bool whole,
                    struct json *out)
{
    write_string(field, record, defaults, whole, out);
}

void write_word(const struct field *field, const void *record, const void *defaults, bool whole,
                struct json *out)
{
    write_string(field, record, defaults, whole, out);
}

void write_choice(const struct field *field, const void *record, const void *defaults, bool whole,
                  struct json *out)
{
    write_text(field, field->choices[*(const int *)at(record, field->offset)],
               field->choices[*(const int *)at(defaults, field->offset)], whole, out);
}

void write_constant(const struct field *field, const void *record, const void *defaults, bool whole,
                    struct json *out)
{
    (void)record, (void)defaults, (void)whole;
    json_set_string(out, field->key, field->choices[0]);
}

void write_int(const struct field *field, const void *record, const void *defaults, bool whole,
               struct json *out)
{
    int value = *(const int *)at(record, field->offset);
    if (whole || value != *(const int *)at(defaults, field->offset))
        json_set_int(out, field->key, value);
}

void write_int64(const struct field *field, const void *record, const void *defaults, bool whole,
                 struct json *out)
{
    int64_t value = *(const int64_t *)at(record, field->offset);
    if (whole || value != *(const int64_t *)at(defaults, field->offset))
        json_set_int(out, field->key, value);
}

void write_double(const struct field *field, const void *record, const void *defaults, bool whole,
                  struct json *out)
{
    double value = *(const double *)at(record, field->offset);
    if (whole || value != *(const double *)at(defaults, field->offset))
        json_set_double(out, field->key, value);
}

void write_bool(const struct field *field, const void *record, const void *defaults, bool whole,
                struct json *out)
{
    bool value = *(const bool *)at(record, field->offset);
    if (whole || value != *(const bool *)at(defaults, field->offset))
        json_set_bool(out, field->key, value);
}

static void write_amount(const struct field *field, const void *record, const void *defaults, bool whole,
                         void (*print)(int64_t, struct buffer *), struct json *out)
{
    int64_t value = *(const int64_t *)at(record, field->offset);
    if (!whole && value == *(const int64_t *)at(defaults, field->offset))
        return;
    struct buffer text;
    buffer_init(&text, 0);
    print(value, &text);
    json_set(out, field->key, text.length ? json_string(buffer_text(&text)) : NULL);
    buffer_finish(&text);
}

void write_size(const struct field *field, const void *record, const void *defaults, bool whole,
                struct json *out)
{
    write_amount(field, record, defaults, whole, print_size, out);
}

void write_duration(const struct field *field, const void *record, const void *defaults, bool whole,
                    struct json *out)
{
    write_amount(field, record, defaults, whole, print_duration, out);
}

void write_strings(const struct field *field, const void *record, const void *defaults, bool whole,
                   struct json *out)
{
    (void)defaults;
    const char *const *items = *(const char *const *const *)at(record, field->offset);
    size_t count = *(const size_t *)at(record, field->count_offset);
    if (!whole && count == 0)
        return;
    struct json *array = json_set(out, field->key, json_array());
    for (size_t i = 0; i < count; i++)
        json_append(array, json_string(items[i]));
}

void write_ints(const struct field *field, const void *record, const void *defaults, bool whole,
                struct json *out)
{
    (void)defaults;
    const int *items = *(const int *const *)at(record, field->offset);
    size_t count = *(const size_t *)at(record, field->count_offset);
    if (!whole && count == 0)
        return;
    struct json *array = json_set(out, field->key, json_array());
    for (size_t i = 0; i < count; i++)
        json_append(array, json_int(items[i]));
}

void write_map(const struct field *field, const void *record, const void *defaults, bool whole,
               struct json *out)
{
    (void)defaults;
    const struct key_value *items = *(const struct key_value *const *)at(record, field->offset);
    size_t count = *(const size_t *)at(record, field->count_offset);
    if (!whole && count == 0)
        return;
    struct json *object = json_set(out, field->key, json_object());
    for (size_t i = 0; i < count && object; i++)
        json_set_string(object, items[i].key, items[i].value);
}

/* A map within the map; left away when it would be empty. */
void write_record(const struct field *field, const void *record, const void *defaults, bool whole,
                  struct json *out)
{
    struct json *object = json_object();
    if (object)
        write_fields(field->record, record, defaults, whole, object);
    if (object && json_count(object) == 0 && !field->required)
        json_destroy(object);
    else
        json_set(out, field->key, object);
}

void write_fields(const struct record *record, const void *value, const void *defaults, bool whole,
                  struct json *out)
{
    for (size_t i = 0; i < record->field_count; i++)
        record->fields[i].kind->write(&record->fields[i], value, defaults, whole, out);
}
