/* HTTP requests on a libuv loop; the only place that names libcurl. One client per program: it keeps
 * connections open. A request's `done` is called exactly once, never from inside the call that started it. */
#ifndef ATOLL_BASE_HTTP_CLIENT_H
#define ATOLL_BASE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/error.h"

struct http_client;
struct http_call; /* one request under way */

struct http_answer {
    int status;               /* 0 when nobody answered: see `err` */
    const char *content_type; /* "" when not said */
    const char *etag;         /* "" when not said */
    const char
        *wanted; /* the value of the header that the options name as `wanted_header`; "" when not said */
    int64_t retry_after_ms; /* -1 when not said */
    bool unsent;      /* nobody answered, and the request surely never left: nothing was changed by it */
    const char *body; /* zero-terminated; empty when `on_data` took it */
    size_t length;
};

/* Whom we trust in TLS, and who we are. The server's certificate and name are verified unless `unverified`
 * says otherwise, and nothing below TLS 1.2 is spoken. PEM texts are zero-terminated; all is copied (libcurl
 * keeps copies as long as the connection). */
struct http_tls {
    const char *ca;      /* PEM: who may have signed; NULL with ca_file NULL: the system's bundle, which costs
                            about 1 MiB */
    const char *ca_file; /* the same, as a file */
    const char *certificate; /* PEM: ours, with its chain; or NULL */
    const char *key;         /* PEM: its private key */
    bool unverified; /* the answerer is not known yet: only to fetch a CA whose hash is known; nothing else is
                        set beside it */
    const char
        *server_name; /* the name that the certificate must bear, where it isn't the URL's host; or NULL */
};

struct http_call_options {
    const char *method; /* "GET", … */
    const char *url;
    const char *const *headers; /* "Name: value" lines, NULL at the end; or NULL */
    const char
        *wanted_header; /* of the answer, where its reader needs one more; must outlive the call; or NULL */
    const void *body;   /* copied; NULL for none */
    size_t body_length;
    int64_t timeout_ms; /* for the whole request; 0 for a stream without end */
    int64_t silence_ms; /* a stream that brings nothing for so long fails with ERROR_TIMEOUT; 0 for never */
    const struct http_tls *tls; /* NULL: the system's CAs, no certificate of ours. Not used after the start */
    bool http2; /* many calls over one connection, where the server offers HTTP/2 (over TLS alone) */
    bool fresh_connection; /* not over a connection that is there: it may be dead without anybody having said
                              so */
    size_t body_limit;     /* bytes of an answer kept in memory; above: ERROR_TOO_LARGE */
    /* A 2xx answer's headers are there: the stream is open, though it may say nothing for long. May be NULL.
     */
    void (*on_open)(void *context);
    /* A stream's bytes as they come, once the status is 2xx (another status' body is kept in the answer). May
     * be NULL. Returning non-zero ends the call with ERROR_CANCELED. */
    int (*on_data)(void *context, const char *data, size_t length);
    /* `err` is NULL when an answer came, whatever its status. Values are valid during the call alone. */
    void (*done)(void *context, const struct http_answer *answer, const struct error *err);
    void *context;
};

/* NULL when memory is out. `user_agent` is copied. */
struct http_client *http_client_create(uv_loop_t *loop, const char *user_agent, struct error *err);

/* Cancels what is under way (done is called with ERROR_CANCELED, from within this call), then closes the
 * client's handles; the memory is freed when the loop has closed them. Run the loop until it has nothing
 * left. NULL is tolerated. */
void http_client_destroy(struct http_client *client);

/* Starts a request. NULL (and `err`) when it can't be started; then `done` is not called. */
struct http_call *http_client_start(struct http_client *client, const struct http_call_options *options,
                                    struct error *err);

/* `done` is called soon, from the loop, with ERROR_CANCELED. */
void http_call_cancel(struct http_call *call);

#endif
