/* What changed between two specs, in lines for people. Both are written out whole, with all defaults, and
 * compared key by key: so no key can be forgotten here, and a default that is written out is no change. */
#include <stdio.h>
#include <string.h>

#include "config/spec_fields.h"

enum { PATH_LENGTH_MAX = 300, VALUE_MAX = 200 };

struct differ {
    struct buffer *out;
    size_t lines;
};

static void say(struct differ *differ, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct differ *differ, const char *path, const char *format, ...)
{
    char text[2 * VALUE_MAX + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_printf(differ->out, "%s%s%s\n", path, *path ? ": " : "", text);
    differ->lines++;
}

/* A value as people would write it, cut when it is long. */
static void value_text(const struct json *value, char text[VALUE_MAX])
{
    struct buffer buffer;
    buffer_init(&buffer, 0);
    const char *plain = json_text(value);
    if (!plain && !json_print(value, JSON_COMPACT, &buffer, NULL))
        plain = buffer_text(&buffer);
    if (!plain || snprintf(text, VALUE_MAX, "%s", *plain ? plain : "(none)") >= VALUE_MAX)
        strcpy(text + VALUE_MAX - 4, "...");
    if (!plain)
        strcpy(text, "?");
    buffer_finish(&buffer);
}

static bool same(const struct json *a, const struct json *b)
{
    struct buffer left, right;
    buffer_init(&left, 0);
    buffer_init(&right, 0);
    bool equal = !json_print(a, JSON_COMPACT, &left, NULL) && !json_print(b, JSON_COMPACT, &right, NULL) &&
                 strcmp(buffer_text(&left), buffer_text(&right)) == 0;
    buffer_finish(&left);
    buffer_finish(&right);
    return equal;
}

static void diff_map(struct differ *differ, const char *path, const char *prefix, const struct json *before,
                     const struct json *after);

/* What an item of a list is known by: "zone us-east1-b", "set mongo", "member 3". */
static void item_name(const struct json *item, char text[PATH_LENGTH_MAX])
{
    if (json_get(item, "ordinal"))
        snprintf(text, PATH_LENGTH_MAX, "member %d", (int)json_get_int(item, "ordinal", 0));
    else
        snprintf(text, PATH_LENGTH_MAX, "%s %s", json_get(item, "driver") ? "zone" : "set",
                 json_get_text(item, "name", ""));
}

static const struct json *find_item(const struct json *list, const struct json *like)
{
    char wanted[PATH_LENGTH_MAX], have[PATH_LENGTH_MAX];
    item_name(like, wanted);
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        item_name(item, have);
        if (strcmp(wanted, have) == 0)
            return item;
    }
    return NULL;
}

static void say_item(struct differ *differ, const char *path, const struct json *item, const char *what)
{
    char name[PATH_LENGTH_MAX];
    const struct json *members = json_get(item, "members");
    item_name(item, name);
    if (members)
        say(differ, path, "%s with %zu member%s %s", name, json_count(members),
            json_count(members) == 1 ? "" : "s", what);
    else if (json_get(item, "ordinal"))
        say(differ, path, "%s: zone %s %s", name, json_get_text(item, "zone", "?"), what);
    else
        say(differ, path, "%s %s", name, what);
}

static void diff_items(struct differ *differ, const char *path, const struct json *before,
                       const struct json *after)
{
    for (const struct json *item = json_first(before); item; item = json_next(item))
        if (!find_item(after, item))
            say_item(differ, path, item, "removed");
    for (const struct json *item = json_first(after); item; item = json_next(item)) {
        char name[PATH_LENGTH_MAX], inner[2 * PATH_LENGTH_MAX + 4];
        const struct json *old = find_item(before, item);
        item_name(item, name);
        snprintf(inner, sizeof inner, "%s%s%s", path, *path ? ": " : "", name);
        if (old)
            diff_map(differ, inner, "", old, item);
        else
            say_item(differ, path, item, "added");
    }
}

static bool has_items(const struct json *list)
{
    return json_is_array(list) && json_is_object(json_first(list));
}

static void diff_value(struct differ *differ, const char *path, const char *key, const struct json *before,
                       const struct json *after)
{
    char old[VALUE_MAX], new[VALUE_MAX];
    if (json_is_object(before) && json_is_object(after)) {
        diff_map(differ, path, key, before, after);
    } else if (has_items(before) || has_items(after)) {
        diff_items(differ, path, before, after);
    } else if (!before) {
        value_text(after, new);
        say(differ, path, "%s %s added", key, new);
    } else if (!after) {
        value_text(before, old);
        say(differ, path, "%s %s removed", key, old);
    } else if (!same(before, after)) {
        value_text(before, old);
        value_text(after, new);
        say(differ, path, "%s %s -> %s", key, old, new);
    }
}

/* Depth is that of a spec. */
static void diff_map(struct differ *differ, const char *path, const char *prefix, const struct json *before,
                     const struct json *after)
{
    char key[PATH_LENGTH_MAX];
    for (const struct json *value = json_first(before); value; value = json_next(value)) {
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", json_key(value));
        diff_value(differ, path, key, value, json_get(after, json_key(value)));
    }
    for (const struct json *value = json_first(after); value; value = json_next(value)) {
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", json_key(value));
        if (!json_get(before, json_key(value)))
            diff_value(differ, path, key, NULL, value);
    }
}

size_t spec_diff(const struct spec *before, const struct spec *after, struct buffer *out)
{
    struct differ differ = {.out = out};
    struct spec nothing = spec_default();
    struct json *old = spec_to_json(before ? before : &nothing, true), *new = spec_to_json(after, true);
    if (!before)
        say(&differ, "", "federation %s added", after->name);
    else if (strcmp(before->name, after->name) != 0)
        say(&differ, "", "metadata.name %s -> %s", before->name, after->name);
    if (old && new)
        diff_map(&differ, "", "", json_get(old, "spec"), json_get(new, "spec"));
    else
        say(&differ, "", "no memory to compare");
    json_destroy(old);
    json_destroy(new);
    return differ.lines;
}
