/* The addresses of a cluster's own pods and nodes, few enough for a Service's list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/holdings.h"

enum { OWN_RANGES_MAX = RANGES_MAX / 2, NODES_READ_MAX = 4096 };

struct range {
    uint32_t address;
    int prefix;
};

static uint32_t mask_of(int prefix)
{
    return prefix <= 0 ? 0 : ~UINT32_C(0) << (32 - prefix);
}

static bool read_range(const char *text, struct range *out)
{
    unsigned a, b, c, d, prefix;
    char rest;
    if (sscanf(text, "%3u.%3u.%3u.%3u/%2u%c", &a, &b, &c, &d, &prefix, &rest) != 5 || a > 255 || b > 255 ||
        c > 255 || d > 255 || prefix > 32)
        return false;
    out->prefix = (int)prefix;
    out->address = (a << 24 | b << 16 | c << 8 | d) & mask_of(out->prefix);
    return true;
}

static int compare(const void *one, const void *other)
{
    const struct range *a = one, *b = other;
    return a->address != b->address ? (a->address > b->address) - (a->address < b->address)
                                    : a->prefix - b->prefix;
}

/* Sorted, with what lies within another left out. */
static size_t tidy(struct range *ranges, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(ranges, count, sizeof *ranges, compare);
    for (size_t i = 0; i < count; i++) {
        const struct range *last = kept ? &ranges[kept - 1] : NULL;
        if (!last || last->prefix > ranges[i].prefix ||
            (ranges[i].address & mask_of(last->prefix)) != last->address)
            ranges[kept++] = ranges[i];
    }
    return kept;
}

/* More than a list holds: prefixes get shorter, which lets in neighbours of the same private network. */
static size_t fold(struct range *ranges, size_t count)
{
    for (int longest = 31; count > OWN_RANGES_MAX && longest >= 8; longest--) {
        for (size_t i = 0; i < count; i++)
            if (ranges[i].prefix > longest) {
                ranges[i].prefix = longest;
                ranges[i].address &= mask_of(longest);
            }
        count = tidy(ranges, count);
    }
    return count > OWN_RANGES_MAX ? OWN_RANGES_MAX : count;
}

size_t holdings_own_ranges(const struct holdings_input *input, struct arena *arena, const char *const **out)
{
    struct range *ranges = arena_array(arena, NODES_READ_MAX, sizeof *ranges);
    const char **texts = arena_array(arena, OWN_RANGES_MAX, sizeof *texts);
    size_t count = 0;
    *out = texts;
    for (size_t i = 0; ranges && texts && i < input->object_count; i++) {
        if (input->objects[i].kind != OBJECT_NODE)
            continue;
        const struct json *own = json_get(input->objects[i].object, "own");
        for (const struct json *text = json_first(own); text && count < NODES_READ_MAX;
             text = json_next(text))
            count += read_range(json_text(text), &ranges[count]);
    }
    if (!ranges || !texts)
        return 0;
    count = fold(ranges, tidy(ranges, count));
    for (size_t i = 0; i < count; i++)
        texts[i] =
            arena_printf(arena, "%u.%u.%u.%u/%d", ranges[i].address >> 24, ranges[i].address >> 16 & 255,
                         ranges[i].address >> 8 & 255, ranges[i].address & 255, ranges[i].prefix);
    return count;
}
