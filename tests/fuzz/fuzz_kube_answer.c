/* What an API server, or a proxy before it, answers: the first three bytes are the HTTP status, then j for
 * JSON; the rest is the body. Nothing may crash its reading; a good status with what can't be read, and every
 * other status, is an error with words that have no control characters of a body that was no JSON. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char digits[4] = "", *body_text;
    struct error err = {.code = ERROR_NONE};
    struct json *body = NULL;
    struct kube_answer out;
    if (size < 4)
        return 0;
    memcpy(digits, data, 3);
    body_text = malloc(size - 3); /* as the client gives it: zero-terminated */
    assert(body_text);
    memcpy(body_text, data + 4, size - 4);
    body_text[size - 4] = 0;
    struct http_answer answer = {.status = atoi(digits),
                                 .content_type = data[3] == 'j' ? "application/json" : "text/html",
                                 .etag = "",
                                 .wanted = "",
                                 .retry_after_ms = -1,
                                 .body = body_text,
                                 .length = size - 4};
    kube_answer_read(&answer, "GET /api", &body, &err, &out);
    if (answer.status < 200 || answer.status > 299)
        assert(out.err && out.err->code != ERROR_NONE && *out.err->message);
    if (out.err && data[3] != 'j')
        check_text(out.err->message);
    int64_t wait_ms = kube_answer_retry_after_ms(&answer, body);
    assert(wait_ms == -1 || (wait_ms > 0 && wait_ms <= 86400000));
    json_destroy(body);
    free(body_text);
    return 0;
}
