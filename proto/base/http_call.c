/* An HTTP request's settings for libcurl, and what is done with its answer's bytes: see http_call.h. */
#include "proto/base/http_call.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    HTTP_CONNECT_TIMEOUT_MS = 10000,
    HTTP_UPLOAD_BUFFER = 16 * 1024, /* libcurl's least; its default costs an agent 64 KiB */
    HTTP_HEADERS_MAX = 32,
    HTTP_KEEPALIVE_S = 30,
    HTTP_UNACKNOWLEDGED_MAX_MS =
        30000, /* what was sent and not acknowledged for so long: the connection is dead */
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

/* libcurl gives one header a call, and an empty line behind the last. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    long status = 0;
    (void)data;
    call->heard_ns = uv_hrtime();
    if (call->options.on_open && call->error.code == ERROR_NONE && size * count <= 2) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200 && status < 300)
            call->options.on_open(call->options.context);
    }
    return size * count;
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
            return error_set(err, ERROR_INVALID,
                             "%s: a header must be one line \"Name: value\", at most %d of them",
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
    bool sends = !strcmp(options->method, "POST") || !strcmp(options->method, "PUT") ||
                 !strcmp(options->method, "PATCH");
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

/* A peer that vanished says nothing, and a connection that many calls share would be used again and again:
 * the kernel is told to find out (without it, it sends again for a quarter of an hour). */
static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
    int on = 1, idle_s = HTTP_KEEPALIVE_S, probe_s = HTTP_KEEPALIVE_S / 3,
        most_ms = HTTP_UNACKNOWLEDGED_MAX_MS;
    (void)context;
    (void)purpose;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof most_ms);
    return CURL_SOCKOPT_OK; /* a kernel that doesn't know one of them does without */
}

static CURLcode set_pem(CURL *easy, CURLoption option, const char *pem)
{
    struct curl_blob blob = {(void *)(uintptr_t)pem, strlen(pem), CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &blob);
}

static int set_tls(struct http_call *call, const struct http_tls *tls)
{
    CURL *easy = call->easy;
    int failed = 0;
    failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!tls)
        return failed;
    if (tls->unverified) {
        failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        failed |=
            curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L); /* nor by anybody who takes it for verified */
        return failed;
    }
    if (tls->ca || tls->ca_file) { /* then these and no others: neither the system's bundle nor its folder */
        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca ? NULL : tls->ca_file);
        failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (tls->ca)
        failed |= set_pem(easy, CURLOPT_CAINFO_BLOB, tls->ca);
    if (tls->certificate)
        failed |= set_pem(easy, CURLOPT_SSLCERT_BLOB, tls->certificate);
    if (tls->key)
        failed |= set_pem(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    return failed;
}

/* libcurl verifies the name in the URL. So the URL gets the name, the connection goes to where it went, and
 * the Host header stays. */
static int set_server_name(struct http_call *call, CURLU *url, const char *name)
{
    char *host = NULL, *port = NULL, *renamed = NULL;
    char line[600] = "", header[600] = "";
    int failed = curl_url_get(url, CURLUPART_HOST, &host, 0) ||
                 curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (!failed)
        failed = snprintf(line, sizeof line, "::%s:%s", host, port) >= (int)sizeof line ||
                 snprintf(header, sizeof header, "Host: %s:%s", host, port) >= (int)sizeof header ||
                 curl_url_set(url, CURLUPART_HOST, name, 0) || curl_url_get(url, CURLUPART_URL, &renamed, 0);
    if (!failed) {
        call->connect_to = curl_slist_append(NULL, line);
        failed = !call->connect_to || add_header(call, header) ||
                 curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to) ||
                 curl_easy_setopt(call->easy, CURLOPT_URL, renamed);
    }
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    return failed ? -1 : 0;
}

static int set_url(struct http_call *call)
{
    const struct http_tls *tls = call->options.tls;
    if (!tls || !tls->server_name)
        return curl_easy_setopt(call->easy, CURLOPT_URL, call->options.url) ? -1 : 0;
    CURLU *url = curl_url();
    int failed = !url || curl_url_set(url, CURLUPART_URL, call->options.url, 0) ||
                 set_server_name(call, url, tls->server_name);
    curl_url_cleanup(url);
    return failed ? -1 : 0;
}

static long http_version(const struct http_call_options *options)
{
    bool known = curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2;
    return options->http2 && known ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
}

static int set_connection(struct http_call *call)
{
    const struct http_call_options *options = &call->options;
    CURL *easy = call->easy;
    int failed = set_url(call) || set_tls(call, options->tls);
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http_version(options));
    failed |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, options->http2 ? 1L : 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, options->fresh_connection ? 1L : 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    failed |=
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* what the environment says is for people's tools */
    failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    return failed ? -1 : 0;
}

static int set_options(struct http_call *call, const char *user_agent)
{
    const struct http_call_options *options = &call->options;
    CURL *easy = call->easy;
    int failed = set_connection(call); /* before the headers, of which it may add one */
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)HTTP_UPLOAD_BUFFER);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
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
    return set_options(call, user_agent) ? error_set(err, ERROR_NO_MEMORY, "%s: out of memory", call->subject)
                                         : 0;
}
