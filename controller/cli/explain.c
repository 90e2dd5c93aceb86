/* atoll explain: say what a set is doing or waiting for, and why. */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/explain.h"
#include "controller/cli/status_view.h"
#include "controller/cli/text.h"
#include "proto/base/clock.h"

enum { ACTION_MAX = 128 };

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

void explain_print(const struct json *answer, int64_t now_ms, size_t width, struct buffer *out)
{
    const struct json *waits = json_get(answer, "waits");
    buffer_append_text(out, "Set ");
    text_escape(get(answer, "set"), out);
    buffer_append_text(out, " is ");
    text_escape(get(answer, "phase"), out);
    buffer_append_text(out, json_count(waits) ? ".\n" : ". Nothing is waited for.\n");
    for (const struct json *wait = json_first(waits); wait; wait = json_next(wait)) {
        struct buffer line;
        buffer_init(&line, 0);
        wait_text(wait, now_ms, &line);
        text_lines(buffer_text(&line), width, 2, out);
        buffer_finish(&line);
    }
}

/* Letters and digits, lower case, with one - between words: "reconfigure: hosts" is reconfigure-hosts. */
static void action_words(const char *text, char out[ACTION_MAX])
{
    size_t length = 0;
    for (; *text && length + 2 < ACTION_MAX; text++) {
        if (isalnum((unsigned char)*text))
            out[length++] = (char)tolower((unsigned char)*text);
        else if (length && out[length - 1] != '-')
            out[length++] = '-';
    }
    out[length] = '\0';
}

/* Whether the user's words are the action's, or its first ones. */
static bool same_action(const char *action, const char *asked)
{
    char all[ACTION_MAX], some[ACTION_MAX];
    action_words(action, all);
    action_words(asked, some);
    size_t length = strlen(some);
    return length && strncmp(all, some, length) == 0 && (all[length] == '\0' || all[length] == '-');
}

size_t explain_why_not(const struct json *answer, const char *action, struct buffer *out)
{
    const struct json *rules = json_get(answer, "rules");
    size_t found = 0;
    for (const struct json *rule = json_first(rules); rule; rule = json_next(rule)) {
        if (!same_action(get(rule, "outcome"), action) && !same_action(get(rule, "name"), action))
            continue;
        found++;
        buffer_printf(out, "rule %lld ", (long long)json_get_int(rule, "rule", 0));
        text_escape(get(rule, "name"), out);
        if (json_get_bool(rule, "fires", false)) {
            buffer_append_text(out, ": its conditions are met");
        } else {
            const char *unmet = *get(rule, "unmet") ? get(rule, "unmet") : "an earlier rule decides";
            bool hinders = strncmp(unmet, "not: ", 5) == 0; /* it holds, and must not */
            buffer_append_text(out, hinders ? ": in the way: " : ": not met: ");
            text_escape(hinders ? unmet + 5 : unmet, out);
        }
        buffer_append_text(out, "\n");
    }
    return found;
}

static void list_actions(const struct json *answer, struct buffer *out)
{
    const struct json *rules = json_get(answer, "rules");
    for (const struct json *rule = json_first(rules); rule; rule = json_next(rule)) {
        bool seen = false;
        for (const struct json *earlier = json_first(rules); earlier != rule && !seen;
             earlier = json_next(earlier))
            seen = strcmp(get(earlier, "outcome"), get(rule, "outcome")) == 0;
        if (!seen && *get(rule, "outcome"))
            buffer_printf(out, "%s\"%s\"", out->length ? ", " : "", get(rule, "outcome"));
    }
}

static int why_not(const struct json *answer, const char *action)
{
    struct buffer out;
    int status;
    buffer_init(&out, 0);
    if (explain_why_not(answer, action, &out)) {
        status = console_print(&out);
    } else {
        struct error err;
        list_actions(answer, &out);
        error_set(&err, ERROR_INVALID, "no rule leads to \"%s\"; the actions are: %s", action,
                  buffer_text(&out));
        status = console_fail(&err, NULL);
    }
    buffer_finish(&out);
    return status;
}

struct json *explain_fetch(struct remote *remote, const char *set, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/sets/");
    path_append(&path, set);
    buffer_append_text(&path, "/explain");
    struct json *answer = remote_get(remote, buffer_text(&path), err);
    buffer_finish(&path);
    return answer;
}

static int print(const struct json *answer, const char *format, const char *action)
{
    if (format && strcmp(format, "json") == 0)
        return console_print_json(answer, JSON_PRETTY);
    if (action)
        return why_not(answer, action);
    struct buffer out;
    buffer_init(&out, 0);
    explain_print(answer, clock_wall_ms(&clock_system), console_width(), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

int command_explain(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    const char *set = invocation_argument(invocation, 0);
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    struct json *answer = explain_fetch(&remote, set, &err);
    int status;
    if (answer) {
        status = print(answer, invocation_text(invocation, "output"), invocation_text(invocation, "why-not"));
    } else {
        error_wrap(&err, "explaining %s", set);
        status =
            console_fail(&err, err.code == ERROR_NOT_FOUND ? "`atoll status` shows what there is" : NULL);
    }
    json_destroy(answer);
    remote_close(&remote);
    return status;
}
