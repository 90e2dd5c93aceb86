/* Spec -> JSON and YAML. Both go through one tree, so that they can't say different things; the YAML is of
 * the plain kind that people write: blocks, and a short map without lists or maps in it on one line. */
#include <string.h>

#include "config/spec_fields.h"
#include "config/spec_format.h"

enum { FLOW_MAX = 90, WORD_MAX = 128 };

struct yaml_writer {
    struct buffer *out;
    bool failed;
};

static void put(struct yaml_writer *writer, const char *text)
{
    writer->failed |= buffer_append_text(writer->out, text) != 0;
}

static void indent(struct yaml_writer *writer, int depth)
{
    for (int i = 0; i < depth; i++)
        put(writer, "  ");
}

/* Whether any YAML reader, old or new, takes the text for itself when it has no quotes: no number, boolean,
 * date or syntax. */
static bool is_plain(const char *text)
{
    static const char *const taken[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    size_t length = strlen(text);
    bool letter_first = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
    bool size =
        *text >= '1' && *text <= '9' && length < 12 &&
        strspn(text, "0123456789") + strspn(text + strspn(text, "0123456789"), "kMGTPimshd") == length &&
        strspn(text, "0123456789") < length;
    if ((!letter_first && !size) || length > WORD_MAX || text[length - 1] == ':')
        return false;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcasecmp(text, taken[i]) == 0)
            return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@") == length;
}

/* A string in double quotes means the same in YAML as in JSON. */
static void put_text(struct yaml_writer *writer, const struct json *value, const char *text)
{
    struct json *made = value ? NULL : json_string(text);
    if (is_plain(text))
        put(writer, text);
    else if (json_print(value ? value : made, JSON_COMPACT, writer->out, NULL))
        writer->failed = true;
    json_destroy(made);
}

static void put_scalar(struct yaml_writer *writer, const struct json *value)
{
    if (json_is_string(value))
        put_text(writer, value, json_text(value));
    else
        writer->failed |= json_print(value, JSON_COMPACT, writer->out, NULL) != 0;
}

static bool is_container(const struct json *value)
{
    return json_is_object(value) || json_is_array(value);
}

/* One line: a map or list that is short and has nothing nested but short maps of texts (a member with its
 * labels). */
static size_t flow_width(const struct json *value, int depth)
{
    size_t width = 4;
    if (!is_container(value))
        return json_is_string(value) ? strlen(json_text(value)) + 2 : 6;
    if (depth > 1)
        return FLOW_MAX;
    for (const struct json *child = json_first(value); child && width < FLOW_MAX; child = json_next(child)) {
        const char *key = json_key(child);
        width += (json_is_object(value) && key ? strlen(key) : 0) + 4 + flow_width(child, depth + 1);
    }
    return width;
}

static void put_flow(struct yaml_writer *writer, const struct json *value)
{
    bool object = json_is_object(value);
    if (!is_container(value)) {
        put_scalar(writer, value);
        return;
    }
    put(writer, object ? "{" : "[");
    for (const struct json *child = json_first(value); child; child = json_next(child)) {
        if (object) {
            put_text(writer, NULL, json_key(child));
            put(writer, ": ");
        }
        put_flow(writer, child);
        if (json_next(child))
            put(writer, ", ");
    }
    put(writer, object ? "}" : "]");
}

static void put_block(struct yaml_writer *writer, const struct json *value, int depth, bool inline_first);

/* What stands behind "key:" or "-": on the same line when it is short, but the map of a set or zone, which
 * has a block. */
static void put_value(struct yaml_writer *writer, const struct json *value, int depth, bool in_list)
{
    bool flow = !is_container(value) || json_count(value) == 0 ||
                (depth > 2 && !json_get(value, "name") && flow_width(value, 0) < FLOW_MAX &&
                 !json_is_object(json_first(value)));
    if (flow) {
        put(writer, " ");
        put_flow(writer, value);
        put(writer, "\n");
    } else if (in_list) {
        put(writer, " ");
        put_block(writer, value, depth, true);
    } else {
        put(writer, "\n");
        put_block(writer, value, depth, false);
    }
}

/* Depth is that of a spec. */
static void put_block(struct yaml_writer *writer, const struct json *value, int depth, bool inline_first)
{
    bool object = json_is_object(value);
    for (const struct json *child = json_first(value); child; child = json_next(child)) {
        if (!inline_first)
            indent(writer, depth);
        inline_first = false;
        if (object) {
            put_text(writer, NULL, json_key(child));
            put(writer, ":");
        } else {
            put(writer, "-");
        }
        put_value(writer, child, depth + 1, !object);
    }
}

int spec_write(const struct spec *spec, enum spec_format format, struct buffer *out, struct error *err)
{
    struct buffer json;
    struct json *tree = spec_to_json(spec, false);
    if (!tree)
        return error_set(err, ERROR_NO_MEMORY, "no memory to write the spec");
    buffer_init(&json, 0);
    int result = json_print(tree, JSON_PRETTY, &json, err); /* also tells whether the tree is whole */
    struct yaml_writer writer = {.out = out};
    if (result == 0 && format == SPEC_YAML)
        put_block(&writer, tree, 0, false);
    else if (result == 0)
        writer.failed = buffer_append(out, json.data, json.length) != 0;
    if (result == 0 && writer.failed)
        result = error_set(err, ERROR_TOO_LARGE, "the spec does not fit where it is to be written");
    buffer_finish(&json);
    json_destroy(tree);
    return result;
}
