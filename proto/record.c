/* Records as values: fallbacks, deep copies, comparison; see record.h. Their JSON form is in record_json.c.
 */
#include "proto/record.h"

#include <assert.h>
#include <string.h>

#include "proto/model.h"

static const void *at(const void *value, size_t offset)
{
    return (const char *)value + offset;
}

static void *at_mutable(void *value, size_t offset)
{
    return (char *)value + offset;
}

const void *field_pointer(const struct field *field, const void *value)
{
    const void *pointer;
    memcpy(&pointer, at(value, field->offset), sizeof pointer);
    return pointer;
}

size_t field_count(const struct field *field, const void *value)
{
    size_t count;
    memcpy(&count, at(value, field->count_offset), sizeof count);
    return count;
}

void field_set_list(const struct field *field, void *value, const void *items, size_t count)
{
    memcpy(at_mutable(value, field->offset), &items, sizeof items);
    memcpy(at_mutable(value, field->count_offset), &count, sizeof count);
}

static void set_string(const struct field *field, void *value, const char *text)
{
    memcpy(at_mutable(value, field->offset), &text, sizeof text);
}

int64_t field_integer(const struct field *field, const void *value)
{
    const void *place = at(value, field->offset);
    switch (field->kind) {
    case FIELD_INT64:
        return *(const int64_t *)place;
    case FIELD_UINT32:
        return *(const uint32_t *)place;
    case FIELD_BOOL:
        return *(const bool *)place;
    default: { /* int, and enums, which have its size but may be unsigned */
        int number;
        memcpy(&number, place, sizeof number);
        return number;
    }
    }
}

void field_set_integer(const struct field *field, void *value, int64_t number)
{
    void *place = at_mutable(value, field->offset);
    switch (field->kind) {
    case FIELD_INT64:
        *(int64_t *)place = number;
        break;
    case FIELD_UINT32:
        *(uint32_t *)place = (uint32_t)number;
        break;
    case FIELD_BOOL:
        *(bool *)place = number != 0;
        break;
    default: {
        int small = (int)number;
        memcpy(place, &small, sizeof small);
    }
    }
}

size_t field_item_size(const struct field *field)
{
    switch (field->kind) {
    case FIELD_LIST:
        return field->record->size;
    case FIELD_STRINGS:
        return sizeof(const char *);
    case FIELD_MAP:
        return sizeof(struct key_value);
    case FIELD_SETTINGS:
        return sizeof(struct setting);
    default:
        assert(!"not a list");
        return 0;
    }
}

const char *enum_text_of(const struct enum_text *texts, int number)
{
    for (; texts->text; texts++)
        if (texts->number == number)
            return texts->text;
    return NULL;
}

void record_defaults(const struct record *record, void *out)
{
    memset(out, 0, record->size);
    for (const struct field *field = record->fields; field < record->fields + record->field_count; field++) {
        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_SENTENCE:
            set_string(field, out, "");
            break;
        case FIELD_INT:
        case FIELD_INT64:
        case FIELD_UINT32:
        case FIELD_BOOL:
        case FIELD_ENUM:
            field_set_integer(field, out, field->fallback);
            break;
        case FIELD_DOUBLE:
            *(double *)at_mutable(out, field->offset) = (double)field->fallback;
            break;
        case FIELD_RECORD:
            record_defaults(field->record, at_mutable(out, field->offset));
            break;
        case FIELD_LIST:
        case FIELD_STRINGS:
        case FIELD_MAP:
        case FIELD_SETTINGS:
            break; /* empty */
        }
    }
}

/* ---- copies ---- */

static void copy_item(const struct field *field, struct arena *arena, const void *from, void *to)
{
    switch (field->kind) {
    case FIELD_LIST:
        record_copy(field->record, arena, from, to);
        break;
    case FIELD_STRINGS:
        *(const char **)to = arena_string(arena, *(const char *const *)from);
        break;
    case FIELD_MAP: {
        const struct key_value *pair = from;
        *(struct key_value *)to = (struct key_value){.key = arena_string(arena, pair->key),
                                                     .value = arena_string(arena, pair->value)};
        break;
    }
    default: {
        struct setting *setting = to;
        *setting = *(const struct setting *)from;
        setting->name = arena_string(arena, setting->name);
    }
    }
}

static void copy_list(const struct field *field, struct arena *arena, const void *from, void *to)
{
    size_t size = field_item_size(field), count = field_count(field, from);
    const char *items = field_pointer(field, from);
    char *copies = arena_array(arena, count, size);
    if (!copies)
        count = 0;
    for (size_t i = 0; i < count; i++)
        copy_item(field, arena, items + i * size, copies + i * size);
    field_set_list(field, to, copies, count);
}

void record_copy(const struct record *record, struct arena *arena, const void *from, void *to)
{
    memcpy(to, from, record->size);
    for (const struct field *field = record->fields; field < record->fields + record->field_count; field++) {
        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_SENTENCE:
            set_string(field, to, arena_string(arena, field_pointer(field, from)));
            break;
        case FIELD_RECORD:
            record_copy(field->record, arena, at(from, field->offset), at_mutable(to, field->offset));
            break;
        case FIELD_LIST:
        case FIELD_STRINGS:
        case FIELD_MAP:
        case FIELD_SETTINGS:
            copy_list(field, arena, from, to);
            break;
        default:
            break; /* numbers came with the memcpy */
        }
    }
}

/* ---- comparison ---- */

static bool text_equal(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool item_equal(const struct field *field, const void *a, const void *b, unsigned skip)
{
    switch (field->kind) {
    case FIELD_LIST:
        return record_equal(field->record, a, b, skip);
    case FIELD_STRINGS:
        return text_equal(*(const char *const *)a, *(const char *const *)b);
    case FIELD_MAP: {
        const struct key_value *one = a, *other = b;
        return text_equal(one->key, other->key) && text_equal(one->value, other->value);
    }
    default: {
        const struct setting *one = a, *other = b;
        return text_equal(one->name, other->name) && one->value == other->value &&
               one->is_bool == other->is_bool;
    }
    }
}

static bool list_equal(const struct field *field, const void *a, const void *b, unsigned skip)
{
    size_t size = field_item_size(field), count = field_count(field, a);
    const char *one = field_pointer(field, a), *other = field_pointer(field, b);
    if (count != field_count(field, b))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!item_equal(field, one + i * size, other + i * size, skip))
            return false;
    return true;
}

static bool field_equal(const struct field *field, const void *a, const void *b, unsigned skip)
{
    switch (field->kind) {
    case FIELD_STRING:
    case FIELD_SENTENCE:
        return text_equal(field_pointer(field, a), field_pointer(field, b));
    case FIELD_DOUBLE:
        return *(const double *)at(a, field->offset) == *(const double *)at(b, field->offset);
    case FIELD_RECORD:
        return record_equal(field->record, at(a, field->offset), at(b, field->offset), skip);
    case FIELD_LIST:
    case FIELD_STRINGS:
    case FIELD_MAP:
    case FIELD_SETTINGS:
        return list_equal(field, a, b, skip);
    default:
        return field_integer(field, a) == field_integer(field, b);
    }
}

bool record_equal(const struct record *record, const void *a, const void *b, unsigned skip)
{
    for (const struct field *field = record->fields; field < record->fields + record->field_count; field++)
        if (!(field->flags & skip) && !field_equal(field, a, b, skip))
            return false;
    return true;
}
