/* The report's and heartbeat's JSON form: bodies of `PUT /v1/zones/{zone}/report`, `POST
 * /v1/zones/{zone}/heartbeat`, and the controller's answer to both: {"epoch":3,"reportWanted":false}. */
#ifndef ATOLL_PROTO_REPORT_H
#define ATOLL_PROTO_REPORT_H

#include "proto/base/json.h"
#include "proto/model.h"

enum { HEARTBEAT_INTERVAL_MS = 2000, ZONE_SILENT_AFTER_MS = 7000 };

/* Append the message's JSON text. Errors: the buffer's bound, memory; then nothing was appended. */
int report_print(const struct report *report, struct buffer *out, struct error *err);
int heartbeat_print(const struct heartbeat *heartbeat, struct buffer *out, struct error *err);

/* Whether both say the same but for what changes all the time (ages, sequence, optimes, used bytes, peers'
 * optimes): then not both need to be sent. */
bool report_same_news(const struct report *a, const struct report *b);

/* Bounded reading; unknown keys are ignored. `report_read` demands that the body's zone is `zone`. */
int report_read(const char *text, size_t length, const char *zone, struct arena *arena, struct report *out,
                struct error *err);
int heartbeat_read(const char *text, size_t length, struct arena *arena, struct heartbeat *out,
                   struct error *err);

struct json *replica_config_write(const struct replica_config *config);
int replica_config_read(const struct json *json, struct arena *arena, struct replica_config *out,
                        struct error *err);

#endif
