/* One line on the control socket, as values: pure. */
#ifndef ATOLL_ZONE_AGENT_LOCAL_CONTROL_ORDER_H
#define ATOLL_ZONE_AGENT_LOCAL_CONTROL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/model.h"

enum { CONTROL_LINE_MAX = 4096, CONTROL_SLOW_MS_MAX = 60000 };

/* What a network does to a member or to the whole zone. */
enum fault { FAULT_NONE, FAULT_CUT, FAULT_REFUSE, FAULT_SLOW };

struct control_order {
    bool move;                        /* to another address; otherwise `fault` */
    enum fault fault;                 /* FAULT_NONE: heal */
    int64_t slow_ms;                  /* of FAULT_SLOW: 1 to CONTROL_SLOW_MS_MAX */
    char member[NAME_LENGTH_MAX + 1]; /* its node's name; "": the whole zone */
};

/* Reads {"fault":…,"member":…,"ms":N} (without the line's end). ERROR_INVALID with a sentence;
 * ERROR_TOO_LARGE beyond CONTROL_LINE_MAX bytes. */
int control_order_read(const char *line, size_t length, struct control_order *out, struct error *err);

#endif
