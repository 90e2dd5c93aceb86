/* ExecCredentials, times and base64 of others' making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/json.h"
#include "zone-agent/kubernetes/base64.h"
#include "zone-agent/kubernetes/exec_credential.h"

#define V1 "client.authentication.k8s.io/v1"
#define PRINTED(status) "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{" status "}}"

static int read_text(const char *text, struct exec_credential *out, struct error *err)
{
    return exec_credential_read(text, strlen(text), V1, out, err);
}

static void a_token_with_its_end(void **state)
{
    struct exec_credential read;
    struct error err;
    (void)state;
    assert_int_equal(
        read_text(PRINTED("\"token\":\"t\",\"expirationTimestamp\":\"2026-11-23T08:00:00Z\""), &read, &err),
        0);
    assert_string_equal(read.token, "t");
    assert_int_equal(read.expires_wall_ms, 1795420800000);
    exec_credential_finish(&read);
    assert_int_equal(read_text(PRINTED("\"clientCertificateData\":\"-----BEGIN CERTIFICATE-----\","
                                       "\"clientKeyData\":\"-----BEGIN EC PRIVATE KEY-----\""),
                               &read, &err),
                     0);
    assert_null(read.token);
    assert_int_equal(read.expires_wall_ms, 0);
    exec_credential_finish(&read);
}

static void what_is_no_credential_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"hello", "what it printed can't be read"},
        {"{}", "no ExecCredential"},
        {"{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\"}",
         "but the kubeconfig says " V1},
        {PRINTED(""), "neither a token nor"},
        {PRINTED("\"token\":\"\""), "neither a token nor"},
        {PRINTED("\"token\":\"a\\r\\nX: y\""), "not one word"},
        {PRINTED("\"clientCertificateData\":\"-----BEGIN\""), "come together"},
        {PRINTED("\"token\":\"a\",\"expirationTimestamp\":\"tomorrow\""), "no time like"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exec_credential read = {.token = NULL};
        struct error err = {.message = ""};
        assert_int_equal(read_text(cases[i][0], &read, &err), -1);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("\"%s\" is not in \"%s\"", cases[i][1], err.message);
        assert_null(read.token);
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T12:00:00.5Z", 951825600500},
        {"2024-03-01T00:00:00+01:30", 1709245800000},
        {"2100-03-01T00:00:00Z", 4107542400000},
        {"2026-11-23T08:00:00.123456789-00:00", 1795420800123},
        {"2026-11-23", -1},
        {"2026-11-23T08:00:00", -1},
        {"2026-13-23T08:00:00Z", -1},
        {"2026-11-23T08:00:00Zx", -1},
        {"2026-11-23T08:00:00+1:00", -1},
        {"", -1},
        {"1969-11-23T08:00:00Z", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rfc3339_ms(cases[i].text) != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)rfc3339_ms(cases[i].text));
}

static void base64_goes_both_ways(void **state)
{
    static const char *const cases[][2] = {
        {"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}, {"\xff\xfe\xfd", "//79"}};
    static const char *const bad[] = {"a", "ab", "abc", "YQ=", "Y===", "YQ==YQ==", "YQ=a", "a b?", "===="};
    size_t length;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = base64_encode(cases[i][0], strlen(cases[i][0])),
             *back = base64_decode(cases[i][1], &length);
        assert_string_equal(text, cases[i][1]);
        assert_string_equal(back, cases[i][0]);
        assert_int_equal(length, strlen(cases[i][0]));
        free(text);
        free(back);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (base64_decode(bad[i], &length))
            fail_msg("%s is no base64", bad[i]);
    char *wrapped = base64_decode("YW\n Jj\r\n", &length);
    assert_string_equal(wrapped, "abc");
    free(wrapped);
}

static void a_plugin_is_told_the_cluster_when_it_asks(void **state)
{
    char version[] = V1, server[] = "https://a", ca[] = "abc";
    struct kube_config config = {.server = server, .ca = ca, .exec = {.api_version = version}};
    struct buffer out;
    struct error err;
    (void)state;
    buffer_init(&out, 0);
    assert_int_equal(exec_info_write(&config, &out, &err), 0);
    assert_string_equal(buffer_text(&out),
                        "{\"apiVersion\":\"" V1
                        "\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}");
    config.exec.wants_cluster = true;
    buffer_clear(&out);
    assert_int_equal(exec_info_write(&config, &out, &err), 0);
    assert_non_null(strstr(buffer_text(&out),
                           "\"cluster\":{\"server\":\"https://a\",\"certificate-authority-data\":\"YWJj\"}"));
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_with_its_end),
        cmocka_unit_test(what_is_no_credential_is_refused),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(a_plugin_is_told_the_cluster_when_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
