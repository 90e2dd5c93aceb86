/* One task's walk: READ -> (INSERT, LABEL, GROW) -> POLL -> READ … until what is read is what is wanted. What
 * an answer means is decided in decide.c; here it is done. An attempt at a change gets a fresh request id and
 * keeps it for its retries: the API does a request once for an id, however often it is sent. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/gce/compute_internal.h"

/* ---- life ---- */

static void copy_labels(struct task *task, const struct compute_task *want)
{
    struct key_value *labels = arena_array(&task->strings, want->label_count, sizeof *labels);
    for (size_t i = 0; labels && i < want->label_count; i++)
        labels[i] = (struct key_value){arena_string(&task->strings, want->labels[i].key),
                                       arena_string(&task->strings, want->labels[i].value)};
    task->want.labels = labels;
}

static void copy_want(struct task *task, const struct compute_task *want)
{
    task->want = *want;
    task->want.project = arena_string(&task->strings, want->project);
    task->want.zone = arena_string(&task->strings, want->zone);
    task->want.name = arena_string(&task->strings, want->name);
    task->want.type = arena_string(&task->strings, want->type);
    task->want.owner.federation = arena_string(&task->strings, want->owner.federation);
    task->want.owner.set = arena_string(&task->strings, want->owner.set);
    copy_labels(task, want);
}

struct task *task_create(struct compute *compute, const struct compute_task *want, struct error *err)
{
    if (request_check(want, err))
        return NULL;
    struct task *task = calloc(1, sizeof *task);
    if (!task) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for a task of the Compute API");
        return NULL;
    }
    arena_init(&task->strings, 0);
    arena_init(&task->words, WORDS_MAX);
    buffer_init(&task->body, REQUEST_BODY_MAX);
    copy_want(task, want);
    if (arena_failed(&task->strings)) {
        task_free(task);
        error_set(err, ERROR_NO_MEMORY, "out of memory for a task of the Compute API");
        return NULL;
    }
    task->compute = compute;
    task->state = TASK_READY;
    task->ask = ASK_READ;
    task->deadline_ms =
        compute_now(compute) + (want->deadline_ms > 0 ? want->deadline_ms : COMPUTE_DEADLINE_MS);
    return task;
}

void task_free(struct task *task)
{
    arena_finish(&task->strings);
    arena_finish(&task->words);
    buffer_finish(&task->body);
    free(task);
}

/* ---- problems and waits ---- */

static void note_problem(struct task *task, enum compute_problem_kind kind, int status, const char *why)
{
    struct arena words;
    arena_init(&words, WORDS_MAX); /* `why` may live in the old ones */
    task->problem = compute_problem_make(&task->want, kind, status, why, &words);
    arena_finish(&task->words);
    task->words = words;
}

static void finish_with_problem(struct task *task)
{
    struct compute_result result = {
        .created = task->created, .adopted = task->adopted, .problem = &task->problem};
    compute_finish(task, &result);
}

static void stop(struct task *task, enum compute_problem_kind kind, int status, const char *why)
{
    note_problem(task, kind, status, why);
    finish_with_problem(task);
}

void task_finish_canceled(struct task *task)
{
    stop(task, COMPUTE_CANCELED, 0, "it was given up");
}

void task_expire(struct task *task)
{
    char why[128];
    if (task->canceled) {
        task_finish_canceled(task);
    } else if (task->problem.code) {
        finish_with_problem(task);
    } else {
        snprintf(why, sizeof why, "%s%s is not done in time",
                 task->ask == ASK_POLL ? "operation " : "what was asked for",
                 task->ask == ASK_POLL ? task->operation : "");
        stop(task, COMPUTE_BUSY, 0, why);
    }
}

static void tell_retrying(struct task *task)
{
    if (task->want.retrying)
        task->want.retrying(task->want.context, task->id, &task->problem);
}

void task_note_no_token(struct task *task, const struct error *err)
{
    char why[ERROR_MESSAGE_MAX + 64];
    snprintf(why, sizeof why, "there is no access token: %s", err->message);
    note_problem(task, COMPUTE_NO_TOKEN, 0, why);
    tell_retrying(task);
}

static void wait_for(struct task *task, int64_t delay_ms)
{
    task->state = TASK_WAITS;
    task->due_ms = compute_now(task->compute) + delay_ms;
    compute_wake(task->compute);
}

/* Again after a while; a wait that would outlive the deadline ends the task at once: its words are known. */
static void retry(struct task *task, enum compute_problem_kind kind, int status, const char *why,
                  int64_t retry_after_ms)
{
    int64_t delay_ms = backoff_ms(task->failures++, COMPUTE_RETRY_FIRST_MS, COMPUTE_RETRY_MOST_MS,
                                  task->compute->options.random);
    if (retry_after_ms > delay_ms)
        delay_ms = retry_after_ms;
    note_problem(task, kind, status, why);
    if (compute_now(task->compute) + delay_ms >= task->deadline_ms) {
        finish_with_problem(task);
        return;
    }
    wait_for(task, delay_ms);
    tell_retrying(task);
}

static void poll_later(struct task *task)
{
    wait_for(task, backoff_ms(task->polls++, COMPUTE_POLL_FIRST_MS, COMPUTE_POLL_MOST_MS,
                              task->compute->options.random));
}

/* At once the first time, later and later when it comes to nothing. */
static void read_again(struct task *task)
{
    unsigned times = task->rereads++;
    task->ask = ASK_READ;
    wait_for(task, times ? backoff_ms(times - 1, COMPUTE_RETRY_FIRST_MS, COMPUTE_RETRY_MOST_MS,
                                      task->compute->options.random)
                         : 0);
}

/* ---- the steps ---- */

/* A new attempt at a change. */
static void begin(struct task *task, enum compute_ask ask, const struct compute_disk *disk,
                  const char *fingerprint)
{
    struct error err;
    if (request_body(&task->want, ask, disk, fingerprint, &task->body, &err)) {
        stop(task, COMPUTE_INVALID, 0, err.message);
        return;
    }
    uuid_text(task->compute->options.random, task->request_id);
    task->ask = task->doing = ask;
    task->polls = 0;
    task->problem.code = NULL; /* what was in the way before isn't any more */
    task->state = TASK_READY;
    compute_wake(task->compute);
}

static void take_absence(struct task *task)
{
    struct compute_result nothing = {.disk = NULL};
    if (task->want.kind == COMPUTE_DISK_READ || task->want.kind == COMPUTE_ADDRESS_READ)
        compute_finish(task, &nothing);
    else if (task->created || task->want.kind == COMPUTE_DISK_UPDATE)
        stop(task, COMPUTE_MISSING, 404,
             task->created ? "it was created, and is gone again" : "there is no disk of this name any more");
    else
        begin(task, ASK_INSERT, NULL, NULL);
}

/* False: it fits, and the task ends well. */
static bool act_on_fit(struct task *task, const struct compute_fit *fit, const struct compute_disk *disk,
                       const char *fingerprint)
{
    task->adopted |= fit->unmarked && fit->kind != FIT_REFUSE && !task->created;
    switch (fit->kind) {
    case FIT_TAKE:
        return false;
    case FIT_WAIT:
        note_problem(task, fit->problem, 0, fit->why);
        poll_later(task);
        return true;
    case FIT_REFUSE:
        stop(task, fit->problem, 0, fit->why);
        return true;
    case FIT_LABEL:
        begin(task, ASK_LABEL, disk, fingerprint);
        return true;
    case FIT_GROW:
        begin(task, ASK_GROW, disk, fingerprint);
        return true;
    }
    return true;
}

static int take_disk(struct task *task, const struct json *json, struct arena *arena, struct error *err)
{
    struct compute_disk disk;
    if (compute_disk_read(json, task->want.project, task->want.zone, arena, &disk, err))
        return -1;
    struct compute_fit fit = decide_disk(&task->want, &disk, arena);
    if (act_on_fit(task, &fit, &disk, json_get_text(json, "labelFingerprint", "")))
        return 0;
    struct compute_result result = {.disk = &disk, .created = task->created, .adopted = task->adopted};
    compute_finish(task, &result);
    return 0;
}

static int take_address(struct task *task, const struct json *json, struct arena *arena, struct error *err)
{
    struct compute_address address;
    const char *description;
    if (compute_address_read(json, arena, &address, &description, err)) {
        if (err->code != ERROR_REFUSED)
            return -1;
        stop(task, COMPUTE_MISMATCH, 0, err->message);
        return 0;
    }
    struct compute_fit fit = decide_address(&task->want, &address, description, arena);
    if (act_on_fit(task, &fit, NULL, NULL))
        return 0;
    struct compute_result result = {.address = &address, .created = task->created, .adopted = task->adopted};
    compute_finish(task, &result);
    return 0;
}

static void follow(struct task *task, struct verdict verdict, int status, const char *why,
                   int64_t retry_after_ms)
{
    switch (verdict.next) {
    case NEXT_TAKE: /* was looked at by who asked */
        break;
    case NEXT_ABSENT:
        take_absence(task);
        break;
    case NEXT_READ:
        read_again(task);
        break;
    case NEXT_STOP:
        stop(task, verdict.problem, status, why);
        break;
    case NEXT_ANEW:
        task->ask = ASK_READ;
        retry(task, verdict.problem, status, why, retry_after_ms);
        break;
    case NEXT_TOKEN:
        metadata_refuse(task->compute->metadata, task->token_number);
        retry(task, verdict.problem, status, why, retry_after_ms);
        break;
    case NEXT_RETRY:
        retry(task, verdict.problem, status, why, retry_after_ms);
        break;
    }
}

static int take_operation(struct task *task, const struct json *json, struct arena *arena, struct error *err)
{
    struct operation operation;
    if (operation_read(json, arena, &operation, err))
        return -1;
    if (!operation.done) {
        task->ask = ASK_POLL;
        snprintf(task->operation, sizeof task->operation, "%s", operation.name);
        poll_later(task);
    } else if (*operation.error_code) {
        follow(task, decide_operation(operation.error_code, operation.error_status), operation.error_status,
               arena_printf(arena, "Google says: \"%s\" (%s)", operation.error_message, operation.error_code),
               -1);
    } else {
        task->created |= task->doing == ASK_INSERT;
        task->ask = ASK_READ;
        wait_for(task, 0);
    }
    return 0;
}

/* ---- answers ---- */

static const char *why_of(const struct http_answer *answer, const struct error *err, struct refusal refusal,
                          struct arena *arena)
{
    if (err)
        return compute_text(arena, err->message);
    if (!*refusal.message)
        return arena_printf(arena, "the Compute API answered %d", answer->status);
    return arena_printf(arena, "Google says: \"%s\" (%d%s%s)", refusal.message, answer->status,
                        *refusal.reason ? " " : "", refusal.reason);
}

static int take(struct task *task, const struct json *json, struct arena *arena, struct error *err)
{
    if (task->ask != ASK_READ)
        return take_operation(task, json, arena, err);
    return compute_task_is_address(task->want.kind) ? take_address(task, json, arena, err)
                                                    : take_disk(task, json, arena, err);
}

static void act_on_answer(struct task *task, const struct http_answer *answer, const struct error *err)
{
    struct arena arena;
    struct error problem;
    struct json *json =
        err ? NULL : json_parse(answer->body, answer->length, COMPUTE_ANSWER_BYTES_MAX, &problem);
    arena_init(&arena, 1 << 20);
    int status = err ? 0 : answer->status;
    struct refusal refusal = refusal_read(json, &arena);
    struct verdict verdict = decide_reply(task->ask, status, refusal.reason);
    if (verdict.next != NEXT_TAKE)
        follow(task, verdict, status, why_of(answer, err, refusal, &arena),
               err ? -1 : answer->retry_after_ms);
    else if (!json || take(task, json, &arena, &problem))
        retry(task, COMPUTE_PROTOCOL, status,
              arena_printf(&arena, "the answer can't be understood: %s", problem.message), -1);
    json_destroy(json);
    arena_finish(&arena);
}

/* An attempt that the deadline cut short says nothing new of what is in the way. */
static bool cut_short(const struct task *task, const struct error *err)
{
    return err && err->code == ERROR_TIMEOUT && task->problem.code &&
           compute_now(task->compute) >= task->deadline_ms;
}

static void on_answer(void *context, const struct http_answer *answer, const struct error *err)
{
    struct task *task = context;
    task->call = NULL;
    if (!task->compute) {
        task_free(task);
        return;
    }
    task->compute->in_flight--;
    task->state = TASK_WAITS;
    task->due_ms = INT64_MAX;
    compute_wake(task->compute); /* there is room for another */
    if (task->canceled || (err && err->code == ERROR_CANCELED))
        task_finish_canceled(task);
    else if (cut_short(task, err))
        finish_with_problem(task);
    else
        act_on_answer(task, answer, err);
}

static int start_call(struct task *task, const char *const *headers, struct error *err)
{
    char url[REQUEST_URL_MAX];
    int64_t left_ms = task->deadline_ms - compute_now(task->compute);
    bool sends = task->ask != ASK_READ && task->ask != ASK_POLL;
    struct http_call_options options = {
        .method = request_method(task->ask),
        .url = url,
        .headers = headers,
        .body = sends ? task->body.data : NULL,
        .body_length = sends ? task->body.length : 0,
        .timeout_ms = left_ms < 1                    ? 1
                      : left_ms < COMPUTE_ATTEMPT_MS ? left_ms
                                                     : COMPUTE_ATTEMPT_MS,
        .body_limit = COMPUTE_ANSWER_BYTES_MAX,
        .done = on_answer,
        .context = task,
    };
    if (request_url(task, url, err))
        return -1;
    task->call = http_client_start(task->compute->options.http, &options, err);
    return task->call ? 0 : -1;
}

void task_send(struct task *task, const char *token)
{
    char authorization[METADATA_TOKEN_MAX + 32];
    const char *const headers[] = {authorization, "Content-Type: application/json",
                                   "Accept: application/json", NULL};
    struct error err;
    assert(!task->call);
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
    int failed = start_call(task, headers, &err);
    explicit_bzero(authorization, sizeof authorization);
    if (failed) {
        retry(task, COMPUTE_UNREACHABLE, 0, err.message, -1);
        return;
    }
    task->state = TASK_SENT;
    task->compute->in_flight++;
}
