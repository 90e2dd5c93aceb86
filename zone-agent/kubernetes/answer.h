/* What an answer of the API server means, and whether a request is tried again. Pure.
 * Sources: Kubernetes API conventions, "Response Status Kind"; API priority and fairness on 429. */
#ifndef ATOLL_KUBERNETES_ANSWER_H
#define ATOLL_KUBERNETES_ANSWER_H

#include "proto/base/clock.h"
#include "zone-agent/kubernetes/client.h"

/* Reads an HTTP answer into `out`, whose pointers go into *body (to be destroyed) and *err (filled when
 * status is not 2xx, or the body can't be read). `subject` begins the error's message: "PATCH /api/v1/…". */
void kube_answer_read(const struct http_answer *answer, const char *subject, struct json **body,
                      struct error *err, struct kube_answer *out);

/* The error that stands for a refusal with this HTTP status; `reason` and `message` of the Status, or "".
 * Returns -1. */
int kube_answer_error(int status, const char *reason, const char *message, const char *subject,
                      struct error *err);

/* What the server asked to wait, in its header or in the Status' details; -1 when it did not. */
int64_t kube_answer_retry_after_ms(const struct http_answer *answer, const struct json *body);

/* One attempt that did not succeed. */
struct kube_attempt {
    const char *method;
    unsigned number;        /* 0 is the first */
    int status;             /* 0: nobody answered, and then: */
    enum error_code code;   /* why, and */
    bool unsent;            /* whether it surely never left */
    int64_t retry_after_ms; /* -1: not said */
    int64_t left_ms;        /* until the request's deadline */
};

/* How long to wait before the next attempt; -1: there is none, the caller gets this answer. */
int64_t kube_retry_delay_ms(const struct kube_attempt *attempt, const struct random *random);

#endif
