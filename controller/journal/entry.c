/* Entries as JSON and back: see entry.h. */
#include "controller/journal/entry.h"

#include <string.h>

#include "controller/act/records.h"
#include "controller/journal/decision.h"
#include "controller/journal/journal_fields.h"

enum { TIME_MOST_BITS = 53 };
#define WHOLE_MOST (INT64_C(1) << TIME_MOST_BITS) /* numbers of JSON are exact up to here */

/* ---- writing ---- */

static struct json *write_previous(const struct plan *plan)
{
    const struct journal_previous previous = {.phase = plan->phase,
                                              .conditions = plan->conditions,
                                              .condition_count = CONDITION_COUNT,
                                              .waits = plan->waits,
                                              .wait_count = plan->wait_count,
                                              .members = plan->members,
                                              .member_count = plan->member_count};
    return record_write(&journal_previous_record, &previous, 0);
}

struct json *entry_write(const struct entry_stamp *stamp, const struct plan_input *input,
                         const struct plan *plan)
{
    struct json *json = json_object();
    json_set_int(json, "sequence", stamp->sequence);
    json_set_time(json, "at", input->now_ms);
    json_set_int(json, "nowMs", input->now_ms);
    json_set_int(json, "revision", stamp->revision);
    if (input->previous)
        json_set(json, "previous", write_previous(input->previous));
    json_set(json, "observation", record_write(&observation_record, input->observation, 0));
    json_set(json, "ledger", ledger_write(input->ledger));
    json_set(json, "plan", decision_write(plan));
    return json;
}

/* ---- reading ---- */

/* The plan before as far as it goes on: names of conditions are their places. */
static int take_previous(const struct journal_previous *read, struct plan *out, struct error *err)
{
    bool seen[CONDITION_COUNT] = {false};
    memset(out, 0, sizeof *out);
    out->phase = read->phase;
    for (int i = 0; i < CONDITION_COUNT; i++)
        out->conditions[i] = (struct condition){(enum condition_type)i, CONDITION_UNKNOWN, "", "", 0};
    for (size_t i = 0; i < read->condition_count; i++) {
        enum condition_type type = read->conditions[i].type;
        if (seen[type])
            return error_set(err, ERROR_INVALID, "previous.conditions[%zu]: %s is there twice", i,
                             condition_type_name(type));
        seen[type] = true;
        out->conditions[type].status = read->conditions[i].status;
        out->conditions[type].since_ms = read->conditions[i].since_ms;
    }
    if (read->wait_count)
        memcpy(out->waits, read->waits, read->wait_count * sizeof *read->waits);
    out->wait_count = read->wait_count;
    out->members = (struct member_plan *)read->members;
    out->member_count = read->member_count;
    return 0;
}

static int read_previous(const struct json *json, struct arena *arena, struct entry_input *out,
                         struct error *err)
{
    struct journal_previous read;
    const struct json *previous = NULL;
    if (json_read_object(json, "previous", JSON_OPTIONAL, &previous, err))
        return -1;
    out->has_previous = previous != NULL;
    if (!previous)
        return 0;
    if (record_read(&journal_previous_record, previous, "previous", arena, &read, err))
        return -1;
    return take_previous(&read, &out->previous, err);
}

static int check_members(const struct observation *observation, struct error *err)
{
    for (size_t i = 0; i < observation->member_count; i++)
        for (size_t k = 0; k < i; k++)
            if (observation->members[i].ordinal == observation->members[k].ordinal)
                return error_set(err, ERROR_INVALID,
                                 "observation.members[%zu]: ordinal %d is in members[%zu] already", i,
                                 observation->members[i].ordinal, k);
    return 0;
}

int entry_read(const struct json *json, const char *set, struct arena *arena, struct entry_stamp *stamp,
               struct entry_input *out, struct error *err)
{
    struct entry_input input;
    struct entry_stamp read = {0};
    const struct json *ledger = NULL;
    memset(&input, 0, sizeof input);
    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "must be an object");
    if (json_read_int(json, "sequence", JSON_REQUIRED, 0, WHOLE_MOST, &read.sequence, err) ||
        json_read_int(json, "revision", JSON_REQUIRED, 0, WHOLE_MOST, &read.revision, err) ||
        json_read_int(json, "nowMs", JSON_REQUIRED, -WHOLE_MOST, WHOLE_MOST, &input.now_ms, err) ||
        record_read(&observation_record, json_get(json, "observation"), "observation", arena,
                    &input.observation, err) ||
        check_members(&input.observation, err) ||
        json_read_object(json, "ledger", JSON_REQUIRED, &ledger, err))
        return -1;
    if (ledger_read(ledger, set, arena, &input.ledger, err))
        return error_wrap(err, "ledger");
    if (read_previous(json, arena, &input, err))
        return -1;
    *stamp = read;
    *out = input;
    return 0;
}
