/* The access token of the agent's service account: see metadata.h. */
#include "zone-agent/gce/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/json.h"

enum { HOST_MAX = 256 };

static const char token_path[] = "/computeMetadata/v1/instance/service-accounts/default/token";

struct metadata {
    struct metadata_options options;
    char url[HOST_MAX + sizeof token_path + 8];
    char token[METADATA_TOKEN_MAX + 1];
    int64_t good_until_ms; /* monotonic; 0: there is none */
    unsigned number;
    uv_timer_t retry;
    struct http_call *call;
    unsigned failures;
    bool wanted, closing, timer_closed;
};

static void ask(struct metadata *metadata);

static void forget(struct metadata *metadata)
{
    explicit_bzero(metadata->token, sizeof metadata->token);
    metadata->good_until_ms = 0;
}

static void free_when_closed(struct metadata *metadata)
{
    if (!metadata->closing || !metadata->timer_closed || metadata->call)
        return;
    forget(metadata);
    free(metadata);
}

static void on_retry(uv_timer_t *timer)
{
    ask(timer->data);
}

static void retry_later(struct metadata *metadata)
{
    const struct metadata_options *options = &metadata->options;
    int64_t delay_ms =
        backoff_ms(metadata->failures++, METADATA_RETRY_FIRST_MS, METADATA_RETRY_MOST_MS, options->random);
    uv_timer_start(&metadata->retry, on_retry, (uint64_t)delay_ms, 0);
}

int metadata_read(const char *body, size_t length, char token[METADATA_TOKEN_MAX + 1], int64_t *life_ms,
                  struct error *err)
{
    struct error ignored;
    struct json *json =
        json_parse(body, length, METADATA_ANSWER_BYTES_MAX, &ignored); /* whose message may quote the text */
    const char *text = json_get_text(json, "access_token", "");
    int64_t life_s = json_get_int(json, "expires_in", 0);
    size_t size = strlen(text);
    int result = -1;
    if (!json)
        error_set(err, ERROR_PROTOCOL, "the metadata server's answer is no JSON");
    else if (size == 0 || size > METADATA_TOKEN_MAX)
        error_set(err, ERROR_PROTOCOL, "the metadata server's answer holds no access_token of 1 to %d bytes",
                  METADATA_TOKEN_MAX);
    else if (life_s < 1 || life_s > METADATA_LIFE_MAX_S)
        error_set(err, ERROR_PROTOCOL, "the metadata server's answer holds no expires_in of 1 to %d seconds",
                  METADATA_LIFE_MAX_S);
    else
        result = 0;
    for (size_t i = 0; result == 0 && i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            result = error_set(err, ERROR_PROTOCOL,
                               "the metadata server's token holds characters that no token may hold");
    if (result == 0) {
        memcpy(token, text, size + 1);
        *life_ms = life_s * 1000;
    }
    explicit_bzero((char *)(uintptr_t)text, size);
    json_destroy(json);
    return result;
}

static int take_answer(struct metadata *metadata, const struct http_answer *answer, struct error *err)
{
    int64_t life_ms;
    if (answer->status == 404)
        return error_set(err, ERROR_NOT_FOUND, "the metadata server knows of no service account (404)");
    if (answer->status != 200)
        return error_set(err, ERROR_UNREACHABLE, "the metadata server answered %d", answer->status);
    if (strcmp(answer->wanted, "Google") != 0) /* a captive portal, a proxy, somebody else's server */
        return error_set(err, ERROR_PROTOCOL,
                         "what answers at the metadata server's address is not Google's: there is no "
                         "\"Metadata-Flavor: Google\"");
    if (metadata_read(answer->body, answer->length, metadata->token, &life_ms, err))
        return -1;
    int64_t early_ms = life_ms / 4 < METADATA_EARLY_MS ? life_ms / 4 : METADATA_EARLY_MS;
    metadata->good_until_ms = clock_monotonic_ms(metadata->options.clock) + life_ms - early_ms;
    metadata->number++;
    metadata->wanted = false;
    return 0;
}

static void on_answer(void *context, const struct http_answer *answer, const struct error *err)
{
    struct metadata *metadata = context;
    struct error problem = err ? *err : (struct error){.code = ERROR_NONE};
    metadata->call = NULL;
    if (metadata->closing) {
        free_when_closed(metadata);
        return;
    }
    if (!err && take_answer(metadata, answer, &problem) == 0)
        metadata->failures = 0;
    else if (metadata->wanted)
        retry_later(metadata);
    metadata->options.changed(metadata->options.context, problem.code == ERROR_NONE ? NULL : &problem);
}

static void ask(struct metadata *metadata)
{
    static const char *const headers[] = {"Metadata-Flavor: Google", NULL};
    struct error err;
    struct http_call_options options = {
        .method = "GET",
        .url = metadata->url,
        .headers = headers,
        .wanted_header = "Metadata-Flavor",
        .timeout_ms = METADATA_ATTEMPT_MS,
        .body_limit = METADATA_ANSWER_BYTES_MAX,
        .done = on_answer,
        .context = metadata,
    };
    if (metadata->call || !metadata->wanted || metadata->closing)
        return;
    metadata->call = http_client_start(metadata->options.http, &options, &err);
    if (!metadata->call)
        retry_later(metadata);
}

static const char *host_of(const struct metadata_options *options)
{
    const char *host = options->host && *options->host ? options->host : getenv("GCE_METADATA_HOST");
    return host && *host ? host : "metadata.google.internal";
}

struct metadata *metadata_create(const struct metadata_options *options, struct error *err)
{
    const char *host = host_of(options);
    if (strlen(host) > HOST_MAX ||
        host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]")]) {
        error_set(
            err, ERROR_INVALID,
            "the metadata server's address (GCE_METADATA_HOST) must be HOST or HOST:PORT, not \"%.80s\"",
            host);
        return NULL;
    }
    struct metadata *metadata = calloc(1, sizeof *metadata);
    if (!metadata) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for the metadata client");
        return NULL;
    }
    metadata->options = *options;
    snprintf(metadata->url, sizeof metadata->url, "http://%s%s", host, token_path);
    uv_timer_init(options->loop, &metadata->retry);
    metadata->retry.data = metadata;
    return metadata;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct metadata *metadata = handle->data;
    metadata->timer_closed = true;
    free_when_closed(metadata);
}

void metadata_destroy(struct metadata *metadata)
{
    if (!metadata)
        return;
    metadata->closing = true;
    if (metadata->call)
        http_call_cancel(metadata->call);
    uv_close((uv_handle_t *)&metadata->retry, on_timer_closed);
}

const char *metadata_token(struct metadata *metadata, unsigned *number)
{
    if (metadata->good_until_ms && clock_monotonic_ms(metadata->options.clock) >= metadata->good_until_ms)
        forget(metadata);
    *number = metadata->number;
    return metadata->good_until_ms ? metadata->token : NULL;
}

void metadata_want(struct metadata *metadata, bool wanted)
{
    bool begins = wanted && !metadata->wanted;
    metadata->wanted = wanted;
    if (begins && !metadata->call) {
        metadata->failures = 0;
        uv_timer_start(&metadata->retry, on_retry, 0, 0);
    } else if (!wanted) {
        uv_timer_stop(&metadata->retry);
    }
}

void metadata_refuse(struct metadata *metadata, unsigned number)
{
    if (metadata->number == number)
        forget(metadata);
}
