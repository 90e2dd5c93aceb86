/* What a set waits for, as people read it; used by explain and by sandbox up. */
#ifndef ATOLL_CLI_EXPLAIN_H
#define ATOLL_CLI_EXPLAIN_H

#include "controller/cli/remote.h"

/* GET /v1/sets/{set}/explain; the caller destroys it. NULL and `err` when it didn't work. */
struct json *explain_fetch(struct remote *remote, const char *set, struct error *err);
/* Pure: the phase, and a line for each wait. */
void explain_print(const struct json *answer, int64_t now_ms, size_t width, struct buffer *out);
/* Pure: a line for each rule whose outcome or name is `action`, with its first unmet condition. How many
 * there were. */
size_t explain_why_not(const struct json *answer, const char *action, struct buffer *out);

#endif
