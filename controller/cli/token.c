/* atoll token create|list|revoke: bearer tokens. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"

static bool wants_json(const struct invocation *invocation)
{
    const char *format = invocation_text(invocation, "output");
    return format && strcmp(format, "json") == 0;
}

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

/* ---- create ---- */

static int print_created(const struct json *token, bool json)
{
    if (json)
        return console_print_json(token, JSON_PRETTY);
    struct buffer out;
    buffer_init(&out, 0);
    text_escape(get(token, "token"), &out);
    buffer_append_text(&out, "\n");
    console_say("This is the token of %s (role %s, id %s, until %.10s). It is shown this once: put it into a "
                "file that only its user may read.",
                get(token, "name"), get(token, "role"), get(token, "id"), get(token, "expiresAt"));
    int status = console_print(&out);
    explicit_bzero(out.data, out.length);
    buffer_finish(&out);
    return status;
}

int command_token_create(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    struct json *wish = json_object();
    json_set_string(wish, "name", invocation_argument(invocation, 0));
    json_set_string(wish, "role", invocation_text(invocation, "role"));
    if (invocation_has(invocation, "days"))
        json_set_int(wish, "days", invocation_number(invocation, "days", 0));
    struct json *token = remote_ask(&remote, "POST", "/v1/tokens", wish, &err);
    int status;
    if (token) {
        status = print_created(token, wants_json(invocation));
    } else {
        error_wrap(&err, "making a token for %s", invocation_argument(invocation, 0));
        status = console_fail(&err, NULL);
    }
    json_destroy(token);
    json_destroy(wish);
    remote_close(&remote);
    return status;
}

/* ---- list ---- */

static void add_day(struct table *table, const struct json *token, const char *key)
{
    char day[32];
    snprintf(day, sizeof day, "%.16s%s", get(token, key), *get(token, key) ? "Z" : "-");
    table_add(table, day, COLOUR_NONE);
}

static int print_list(const struct json *answer)
{
    static const char *const titles[] = {"ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"};
    struct table table;
    struct buffer out;
    table_init(&table, titles, sizeof titles / sizeof *titles);
    buffer_init(&out, 0);
    const struct json *tokens = json_get(answer, "tokens");
    for (const struct json *token = json_first(tokens); token; token = json_next(token)) {
        table_add(&table, get(token, "id"), COLOUR_NONE);
        table_add(&table, get(token, "name"), COLOUR_NONE);
        table_add(&table, get(token, "role"), COLOUR_NONE);
        add_day(&table, token, "createdAt");
        add_day(&table, token, "expiresAt");
        add_day(&table, token, "lastUsedAt");
    }
    if (json_count(tokens) == 0)
        console_say("There are no tokens.");
    else
        table_print(&table, console_width(), console_colours(STDOUT_FILENO), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    table_finish(&table);
    return status;
}

int command_token_list(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    struct json *answer = remote_get(&remote, "/v1/tokens", &err);
    int status;
    if (answer) {
        status = wants_json(invocation) ? console_print_json(answer, JSON_PRETTY) : print_list(answer);
    } else {
        error_wrap(&err, "reading the list of tokens");
        status = console_fail(&err, NULL);
    }
    json_destroy(answer);
    remote_close(&remote);
    return status;
}

/* ---- revoke ---- */

int command_token_revoke(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    struct buffer path;
    const char *which = invocation_argument(invocation, 0);
    if (strncmp(which, "atoll_", 6) == 0) {
        error_set(&err, ERROR_INVALID,
                  "that is a token itself: give its id (the 12 characters behind atoll_) or its name, since "
                  "others can see your arguments");
        return console_fail(&err, "Revoke it, now that it was shown");
    }
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/tokens/");
    path_append(&path, which);
    struct json *token = remote_ask(&remote, "DELETE", buffer_text(&path), NULL, &err);
    int status = EXIT_DONE;
    if (!token) {
        error_wrap(&err, "revoking the token %s", which);
        status = console_fail(&err, NULL);
    } else if (wants_json(invocation)) {
        status = console_print_json(token, JSON_PRETTY);
    } else {
        console_say("The token %s of %s counts no more.", get(token, "id"), get(token, "name"));
    }
    json_destroy(token);
    buffer_finish(&path);
    remote_close(&remote);
    return status;
}
