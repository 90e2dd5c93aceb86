/* JSON trees on cJSON: see json.h. cJSON is lenient (numbers like 01, control characters as white space,
 * bytes that are no UTF-8) and recursive, so json_text.c checks the text before it sees it; and it prints
 * with tabs and turns 10^15 into 1e+15, so printing is our own. A container remembers in its `valueint`,
 * which cJSON leaves alone there, that an allocation below it failed. */
#include "proto/base/json.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/json_text.h"

static const double INTEGER_MAX = 9007199254740992.0; /* 2^53: whole numbers are exact up to here */

enum { KEYS_FEW = 32 }; /* of an object that is looked at without allocating */

static const cJSON *node(const struct json *json)
{
    return (const cJSON *)json;
}

static cJSON *node_of(struct json *json)
{
    return (cJSON *)json;
}

static const struct json *json_of(const cJSON *item)
{
    return (const struct json *)item;
}

/* A tree may hold passwords, tokens and keys: what cJSON gives back is cleared, whatever the way. */
static void wipe_and_free(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

__attribute__((constructor)) static void clear_what_is_freed(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = malloc, .free_fn = wipe_and_free});
}

/* Parsing */

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A key that comes twice is read differently by different readers, so it is refused. */
static int check_keys(const cJSON *object, struct error *err)
{
    size_t count = json_count(json_of(object)), at = 0;
    const char *few[KEYS_FEW];
    if (count < 2)
        return 0;
    const char **keys = count <= KEYS_FEW ? few : malloc(count * sizeof *keys);
    if (!keys)
        return error_set(err, ERROR_NO_MEMORY, "out of memory reading JSON");
    for (const cJSON *item = object->child; item; item = item->next)
        keys[at++] = item->string;
    qsort(keys, count, sizeof *keys, compare_keys);
    int result = 0;
    for (at = 1; at < count && result == 0; at++)
        if (!strcmp(keys[at - 1], keys[at]))
            result = error_set(err, ERROR_INVALID, "the key \"%.100s\" comes twice in one object", keys[at]);
    if (keys != few)
        free(keys);
    return result;
}

/* Depth is at most JSON_DEPTH_MAX, so recursion is bounded. */
static int check_tree(const cJSON *tree, struct error *err)
{
    if (cJSON_IsObject(tree) && check_keys(tree, err))
        return -1;
    for (const cJSON *item = tree->child; item; item = item->next)
        if (item->child && check_tree(item, err))
            return -1;
    return 0;
}

static struct json *parse_scanned(const char *text, size_t length, struct error *err)
{
    const char *end = NULL;
    errno = 0;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
    if (!tree && errno == ENOMEM) {
        error_set(err, ERROR_NO_MEMORY, "out of memory reading JSON");
        return NULL;
    }
    if (!tree) {
        size_t at = end && end >= text && end <= text + length ? (size_t)(end - text) : length;
        json_error_at(text, at, err, "not well-formed JSON");
        return NULL;
    }
    if (check_tree(tree, err)) {
        cJSON_Delete(tree);
        return NULL;
    }
    return (struct json *)tree;
}

struct json *json_parse(const char *text, size_t length, size_t limit, struct error *err)
{
    if (length > limit) {
        error_set(err, ERROR_TOO_LARGE, "JSON of %zu bytes where at most %zu are taken", length, limit);
        return NULL;
    }
    if (json_scan(text, length, err))
        return NULL;
    /* cJSON reads beyond the end of texts that aren't terminated (CVE-2023-53154), so it gets a terminated
     * copy. */
    char *copy = malloc(length + 1);
    if (!copy) {
        error_set(err, ERROR_NO_MEMORY, "out of memory reading JSON");
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    struct json *json = parse_scanned(copy, length, err);
    wipe_and_free(copy);
    return json;
}

void json_destroy(struct json *json)
{
    cJSON_Delete(node_of(json));
}

/* Looking */

bool json_is_object(const struct json *json)
{
    return cJSON_IsObject(node(json));
}

bool json_is_array(const struct json *json)
{
    return cJSON_IsArray(node(json));
}

bool json_is_string(const struct json *json)
{
    return cJSON_IsString(node(json));
}

bool json_is_number(const struct json *json)
{
    return cJSON_IsNumber(node(json));
}

bool json_is_bool(const struct json *json)
{
    return cJSON_IsBool(node(json));
}

const struct json *json_get(const struct json *object, const char *key)
{
    return json_is_object(object) ? json_of(cJSON_GetObjectItemCaseSensitive(node(object), key)) : NULL;
}

const char *json_key(const struct json *value)
{
    return value ? node(value)->string : NULL;
}

const struct json *json_first(const struct json *container)
{
    return container ? json_of(node(container)->child) : NULL;
}

const struct json *json_next(const struct json *value)
{
    return value ? json_of(node(value)->next) : NULL;
}

size_t json_count(const struct json *container)
{
    size_t count = 0;
    for (const struct json *item = json_first(container); item; item = json_next(item))
        count++;
    return count;
}

const char *json_text(const struct json *value)
{
    return json_is_string(value) ? node(value)->valuestring : NULL;
}

double json_number(const struct json *value)
{
    return json_is_number(value) ? node(value)->valuedouble : 0;
}

bool json_truth(const struct json *value)
{
    return cJSON_IsTrue(node(value));
}

static bool is_whole(double number)
{
    return fabs(number) <= INTEGER_MAX && floor(number) == number;
}

bool json_whole(const struct json *value, int64_t *out)
{
    if (!json_is_number(value) || !is_whole(json_number(value)))
        return false;
    *out = (int64_t)json_number(value);
    return true;
}

const char *json_get_text(const struct json *object, const char *key, const char *fallback)
{
    const char *text = json_text(json_get(object, key));
    return text ? text : fallback;
}

int64_t json_get_int(const struct json *object, const char *key, int64_t fallback)
{
    const struct json *value = json_get(object, key);
    return json_is_number(value) && is_whole(json_number(value)) ? (int64_t)json_number(value) : fallback;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
    const struct json *value = json_get(object, key);
    return json_is_bool(value) ? json_truth(value) : fallback;
}

/* Strict reading */

/* Finds the value under key: 1 when it is there, 0 when it is absent or null and may be, -1 when it is
 * needed. */
static int find(const struct json *object, const char *key, enum json_need need, const struct json **value,
                struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, ERROR_INVALID, "an object with \"%s\" is expected", key);
    *value = json_get(object, key);
    if (*value && !cJSON_IsNull(node(*value)))
        return 1;
    return need == JSON_REQUIRED ? error_set(err, ERROR_INVALID, "\"%s\" is missing", key) : 0;
}

int json_read_string(const struct json *object, const char *key, enum json_need need, struct arena *arena,
                     const char **out, struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found <= 0)
        return found;
    if (!json_is_string(value))
        return error_set(err, ERROR_INVALID, "\"%s\" must be a string", key);
    const char *copy = arena_string(arena, json_text(value));
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory left for \"%s\"", key);
    *out = copy;
    return 0;
}

int json_read_int(const struct json *object, const char *key, enum json_need need, int64_t min, int64_t max,
                  int64_t *out, struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found <= 0)
        return found;
    if (!json_is_number(value) || !is_whole(json_number(value)))
        return error_set(err, ERROR_INVALID, "\"%s\" must be a whole number", key);
    int64_t number = (int64_t)json_number(value);
    if (number < min || number > max)
        return error_set(err, ERROR_INVALID, "\"%s\" must be %lld to %lld, not %lld", key, (long long)min,
                         (long long)max, (long long)number);
    *out = number;
    return 0;
}

int json_read_double(const struct json *object, const char *key, enum json_need need, double *out,
                     struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found <= 0)
        return found;
    if (!json_is_number(value))
        return error_set(err, ERROR_INVALID, "\"%s\" must be a number", key);
    *out = json_number(value);
    return 0;
}

int json_read_bool(const struct json *object, const char *key, enum json_need need, bool *out,
                   struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found <= 0)
        return found;
    if (!json_is_bool(value))
        return error_set(err, ERROR_INVALID, "\"%s\" must be true or false", key);
    *out = json_truth(value);
    return 0;
}

int json_read_array(const struct json *object, const char *key, enum json_need need, size_t most,
                    const struct json **out, struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found < 0)
        return -1;
    if (found && !json_is_array(value))
        return error_set(err, ERROR_INVALID, "\"%s\" must be an array", key);
    if (found && json_count(value) > most)
        return error_set(err, ERROR_TOO_LARGE, "\"%s\" has %zu items where at most %zu are taken", key,
                         json_count(value), most);
    *out = found ? value : NULL;
    return 0;
}

int json_read_object(const struct json *object, const char *key, enum json_need need, const struct json **out,
                     struct error *err)
{
    const struct json *value = NULL;
    int found = find(object, key, need, &value, err);
    if (found < 0)
        return -1;
    if (found && !json_is_object(value))
        return error_set(err, ERROR_INVALID, "\"%s\" must be an object", key);
    *out = found ? value : NULL;
    return 0;
}

/* Building */

struct json *json_object(void)
{
    return (struct json *)cJSON_CreateObject();
}

struct json *json_array(void)
{
    return (struct json *)cJSON_CreateArray();
}

struct json *json_string(const char *text)
{
    return (struct json *)cJSON_CreateString(text ? text : "");
}

struct json *json_int(int64_t value)
{
    return (struct json *)cJSON_CreateNumber((double)value);
}

/* Says in the container that something is missing below it, and gives up what could not be put there. */
static struct json *give_up(struct json *container, struct json *child)
{
    if (container)
        node_of(container)->valueint = 1;
    json_destroy(child);
    return NULL;
}

struct json *json_set(struct json *object, const char *key, struct json *child)
{
    assert(!object || json_is_object(object));
    if (!object || !child)
        return give_up(object, child);
    cJSON_DeleteItemFromObjectCaseSensitive(node_of(object), key);
    return cJSON_AddItemToObject(node_of(object), key, node_of(child)) ? child : give_up(object, child);
}

struct json *json_append(struct json *array, struct json *child)
{
    assert(!array || json_is_array(array));
    if (!array || !child)
        return give_up(array, child);
    return cJSON_AddItemToArray(node_of(array), node_of(child)) ? child : give_up(array, child);
}

void json_set_string(struct json *object, const char *key, const char *text)
{
    json_set(object, key, json_string(text));
}

void json_set_int(struct json *object, const char *key, int64_t value)
{
    json_set(object, key, json_int(value));
}

void json_set_double(struct json *object, const char *key, double value)
{
    json_set(object, key, (struct json *)cJSON_CreateNumber(value));
}

void json_set_bool(struct json *object, const char *key, bool value)
{
    json_set(object, key, (struct json *)cJSON_CreateBool(value));
}

void json_set_null(struct json *object, const char *key)
{
    json_set(object, key, (struct json *)cJSON_CreateNull());
}

void json_set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_MAX];
    if (*time_text(wall_ms, text))
        json_set_string(object, key, text);
    else
        json_set_null(object, key);
}

struct json *json_copy(const struct json *json)
{
    return (struct json *)cJSON_Duplicate(node(json), 1);
}

/* Printing */

static void print_value(struct json_printer *printer, const cJSON *item, int depth);

static void print_container(struct json_printer *printer, const cJSON *item, int depth)
{
    bool object = cJSON_IsObject(item);
    printer->incomplete |= item->valueint != 0;
    json_print_raw(printer, object ? "{" : "[");
    for (const cJSON *child = item->child; child; child = child->next) {
        json_print_line(printer, depth + 1);
        if (object) {
            json_print_text(printer, child->string);
            json_print_raw(printer, printer->pretty ? ": " : ":");
        }
        print_value(printer, child, depth + 1);
        if (child->next)
            json_print_raw(printer, ",");
    }
    if (item->child)
        json_print_line(printer, depth);
    json_print_raw(printer, object ? "}" : "]");
}

static void print_value(struct json_printer *printer, const cJSON *item, int depth)
{
    if (depth > JSON_DEPTH_MAX)
        printer->too_deep = true;
    else if (cJSON_IsObject(item) || cJSON_IsArray(item))
        print_container(printer, item, depth);
    else if (cJSON_IsString(item))
        json_print_text(printer, item->valuestring);
    else if (cJSON_IsNumber(item))
        json_print_number(printer, item->valuedouble);
    else
        json_print_raw(printer, cJSON_IsTrue(item) ? "true" : cJSON_IsFalse(item) ? "false" : "null");
}

int json_print(const struct json *json, enum json_style style, struct buffer *out, struct error *err)
{
    if (!json)
        return error_set(err, ERROR_NO_MEMORY, "out of memory building JSON");
    size_t before = out->length;
    struct json_printer printer = {.out = out, .pretty = style == JSON_PRETTY};
    print_value(&printer, node(json), 0);
    if (!printer.incomplete && !printer.too_deep && !printer.full)
        return 0;
    out->length = before; /* outputs are written only on success */
    if (out->data)
        out->data[before] = 0;
    if (printer.incomplete)
        return error_set(err, ERROR_NO_MEMORY, "out of memory building JSON");
    if (printer.too_deep)
        return error_set(err, ERROR_TOO_LARGE, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
    return error_set(err, out->limit ? ERROR_TOO_LARGE : ERROR_NO_MEMORY,
                     "no room for the JSON text (limit %zu)", out->limit);
}
