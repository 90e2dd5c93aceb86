/* A zone that is a namespace of a Kubernetes cluster: what driver.h asks for, by way of the API server.
 * Objects of ours are watched, by their labels; steps are server-side applies. What somebody else has under a
 * name of ours is never touched. */
#ifndef ATOLL_KUBERNETES_DRIVER_H
#define ATOLL_KUBERNETES_DRIVER_H

#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/http_client.h"
#include "zone-agent/driver.h"
#include "zone-agent/kubernetes/kubeconfig.h"

struct kubernetes_driver_options {
    uv_loop_t *loop;
    struct http_client *http;         /* outlives the driver's close */
    const struct kube_config *config; /* copied */
    const char *zone;
    const char *namespace_;    /* where everything is */
    bool inside;               /* the agent runs in the cluster: members are asked by their pods' IPs */
    const char *compute_url;   /* of the Compute API; NULL: Google's */
    const struct clock *clock; /* these two outlive the driver */
    const struct random *random;
    struct driver_events events;
    void (*note)(void *context, bool is_problem,
                 const char *sentence); /* for the log; context as of `events` */
};

/* NULL and `err` when the options are bad or memory is out. Asks the server who it is as soon as the loop
 * runs. */
struct driver *kubernetes_driver_create(const struct kubernetes_driver_options *options, struct error *err);

#endif
