/* The ring of entries: see journal.h. */
#include "controller/journal/journal.h"

#include <stdlib.h>
#include <string.h>

#include "config/spec_read.h"

void journal_init(struct journal *journal)
{
    memset(journal, 0, sizeof *journal);
}

/* ---- specs: one for many entries ---- */

static struct journal_spec *find_spec(const struct journal *journal, int64_t revision)
{
    struct journal_spec *spec = journal->specs;
    while (spec && spec->revision != revision)
        spec = spec->next;
    return spec;
}

static bool zone_has_member(const struct spec_set *set, const char *zone)
{
    for (size_t i = 0; i < set->member_count; i++)
        if (strcmp(set->members[i].zone, zone) == 0)
            return true;
    return false;
}

/* A federation of this set alone. */
static int write_spec(const struct plan_input *input, struct buffer *out, struct error *err)
{
    struct arena arena;
    struct spec part = *input->spec;
    arena_init(&arena, 0);
    struct spec_zone *zones = arena_array(&arena, input->spec->zone_count, sizeof *zones);
    part.zone_count = 0;
    for (size_t i = 0; zones && i < input->spec->zone_count; i++)
        if (zone_has_member(input->set, input->spec->zones[i].name))
            zones[part.zone_count++] = input->spec->zones[i];
    part.zones = zones;
    part.sets = input->set;
    part.set_count = 1;
    int result = arena_failed(&arena) ? error_set(err, ERROR_NO_MEMORY, "no memory for the journal")
                                      : spec_write(&part, SPEC_JSON, out, err);
    arena_finish(&arena);
    return result;
}

static char *keep(const struct buffer *text)
{
    char *copy = malloc(text->length + 1);
    if (copy) {
        memcpy(copy, buffer_text(text), text->length);
        copy[text->length] = '\0';
    }
    return copy;
}

static int record_spec(struct journal *journal, const struct plan_input *input, int64_t revision,
                       struct error *err)
{
    struct buffer text;
    if (find_spec(journal, revision))
        return 0;
    struct journal_spec *spec = calloc(1, sizeof *spec);
    if (!spec)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the journal");
    buffer_init(&text, 0);
    int result = write_spec(input, &text, err);
    char *copy = result ? NULL : keep(&text);
    *spec = (struct journal_spec){journal->specs, revision, copy, text.length};
    buffer_finish(&text);
    if (!copy) {
        free(spec);
        return result ? -1 : error_set(err, ERROR_NO_MEMORY, "no memory for the journal");
    }
    journal->specs = spec;
    journal->bytes += spec->length;
    return 0;
}

static bool spec_is_used(const struct journal *journal, int64_t revision)
{
    for (size_t i = 0; i < journal->count; i++)
        if (journal->items[(journal->first + i) % JOURNAL_ENTRIES_MAX].revision == revision)
            return true;
    return false;
}

static void drop_unused_specs(struct journal *journal)
{
    struct journal_spec **at = &journal->specs;
    while (*at) {
        struct journal_spec *spec = *at;
        if (spec_is_used(journal, spec->revision)) {
            at = &spec->next;
            continue;
        }
        *at = spec->next;
        journal->bytes -= spec->length;
        free(spec->text);
        free(spec);
    }
}

/* ---- entries ---- */

static void drop_first(struct journal *journal)
{
    struct journal_item *item = &journal->items[journal->first];
    journal->bytes -= item->length;
    free(item->text);
    *item = (struct journal_item){0};
    journal->first = (journal->first + 1) % JOURNAL_ENTRIES_MAX;
    journal->count--;
    journal->dropped++;
    drop_unused_specs(journal);
}

void journal_finish(struct journal *journal)
{
    while (journal->count)
        drop_first(journal);
    drop_unused_specs(journal);
    journal_init(journal);
}

static int add(struct journal *journal, struct buffer *text, int64_t revision, size_t bytes_most,
               struct error *err)
{
    const struct journal_spec *spec = find_spec(journal, revision);
    if (text->length + spec->length > bytes_most)
        return error_set(err, ERROR_TOO_LARGE,
                         "an entry of the journal has %zu bytes, %zu are allowed (JOURNAL_BYTES_MAX)",
                         text->length + spec->length, bytes_most);
    char *copy = keep(text);
    if (!copy)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the journal");
    if (journal->count == JOURNAL_ENTRIES_MAX)
        drop_first(journal);
    journal->items[(journal->first + journal->count++) % JOURNAL_ENTRIES_MAX] =
        (struct journal_item){copy, text->length, revision};
    journal->bytes += text->length;
    while (journal->bytes > bytes_most && journal->count > 1)
        drop_first(journal);
    return 0;
}

int journal_record(struct journal *journal, const struct plan_input *input, int64_t revision,
                   const struct plan *plan, size_t bytes_most, struct error *err)
{
    const struct entry_stamp stamp = {++journal->recorded, revision};
    struct buffer text;
    buffer_init(&text, 0);
    struct json *json = entry_write(&stamp, input, plan);
    int result = record_spec(journal, input, revision, err);
    if (result == 0)
        result = json_print(json, JSON_COMPACT, &text, err);
    if (result == 0)
        result = add(journal, &text, revision, bytes_most, err);
    json_destroy(json);
    buffer_finish(&text);
    if (result) {
        journal->dropped++;
        drop_unused_specs(journal);
    }
    return result;
}

/* ---- the document ---- */

/* Texts that are JSON already are put in as they are, so that a journal of a megabyte is no tree of a
 * hundred. */
static int append_specs(const struct journal *journal, struct buffer *out)
{
    int failed = buffer_append_text(out, ",\"specs\":[");
    for (const struct journal_spec *spec = journal->specs; spec; spec = spec->next) {
        failed |= buffer_printf(out, "%s{\"revision\":%lld,\"spec\":", spec == journal->specs ? "" : ",",
                                (long long)spec->revision);
        failed |= buffer_append(out, spec->text, spec->length);
        failed |= buffer_append_text(out, "}");
    }
    return failed | buffer_append_text(out, "]");
}

static int append_entries(const struct journal *journal, struct buffer *out)
{
    int failed = buffer_append_text(out, ",\"entries\":[");
    for (size_t i = 0; i < journal->count; i++) {
        const struct journal_item *item = &journal->items[(journal->first + i) % JOURNAL_ENTRIES_MAX];
        failed |= buffer_append_text(out, i ? ",\n" : "\n");
        failed |= buffer_append(out, item->text, item->length);
    }
    return failed | buffer_append_text(out, "]}\n");
}

static int append_head(const struct journal *journal, const struct journal_head *head, struct buffer *out,
                       struct error *err)
{
    struct json *json = json_object();
    struct buffer text;
    buffer_init(&text, 0);
    json_set_string(json, "apiVersion", JOURNAL_API_VERSION);
    json_set_string(json, "kind", JOURNAL_KIND);
    json_set_string(json, "federation", head->federation);
    json_set_string(json, "set", head->set);
    json_set_string(json, "version", head->version);
    json_set_time(json, "startedAt", head->started_at_ms);
    json_set_int(json, "recorded", journal->recorded);
    json_set_int(json, "dropped", journal->dropped);
    int result = json_print(json, JSON_COMPACT, &text, err);
    if (result == 0 && buffer_append(out, text.data, text.length - 1)) /* its brace closes the whole */
        result = error_set(err, ERROR_NO_MEMORY, "no memory for the journal");
    json_destroy(json);
    buffer_finish(&text);
    return result;
}

int journal_write(const struct journal *journal, const struct journal_head *head, struct buffer *out,
                  struct error *err)
{
    if (append_head(journal, head, out, err))
        return -1;
    if (append_specs(journal, out) || append_entries(journal, out))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the journal");
    return 0;
}
