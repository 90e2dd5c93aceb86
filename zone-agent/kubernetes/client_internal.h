/* What watch.c needs of a client: see client.h. */
#ifndef ATOLL_KUBERNETES_CLIENT_INTERNAL_H
#define ATOLL_KUBERNETES_CLIENT_INTERNAL_H

#include "zone-agent/kubernetes/client.h"
#include "zone-agent/kubernetes/credentials.h"

enum { KUBE_URL_MAX = 8192 };

struct kube_client {
    uv_loop_t *loop;
    struct http_client *http;
    struct kube_credentials *credentials;
    const struct clock *clock;
    const struct random *random;
    struct kube_call *calls; /* in the order of their start */
    size_t call_count, in_flight;
    uint64_t last_id;
    uv_timer_t work; /* the next call to send, to end */
    int held;        /* by the timer's handle, by HTTP calls under way: freed when nobody does */
    size_t watches;
    bool closing;
};

/* What is asked for, beside the method and the body. */
struct kube_target {
    const char *path;
    const char *content_type; /* NULL: there is no body */
    bool metadata_only;
};

/* Starts an HTTP call with the client's credentials. 0; 1 when they are being fetched: again soon; -1.
 * `options` need no url, headers, tls. *version is that of the credentials, for kube_credentials_refused().
 */
int kube_client_dial(struct kube_client *client, const struct kube_target *target,
                     struct http_call_options *options, struct http_call **out, uint64_t *version,
                     struct error *err);

#endif
