/* Writing the JSON form of records by their tables, straight into text: see record.h. Agents and controller
 * say so much that a tree of values for each message would be most of what they do. */
#include <string.h>

#include "proto/base/json_text.h"
#include "proto/model.h"
#include "proto/record.h"

static void print_fields(struct json_printer *printer, const struct record *record, const void *value,
                         unsigned skip);

/* The length of the UTF-8 sequence that `text` begins with, or 0 when it is none. (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF.) */
static size_t utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char first, last, second_min, second_max;
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].length > 1 && (text[1] < forms[i].second_min || text[1] > forms[i].second_max))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((text[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* A sentence may quote what mongod or a cloud said: it is cut at `most` bytes, and bytes that are no UTF-8
 * become '?', because the other side refuses the whole message otherwise, again and again. */
static void print_sentence(struct json_printer *printer, const struct field *field, const char *text)
{
    char clean[SENTENCE_LENGTH_MAX + 1];
    size_t used = 0, most = field->most < SENTENCE_LENGTH_MAX ? field->most : SENTENCE_LENGTH_MAX;
    while (*text) {
        size_t length = utf8_length((const unsigned char *)text);
        if (used + (length ? length : 1) > most)
            break;
        if (length)
            memcpy(clean + used, text, length);
        else
            clean[used] = '?';
        used += length ? length : 1;
        text += length ? length : 1;
    }
    clean[used] = '\0';
    json_print_text(printer, clean);
}

/* Keys are those of the tables, which need no escapes; a comma before all but the first of an object. */
static void print_key(struct json_printer *printer, const char *key)
{
    const struct buffer *out = printer->out;
    json_print_raw(printer, out->length && out->data[out->length - 1] == '{' ? "\"" : ",\"");
    json_print_raw(printer, key);
    json_print_raw(printer, "\":");
}

static void print_string(struct json_printer *printer, const struct field *field, const void *value)
{
    const char *text = field_pointer(field, value);
    if (!text)
        text = "";
    if (!*text && !(field->flags & FIELD_REQUIRED))
        return;
    print_key(printer, field->key);
    if (field->kind == FIELD_SENTENCE)
        print_sentence(printer, field, text);
    else
        json_print_text(printer, text);
}

static void print_double(struct json_printer *printer, const struct field *field, const void *value)
{
    double real;
    memcpy(&real, (const char *)value + field->offset, sizeof real);
    if (real == (double)field->fallback && !(field->flags & FIELD_REQUIRED))
        return;
    print_key(printer, field->key);
    json_print_number(printer, real);
}

static void print_integer(struct json_printer *printer, const struct field *field, const void *value)
{
    int64_t number = field_integer(field, value);
    if (number == field->fallback && !(field->flags & FIELD_REQUIRED) && field->kind != FIELD_ENUM)
        return;
    print_key(printer, field->key);
    if (field->kind == FIELD_BOOL)
        json_print_raw(printer, number ? "true" : "false");
    else if (field->kind == FIELD_ENUM)
        json_print_text(printer, enum_text_of(field->texts, (int)number));
    else
        json_print_number(printer, (double)number);
}

static void print_item(struct json_printer *printer, const struct field *field, const char *item,
                       unsigned skip)
{
    if (field->kind == FIELD_LIST) {
        print_fields(printer, field->record, item, skip);
    } else if (field->kind == FIELD_STRINGS) {
        json_print_text(printer, *(const char *const *)(const void *)item);
    } else if (field->kind == FIELD_MAP) {
        const struct key_value *pair = (const void *)item;
        json_print_text(printer, pair->key);
        json_print_raw(printer, ":");
        json_print_text(printer, pair->value);
    } else {
        const struct setting *setting = (const void *)item;
        json_print_text(printer, setting->name);
        json_print_raw(printer, ":");
        if (setting->is_bool)
            json_print_raw(printer, setting->value != 0 ? "true" : "false");
        else
            json_print_number(printer, setting->value);
    }
}

static void print_list(struct json_printer *printer, const struct field *field, const void *value,
                       unsigned skip)
{
    size_t size = field_item_size(field), count = field_count(field, value);
    if (count == 0 && !(field->flags & FIELD_REQUIRED))
        return;
    bool is_array = field->kind == FIELD_LIST || field->kind == FIELD_STRINGS;
    const char *items = field_pointer(field, value);
    print_key(printer, field->key);
    json_print_raw(printer, is_array ? "[" : "{");
    for (size_t i = 0; i < count; i++) {
        if (i)
            json_print_raw(printer, ",");
        print_item(printer, field, items + i * size, skip);
    }
    json_print_raw(printer, is_array ? "]" : "}");
}

/* One that would be empty is left out, and its key with it. */
static void print_record(struct json_printer *printer, const struct field *field, const void *value,
                         unsigned skip)
{
    size_t before = printer->out->length;
    print_key(printer, field->key);
    print_fields(printer, field->record, (const char *)value + field->offset, skip);
    const struct buffer *out = printer->out;
    bool empty = out->length >= 2 && out->data[out->length - 1] == '}' && out->data[out->length - 2] == '{';
    if (!empty || field->flags & FIELD_REQUIRED)
        return;
    printer->out->length = before;
    printer->out->data[before] = '\0';
}

static void print_fields(struct json_printer *printer, const struct record *record, const void *value,
                         unsigned skip)
{
    json_print_raw(printer, "{");
    for (const struct field *field = record->fields; field < record->fields + record->field_count; field++) {
        if (field->flags & skip)
            continue;
        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_SENTENCE:
            print_string(printer, field, value);
            break;
        case FIELD_RECORD:
            print_record(printer, field, value, skip);
            break;
        case FIELD_LIST:
        case FIELD_STRINGS:
        case FIELD_MAP:
        case FIELD_SETTINGS:
            print_list(printer, field, value, skip);
            break;
        case FIELD_DOUBLE:
            print_double(printer, field, value);
            break;
        default:
            print_integer(printer, field, value);
        }
    }
    json_print_raw(printer, "}");
}

int record_print(const struct record *record, const void *value, unsigned skip, struct buffer *out,
                 struct error *err)
{
    size_t before = out->length;
    struct json_printer printer = {.out = out};
    print_fields(&printer, record, value, skip);
    if (!printer.full)
        return 0;
    out->length = before; /* outputs are written only on success */
    if (out->data)
        out->data[before] = '\0';
    return error_set(err, out->limit ? ERROR_TOO_LARGE : ERROR_NO_MEMORY,
                     "no room for the message's text (limit %zu)", out->limit);
}

struct json *record_write(const struct record *record, const void *value, unsigned skip)
{
    struct buffer text;
    struct error err;
    buffer_init(&text, 0);
    struct json *json = record_print(record, value, skip, &text, &err) == 0
                            ? json_parse(buffer_text(&text), text.length, text.length, &err)
                            : NULL;
    buffer_finish(&text);
    return json;
}
