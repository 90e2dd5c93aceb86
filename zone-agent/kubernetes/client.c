/* Requests to an API server: see client.h. A call waits in a list until it may be sent; `work` is a timer
 * that is due when the first of them can go on. */
#include "zone-agent/kubernetes/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/answer.h"
#include "zone-agent/kubernetes/client_internal.h"

struct kube_call {
    struct kube_client *client; /* valid as long as the call: it holds it while it is under way */
    struct kube_call *next;
    uint64_t id;
    char method[8];
    char *path;
    char *content_type;
    void *body;
    size_t length;
    void (*done)(void *context, uint64_t id, const struct kube_answer *answer);
    void *context;
    int64_t deadline_at, due_at; /* monotonic */
    struct http_call *http;      /* NULL while it waits */
    uint64_t version;            /* of the credentials that it was sent with */
    unsigned attempts;
    bool fresh;   /* the last connection may be dead */
    bool refused; /* was answered 401 once */
    bool canceled;
    bool metadata_only;
    bool answered; /* `done` was called; only libcurl still has to let go */
};

static void on_work(uv_timer_t *timer);

/* The ends of things */

static void free_call(struct kube_call *call)
{
    if (call->body)
        explicit_bzero(call->body, call->length); /* may be a Secret */
    free(call->body);
    free(call->path);
    free(call->content_type);
    free(call);
}

static void let_go(struct kube_client *client)
{
    if (--client->held == 0)
        free(client);
}

static void unlink_call(struct kube_call *call)
{
    struct kube_call **link = &call->client->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    call->client->call_count--;
}

/* Calls `done`. The call's memory goes now, or with its HTTP call. */
static void finish(struct kube_call *call, const struct kube_answer *answer)
{
    unlink_call(call);
    call->answered = true;
    call->done(call->context, call->id, answer);
    if (!call->http)
        free_call(call);
}

static void finish_with_error(struct kube_call *call, const struct error *err)
{
    struct kube_answer answer = {.reason = "", .message = "", .err = err};
    finish(call, &answer);
}

static void subject_of(const struct kube_call *call, char text[256])
{
    snprintf(text, 256, "%s %.*s", call->method, (int)strcspn(call->path, "?"), call->path);
}

static void finish_canceled(struct kube_call *call, const char *why)
{
    struct error err;
    char subject[256];
    subject_of(call, subject);
    error_set(&err, ERROR_CANCELED, "%s: %s", subject, why);
    finish_with_error(call, &err);
}

/* Dialling */

static void wake(struct kube_client *client, int64_t in_ms)
{
    if (client->closing)
        return;
    if (!uv_is_active((uv_handle_t *)&client->work) || uv_timer_get_due_in(&client->work) > (uint64_t)in_ms)
        uv_timer_start(&client->work, on_work, (uint64_t)in_ms, 0);
}

int kube_client_dial(struct kube_client *client, const struct kube_target *target,
                     struct http_call_options *options, struct http_call **out, uint64_t *version,
                     struct error *err)
{
    struct kube_identity identity;
    char url[KUBE_URL_MAX], typed[128];
    /* A refusal is a Status, which is no object's metadata.
     * https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches */
    const char *headers[4] = {target->metadata_only
                                  ? "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
                                  : "Accept: application/json"};
    size_t count = 1;
    int result = kube_credentials_get(client->credentials, &identity, err);
    if (result)
        return result;
    if (target->content_type) {
        snprintf(typed, sizeof typed, "Content-Type: %s", target->content_type);
        headers[count++] = typed;
    }
    if (identity.authorization)
        headers[count++] = identity.authorization;
    if (snprintf(url, sizeof url, "%s%s", kube_client_server(client), target->path) >= (int)sizeof url)
        return error_set(err, ERROR_TOO_LARGE, "a URL of more than %d bytes", KUBE_URL_MAX - 1);
    options->url = url;
    options->headers = headers;
    options->tls = &identity.tls;
    options->http2 = true;
    *version = identity.version;
    *out = http_client_start(client->http, options, err);
    return *out ? 0 : -1;
}

/* One attempt and what follows */

/* True when the call waits for another attempt. */
static bool try_again(struct kube_call *call, struct kube_attempt *attempt)
{
    int64_t now_ms = clock_monotonic_ms(call->client->clock);
    attempt->method = call->method;
    attempt->number = call->attempts++;
    attempt->left_ms = call->deadline_at - now_ms;
    int64_t delay_ms = kube_retry_delay_ms(attempt, call->client->random);
    if (delay_ms < 0)
        return false;
    call->due_at = now_ms + delay_ms;
    wake(call->client, delay_ms);
    return true;
}

static void after_failure(struct kube_call *call, const struct error *err, bool unsent)
{
    struct kube_attempt attempt = {.code = err->code, .unsent = unsent, .retry_after_ms = -1};
    call->fresh = err->code == ERROR_TIMEOUT; /* nobody may be at the other end */
    if (!try_again(call, &attempt))
        finish_with_error(call, err);
}

/* Rotated credentials are worth one attempt more; the server did nothing before it knew who asks. */
static bool try_other_credentials(struct kube_call *call, int status)
{
    if (status != 401 || call->refused || !kube_credentials_refused(call->client->credentials, call->version))
        return false;
    call->refused = true;
    call->due_at = 0;
    wake(call->client, 0);
    return true;
}

static void after_answer(struct kube_call *call, const struct http_answer *http)
{
    struct kube_answer answer;
    struct json *body;
    struct error err = {.code = ERROR_NONE};
    char subject[256];
    subject_of(call, subject);
    kube_answer_read(http, subject, &body, &err, &answer);
    struct kube_attempt attempt = {.status = http->status,
                                   .retry_after_ms = kube_answer_retry_after_ms(http, body)};
    bool is_good = answer.err == NULL;
    if (is_good || (!try_other_credentials(call, http->status) && !try_again(call, &attempt)))
        finish(call, &answer);
    json_destroy(body);
}

static void on_http_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct kube_call *call = context;
    struct kube_client *client = call->client;
    call->http = NULL;
    client->in_flight--;
    if (call->answered)
        free_call(call);
    else if (call->canceled)
        finish_canceled(call, "canceled");
    else if (err)
        after_failure(call, err, answer->unsent);
    else
        after_answer(call, answer);
    wake(client, 0); /* another one may go now */
    let_go(client);
}

static void send_call(struct kube_call *call, int64_t now_ms)
{
    struct kube_client *client = call->client;
    int64_t left_ms = call->deadline_at - now_ms;
    struct error err = {.code = ERROR_NONE};
    struct http_call_options options = {
        .method = call->method,
        .body = call->body,
        .body_length = call->length,
        .timeout_ms = left_ms < KUBE_ATTEMPT_MS ? left_ms : KUBE_ATTEMPT_MS,
        .body_limit = KUBE_ANSWER_BYTES_MAX,
        .fresh_connection = call->fresh,
        .done = on_http_done,
        .context = call,
    };
    const struct kube_target target = {call->path, call->body ? call->content_type : NULL,
                                       call->metadata_only};
    int result = kube_client_dial(client, &target, &options, &call->http, &call->version, &err);
    if (result == 0) {
        client->in_flight++;
        client->held++;
        return;
    }
    if (result < 0) {
        err.code = err.code == ERROR_NO_MEMORY ? err.code : ERROR_UNREACHABLE; /* credentials may yet come */
        after_failure(call, &err, true);
    }
}

/* The work of one turn: each waiting call is ended, sent, or goes on waiting. */

static void finish_late(struct kube_call *call)
{
    struct error err;
    char subject[256];
    subject_of(call, subject);
    error_set(&err, ERROR_TIMEOUT, "%s: it was not its turn before its deadline", subject);
    finish_with_error(call, &err);
}

static struct kube_call *next_ready(struct kube_client *client, int64_t now_ms, int64_t *wait_ms)
{
    for (struct kube_call *call = client->calls; call; call = call->next) {
        bool may_go = client->in_flight < KUBE_IN_FLIGHT_MAX;
        if (call->http)
            continue;
        if (call->canceled || now_ms >= call->deadline_at || (now_ms >= call->due_at && may_go))
            return call;
        int64_t at = may_go && call->due_at < call->deadline_at ? call->due_at : call->deadline_at;
        if (*wait_ms < 0 || at - now_ms < *wait_ms)
            *wait_ms = at - now_ms;
    }
    return NULL;
}

static void on_work(uv_timer_t *timer)
{
    struct kube_client *client = timer->data;
    int64_t wait_ms = -1, now_ms = clock_monotonic_ms(client->clock);
    for (int turns = 0; turns < KUBE_REQUESTS_MAX && !client->closing; turns++) {
        wait_ms = -1;
        struct kube_call *call = next_ready(client, now_ms, &wait_ms);
        if (!call)
            break;
        if (call->canceled)
            finish_canceled(call, "canceled");
        else if (now_ms >= call->deadline_at)
            finish_late(call);
        else {
            call->due_at =
                INT64_MAX; /* until it is known when it goes on: after an attempt, or with credentials */
            send_call(call, now_ms);
        }
    }
    if (wait_ms >= 0)
        wake(client, wait_ms);
}

static void on_credentials_changed(void *context)
{
    struct kube_client *client = context;
    for (struct kube_call *call = client->calls; call; call = call->next)
        if (!call->http && call->due_at == INT64_MAX)
            call->due_at = 0;
    wake(client, 0);
}

/* What callers call */

static int check_request(const struct kube_client *client, const struct kube_request *request,
                         struct error *err)
{
    assert(request->done && request->method && request->path);
    if (client->closing)
        return error_set(err, ERROR_CANCELED, "the Kubernetes client is being closed");
    if (strlen(request->method) >= sizeof(((struct kube_call *)0)->method))
        return error_set(err, ERROR_INVALID, "not a method: %.20s", request->method);
    if (*request->path != '/' || strlen(request->path) > KUBE_PATH_MAX || strpbrk(request->path, " \t\r\n#"))
        return error_set(err, ERROR_INVALID, "not a path of at most %d bytes: %.200s", KUBE_PATH_MAX,
                         request->path);
    if (request->length > KUBE_ANSWER_BYTES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "%s: a body of more than %d bytes", request->path,
                         KUBE_ANSWER_BYTES_MAX);
    if (client->call_count >= KUBE_REQUESTS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "more than %d Kubernetes requests wait", KUBE_REQUESTS_MAX);
    return 0;
}

static struct kube_call *make_call(const struct kube_request *request, struct error *err)
{
    struct kube_call *call = calloc(1, sizeof *call);
    if (call) {
        snprintf(call->method, sizeof call->method, "%s", request->method);
        call->path = strdup(request->path);
        call->content_type = strdup(request->content_type ? request->content_type : "application/json");
        call->body = request->body ? malloc(request->length + 1) : NULL;
    }
    if (!call || !call->path || !call->content_type || (request->body && !call->body)) {
        if (call)
            free_call(call);
        error_set(err, ERROR_NO_MEMORY, "out of memory for a Kubernetes request");
        return NULL;
    }
    if (request->body)
        memcpy(call->body, request->body, request->length);
    call->length = request->length;
    call->metadata_only = request->metadata_only;
    call->done = request->done;
    call->context = request->context;
    return call;
}

uint64_t kube_request_start(struct kube_client *client, const struct kube_request *request, struct error *err)
{
    struct kube_call *call = check_request(client, request, err) ? NULL : make_call(request, err);
    struct kube_call **end = &client->calls;
    if (!call)
        return 0;
    call->client = client;
    call->id = ++client->last_id;
    call->deadline_at = clock_monotonic_ms(client->clock) +
                        (request->deadline_ms > 0 ? request->deadline_ms : KUBE_DEADLINE_MS);
    while (*end)
        end = &(*end)->next;
    *end = call;
    client->call_count++;
    wake(client, 0);
    return call->id;
}

void kube_request_cancel(struct kube_client *client, uint64_t id)
{
    for (struct kube_call *call = client->calls; call; call = call->next)
        if (call->id == id) {
            call->canceled = true;
            if (call->http)
                http_call_cancel(call->http);
            wake(client, 0);
        }
}

const char *kube_client_server(const struct kube_client *client)
{
    return kube_credentials_config(client->credentials)->server;
}

const char *kube_client_namespace(const struct kube_client *client)
{
    return kube_credentials_config(client->credentials)->namespace_name;
}

struct kube_client *kube_client_create(uv_loop_t *loop, struct http_client *http,
                                       const struct kube_config *config, const struct clock *clock,
                                       const struct random *random, struct error *err)
{
    struct kube_client *client = calloc(1, sizeof *client);
    if (!client) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for the Kubernetes client");
        return NULL;
    }
    client->credentials = kube_credentials_create(loop, config, clock, on_credentials_changed, client, err);
    if (!client->credentials) {
        free(client);
        return NULL;
    }
    client->loop = loop;
    client->http = http;
    client->clock = clock;
    client->random = random;
    client->held = 1;
    uv_timer_init(loop, &client->work);
    client->work.data = client;
    return client;
}

static void on_work_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void kube_client_destroy(struct kube_client *client)
{
    if (!client || client->closing)
        return;
    assert(client->watches == 0);
    client->closing = true;
    while (client->calls) {
        if (client->calls->http)
            http_call_cancel(client->calls->http);
        finish_canceled(client->calls, "the Kubernetes client is closed");
    }
    kube_credentials_destroy(client->credentials);
    uv_close((uv_handle_t *)&client->work, on_work_closed);
}
