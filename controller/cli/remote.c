/* The controller as the command line sees it: see remote.h. */
#include "controller/cli/remote.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/cli/console.h"
#include "controller/cli/sse.h"
#include "proto/base/file.h"
#include "proto/base/pki.h"

/* One request while the loop runs. */
struct waiting {
    uv_loop_t *loop;
    struct reply *reply;
    struct error *err;
    int (*on_data)(void *context, const char *data, size_t length);
    void *context;
    bool done, failed, enough, unreadable;
};

int remote_open(struct remote *remote, const char *url, struct error *err)
{
    size_t length = strlen(url);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return error_set(err, ERROR_INVALID,
                         "\"%s\" is no controller's URL: it begins with http:// or https://", url);
    remote->authorization[0] = remote->why[0] = 0;
    buffer_init(&remote->ca, PKI_PEM_MAX);
    buffer_init(&remote->certificate, PKI_PEM_MAX);
    while (length > 8 && url[length - 1] == '/')
        length--;
    if (length >= sizeof remote->url)
        return error_set(err, ERROR_INVALID, "the controller's URL is longer than %d bytes",
                         REMOTE_URL_MAX - 1);
    memcpy(remote->url, url, length);
    remote->url[length] = '\0';
    remote->sandbox[0] = '\0';
    int failed = uv_loop_init(&remote->loop);
    if (failed)
        return error_set(err, ERROR_INTERNAL, "starting an event loop: %s", uv_strerror(failed));
    remote->client = http_client_create(&remote->loop, "atoll/" ATOLL_VERSION, err);
    if (!remote->client)
        return uv_loop_close(&remote->loop), -1;
    return 0;
}

static bool is_private(const char *url)
{
    static const char *const loopbacks[] = {"http://127.", "http://localhost:", "http://localhost/",
                                            "http://[::1]"};
    bool is = strncmp(url, "https://", 8) == 0 || strcmp(url, "http://localhost") == 0;
    for (size_t i = 0; i < sizeof loopbacks / sizeof *loopbacks; i++)
        is |= strncmp(url, loopbacks[i], strlen(loopbacks[i])) == 0;
    return is;
}

static int check_owner(const char *what, const char *file, struct error *err)
{
    struct stat facts;
    if (stat(file, &facts))
        return error_set_errno(err, errno, "the %s file %s", what, file);
    if (facts.st_mode & 077)
        return error_set(
            err, ERROR_REFUSED,
            "the %s file %s can be read by others: chmod 600 it, and revoke the %s if somebody may have",
            what, file, what);
    return 0;
}

int remote_trust(struct remote *remote, const char *file, struct error *err)
{
    buffer_clear(&remote->ca);
    if (!realpath(file, remote->ca_file))
        return error_set_errno(err, errno, "the CA's file %s can't be used", file);
    return file_read(file, PKI_PEM_MAX, &remote->ca, err)
               ? error_wrap(err, "reading the CA of %s", remote->url)
               : 0;
}

int remote_show_certificate(struct remote *remote, const char *file, struct error *err)
{
    struct pki_facts facts;
    pki_forget(&remote->certificate);
    if (check_owner("certificate", file, err) || file_read(file, PKI_PEM_MAX, &remote->certificate, err) ||
        pki_certificate_facts(buffer_text(&remote->certificate), &facts, err) ||
        pki_check_pair(remote->certificate.data, remote->certificate.data, err))
        return error_wrap(err, "the certificate in %s, with its key", file);
    return 0;
}

static const struct http_tls *tls_of(const struct remote *remote, struct http_tls *out)
{
    const char *own = remote->certificate.length ? remote->certificate.data : NULL;
    if (!own && !remote->ca.length)
        return NULL;
    *out =
        (struct http_tls){.ca = remote->ca.length ? remote->ca.data : NULL, .certificate = own, .key = own};
    return out;
}

int remote_show_token(struct remote *remote, const char *file, struct error *err)
{
    struct buffer text;
    if (!is_private(remote->url))
        return error_set(err, ERROR_REFUSED,
                         "a token isn't sent to %s, where it could be read on the way: use https://",
                         remote->url);
    buffer_init(&text, REMOTE_TOKEN_MAX);
    int result = check_owner("token", file, err) || file_read(file, REMOTE_TOKEN_MAX, &text, err) ? -1 : 0;
    size_t length = strcspn(buffer_text(&text), " \t\r\n");
    if (result == 0 &&
        (!length || buffer_text(&text)[length + strspn(buffer_text(&text) + length, " \t\r\n")]))
        result = error_set(err, ERROR_INVALID,
                           "the file %s holds no token: one line, as `atoll token create` prints it", file);
    if (result == 0)
        snprintf(remote->authorization, sizeof remote->authorization, "Authorization: Bearer %.*s",
                 (int)length, buffer_text(&text));
    if (text.data)
        explicit_bzero(text.data, text.capacity);
    buffer_finish(&text);
    return result;
}

int remote_say_why(struct remote *remote, const char *text, struct error *err)
{
    struct buffer encoded;
    if (strlen(text) > REMOTE_WHY_MAX)
        return error_set(err, ERROR_INVALID, "--why takes at most %d bytes, and this has %zu", REMOTE_WHY_MAX,
                         strlen(text));
    buffer_init(&encoded, 0);
    path_append(&encoded, text);
    snprintf(remote->why, sizeof remote->why, "Atoll-Why: %s", buffer_text(&encoded));
    buffer_finish(&encoded);
    return 0;
}

void remote_close(struct remote *remote)
{
    explicit_bzero(remote->authorization, sizeof remote->authorization);
    pki_forget(&remote->certificate);
    buffer_finish(&remote->ca);
    http_client_destroy(remote->client);
    remote->client = NULL;
    uv_run(&remote->loop, UV_RUN_DEFAULT);
    uv_loop_close(&remote->loop);
}

static void on_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct waiting *waiting = context;
    waiting->done = true;
    uv_stop(waiting->loop); /* an answer may come from a timer, and the loop would go to sleep after it */
    if (err) {
        waiting->failed = true;
        *waiting->err = *err;
        return;
    }
    waiting->reply->status = answer->status;
    waiting->reply->retry_after_ms = answer->retry_after_ms;
    snprintf(waiting->reply->etag, sizeof waiting->reply->etag, "%s", answer->etag);
    if (answer->length && buffer_append(&waiting->reply->body, answer->body, answer->length)) {
        waiting->failed = true;
        error_set(waiting->err, ERROR_NO_MEMORY, "out of memory for an answer of %zu bytes", answer->length);
    }
}

static int on_stream(void *context, const char *data, size_t length)
{
    struct waiting *waiting = context;
    int result = waiting->on_data(waiting->context, data, length);
    waiting->enough = result > 0;
    waiting->unreadable = result < 0;
    return result != 0;
}

static int run(struct remote *remote, const struct http_call_options *options, struct waiting *waiting)
{
    struct error *err = waiting->err;
    struct http_tls tls;
    struct http_call_options with_tls = *options;
    with_tls.tls = tls_of(remote, &tls);
    waiting->loop = &remote->loop;
    uv_update_time(
        &remote->loop); /* the loop did not run since the last request: timers must count from now */
    buffer_init(&waiting->reply->body, 0);
    waiting->reply->status = 0;
    if (!http_client_start(remote->client, &with_tls, err))
        return -1;
    while (!waiting->done)
        uv_run(&remote->loop, UV_RUN_DEFAULT);
    if (!waiting->failed)
        return 0;
    if (waiting->enough)
        return 0;
    buffer_finish(&waiting->reply->body);
    if (waiting->unreadable)
        return error_set(
            err, ERROR_PROTOCOL,
            "the controller at %s sent a line of more than %d bytes (SSE_LINE_MAX), or memory is out",
            remote->url, SSE_LINE_MAX);
    if (err->code == ERROR_IO)
        err->code = ERROR_UNREACHABLE;
    return error_wrap(err, "the controller at %s can't be reached", remote->url);
}

/* The caller's headers and ours, in `out`. */
static const char *const *with_ours(const struct remote *remote, const char *const *headers,
                                    const char *out[REMOTE_HEADERS_MAX + 3])
{
    size_t count = 0;
    for (; headers && *headers && count < REMOTE_HEADERS_MAX; headers++)
        out[count++] = *headers;
    if (*remote->authorization)
        out[count++] = remote->authorization;
    if (*remote->why)
        out[count++] = remote->why;
    out[count] = NULL;
    return out;
}

static int call_once(struct remote *remote, const struct request *request, struct reply *reply,
                     struct error *err)
{
    char url[REMOTE_URL_MAX + REMOTE_PATH_MAX];
    const char *headers[REMOTE_HEADERS_MAX + 3];
    struct error own;
    *reply = (struct reply){0};
    if (strlen(request->path) >= REMOTE_PATH_MAX)
        return error_set(err, ERROR_INVALID, "the name is too long: the path has more than %d bytes",
                         REMOTE_PATH_MAX - 1);
    snprintf(url, sizeof url, "%s%s", remote->url, request->path);
    struct waiting waiting = {.reply = reply, .err = err ? err : &own};
    struct http_call_options options = {
        .method = request->method ? request->method : "GET",
        .url = url,
        .headers = with_ours(remote, request->headers, headers),
        .body = request->body,
        .body_length = request->body_length,
        .timeout_ms = request->timeout_ms ? request->timeout_ms : REMOTE_TIMEOUT_MS,
        .body_limit = REMOTE_BODY_MAX,
        .done = on_done,
        .context = &waiting,
    };
    return run(remote, &options, &waiting);
}

/* Who is told to ask again does so, as long as there is patience left: nothing was done meanwhile. */
int remote_call(struct remote *remote, const struct request *request, struct reply *reply, struct error *err)
{
    int64_t patience_ms = request->timeout_ms ? request->timeout_ms : REMOTE_TIMEOUT_MS;
    for (;;) {
        int result = call_once(remote, request, reply, err);
        if (result || reply->status != 429 || reply->retry_after_ms < 0 ||
            reply->retry_after_ms >= patience_ms)
            return result;
        uv_sleep((unsigned)reply->retry_after_ms);
        patience_ms -= reply->retry_after_ms > 0 ? reply->retry_after_ms : 1;
        reply_finish(reply);
    }
}

void reply_finish(struct reply *reply)
{
    buffer_finish(&reply->body);
}

static enum error_code code_of_status(int status)
{
    if (status == 404)
        return ERROR_NOT_FOUND;
    if (status == 401 || status == 403)
        return ERROR_REFUSED;
    if (status == 409 || status == 412 || status == 428)
        return ERROR_CONFLICT;
    return status >= 500 ? ERROR_UNREACHABLE : ERROR_INVALID;
}

int reply_check(const struct reply *reply, struct error *err)
{
    if (reply->status >= 200 && reply->status < 300)
        return 0;
    struct json *body = json_parse(buffer_text(&reply->body), reply->body.length, REMOTE_BODY_MAX, NULL);
    const struct json *said = json_get(body, "error");
    const char *message = json_get_text(said, "message", NULL);
    if (message && *message)
        error_set(err, code_of_status(reply->status), "%s", message);
    else
        error_set(err, code_of_status(reply->status), "the controller answered with HTTP status %d",
                  reply->status);
    if (err)
        err->detail = reply->status;
    json_destroy(body);
    return -1;
}

struct json *reply_json(const struct reply *reply, struct error *err)
{
    struct json *body = json_parse(buffer_text(&reply->body), reply->body.length, REMOTE_BODY_MAX, err);
    if (!body && err) {
        err->code = ERROR_PROTOCOL;
        error_wrap(err, "reading the controller's answer");
    }
    return body;
}

/* Behind "request body:LINE:COLUMN: ". */
static const char *without_place(const char *detail)
{
    const char *error = strstr(detail, ": ");
    return error ? error + 2 : detail;
}

void reply_say_details(const struct reply *reply, const char *file)
{
    static const char anonymous[] = "request body";
    struct json *body = json_parse(buffer_text(&reply->body), reply->body.length, REMOTE_BODY_MAX, NULL);
    const struct json *details = json_get(json_get(body, "error"), "details");
    for (const struct json *detail = json_first(details); detail; detail = json_next(detail)) {
        const char *text = json_text(detail);
        bool placed = text && strncmp(text, anonymous, sizeof anonymous - 1) == 0;
        if (placed && strstr(text, ": warning: "))
            continue;
        if (placed && file)
            console_say("%s%s", file, text + sizeof anonymous - 1);
        else if (text)
            console_say("%s", placed ? without_place(text) : text);
    }
    json_destroy(body);
}

struct json *remote_get(struct remote *remote, const char *path, struct error *err)
{
    struct reply reply;
    if (remote_call(remote, &(struct request){.path = path}, &reply, err))
        return NULL;
    struct json *json = reply_check(&reply, err) ? NULL : reply_json(&reply, err);
    reply_finish(&reply);
    return json;
}

struct json *remote_ask(struct remote *remote, const char *method, const char *path, const struct json *body,
                        struct error *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct buffer text;
    struct reply reply;
    struct json *answer = NULL;
    buffer_init(&text, 0);
    if (!body || json_print(body, JSON_COMPACT, &text, err) == 0) {
        struct request request = {.method = method,
                                  .path = path,
                                  .headers = body ? headers : NULL,
                                  .body = text.data,
                                  .body_length = text.length};
        if (remote_call(remote, &request, &reply, err) == 0) {
            if (reply_check(&reply, err) == 0)
                answer = reply.body.length ? reply_json(&reply, err) : json_object();
            pki_forget(&reply.body);
        }
    }
    pki_forget(&text);
    return answer;
}

int remote_stream(struct remote *remote, const char *path, const char *const *headers,
                  int (*on_data)(void *context, const char *data, size_t length), void *context,
                  struct error *err)
{
    char url[REMOTE_URL_MAX + REMOTE_PATH_MAX];
    struct reply reply = {0};
    const char *all[REMOTE_HEADERS_MAX + 3];
    struct waiting waiting = {.reply = &reply, .err = err, .on_data = on_data, .context = context};
    snprintf(url, sizeof url, "%s%.*s", remote->url, REMOTE_PATH_MAX - 1, path);
    struct http_call_options options = {
        .method = "GET",
        .url = url,
        .headers = with_ours(remote, headers, all),
        .silence_ms = REMOTE_SILENCE_MS,
        .body_limit = 1 << 20,
        .on_data = on_stream,
        .done = on_done,
        .context = &waiting,
    };
    if (run(remote, &options, &waiting))
        return -1;
    int result = waiting.enough ? 0 : reply_check(&reply, err);
    if (!waiting.enough && result == 0)
        result = error_set(err, ERROR_UNREACHABLE, "the controller at %s ended the stream", remote->url);
    reply_finish(&reply);
    return result;
}

void path_append(struct buffer *path, const char *name)
{
    for (; *name; name++)
        if (isalnum((unsigned char)*name) || strchr("-_.~", *name))
            buffer_append(path, name, 1);
        else
            buffer_printf(path, "%%%02X", (unsigned char)*name);
}
