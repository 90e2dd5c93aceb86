/* The audit log: see audit.h. */
#include "controller/trust/audit.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"

static const char *const outcomes[] = {"begun", "done", "refused", "failed"};

const char *audit_outcome_name(enum audit_outcome outcome)
{
    return outcomes[outcome];
}

enum audit_outcome audit_outcome_of(int status)
{
    if (status >= 200 && status < 400)
        return AUDIT_DONE;
    return status == 401 || status == 403 || status == 429 ? AUDIT_REFUSED : AUDIT_FAILED;
}

static struct json *write_who(const struct caller *caller)
{
    struct json *json = json_object();
    json_set_string(json, "kind", caller_kind_name(caller->kind));
    json_set_string(json, "name", caller->name);
    json_set_string(json, "zone", caller->zone);
    json_set_string(json, "proof", caller_proof_name(caller->proof));
    json_set_string(json, "mark", caller->mark);
    return json;
}

static int write_entry(const struct audit_entry *entry, struct buffer *out, struct error *err)
{
    struct json *json = json_object();
    json_set_time(json, "at", entry->at_ms);
    json_set_string(json, "outcome", outcomes[entry->outcome]);
    json_set_int(json, "status", entry->status);
    json_set(json, "who", write_who(&entry->caller));
    json_set_string(json, "from", entry->from);
    json_set_string(json, "method", entry->method);
    json_set_string(json, "path", entry->path);
    json_set_string(json, "why", entry->why);
    json_set_string(json, "detail", entry->detail);
    int result = json_print(json, JSON_COMPACT, out, err);
    json_destroy(json);
    return result;
}

int audit_begin(struct store *store, struct audit_entry *entry, struct error *err)
{
    struct buffer text;
    if (!store || !store->functions->log_append)
        return error_set(err, ERROR_INTERNAL, "this store has no audit log");
    buffer_init(&text, STORE_LINE_BYTES_MAX);
    int result = write_entry(entry, &text, err);
    if (result == 0)
        result = store->functions->log_append(store, buffer_text(&text), text.length, &entry->id, err);
    buffer_finish(&text);
    return result ? error_wrap(err, "nothing is changed that can't be written into the audit log") : 0;
}

static void say(const struct audit_entry *entry)
{
    char who[CALLER_NAME_MAX + CALLER_MARK_MAX + 40];
    caller_write(&entry->caller, who, sizeof who);
    log_write(entry->outcome == AUDIT_DONE ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "audit",
              "%s: %s %s by %s from %s status=%d%s%s%s%s%s id=%lld", outcomes[entry->outcome], entry->method,
              entry->path, who, entry->from, entry->status, *entry->why ? " why=\"" : "", entry->why,
              *entry->why ? "\"" : "", *entry->detail ? " " : "", entry->detail, (long long)entry->id);
}

int audit_end(struct store *store, const struct audit_entry *entry, struct error *err)
{
    struct buffer text;
    say(entry);
    buffer_init(&text, STORE_LINE_BYTES_MAX);
    int result = write_entry(entry, &text, err);
    if (result == 0)
        result = store->functions->log_end(store, entry->id, buffer_text(&text), text.length, err);
    buffer_finish(&text);
    return result ? error_wrap(err, "the audit log does not know how change %lld ended", (long long)entry->id)
                  : 0;
}

struct json *audit_list(struct store *store, int64_t before, size_t most, struct error *err)
{
    struct arena arena;
    const struct store_line *lines = NULL;
    size_t count = 0;
    if (!store || !store->functions->log_read) {
        error_set(err, ERROR_INTERNAL, "this store has no audit log");
        return NULL;
    }
    arena_init(&arena, 0);
    struct json *root = NULL;
    if (store->functions->log_read(store, before, most, &arena, &lines, &count, err) == 0) {
        root = json_object();
        struct json *list = json_set(root, "entries", json_array());
        for (size_t i = 0; i < count; i++) {
            struct json *entry = json_parse(lines[i].text, lines[i].length, STORE_LINE_BYTES_MAX, NULL);
            entry = entry ? entry : json_object(); /* a line that was damaged is shown as one */
            json_set_int(entry, "id", lines[i].id);
            json_append(list, entry);
        }
    }
    arena_finish(&arena);
    return root;
}
