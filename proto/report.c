/* The report's, heartbeat's and a configuration's JSON form; see report.h. What stands in them is said by the
 * tables in fields.c. */
#include "proto/report.h"

#include <string.h>

#include "proto/fields.h"

int report_print(const struct report *report, struct buffer *out, struct error *err)
{
    return record_print(&report_record, report, 0, out, err);
}

int heartbeat_print(const struct heartbeat *heartbeat, struct buffer *out, struct error *err)
{
    return record_print(&heartbeat_record, heartbeat, 0, out, err);
}

bool report_same_news(const struct report *a, const struct report *b)
{
    return record_equal(&report_record, a, b, FIELD_VOLATILE);
}

struct json *replica_config_write(const struct replica_config *config)
{
    return record_write(&replica_config_record, config, 0);
}

int replica_config_read(const struct json *json, struct arena *arena, struct replica_config *out,
                        struct error *err)
{
    if (record_read(&replica_config_record, json, "", arena, out, err) < 0)
        return error_wrap(err, "replica set configuration");
    return 0;
}

/* A zone that reports one member twice contradicts itself. */
static int check_report(const struct report *report, const char *zone, struct error *err)
{
    if (strcmp(report->zone, zone) != 0)
        return error_set(err, ERROR_INVALID, "zone: is %s, but it was sent as zone %s", report->zone, zone);
    for (size_t i = 0; i < report->member_count; i++) {
        const struct member_holding *one = &report->members[i].holding;
        for (size_t k = 0; k < i; k++) {
            const struct member_holding *other = &report->members[k].holding;
            if (other->ordinal == one->ordinal && strcmp(other->set, one->set) == 0)
                return error_set(err, ERROR_INVALID,
                                 "members[%zu]: set %s, ordinal %d is in members[%zu] already", i, one->set,
                                 one->ordinal, k);
        }
    }
    return 0;
}

int report_read(const char *text, size_t length, const char *zone, struct arena *arena, struct report *out,
                struct error *err)
{
    struct report report;
    struct json *json = json_parse(text, length, REPORT_BYTES_MAX, err);
    int result = json ? record_read(&report_record, json, "", arena, &report, err) : -1;
    json_destroy(json);
    if (result < 0 || check_report(&report, zone, err) < 0)
        return error_wrap(err, "report");
    *out = report;
    return 0;
}

int heartbeat_read(const char *text, size_t length, struct arena *arena, struct heartbeat *out,
                   struct error *err)
{
    struct heartbeat heartbeat;
    struct json *json = json_parse(text, length, REPORT_BYTES_MAX, err);
    int result = json ? record_read(&heartbeat_record, json, "", arena, &heartbeat, err) : -1;
    json_destroy(json);
    if (result < 0)
        return error_wrap(err, "heartbeat");
    *out = heartbeat;
    return 0;
}
