/* Which cluster, and who we are there: a kubeconfig file, or what Kubernetes puts into a pod. Values only:
 * files that are named here are read by credentials.c, because they rotate. Nothing of it is ever logged but
 * names, addresses and paths. What can't be honoured is refused, never left out quietly: a way round TLS
 * verification, a proxy, impersonation. */
#ifndef ATOLL_KUBERNETES_KUBECONFIG_H
#define ATOLL_KUBERNETES_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"

enum {
    KUBECONFIG_BYTES_MAX = 1 << 20,
    KUBECONFIG_ENTRIES_MAX = 256, /* of clusters, of users, of contexts */
    KUBECONFIG_EXEC_ARGUMENTS_MAX = 64,
    KUBECONFIG_EXEC_VARIABLES_MAX = 64,
};

/* A program that prints an ExecCredential (client.authentication.k8s.io/v1 or v1beta1). */
struct kube_exec {
    char *api_version; /* NULL: there is no such program */
    char *command;     /* absolute, or a name that is looked for in PATH */
    char **arguments;  /* without the command; NULL at the end */
    char **variables;  /* "NAME=value", added to our environment; NULL at the end */
    char *install_hint;
    bool wants_cluster; /* provideClusterInfo */
};

/* PEM texts are zero-terminated. Where a text and a file are both given, the text counts, as for kubectl. */
struct kube_config {
    char *source; /* for messages: the file's name, or "in-cluster" */
    char *server; /* "https://10.0.0.1:6443", without a slash at the end; "http://…" only on loopback */
    char *tls_server_name; /* the name that the certificate must bear; NULL: the server's */
    char *ca;              /* PEM; NULL with ca_file NULL: the system's */
    char *ca_file;
    char *namespace_name; /* "default" when nothing says another */
    char *token;
    char *token_file;
    char *certificate, *certificate_file; /* of the client, with its chain */
    char *key, *key_file;
    struct kube_exec exec;
};

/* Reads `length` bytes of YAML or JSON. `source` names the file in messages, `folder` is what its relative
 * paths are relative to, `context` NULL means its current-context. Touches no file. On success the caller
 * calls kube_config_finish(). */
int kubeconfig_parse(const char *text, size_t length, const char *source, const char *folder,
                     const char *context, struct kube_config *out, struct error *err);

/* The same of a file. (A list of files in KUBECONFIG is kubectl's affair: `kubectl config view --flatten`
 * makes one of them.) */
int kubeconfig_read(const char *path, const char *context, struct kube_config *out, struct error *err);

/* A pod's own: KUBERNETES_SERVICE_HOST and _PORT, and the folder with token, ca.crt and namespace; `folder`
 * NULL means /var/run/secrets/kubernetes.io/serviceaccount. ERROR_NOT_FOUND when this is no pod. */
int kubeconfig_in_cluster(const char *folder, struct kube_config *out, struct error *err);

/* Overwrites what is secret, then frees. */
void kube_config_finish(struct kube_config *config);

#endif
