/* The command line's table and parser: what is understood, and what is said about the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/command.h"
#include "controller/cli/help.h"

enum { WORDS_MAX = 12 };

/* Splits at blanks; "" stays none. */
static int parse(const char *line, struct invocation *out, struct error *err)
{
    static char text[512];
    static char *words[WORDS_MAX + 1];
    int count = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
        words[count++] = word;
    *err = (struct error){0};
    return invocation_parse(count, words, out, err);
}

static void options_and_arguments_stand_in_any_order(void **state)
{
    static const char *const lines[] = {
        "atoll status mongo -o json --controller http://h:1",
        "atoll --controller http://h:1 status --output=json mongo",
        "atoll --controller=http://h:1 status -ojson mongo",
        "atoll status -o json --controller http://h:1 -- mongo",
    };
    struct invocation invocation;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(parse(lines[i], &invocation, &err), 0);
        assert_string_equal(invocation.command->name, "status");
        assert_string_equal(invocation_text(&invocation, "output"), "json");
        assert_string_equal(invocation_text(&invocation, "controller"), "http://h:1");
        assert_string_equal(invocation_argument(&invocation, 0), "mongo");
        assert_null(invocation_argument(&invocation, 1));
        assert_false(invocation_has(&invocation, "watch"));
    }
}

static void commands_of_two_words_are_one_command(void **state)
{
    struct invocation invocation;
    struct error err;
    (void)state;
    assert_int_equal(parse("atoll --dir /x sandbox fault mongo-node1 slow=20", &invocation, &err), 0);
    assert_string_equal(invocation.command->name, "sandbox fault");
    assert_string_equal(invocation_text(&invocation, "dir"), "/x");
    assert_string_equal(invocation_argument(&invocation, 1), "slow=20");
}

static void files_may_be_given_several_times(void **state)
{
    struct invocation invocation;
    struct error err;
    (void)state;
    assert_int_equal(parse("atoll apply -f a -f b --timeout 7 --wait", &invocation, &err), 0);
    assert_int_equal(invocation.value_count, 4);
    assert_string_equal(invocation_text(&invocation, "file"), "b");
    assert_int_equal(invocation_number(&invocation, "timeout", 3), 7);
    assert_int_equal(parse("atoll apply -f a", &invocation, &err), 0);
    assert_int_equal(invocation_number(&invocation, "timeout", 3), 3);
}

static void what_is_wrong_is_said_with_what_would_be_right(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"atoll stauts",
         "there is no command \"stauts\"; did you mean `atoll status`? `atoll help` lists all of them"},
        {"atoll frobnicate", "there is no command \"frobnicate\"; `atoll help` lists the commands"},
        {"atoll sandbox", "`atoll sandbox` needs a command after it; `atoll help` lists them"},
        {"atoll sandbox dwon", "there is no command \"sandbox dwon\"; did you mean `atoll sandbox down`? "
                               "`atoll help` lists all of them"},
        {"atoll status --wacth", "`atoll status` has no option --wacth; did you mean --watch?"},
        {"atoll status -x", "`atoll status` has no option -x; `atoll help status` shows the options"},
        {"atoll status --watch=1", "--watch takes no value"},
        {"atoll status -o", "-o needs a value: FORMAT"},
        {"atoll status -o xml", "--output can't be \"xml\": it is one of table|wide|json|yaml"},
        {"atoll status --watch --watch", "--watch is there twice; give it once"},
        {"atoll status a b",
         "`atoll status` doesn't know what to do with \"b\"; `atoll help status` shows its arguments"},
        {"atoll explain", "`atoll explain` needs SET: the set"},
        {"atoll wait mongo", "`atoll wait` needs --for healthy|primary|phase=PHASE: what to wait for"},
        {"atoll wait mongo --for phase=",
         "--for can't be \"phase=\": it is one of healthy|primary|phase=PHASE"},
        {"atoll wait mongo --for healthy --timeout 1h",
         "--timeout can't be \"1h\": it is a whole number of seconds from 0 to 604800"},
        {"atoll wait mongo --for healthy --timeout -1",
         "--timeout can't be \"-1\": it is a whole number of seconds from 0 to 604800"},
        {"atoll apply",
         "`atoll apply` needs --file FILE: a spec, or an overlay of the ones before it; - is standard input"},
        {"atoll --dir x validate -f a", "`atoll validate` has no option --dir"},
        {"atoll --watch status",
         "there is no option --watch before the command; `atoll help` shows the options"},
        {"atoll sandbox fault x melt",
         "FAULT can't be \"melt\": it is one of move-address|cut|slow=MS|refuse|heal"},
    };
    struct invocation invocation;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].line, &invocation, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void too_much_is_refused_by_a_bound(void **state)
{
    struct invocation invocation;
    struct error err;
    static char name[4096], atoll[] = "atoll", validate[] = "validate", option[] = "-f", file[] = "a";
    char *words[] = {atoll, name, NULL};
    static char *many[3 + 2 * INVOCATION_VALUES_MAX + 2] = {atoll, validate};
    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(invocation_parse(2, words, &invocation, &err), -1);
    int count = 2;
    for (int i = 0; i <= INVOCATION_VALUES_MAX; i++)
        many[count++] = option, many[count++] = file;
    assert_int_equal(invocation_parse(count, many, &invocation, &err), -1);
    assert_string_equal(err.message, "too many options (at most 64)");
}

static void help_needs_nothing_else(void **state)
{
    struct invocation invocation;
    struct error err;
    (void)state;
    assert_int_equal(parse("atoll wait --help", &invocation, &err), 0);
    assert_true(invocation.help);
    assert_int_equal(parse("atoll sandbox -h", &invocation, &err), 0);
    assert_true(invocation.help && !invocation.command);
    assert_string_equal(invocation.group, "sandbox");
    assert_int_equal(parse("atoll --version", &invocation, &err), 0);
    assert_true(invocation.version);
}

/* The contract's own lines, as far as these commands go. */
static void usage_is_the_contracts(void **state)
{
    static const struct {
        const char *command, *usage;
    } cases[] = {
        {"sandbox up", "atoll sandbox up [--spec FILE] [--mongod PATH|sim] [--dir DIR] [--timeout SECS] "
                       "[--kubeconfig ZONE=FILE]..."},
        {"sandbox down", "atoll sandbox down [--yes] [--dir DIR]"},
        {"sandbox fault", "atoll sandbox fault ZONE|MEMBER move-address|cut|slow=MS|refuse|heal [--dir DIR]"},
        {"validate", "atoll validate -f FILE... [--output text|json|yaml]"},
        {"apply",
         "atoll apply -f FILE... [--wait] [--timeout SECS] [--dry-run] [--why TEXT] [--output text|json]"},
        {"status", "atoll status [SET] [--output table|wide|json|yaml] [--watch] [--exit-code]"},
        {"explain", "atoll explain SET [--why-not ACTION] [--output text|json]"},
        {"events", "atoll events [SET] [--follow] [--output text|json]"},
        {"wait", "atoll wait SET --for healthy|primary|phase=PHASE [--timeout SECS]"},
        {"connection-string", "atoll connection-string SET [--with-password] [--why TEXT]"},
        {"completion", "atoll completion bash|zsh|fish"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, 0);
        assert_non_null(command_find(cases[i].command));
        help_usage(command_find(cases[i].command), &out);
        assert_string_equal(buffer_text(&out), cases[i].usage);
        buffer_finish(&out);
    }
}

static void every_row_has_its_help(void **state)
{
    (void)state;
    for (const struct row *row = rows_begin(); row < rows_end(); row++) {
        assert_true(*row->name && *row->help);
        assert_true(row->kind != ROW_COMMAND || row->run);
        assert_true(row->type != TYPE_CHOICE || *row->choices);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_stand_in_any_order),
        cmocka_unit_test(commands_of_two_words_are_one_command),
        cmocka_unit_test(files_may_be_given_several_times),
        cmocka_unit_test(what_is_wrong_is_said_with_what_would_be_right),
        cmocka_unit_test(too_much_is_refused_by_a_bound),
        cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(usage_is_the_contracts),
        cmocka_unit_test(every_row_has_its_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
