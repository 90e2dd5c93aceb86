/* The clusters of a sandbox: see sandbox_clusters.h. */
#include "controller/cli/sandbox_clusters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/console.h"
#include "proto/base/clock.h"
#include "zone-agent/kubernetes/client.h"
#include "zone-agent/kubernetes/objects.h"

enum { REQUEST_DEADLINE_MS = 20000 };

/* ---- the command line ---- */

static int take(const char *text, struct sandbox *sandbox, struct error *err)
{
    char path[PATH_MAX];
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    if (!equals || !length || length > NAME_LENGTH_MAX || !equals[1])
        return error_set(err, ERROR_INVALID, "--kubeconfig wants ZONE=FILE, not %.80s", text);
    if (!realpath(equals + 1, path) || strlen(path) >= SANDBOX_KUBECONFIG_MAX)
        return error_set(err, ERROR_INVALID,
                         "the kubeconfig %.200s can't be read, or its path is longer than %d bytes",
                         equals + 1, SANDBOX_KUBECONFIG_MAX - 1);
    struct sandbox_cluster *cluster = NULL;
    for (size_t i = 0; i < sandbox->cluster_count; i++)
        if (strlen(sandbox->clusters[i].zone) == length &&
            strncmp(sandbox->clusters[i].zone, text, length) == 0)
            cluster = &sandbox->clusters[i];
    if (!cluster && sandbox->cluster_count == SANDBOX_CLUSTERS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a sandbox has at most %d clusters", SANDBOX_CLUSTERS_MAX);
    if (!cluster)
        cluster = &sandbox->clusters[sandbox->cluster_count++];
    snprintf(cluster->zone, sizeof cluster->zone, "%.*s", (int)length, text);
    snprintf(cluster->kubeconfig, sizeof cluster->kubeconfig, "%s", path);
    return 0;
}

int sandbox_take_kubeconfigs(const struct invocation *invocation, struct sandbox *sandbox, struct error *err)
{
    for (size_t i = 0; i < invocation->value_count; i++)
        if (strcmp(invocation->values[i].option->name, "kubeconfig") == 0 &&
            take(invocation->values[i].text, sandbox, err))
            return -1;
    if (sandbox->cluster_count && !*sandbox->id)
        snprintf(sandbox->id, sizeof sandbox->id, "sandbox-%08llx",
                 (unsigned long long)(random_system.next(random_system.context) & 0xffffffff));
    return 0;
}

const char *sandbox_kubeconfig(const struct sandbox *sandbox, const char *zone)
{
    for (size_t i = 0; i < sandbox->cluster_count; i++)
        if (strcmp(sandbox->clusters[i].zone, zone) == 0)
            return sandbox->clusters[i].kubeconfig;
    return "";
}

/* ---- taking away ---- */

struct cleaner {
    const struct sandbox *sandbox;
    const char *zone;
    uv_loop_t loop;
    struct http_client *http;
    struct kube_client *client;
    struct object_zone facts;
    bool disks, done;
    size_t deleted, kept;
    struct error err;
    bool failed;
    struct json *answer;
};

static void on_answer(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct cleaner *cleaner = context;
    (void)id;
    cleaner->done = true;
    if (answer->err && answer->status != 404) {
        cleaner->failed = true;
        cleaner->err = *answer->err;
    } else if (answer->body) {
        cleaner->answer = json_copy(answer->body);
    }
}

/* One request, waited for. The answer's body is the caller's; NULL also when there was none. */
static struct json *ask(struct cleaner *cleaner, const char *method, const char *path)
{
    static const char options[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}";
    bool deletes = strcmp(method, "DELETE") == 0;
    const struct kube_request request = {.method = method,
                                         .path = path,
                                         .body = deletes ? options : NULL,
                                         .length = deletes ? sizeof options - 1 : 0,
                                         .deadline_ms = REQUEST_DEADLINE_MS,
                                         .done = on_answer,
                                         .context = cleaner};
    cleaner->done = false;
    cleaner->answer = NULL;
    if (!kube_request_start(cleaner->client, &request, &cleaner->err)) {
        cleaner->failed = true;
        return NULL;
    }
    while (!cleaner->done)
        uv_run(&cleaner->loop, UV_RUN_ONCE);
    return cleaner->answer;
}

static void clear_kind(struct cleaner *cleaner, enum object_kind kind)
{
    char collection[OBJECT_PATH_MAX], path[2 * OBJECT_PATH_MAX];
    object_path(kind, &cleaner->facts, NULL, collection);
    snprintf(path, sizeof path, "%s?labelSelector=atoll.dev%%2Ffederation%%3D%s", collection,
             cleaner->sandbox->id);
    struct json *list = ask(cleaner, "GET", path);
    for (const struct json *item = json_first(json_get(list, "items")); item && !cleaner->failed;
         item = json_next(item)) {
        if (kind == OBJECT_CLAIM && !cleaner->disks) {
            cleaner->kept++;
            continue;
        }
        object_path(kind, &cleaner->facts, json_get_text(json_get(item, "metadata"), "name", ""), path);
        json_destroy(ask(cleaner, "DELETE", path));
        cleaner->deleted++;
    }
    json_destroy(list);
}

static void on_discovered(void *context, const struct kube_server *server, const struct error *err)
{
    struct cleaner *cleaner = context;
    cleaner->done = true;
    cleaner->failed = err != NULL;
    if (err)
        cleaner->err = *err;
    else
        cleaner->facts.major = server->major, cleaner->facts.minor = server->minor;
}

static void clear(struct cleaner *cleaner)
{
    static const enum object_kind kinds[] = {OBJECT_CONTROLLER, OBJECT_SERVICE, OBJECT_BUDGET, OBJECT_SECRET,
                                             OBJECT_CLAIM};
    cleaner->done = false;
    cleaner->failed = kube_discover(cleaner->client, on_discovered, cleaner, &cleaner->err) != 0;
    while (!cleaner->failed && !cleaner->done)
        uv_run(&cleaner->loop, UV_RUN_ONCE);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !cleaner->failed; i++)
        clear_kind(cleaner, kinds[i]);
}

static void clear_cluster(struct cleaner *cleaner, const char *kubeconfig)
{
    struct kube_config config;
    cleaner->failed = kubeconfig_read(kubeconfig, NULL, &config, &cleaner->err) != 0;
    if (cleaner->failed)
        return;
    uv_loop_init(&cleaner->loop);
    cleaner->facts = (struct object_zone){.namespace_ = SANDBOX_NAMESPACE};
    cleaner->http = http_client_create(&cleaner->loop, "atoll/" ATOLL_VERSION, &cleaner->err);
    if (cleaner->http)
        cleaner->client = kube_client_create(&cleaner->loop, cleaner->http, &config, &clock_system,
                                             &random_system, &cleaner->err);
    if (cleaner->client)
        clear(cleaner);
    else
        cleaner->failed = true;
    kube_client_destroy(cleaner->client);
    http_client_destroy(cleaner->http);
    uv_run(&cleaner->loop, UV_RUN_DEFAULT);
    uv_loop_close(&cleaner->loop);
    kube_config_finish(&config);
}

int sandbox_clear_clusters(const struct sandbox *sandbox, bool disks, size_t *deleted, size_t *kept,
                           struct error *err)
{
    int result = 0;
    *deleted = *kept = 0;
    for (size_t i = 0; i < sandbox->cluster_count; i++) {
        struct cleaner cleaner = {.sandbox = sandbox, .zone = sandbox->clusters[i].zone, .disks = disks};
        clear_cluster(&cleaner, sandbox->clusters[i].kubeconfig);
        *deleted += cleaner.deleted;
        *kept += cleaner.kept;
        if (!cleaner.failed)
            continue;
        *err = cleaner.err;
        result = error_wrap(err, "what carries atoll.dev/federation=%s in zone %s could not be removed",
                            sandbox->id, cleaner.zone);
    }
    return result;
}
