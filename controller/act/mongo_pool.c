/* The queue of actions on MongoDB: each is begun on a worker of the loop's thread pool, its result comes back
 * on the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "controller/act/mongo_job.h"
#include "proto/base/clock.h"

enum { MONGO_JOBS_MAX = 1024 };

struct mongo_pool {
    struct mongo mongo;
    uv_loop_t *loop;
    char *ca_file;
    void (*done)(void *context, const struct mongo_result *result);
    void *context;
    size_t jobs; /* under way */
    bool closed;
};

struct queued_job {
    struct mongo_job job;
    uv_work_t work;
    struct mongo_pool *pool;
};

static void work(uv_work_t *request)
{
    struct queued_job *queued = request->data;
    mongo_perform(&queued->job);
}

static void pool_release(struct mongo_pool *pool)
{
    if (pool->closed && pool->jobs == 0) {
        mongo_driver_finish();
        free(pool->ca_file);
        free(pool);
    }
}

static void job_destroy(struct queued_job *queued)
{
    arena_finish(&queued->job.arena);
    explicit_bzero(&queued->job.password, sizeof queued->job.password);
    explicit_bzero(&queued->job.admin_password, sizeof queued->job.admin_password);
    free(queued);
}

static void after_work(uv_work_t *request, int status)
{
    struct queued_job *queued = request->data;
    struct mongo_pool *pool = queued->pool;
    if (status == UV_ECANCELED) {
        queued->job.result.succeeded = false;
        queued->job.result.message = "canceled";
    }
    pool->jobs--;
    if (!pool->closed)
        pool->done(pool->context, &queued->job.result);
    job_destroy(queued);
    pool_release(pool);
}

static struct queued_job *job_create(struct mongo_pool *pool, uint64_t id, const char *set,
                                     const struct action *action, const struct mongo_login *login)
{
    struct queued_job *queued = calloc(1, sizeof *queued);
    if (!queued)
        return NULL;
    struct mongo_job *job = &queued->job;
    queued->work.data = queued;
    queued->pool = pool;
    arena_init(&job->arena, 0);
    job->set = arena_string(&job->arena, set);
    job->action = *action;
    job->action.host = arena_string(&job->arena, action->host);
    job->action.process = arena_string(&job->arena, action->process ? action->process : "");
    job->action.sentence = "";
    job->ca_file = login && login->tls ? arena_string(&job->arena, pool->ca_file) : "";
    job->action.base = replica_config_copy(&job->arena, &action->base);
    job->action.config = replica_config_copy(&job->arena, &action->config);
    if (login && login->password)
        snprintf(job->password, sizeof job->password, "%s", login->password);
    if (login && login->admin_password)
        snprintf(job->admin_password, sizeof job->admin_password, "%s", login->admin_password);
    job->queued_at_ms = clock_monotonic_ms(&clock_system);
    job->result = (struct mongo_result){
        .id = id, .message = "", .config = {.set = "", .replica_set_id = "", .term = -1}};
    if (!arena_failed(&job->arena))
        return queued;
    job_destroy(queued);
    return NULL;
}

static int pool_start(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                      const struct mongo_login *login, struct error *err)
{
    struct mongo_pool *pool = (struct mongo_pool *)mongo;
    if (pool->jobs >= MONGO_JOBS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "%d actions are under way", MONGO_JOBS_MAX);
    struct queued_job *queued = job_create(pool, id, set, action, login);
    if (!queued)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an action on set %s", set);
    int code = uv_queue_work(pool->loop, &queued->work, work, after_work);
    if (code) {
        job_destroy(queued);
        return error_set(err, ERROR_INTERNAL, "no worker for an action on set %s: %s", set,
                         uv_strerror(code));
    }
    pool->jobs++;
    return 0;
}

static const struct mongo_functions pool_functions = {pool_start};

int mongo_pool_create(struct uv_loop_s *loop, const char *ca_file,
                      void (*done)(void *context, const struct mongo_result *result), void *context,
                      struct mongo **out, struct error *err)
{
    struct mongo_pool *pool = calloc(1, sizeof *pool);
    char *copy = pool ? strdup(ca_file) : NULL;
    if (!copy) {
        free(pool);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the MongoDB workers");
    }
    pool->ca_file = copy;
    mongo_driver_init();
    pool->mongo.functions = &pool_functions;
    pool->loop = loop;
    pool->done = done;
    pool->context = context;
    *out = &pool->mongo;
    return 0;
}

void mongo_pool_close(struct mongo *mongo)
{
    struct mongo_pool *pool = (struct mongo_pool *)mongo;
    if (!pool)
        return;
    pool->closed = true;
    pool_release(pool);
}
