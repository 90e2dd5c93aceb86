/* What is asked on the control socket: see control_order.h. */
#include "zone-agent/local/control_order.h"

#include <string.h>

#include "proto/base/json.h"

static int read_fault(const char *name, struct control_order *out)
{
    static const struct {
        const char *name;
        enum fault fault;
    } known[] = {{"cut", FAULT_CUT}, {"refuse", FAULT_REFUSE}, {"slow", FAULT_SLOW}, {"heal", FAULT_NONE}};
    out->move = strcmp(name, "move-address") == 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) {
            out->fault = known[i].fault;
            return 0;
        }
    return out->move ? 0 : -1;
}

static int read_order(const struct json *json, struct control_order *out, struct error *err)
{
    const struct json *named = json_get(json, "member");
    const char *name = json_get_text(json, "fault", ""), *member = json_text(named);
    if (read_fault(name, out))
        return error_set(err, ERROR_INVALID,
                         "unknown fault %.40s; there are move-address, cut, slow, refuse and heal", name);
    if (named && (!member || !*member || strlen(member) > NAME_LENGTH_MAX))
        return error_set(err, ERROR_INVALID, "\"member\" must be a name of 1 to %d bytes (NAME_LENGTH_MAX)",
                         NAME_LENGTH_MAX);
    if (out->move && !member)
        return error_set(err, ERROR_INVALID, "move-address needs a member");
    if (member)
        memcpy(out->member, member, strlen(member) + 1);
    out->slow_ms = json_get_int(json, "ms", 0);
    if (out->fault == FAULT_SLOW && (out->slow_ms < 1 || out->slow_ms > CONTROL_SLOW_MS_MAX))
        return error_set(err, ERROR_INVALID, "slow needs ms from 1 to %d", CONTROL_SLOW_MS_MAX);
    return 0;
}

int control_order_read(const char *line, size_t length, struct control_order *out, struct error *err)
{
    struct control_order order = {.fault = FAULT_NONE};
    if (length > CONTROL_LINE_MAX)
        return error_set(err, ERROR_TOO_LARGE, "an order has at most %d bytes (CONTROL_LINE_MAX)",
                         CONTROL_LINE_MAX);
    struct json *json = json_parse(line, length, CONTROL_LINE_MAX, err);
    int result = json ? read_order(json, &order, err) : -1;
    json_destroy(json);
    if (result == 0)
        *out = order;
    return result;
}
