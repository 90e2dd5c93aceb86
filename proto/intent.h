/* The intent's JSON form: one line of the stream `GET /v1/zones/{zone}/intent?watch=true&revision=N`.
 *
 *   {"type":"INTENT","epoch":3,"revision":118,"federation":"prod","zone":"us-east1-b","members":[…]}
 *   {"type":"BOOKMARK","epoch":3,"revision":118}        a sign of life every few seconds
 */
#ifndef ATOLL_PROTO_INTENT_H
#define ATOLL_PROTO_INTENT_H

#include "proto/base/json.h"
#include "proto/model.h"

enum { INTENT_BOOKMARK_MS = 2000, INTENT_SILENCE_MS = 8000 };

/* What one line of the stream says. `intent` holds only epoch and revision when it is a bookmark. */
struct intent_event {
    bool bookmark;
    struct intent intent;
};

/* Appends the JSON text of an INTENT line, without its newline. Errors: the buffer's bound, memory; then
 * nothing was appended. */
int intent_print(const struct intent *intent, struct buffer *out, struct error *err);

/* Reads one line (without its newline). Every count and length is bounded; unknown keys are ignored, so that
 * an older agent understands a newer controller. */
int intent_read(const char *line, size_t length, struct arena *arena, struct intent_event *out,
                struct error *err);

/* The same members, names and values, whatever the epoch and revision. */
bool intent_equal(const struct intent *a, const struct intent *b);

#endif
