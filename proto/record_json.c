/* The JSON form of records, written and read by their tables; see record.h. */
#include <stdio.h>
#include <string.h>

#include "proto/model.h"
#include "proto/record.h"

enum { PATH_MAX_BYTES = 256 };

/* ---- writing ---- */

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
static void write_sentence(struct json *object, const struct field *field, const char *text)
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
    json_set_string(object, field->key, clean);
}

static void write_string(struct json *object, const struct field *field, const void *value)
{
    const char *text = field_pointer(field, value);
    if (!text)
        text = "";
    if (!*text && !(field->flags & FIELD_REQUIRED))
        return;
    if (field->kind == FIELD_SENTENCE)
        write_sentence(object, field, text);
    else
        json_set_string(object, field->key, text);
}

static void write_number(struct json *object, const struct field *field, const void *value)
{
    double real = 0;
    if (field->kind == FIELD_DOUBLE)
        memcpy(&real, (const char *)value + field->offset, sizeof real);
    int64_t number = field->kind == FIELD_DOUBLE ? 0 : field_integer(field, value);
    bool is_fallback =
        field->kind == FIELD_DOUBLE ? real == (double)field->fallback : number == field->fallback;
    if (is_fallback && !(field->flags & FIELD_REQUIRED) && field->kind != FIELD_ENUM)
        return;
    if (field->kind == FIELD_DOUBLE)
        json_set_double(object, field->key, real);
    else if (field->kind == FIELD_BOOL)
        json_set_bool(object, field->key, number != 0);
    else if (field->kind == FIELD_ENUM)
        json_set_string(object, field->key, enum_text_of(field->texts, (int)number));
    else
        json_set_int(object, field->key, number);
}

static void write_item(struct json *container, const struct field *field, const char *item, unsigned skip)
{
    if (field->kind == FIELD_LIST) {
        json_append(container, record_write(field->record, item, skip));
    } else if (field->kind == FIELD_STRINGS) {
        json_append(container, json_string(*(const char *const *)(const void *)item));
    } else if (field->kind == FIELD_MAP) {
        const struct key_value *pair = (const void *)item;
        json_set_string(container, pair->key, pair->value);
    } else {
        const struct setting *setting = (const void *)item;
        if (setting->is_bool)
            json_set_bool(container, setting->name, setting->value != 0);
        else
            json_set_double(container, setting->name, setting->value);
    }
}

static void write_list(struct json *object, const struct field *field, const void *value, unsigned skip)
{
    size_t size = field_item_size(field), count = field_count(field, value);
    if (count == 0 && !(field->flags & FIELD_REQUIRED))
        return;
    bool is_array = field->kind == FIELD_LIST || field->kind == FIELD_STRINGS;
    struct json *container = json_set(object, field->key, is_array ? json_array() : json_object());
    const char *items = field_pointer(field, value);
    for (size_t i = 0; container && i < count; i++)
        write_item(container, field, items + i * size, skip);
}

static void write_record(struct json *object, const struct field *field, const void *value, unsigned skip)
{
    struct json *child = record_write(field->record, (const char *)value + field->offset, skip);
    if (child && json_count(child) == 0 && !(field->flags & FIELD_REQUIRED))
        json_destroy(child);
    else
        json_set(object, field->key, child);
}

struct json *record_write(const struct record *record, const void *value, unsigned skip)
{
    struct json *object = json_object();
    if (!object)
        return NULL;
    for (const struct field *field = record->fields; field < record->fields + record->field_count; field++) {
        if (field->flags & skip)
            continue;
        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_SENTENCE:
            write_string(object, field, value);
            break;
        case FIELD_RECORD:
            write_record(object, field, value, skip);
            break;
        case FIELD_LIST:
        case FIELD_STRINGS:
        case FIELD_MAP:
        case FIELD_SETTINGS:
            write_list(object, field, value, skip);
            break;
        default:
            write_number(object, field, value);
        }
    }
    return object;
}

/* ---- reading ---- */

/* One object that is being read into `value`. */
struct reading {
    const struct json *json;
    const char *path;
    struct arena *arena;
    void *value;
    struct error *err;
};

static int read_fields(const struct record *record, const struct json *json, const char *path,
                       struct arena *arena, void *value, struct error *err);

static void path_join(char out[PATH_MAX_BYTES], const char *path, const char *key)
{
    snprintf(out, PATH_MAX_BYTES, "%s%s%s", path, *path ? "." : "", key);
}

static int refuse(const struct reading *in, const struct field *field, const char *what)
{
    char path[PATH_MAX_BYTES];
    path_join(path, in->path, field->key);
    return error_set(in->err, ERROR_INVALID, "%s: %s", path, what);
}

/* The value under the field's key: NULL when absent or null. -1 when it is required and isn't there. */
static int look_up(const struct reading *in, const struct field *field, const struct json **out)
{
    const struct json *found = json_get(in->json, field->key);
    bool is_null = found && !json_is_object(found) && !json_is_array(found) && !json_is_string(found) &&
                   !json_is_number(found) && !json_is_bool(found);
    *out = is_null ? NULL : found;
    if (!*out && (field->flags & FIELD_REQUIRED))
        return refuse(in, field, "must be there");
    return 0;
}

static int check_length(const char *path, const char *text, size_t most, const char *bound, struct error *err)
{
    size_t length = strlen(text);
    if (length <= most)
        return 0;
    return error_set(err, ERROR_TOO_LARGE, "%s: has %zu bytes, at most %zu are allowed (%s)", path, length,
                     most, bound);
}

static int read_string(const struct reading *in, const struct field *field, const struct json *json)
{
    char path[PATH_MAX_BYTES];
    const char *text = json_text(json);
    if (!text)
        return refuse(in, field, "must be a string");
    if (!*text && (field->flags & FIELD_REQUIRED))
        return refuse(in, field, "must not be empty");
    path_join(path, in->path, field->key);
    if (check_length(path, text, field->most, field->bound, in->err) < 0)
        return -1;
    text = arena_string(in->arena, text);
    memcpy((char *)in->value + field->offset, &text, sizeof text);
    return 0;
}

static int read_integer(const struct reading *in, const struct field *field)
{
    int64_t number = field->fallback;
    if (json_read_int(in->json, field->key, JSON_OPTIONAL, field->min, field->max, &number, in->err) < 0)
        return *in->path ? error_wrap(in->err, "%s", in->path) : -1;
    field_set_integer(field, in->value, number);
    return 0;
}

static int read_double(const struct reading *in, const struct field *field)
{
    double number = (double)field->fallback;
    if (json_read_double(in->json, field->key, JSON_OPTIONAL, &number, in->err) < 0)
        return *in->path ? error_wrap(in->err, "%s", in->path) : -1;
    memcpy((char *)in->value + field->offset, &number, sizeof number);
    return 0;
}

static int read_bool(const struct reading *in, const struct field *field, const struct json *json)
{
    if (!json_is_bool(json))
        return refuse(in, field, "must be true or false");
    field_set_integer(field, in->value, json_truth(json));
    return 0;
}

static int read_enum(const struct reading *in, const struct field *field, const struct json *json)
{
    char allowed[ERROR_MESSAGE_MAX / 2];
    size_t used = 0;
    const char *text = json_text(json);
    allowed[0] = '\0';
    for (const struct enum_text *known = field->texts; known->text; known++) {
        if (text && strcmp(known->text, text) == 0) {
            field_set_integer(field, in->value, known->number);
            return 0;
        }
        if (used < sizeof allowed)
            used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s",
                                     used ? ", " : "must be one of ", known->text);
    }
    return refuse(in, field, allowed);
}

static int read_item(const struct reading *in, const struct field *field, const char *path,
                     const struct json *json, void *item)
{
    const char *text = json_text(json);
    if (field->kind == FIELD_LIST)
        return read_fields(field->record, json, path, in->arena, item, in->err);
    if (field->kind == FIELD_SETTINGS) {
        struct setting *setting = item;
        if (!json_is_bool(json) && !json_is_number(json))
            return error_set(in->err, ERROR_INVALID, "%s: must be a number, true or false", path);
        setting->is_bool = json_is_bool(json);
        setting->value = setting->is_bool ? json_truth(json) : json_number(json);
        setting->name = arena_string(in->arena, json_key(json));
        return 0;
    }
    if (!text)
        return error_set(in->err, ERROR_INVALID, "%s: must be a string", path);
    if (check_length(path, text, field->text_most, field->text_bound, in->err) < 0)
        return -1;
    text = arena_string(in->arena, text);
    if (field->kind == FIELD_MAP)
        *(struct key_value *)item =
            (struct key_value){.key = arena_string(in->arena, json_key(json)), .value = text};
    else
        *(const char **)item = text;
    return 0;
}

/* Keys of maps are named by their place while too long to be shown. */
static int item_path(const struct reading *in, const struct field *field, const struct json *item,
                     size_t index, char path[PATH_MAX_BYTES])
{
    char list[PATH_MAX_BYTES];
    const char *key = json_key(item);
    path_join(list, in->path, field->key);
    if (field->kind == FIELD_LIST || field->kind == FIELD_STRINGS) {
        snprintf(path, PATH_MAX_BYTES, "%.200s[%zu]", list, index);
        return 0;
    }
    snprintf(path, PATH_MAX_BYTES, "%.200s, key %zu", list, index + 1);
    if (check_length(path, key, LABEL_KEY_LENGTH_MAX, "LABEL_KEY_LENGTH_MAX", in->err) < 0)
        return -1;
    snprintf(path, PATH_MAX_BYTES, "%.120s.%.120s", list, key);
    return 0;
}

static int read_list(const struct reading *in, const struct field *field, const struct json *json)
{
    char path[PATH_MAX_BYTES];
    bool is_array = field->kind == FIELD_LIST || field->kind == FIELD_STRINGS;
    size_t size = field_item_size(field), count = json_count(json), index = 0;
    if (is_array ? !json_is_array(json) : !json_is_object(json))
        return refuse(in, field, is_array ? "must be a list" : "must be an object");
    path_join(path, in->path, field->key);
    if (count > field->most)
        return error_set(in->err, ERROR_TOO_LARGE, "%s: has %zu entries, at most %zu are allowed (%s)", path,
                         count, field->most, field->bound);
    char *items = arena_array(in->arena, count, size);
    if (count && !items)
        return error_set(in->err, ERROR_NO_MEMORY, "%s: no memory for %zu entries", path, count);
    for (const struct json *item = json_first(json); item; item = json_next(item), index++)
        if (item_path(in, field, item, index, path) < 0 ||
            read_item(in, field, path, item, items + index * size) < 0)
            return -1;
    field_set_list(field, in->value, items, count);
    return 0;
}

static int read_field(const struct reading *in, const struct field *field)
{
    char path[PATH_MAX_BYTES];
    const struct json *json;
    if (look_up(in, field, &json) < 0)
        return -1;
    if (!json)
        return 0; /* the fallback is there already */
    switch (field->kind) {
    case FIELD_STRING:
    case FIELD_SENTENCE:
        return read_string(in, field, json);
    case FIELD_INT:
    case FIELD_INT64:
    case FIELD_UINT32:
        return read_integer(in, field);
    case FIELD_DOUBLE:
        return read_double(in, field);
    case FIELD_BOOL:
        return read_bool(in, field, json);
    case FIELD_ENUM:
        return read_enum(in, field, json);
    case FIELD_RECORD:
        path_join(path, in->path, field->key);
        return read_fields(field->record, json, path, in->arena, (char *)in->value + field->offset, in->err);
    default:
        return read_list(in, field, json);
    }
}

static int read_fields(const struct record *record, const struct json *json, const char *path,
                       struct arena *arena, void *value, struct error *err)
{
    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "%s: must be an object", *path ? path : "the message");
    const struct reading in = {.json = json, .path = path, .arena = arena, .value = value, .err = err};
    record_defaults(record, value);
    for (size_t i = 0; i < record->field_count; i++)
        if (read_field(&in, &record->fields[i]) < 0)
            return -1;
    return 0;
}

int record_read(const struct record *record, const struct json *json, const char *path, struct arena *arena,
                void *out, struct error *err)
{
    void *value = arena_alloc(arena, record->size);
    if (!value)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the message");
    if (read_fields(record, json, path, arena, value, err) < 0)
        return -1;
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the message");
    memcpy(out, value, record->size);
    return 0;
}
