/* The bytes of an HTTP answer: see http_reply.h. */
#include "controller/serve/http_reply.h"

#include <string.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

enum {
    GZIP_LEAST = 1024,
    GZIP_LEVEL = 5,
    GZIP_REMEMBER_LEAST = 16384,
    GZIP_WINDOW_BITS = 15 + 16 /* gzip's frame */
};

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {202, "Accepted"},
                   {204, "No Content"},
                   {302, "Found"},
                   {303, "See Other"},
                   {304, "Not Modified"},
                   {307, "Temporary Redirect"},
                   {308, "Permanent Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {406, "Not Acceptable"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {411, "Length Required"},
                   {412, "Precondition Failed"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {422, "Unprocessable Content"},
                   {428, "Precondition Required"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

static bool has_header(const char *const *headers, const char *name)
{
    size_t length = strlen(name);
    for (; headers && *headers; headers++)
        if (!strncasecmp(*headers, name, length) && (*headers)[length] == ':')
            return true;
    return false;
}

/* What every answer says. X-Frame-Options … Referrer-Policy: no page of another site may show or read ours.
 */
static int append_common(struct buffer *out, int status, const char *content_type, const char *const *headers,
                         const struct http_reply_frame *frame)
{
    char date[64];
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    int failed = buffer_printf(
        out,
        "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: %s\r\nX-Content-Type-Options: nosniff\r\n"
        "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\nConnection: %s\r\n",
        status, reason_of(status), date, frame->server_name, frame->close ? "close" : "keep-alive");
    if (content_type)
        failed |= buffer_printf(out, "Content-Type: %s\r\n", content_type);
    if (!has_header(headers, "Cache-Control"))
        failed |= buffer_append_text(out, "Cache-Control: no-cache\r\n");
    for (; headers && *headers; headers++)
        if (!strpbrk(*headers, "\r\n")) /* a value from outside must not begin a header of its own */
            failed |= buffer_printf(out, "%s\r\n", *headers);
    return failed;
}

/* Text, and the names of text formats; images and fonts are compressed already. */
static bool is_compressible(const char *content_type)
{
    static const char *const parts[] = {"text/", "json", "javascript", "xml", "yaml"};
    for (size_t i = 0; content_type && i < sizeof parts / sizeof *parts; i++)
        if (strstr(content_type, parts[i]))
            return true;
    return false;
}

static int pack(const void *data, size_t length, struct buffer *out)
{
    z_stream stream = {0};
    unsigned char chunk[16384];
    if (length > UINT32_MAX ||
        deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY))
        return -1;
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (uInt)length;
    int result, failed = 0;
    do {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = deflate(&stream, Z_FINISH);
        failed |= buffer_append(out, chunk, sizeof chunk - stream.avail_out);
    } while (result == Z_OK && !failed);
    deflateEnd(&stream);
    return result == Z_STREAM_END && !failed ? 0 : -1;
}

/* The body, compressed, in packed->packed. -1 when it can't be; then it is sent as it is. */
static int pack_remembered(struct http_packed *packed, const void *data, size_t length)
{
    if (packed->plain.length == length && length && !memcmp(packed->plain.data, data, length))
        return 0;
    buffer_clear(&packed->plain);
    buffer_clear(&packed->packed);
    if (pack(data, length, &packed->packed))
        return -1;
    if (length >= GZIP_REMEMBER_LEAST && buffer_append(&packed->plain, data, length))
        buffer_clear(&packed->plain);
    return 0;
}

void http_packed_finish(struct http_packed *packed)
{
    buffer_finish(&packed->plain);
    buffer_finish(&packed->packed);
}

int http_reply_append(struct buffer *out, const struct http_response *response,
                      const struct http_reply_frame *frame, struct http_packed *packed)
{
    const void *body = response->body;
    size_t length = response->length;
    bool bodiless = response->status == 204 || response->status == 304;
    bool packable = !bodiless && length >= GZIP_LEAST && is_compressible(response->content_type) &&
                    !has_header(response->headers, "Content-Encoding");
    int failed = append_common(out, response->status, response->content_type, response->headers, frame);
    if (packable)
        failed |= buffer_append_text(out, "Vary: Accept-Encoding\r\n");
    if (packable && frame->gzip && pack_remembered(packed, body, length) == 0) {
        body = packed->packed.data;
        length = packed->packed.length;
        failed |= buffer_append_text(out, "Content-Encoding: gzip\r\n");
    }
    if (!bodiless)
        failed |= buffer_printf(out, "Content-Length: %zu\r\n", length);
    failed |= buffer_append_text(out, "\r\n");
    if (!bodiless && !frame->head_alone && length)
        failed |= buffer_append(out, body, length);
    return failed ? -1 : 0;
}

int http_reply_append_stream_head(struct buffer *out, const char *content_type, const char *const *headers,
                                  const struct http_reply_frame *frame)
{
    int failed = append_common(out, 200, content_type, headers, frame);
    if (frame->chunked)
        failed |= buffer_append_text(out, "Transfer-Encoding: chunked\r\n");
    failed |= buffer_append_text(out, "\r\n");
    return failed ? -1 : 0;
}
