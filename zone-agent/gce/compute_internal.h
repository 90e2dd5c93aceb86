/* The parts of the Compute API client: compute.c (the client, its queue and timer), task.c (one task's walk),
 * request.c (what is sent, pure). Nobody else includes it. */
#ifndef ATOLL_GCE_COMPUTE_INTERNAL_H
#define ATOLL_GCE_COMPUTE_INTERNAL_H

#include "proto/base/arena.h"
#include "proto/base/buffer.h"
#include "zone-agent/gce/compute.h"
#include "zone-agent/gce/decide.h"
#include "zone-agent/gce/metadata.h"
#include "zone-agent/gce/operation.h"

enum {
    REQUEST_URL_MAX = COMPUTE_URL_MAX + 512,
    REQUEST_BODY_MAX = 32 * 1024,
    WORDS_MAX = 8192, /* of a task's problem */
};

enum task_state {
    TASK_WAITS, /* until due_ms */
    TASK_READY, /* to be sent when there is a token and room */
    TASK_SENT,
};

struct task {
    struct task *next;
    struct compute *compute; /* NULL once its end was told, while its call is still under way */
    uint64_t id;
    struct arena strings; /* of `want` */
    struct compute_task want;
    enum task_state state;
    enum compute_ask ask;   /* what is sent next, or is under way */
    enum compute_ask doing; /* what the operation that is polled was begun by */
    char request_id[UUID_TEXT_MAX];
    char operation[OPERATION_NAME_MAX + 1];
    struct buffer body;
    struct http_call *call;
    unsigned token_number;
    int64_t due_ms, deadline_ms; /* monotonic */
    unsigned failures, polls, rereads;
    bool created, adopted, canceled;
    struct arena words;             /* of `problem` */
    struct compute_problem problem; /* the last one; code NULL: there was none */
};

struct compute {
    struct compute_options options;
    char url[COMPUTE_URL_MAX + 1];
    struct metadata *metadata;
    uv_timer_t turn;
    struct task *tasks; /* oldest first */
    size_t task_count;
    unsigned in_flight;
    uint64_t last_id;
    bool closing;
};

/* compute.c */
void compute_wake(struct compute *compute);
/* Tells the end (`result`), and frees the task; it may destroy the client. */
void compute_finish(struct task *task, const struct compute_result *result);
int64_t compute_now(const struct compute *compute);

/* task.c */
struct task *task_create(struct compute *compute, const struct compute_task *want, struct error *err);
void task_free(struct task *task);
void task_send(struct task *task, const char *token);
/* Its deadline has passed, or it was cancelled: ends it. */
void task_expire(struct task *task);
void task_finish_canceled(struct task *task);
/* There is no token yet. */
void task_note_no_token(struct task *task, const struct error *err);

/* request.c */
int request_check(const struct compute_task *task, struct error *err);
const char *request_method(enum compute_ask ask);
/* -1 (ERROR_TOO_LARGE) when it is too long. */
int request_url(const struct task *task, char url[REQUEST_URL_MAX], struct error *err);
/* The body of an INSERT, LABEL or GROW. `disk` and its fingerprint are what was read; NULL with INSERT. */
int request_body(const struct compute_task *task, enum compute_ask ask, const struct compute_disk *disk,
                 const char *fingerprint, struct buffer *out, struct error *err);

#endif
