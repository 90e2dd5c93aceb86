/* HTTP requests with libcurl's multi socket interface on a libuv loop: see http_client.h.
 *
 * libcurl tells which sockets it waits for (on_socket) and when it wants to be woken (on_timer); the loop
 * tells it what happened. libcurl can't be called from inside its own callbacks, and callers may start and
 * cancel from inside theirs, so both only leave a mark, and a timer that is due at once (`later`) does the
 * work from the loop. */
#include "proto/base/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "proto/base/http_call.h"

enum {
    HTTP_IDLE_CONNECTIONS_MAX = 8, /* kept open for the next request */
    HTTP_CALLS_MAX = 4096,         /* under way at a time, one client */
    HTTP_RETRY_AFTER_MAX_S = 86400
};

struct watched_socket {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
    struct watched_socket *next;
};

struct http_client {
    uv_loop_t *loop;
    CURLM *multi;       /* NULL after it broke for want of memory; made anew by the next call */
    uv_timer_t timer;   /* libcurl's */
    uv_timer_t later;   /* due at once: calls to add, to end */
    uv_timer_t silence; /* the next look at silent streams */
    char *user_agent;
    struct http_call *calls;
    size_t call_count;
    struct watched_socket *sockets;
    int open_handles; /* the three timers, until their close callbacks */
    bool closing;
};

static void on_later(uv_timer_t *timer);

static const struct http_answer no_answer = {
    .content_type = "", .etag = "", .wanted = "", .retry_after_ms = -1, .body = ""};

/* The end of a call */

static void free_call(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    for (struct curl_slist *line = call->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* one may be a credential */
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    free(call->body_sent);
    buffer_finish(&call->body);
    free(call);
}

static void unlink_call(struct http_call *call)
{
    struct http_call **link = &call->client->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    call->client->call_count--;
    if (call->added)
        curl_multi_remove_handle(call->client->multi, call->easy);
    call->added = false;
}

static void finish_with_error(struct http_call *call, const struct error *err, bool unsent)
{
    struct http_answer answer = no_answer;
    answer.unsent = unsent;
    unlink_call(call);
    call->options.done(call->options.context, &answer, err);
    free_call(call);
}

static int64_t parse_retry_after(const char *text)
{
    char *end;
    long seconds = strtol(text, &end, 10);
    if (end == text || *end) {
        time_t at = curl_getdate(text, NULL);
        if (at == (time_t)-1)
            return -1;
        seconds = (long)(at - time(NULL));
    }
    if (seconds < 0)
        seconds = 0;
    return (int64_t)(seconds > HTTP_RETRY_AFTER_MAX_S ? HTTP_RETRY_AFTER_MAX_S : seconds) * 1000;
}

/* Valid until the next question about this call's headers. */
static const char *header_of(struct http_call *call, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : "";
}

static void finish_with_answer(struct http_call *call)
{
    struct http_answer answer = no_answer;
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    answer.status = (int)status;
    answer.content_type = type ? type : "";
    const char *retry_after = header_of(call, "Retry-After");
    answer.retry_after_ms = *retry_after ? parse_retry_after(retry_after) : -1;
    answer.etag = header_of(call, "ETag");
    answer.wanted = call->options.wanted_header ? header_of(call, call->options.wanted_header) : "";
    answer.body = buffer_text(&call->body);
    answer.length = call->body.length;
    unlink_call(call);
    call->options.done(call->options.context, &answer, NULL);
    free_call(call);
}

static enum error_code code_of(CURLcode result)
{
    switch (result) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERROR_INVALID;
    case CURLE_OPERATION_TIMEDOUT:
        return ERROR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return ERROR_NO_MEMORY;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return ERROR_UNREACHABLE;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return ERROR_INVALID;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return ERROR_REFUSED;
    default:
        return ERROR_PROTOCOL;
    }
}

static void finish_call(struct http_call *call, CURLcode result)
{
    if (call->error.code != ERROR_NONE) {
        struct error err = call->error;
        finish_with_error(call, &err, false);
    } else if (result != CURLE_OK) {
        struct error err;
        const char *why = call->curl_error[0] ? call->curl_error : curl_easy_strerror(result);
        error_set(&err, code_of(result), "%s: %s", call->subject, why);
        err.detail = (int)result;
        finish_with_error(call, &err,
                          result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_CONNECT ||
                              result == CURLE_SSL_CONNECT_ERROR || result == CURLE_PEER_FAILED_VERIFICATION);
    } else {
        finish_with_answer(call);
    }
}

/* What libcurl has finished. A `done` may destroy the client, whose memory then still lives for this turn of
 * the loop. */
static void take_finished(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while (!client->closing && client->multi && (message = curl_multi_info_read(client->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish_call(call, result);
    }
}

/* libcurl and the loop */

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_socket(struct watched_socket *socket)
{
    struct watched_socket **link = &socket->client->sockets;
    while (*link != socket)
        link = &(*link)->next;
    *link = socket->next;
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static void close_multi(struct http_client *client)
{
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, NULL);
    while (client->sockets)
        close_socket(client->sockets); /* before libcurl closes what they watch */
    curl_multi_cleanup(client->multi);
    client->multi = NULL;
    uv_timer_stop(&client->timer);
}

/* libcurl gives a multi handle up whose callback found no memory: all that goes over it fails, and a new one
 * is made. */
static void break_multi(struct http_client *client)
{
    struct error err;
    error_set(&err, ERROR_NO_MEMORY, "out of memory for HTTP requests");
    for (struct http_call *call = client->calls; call; call = call->next) {
        if (call->added)
            curl_multi_remove_handle(client->multi, call->easy);
        call->added = false;
        if (call->error.code == ERROR_NONE)
            call->error = err;
    }
    close_multi(client);
    uv_timer_start(&client->later, on_later, 0, 0);
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running;
    if (client->closing || !client->multi)
        return;
    if (curl_multi_socket_action(client->multi, fd, events, &running) != CURLM_OK)
        break_multi(client);
    else
        take_finished(client);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watched_socket *socket = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(socket->client, socket->fd, flags);
}

static struct watched_socket *watch_socket(struct http_client *client, curl_socket_t fd)
{
    struct watched_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    if (uv_poll_init_socket(client->loop, &socket->poll, fd)) {
        free(socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->client = client;
    socket->fd = fd;
    socket->next = client->sockets;
    client->sockets = socket;
    curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct http_client *client = context;
    struct watched_socket *socket = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            close_socket(socket);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!socket)
        socket = watch_socket(client, fd);
    if (!socket)
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&socket->poll, events, on_poll) ? -1 : 0;
}

static void on_timer_due(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timer_due, (uint64_t)timeout_ms, 0);
    return 0;
}

static int open_multi(struct http_client *client)
{
    client->multi = curl_multi_init();
    if (!client->multi)
        return -1;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_IDLE_CONNECTIONS_MAX);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return 0;
}

/* Silence. One timer looks at all calls when the first could be due, so that a byte that comes costs no
 * timer. */

static void on_silence(uv_timer_t *timer);

static void watch_silence(struct http_client *client)
{
    uint64_t now = uv_hrtime(), next = UINT64_MAX;
    for (struct http_call *call = client->calls; call; call = call->next) {
        uint64_t due = call->heard_ns + (uint64_t)call->options.silence_ms * 1000000;
        if (call->options.silence_ms > 0 && call->error.code == ERROR_NONE && due < next)
            next = due;
    }
    if (next == UINT64_MAX)
        uv_timer_stop(&client->silence);
    else
        uv_timer_start(&client->silence, on_silence, next > now ? (next - now) / 1000000 + 1 : 0, 0);
}

static void end_later(struct http_call *call, enum error_code code, const char *why)
{
    if (call->error.code == ERROR_NONE)
        error_set(&call->error, code, "%s: %s", call->subject, why);
    uv_timer_start(&call->client->later, on_later, 0, 0);
}

static void on_silence(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    uint64_t now = uv_hrtime();
    for (struct http_call *call = client->calls; call; call = call->next)
        if (call->options.silence_ms > 0 &&
            now >= call->heard_ns + (uint64_t)call->options.silence_ms * 1000000) {
            end_later(call, ERROR_TIMEOUT, "nothing was heard for too long");
        }
    watch_silence(client);
}

/* Starting and ending calls, from the loop */

static void add_call(struct http_client *client, struct http_call *call)
{
    if ((client->multi || open_multi(client) == 0) &&
        curl_multi_add_handle(client->multi, call->easy) == CURLM_OK)
        call->added = true;
    else
        error_set(&call->error, ERROR_NO_MEMORY, "%s: out of memory", call->subject);
}

static struct http_call *next_to_end(struct http_client *client)
{
    struct http_call *call = client->calls;
    while (call && call->error.code == ERROR_NONE)
        call = call->next;
    return call;
}

static void on_later(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    for (struct http_call *call = client->calls; call; call = call->next)
        if (!call->added && call->error.code == ERROR_NONE)
            add_call(client, call);
    struct http_call *call;
    while (!client->closing && (call = next_to_end(client)))
        finish_call(call, CURLE_OK);
    if (!client->closing)
        watch_silence(client);
}

/* Making a call */

static int check_options(const struct http_client *client, const struct http_call_options *options,
                         struct error *err)
{
    assert(options->done && options->timeout_ms >= 0 && options->silence_ms >= 0);
    if (client->closing)
        return error_set(err, ERROR_CANCELED, "the HTTP client is being closed");
    if (strncasecmp(options->url, "http://", 7) && strncasecmp(options->url, "https://", 8))
        return error_set(err, ERROR_INVALID, "not an http:// or https:// URL: %.200s", options->url);
    if (client->call_count >= HTTP_CALLS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "more than %d HTTP requests under way", HTTP_CALLS_MAX);
    return 0;
}

struct http_call *http_client_start(struct http_client *client, const struct http_call_options *options,
                                    struct error *err)
{
    if (check_options(client, options, err))
        return NULL;
    struct http_call *call = calloc(1, sizeof *call);
    if (!call) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for an HTTP request");
        return NULL;
    }
    call->client = client;
    call->options = *options;
    call->heard_ns = uv_hrtime();
    snprintf(call->subject, sizeof call->subject, "%s %s", options->method, options->url);
    if (http_call_prepare(call, client->user_agent, err)) {
        free_call(call);
        return NULL;
    }
    call->next = client->calls;
    client->calls = call;
    client->call_count++;
    uv_timer_start(&client->later, on_later, 0, 0);
    return call;
}

void http_call_cancel(struct http_call *call)
{
    end_later(call, ERROR_CANCELED, "canceled");
}

/* The client */

struct http_client *http_client_create(uv_loop_t *loop, const char *user_agent, struct error *err)
{
    struct http_client *client = calloc(1, sizeof *client);
    char *name = strdup(user_agent);
    if (!client || !name || curl_global_init(CURL_GLOBAL_DEFAULT)) {
        free(client);
        free(name);
        error_set(err, ERROR_NO_MEMORY, "out of memory for the HTTP client");
        return NULL;
    }
    client->loop = loop;
    client->user_agent = name;
    if (open_multi(client)) {
        free(client);
        free(name);
        curl_global_cleanup();
        error_set(err, ERROR_NO_MEMORY, "out of memory for the HTTP client");
        return NULL;
    }
    uv_timer_t *timers[] = {&client->timer, &client->later, &client->silence};
    for (size_t i = 0; i < 3; i++) {
        uv_timer_init(loop, timers[i]);
        timers[i]->data = client;
    }
    client->open_handles = 3;
    return client;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_client *client = handle->data;
    if (--client->open_handles)
        return;
    free(client->user_agent);
    free(client);
    curl_global_cleanup();
}

void http_client_destroy(struct http_client *client)
{
    if (!client || client->closing)
        return;
    client->closing = true;
    while (client->calls) {
        struct error err;
        error_set(&err, ERROR_CANCELED, "%s: the HTTP client is closed", client->calls->subject);
        finish_with_error(client->calls, &err, false);
    }
    if (client->multi)
        close_multi(client);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
    uv_close((uv_handle_t *)&client->later, on_handle_closed);
    uv_close((uv_handle_t *)&client->silence, on_handle_closed);
}
