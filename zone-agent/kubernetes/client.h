/* Requests to one cluster's API server, on the agent's loop and HTTP client. What heals by trying again (429,
 * 500, 502, 503, 504, broken connections, rotated credentials) is tried again in here, after what Retry-After
 * says or with exponential backoff and jitter, until the request's deadline; what the server decided (404,
 * 409, 422, 403 …) goes to the caller. Sources:
 * kubernetes.io/docs/reference/using-api/{api-concepts,server-side-apply}, k8s API conventions on Status. */
#ifndef ATOLL_KUBERNETES_CLIENT_H
#define ATOLL_KUBERNETES_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/http_client.h"
#include "proto/base/json.h"
#include "zone-agent/kubernetes/kubeconfig.h"

enum {
    KUBE_REQUESTS_MAX = 256,         /* under way or waiting, one client */
    KUBE_IN_FLIGHT_MAX = 4,          /* sent at a time, watches not counted */
    KUBE_ANSWER_BYTES_MAX = 2 << 20, /* of one answer; an API server refuses objects above 1.5 MiB */
    KUBE_PATH_MAX = 1024,            /* with query */
    KUBE_DEADLINE_MS = 60000,        /* of a request with all its attempts, where it names none */
    KUBE_ATTEMPT_MS = 15000,         /* of one attempt */
    KUBE_RETRY_FIRST_MS = 200,
    KUBE_RETRY_MOST_MS = 10000,
};

#define KUBE_FIELD_MANAGER "atoll"

struct kube_client; /* one per agent */

/* Copies `config`. `clock` and `random` must outlive the client. Dials nothing yet. NULL on error. */
struct kube_client *kube_client_create(uv_loop_t *loop, struct http_client *http,
                                       const struct kube_config *config, const struct clock *clock,
                                       const struct random *random, struct error *err);

/* Every request under way is answered ERROR_CANCELED, from within this call; watches must have been stopped.
 * The memory goes when the loop has closed the client's handles: run it until it has nothing left. Before
 * http_client_destroy(). NULL is tolerated. */
void kube_client_destroy(struct kube_client *client);

/* "https://10.0.0.1:6443" and the namespace of the kubeconfig: for messages and paths. */
const char *kube_client_server(const struct kube_client *client);
const char *kube_client_namespace(const struct kube_client *client);

/* Valid during the call to `done` alone. */
struct kube_answer {
    int status;              /* HTTP's; 0 when nobody answered */
    const struct json *body; /* the object, or the Status of a refusal; NULL when there was none */
    const char *reason;      /* of a Status: "AlreadyExists", "Conflict", "NotFound" …; "" when not said */
    const char *message;     /* of a Status, in words; "" when not said */
    /* NULL when status is 2xx. Else what went wrong, with the HTTP status as detail: 404 and 410
     * ERROR_NOT_FOUND, 409 ERROR_CONFLICT, 401 and 403 ERROR_REFUSED, 400, 405, 415 and 422 ERROR_INVALID,
     * 413 ERROR_TOO_LARGE; what was tried until the deadline ERROR_UNREACHABLE (or the last attempt's own);
     * ERROR_CANCELED. */
    const struct error *err;
};

struct kube_request {
    const char *method;       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;         /* "/api/v1/namespaces/default/services/mongo-svc-a", with its query */
    const char *content_type; /* of the body; NULL: application/json */
    const void *body;         /* copied; NULL for none */
    size_t length;
    bool metadata_only;  /* the answer is the object's metadata alone: nobody here is to read what a Secret
                            holds */
    int64_t deadline_ms; /* with all attempts; 0: KUBE_DEADLINE_MS */
    /* Exactly once, never from within kube_request_start(). */
    void (*done)(void *context, uint64_t id, const struct kube_answer *answer);
    void *context;
};

/* Queues a request: its id (never 0), or 0 and `err`; then `done` is not called. A POST is tried again only
 * when it surely was not carried out (429, no connection); the other methods are idempotent. A DELETE that is
 * tried again may find its own work done: 404. */
uint64_t kube_request_start(struct kube_client *client, const struct kube_request *request,
                            struct error *err);

/* `done` is called soon, from the loop, with ERROR_CANCELED; the server may have carried it out. An unknown
 * id is tolerated. */
void kube_request_cancel(struct kube_client *client, uint64_t id);

/* Server-side apply of `object` to `path` (that object's own, without query): fields that it names become
 * ours, those that we named before and don't now are taken away, others are left alone. A field that someone
 * else owns with another value is a 409 whose message names the owner, unless `force`. Id or 0 as above. */
struct kube_apply {
    const char *path;
    const struct json *object;
    bool force;
    bool dry_run;       /* asks what would be, changes nothing */
    bool metadata_only; /* as above */
    void (*done)(void *context, uint64_t id, const struct kube_answer *answer);
    void *context;
};
uint64_t kube_apply_start(struct kube_client *client, const struct kube_apply *apply, struct error *err);

/* Which server it is, and what it can do. */
struct kube_server {
    char version[64]; /* gitVersion: "v1.32.1-gke.100" */
    int major, minor;
    bool policy_v1;    /* PodDisruptionBudget is policy/v1; else policy/v1beta1 (before 1.21) */
    bool discovery_v1; /* EndpointSlice is discovery.k8s.io/v1; else v1beta1 */
};

/* Asks the server; `done` exactly once, from the loop, with `err` NULL or `server` NULL; with ERROR_CANCELED
 * from kube_client_destroy(). -1 when it can't be started. */
int kube_discover(struct kube_client *client,
                  void (*done)(void *context, const struct kube_server *server, const struct error *err),
                  void *context, struct error *err);

/* Whether the server is at least that version. */
bool kube_server_at_least(const struct kube_server *server, int major, int minor);

#endif
