/* Where a kube_config comes from besides a kubeconfig's text: a file, a pod's own folder; copies, and its
 * end. See kubeconfig.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/kubernetes/kube_config.h"

static const char pod_folder[] = "/var/run/secrets/kubernetes.io/serviceaccount";

void kube_secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void free_list(char **list)
{
    for (char **item = list; item && *item; item++)
        kube_secret_free(*item); /* arguments and variables may hold secrets of the user's */
    free(list);
}

void kube_config_finish(struct kube_config *config)
{
    char *open[] = {
        config->source,           config->server,         config->tls_server_name,  config->ca,
        config->ca_file,          config->namespace_name, config->token_file,       config->certificate,
        config->certificate_file, config->key_file,       config->exec.api_version, config->exec.command,
        config->exec.install_hint};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        free(open[i]);
    kube_secret_free(config->token);
    kube_secret_free(config->key);
    free_list(config->exec.arguments);
    free_list(config->exec.variables);
    *config = (struct kube_config){.source = NULL};
}

static int copy_text(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -1 : 0;
}

static int copy_list(char *const *from, char ***to)
{
    size_t count = 0;
    while (from && from[count])
        count++;
    *to = calloc(count + 1, sizeof **to);
    if (!*to)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (copy_text(from[i], &(*to)[i]))
            return -1;
    return 0;
}

int kube_config_copy(const struct kube_config *from, struct kube_config *to, struct error *err)
{
    struct kube_config copy = {.exec.wants_cluster = from->exec.wants_cluster};
    int failed = copy_text(from->source, &copy.source) | copy_text(from->server, &copy.server) |
                 copy_text(from->tls_server_name, &copy.tls_server_name) | copy_text(from->ca, &copy.ca) |
                 copy_text(from->ca_file, &copy.ca_file) |
                 copy_text(from->namespace_name, &copy.namespace_name) | copy_text(from->token, &copy.token) |
                 copy_text(from->token_file, &copy.token_file) |
                 copy_text(from->certificate, &copy.certificate) |
                 copy_text(from->certificate_file, &copy.certificate_file) | copy_text(from->key, &copy.key) |
                 copy_text(from->key_file, &copy.key_file) |
                 copy_text(from->exec.api_version, &copy.exec.api_version) |
                 copy_text(from->exec.command, &copy.exec.command) |
                 copy_text(from->exec.install_hint, &copy.exec.install_hint) |
                 copy_list(from->exec.arguments, &copy.exec.arguments) |
                 copy_list(from->exec.variables, &copy.exec.variables);
    if (failed) {
        kube_config_finish(&copy);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the credentials of %s", from->source);
    }
    *to = copy;
    return 0;
}

int kubeconfig_read(const char *path, const char *context, struct kube_config *out, struct error *err)
{
    struct buffer text;
    const char *slash = strrchr(path, '/');
    char folder[4096];
    size_t length = slash ? (size_t)(slash - path) : 1;
    if (length >= sizeof folder)
        return error_set(err, ERROR_INVALID, "the kubeconfig's path is longer than %zu bytes",
                         sizeof folder - 1);
    snprintf(folder, sizeof folder, "%.*s", (int)length, slash ? path : ".");
    if (slash == path)
        snprintf(folder, sizeof folder, "/");
    buffer_init(&text, 0);
    int failed = file_read(path, KUBECONFIG_BYTES_MAX, &text, err);
    if (failed)
        error_wrap(err, "the kubeconfig can't be read");
    else
        failed = kubeconfig_parse(buffer_text(&text), text.length, path, folder, context, out, err);
    if (text.data)
        explicit_bzero(text.data, text.capacity);
    buffer_finish(&text);
    return failed;
}

/* A pod's own */

static int read_namespace(const char *folder, char **out, struct error *err)
{
    char path[4096];
    struct buffer text;
    buffer_init(&text, 0);
    snprintf(path, sizeof path, "%s/namespace", folder);
    int failed = file_read(path, 1024, &text, err);
    if (!failed) {
        char *name = strdup(buffer_text(&text));
        if (!name)
            failed = error_set(err, ERROR_NO_MEMORY, "out of memory");
        else
            name[strcspn(name, " \t\r\n")] = 0;
        *out = name;
    }
    buffer_finish(&text);
    return failed;
}

static int join(const char *folder, const char *name, char **out)
{
    return asprintf(out, "%s/%s", folder, name) < 0 ? -1 : 0;
}

int kubeconfig_in_cluster(const char *folder, struct kube_config *out, struct error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    struct kube_config config = {.source = NULL};
    folder = folder ? folder : pod_folder;
    if (!host || !*host || !port || !*port)
        return error_set(
            err, ERROR_NOT_FOUND,
            "not in a pod (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set): name a "
            "kubeconfig");
    if (strlen(host) > 255 || strspn(port, "0123456789") != strlen(port) || strlen(port) > 5 ||
        strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-") != strlen(host))
        return error_set(err, ERROR_INVALID,
                         "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no host and port");
    int failed = strchr(host, ':') ? asprintf(&config.server, "https://[%s]:%s", host, port)
                                   : asprintf(&config.server, "https://%s:%s", host, port);
    failed = failed < 0 || join(folder, "token", &config.token_file) ||
             join(folder, "ca.crt", &config.ca_file) || copy_text("in-cluster", &config.source) ||
             copy_list(NULL, &config.exec.arguments) || copy_list(NULL, &config.exec.variables);
    if (failed)
        error_set(err, ERROR_NO_MEMORY, "out of memory");
    else if (access(config.token_file, R_OK))
        failed = error_set_errno(err, errno,
                                 "the pod's service account token %s can't be read (is "
                                 "automountServiceAccountToken off?)",
                                 config.token_file);
    else
        failed = read_namespace(folder, &config.namespace_name, err);
    if (failed)
        kube_config_finish(&config);
    else
        *out = config;
    return failed ? -1 : 0;
}
