/* atoll replay: run the planner over a recorded incident, and say what it decides, by which rule, and where
 * that is not what was recorded. */
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/input.h"
#include "controller/cli/text.h"
#include "controller/decide/rules.h"
#include "controller/journal/journal.h"
#include "controller/journal/replay.h"

/* The planner is given the bound that it has in the controller. */
enum { ENTRY_ARENA_BYTES = 32 << 20 };

/* ---- as text ---- */

static void print_rule(int number, const char *sentence, struct buffer *out)
{
    const struct rule *rule = rules_find(number);
    buffer_printf(out, "rule %d %s: ", number, rule ? rule->name : "?");
    text_escape(sentence, out);
    buffer_append_text(out, "\n");
}

static void print_action(const struct replay_result *result, struct buffer *out)
{
    const struct action *action = &result->plan.action;
    if (action->kind == ACTION_NONE)
        return;
    buffer_printf(out, "      does: %s, on member %d", action_kind_name(action->kind), action->ordinal);
    if (action->kind == ACTION_RECONFIGURE)
        buffer_printf(out, ", to version %lld", (long long)action->config.version);
    buffer_append_text(out, "\n");
}

static void print_differences(const struct replay_result *result, struct buffer *out)
{
    for (int i = 0; i < result->difference_count; i++) {
        const struct decision_difference *difference = &result->differences[i];
        buffer_append_text(out, "      differs at ");
        text_escape(difference->path, out);
        buffer_append_text(out, ": recorded ");
        text_escape(*difference->recorded ? difference->recorded : "nothing", out);
        buffer_append_text(out, ", decided now ");
        text_escape(*difference->decided ? difference->decided : "nothing", out);
        buffer_append_text(out, "\n");
    }
}

static void print_entry(const struct json *entry, const struct replay_result *result, struct arena *arena,
                        struct buffer *out)
{
    buffer_printf(out, "%4lld  ", (long long)result->stamp.sequence);
    text_escape(json_get_text(entry, "at", "?"), out);
    buffer_printf(out, "  %s%s\n      ", set_phase_name(result->plan.phase),
                  result->difference_count ? "  DIFFERS" : "");
    print_rule(result->plan.rule, result->plan.sentence, out);
    for (size_t i = 0; i < result->plan.member_count; i++) {
        const struct member_plan *member = &result->plan.members[i];
        if (!member->waiting)
            continue;
        buffer_printf(out, "        %s ", spec_node_name(result->set, &result->set->members[i], arena));
        print_rule(member->rule, member->sentence, out);
    }
    print_action(result, out);
    print_differences(result, out);
}

/* ---- as JSON ---- */

static void write_differences(struct json *json, const struct replay_result *result)
{
    struct json *list = json_set(json, "differences", json_array());
    for (int i = 0; i < result->difference_count; i++) {
        struct json *item = json_append(list, json_object());
        json_set_string(item, "path", result->differences[i].path);
        json_set_string(item, "recorded", result->differences[i].recorded);
        json_set_string(item, "decided", result->differences[i].decided);
    }
}

static void write_entry(struct json *list, const struct replay_result *result)
{
    const struct rule *rule = rules_find(result->plan.rule);
    struct json *json = json_append(list, json_object());
    json_set_int(json, "sequence", result->stamp.sequence);
    json_set_time(json, "at", result->now_ms);
    json_set_bool(json, "same", result->difference_count == 0);
    json_set_int(json, "rule", result->plan.rule);
    json_set_string(json, "name", rule ? rule->name : "");
    json_set_string(json, "sentence", result->plan.sentence);
    write_differences(json, result);
    json_set(json, "decided", decision_write(&result->plan));
}

/* ---- the whole ---- */

struct output {
    struct buffer text;
    struct json *root, *entries; /* NULL: text is wanted */
    size_t different;
};

static int take_entries(const struct replay *replay, struct output *out, struct error *err)
{
    size_t place = 0;
    for (const struct json *entry = json_first(replay->entries); entry; entry = json_next(entry)) {
        struct replay_result result;
        struct arena arena;
        arena_init(&arena, ENTRY_ARENA_BYTES);
        int failed = replay_entry(replay, entry, place++, &arena, &result, err);
        if (!failed && out->root)
            write_entry(out->entries, &result);
        else if (!failed)
            print_entry(entry, &result, &arena, &out->text);
        out->different += !failed && result.difference_count > 0;
        arena_finish(&arena);
        if (failed)
            return -1;
    }
    return 0;
}

static int print_output(const struct replay *replay, struct output *out)
{
    if (out->root) {
        json_set_int(out->root, "different", (int64_t)out->different);
        return console_print_json(out->root, JSON_PRETTY);
    }
    buffer_append_text(&out->text, "set ");
    text_escape(replay->set, &out->text);
    buffer_printf(&out->text, ": %zu entries, ", replay->entry_count);
    if (out->different)
        buffer_printf(&out->text, "%zu decided otherwise than was recorded by version ", out->different);
    else
        buffer_append_text(&out->text, "all decided as was recorded by version ");
    text_escape(*replay->version ? replay->version : "?", &out->text);
    buffer_append_text(&out->text, "\n");
    return console_print(&out->text);
}

static int replay_text(const struct buffer *text, bool as_json, struct error *err, int *status)
{
    struct replay replay;
    struct output out = {.root = as_json ? json_object() : NULL};
    if (replay_open(buffer_text(text), text->length, &replay, err)) {
        json_destroy(out.root);
        return -1;
    }
    buffer_init(&out.text, 0);
    if (out.root) {
        json_set_string(out.root, "federation", replay.federation);
        json_set_string(out.root, "set", replay.set);
        json_set_string(out.root, "version", replay.version);
        out.entries = json_set(out.root, "entries", json_array());
    }
    int result = take_entries(&replay, &out, err);
    if (result == 0)
        *status = print_output(&replay, &out);
    if (result == 0 && *status == 0 && out.different)
        *status = EXIT_NEGATIVE;
    json_destroy(out.root);
    buffer_finish(&out.text);
    replay_close(&replay);
    return result;
}

int command_replay(const struct invocation *invocation)
{
    struct error err = {0};
    struct buffer text;
    const char *format = invocation_text(invocation, "output"), *name = NULL;
    int status = EXIT_USAGE;
    buffer_init(&text, 0);
    int result = input_read(invocation->arguments[0], JOURNAL_DOCUMENT_BYTES_MAX, &text, &name, &err);
    if (result == 0 && replay_text(&text, format && strcmp(format, "json") == 0, &err, &status)) {
        error_wrap(&err, "%s", name);
        result = -1;
    }
    if (result) {
        console_fail(&err, NULL);
        status = EXIT_USAGE;
    }
    buffer_finish(&text);
    return status;
}
