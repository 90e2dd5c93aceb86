/* Who we are to the API server at this moment. Files are read again every minute and after a refusal (tokens
 * of service accounts rotate hourly); an exec plugin's credential is kept until it expires or is refused. */
#ifndef ATOLL_KUBERNETES_CREDENTIALS_H
#define ATOLL_KUBERNETES_CREDENTIALS_H

#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/http_client.h"
#include "zone-agent/kubernetes/kubeconfig.h"

enum {
    KUBE_CREDENTIALS_REREAD_MS = 60000,
    KUBE_CREDENTIALS_EARLY_MS = 30000, /* before an expiry a new one is asked for */
    KUBE_CREDENTIALS_RETRY_MS = 5000,  /* a plugin that failed is left alone for so long */
    KUBE_TOKEN_BYTES_MAX = 16 * 1024,
    KUBE_PEM_BYTES_MAX = 512 * 1024,
};

struct kube_credentials;

/* Valid until the next call of kube_credentials_get(). */
struct kube_identity {
    const char *authorization; /* a header line, or NULL */
    struct http_tls tls;
    uint64_t version; /* another number for other credentials */
};

/* Copies `config`. `changed` is called from the loop when a get that said 1 can be made again. */
struct kube_credentials *kube_credentials_create(uv_loop_t *loop, const struct kube_config *config,
                                                 const struct clock *clock, void (*changed)(void *context),
                                                 void *context, struct error *err);
void kube_credentials_destroy(struct kube_credentials *credentials);

const struct kube_config *kube_credentials_config(const struct kube_credentials *credentials);

/* 0: here they are; 1: a plugin is being asked; -1: there are none now, `err` says why. */
int kube_credentials_get(struct kube_credentials *credentials, struct kube_identity *out, struct error *err);

/* The server answered 401 to this version. True when asking again can help: files or a plugin may have better
 * ones. */
bool kube_credentials_refused(struct kube_credentials *credentials, uint64_t version);

#endif
