/* The program `atoll`: understands its command line and calls the command. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/help.h"
#include "proto/base/core_dump.h"

static int show_help(const struct invocation *invocation)
{
    struct buffer out;
    buffer_init(&out, 0);
    if (invocation->command)
        help_command(invocation->command, &out);
    else if (*invocation->group)
        help_group(invocation->group, &out);
    else
        help_overview(&out);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

int main(int argc, char **argv)
{
    struct error err;
    struct invocation invocation;
    core_dump_forbid();       /* it reads keys and tokens, and makes some */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error that is said, not a silent death */
    if (invocation_parse(argc, argv, &invocation, &err))
        return console_fail(&err, NULL);
    if (invocation.version)
        return command_version(&(struct invocation){.command = NULL});
    if (invocation.help)
        return show_help(&invocation);
    if (!invocation.command) {
        fputs("usage: atoll COMMAND [OPTION]...; `atoll help` lists the commands\n", stderr);
        return EXIT_USAGE;
    }
    return invocation.command->run(&invocation);
}
