/* Understanding a command line by the table of commands. Says what would be right when it is wrong. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/command.h"

enum { SUGGESTION_LENGTH_MAX = 32, SUGGESTION_DISTANCE_MAX = 2 };

struct parse {
    int argc;
    char *const *argv;
    int at;                       /* the next argument */
    char words[COMMAND_NAME_MAX]; /* the command's words so far */
    struct invocation *out;
    struct error *err;
};

static size_t least(size_t a, size_t b, size_t c)
{
    size_t two = a < b ? a : b;
    return two < c ? two : c;
}

/* How many letters must change to make one of the other (Levenshtein); long texts are told apart by that
 * alone. */
static size_t text_distance(const char *a, const char *b)
{
    size_t row[SUGGESTION_LENGTH_MAX + 1], a_length = strlen(a), b_length = strlen(b);
    if (a_length > SUGGESTION_LENGTH_MAX || b_length > SUGGESTION_LENGTH_MAX)
        return SUGGESTION_LENGTH_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

static const struct row *nearest_command(const char *words)
{
    const struct row *best = NULL;
    size_t best_distance = SUGGESTION_DISTANCE_MAX + 1;
    for (const struct row *row = row_next_of(ROW_COMMAND, NULL); row; row = row_next_of(ROW_COMMAND, row)) {
        size_t distance = text_distance(words, row->name);
        if (!(row->flags & HIDDEN) && distance < best_distance)
            best = row, best_distance = distance;
    }
    return best;
}

static const struct row *nearest_option(const struct row *command, const char *name)
{
    const struct row *best = NULL;
    size_t best_distance = SUGGESTION_DISTANCE_MAX + 1;
    for (const struct row *row = command_next(command, ROW_OPTION, NULL); row;
         row = command_next(command, ROW_OPTION, row)) {
        size_t distance = text_distance(name, row->name);
        if (!(row->flags & HIDDEN) && distance < best_distance)
            best = row, best_distance = distance;
    }
    return best;
}

static bool is_group(const char *words)
{
    size_t length = strlen(words);
    for (const struct row *row = row_next_of(ROW_COMMAND, NULL); row; row = row_next_of(ROW_COMMAND, row))
        if (strncmp(row->name, words, length) == 0 && row->name[length] == ' ')
            return true;
    return false;
}

static int unknown_command(struct parse *parse)
{
    const struct row *near = nearest_command(parse->words);
    if (near)
        return error_set(
            parse->err, ERROR_INVALID,
            "there is no command \"%s\"; did you mean `atoll %s`? `atoll help` lists all of them",
            parse->words, near->name);
    return error_set(parse->err, ERROR_INVALID, "there is no command \"%s\"; `atoll help` lists the commands",
                     parse->words);
}

/* Takes a word of the command's name. */
static int take_command_word(struct parse *parse, const char *word)
{
    size_t length = strlen(parse->words);
    if (length + strlen(word) + 2 > sizeof parse->words)
        return error_set(parse->err, ERROR_INVALID,
                         "there is no command \"%.40s…\"; `atoll help` lists the commands", word);
    if (length)
        parse->words[length++] = ' ';
    memcpy(parse->words + length, word, strlen(word) + 1);
    parse->out->command = command_find(parse->words);
    if (!parse->out->command && !is_group(parse->words))
        return unknown_command(parse);
    return 0;
}

static const struct row *find_option(const struct parse *parse, const char *name, size_t length)
{
    const struct row *command = parse->out->command;
    const struct row *row = command ? command_next(command, ROW_OPTION, NULL) : row_next_of(ROW_COMMON, NULL);
    while (row) {
        if (strncmp(row->name, name, length) == 0 && row->name[length] == '\0')
            return row;
        row = command ? command_next(command, ROW_OPTION, row) : row_next_of(ROW_COMMON, row);
    }
    return NULL;
}

static const struct row *find_letter(const struct parse *parse, char letter)
{
    const struct row *command = parse->out->command, *row = NULL;
    while (command && (row = command_next(command, ROW_OPTION, row)))
        if (row->letter == letter)
            return row;
    return NULL;
}

static int unknown_option(struct parse *parse, const char *text)
{
    const struct row *command = parse->out->command;
    if (!command)
        return error_set(parse->err, ERROR_INVALID,
                         "there is no option %s before the command; `atoll help` shows the options", text);
    const struct row *near = text[1] == '-' ? nearest_option(command, text + 2) : NULL;
    if (near)
        return error_set(parse->err, ERROR_INVALID, "`atoll %s` has no option %s; did you mean --%s?",
                         command->name, text, near->name);
    return error_set(parse->err, ERROR_INVALID,
                     "`atoll %s` has no option %s; `atoll help %s` shows the options", command->name, text,
                     command->name);
}

static int check_value(const struct row *row, const char *shown, const char *value, struct error *err)
{
    if (row->type == TYPE_CHOICE && !row_admits(row, value))
        return error_set(err, ERROR_INVALID, "%s can't be \"%s\": it is one of %s", shown, value,
                         row->choices);
    if (row->type == TYPE_SECONDS || row->type == TYPE_NUMBER) {
        char *end;
        errno = 0;
        long number = strtol(value, &end, 10);
        if (errno || end == value || *end || number < 0 || number > SECONDS_MAX)
            return error_set(err, ERROR_INVALID, "%s can't be \"%s\": it is a whole number%s from 0 to %d",
                             shown, value, row->type == TYPE_SECONDS ? " of seconds" : "", SECONDS_MAX);
    }
    if (row->type != TYPE_SWITCH && *value == '\0')
        return error_set(err, ERROR_INVALID, "%s is empty; give it a value", shown);
    return 0;
}

static int add_value(struct parse *parse, const struct row *row, const char *value)
{
    struct invocation *out = parse->out;
    char shown[COMMAND_NAME_MAX + 2] = "--";
    strncat(shown, row->name, COMMAND_NAME_MAX - 1);
    if (!(row->flags & REPEATED))
        for (size_t i = 0; i < out->value_count; i++)
            if (out->values[i].option == row)
                return error_set(parse->err, ERROR_INVALID, "%s is there twice; give it once", shown);
    if (out->value_count == INVOCATION_VALUES_MAX)
        return error_set(parse->err, ERROR_INVALID, "too many options (at most %d)", INVOCATION_VALUES_MAX);
    if (check_value(row, shown, value, parse->err))
        return -1;
    out->values[out->value_count].option = row;
    out->values[out->value_count++].text = value;
    return 0;
}

static int take_next_value(struct parse *parse, const struct row *row, const char *shown)
{
    if (parse->at >= parse->argc)
        return error_set(parse->err, ERROR_INVALID, "%s needs a value: %s", shown, row->argument);
    return add_value(parse, row, parse->argv[parse->at++]);
}

static int take_long(struct parse *parse, const char *text)
{
    size_t length = strcspn(text + 2, "=");
    bool joined = text[2 + length] == '=';
    if (strcmp(text, "--help") == 0)
        return parse->out->help = true, 0;
    if (strcmp(text, "--version") == 0)
        return parse->out->version = true, 0;
    const struct row *row = find_option(parse, text + 2, length);
    if (!row)
        return unknown_option(parse, text);
    if (row->type == TYPE_SWITCH)
        return joined ? error_set(parse->err, ERROR_INVALID, "--%s takes no value", row->name)
                      : add_value(parse, row, "");
    return joined ? add_value(parse, row, text + 2 + length + 1) : take_next_value(parse, row, text);
}

static int take_short(struct parse *parse, const char *text)
{
    if (strcmp(text, "-h") == 0)
        return parse->out->help = true, 0;
    const struct row *row = find_letter(parse, text[1]);
    if (!row)
        return unknown_option(parse, text);
    if (row->type == TYPE_SWITCH)
        return text[2] ? unknown_option(parse, text) : add_value(parse, row, "");
    return text[2] ? add_value(parse, row, text + 2 + (text[2] == '=')) : take_next_value(parse, row, text);
}

static int take_argument(struct parse *parse, const char *text)
{
    struct invocation *out = parse->out;
    const struct row *row = NULL;
    size_t place = 0;
    while ((row = command_next(out->command, ROW_ARGUMENT, row)) && !(row->flags & REPEATED) &&
           place < out->argument_count)
        place++;
    if (!row)
        return error_set(
            parse->err, ERROR_INVALID,
            "`atoll %s` doesn't know what to do with \"%s\"; `atoll help %s` shows its arguments",
            out->command->name, text, out->command->name);
    if (out->argument_count == INVOCATION_ARGUMENTS_MAX)
        return error_set(parse->err, ERROR_INVALID, "too many arguments (at most %d)",
                         INVOCATION_ARGUMENTS_MAX);
    if (check_value(row, row->name, text, parse->err))
        return -1;
    out->arguments[out->argument_count++] = text;
    return 0;
}

static int check_complete(const struct invocation *out, struct error *err)
{
    const struct row *row = NULL;
    for (size_t place = 0; (row = command_next(out->command, ROW_ARGUMENT, row)); place++)
        if ((row->flags & REQUIRED) && place >= out->argument_count)
            return error_set(err, ERROR_INVALID, "`atoll %s` needs %s: %s%s%s", out->command->name, row->name,
                             row->help, *row->choices ? ", one of " : "", row->choices);
    while ((row = command_next(out->command, ROW_OPTION, row)))
        if ((row->flags & REQUIRED) && !invocation_has(out, row->name))
            return error_set(err, ERROR_INVALID, "`atoll %s` needs --%s %s: %s", out->command->name,
                             row->name, *row->choices ? row->choices : row->argument, row->help);
    return 0;
}

static int take(struct parse *parse, const char *text, bool options)
{
    if (options && strncmp(text, "--", 2) == 0)
        return take_long(parse, text);
    if (options && text[0] == '-' && text[1])
        return take_short(parse, text);
    return parse->out->command ? take_argument(parse, text) : take_command_word(parse, text);
}

int invocation_parse(int argc, char *const *argv, struct invocation *out, struct error *err)
{
    struct invocation result = {.program = argc ? argv[0] : "atoll"};
    struct parse parse = {.argc = argc, .argv = argv, .at = 1, .out = &result, .err = err};
    bool options = true;
    while (parse.at < argc) {
        const char *text = argv[parse.at++];
        if (options && strcmp(text, "--") == 0)
            options = false;
        else if (take(&parse, text, options))
            return -1;
    }
    if (!result.command && *parse.words && !result.help)
        return error_set(err, ERROR_INVALID, "`atoll %s` needs a command after it; `atoll help` lists them",
                         parse.words);
    for (size_t i = 0; result.command && i < result.value_count; i++)
        if (!command_option(result.command, result.values[i].option->name))
            return error_set(err, ERROR_INVALID, "`atoll %s` has no option --%s", result.command->name,
                             result.values[i].option->name);
    if (!result.command)
        memcpy(result.group, parse.words, sizeof result.group);
    if (result.command && !result.help && !result.version && check_complete(&result, err))
        return -1;
    *out = result;
    return 0;
}

const char *invocation_text(const struct invocation *invocation, const char *option)
{
    const char *text = NULL;
    assert(command_option(invocation->command, option));
    for (size_t i = 0; i < invocation->value_count; i++)
        if (strcmp(invocation->values[i].option->name, option) == 0)
            text = invocation->values[i].text;
    return text;
}

bool invocation_has(const struct invocation *invocation, const char *option)
{
    return invocation_text(invocation, option) != NULL;
}

int64_t invocation_number(const struct invocation *invocation, const char *option, int64_t fallback)
{
    const char *text = invocation_text(invocation, option);
    return text ? strtol(text, NULL, 10) : fallback;
}

const char *invocation_argument(const struct invocation *invocation, size_t index)
{
    return index < invocation->argument_count ? invocation->arguments[index] : NULL;
}
