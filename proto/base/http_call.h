/* One HTTP request of http_client.c, as libcurl knows it. Used by http_client.c and http_call.c alone. */
#ifndef ATOLL_BASE_HTTP_CALL_H
#define ATOLL_BASE_HTTP_CALL_H

#include <curl/curl.h>

#include "proto/base/buffer.h"
#include "proto/base/http_client.h"

struct http_call {
    struct http_client *client;
    struct http_call *next;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to; /* where the URL's host is not the name that the certificate bears */
    void *body_sent;
    struct buffer body;
    struct http_call_options options; /* its pointers to the caller's strings are not used after the start */
    uint64_t heard_ns;
    bool added;
    struct error error; /* why it ended, when that was our doing */
    char subject[160];  /* "GET http://…" for messages */
    char curl_error[CURL_ERROR_SIZE];
};

/* Makes `easy` from the options. -1 when they are bad or memory is out; what was made stays in the call, to
 * be freed. */
int http_call_prepare(struct http_call *call, const char *user_agent, struct error *err);

#endif
