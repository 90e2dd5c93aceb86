/* atoll audit: who changed what, from where, what for, refused or done. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

static void add_who(struct table *table, const struct json *who)
{
    char text[160];
    const char *name = *get(who, "zone") ? get(who, "zone") : get(who, "name");
    snprintf(text, sizeof text, "%s%s%s%s%s", get(who, "kind"), *name ? " " : "", name,
             strcmp(get(who, "proof"), "loopback") == 0 ? " (loopback)" : "",
             strcmp(get(who, "proof"), "token") == 0 ? " (token)" : "");
    table_add(table, text, COLOUR_NONE);
}

static enum cell_colour colour_of(const char *outcome)
{
    if (strcmp(outcome, "done") == 0)
        return COLOUR_GOOD;
    return strcmp(outcome, "begun") == 0 ? COLOUR_WARN : COLOUR_BAD;
}

static void add_entry(struct table *table, const struct json *entry)
{
    char cell[1100];
    snprintf(cell, sizeof cell, "%lld", (long long)json_get_int(entry, "id", 0));
    table_add(table, cell, COLOUR_NONE);
    snprintf(cell, sizeof cell, "%.19sZ", get(entry, "at"));
    table_add(table, cell, COLOUR_NONE);
    table_add(table, get(entry, "outcome"), colour_of(get(entry, "outcome")));
    add_who(table, json_get(entry, "who"));
    table_add(table, get(entry, "from"), COLOUR_NONE);
    snprintf(cell, sizeof cell, "%s %s", get(entry, "method"), get(entry, "path"));
    table_add(table, cell, COLOUR_NONE);
    const char *why = get(entry, "why");
    snprintf(cell, sizeof cell, "%s%s%s%s", get(entry, "detail"), *why ? " (why: " : "", why,
             *why ? ")" : "");
    table_add(table, cell, COLOUR_NONE);
}

static int print_list(const struct json *answer)
{
    static const char *const titles[] = {"ID", "AT", "OUTCOME", "WHO", "FROM", "WHAT", "DETAIL"};
    struct table table;
    struct buffer out;
    table_init(&table, titles, sizeof titles / sizeof *titles);
    buffer_init(&out, 0);
    const struct json *entries = json_get(answer, "entries");
    for (const struct json *entry = json_first(entries); entry; entry = json_next(entry))
        add_entry(&table, entry);
    if (json_count(entries) == 0)
        console_say("Nothing was changed yet.");
    else
        table_print(&table, console_width(), console_colours(STDOUT_FILENO), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    table_finish(&table);
    return status;
}

int command_audit(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    char path[96];
    const char *format = invocation_text(invocation, "output");
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    snprintf(path, sizeof path, "/v1/audit?limit=%lld&before=%lld",
             (long long)invocation_number(invocation, "limit", 100),
             (long long)invocation_number(invocation, "before", 0));
    struct json *answer = remote_get(&remote, path, &err);
    int status;
    if (answer) {
        status = format && strcmp(format, "json") == 0 ? console_print_json(answer, JSON_PRETTY)
                                                       : print_list(answer);
    } else {
        error_wrap(&err, "reading the audit log");
        status = console_fail(&err, NULL);
    }
    json_destroy(answer);
    remote_close(&remote);
    return status;
}
