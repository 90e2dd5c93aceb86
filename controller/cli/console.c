/* The terminal, or what stands in for it: see console.h. */
#include "controller/cli/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "controller/cli/text.h"
#include "controller/cli/yaml.h"

enum { MESSAGE_MAX = 4096 };

bool console_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

bool console_colours(int fd)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM"); /* https://no-color.org */
    return console_is_terminal(fd) && !(none && *none) && !(terminal && strcmp(terminal, "dumb") == 0);
}

size_t console_width(void)
{
    struct winsize size;
    if (!console_is_terminal(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
        return 0;
    return size.ws_col;
}

/* Lines stay lines; all else that a terminal would obey is escaped. */
static void write_escaped(const char *text)
{
    struct buffer out;
    buffer_init(&out, 0);
    char line[MESSAGE_MAX];
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        text_escape(line, &out);
        at += length;
        if (*at == '\n')
            buffer_append_text(&out, "\n"), at++;
    }
    fputs(buffer_text(&out), stderr);
    buffer_finish(&out);
}

void console_say(const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_escaped(text);
    fputc('\n', stderr);
}

enum exit_status exit_status_of(const struct error *err)
{
    switch (err->code) {
    case ERROR_NONE:
        return EXIT_DONE;
    case ERROR_INVALID:
    case ERROR_TOO_LARGE:
        return EXIT_USAGE;
    case ERROR_UNREACHABLE:
    case ERROR_TIMEOUT:
    case ERROR_PROTOCOL:
    case ERROR_CANCELED:
        return EXIT_NO_CONTROLLER;
    case ERROR_REFUSED:
    case ERROR_CONFLICT:
        return EXIT_REFUSED;
    case ERROR_NOT_FOUND:
    case ERROR_IO:
    case ERROR_NO_MEMORY:
    case ERROR_INTERNAL:
        return EXIT_NEGATIVE;
    }
    return EXIT_NEGATIVE;
}

int console_fail(const struct error *err, const char *next)
{
    bool colours = console_colours(STDERR_FILENO);
    fputs(colours ? "\033[31matoll: error:\033[0m " : "atoll: error: ", stderr);
    write_escaped(err->message);
    if (next && *next) {
        size_t length = strlen(err->message);
        fputs(length && strchr(".;\n", err->message[length - 1]) ? " " : ". ", stderr);
        write_escaped(next);
    }
    fputc('\n', stderr);
    return (int)exit_status_of(err);
}

int console_print(const struct buffer *text)
{
    if (fwrite(buffer_text(text), 1, text->length, stdout) == text->length && fflush(stdout) == 0)
        return EXIT_DONE;
    struct error err;
    if (errno == EPIPE)
        return EXIT_NEGATIVE; /* whoever read it has seen enough */
    error_set_errno(&err, errno, "writing to standard output");
    return console_fail(&err, NULL);
}

int console_print_json(const struct json *json, enum json_style style)
{
    struct error err;
    struct buffer plain, safe;
    buffer_init(&plain, 0);
    buffer_init(&safe, 0);
    int status;
    if (json_print(json, style, &plain, &err)) {
        status = console_fail(&err, NULL);
    } else {
        text_escape_json(buffer_text(&plain), &safe);
        buffer_append_text(&safe, "\n");
        status = console_print(&safe);
    }
    buffer_finish(&plain);
    buffer_finish(&safe);
    return status;
}

int console_print_yaml(const struct json *json)
{
    struct buffer out;
    buffer_init(&out, 0);
    yaml_write(json, &out);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

void progress_show(struct progress *progress, const char *text, int64_t elapsed_ms)
{
    char duration[DURATION_TEXT_MAX];
    struct buffer line;
    buffer_init(&line, 0);
    text_escape(text, &line);
    if (console_is_terminal(STDERR_FILENO)) {
        struct winsize size;
        size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
        struct buffer cut;
        buffer_init(&cut, 0);
        text_cut(buffer_text(&line), width - 12, &cut);
        fprintf(stderr, "\r\033[K%6s  %s", duration_text(elapsed_ms, duration), buffer_text(&cut));
        fflush(stderr);
        buffer_finish(&cut);
        progress->shown = true;
    } else if (strncmp(progress->last, text, sizeof progress->last - 1) != 0) {
        fprintf(stderr, "%s: %s\n", duration_text(elapsed_ms, duration), buffer_text(&line));
        snprintf(progress->last, sizeof progress->last, "%s", text);
    }
    buffer_finish(&line);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}

void console_pause(int64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}
