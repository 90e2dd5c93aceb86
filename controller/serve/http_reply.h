/* The bytes of an HTTP answer: its head, and gzip. Knows no socket. */
#ifndef ATOLL_CONTROLLER_SERVE_HTTP_REPLY_H
#define ATOLL_CONTROLLER_SERVE_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "controller/serve/http.h"
#include "controller/serve/http_request.h"
#include "proto/base/buffer.h"

/* What the connection says about the answer. */
struct http_reply_frame {
    const char *server_name;
    bool close;      /* "Connection: close" */
    bool chunked;    /* a stream to an HTTP/1.1 client */
    bool head_alone; /* the request was a HEAD */
    bool gzip;       /* the client takes it */
};

/* The last large body that was compressed: a hundred dashboards that ask for one status cost one compression.
 */
struct http_packed {
    struct buffer plain, packed;
};

void http_packed_finish(struct http_packed *packed);

/* Appends head and body. -1 when memory is out. */
int http_reply_append(struct buffer *out, const struct http_response *response,
                      const struct http_reply_frame *frame, struct http_packed *packed);

/* Appends the head of a stream. */
int http_reply_append_stream_head(struct buffer *out, const char *content_type, const char *const *headers,
                                  const struct http_reply_frame *frame);

#endif
