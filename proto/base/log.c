/* Log lines on standard error: see log.h. Each line is one write(2), so that lines of several processes on
 * one terminal or file don't mix. */
#include "proto/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/printable.h"

enum { LOG_MESSAGE_MAX = 2048, LOG_LINE_MAX = 4096, LOG_PROGRAM_MAX = 64 };

/* Set once at start by main(), read afterwards. */
static char log_program[LOG_PROGRAM_MAX] = "atoll";
static enum log_level log_least = LOG_LEVEL_INFO;

void log_configure(const char *program, enum log_level least)
{
    snprintf(log_program, sizeof log_program, "%s", program);
    log_least = least;
}

/* Appends `text` with whatever a terminal would obey, and what is no UTF-8, escaped; cuts at the end. */
static size_t append_escaped(char *line, size_t used, size_t size, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at && used + 12 < size) {
        uint32_t point = 0;
        size_t length = printable_point(at, &point);
        if (*at == '\n')
            used += (size_t)snprintf(line + used, size - used, "\\n");
        else if (length == 0 || (point < 0xa0 && printable_is_not(point)))
            used += (size_t)snprintf(line + used, size - used, "\\x%02x", length ? point : *at);
        else if (printable_is_not(point))
            used += (size_t)snprintf(line + used, size - used, "\\u{%04x}", point);
        else
            for (size_t i = 0; i < length; i++)
                line[used++] = (char)at[i];
        at += length ? length : 1;
    }
    line[used] = 0;
    return used;
}

void log_write(enum log_level level, const char *component, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (level < log_least)
        return;
    char message[LOG_MESSAGE_MAX], line[LOG_LINE_MAX], at[TIME_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    int head =
        snprintf(line, sizeof line, "%s %s %s%s%s: ", time_text(clock_wall_ms(&clock_system), at),
                 names[level], log_program, component && *component ? "/" : "", component ? component : "");
    size_t used = append_escaped(line, (size_t)head, sizeof line - 1, message);
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nobody to tell */
}
