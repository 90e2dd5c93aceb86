/* The status document as people read it. Pure: JSON in, text out; ages are told against the document's own
 * generatedAt, so that the clocks of two machines don't matter. Unknown states and missing keys are shown as
 * they are, never refused. */
#ifndef ATOLL_CLI_STATUS_VIEW_H
#define ATOLL_CLI_STATUS_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buffer.h"
#include "proto/base/json.h"

struct view {
    bool wide; /* every column */
    bool colours;
    size_t width; /* lines are cut here; 0: not at all */
};

/* The whole document: summary, zones, sets. */
void status_view(const struct json *document, const struct view *view, struct buffer *out);
/* What there is to say about trust: nothing where all is in order. Called by status_view(). In
 * status_trust.c. */
void status_view_trust(const struct json *document, const struct view *view, struct buffer *out);
/* One set, as GET /status/sets/{set} gives it; `now_ms` is the wall time that its waits are told against (0:
 * don't). */
void status_view_set(const struct json *set, const struct view *view, int64_t now_ms, struct buffer *out);

/* One wait: the sentence, since when, until when, who ends it, by which rule. Without a newline. */
void wait_text(const struct json *wait, int64_t now_ms, struct buffer *out);

/* Whether all of it is healthy: zones connected, sets Healthy, members healthy; and there is a set at all. */
bool status_is_healthy(const struct json *document);
bool set_is_healthy(const struct json *set);
/* Whether every zone's agent has done what it was asked for; a document that doesn't say counts as yes. */
bool status_is_reached(const struct json *document);
/* The set of this name in the document, or NULL. */
const struct json *status_find_set(const struct json *document, const char *name);

/* One line on what is still waited for until all (or this set, when `set` isn't NULL) is healthy. */
void status_progress(const struct json *document, const char *set, struct buffer *out);

#endif
