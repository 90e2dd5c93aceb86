/* What somebody writes to an agent's control socket: any line is an order within its bounds, or refused with
 * a sentence. */
#include <assert.h>
#include <string.h>

#include "zone-agent/local/control_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_order order;
    struct error err = {.code = ERROR_NONE};
    if (control_order_read((const char *)data, size, &order, &err)) {
        assert(*err.message && (err.code == ERROR_INVALID || err.code == ERROR_TOO_LARGE));
        return 0;
    }
    assert(strlen(order.member) <= NAME_LENGTH_MAX && (!order.move || *order.member));
    assert(order.fault != FAULT_SLOW || (order.slow_ms >= 1 && order.slow_ms <= CONTROL_SLOW_MS_MAX));
    return 0;
}
