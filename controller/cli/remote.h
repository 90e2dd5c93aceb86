/* The controller as the command line sees it: one request at a time, waited for on a loop of its own. */
#ifndef ATOLL_CLI_REMOTE_H
#define ATOLL_CLI_REMOTE_H

#include <limits.h>
#include <uv.h>

#include "proto/base/buffer.h"
#include "proto/base/error.h"
#include "proto/base/http_client.h"
#include "proto/base/json.h"

enum {
    REMOTE_URL_MAX = 512,
    REMOTE_PATH_MAX = 512,
    REMOTE_TIMEOUT_MS = 20 * 1000,
    REMOTE_SILENCE_MS = 45 * 1000, /* the controller's stream says something every 15 s */
    REMOTE_TOKEN_MAX = 256,
    REMOTE_WHY_MAX = 500,
    REMOTE_HEADERS_MAX = 8,
    REMOTE_BODY_MAX = 64 << 20, /* a status document of a thousand zones is about 2 MiB */
};

struct remote {
    char url[REMOTE_URL_MAX]; /* without a slash at the end */
    char sandbox[PATH_MAX]; /* the directory of the sandbox whose controller it is; "": of none that is known
                             */
    uv_loop_t loop;
    struct http_client *client;
    char why[3 * REMOTE_WHY_MAX + 16]; /* "Atoll-Why: TEXT", percent-encoded, or "" */
    char ca_file[PATH_MAX];            /* that it was told to trust; "": none */
    struct buffer ca, certificate;     /* PEM: whom it trusts (empty: the system's CAs), and the key and
                                          certificate that it shows */
    char authorization[REMOTE_TOKEN_MAX + 32]; /* "Authorization: Bearer TOKEN", or "" */
};

struct reply {
    int status;
    struct buffer body;
    char etag[128];
    int64_t retry_after_ms; /* -1 when not said */
};

struct request {
    const char *method;         /* NULL: GET */
    const char *path;           /* "/status" */
    const char *const *headers; /* "Name: value", NULL at the end; or NULL */
    const void *body;
    size_t body_length;
    int64_t timeout_ms; /* 0: REMOTE_TIMEOUT_MS */
};

/* `url` must be http:// or https://. Nothing is dialled yet. On success the caller closes it. */
int remote_open(struct remote *remote, const char *url, struct error *err);
void remote_close(struct remote *remote);

/* Trusts the CAs in this file, and no others. */
int remote_trust(struct remote *remote, const char *file, struct error *err);
/* Shows the certificate in this file, which has its key too and must be readable by its owner alone. */
int remote_show_certificate(struct remote *remote, const char *file, struct error *err);

/* Shows the token in this file with every request from here on. It must be readable by its owner alone, and
 * is never sent where it could be read on the way: over https://, or to a loopback address. */
int remote_show_token(struct remote *remote, const char *file, struct error *err);

/* Says with every request from here on what for, which the audit log keeps. At most REMOTE_WHY_MAX bytes. */
int remote_say_why(struct remote *remote, const char *text, struct error *err);

/* 0 whenever there was an answer, whatever its status: reply_finish() it. -1: the controller can't be
 * reached. */
int remote_call(struct remote *remote, const struct request *request, struct reply *reply, struct error *err);
void reply_finish(struct reply *reply);

/* 0 for 2xx; else -1 with the controller's own message, its code by the HTTP status. */
int reply_check(const struct reply *reply, struct error *err);
/* The body as JSON (the caller destroys it), or NULL when it is none. */
struct json *reply_json(const struct reply *reply, struct error *err);
/* The error's `details`, a line each, on standard error. "request body" in them becomes `file`; when that is
 * NULL the body was merged, nobody has seen its lines, and the place is left away. Warnings were said when
 * the files were read, and aren't again. */
void reply_say_details(const struct reply *reply, const char *file);

/* GET, checked and read: NULL and `err` when it didn't work. */
struct json *remote_get(struct remote *remote, const char *path, struct error *err);

/* Sends `body` (may be NULL) and gives the answer's JSON; NULL and `err` when it didn't work. Nothing of
 * either is left in memory: they may hold secrets. An answer without a body is an empty object. */
struct json *remote_ask(struct remote *remote, const char *method, const char *path, const struct json *body,
                        struct error *err);

/* A stream: `on_data` gets the bytes until it returns non-zero (then 0) or the stream ends (-1,
 * ERROR_UNREACHABLE or the server's answer). */
int remote_stream(struct remote *remote, const char *path, const char *const *headers,
                  int (*on_data)(void *context, const char *data, size_t length), void *context,
                  struct error *err);

/* Appends a name to a path, percent-encoded (RFC 3986, 2.1). */
void path_append(struct buffer *path, const char *name);

#endif
