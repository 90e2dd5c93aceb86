/* What answers of an API server mean, and which requests are made again when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "zone-agent/kubernetes/answer.h"

static uint64_t zero(void *context)
{
    (void)context;
    return 0;
}

static const struct random lowest = {zero, NULL};

static const struct {
    const char *what;
    struct kube_attempt attempt;
    int64_t delay_ms; /* with the lowest jitter: half of the backoff */
} retries[] = {
    {"a 429 waits as asked", {"GET", 0, 429, 0, false, 2000, 60000}, 2025},
    {"a 429 of a POST too: nothing was done", {"POST", 0, 429, 0, false, 1000, 60000}, 1025},
    {"a 429 that asks nothing backs off", {"GET", 0, 429, 0, false, -1, 60000}, 100},
    {"a wait of nothing backs off", {"GET", 2, 429, 0, false, 0, 60000}, 400},
    {"more attempts, longer", {"GET", 3, 503, 0, false, -1, 60000}, 800},
    {"not longer than its bound", {"GET", 30, 503, 0, false, -1, 60000}, 5000},
    {"not beyond the deadline", {"GET", 0, 429, 0, false, 90000, 60000}, -1},
    {"500", {"PATCH", 0, 500, 0, false, -1, 60000}, 100},
    {"502", {"DELETE", 0, 502, 0, false, -1, 60000}, 100},
    {"504", {"PUT", 0, 504, 0, false, -1, 60000}, 100},
    {"a POST may have been done", {"POST", 0, 500, 0, false, -1, 60000}, -1},
    {"a POST may have been done (503)", {"POST", 0, 503, 0, false, 1000, 60000}, -1},
    {"a POST that nobody answered", {"POST", 0, 0, ERROR_UNREACHABLE, false, -1, 60000}, -1},
    {"a POST that was not sent", {"POST", 0, 0, ERROR_UNREACHABLE, true, -1, 60000}, 100},
    {"a PATCH that nobody answered", {"PATCH", 0, 0, ERROR_UNREACHABLE, false, -1, 60000}, 100},
    {"a timeout", {"GET", 0, 0, ERROR_TIMEOUT, false, -1, 60000}, 100},
    {"a certificate that is not the server's", {"GET", 0, 0, ERROR_REFUSED, true, -1, 60000}, -1},
    {"too large", {"GET", 0, 0, ERROR_TOO_LARGE, false, -1, 60000}, -1},
    {"canceled", {"GET", 0, 0, ERROR_CANCELED, false, -1, 60000}, -1},
    {"200", {"GET", 0, 200, 0, false, -1, 60000}, -1},
    {"401", {"GET", 0, 401, 0, false, -1, 60000}, -1},
    {"403", {"GET", 0, 403, 0, false, -1, 60000}, -1},
    {"404", {"GET", 0, 404, 0, false, -1, 60000}, -1},
    {"409", {"PATCH", 0, 409, 0, false, -1, 60000}, -1},
    {"422", {"PATCH", 0, 422, 0, false, -1, 60000}, -1},
};

static void only_what_heals_is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof retries / sizeof *retries; i++) {
        int64_t delay_ms = kube_retry_delay_ms(&retries[i].attempt, &lowest);
        if (delay_ms != retries[i].delay_ms)
            fail_msg("%s: %lld, not %lld", retries[i].what, (long long)delay_ms,
                     (long long)retries[i].delay_ms);
    }
}

static struct http_answer http(int status, const char *type, const char *body)
{
    return (struct http_answer){.status = status,
                                .content_type = type,
                                .etag = "",
                                .retry_after_ms = -1,
                                .body = body,
                                .length = strlen(body)};
}

static void a_status_gives_reason_and_words(void **state)
{
    struct kube_answer answer;
    struct json *body;
    struct error err;
    struct http_answer given =
        http(409, "application/json",
             "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"services "
             "\\\"x\\\" already exists\",\"code\":409,\"details\":{\"retryAfterSeconds\":3}}");
    (void)state;
    kube_answer_read(&given, "POST /api", &body, &err, &answer);
    assert_int_equal(answer.status, 409);
    assert_string_equal(answer.reason, "AlreadyExists");
    assert_string_equal(answer.message, "services \"x\" already exists");
    assert_ptr_equal(answer.err, &err);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(err.detail, 409);
    assert_string_equal(err.message, "POST /api: 409 AlreadyExists: services \"x\" already exists");
    assert_int_equal(kube_answer_retry_after_ms(&given, body), 3000);
    given.retry_after_ms = 1000; /* the header counts first */
    assert_int_equal(kube_answer_retry_after_ms(&given, body), 1000);
    json_destroy(body);
}

static void answers_without_json_are_read_too(void **state)
{
    struct kube_answer answer;
    struct json *body;
    struct error err;
    struct http_answer page = http(503, "text/html", "<h1>no\nbackend</h1>"),
                       fine = http(200, "text/plain", "ok"),
                       broken = http(200, "application/json", "{\"a\":");
    (void)state;
    kube_answer_read(&page, "GET /", &body, &err, &answer);
    assert_null(body);
    assert_string_equal(err.message, "GET /: 503: <h1>no backend</h1>");
    assert_int_equal(err.code, ERROR_UNREACHABLE);
    kube_answer_read(&fine, "GET /", &body, &err, &answer);
    assert_null(answer.err);
    assert_null(answer.body);
    kube_answer_read(&broken, "GET /", &body, &err, &answer);
    assert_non_null(answer.err);
}

static void each_refusal_has_its_code(void **state)
{
    static const struct {
        int status;
        enum error_code code;
    } cases[] = {
        {400, ERROR_INVALID},     {401, ERROR_REFUSED},     {403, ERROR_REFUSED},   {404, ERROR_NOT_FOUND},
        {409, ERROR_CONFLICT},    {410, ERROR_NOT_FOUND},   {413, ERROR_TOO_LARGE}, {422, ERROR_INVALID},
        {429, ERROR_UNREACHABLE}, {500, ERROR_UNREACHABLE}, {302, ERROR_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        assert_int_equal(kube_answer_error(cases[i].status, "", "", "GET /", &err), -1);
        assert_int_equal(err.code, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_heals_is_tried_again),
        cmocka_unit_test(a_status_gives_reason_and_words),
        cmocka_unit_test(answers_without_json_are_read_too),
        cmocka_unit_test(each_refusal_has_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
