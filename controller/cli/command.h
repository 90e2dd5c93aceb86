/* The commands of `atoll` as rows of one table, and what a user's command line means by it. */
#ifndef ATOLL_CLI_COMMAND_H
#define ATOLL_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

enum exit_status {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1,
    EXIT_USAGE = 2,
    EXIT_NO_CONTROLLER = 3,
    EXIT_REFUSED = 4
};

enum {
    INVOCATION_VALUES_MAX = 64,
    INVOCATION_ARGUMENTS_MAX = 8,
    COMMAND_NAME_MAX = 64,
    SECONDS_MAX = 7 * 24 * 3600
};

enum row_kind {
    ROW_COMMAND,
    ROW_ARGUMENT,
    ROW_OPTION,
    ROW_COMMON,
    ROW_ENVIRONMENT,
    ROW_FILE,
    ROW_EXIT,
    ROW_EXAMPLE
};
enum row_type {
    TYPE_SWITCH,
    TYPE_TEXT,
    TYPE_FILE,
    TYPE_FOLDER,
    TYPE_SECONDS,
    TYPE_NUMBER,
    TYPE_CHOICE,
    TYPE_COMMAND
};
enum row_flag { HIDDEN = 1, REQUIRED = 2, REPEATED = 4, USES_CONTROLLER = 8 };

struct invocation;

struct row {
    enum row_kind kind;
    const char *name;     /* "sandbox up", "SET", "timeout", "ATOLL_CONTROLLER" */
    char letter;          /* 'f' for -f; 0 for none */
    const char *argument; /* of an option: "SECS"; "" for a switch */
    enum row_type type;
    unsigned flags;
    const char *choices; /* "a|b|c=X": the last form takes any text after the = */
    const char *help;
    const char *details;
    int (*run)(const struct invocation *invocation); /* gives the exit status */
};

/* What was asked: a command with its options' values and arguments; texts belong to argv. */
struct invocation {
    const struct row *command;
    const char *program; /* argv[0] */
    struct {
        const struct row *option;
        const char *text;
    } values[INVOCATION_VALUES_MAX];
    size_t value_count;
    const char *arguments[INVOCATION_ARGUMENTS_MAX];
    size_t argument_count;
    bool help; /* --help was there: show the command's help (the group's or all commands' when `command` is
                  NULL) */
    char group[COMMAND_NAME_MAX]; /* "sandbox" when only that was given; "" */
    bool version;
};

/* The table: rows_end() is behind the last row. row_next_of() walks over the rows of one kind, starting with
 * NULL. */
const struct row *rows_begin(void);
const struct row *rows_end(void);
const struct row *row_next_of(enum row_kind kind, const struct row *before);

/* The arguments or options of a command, in the table's order, starting with `before` NULL; options include
 * the common ones where the command uses a controller. NULL at the end. */
const struct row *command_next(const struct row *command, enum row_kind kind, const struct row *before);

/* The command of this name ("sandbox up"), or NULL. */
const struct row *command_find(const char *name);
/* The command's option of this long name, or NULL. */
const struct row *command_option(const struct row *command, const char *name);

/* Whether `value` is one of the row's choices. */
bool row_admits(const struct row *row, const char *value);

/* Understands a command line. -1 and ERROR_INVALID when it is wrong; the message says what would be right. */
int invocation_parse(int argc, char *const *argv, struct invocation *out, struct error *err);

/* The (last) value of an option that the command has in the table; NULL when it was not given. "" for a given
 * switch. */
const char *invocation_text(const struct invocation *invocation, const char *option);
bool invocation_has(const struct invocation *invocation, const char *option);
/* The value of a TYPE_SECONDS or TYPE_NUMBER option (the parser has checked it), or the fallback. */
int64_t invocation_number(const struct invocation *invocation, const char *option, int64_t fallback);
/* The argument at this place, or NULL. */
const char *invocation_argument(const struct invocation *invocation, size_t index);

/* The commands; each in the file of its name. */
#define COMMAND(name, run, flags, summary, details) int run(const struct invocation *invocation);
#define ARGUMENT(name, type, flags, choices, help)
#define OPTION(name, letter, argument, type, flags, choices, help)
#define COMMON(name, letter, argument, type, flags, choices, help)
#define ENVIRONMENT(name, help)
#define FILE_OF(name, help)
#define EXIT_STATUS(number, help)
#define EXAMPLE(command, help)
#include "controller/cli/commands.def"

#endif
