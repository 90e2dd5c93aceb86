/* The planner over a journal: see replay.h. */
#include "controller/journal/replay.h"

#include <string.h>

#include "config/spec_read.h"
#include "controller/journal/journal.h"

/* ---- opening ---- */

static int read_spec(struct replay *replay, const struct json *json, size_t place, struct error *err)
{
    struct replay_spec *spec = &replay->specs[place];
    struct spec_problems *problems = arena_alloc(&replay->arena, sizeof *problems);
    struct buffer text;
    int result = -1;
    buffer_init(&text, SPEC_BYTES_MAX);
    if (!problems)
        error_set(err, ERROR_NO_MEMORY, "no memory for specs[%zu]", place);
    else if (json_read_int(json, "revision", JSON_REQUIRED, 0, INT64_C(1) << 53, &spec->revision, err) ||
             !json_is_object(json_get(json, "spec")) ||
             json_print(json_get(json, "spec"), JSON_COMPACT, &text, err))
        error_set(err, ERROR_INVALID, "specs[%zu]: must be {\"revision\", \"spec\"}", place);
    else if (spec_read(&(struct spec_source){"spec", text.data, text.length}, 1, &replay->arena, &spec->spec,
                       problems))
        error_set(err, ERROR_INVALID, "specs[%zu].spec: %s", place,
                  problems->count ? problems->items[0].message : "is no federation");
    else if (!(spec->set = spec_find_set(&spec->spec, replay->set)))
        error_set(err, ERROR_INVALID, "specs[%zu].spec: has no set %.*s", place, NAME_LENGTH_MAX,
                  replay->set);
    else
        result = 0;
    buffer_finish(&text);
    return result;
}

static int read_specs(struct replay *replay, struct error *err)
{
    const struct json *list = NULL;
    if (json_read_array(replay->root, "specs", JSON_REQUIRED, REPLAY_SPECS_MAX, &list, err))
        return -1;
    replay->specs = arena_array(&replay->arena, json_count(list), sizeof *replay->specs);
    if (json_count(list) && !replay->specs)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the specs");
    for (const struct json *item = json_first(list); item; item = json_next(item))
        if (read_spec(replay, item, replay->spec_count++, err))
            return -1;
    return 0;
}

static int check_kind(const struct json *root, struct error *err)
{
    if (!json_is_object(root) || strcmp(json_get_text(root, "kind", ""), JOURNAL_KIND) != 0)
        return error_set(err, ERROR_INVALID, "is no journal: GET /v1/sets/{set}/journal gives one");
    if (strcmp(json_get_text(root, "apiVersion", ""), JOURNAL_API_VERSION) != 0)
        return error_set(err, ERROR_INVALID, "apiVersion: must be %s: was it written by a newer controller?",
                         JOURNAL_API_VERSION);
    return 0;
}

static int open_root(struct replay *replay, struct error *err)
{
    if (check_kind(replay->root, err) ||
        json_read_string(replay->root, "set", JSON_REQUIRED, &replay->arena, &replay->set, err) ||
        json_read_string(replay->root, "federation", JSON_OPTIONAL, &replay->arena, &replay->federation,
                         err) ||
        json_read_string(replay->root, "version", JSON_OPTIONAL, &replay->arena, &replay->version, err) ||
        json_read_array(replay->root, "entries", JSON_REQUIRED, REPLAY_ENTRIES_MAX, &replay->entries, err))
        return -1;
    replay->entry_count = json_count(replay->entries);
    return read_specs(replay, err);
}

int replay_open(const char *text, size_t length, struct replay *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, REPLAY_ARENA_BYTES);
    out->federation = out->version = "";
    out->root = json_parse(text, length, JOURNAL_DOCUMENT_BYTES_MAX, err);
    if (out->root && open_root(out, err) == 0)
        return 0;
    replay_close(out);
    return -1;
}

void replay_close(struct replay *replay)
{
    json_destroy(replay->root);
    arena_finish(&replay->arena);
    memset(replay, 0, sizeof *replay);
}

/* ---- one entry ---- */

static const struct replay_spec *spec_of(const struct replay *replay, int64_t revision)
{
    for (size_t i = 0; i < replay->spec_count; i++)
        if (replay->specs[i].revision == revision)
            return &replay->specs[i];
    return NULL;
}

/* The planner relies on one view for each member of the spec, in its order. */
static int check_views(const struct spec_set *set, const struct observation *observation, struct error *err)
{
    bool fits = observation->member_count == set->member_count;
    for (size_t i = 0; fits && i < set->member_count; i++)
        fits = observation->members[i].ordinal == set->members[i].ordinal;
    return fits ? 0
                : error_set(err, ERROR_INVALID,
                            "observation.members: must be those of the spec, in its order");
}

static int decide(const struct replay *replay, const struct json *entry, struct arena *arena,
                  struct replay_result *out, struct error *err)
{
    struct entry_input *input = arena_alloc(arena, sizeof *input);
    if (!input)
        return error_set(err, ERROR_NO_MEMORY, "no memory to replay it");
    if (entry_read(entry, replay->set, arena, &out->stamp, input, err))
        return -1;
    const struct replay_spec *spec = spec_of(replay, out->stamp.revision);
    if (!spec)
        return error_set(err, ERROR_INVALID, "revision: no spec %lld is in the journal",
                         (long long)out->stamp.revision);
    if (check_views(spec->set, &input->observation, err))
        return -1;
    out->now_ms = input->now_ms;
    out->set = spec->set;
    const struct plan_input plan_input = {.spec = &spec->spec,
                                          .set = spec->set,
                                          .observation = &input->observation,
                                          .ledger = &input->ledger,
                                          .previous = input->has_previous ? &input->previous : NULL,
                                          .now_ms = input->now_ms};
    return plan_set(&plan_input, arena, &out->plan, err);
}

int replay_entry(const struct replay *replay, const struct json *entry, size_t place, struct arena *arena,
                 struct replay_result *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    if (decide(replay, entry, arena, out, err))
        return error_wrap(err, "entries[%zu]", place);
    out->recorded = json_get(entry, "plan");
    struct json *decided = decision_write(&out->plan);
    out->difference_count = decided ? decision_compare(out->recorded, decided, arena, out->differences) : -1;
    json_destroy(decided);
    if (out->difference_count < 0)
        return error_set(err, ERROR_NO_MEMORY, "entries[%zu]: no memory to compare it", place);
    return 0;
}
