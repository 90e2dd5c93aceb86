/* The table of commands and looking things up in it. */
#include "controller/cli/command.h"

#include <string.h>

static const struct row rows[] = {
#define COMMAND(n, r, f, s, d)                                                                               \
    {.kind = ROW_COMMAND, .name = n, .run = r, .flags = f, .help = s, .details = d},
#define ARGUMENT(n, t, f, c, h)                                                                              \
    {.kind = ROW_ARGUMENT, .name = n, .type = t, .flags = f, .choices = c, .help = h},
#define OPTION_OF(k, n, l, a, t, f, c, h)                                                                    \
    {.kind = k, .name = n, .letter = l, .argument = a, .type = t, .flags = f, .choices = c, .help = h},
#define OPTION(...) OPTION_OF(ROW_OPTION, __VA_ARGS__)
#define COMMON(...) OPTION_OF(ROW_COMMON, __VA_ARGS__)
#define ENVIRONMENT(n, h) {.kind = ROW_ENVIRONMENT, .name = n, .help = h},
#define FILE_OF(n, h) {.kind = ROW_FILE, .name = n, .help = h},
#define EXIT_STATUS(n, h) {.kind = ROW_EXIT, .name = #n, .help = h},
#define EXAMPLE(n, h) {.kind = ROW_EXAMPLE, .name = n, .help = h},
#include "controller/cli/commands.def"
};

const struct row *rows_begin(void)
{
    return rows;
}

const struct row *rows_end(void)
{
    return rows + sizeof rows / sizeof rows[0];
}

const struct row *row_next_of(enum row_kind kind, const struct row *before)
{
    for (const struct row *row = before ? before + 1 : rows_begin(); row < rows_end(); row++)
        if (row->kind == kind)
            return row;
    return NULL;
}

const struct row *command_next(const struct row *command, enum row_kind kind, const struct row *before)
{
    if (before && before->kind == ROW_COMMON)
        return row_next_of(ROW_COMMON, before);
    for (const struct row *row = before ? before + 1 : command + 1; row < rows_end(); row++) {
        if (row->kind != ROW_ARGUMENT && row->kind != ROW_OPTION)
            break;
        if (row->kind == kind)
            return row;
    }
    return kind == ROW_OPTION && (command->flags & USES_CONTROLLER) ? row_next_of(ROW_COMMON, NULL) : NULL;
}

const struct row *command_find(const char *name)
{
    for (const struct row *row = row_next_of(ROW_COMMAND, NULL); row; row = row_next_of(ROW_COMMAND, row))
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

const struct row *command_option(const struct row *command, const char *name)
{
    for (const struct row *row = command_next(command, ROW_OPTION, NULL); row;
         row = command_next(command, ROW_OPTION, row))
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

bool row_admits(const struct row *row, const char *value)
{
    const char *choice = row->choices;
    while (*choice) {
        size_t length = strcspn(choice, "|");
        const char *equals = memchr(choice, '=', length);
        size_t fixed = equals ? (size_t)(equals - choice) + 1 : length;
        if (strncmp(choice, value, fixed) == 0 && (equals ? value[fixed] != '\0' : value[fixed] == '\0'))
            return true;
        choice += length + (choice[length] == '|');
    }
    return false;
}
