/* The terminal, or what stands in for it: answers go to standard output, messages for people and progress to
 * standard error. Colour only on a terminal, never with NO_COLOR. */
#ifndef ATOLL_CLI_CONSOLE_H
#define ATOLL_CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/cli/command.h"
#include "proto/base/buffer.h"
#include "proto/base/error.h"
#include "proto/base/json.h"

bool console_colours(int fd);
bool console_is_terminal(int fd);
/* Columns of the terminal behind standard output; 0 when it is none. */
size_t console_width(void);

/* A sentence for people, on standard error, with a newline; outside text in it is escaped. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "atoll: error: what went wrong" and the next thing to do (NULL: none) on standard error. Gives the exit
 * status that the error's code stands for. */
int console_fail(const struct error *err, const char *next);
enum exit_status exit_status_of(const struct error *err);

/* Writes an answer to standard output and flushes it. EXIT_DONE; a closed or full output is an error that is
 * said. */
int console_print(const struct buffer *text);
/* One JSON document, indented and with a newline behind it; `style` JSON_COMPACT for a document a line. */
int console_print_json(const struct json *json, enum json_style style);
int console_print_yaml(const struct json *json);

/* Progress of a long wait: one line that is rewritten on a terminal, else a line whenever the text is
 * another. */
struct progress {
    char last[256];
    bool shown;
};
void progress_show(struct progress *progress, const char *text, int64_t elapsed_ms);
/* Takes the line away before something else is written. */
void progress_end(struct progress *progress);

/* Sleeps; a signal ends it. */
void console_pause(int64_t ms);

#endif
