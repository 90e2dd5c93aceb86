/* atoll help, and --help of every command. */
#include "controller/cli/help.h"

#include <stdio.h>
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/text.h"

enum { HELP_COLUMNS = 80, HELP_NAME_COLUMNS = 24 };

static const char *value_name(const struct row *row)
{
    return *row->choices ? row->choices : row->argument;
}

static void usage_option(const struct row *row, struct buffer *out)
{
    bool required = row->flags & REQUIRED, valued = row->type != TYPE_SWITCH;
    char name[COMMAND_NAME_MAX];
    if (row->letter && required)
        snprintf(name, sizeof name, "-%c", row->letter);
    else
        snprintf(name, sizeof name, "--%s", row->name);
    buffer_printf(out, " %s%s%s%s%s%s", required ? "" : "[", name, valued ? " " : "",
                  valued ? value_name(row) : "", required ? "" : "]", row->flags & REPEATED ? "..." : "");
}

void help_usage(const struct row *command, struct buffer *out)
{
    buffer_printf(out, "atoll %s", command->name);
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row));) {
        const char *name = *row->choices ? row->choices : row->name;
        buffer_printf(out, row->flags & REQUIRED ? " %s" : " [%s]", name);
    }
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));)
        if (row->kind == ROW_OPTION && !(row->flags & HIDDEN))
            usage_option(row, out);
}

static void two_columns(const char *left, const char *right, struct buffer *out)
{
    struct buffer wrapped;
    buffer_init(&wrapped, 0);
    text_wrap(right, HELP_COLUMNS, HELP_NAME_COLUMNS + 4, &wrapped);
    bool fits = text_width(left) <= HELP_NAME_COLUMNS;
    buffer_printf(out, "  %s", left);
    if (fits)
        buffer_printf(out, "%*s", (int)(HELP_NAME_COLUMNS + 2 - text_width(left)), "");
    else
        buffer_append_text(out, "\n");
    buffer_append_text(out, buffer_text(&wrapped) + (fits ? HELP_NAME_COLUMNS + 4 : 0));
    buffer_finish(&wrapped);
}

void help_overview(struct buffer *out)
{
    buffer_append_text(out, "atoll keeps MongoDB replica sets alive across zones.\n\nUsage: atoll COMMAND "
                            "[OPTION]...\n\nCommands:\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
        if (!(row->flags & HIDDEN))
            two_columns(row->name, row->help, out);
    buffer_append_text(out, "\nOptions of every command that speaks to a controller:\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMON, row));) {
        char name[COMMAND_NAME_MAX];
        snprintf(name, sizeof name, "--%s %s", row->name, row->argument);
        two_columns(name, row->help, out);
    }
    buffer_append_text(out, "\n`atoll help COMMAND` or `atoll COMMAND --help` says more. Exit status:\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_EXIT, row));)
        two_columns(row->name, row->help, out);
}

void help_command(const struct row *command, struct buffer *out)
{
    buffer_printf(out, "%s.\n\nUsage: ", command->help);
    help_usage(command, out);
    buffer_append_text(out, "\n");
    if (*command->details) {
        buffer_append_text(out, "\n");
        text_wrap(command->details, HELP_COLUMNS, 0, out);
    }
    buffer_append_text(out, "\n");
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row));)
        two_columns(*row->choices ? row->choices : row->name, row->help, out);
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));) {
        char name[2 * COMMAND_NAME_MAX];
        snprintf(name, sizeof name, "%s%.1s%s--%s%s%s", row->letter ? "-" : "",
                 row->letter ? &row->letter : "", row->letter ? ", " : "", row->name,
                 row->type == TYPE_SWITCH ? "" : " ", row->type == TYPE_SWITCH ? "" : value_name(row));
        if (!(row->flags & HIDDEN))
            two_columns(name, row->help, out);
    }
    two_columns("-h, --help", "show this", out);
}

int help_group(const char *words, struct buffer *out)
{
    size_t length = strlen(words);
    int found = 0;
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
        if (strncmp(row->name, words, length) == 0 && row->name[length] == ' ' && !(row->flags & HIDDEN))
            found++, two_columns(row->name, row->help, out);
    return found;
}

static int fill(const struct invocation *invocation, struct buffer *out, struct error *err)
{
    char words[COMMAND_NAME_MAX * 2] = "";
    if (invocation_has(invocation, "man"))
        return help_man(out), 0;
    if (invocation_has(invocation, "markdown"))
        return help_markdown(out), 0;
    for (size_t i = 0; i < invocation->argument_count; i++) {
        size_t length = strlen(words);
        snprintf(words + length, sizeof words - length, "%s%s", length ? " " : "", invocation->arguments[i]);
    }
    const struct row *command = command_find(words);
    if (!*words)
        help_overview(out);
    else if (command)
        help_command(command, out);
    else if (!help_group(words, out))
        return error_set(err, ERROR_INVALID, "there is no command \"%s\"; `atoll help` lists all of them",
                         words);
    return 0;
}

int command_help(const struct invocation *invocation)
{
    struct error err;
    struct buffer out;
    buffer_init(&out, 0);
    int status = fill(invocation, &out, &err) ? console_fail(&err, NULL) : console_print(&out);
    buffer_finish(&out);
    return status;
}
