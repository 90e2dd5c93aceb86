/* Texts made from the table of commands: help, man page, docs/cli.md. Pure. */
#ifndef ATOLL_CLI_HELP_H
#define ATOLL_CLI_HELP_H

#include "controller/cli/command.h"
#include "proto/base/buffer.h"

void help_overview(struct buffer *out);
/* The commands of a group like "sandbox"; how many there are. */
int help_group(const char *group, struct buffer *out);
void help_command(const struct row *command, struct buffer *out);
/* "atoll wait SET --for healthy|primary|phase=PHASE [--timeout SECS] …" */
void help_usage(const struct row *command, struct buffer *out);
void help_man(struct buffer *out);
void help_markdown(struct buffer *out);
void completion_write(const char *shell, struct buffer *out);

#endif
