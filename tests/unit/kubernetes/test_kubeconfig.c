/* Kubeconfigs of people and of clouds: what is understood, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "zone-agent/kubernetes/kubeconfig.h"

/* "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" and the like of a key */
#define CERTIFICATE "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define KEY "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUIKLS0tLS1FTkQgUFJJVkFURSBLRVktLS0tLQo="
#define LOCKED_KEY "LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVktLS0tLQpNSUlCCg=="

/* A kubeconfig around the lines of a cluster and of a user. */
#define CONFIG(cluster, user)                                                                                \
    "apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts:\n- name: two\n  context: {cluster: "      \
    "none}\n"                                                                                                \
    "- name: one\n  context: {cluster: c, user: u, namespace: here}\nclusters:\n- name: c\n  cluster: "      \
    "{" cluster "}\n"                                                                                        \
    "users:\n- name: u\n  user: {" user "}\n"
#define SERVER "server: 'https://10.0.0.1:6443/'"
#define EXEC "apiVersion: client.authentication.k8s.io/v1"

static int parse(const char *text, const char *context, struct kube_config *out, struct error *err)
{
    return kubeconfig_parse(text, strlen(text), "config", "/home/me/.kube", context, out, err);
}

static void a_token_and_a_ca(void **state)
{
    struct kube_config config;
    struct error err = {.code = ERROR_NONE};
    (void)state;
    if (parse(CONFIG(SERVER ", certificate-authority-data: " CERTIFICATE ", tls-server-name: kubernetes",
                     "token: abc.def"),
              NULL, &config, &err))
        fail_msg("%s", err.message);
    assert_string_equal(config.server, "https://10.0.0.1:6443");
    assert_string_equal(config.ca, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_string_equal(config.tls_server_name, "kubernetes");
    assert_string_equal(config.namespace_name, "here");
    assert_string_equal(config.token, "abc.def");
    assert_string_equal(config.source, "config");
    assert_null(config.exec.api_version);
    kube_config_finish(&config);
    assert_null(config.token);
}

static void a_client_certificate_and_paths(void **state)
{
    struct kube_config config;
    struct error err = {.code = ERROR_NONE};
    (void)state;
    if (parse(CONFIG(SERVER ", certificate-authority: ../ca.crt",
                     "client-certificate: /c.crt, client-key-data: " KEY),
              NULL, &config, &err))
        fail_msg("%s", err.message);
    assert_string_equal(config.ca_file, "/home/me/.kube/../ca.crt");
    assert_string_equal(config.certificate_file, "/c.crt");
    assert_string_equal(config.key, "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
    kube_config_finish(&config);
}

static void an_exec_plugin(void **state)
{
    struct kube_config config;
    struct error err = {.code = ERROR_NONE};
    (void)state;
    if (parse(CONFIG(SERVER,
                     "exec: {" EXEC ", command: bin/plugin, args: [get, 'a b'], provideClusterInfo: true, "
                     "interactiveMode: IfAvailable, installHint: get it, env: [{name: A, value: b=c}, {name: "
                     "EMPTY, value: ''}]}"),
              NULL, &config, &err))
        fail_msg("%s", err.message);
    assert_string_equal(config.exec.command, "/home/me/.kube/bin/plugin");
    assert_string_equal(config.exec.arguments[0], "get");
    assert_string_equal(config.exec.arguments[1], "a b");
    assert_null(config.exec.arguments[2]);
    assert_string_equal(config.exec.variables[0], "A=b=c");
    assert_string_equal(config.exec.variables[1], "EMPTY=");
    assert_null(config.exec.variables[2]);
    assert_true(config.exec.wants_cluster);
    kube_config_finish(&config);
}

static void a_plugin_of_the_path_keeps_its_name(void **state)
{
    struct kube_config config;
    struct error err = {.code = ERROR_NONE};
    (void)state;
    assert_int_equal(
        parse(CONFIG(SERVER, "exec: {" EXEC "beta1, command: gke-gcloud-auth-plugin, args: null, env: null}"),
              NULL, &config, &err),
        0);
    assert_string_equal(config.exec.command, "gke-gcloud-auth-plugin");
    kube_config_finish(&config);
}

static void loopback_may_be_plain(void **state)
{
    static const char *const good[] = {"http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001",
                                       "http://127.1.2.3/x"};
    struct kube_config config;
    struct error err;
    char text[1024];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, CONFIG("server: '%s'", ""), good[i]);
        assert_int_equal(parse(text, NULL, &config, &err), 0);
        assert_string_equal(config.server, good[i]);
        kube_config_finish(&config);
    }
}

static const struct {
    const char *text, *context, *words;
} refused[] = {
    {"", NULL, "config:1:1: there is nothing in it"},
    {"# only words\n\n", NULL, "there is nothing in it"},
    {"- a\n", NULL, "config:1:1: a kubeconfig is a map"},
    {"a: [\n", NULL, "config:2:1: not YAML"},
    {"a: 1\na: 2\n", NULL, "config:2:1: the key \"a\" is here twice"},
    {"kind: Pod\n", NULL, "config:1:7: kind is \"Pod\", but a kubeconfig's is Config"},
    {"kind: Config\n", NULL, "there is no current-context"},
    {CONFIG(SERVER, ""), "three", "config:5:1: there is no \"three\" in contexts"},
    {CONFIG(SERVER, ""), "two", "there is no \"none\" in clusters"},
    {"current-context: a\ncontexts: {}\n", NULL, "contexts must be a list"},
    {"current-context: a\ncontexts:\n- name: a\n", NULL,
     "config:3:3: the item \"a\" of contexts has no map \"context\""},
    {CONFIG("", ""), NULL, "the cluster has no server"},
    {CONFIG("server: '10.0.0.1:6443'", ""), NULL, "server must begin with https://"},
    {CONFIG("server: 'http://10.0.0.1:8080'", ""), NULL, "plain HTTP is for 127.0.0.1 alone"},
    {CONFIG("server: 'http://127.0.0.1.example.com'", ""), NULL, "plain HTTP is for 127.0.0.1 alone"},
    {CONFIG("server: 'http://localhost.example.com'", ""), NULL, "plain HTTP is for 127.0.0.1 alone"},
    {CONFIG("server: 'https://user:word@10.0.0.1'", ""), NULL, "server must look like"},
    {CONFIG("server: 'https://'", ""), NULL, "server must look like"},
    {CONFIG("server: [a]", ""), NULL, "config:11:21: server must be a text, not a list"},
    {CONFIG(SERVER ", insecure-skip-tls-verify: true", ""), NULL, "insecure-skip-tls-verify is refused"},
    {CONFIG(SERVER ", proxy-url: 'http://p'", ""), NULL, "proxy-url is not supported"},
    {CONFIG(SERVER ", certificate-authority-data: '###'", ""), NULL,
     "certificate-authority-data is not base64"},
    {CONFIG(SERVER ", certificate-authority-data: aGVsbG8=", ""), NULL,
     "is not base64 of a PEM text with a CERTIFICATE"},
    {CONFIG(SERVER, "token: 'a b'"), NULL, "token must be one word"},
    {CONFIG(SERVER, "client-certificate: /c.crt"), NULL, "are needed together; here is only the certificate"},
    {CONFIG(SERVER, "client-key: /c.key"), NULL, "here is only the key"},
    {CONFIG(SERVER, "client-certificate: /c, client-key-data: " LOCKED_KEY), NULL,
     "is encrypted with a passphrase"},
    {CONFIG(SERVER, "username: a, password: b"), NULL, "username is not supported"},
    {CONFIG(SERVER, "as: somebody"), NULL, "as is not supported: the agent never acts as somebody else"},
    {CONFIG(SERVER, "as-groups: [a]"), NULL, "as-groups is not supported"},
    {CONFIG(SERVER, "auth-provider: {name: gcp}"), NULL, "use an exec plugin"},
    {CONFIG(SERVER, "token: a, exec: {" EXEC ", command: x}"), NULL, "exec beside a token"},
    {CONFIG(SERVER, "exec: {command: x}"), NULL, "the apiVersion of exec must be"},
    {CONFIG(SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}"), NULL,
     "the apiVersion of exec must be"},
    {CONFIG(SERVER, "exec: {" EXEC "}"), NULL, "exec has no command"},
    {CONFIG(SERVER, "exec: {" EXEC ", command: x, interactiveMode: Always}"), NULL,
     "nobody sits before an agent"},
    {CONFIG(SERVER, "exec: {" EXEC ", command: x, args: a}"), NULL, "args must be a list"},
    {CONFIG(SERVER, "exec: {" EXEC ", command: x, env: [a]}"), NULL, "an item of env needs a name"},
    {CONFIG(SERVER, "exec: 5"), NULL, "exec must be a map"},
};

static void what_cannot_be_honoured_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct kube_config config = {.source = NULL};
        struct error err = {.message = ""};
        if (parse(refused[i].text, refused[i].context, &config, &err) == 0)
            fail_msg("not refused: %s", refused[i].text);
        if (!strstr(err.message, refused[i].words))
            fail_msg("\"%s\" is not in \"%s\"", refused[i].words, err.message);
        assert_null(config.source);
    }
}

static void messages_never_hold_secrets(void **state)
{
    struct kube_config config;
    struct error err = {.message = ""};
    (void)state;
    assert_int_equal(parse(CONFIG(SERVER, "token: 'S3CRET word'"), NULL, &config, &err), -1);
    assert_null(strstr(err.message, "S3CRET"));
    assert_int_equal(parse(CONFIG(SERVER, "client-key-data: UzNDUkVU"), NULL, &config, &err), -1);
    assert_null(strstr(err.message, "S3CRET"));
    assert_null(strstr(err.message, "UzNDUkVU"));
}

/* A pod's folder. */
static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_replace(path, text, strlen(text), 0600, &err))
        fail_msg("%s", err.message);
}

static void a_pod_has_its_own(void **state)
{
    char folder[] = "/tmp/atoll-test-pod-XXXXXX";
    struct kube_config config;
    struct error err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "namespace", "mongo\n");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kubeconfig_in_cluster(folder, &config, &err), -1);
    assert_non_null(strstr(err.message, "automountServiceAccountToken"));
    write_file(folder, "token", "abc\n");
    assert_int_equal(kubeconfig_in_cluster(folder, &config, &err), 0);
    assert_string_equal(config.server, "https://[fd00::1]:443");
    assert_string_equal(config.namespace_name, "mongo");
    assert_non_null(strstr(config.token_file, "/token"));
    assert_non_null(strstr(config.ca_file, "/ca.crt"));
    kube_config_finish(&config);
    setenv("KUBERNETES_SERVICE_PORT", "443/../", 1);
    assert_int_equal(kubeconfig_in_cluster(folder, &config, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kubeconfig_in_cluster(folder, &config, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(file_remove_tree(folder, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_and_a_ca),
        cmocka_unit_test(a_client_certificate_and_paths),
        cmocka_unit_test(an_exec_plugin),
        cmocka_unit_test(a_plugin_of_the_path_keeps_its_name),
        cmocka_unit_test(loopback_may_be_plain),
        cmocka_unit_test(what_cannot_be_honoured_is_refused_with_its_place),
        cmocka_unit_test(messages_never_hold_secrets),
        cmocka_unit_test(a_pod_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
