/* Server-Sent Events as they come in (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6):
 * bytes in, events out. Pure. */
#ifndef ATOLL_CLI_SSE_H
#define ATOLL_CLI_SSE_H

#include "proto/base/buffer.h"

enum { SSE_LINE_MAX = 1 << 20, SSE_ID_MAX = 64, SSE_NAME_MAX = 64 };

struct sse {
    struct buffer line, data;
    char name[SSE_NAME_MAX]; /* the event's name; "" means message */
    char id[SSE_ID_MAX];     /* the last id seen: what Last-Event-ID resumes from */
    /* Above zero ends the reading. */
    int (*on_event)(void *context, const char *name, const char *data);
    void *context;
};

void sse_init(struct sse *sse, int (*on_event)(void *context, const char *name, const char *data),
              void *context);
void sse_finish(struct sse *sse);
/* A new stream begins: what was half read is forgotten, the id stays. */
void sse_restart(struct sse *sse);
/* Fits http_call_options.on_data with a struct sse as context. Non-zero when on_event ended it (what it
 * returned), or -1 when a line or an event passes SSE_LINE_MAX or memory is out. */
int sse_feed(void *sse, const char *data, size_t length);

#endif
