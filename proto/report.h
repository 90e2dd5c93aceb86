/* The report's and heartbeat's JSON form: bodies of `PUT /v1/zones/{zone}/report`, `POST /v1/zones/{zone}/heartbeat`, and
 * the controller's answer to both: {"epoch":3,"reportWanted":false}. */
#ifndef ATOLL_PROTO_REPORT_H
#define ATOLL_PROTO_REPORT_H

#include "proto/base/json.h"
#include "proto/model.h"

enum { HEARTBEAT_INTERVAL_MS = 2000, ZONE_SILENT_AFTER_MS = 7000 };

/* New JSON objects; the caller destroys them. NULL when memory is out. With `steady` only what is news when it changes is
 * written (no ages, sequence, optimes, used bytes, peers' optimes): two reports with the same steady text need not both be sent. */
enum report_part { REPORT_WHOLE, REPORT_STEADY };
struct json *report_write(const struct report *report, enum report_part part);
struct json *heartbeat_write(const struct heartbeat *heartbeat);

/* Bounded reading; unknown keys are ignored. `report_read` demands that the body's zone is `zone`. */
int report_read(const char *text, size_t length, const char *zone, struct arena *arena, struct report *out,
                struct error *err);
int heartbeat_read(const char *text, size_t length, struct arena *arena, struct heartbeat *out, struct error *err);

struct json *replica_config_write(const struct replica_config *config);
int replica_config_read(const struct json *json, struct arena *arena, struct replica_config *out, struct error *err);

#endif
