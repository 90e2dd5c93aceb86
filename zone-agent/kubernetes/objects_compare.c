/* What the cluster holds beside what we would apply: whose it is, and what of ours differs. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/objects.h"

enum { PLACE_MAX = 128 };

double object_quantity(const char *text)
{
    static const struct {
        const char *suffix;
        double thousandths;
    } known[] = {
        {"", 1e3},   {"m", 1},       {"k", 1e6},        {"M", 1e9},           {"G", 1e12},
        {"T", 1e15}, {"Ki", 1024e3}, {"Mi", 1048576e3}, {"Gi", 1073741824e3}, {"Ti", 1099511627776e3}};
    char *end;
    if (!text || !isdigit((unsigned char)*text))
        return -1;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].suffix, end) == 0)
            return number * known[i].thousandths;
    return -1;
}

static bool same_text(const char *wanted, const char *live, bool quantities)
{
    if (strcmp(wanted, live) == 0)
        return true;
    double a = object_quantity(wanted), b = object_quantity(live);
    return quantities && a >= 0 && a == b;
}

static void describe(const struct json *value, char out[PLACE_MAX])
{
    struct buffer text;
    buffer_init(&text, 0);
    if (!value || json_print(value, JSON_COMPACT, &text, NULL))
        snprintf(out, PLACE_MAX, "missing");
    else
        snprintf(out, PLACE_MAX, "%.80s", buffer_text(&text));
    buffer_finish(&text);
}

static bool differs(const struct json *wanted, const struct json *live, const char *place,
                    char where[static 256])
{
    char is[PLACE_MAX], meant[PLACE_MAX];
    describe(live, is);
    describe(wanted, meant);
    snprintf(where, 256, "%s is %s, not %s", place, is, meant);
    return false;
}

static bool matches(const struct json *wanted, const struct json *live, const char *place, bool quantities,
                    char where[static 256]);

/* The key by which Kubernetes tells a list's items apart; NULL: the list is one value. */
static const char *key_of(const struct json *list)
{
    const struct json *item = json_first(list);
    return json_text(json_get(item, "name")) ? "name" : NULL;
}

static const struct json *find_named(const struct json *list, const char *name)
{
    for (const struct json *item = json_first(list); item; item = json_next(item))
        if (strcmp(json_get_text(item, "name", ""), name) == 0)
            return item;
    return NULL;
}

static bool list_matches(const struct json *wanted, const struct json *live, const char *place,
                         char where[static 256])
{
    const char *key = key_of(wanted);
    char here[PLACE_MAX];
    if (!json_is_array(live) || (!key && json_count(wanted) != json_count(live)))
        return differs(wanted, live, place, where);
    const struct json *beside = json_first(live);
    size_t index = 0;
    for (const struct json *item = json_first(wanted); item; item = json_next(item), index++) {
        const struct json *other = key ? find_named(live, json_get_text(item, key, "")) : beside;
        snprintf(here, sizeof here, "%.110s[%zu]", place, index);
        if (!matches(item, other, here, false, where))
            return false;
        beside = beside ? json_next(beside) : NULL;
    }
    return true;
}

static bool object_holds(const struct json *wanted, const struct json *live, const char *place,
                         char where[static 256])
{
    char here[PLACE_MAX];
    bool quantities = strstr(place, "requests") || strstr(place, "limits") || strstr(place, "capacity");
    if (!json_is_object(live))
        return differs(wanted, live, place, where);
    for (const struct json *value = json_first(wanted); value; value = json_next(value)) {
        snprintf(here, sizeof here, "%.80s%s%.40s", place, *place ? "." : "", json_key(value));
        if (!matches(value, json_get(live, json_key(value)), here, quantities, where))
            return false;
    }
    return true;
}

static bool matches(const struct json *wanted, const struct json *live, const char *place, bool quantities,
                    char where[static 256])
{
    if (json_is_object(wanted))
        return object_holds(wanted, live, place, where);
    if (json_is_array(wanted))
        return list_matches(wanted, live, place, where);
    bool same = false;
    if (json_is_string(wanted))
        same = live ? json_is_string(live) && same_text(json_text(wanted), json_text(live), quantities)
                    : !*json_text(wanted); /* the server leaves out what is empty */
    else if (json_is_number(wanted))
        same = json_is_number(live) && json_number(wanted) == json_number(live);
    else if (json_is_bool(wanted)) /* the server leaves out what is false */
        same = json_truth(wanted) == json_truth(live);
    return same || differs(wanted, live, place, where);
}

bool object_matches(const struct json *wanted, const struct json *live, char where[static 256])
{
    const struct json *ours = json_get(wanted, "metadata"), *theirs = json_get(live, "metadata");
    const struct json *labels = json_get(ours, "labels"), *annotations = json_get(ours, "annotations");
    return (!labels || matches(labels, json_get(theirs, "labels"), "metadata.labels", false, where)) &&
           (!annotations ||
            matches(annotations, json_get(theirs, "annotations"), "metadata.annotations", false, where)) &&
           matches(json_get(wanted, "spec"), json_get(live, "spec"), "spec", false, where);
}

static bool is_managed(const struct json *live)
{
    const struct json *list = json_get(json_get(live, "metadata"), "managedFields");
    for (const struct json *entry = json_first(list); entry; entry = json_next(entry))
        if (strcmp(json_get_text(entry, "manager", ""), "atoll") == 0)
            return true;
    return false;
}

bool object_is_ours(const struct json *live, const struct object_zone *zone,
                    const struct intent_member *member, bool shared)
{
    char ordinal[16];
    snprintf(ordinal, sizeof ordinal, "%d", member->ordinal);
    const struct {
        const char *label, *value;
    } expected[] = {{LABEL_FEDERATION, zone->federation},
                    {LABEL_ZONE, zone->zone},
                    {LABEL_SET, member->set},
                    {LABEL_ORDINAL, shared ? NULL : ordinal}};
    const struct json *labels = json_get(json_get(live, "metadata"), "labels");
    bool all = true;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *value = json_get_text(labels, expected[i].label, NULL);
        if (!expected[i].value)
            continue;
        if (value && strcmp(value, expected[i].value))
            return false; /* of another federation, zone or member */
        all = all && value;
    }
    return all || is_managed(live);
}
