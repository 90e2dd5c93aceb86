/* The disk below the controller's store: a write is durable when it returned, and one that was cut off is
 * there as a whole or not at all, nobody knows which. What the records say is written and read by the real
 * act/records.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static struct brain *brain_of(struct store *store)
{
    return (struct brain *)store; /* it is the first member */
}

static void image_put(struct disk_image *image, const struct store_record *record)
{
    size_t at = 0;
    while (at < image->count && strcmp(image->records[at].key, record->key) != 0)
        at++;
    assert(at < RECORDS_MAX);
    struct record *kept = &image->records[at];
    if (at == image->count) {
        image->count++;
        *kept = (struct record){.data = NULL};
        snprintf(kept->key, sizeof kept->key, "%s", record->key);
    }
    free(kept->data);
    kept->data = malloc(record->length + 1);
    assert(kept->data);
    memcpy(kept->data, record->data, record->length);
    kept->data[record->length] = 0;
    kept->length = record->length;
}

void image_finish(struct disk_image *image)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->records[i].data);
    image->count = 0;
    image->authority = (struct authority){.issuer = 0};
}

void image_copy(struct disk_image *to, const struct disk_image *from)
{
    image_finish(to);
    to->authority = from->authority;
    for (size_t i = 0; i < from->count; i++) {
        struct store_record record = {from->records[i].key, from->records[i].data, from->records[i].length};
        image_put(to, &record);
    }
}

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    (void)err;
    const struct disk_image *image = &brain_of(store)->image;
    struct store_record *records = arena_array(arena, RECORDS_MAX, sizeof *records);
    for (size_t i = 0; i < image->count; i++)
        records[i] =
            (struct store_record){arena_string(arena, image->records[i].key),
                                  arena_string_n(arena, image->records[i].data, image->records[i].length),
                                  image->records[i].length};
    *out = records;
    *count = image->count;
    return 0;
}

static int write_records(struct store *store, const struct store_record *records, size_t count,
                         struct error *err)
{
    struct brain *brain = brain_of(store);
    struct world *world = brain->world;
    bool alive = brain_effect(brain), refused = brain->fails > 0;
    bool kept = (alive && !refused) || (!brain->dying_before && chance_of(&world->chance, 50));
    for (size_t i = 0; i < count && kept; i++)
        image_put(&brain->image, &records[i]);
    if (!alive)
        return error_set(err, ERROR_IO, "the machine went down");
    return refused ? error_set(err, ERROR_IO, "the disk is full") : 0;
}

const struct store_functions vault_functions = {.load = load, .write = write_records};
