/* Answers and retries: see answer.h. */
#include "zone-agent/kubernetes/answer.h"

#include <string.h>

static enum error_code code_of(int status)
{
    switch (status) {
    case 404:
    case 410:
        return ERROR_NOT_FOUND;
    case 409:
        return ERROR_CONFLICT;
    case 401:
    case 403:
        return ERROR_REFUSED;
    case 400:
    case 405:
    case 406:
    case 415:
    case 422:
        return ERROR_INVALID;
    case 413:
        return ERROR_TOO_LARGE;
    default:
        return status == 429 || status >= 500 ? ERROR_UNREACHABLE : ERROR_PROTOCOL;
    }
}

int kube_answer_error(int status, const char *reason, const char *message, const char *subject,
                      struct error *err)
{
    error_set(err, code_of(status), "%s: %d%s%s%s%s", subject, status, *reason ? " " : "", reason,
              *message ? ": " : "", message);
    err->detail = status;
    return -1;
}

/* A body that isn't JSON: a proxy's page, or the words of a server that is starting. */
static const char *first_words(const struct http_answer *answer, char *text, size_t size)
{
    size_t length = strnlen(answer->body, answer->length < size - 1 ? answer->length : size - 1);
    memcpy(text, answer->body, length);
    text[length] = 0;
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = ' ';
    return text;
}

void kube_answer_read(const struct http_answer *answer, const char *subject, struct json **body,
                      struct error *err, struct kube_answer *out)
{
    bool is_good = answer->status >= 200 && answer->status < 300;
    bool says_json = strstr(answer->content_type, "json") != NULL;
    char words[200];
    *body = says_json && answer->length ? json_parse(answer->body, answer->length, KUBE_ANSWER_BYTES_MAX, err)
                                        : NULL;
    bool is_status = *body && strcmp(json_get_text(*body, "kind", ""), "Status") == 0;
    *out = (struct kube_answer){
        .status = answer->status,
        .body = *body,
        .reason = is_status ? json_get_text(*body, "reason", "") : "",
        .message = is_status ? json_get_text(*body, "message", "") : "",
    };
    if (is_good && says_json && answer->length && !*body) {
        error_wrap(err, "%s: the answer can't be read", subject);
        out->err = err;
    } else if (!is_good) {
        const char *message = is_status ? out->message : first_words(answer, words, sizeof words);
        kube_answer_error(answer->status, out->reason, message, subject, err);
        out->err = err;
    }
}

int64_t kube_answer_retry_after_ms(const struct http_answer *answer, const struct json *body)
{
    if (answer->retry_after_ms >= 0)
        return answer->retry_after_ms;
    int64_t seconds = json_get_int(json_get(body, "details"), "retryAfterSeconds", 0);
    return seconds > 0 && seconds <= 86400 ? seconds * 1000 : -1;
}

static bool heals(const struct kube_attempt *attempt)
{
    bool idempotent = strcmp(attempt->method, "POST") != 0;
    switch (attempt->status) {
    case 0:
        if (attempt->code != ERROR_UNREACHABLE && attempt->code != ERROR_TIMEOUT &&
            attempt->code != ERROR_PROTOCOL)
            return false; /* a certificate that does not verify, too large an answer: the same again */
        return idempotent || attempt->unsent;
    case 429: /* turned away before anything was done */
        return true;
    case 500: /* etcd's leader changed, a webhook did not answer … */
    case 502:
    case 503:
    case 504:
        return idempotent;
    default:
        return false;
    }
}

int64_t kube_retry_delay_ms(const struct kube_attempt *attempt, const struct random *random)
{
    if (!heals(attempt))
        return -1;
    int64_t delay_ms = backoff_ms(attempt->number, KUBE_RETRY_FIRST_MS, KUBE_RETRY_MOST_MS, random);
    if (attempt->retry_after_ms > 0) /* jitter only on top: earlier would be against what was asked */
        delay_ms = attempt->retry_after_ms + delay_ms / 4;
    return delay_ms < attempt->left_ms ? delay_ms : -1;
}
