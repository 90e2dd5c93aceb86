/* Reading the JSON form of records by their tables; see record.h. Writing is in record_print.c. */
#include <stdio.h>
#include <string.h>

#include "proto/model.h"
#include "proto/record.h"

enum { PATH_MAX_BYTES = 256 };

/* Where in the message one is, for errors: put into words only when there is one. */
struct place {
    const struct place *above; /* NULL: the root */
    const char *key;           /* of an object */
    size_t index;              /* of an item of a list, when `key` is NULL */
};

/* ---- reading ---- */

/* One object that is being read into `value`. */
struct reading {
    const struct json *json;
    const struct place *place;
    struct arena *arena;
    void *value;
    struct error *err;
    const struct json *
        *next; /* the key that is likely to be asked for next: writers keep the table's order */
};

static int read_fields(const struct record *record, const struct json *json, const struct place *place,
                       struct arena *arena, void *value, struct error *err);

/* "members[3].mongod.state"; one that is too long loses its end. */
static void path_of(const struct place *place, char out[PATH_MAX_BYTES])
{
    *out = '\0';
    if (!place)
        return;
    path_of(place->above, out);
    size_t used = strlen(out);
    if (place->key)
        snprintf(out + used, PATH_MAX_BYTES - used, "%s%.120s", used ? "." : "", place->key);
    else
        snprintf(out + used, PATH_MAX_BYTES - used, "[%zu]", place->index);
}

static int refuse_at(const struct place *place, struct error *err, const char *what)
{
    char path[PATH_MAX_BYTES];
    path_of(place, path);
    return error_set(err, ERROR_INVALID, "%s: %s", path, what);
}

static struct place place_of(const struct reading *in, const struct field *field)
{
    return (struct place){.above = in->place, .key = field->key};
}

static int refuse(const struct reading *in, const struct field *field, const char *what)
{
    const struct place place = place_of(in, field);
    return refuse_at(&place, in->err, what);
}

static const struct json *find(const struct reading *in, const char *key)
{
    const struct json *likely = *in->next;
    const struct json *found =
        likely && strcmp(json_key(likely), key) == 0 ? likely : json_get(in->json, key);
    if (found)
        *in->next = json_next(found);
    return found;
}

/* The value under the field's key: NULL when absent or null. -1 when it is required and isn't there. */
static int look_up(const struct reading *in, const struct field *field, const struct json **out)
{
    const struct json *found = find(in, field->key);
    bool is_null = found && !json_is_object(found) && !json_is_array(found) && !json_is_string(found) &&
                   !json_is_number(found) && !json_is_bool(found);
    *out = is_null ? NULL : found;
    if (!*out && (field->flags & FIELD_REQUIRED))
        return refuse(in, field, "must be there");
    return 0;
}

static int check_length(const struct place *place, const char *text, size_t most, const char *bound,
                        struct error *err)
{
    char path[PATH_MAX_BYTES];
    size_t length = strlen(text);
    if (length <= most)
        return 0;
    path_of(place, path);
    return error_set(err, ERROR_TOO_LARGE, "%s: has %zu bytes, at most %zu are allowed (%s)", path, length,
                     most, bound);
}

static int read_string(const struct reading *in, const struct field *field, const struct json *json)
{
    const struct place place = place_of(in, field);
    const char *text = json_text(json);
    if (!text)
        return refuse(in, field, "must be a string");
    if (!*text && (field->flags & FIELD_REQUIRED))
        return refuse(in, field, "must not be empty");
    if (check_length(&place, text, field->most, field->bound, in->err) < 0)
        return -1;
    text = arena_string(in->arena, text);
    memcpy((char *)in->value + field->offset, &text, sizeof text);
    return 0;
}

/* An error of json.h's readers, which know the key alone. */
static int wrap(const struct reading *in)
{
    char path[PATH_MAX_BYTES];
    path_of(in->place, path);
    return *path ? error_wrap(in->err, "%s", path) : -1;
}

static int read_integer(const struct reading *in, const struct field *field, const struct json *json)
{
    int64_t number = field->fallback;
    bool fits = json_whole(json, &number) && number >= field->min && number <= field->max;
    if (!fits &&
        json_read_int(in->json, field->key, JSON_REQUIRED, field->min, field->max, &number, in->err) < 0)
        return wrap(in);
    field_set_integer(field, in->value, number);
    return 0;
}

static int read_double(const struct reading *in, const struct field *field)
{
    double number = (double)field->fallback;
    if (json_read_double(in->json, field->key, JSON_OPTIONAL, &number, in->err) < 0)
        return wrap(in);
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

static int refuse_enum(const struct reading *in, const struct field *field)
{
    char allowed[ERROR_MESSAGE_MAX / 2];
    size_t used = 0;
    allowed[0] = '\0';
    for (const struct enum_text *known = field->texts; known->text && used < sizeof allowed; known++)
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s",
                                 used ? ", " : "must be one of ", known->text);
    return refuse(in, field, allowed);
}

static int read_enum(const struct reading *in, const struct field *field, const struct json *json)
{
    const char *text = json_text(json);
    for (const struct enum_text *known = field->texts; text && known->text; known++)
        if (strcmp(known->text, text) == 0) {
            field_set_integer(field, in->value, known->number);
            return 0;
        }
    return refuse_enum(in, field);
}

static int read_item(const struct reading *in, const struct field *field, const struct place *place,
                     const struct json *json, void *item)
{
    const char *text = json_text(json);
    if (field->kind == FIELD_LIST)
        return read_fields(field->record, json, place, in->arena, item, in->err);
    if (field->kind == FIELD_SETTINGS) {
        struct setting *setting = item;
        if (!json_is_bool(json) && !json_is_number(json))
            return refuse_at(place, in->err, "must be a number, true or false");
        setting->is_bool = json_is_bool(json);
        setting->value = setting->is_bool ? json_truth(json) : json_number(json);
        setting->name = arena_string(in->arena, json_key(json));
        return 0;
    }
    if (!text)
        return refuse_at(place, in->err, "must be a string");
    if (check_length(place, text, field->text_most, field->text_bound, in->err) < 0)
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
static int check_key(const struct place *list, const char *key, size_t index, struct error *err)
{
    char path[PATH_MAX_BYTES];
    size_t length = strlen(key);
    if (length <= LABEL_KEY_LENGTH_MAX)
        return 0;
    path_of(list, path);
    return error_set(err, ERROR_TOO_LARGE,
                     "%.200s, key %zu: has %zu bytes, at most %d are allowed (LABEL_KEY_LENGTH_MAX)", path,
                     index + 1, length, LABEL_KEY_LENGTH_MAX);
}

static int refuse_count(const struct place *place, const struct field *field, size_t count, struct error *err)
{
    char path[PATH_MAX_BYTES];
    path_of(place, path);
    return error_set(err, ERROR_TOO_LARGE, "%s: has %zu entries, at most %zu are allowed (%s)", path, count,
                     field->most, field->bound);
}

static int read_list(const struct reading *in, const struct field *field, const struct json *json)
{
    const struct place place = place_of(in, field);
    bool is_array = field->kind == FIELD_LIST || field->kind == FIELD_STRINGS;
    size_t size = field_item_size(field), count = json_count(json), index = 0;
    if (is_array ? !json_is_array(json) : !json_is_object(json))
        return refuse(in, field, is_array ? "must be a list" : "must be an object");
    if (count > field->most)
        return refuse_count(&place, field, count, in->err);
    char *items = arena_array(in->arena, count, size);
    if (count && !items)
        return error_set(in->err, ERROR_NO_MEMORY, "%s: no memory for %zu entries", field->key, count);
    for (const struct json *item = json_first(json); item; item = json_next(item), index++) {
        const struct place at = {.above = &place, .key = is_array ? NULL : json_key(item), .index = index};
        if ((!is_array && check_key(&place, at.key, index, in->err) < 0) ||
            read_item(in, field, &at, item, items + index * size) < 0)
            return -1;
    }
    field_set_list(field, in->value, items, count);
    return 0;
}

static int read_field(const struct reading *in, const struct field *field)
{
    const struct place place = place_of(in, field);
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
        return read_integer(in, field, json);
    case FIELD_DOUBLE:
        return read_double(in, field);
    case FIELD_BOOL:
        return read_bool(in, field, json);
    case FIELD_ENUM:
        return read_enum(in, field, json);
    case FIELD_RECORD:
        return read_fields(field->record, json, &place, in->arena, (char *)in->value + field->offset,
                           in->err);
    default:
        return read_list(in, field, json);
    }
}

static int read_fields(const struct record *record, const struct json *json, const struct place *place,
                       struct arena *arena, void *value, struct error *err)
{
    const struct json *next = json_first(json);
    if (!json_is_object(json))
        return place ? refuse_at(place, err, "must be an object")
                     : error_set(err, ERROR_INVALID, "the message: must be an object");
    const struct reading in = {
        .json = json, .place = place, .arena = arena, .value = value, .err = err, .next = &next};
    record_defaults(record, value);
    for (size_t i = 0; i < record->field_count; i++)
        if (read_field(&in, &record->fields[i]) < 0)
            return -1;
    return 0;
}

int record_read(const struct record *record, const struct json *json, const char *path, struct arena *arena,
                void *out, struct error *err)
{
    const struct place root = {.key = path};
    void *value = arena_alloc(arena, record->size);
    if (!value)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the message");
    if (read_fields(record, json, *path ? &root : NULL, arena, value, err) < 0)
        return -1;
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the message");
    memcpy(out, value, record->size);
    return 0;
}
