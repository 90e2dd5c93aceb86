/* The Compute API's client: tasks in a queue, one timer, at most COMPUTE_IN_FLIGHT_MAX requests at a time.
 * See compute.h; how one task walks is in task.c. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/gce/compute_internal.h"

static const char default_url[] = "https://compute.googleapis.com";

static void on_turn(uv_timer_t *timer);

int64_t compute_now(const struct compute *compute)
{
    return clock_monotonic_ms(compute->options.clock);
}

static void wake_in(struct compute *compute, int64_t delay_ms)
{
    if (compute->closing)
        return;
    uv_update_time(compute->options.loop);
    uv_timer_start(&compute->turn, on_turn, delay_ms < 0 ? 0 : (uint64_t)delay_ms, 0);
}

void compute_wake(struct compute *compute)
{
    wake_in(compute, 0);
}

/* ---- the queue ---- */

static void unlink_task(struct task *task)
{
    struct compute *compute = task->compute;
    struct task **link = &compute->tasks;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    compute->task_count--;
    if (task->state == TASK_SENT)
        compute->in_flight--;
    task->compute = NULL;
}

void compute_finish(struct task *task, const struct compute_result *result)
{
    assert(task->compute);
    compute_wake(task->compute);
    unlink_task(task);
    task->want.done(task->want.context, task->id, result);
    if (task->call)
        http_call_cancel(task->call); /* the task's memory goes when that call has ended */
    else
        task_free(task);
}

static struct task *first_expired(const struct compute *compute)
{
    int64_t now_ms = compute_now(compute);
    for (struct task *task = compute->tasks; task; task = task->next)
        if (task->state != TASK_SENT && (task->canceled || task->deadline_ms <= now_ms))
            return task;
    return NULL;
}

static struct task *first_ready(const struct compute *compute)
{
    int64_t now_ms = compute_now(compute);
    for (struct task *task = compute->tasks; task; task = task->next)
        if (task->state == TASK_READY || (task->state == TASK_WAITS && task->due_ms <= now_ms))
            return task;
    return NULL;
}

static void arm(struct compute *compute)
{
    int64_t next_ms = INT64_MAX, now_ms = compute_now(compute);
    for (struct task *task = compute->tasks; task; task = task->next) {
        int64_t due_ms =
            task->state == TASK_WAITS && task->due_ms > now_ms && task->due_ms < task->deadline_ms
                ? task->due_ms
                : task->deadline_ms;
        if (task->state != TASK_SENT && due_ms < next_ms)
            next_ms = due_ms;
    }
    if (next_ms == INT64_MAX)
        uv_timer_stop(&compute->turn);
    else
        wake_in(compute, next_ms - now_ms);
}

/* What is due is ended or sent. A task's end may start and cancel tasks, and destroy the client: so each look
 * begins at the head. */
static void on_turn(uv_timer_t *timer)
{
    struct compute *compute = timer->data;
    struct task *task;
    unsigned number;
    const char *token = NULL;
    while (!compute->closing && (task = first_expired(compute)))
        task_expire(task);
    while (!compute->closing && (task = first_ready(compute)) && compute->in_flight < COMPUTE_IN_FLIGHT_MAX &&
           (token = metadata_token(compute->metadata, &number))) {
        task->token_number = number;
        task_send(task, token);
    }
    if (compute->closing)
        return;
    metadata_want(compute->metadata, first_ready(compute) && !metadata_token(compute->metadata, &number));
    arm(compute);
}

static void on_token(void *context, const struct error *err)
{
    struct compute *compute = context;
    struct task *task = compute->tasks;
    uint64_t reached = 0;
    while (err && !compute->closing && task) { /* ids grow along the list, and a callback may change it */
        reached = task->id;
        if (task->state != TASK_SENT && !task->canceled)
            task_note_no_token(task, err);
        for (task = compute->tasks; task && task->id <= reached;)
            task = task->next;
    }
    compute_wake(compute);
}

/* ---- what the agent calls ---- */

uint64_t compute_start(struct compute *compute, const struct compute_task *want, struct error *err)
{
    if (compute->closing) {
        error_set(err, ERROR_CANCELED, "the Compute API's client is closing");
        return 0;
    }
    if (compute->task_count >= COMPUTE_TASKS_MAX) {
        error_set(err, ERROR_TOO_LARGE, "%d tasks of the Compute API are under way (COMPUTE_TASKS_MAX)",
                  COMPUTE_TASKS_MAX);
        return 0;
    }
    struct task *task = task_create(compute, want, err);
    if (!task)
        return 0;
    struct task **link = &compute->tasks;
    while (*link)
        link = &(*link)->next;
    *link = task;
    task->id = ++compute->last_id;
    compute->task_count++;
    compute_wake(compute);
    return task->id;
}

void compute_cancel(struct compute *compute, uint64_t id)
{
    struct task *task = compute->tasks;
    while (task && task->id != id)
        task = task->next;
    if (!task)
        return;
    task->canceled = true;
    if (task->call)
        http_call_cancel(task->call);
    else
        compute_wake(compute);
}

static int set_url(struct compute *compute, const char *url, struct error *err)
{
    size_t length = strlen(url);
    while (length && url[length - 1] == '/')
        length--;
    if (length > COMPUTE_URL_MAX || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
        return error_set(
            err, ERROR_INVALID,
            "the Compute API's URL must begin with https:// and have at most %d bytes, not be \"%.80s\"",
            COMPUTE_URL_MAX, url);
    memcpy(compute->url, url, length);
    return 0;
}

struct compute *compute_create(const struct compute_options *options, struct error *err)
{
    struct compute *compute = calloc(1, sizeof *compute);
    if (!compute) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for the Compute API's client");
        return NULL;
    }
    const struct metadata_options metadata_options = {options->loop,   options->http,          options->clock,
                                                      options->random, options->metadata_host, on_token,
                                                      compute};
    compute->options = *options;
    if (set_url(compute, options->url && *options->url ? options->url : default_url, err) ||
        !(compute->metadata = metadata_create(&metadata_options, err))) {
        free(compute);
        return NULL;
    }
    uv_timer_init(options->loop, &compute->turn);
    compute->turn.data = compute;
    return compute;
}

static void on_turn_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void compute_destroy(struct compute *compute)
{
    if (!compute || compute->closing)
        return;
    compute->closing = true;
    while (compute->tasks)
        task_finish_canceled(compute->tasks);
    metadata_destroy(compute->metadata);
    uv_close((uv_handle_t *)&compute->turn, on_turn_closed);
}
