/* A stream of Server-Sent Events in pieces: nothing may crash its reading, events are the same whatever the
 * pieces, and each fits the bound. The first byte is the size of the pieces. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "controller/cli/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(void *context, const char *name, const char *data)
{
    uint64_t *sum = context;
    assert(*name && strlen(name) < SSE_NAME_MAX && *data && strlen(data) <= SSE_LINE_MAX);
    for (const char *at = name; *at; at++)
        *sum = *sum * 31 + (unsigned char)*at;
    for (const char *at = data; *at; at++)
        *sum = *sum * 31 + (unsigned char)*at;
    return 0;
}

static uint64_t run(const char *text, size_t length, size_t piece)
{
    struct sse sse;
    uint64_t sum = 0;
    int result = 0;
    sse_init(&sse, note, &sum);
    for (size_t at = 0; at < length && result == 0; at += piece)
        result = sse_feed(&sse, text + at, length - at < piece ? length - at : piece);
    assert(result == 0 && strlen(sse.id) < SSE_ID_MAX);
    sse_finish(&sse);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    assert(run(text, size - 1, size) == run(text, size - 1, (size_t)data[0] + 1));
    return 0;
}
