/* atoll completion: scripts for bash, zsh and fish, made from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/help.h"

/* The choices as words: "healthy primary phase=". */
static void words_of(const char *choices, struct buffer *out)
{
    while (*choices) {
        size_t length = strcspn(choices, "|"), shown = strcspn(choices, "|=");
        buffer_printf(out, "%.*s ", (int)(shown < length ? shown + 1 : length), choices);
        choices += length + (choices[length] == '|');
    }
}

/* The words that can come after `prefix` ("": the first ones), each once: "sandbox validate …". */
static void next_words(const char *prefix, struct buffer *out)
{
    size_t length = strlen(prefix);
    char last[COMMAND_NAME_MAX] = "";
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));) {
        const char *rest = row->name + length + (length ? 1 : 0);
        if ((row->flags & HIDDEN) || strncmp(row->name, prefix, length) != 0 ||
            (length && row->name[length] != ' '))
            continue;
        char word[COMMAND_NAME_MAX];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(rest, " "), rest);
        if (strcmp(word, last) != 0)
            buffer_printf(out, "%s ", word);
        snprintf(last, sizeof last, "%s", word);
    }
}

/* The group of a command of two words: "sandbox". False for the others. */
static bool group_of(const struct row *command, char group[COMMAND_NAME_MAX])
{
    snprintf(group, COMMAND_NAME_MAX, "%.*s", (int)strcspn(command->name, " "), command->name);
    return strchr(command->name, ' ') != NULL;
}

static bool first_of_group(const struct row *command)
{
    char group[COMMAND_NAME_MAX], other[COMMAND_NAME_MAX];
    if (!group_of(command, group))
        return false;
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row)) && row != command;)
        if (group_of(row, other) && strcmp(group, other) == 0)
            return false;
    return true;
}

static void command_words(const struct row *command, struct buffer *out)
{
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row));) {
        words_of(row->choices, out);
        if (row->type == TYPE_COMMAND)
            next_words("", out);
    }
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));)
        if (!(row->flags & HIDDEN))
            buffer_printf(out, "--%s ", row->name);
    buffer_append_text(out, "--help");
}

static void bash_values(const struct row *command, struct buffer *out)
{
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));) {
        if (row->type == TYPE_SWITCH || (row->flags & HIDDEN))
            continue;
        buffer_printf(out, "    \"%s --%s\"", command->name, row->name);
        if (row->letter)
            buffer_printf(out, "|\"%s -%c\"", command->name, row->letter);
        buffer_append_text(out, ") COMPREPLY=(");
        if (row->type == TYPE_CHOICE) {
            buffer_append_text(out, "$(compgen -W \"");
            words_of(row->choices, out);
            buffer_append_text(out, "\" -- \"$cur\")");
        } else if (row->type == TYPE_FILE || row->type == TYPE_FOLDER) {
            buffer_printf(out, "$(compgen %s -- \"$cur\")", row->type == TYPE_FILE ? "-f" : "-d");
        }
        buffer_append_text(out, "); return ;;\n");
    }
}

static void bash(struct buffer *out)
{
    buffer_append_text(out,
                       "# bash completion of atoll: source <(atoll completion bash)\n_atoll()\n{\n"
                       "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
                       "  COMPREPLY=()\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    case "
                       "\"${command:+$command }${COMP_WORDS[i]}\" in\n    ");
    const char *bar = "";
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));) {
        char group[COMMAND_NAME_MAX];
        if (!(row->flags & HIDDEN) && first_of_group(row) && group_of(row, group))
            buffer_printf(out, "%s\"%s\"", bar, group), bar = "|";
        if (!(row->flags & HIDDEN))
            buffer_printf(out, "%s\"%s\"", bar, row->name), bar = "|";
    }
    buffer_append_text(out, ")\n      command=${command:+$command }${COMP_WORDS[i]} ;;\n    esac\n  done\n  "
                            "case \"$command $prev\" in\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
        if (!(row->flags & HIDDEN))
            bash_values(row, out);
    buffer_append_text(out, "  esac\n  case \"$command\" in\n    \"\") COMPREPLY=($(compgen -W \"");
    next_words("", out);
    buffer_append_text(out, "\" -- \"$cur\")) ;;\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));) {
        char group[COMMAND_NAME_MAX];
        if (row->flags & HIDDEN)
            continue;
        if (first_of_group(row) && group_of(row, group)) {
            buffer_printf(out, "    \"%s\") COMPREPLY=($(compgen -W \"", group);
            next_words(group, out);
            buffer_append_text(out, "\" -- \"$cur\")) ;;\n");
        }
        buffer_printf(out, "    \"%s\") COMPREPLY=($(compgen -W \"", row->name);
        command_words(row, out);
        buffer_append_text(out, "\" -- \"$cur\")) ;;\n");
    }
    buffer_append_text(out, "  esac\n}\ncomplete -F _atoll atoll\n");
}

/* Text within single quotes of a shell: these are left out, as are zsh's own signs. */
static void quoted(const char *text, struct buffer *out)
{
    for (; *text; text++)
        if (!strchr("'[]:\\", *text))
            buffer_append(out, text, 1);
}

static void zsh_options(const struct row *command, struct buffer *out)
{
    for (const struct row *row = NULL; (row = command_next(command, ROW_OPTION, row));) {
        if (row->flags & HIDDEN)
            continue;
        for (int letter = row->letter != 0; letter >= 0; letter--) {
            char name[COMMAND_NAME_MAX];
            snprintf(name, sizeof name, letter ? "-%.1s" : "--%s", letter ? &row->letter : row->name);
            buffer_printf(out, " '%s%s[", row->flags & REPEATED ? "*" : "", name);
            quoted(row->help, out);
            buffer_append_text(out, "]");
            if (row->type == TYPE_CHOICE) {
                buffer_append_text(out, ":value:(");
                words_of(row->choices, out);
                buffer_append_text(out, ")");
            } else if (row->type != TYPE_SWITCH) {
                buffer_printf(out, ":value:%s",
                              row->type == TYPE_FILE     ? "_files"
                              : row->type == TYPE_FOLDER ? "_files -/"
                                                         : "");
            }
            buffer_append_text(out, "'");
        }
    }
    int place = 0;
    for (const struct row *row = NULL; (row = command_next(command, ROW_ARGUMENT, row));) {
        buffer_printf(out, " '%d:argument:(", ++place);
        words_of(row->choices, out);
        buffer_append_text(out, ")'");
    }
}

static void zsh(struct buffer *out)
{
    buffer_append_text(
        out, "#compdef atoll\n# zsh completion of atoll: atoll completion zsh > "
             "\"${fpath[1]}/_atoll\"\n_atoll()\n{\n"
             "  local -a names\n  local command=\n  local -i i=2 shift=1\n"
             "  while (( i < CURRENT )); do\n    case \"${command:+$command }${words[i]}\" in\n    ");
    const char *bar = "";
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));) {
        char group[COMMAND_NAME_MAX];
        if (!(row->flags & HIDDEN) && first_of_group(row) && group_of(row, group))
            buffer_printf(out, "%s'%s'", bar, group), bar = "|";
        if (!(row->flags & HIDDEN))
            buffer_printf(out, "%s'%s'", bar, row->name), bar = "|";
    }
    buffer_append_text(out, ") command=${command:+$command }${words[i]}; shift=$i ;;\n    *) break ;;\n    "
                            "esac\n    (( i++ ))\n  done\n"
                            "  words=(\"${(@)words[shift,-1]}\")\n  (( CURRENT -= shift - 1 ))\n  case "
                            "\"$command\" in\n  '') names=(");
    next_words("", out);
    buffer_append_text(out, "); compadd -a names ;;\n");
    for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));) {
        char group[COMMAND_NAME_MAX];
        if (row->flags & HIDDEN)
            continue;
        if (first_of_group(row) && group_of(row, group)) {
            buffer_printf(out, "  '%s') names=(", group);
            next_words(group, out);
            buffer_append_text(out, "); compadd -a names ;;\n");
        }
        buffer_printf(out, "  '%s') _arguments", row->name);
        zsh_options(row, out);
        buffer_append_text(out, " ;;\n");
    }
    buffer_append_text(
        out,
        "  esac\n}\nif [ \"$funcstack[1]\" = _atoll ]; then _atoll \"$@\"; else compdef _atoll atoll; fi\n");
}

static void fish_command(const struct row *row, struct buffer *out)
{
    char group[COMMAND_NAME_MAX];
    const char *second = strchr(row->name, ' ');
    group_of(row, group);
    if (!second || first_of_group(row))
        buffer_printf(out, "complete -c atoll -f -n __fish_use_subcommand -a %s\n", group);
    if (second) {
        buffer_printf(out, "complete -c atoll -f -n '__fish_seen_subcommand_from %s' -a %s -d '", group,
                      second + 1);
        quoted(row->help, out);
        buffer_append_text(out, "'\n");
    }
    char when[4 * COMMAND_NAME_MAX];
    snprintf(when, sizeof when, "__fish_seen_subcommand_from %s%s%s", group,
             second ? "; and __fish_seen_subcommand_from " : "", second ? second + 1 : "");
    for (const struct row *option = NULL; (option = command_next(row, ROW_OPTION, option));) {
        if (option->flags & HIDDEN)
            continue;
        buffer_printf(out, "complete -c atoll -n '%s' -l %s", when, option->name);
        if (option->letter)
            buffer_printf(out, " -s %c", option->letter);
        if (option->type == TYPE_CHOICE) {
            buffer_append_text(out, " -x -a '");
            words_of(option->choices, out);
            buffer_append_text(out, "'");
        } else if (option->type != TYPE_SWITCH) {
            buffer_append_text(out, option->type == TYPE_FILE || option->type == TYPE_FOLDER ? " -r" : " -x");
        }
        buffer_append_text(out, " -d '");
        quoted(option->help, out);
        buffer_append_text(out, "'\n");
    }
    for (const struct row *argument = NULL; (argument = command_next(row, ROW_ARGUMENT, argument));)
        if (*argument->choices) {
            buffer_printf(out, "complete -c atoll -f -n '%s' -a '", when);
            words_of(argument->choices, out);
            buffer_append_text(out, "'\n");
        }
}

void completion_write(const char *shell, struct buffer *out)
{
    if (strcmp(shell, "bash") == 0) {
        bash(out);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh(out);
    } else {
        buffer_append_text(
            out, "# fish completion of atoll: atoll completion fish > ~/.config/fish/completions/atoll.fish\n"
                 "complete -c atoll -f\n");
        for (const struct row *row = NULL; (row = row_next_of(ROW_COMMAND, row));)
            if (!(row->flags & HIDDEN))
                fish_command(row, out);
    }
}

int command_completion(const struct invocation *invocation)
{
    struct buffer out;
    buffer_init(&out, 0);
    completion_write(invocation_argument(invocation, 0), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}
