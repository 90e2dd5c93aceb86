/* Sentences with placeholders: see sentence.h. */
#include "controller/decide/sentence.h"

#include <stddef.h>
#include <string.h>

enum { SENTENCE_LENGTH_MAX = 1000 };

static const struct {
    const char *name;
    size_t offset;
} placeholders[] = {
    {"{set}", offsetof(struct sentence_values, set)},
    {"{member}", offsetof(struct sentence_values, member)},
    {"{zone}", offsetof(struct sentence_values, zone)},
    {"{host}", offsetof(struct sentence_values, host)},
    {"{old}", offsetof(struct sentence_values, old)},
    {"{state}", offsetof(struct sentence_values, state)},
    {"{detail}", offsetof(struct sentence_values, detail)},
    {"{list}", offsetof(struct sentence_values, list)},
    {"zones {zones}", offsetof(struct sentence_values, counted_zones)},
};
static const char BEGINNINGS[] = "{z"; /* of their names */

/* The value of the placeholder that `text` begins with, and the placeholder's length; NULL when there is
 * none. */
static const char *value_at(const char *text, const struct sentence_values *values, size_t *length)
{
    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
        size_t own = strlen(placeholders[i].name);
        if (strncmp(text, placeholders[i].name, own) == 0) {
            const char *value;
            memcpy(&value, (const char *)values + placeholders[i].offset, sizeof value);
            *length = own;
            return value ? value : "";
        }
    }
    return NULL;
}

const char *sentence_write(struct arena *arena, const char *pattern, const struct sentence_values *values)
{
    char text[SENTENCE_LENGTH_MAX];
    size_t used = 0;
    while (*pattern && used < sizeof text - 1) {
        size_t length = strcspn(pattern + 1, BEGINNINGS) +
                        1; /* up to where the next placeholder may begin, if here is none */
        const char *value = strchr(BEGINNINGS, *pattern) ? value_at(pattern, values, &length) : NULL;
        size_t take = value ? strlen(value) : length, room = sizeof text - 1 - used;
        if (take > room)
            take = room;
        memcpy(text + used, value ? value : pattern, take);
        used += take;
        pattern += length;
    }
    while (used && text[used - 1] == ' ')
        used--;
    return arena_string_n(arena, text, used);
}
