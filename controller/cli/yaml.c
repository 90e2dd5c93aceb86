/* A JSON value as YAML: see yaml.h. Strings are quoted as JSON does it, which YAML reads alike
 * (YAML 1.2, 7.3.1); only plain words that can be nothing else stand bare. */
#include "controller/cli/yaml.h"

#include <ctype.h>
#include <string.h>

#include "controller/cli/text.h"

static bool is_plain_word(const char *text)
{
    static const char *const taken[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", NULL};
    if (!isalpha((unsigned char)*text))
        return false;
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_./", *at))
            return false;
    for (size_t i = 0; taken[i]; i++)
        if (strcasecmp(text, taken[i]) == 0)
            return false;
    return true;
}

static void write_scalar(const struct json *json, struct buffer *out)
{
    const char *text = json_text(json);
    if (text && is_plain_word(text)) {
        buffer_append_text(out, text);
        return;
    }
    struct buffer plain;
    buffer_init(&plain, 0);
    json_print(json, JSON_COMPACT, &plain, NULL);
    text_escape_json(buffer_text(&plain), out);
    buffer_finish(&plain);
}

static void write_key(const char *key, struct buffer *out)
{
    struct json *name = json_string(key);
    if (name)
        write_scalar(name, out);
    buffer_append_text(out, ":");
    json_destroy(name);
}

static void write_value(const struct json *json, int indent, bool after_dash, struct buffer *out);

static void write_children(const struct json *json, int indent, bool after_dash, struct buffer *out)
{
    bool array = json_is_array(json);
    for (const struct json *child = json_first(json); child; child = json_next(child)) {
        if (!after_dash)
            buffer_printf(out, "%*s", indent, "");
        after_dash = false;
        if (array)
            buffer_append_text(out, "-");
        else
            write_key(json_key(child), out);
        write_value(child, indent, array, out);
    }
}

/* What stands behind a key or a dash: a scalar on the same line, or children on the next ones. */
static void write_value(const struct json *json, int indent, bool after_dash, struct buffer *out)
{
    bool container = json_is_array(json) || json_is_object(json);
    if (!container || json_count(json) == 0) {
        buffer_append_text(out, " ");
        write_scalar(json, out);
        buffer_append_text(out, "\n");
    } else if (after_dash) {
        buffer_append_text(out, " ");
        write_children(json, indent + 2, true, out);
    } else {
        buffer_append_text(out, "\n");
        write_children(json, indent + 2, false, out);
    }
}

void yaml_write(const struct json *json, struct buffer *out)
{
    bool container = json_is_array(json) || json_is_object(json);
    if (container && json_count(json)) {
        write_children(json, 0, false, out);
    } else {
        write_scalar(json, out);
        buffer_append_text(out, "\n");
    }
}
