/* Server-Sent Events as they come in: see sse.h. */
#include "controller/cli/sse.h"

#include <stdio.h>
#include <string.h>

void sse_init(struct sse *sse, int (*on_event)(void *context, const char *name, const char *data),
              void *context)
{
    *sse = (struct sse){.on_event = on_event, .context = context};
    buffer_init(&sse->line, SSE_LINE_MAX);
    buffer_init(&sse->data, SSE_LINE_MAX);
}

void sse_finish(struct sse *sse)
{
    buffer_finish(&sse->line);
    buffer_finish(&sse->data);
}

void sse_restart(struct sse *sse)
{
    buffer_clear(&sse->line);
    buffer_clear(&sse->data);
    sse->name[0] = '\0';
}

static int dispatch(struct sse *sse)
{
    int result = 0;
    if (sse->data.length)
        result = sse->on_event(sse->context, *sse->name ? sse->name : "message", buffer_text(&sse->data));
    buffer_clear(&sse->data);
    sse->name[0] = '\0';
    return result;
}

static int take_field(struct sse *sse, const char *field, const char *value)
{
    if (strcmp(field, "event") == 0)
        snprintf(sse->name, sizeof sse->name, "%s", value);
    else if (strcmp(field, "id") == 0)
        snprintf(sse->id, sizeof sse->id, "%s", value);
    else if (strcmp(field, "data") == 0)
        return (sse->data.length && buffer_append_text(&sse->data, "\n")) ||
               buffer_append_text(&sse->data, value);
    return 0;
}

static int take_line(struct sse *sse, char *line)
{
    if (*line == '\0')
        return dispatch(sse);
    if (*line == ':')
        return 0;
    char *colon = strchr(line, ':');
    if (!colon)
        return take_field(sse, line, "");
    *colon = '\0';
    return take_field(sse, line, colon + 1 + (colon[1] == ' '));
}

int sse_feed(void *context, const char *data, size_t length)
{
    struct sse *sse = context;
    while (length) {
        const char *end = memchr(data, '\n', length);
        size_t part = end ? (size_t)(end - data) : length;
        if (buffer_append(&sse->line, data, part))
            return -1;
        data += part, length -= part;
        if (!end)
            return 0;
        data++, length--;
        if (sse->line.length && sse->line.data[sse->line.length - 1] == '\r')
            sse->line.data[--sse->line.length] = '\0';
        int result = take_line(sse, sse->line.data ? sse->line.data : (char[]){0});
        buffer_clear(&sse->line);
        if (result)
            return result;
    }
    return 0;
}
