/* Any bytes are a request's head, too few, or refused with a status and a sentence; what was read stays
 * within its bounds, and the same head is read the same when it comes alone. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "controller/serve/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    assert(text && strlen(text) <= HTTP_HEAD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_fields fields, again;
    const char *why = NULL;
    int result = http_fields_parse(&fields, (const char *)data, size, &why);
    if (result < 0)
        assert(result <= -400 && result > -600 && why && *why);
    if (result != 1)
        return 0;
    assert(fields.head_length <= size && fields.header_count <= HTTP_HEADER_LINES_MAX &&
           fields.query_count <= HTTP_QUERY_MAX);
    check_text(fields.method);
    check_text(fields.path);
    for (size_t i = 0; i < fields.header_count; i++) {
        check_text(fields.headers[i].name);
        check_text(fields.headers[i].value);
    }
    for (size_t i = 0; i < fields.query_count; i++) {
        check_text(fields.query[i].name);
        check_text(fields.query[i].value);
    }
    assert(http_fields_parse(&again, (const char *)data, fields.head_length, &why) == 1);
    assert(again.head_length == fields.head_length && again.content_length == fields.content_length);
    return 0;
}
