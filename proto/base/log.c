/* Log lines on standard error: see log.h. Each line is one write(2), so that lines of several processes on one terminal or
 * file don't mix. */
#include "proto/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { LOG_MESSAGE_MAX = 2048, LOG_LINE_MAX = 4096, LOG_PROGRAM_MAX = 64 };

/* Set once at start by main(), read afterwards. */
static char log_program[LOG_PROGRAM_MAX] = "atoll";
static enum log_level log_least = LOG_LEVEL_INFO;

void log_configure(const char *program, enum log_level least)
{
    snprintf(log_program, sizeof log_program, "%s", program);
    log_least = least;
}

/* Appends `text` with control characters (also the two-byte ones of UTF-8's C1 range) escaped; cuts at the end. */
static size_t append_escaped(char *line, size_t used, size_t size, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c && used + 8 < size; c++) {
        int c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;
        if (*c == '\n')
            used += (size_t)snprintf(line + used, size - used, "\\n");
        else if (*c < 0x20 || *c == 0x7f || c1)
            used += (size_t)snprintf(line + used, size - used, "\\x%02x", c1 ? c[1] : c[0]);
        else
            line[used++] = (char)*c;
        c += c1;
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
    int head = snprintf(line, sizeof line, "%s %s %s%s%s: ", time_text(clock_wall_ms(&clock_system), at), names[level],
                        log_program, component && *component ? "/" : "", component ? component : "");
    size_t used = append_escaped(line, (size_t)head, sizeof line - 1, message);
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nobody to tell */
}
