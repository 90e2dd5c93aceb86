/* The man page and docs/cli.md, made from the table of commands. See help.h. */
#include <ctype.h>
#include <string.h>

#include "controller/cli/help.h"

/* roff text: hyphens that are typed as hyphens, backslashes, and no line that begins like a request. */
static void roff(const char *text, struct buffer *out)
{
    if (*text == '.' || *text == '\'')
        buffer_append_text(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            buffer_append_text(out, "\\e");
        else if (*text == '-')
            buffer_append_text(out, "\\-");
        else
            buffer_append(out, text, 1);
    }
}

static void item(const char *name, const char *text, struct buffer *out)
{
    buffer_append_text(out, ".TP\n\\fB");
    roff(name, out);
    buffer_append_text(out, "\\fR\n");
    roff(text, out);
    buffer_append_text(out, "\n");
}

static void option_name(const struct row *row, struct buffer *out)
{
    buffer_clear(out);
    if (row->letter)
        buffer_printf(out, "-%c, ", row->letter);
    buffer_printf(out, "--%s", row->name);
    if (row->type != TYPE_SWITCH)
        buffer_printf(out, " %s", *row->choices ? row->choices : row->argument);
}

static void man_command(const struct row *command, struct buffer *out)
{
    struct buffer name;
    buffer_init(&name, 0);
    help_usage(command, &name);
    buffer_append_text(out, ".SS \"");
    roff(command->name, out);
    buffer_append_text(out, "\"\n\\fB");
    roff(buffer_text(&name), out);
    buffer_append_text(out, "\\fR\n.PP\n");
    roff(command->help, out);
    buffer_append_text(out, ".\n");
    if (*command->details) {
        roff(command->details, out);
        buffer_append_text(out, "\n");
    }
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row));)
        item(*row->choices ? row->choices : row->name, row->help, out);
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));) {
        option_name(row, &name);
        if (row->kind == ROW_OPTION && !(row->flags & HIDDEN))
            item(buffer_text(&name), row->help, out);
    }
    buffer_finish(&name);
}

static void man_rows(const char *title, enum row_kind kind, struct buffer *out)
{
    struct buffer name;
    buffer_init(&name, 0);
    buffer_printf(out, ".SH %s\n", title);
    for (const struct row *row = NULL; (row = row_next_of(kind, row));) {
        if (kind == ROW_COMMON)
            option_name(row, &name);
        item(kind == ROW_COMMON ? buffer_text(&name) : row->name, row->help, out);
    }
    buffer_finish(&name);
}

void help_man(struct buffer *out)
{
    buffer_append_text(
        out,
        ".\\\" Made by `atoll help --man` from controller/cli/commands.def; a test compares the two.\n"
        ".TH ATOLL 1 \"\" \"atoll " ATOLL_VERSION "\" \"Atoll\"\n"
        ".SH NAME\natoll \\- keep MongoDB replica sets alive across zones\n"
        ".SH SYNOPSIS\n\\fBatoll\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n"
        ".SH DESCRIPTION\n"
        "One MongoDB replica set across several zones: a controller coordinates one agent per zone. "
        "\\fBatoll\\fR is the "
        "operator\\(cqs command line. Answers go to standard output, messages for people to standard error; "
        "with \\fB\\-o json\\fR an answer is one JSON document.\n.SH COMMANDS\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
        if (!(row->flags & HIDDEN))
            man_command(row, out);
    man_rows("OPTIONS OF EVERY COMMAND THAT SPEAKS TO A CONTROLLER", ROW_COMMON, out);
    man_rows("ENVIRONMENT", ROW_ENVIRONMENT, out);
    man_rows("FILES", ROW_FILE, out);
    man_rows("EXIT STATUS", ROW_EXIT, out);
    man_rows("EXAMPLES", ROW_EXAMPLE, out);
}

static void markdown_item(const char *name, const char *text, struct buffer *out)
{
    buffer_append_text(out, "| `");
    for (; *name; name++)
        buffer_printf(out, *name == '|' ? "\\%c" : "%c", *name); /* a bare | would end the cell */
    buffer_append_text(out, "` | ");
    for (; *text; text++)
        buffer_printf(out, *text == '|' ? "\\%c" : "%c", *text);
    buffer_append_text(out, " |\n");
}

static void markdown_command(const struct row *command, struct buffer *out)
{
    struct buffer name;
    buffer_init(&name, 0);
    buffer_printf(out, "## atoll %s\n\n%s.\n\n```\n", command->name, command->help);
    help_usage(command, out);
    buffer_append_text(out, "\n```\n\n");
    if (*command->details)
        buffer_printf(out, "%s\n\n", command->details);
    bool first = true;
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row)); first = false) {
        buffer_append_text(out, first ? "| | |\n|---|---|\n" : "");
        markdown_item(*row->choices ? row->choices : row->name, row->help, out);
    }
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));) {
        if (row->kind != ROW_OPTION || (row->flags & HIDDEN))
            continue;
        buffer_append_text(out, first ? "| | |\n|---|---|\n" : "");
        first = false;
        option_name(row, &name);
        markdown_item(buffer_text(&name), row->help, out);
    }
    buffer_append_text(out, first ? "" : "\n");
    buffer_finish(&name);
}

static void markdown_rows(const char *title, enum row_kind kind, struct buffer *out)
{
    struct buffer name;
    buffer_init(&name, 0);
    buffer_printf(out, "## %s\n\n| | |\n|---|---|\n", title);
    for (const struct row *row = NULL; (row = row_next_of(kind, row));) {
        if (kind == ROW_COMMON)
            option_name(row, &name);
        markdown_item(kind == ROW_COMMON ? buffer_text(&name) : row->name, row->help, out);
    }
    buffer_append_text(out, kind == ROW_EXAMPLE ? "" : "\n");
    buffer_finish(&name);
}

void help_markdown(struct buffer *out)
{
    buffer_append_text(
        out, "<!-- Made by `atoll help --markdown` from controller/cli/commands.def; a test compares the "
             "two. -->\n"
             "# The command line\n\nAnswers go to standard output, messages for people to standard error; "
             "with `-o json` an "
             "answer is one JSON document. Colour only on a terminal, and never with `NO_COLOR`.\n\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
        if (!(row->flags & HIDDEN))
            markdown_command(row, out);
    markdown_rows("Options of every command that speaks to a controller", ROW_COMMON, out);
    markdown_rows("Environment", ROW_ENVIRONMENT, out);
    markdown_rows("Files", ROW_FILE, out);
    markdown_rows("Exit status", ROW_EXIT, out);
    markdown_rows("Examples", ROW_EXAMPLE, out);
}
