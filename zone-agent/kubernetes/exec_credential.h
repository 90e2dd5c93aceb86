/* What an exec plugin is told and what it says: the JSON of client.authentication.k8s.io. Pure.
 * Source: kubernetes.io/docs/reference/access-authn-authz/authentication, "client-go credential plugins". */
#ifndef ATOLL_KUBERNETES_EXEC_CREDENTIAL_H
#define ATOLL_KUBERNETES_EXEC_CREDENTIAL_H

#include <stdint.h>

#include "proto/base/buffer.h"
#include "zone-agent/kubernetes/kubeconfig.h"

enum { EXEC_CREDENTIAL_BYTES_MAX = 64 * 1024 };

struct exec_credential {
    char *token;
    char *certificate, *key; /* PEM; both or none */
    int64_t expires_wall_ms; /* 0: not said; then it is good until the server refuses it */
};

/* -1 when it is none of `api_version`, or has neither token nor certificate. On success the caller finishes
 * it. */
int exec_credential_read(const char *text, size_t length, const char *api_version,
                         struct exec_credential *out, struct error *err);

/* Overwrites, then frees. */
void exec_credential_finish(struct exec_credential *credential);

/* The value of KUBERNETES_EXEC_INFO. */
int exec_info_write(const struct kube_config *config, struct buffer *out, struct error *err);

/* "2026-11-23T08:00:00Z" with fractions and offsets (RFC 3339) as milliseconds since 1970, or -1. */
int64_t rfc3339_ms(const char *text);

#endif
