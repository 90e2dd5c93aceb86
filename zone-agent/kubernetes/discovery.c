/* Which server it is and what it can do: three questions one after the other. See client.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/client.h"

struct discovery {
    struct kube_client *client;
    struct kube_server server;
    int step; /* of questions[] */
    void (*done)(void *context, const struct kube_server *server, const struct error *err);
    void *context;
};

static int read_version(struct kube_server *server, const struct json *body, struct error *err);
static int read_policy(struct kube_server *server, const struct json *body, struct error *err);
static int read_discovery(struct kube_server *server, const struct json *body, struct error *err);

static const struct {
    const char *path;
    int (*read)(struct kube_server *server, const struct json *body,
                struct error *err); /* body NULL: there is no such group */
} questions[] = {
    {"/version", read_version},
    {"/apis/policy", read_policy},
    {"/apis/discovery.k8s.io", read_discovery},
};
enum { QUESTIONS = sizeof questions / sizeof *questions };

/* "32+" and "32" are both 32. */
static int leading_number(const char *text)
{
    long number = strtol(text, NULL, 10);
    return number >= 0 && number < 10000 ? (int)number : 0;
}

static int read_version(struct kube_server *server, const struct json *body, struct error *err)
{
    const char *version = json_get_text(body, "gitVersion", "");
    if (!*version)
        return error_set(err, ERROR_PROTOCOL, "what answers at /version is no Kubernetes API server");
    snprintf(server->version, sizeof server->version, "%s", version);
    server->major = leading_number(json_get_text(body, "major", "0"));
    server->minor = leading_number(json_get_text(body, "minor", "0"));
    return 0;
}

static bool has_version(const struct json *group, const char *wanted)
{
    const struct json *versions = json_get(group, "versions");
    for (const struct json *version = json_first(versions); version; version = json_next(version))
        if (strcmp(json_get_text(version, "groupVersion", ""), wanted) == 0)
            return true;
    return false;
}

static int read_policy(struct kube_server *server, const struct json *body, struct error *err)
{
    (void)err;
    server->policy_v1 = has_version(body, "policy/v1");
    return 0;
}

static int read_discovery(struct kube_server *server, const struct json *body, struct error *err)
{
    (void)err;
    server->discovery_v1 = has_version(body, "discovery.k8s.io/v1");
    return 0;
}

static void on_answer(void *context, uint64_t id, const struct kube_answer *answer);

static int ask(struct discovery *discovery, struct error *err)
{
    struct kube_request request = {
        .method = "GET", .path = questions[discovery->step].path, .done = on_answer, .context = discovery};
    return kube_request_start(discovery->client, &request, err) ? 0 : -1;
}

static void on_answer(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct discovery *discovery = context;
    struct error err = {.code = ERROR_NONE};
    bool absent = answer->status == 404 && discovery->step > 0;
    (void)id;
    if (answer->err && !absent)
        err = *answer->err;
    else if (questions[discovery->step].read(&discovery->server, absent ? NULL : answer->body, &err) == 0 &&
             ++discovery->step < QUESTIONS && ask(discovery, &err) == 0)
        return;
    bool failed = err.code != ERROR_NONE;
    discovery->done(discovery->context, failed ? NULL : &discovery->server, failed ? &err : NULL);
    free(discovery);
}

int kube_discover(struct kube_client *client,
                  void (*done)(void *context, const struct kube_server *server, const struct error *err),
                  void *context, struct error *err)
{
    struct discovery *discovery = calloc(1, sizeof *discovery);
    if (!discovery)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a Kubernetes request");
    *discovery = (struct discovery){.client = client, .done = done, .context = context};
    int failed = ask(discovery, err);
    if (failed)
        free(discovery);
    return failed;
}

bool kube_server_at_least(const struct kube_server *server, int major, int minor)
{
    return server->major > major || (server->major == major && server->minor >= minor);
}

/* Server-side apply */

uint64_t kube_apply_start(struct kube_client *client, const struct kube_apply *apply, struct error *err)
{
    char path[KUBE_PATH_MAX + 1];
    struct buffer text; /* JSON is YAML */
    uint64_t id = 0;
    int length = snprintf(path, sizeof path, "%s?fieldManager=" KUBE_FIELD_MANAGER "&force=%s%s", apply->path,
                          apply->force ? "true" : "false", apply->dry_run ? "&dryRun=All" : "");
    if (length >= (int)sizeof path || strchr(apply->path, '?')) {
        error_set(err, ERROR_INVALID, "not the path of an object: %.200s", apply->path);
        return 0;
    }
    buffer_init(&text, KUBE_ANSWER_BYTES_MAX);
    struct kube_request request = {.method = "PATCH",
                                   .path = path,
                                   .content_type = "application/apply-patch+yaml",
                                   .metadata_only = apply->metadata_only,
                                   .done = apply->done,
                                   .context = apply->context};
    if (json_print(apply->object, JSON_COMPACT, &text, err) == 0) {
        request.body = text.data;
        request.length = text.length;
        id = kube_request_start(client, &request, err);
    }
    if (text.data)
        explicit_bzero(text.data, text.capacity); /* may be a Secret */
    buffer_finish(&text);
    return id;
}
