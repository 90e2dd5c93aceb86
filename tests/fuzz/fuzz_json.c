/* Any bytes are read or refused; what was read prints, and reads back to the same text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/json.h"

enum { INPUT_MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct buffer first, second;
    struct json *json = json_parse((const char *)data, size, INPUT_MAX, &err);
    if (!json)
        return 0;
    buffer_init(&first, 0);
    buffer_init(&second, 0);
    assert(json_print(json, JSON_PRETTY, &first, &err) == 0);
    struct json *again = json_parse(buffer_text(&first), first.length, SIZE_MAX, &err);
    assert(again && json_print(again, JSON_PRETTY, &second, &err) == 0);
    assert(first.length == second.length && !memcmp(first.data, second.data, first.length));
    json_destroy(json);
    json_destroy(again);
    buffer_finish(&first);
    buffer_finish(&second);
    return 0;
}
