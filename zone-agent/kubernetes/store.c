/* What is watched of the cluster, trimmed to what is used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/driver_internal.h"

static const char *name_of(const struct json *object)
{
    return json_get_text(json_get(object, "metadata"), "name", "");
}

static size_t find(const struct kube_driver *driver, enum object_kind kind, const char *name)
{
    size_t i = 0;
    while (i < driver->object_count &&
           (driver->objects[i].kind != kind || strcmp(name_of(driver->objects[i].object), name) != 0))
        i++;
    return i;
}

static bool same(const struct json *a, const struct json *b)
{
    struct buffer one, other;
    buffer_init(&one, 0);
    buffer_init(&other, 0);
    bool equal = json_print(a, JSON_COMPACT, &one, NULL) == 0 &&
                 json_print(b, JSON_COMPACT, &other, NULL) == 0 &&
                 strcmp(buffer_text(&one), buffer_text(&other)) == 0;
    buffer_finish(&one);
    buffer_finish(&other);
    return equal;
}

static bool make_room(struct kube_driver *driver)
{
    if (driver->object_count < driver->object_room)
        return true;
    size_t room = driver->object_room ? 2 * driver->object_room : 32;
    struct stored *grown = room > STORE_OBJECTS_MAX ? NULL : realloc(driver->objects, room * sizeof *grown);
    if (!grown) {
        driver->overfull = true;
        return false;
    }
    driver->objects = grown;
    driver->object_room = room;
    return true;
}

/* So that the agent can tell "somebody deleted it" from "it was never there". */
static void remember_it_was_there(struct kube_driver *driver, enum object_kind kind,
                                  const struct json *object)
{
    const struct json *labels = json_get(json_get(object, "metadata"), "labels");
    const char *ordinal = json_get_text(labels, LABEL_ORDINAL, "");
    if (kind == OBJECT_POD || kind == OBJECT_NODE || !*ordinal)
        return;
    struct note *note = driver_note(driver, json_get_text(labels, LABEL_SET, ""), atoi(ordinal));
    if (note && kind == OBJECT_VOLUME)
        note->had_volume = true;
    if (note && kind == OBJECT_CLAIM)
        note->had_claim = true;
    if (note && kind == OBJECT_SERVICE)
        note->had_service = true;
    if (note && kind == OBJECT_CONTROLLER)
        note->had_controller = true;
}

void store_put(struct kube_driver *driver, enum object_kind kind, const struct json *object)
{
    struct json *trimmed = holdings_trim(kind, object);
    size_t at = trimmed ? find(driver, kind, name_of(trimmed)) : 0;
    if (!trimmed || (at == driver->object_count && !make_room(driver))) {
        json_destroy(trimmed);
        return;
    }
    bool is_new = at == driver->object_count;
    if (!is_new && same(driver->objects[at].object, trimmed)) {
        driver->objects[at].seen = true;
        json_destroy(trimmed);
        return;
    }
    if (is_new)
        driver->object_count++;
    else
        json_destroy(driver->objects[at].object);
    driver->objects[at] = (struct stored){kind, trimmed, true, ++driver->last_version};
    remember_it_was_there(driver, kind, trimmed);
    driver_changed(driver);
}

uint64_t store_version(const struct kube_driver *driver, enum object_kind kind, const char *name)
{
    size_t at = find(driver, kind, name);
    return at < driver->object_count ? driver->objects[at].version : 0;
}

static void remove_at(struct kube_driver *driver, size_t at)
{
    json_destroy(driver->objects[at].object);
    driver->objects[at] = driver->objects[--driver->object_count];
    driver_changed(driver);
}

void store_remove(struct kube_driver *driver, enum object_kind kind, const char *name)
{
    size_t at = find(driver, kind, name);
    if (at < driver->object_count)
        remove_at(driver, at);
}

/* ---- the watches ---- */

static void on_list_start(void *context)
{
    struct watched *watched = context;
    for (size_t i = 0; i < watched->driver->object_count; i++)
        if (watched->driver->objects[i].kind == watched->kind)
            watched->driver->objects[i].seen = false;
}

static void on_object(void *context, enum kube_event event, const struct json *object)
{
    struct watched *watched = context;
    if (event == KUBE_DELETED)
        store_remove(watched->driver, watched->kind, name_of(object));
    else
        store_put(watched->driver, watched->kind, object);
}

static void on_listed(void *context)
{
    struct watched *watched = context;
    struct kube_driver *driver = watched->driver;
    for (size_t i = driver->object_count; i-- > 0;)
        if (driver->objects[i].kind == watched->kind && !driver->objects[i].seen)
            remove_at(driver, i);
    watched->listed = true;
    driver_changed(driver);
}

static void on_problem(void *context, const struct error *err)
{
    struct watched *watched = context;
    snprintf(watched->problem, sizeof watched->problem, "%s", err ? err->message : "");
    watched->problem_code = err ? err->code : ERROR_NONE;
    char sentence[ERROR_MESSAGE_MAX + 64];
    snprintf(sentence, sizeof sentence, err ? "%ss can't be watched: %s" : "%ss are watched again%s",
             object_kind_name(watched->kind), err ? err->message : "");
    watched->driver->note(watched->driver->events.context, err != NULL, sentence);
    driver_changed(watched->driver);
}

int store_watch(struct kube_driver *driver, enum object_kind kind, struct error *err)
{
    struct watched *watched = &driver->watches[kind];
    char path[OBJECT_PATH_MAX], selector[2 * NAME_LENGTH_MAX + 64];
    struct object_zone zone = {
        .namespace_ = driver->namespace_, .major = driver->server.major, .minor = driver->server.minor};
    if (watched->watch)
        return 0;
    object_path(kind, &zone, NULL, path);
    snprintf(selector, sizeof selector, LABEL_FEDERATION "," LABEL_ZONE "=%s", driver->zone);
    *watched = (struct watched){.driver = driver, .kind = kind};
    const struct kube_watch_options options = {.path = path,
                                               .label_selector = kind == OBJECT_NODE ? NULL : selector,
                                               .on_list_start = on_list_start,
                                               .on_object = on_object,
                                               .on_listed = on_listed,
                                               .on_problem = on_problem,
                                               .context = watched};
    watched->watch = kube_watch_start(driver->client, &options, err);
    return watched->watch ? 0 : -1;
}

bool store_is_complete(const struct kube_driver *driver)
{
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        const struct watched *watched = &driver->watches[i];
        if (i == OBJECT_SECRET)
            continue; /* written, and looked at by name: see secret_looks.c */
        if (watched->watch ? !watched->listed : i != OBJECT_VOLUME || *driver->project)
            return false;
    }
    return driver->discovered && !driver->overfull;
}

const struct watched *store_problem(const struct kube_driver *driver)
{
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++)
        if (driver->watches[i].watch && *driver->watches[i].problem)
            return &driver->watches[i];
    return NULL;
}

void store_finish(struct kube_driver *driver)
{
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++)
        kube_watch_stop(driver->watches[i].watch);
    for (size_t i = 0; i < driver->object_count; i++)
        json_destroy(driver->objects[i].object);
    free(driver->objects);
    driver->objects = NULL;
    driver->object_count = 0;
}
