/* The intent's JSON form; see intent.h. What stands in it is said by the tables in fields.c. */
#include "proto/intent.h"

#include <string.h>

#include "proto/fields.h"

/* The message is the record's object with a type. */
int intent_print(const struct intent *intent, struct buffer *out, struct error *err)
{
    static const char type[] = ",\"type\":\"INTENT\"}";
    size_t before = out->length;
    if (record_print(&intent_record, intent, 0, out, err))
        return -1;
    out->data[--out->length] = '\0';
    if (buffer_append_text(out, type) == 0)
        return 0;
    out->length = before;
    out->data[before] = '\0';
    return error_set(err, ERROR_TOO_LARGE, "no room for the intent's text (limit %zu)", out->limit);
}

/* Two entries for one member would contradict each other. */
static int check_members(const struct intent *intent, struct error *err)
{
    for (size_t i = 0; i < intent->member_count; i++) {
        const struct intent_member *member = &intent->members[i];
        for (size_t k = 0; k < i; k++)
            if (intent->members[k].ordinal == member->ordinal &&
                strcmp(intent->members[k].set, member->set) == 0)
                return error_set(err, ERROR_INVALID,
                                 "members[%zu]: set %s, ordinal %d is in members[%zu] already", i,
                                 member->set, member->ordinal, k);
    }
    return 0;
}

/* A bookmark has only the two numbers. */
static int read_bookmark(const struct json *json, struct intent_event *out, struct error *err)
{
    const int64_t most = INT64_C(1) << 53;
    struct intent_event event = {.bookmark = true};
    record_defaults(&intent_record, &event.intent);
    if (json_read_int(json, "epoch", JSON_REQUIRED, 0, most, &event.intent.epoch, err) < 0 ||
        json_read_int(json, "revision", JSON_REQUIRED, 0, most, &event.intent.revision, err) < 0)
        return -1;
    *out = event;
    return 0;
}

static int read_event(const struct json *json, struct arena *arena, struct intent_event *out,
                      struct error *err)
{
    struct intent_event event = {.bookmark = false};
    const char *type = json_text(json_get(json, "type"));
    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "the message: must be an object");
    if (type && strcmp(type, "BOOKMARK") == 0)
        return read_bookmark(json, out, err);
    if (!type || strcmp(type, "INTENT") != 0)
        return error_set(err, ERROR_INVALID, "type: must be INTENT or BOOKMARK");
    if (record_read(&intent_record, json, "", arena, &event.intent, err) < 0 ||
        check_members(&event.intent, err) < 0)
        return -1;
    *out = event;
    return 0;
}

int intent_read(const char *line, size_t length, struct arena *arena, struct intent_event *out,
                struct error *err)
{
    struct json *json = json_parse(line, length, INTENT_BYTES_MAX, err);
    int result = json ? read_event(json, arena, out, err) : -1;
    json_destroy(json);
    return result < 0 ? error_wrap(err, "intent") : 0;
}

bool intent_equal(const struct intent *a, const struct intent *b)
{
    return record_equal(&intent_record, a, b, FIELD_STAMP);
}
