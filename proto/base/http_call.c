/* An HTTP request's settings for libcurl, and what is done with its answer's bytes: see http_call.h. */
#include "proto/base/http_call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HTTP_CONNECT_TIMEOUT_MS = 10000,
    HTTP_UPLOAD_BUFFER = 16 * 1024, /* libcurl's least; its default costs an agent 64 KiB */
    HTTP_HEADERS_MAX = 32
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    size_t length = size * count;
    long status = 0;
    call->heard_ns = uv_hrtime();
    if (call->error.code != ERROR_NONE)
        return CURL_WRITEFUNC_ERROR;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->options.on_data && status >= 200 && status < 300) {
        if (call->options.on_data(call->options.context, data, length) == 0 && call->error.code == ERROR_NONE)
            return length;
        if (call->error.code == ERROR_NONE)
            error_set(&call->error, ERROR_CANCELED, "%s: ended by its reader", call->subject);
        return CURL_WRITEFUNC_ERROR;
    }
    if (length > call->options.body_limit || call->body.length > call->options.body_limit - length) {
        error_set(&call->error, ERROR_TOO_LARGE, "%s: an answer of more than %zu bytes", call->subject,
                  call->options.body_limit);
        return CURL_WRITEFUNC_ERROR;
    }
    if (buffer_append(&call->body, data, length)) {
        error_set(&call->error, ERROR_NO_MEMORY, "%s: out of memory for the answer", call->subject);
        return CURL_WRITEFUNC_ERROR;
    }
    return length;
}

static int add_header(struct http_call *call, const char *line)
{
    struct curl_slist *list = curl_slist_append(call->headers, line);
    if (list)
        call->headers = list;
    return list ? 0 : -1;
}

static int set_headers(struct http_call *call, struct error *err)
{
    const char *const *lines = call->options.headers;
    bool typed = false;
    size_t count = 0;
    int failed = add_header(call, "Expect:"); /* else libcurl waits a second before bodies above 1 MiB */
    for (; lines && *lines; lines++) {
        if (strpbrk(*lines, "\r\n") || !strchr(*lines, ':') || ++count > HTTP_HEADERS_MAX)
            return error_set(err, ERROR_INVALID, "%s: a header must be one line \"Name: value\", at most %d of them",
                             call->subject, HTTP_HEADERS_MAX);
        typed |= strncasecmp(*lines, "Content-Type:", 13) == 0;
        failed |= add_header(call, *lines);
    }
    if (!typed) /* else libcurl calls it a form */
        failed |= add_header(call, "Content-Type:");
    if (failed)
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", call->subject);
    return 0;
}

static int set_body(struct http_call *call)
{
    const struct http_call_options *options = &call->options;
    bool sends = !strcmp(options->method, "POST") || !strcmp(options->method, "PUT") || !strcmp(options->method, "PATCH");
    int failed = 0;
    if (options->body_length || sends) {
        call->body_sent = malloc(options->body_length + 1);
        if (!call->body_sent)
            return -1;
        if (options->body_length)
            memcpy(call->body_sent, options->body, options->body_length);
        failed |= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body_length);
        failed |= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body_sent);
    }
    if (!strcmp(options->method, "HEAD"))
        failed |= curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(options->method, "GET") || options->body_length)
        failed |= curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, options->method);
    return failed ? -1 : 0;
}

static int set_options(struct http_call *call, const char *user_agent)
{
    const struct http_call_options *options = &call->options;
    CURL *easy = call->easy;
    int failed = 0;
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    failed |= curl_easy_setopt(easy, CURLOPT_URL, options->url);
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* what the environment says is for people's tools */
    failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)HTTP_UPLOAD_BUFFER);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    return failed ? -1 : set_body(call);
}

int http_call_prepare(struct http_call *call, const char *user_agent, struct error *err)
{
    call->easy = curl_easy_init();
    if (!call->easy)
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", call->subject);
    if (set_headers(call, err))
        return -1;
    return set_options(call, user_agent) ? error_set(err, ERROR_NO_MEMORY, "%s: out of memory", call->subject) : 0;
}
