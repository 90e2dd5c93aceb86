/* The agent's Kubernetes client as a program, so that tests can put it before servers of all kinds. Commands
 * are lines of JSON on standard input, what happens are lines of JSON on standard output; the end of input
 * ends it, in order.
 *
 *   atoll-kube-probe kubeconfig FILE [CONTEXT] | in-cluster FOLDER
 *   {"do":"request","method":"GET","path":"/…","body":{…},"deadlineMs":N}
 * {"do":"apply","path":"/…","object":{…},"force":true,"dryRun":true}
 *   {"do":"cancel","id":N}  {"do":"discover"}
 * {"do":"watch","path":"/…","labels":"…","fields":"…","objectBytes":N,"page":N,"silenceMs":N, "quiet":true}
 *   {"do":"stop"} (the last watch)  {"do":"memory"}
 *
 * Ids of requests are 1, 2, 3 … in their order. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/kubernetes/client.h"
#include "zone-agent/kubernetes/watch.h"

enum { PROBE_LINE_MAX = 4 << 20, PROBE_WATCHES_MAX = 32 };

struct probe_watch {
    struct kube_watch *watch;
    int number;
    bool quiet; /* counts objects, prints none */
    long objects;
};

static uv_loop_t loop;
static struct http_client *http;
static struct kube_client *client;
static struct probe_watch watches[PROBE_WATCHES_MAX];
static int watch_count;
static uv_pipe_t input;
static struct buffer line;

static void print(struct json *json)
{
    struct buffer text;
    struct error err;
    buffer_init(&text, 0);
    if (json_print(json, JSON_COMPACT, &text, &err) == 0)
        printf("%s\n", buffer_text(&text));
    fflush(stdout);
    buffer_finish(&text);
    json_destroy(json);
}

static struct json *event(const char *name)
{
    struct json *json = json_object();
    json_set_string(json, "event", name);
    return json;
}

static void set_error(struct json *json, const struct error *err)
{
    if (!err)
        return;
    json_set_string(json, "error", error_code_name(err->code));
    json_set_string(json, "words", err->message);
    json_set_int(json, "detail", err->detail);
}

static void on_answer(void *context, uint64_t id, const struct kube_answer *answer)
{
    struct json *json = event("answer");
    (void)context;
    json_set_int(json, "id", (int64_t)id);
    json_set_int(json, "status", answer->status);
    json_set_string(json, "reason", answer->reason);
    json_set_string(json, "message", answer->message);
    set_error(json, answer->err);
    if (answer->body)
        json_set(json, "body", json_copy(answer->body));
    print(json);
}

static void on_server(void *context, const struct kube_server *server, const struct error *err)
{
    struct json *json = event("server");
    (void)context;
    set_error(json, err);
    if (server) {
        json_set_string(json, "version", server->version);
        json_set_int(json, "minor", server->minor);
        json_set_bool(json, "policyV1", server->policy_v1);
        json_set_bool(json, "discoveryV1", server->discovery_v1);
        json_set_bool(json, "atLeast121", kube_server_at_least(server, 1, 21));
    }
    print(json);
}

static void on_list_start(void *context)
{
    struct probe_watch *watch = context;
    struct json *json = event("list");
    json_set_int(json, "watch", watch->number);
    print(json);
}

static void on_object(void *context, enum kube_event kind, const struct json *object)
{
    static const char *const names[] = {"added", "modified", "deleted"};
    struct probe_watch *watch = context;
    watch->objects++;
    if (watch->quiet)
        return;
    struct json *json = event(names[kind]);
    json_set_int(json, "watch", watch->number);
    json_set_string(json, "name", json_get_text(json_get(object, "metadata"), "name", "?"));
    json_set_string(json, "version", json_get_text(json_get(object, "metadata"), "resourceVersion", "?"));
    print(json);
}

static void on_listed(void *context)
{
    struct probe_watch *watch = context;
    struct json *json = event("listed");
    json_set_int(json, "watch", watch->number);
    json_set_int(json, "objects", watch->objects);
    print(json);
}

static void on_problem(void *context, const struct error *err)
{
    struct probe_watch *watch = context;
    struct json *json = event(err ? "problem" : "good");
    json_set_int(json, "watch", watch->number);
    set_error(json, err);
    print(json);
}

static uint64_t start_watch(const struct json *command, struct error *err)
{
    if (watch_count == PROBE_WATCHES_MAX)
        return (uint64_t)(error_set(err, ERROR_TOO_LARGE, "too many watches"), 0);
    struct probe_watch *watch = &watches[watch_count];
    *watch = (struct probe_watch){.number = ++watch_count, .quiet = json_get_bool(command, "quiet", false)};
    struct kube_watch_options options = {
        .path = json_get_text(command, "path", ""),
        .label_selector = json_get_text(command, "labels", NULL),
        .field_selector = json_get_text(command, "fields", NULL),
        .object_bytes_max = (size_t)json_get_int(command, "objectBytes", 0),
        .page_objects = (int)json_get_int(command, "page", 0),
        .silence_ms = json_get_int(command, "silenceMs", 0),
        .on_list_start = on_list_start,
        .on_object = on_object,
        .on_listed = on_listed,
        .on_problem = on_problem,
        .context = watch,
    };
    watch->watch = kube_watch_start(client, &options, err);
    return watch->watch ? 1 : 0;
}

static uint64_t start_request(const struct json *command, struct error *err)
{
    struct buffer body;
    buffer_init(&body, 0);
    const struct json *given = json_get(command, "body");
    struct kube_request request = {
        .method = json_get_text(command, "method", "GET"),
        .path = json_get_text(command, "path", ""),
        .deadline_ms = json_get_int(command, "deadlineMs", 0),
        .done = on_answer,
    };
    if (given && json_print(given, JSON_COMPACT, &body, err) == 0) {
        request.body = body.data;
        request.length = body.length;
    }
    uint64_t id = kube_request_start(client, &request, err);
    buffer_finish(&body);
    return id;
}

static uint64_t start_apply(const struct json *command, struct error *err)
{
    struct kube_apply apply = {
        .path = json_get_text(command, "path", ""),
        .object = json_get(command, "object"),
        .force = json_get_bool(command, "force", false),
        .dry_run = json_get_bool(command, "dryRun", false),
        .done = on_answer,
    };
    return kube_apply_start(client, &apply, err);
}

static void print_memory(void)
{
    struct buffer text;
    struct error err;
    struct json *json = event("memory");
    buffer_init(&text, 0);
    if (file_read("/proc/self/smaps_rollup", 65536, &text, &err) == 0 &&
        strstr(buffer_text(&text), "Anonymous:"))
        json_set_int(json, "anonymousKb", atol(strstr(buffer_text(&text), "Anonymous:") + 10));
    buffer_finish(&text);
    json_set_int(json, "heapBytes",
                 (int64_t)mallinfo2().uordblks); /* what is allocated, apart from how it is strewn */
    for (int i = 0; i < watch_count; i++)
        json_set_int(json, watches[i].number == 1 ? "objects" : "others", watches[i].objects);
    print(json);
}

static void stop_last_watch(void)
{
    if (watch_count == 0)
        return;
    kube_watch_stop(watches[watch_count - 1].watch);
    watches[watch_count - 1].watch = NULL;
}

static void obey(const struct json *command)
{
    struct error err = {.code = ERROR_NONE};
    const char *what = json_get_text(command, "do", "");
    uint64_t started = 1;
    if (!strcmp(what, "request"))
        started = start_request(command, &err);
    else if (!strcmp(what, "apply"))
        started = start_apply(command, &err);
    else if (!strcmp(what, "cancel"))
        kube_request_cancel(client, (uint64_t)json_get_int(command, "id", 0));
    else if (!strcmp(what, "discover"))
        started = kube_discover(client, on_server, NULL, &err) == 0;
    else if (!strcmp(what, "watch"))
        started = start_watch(command, &err);
    else if (!strcmp(what, "stop"))
        stop_last_watch();
    else if (!strcmp(what, "memory"))
        print_memory();
    else
        started = (uint64_t)(error_set(&err, ERROR_INVALID, "not a command: %.40s", what), 0);
    if (!started) {
        struct json *json = event("refused");
        set_error(json, &err);
        print(json);
    }
}

/* The end, in the order that client.h asks for. */
static void end(void)
{
    for (int i = 0; i < watch_count; i++)
        kube_watch_stop(watches[i].watch);
    kube_client_destroy(client);
    http_client_destroy(http);
    uv_close((uv_handle_t *)&input, NULL);
}

static void take_line(void)
{
    struct error err;
    struct json *command = json_parse(buffer_text(&line), line.length, PROBE_LINE_MAX, &err);
    if (command)
        obey(command);
    else
        fprintf(stderr, "not a command: %s\n", err.message);
    json_destroy(command);
    buffer_clear(&line);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    static char chunk[65536];
    (void)handle;
    (void)suggested;
    *room = uv_buf_init(chunk, sizeof chunk);
}

static void on_input(uv_stream_t *stream, ssize_t length, const uv_buf_t *data)
{
    if (length < 0) {
        uv_read_stop(stream);
        end();
        return;
    }
    for (ssize_t i = 0; i < length; i++)
        if (data->base[i] == '\n')
            take_line();
        else if (buffer_append(&line, data->base + i, 1))
            abort();
}

static int read_config(int count, char **words, struct kube_config *config, struct error *err)
{
    if (count >= 3 && !strcmp(words[1], "kubeconfig"))
        return kubeconfig_read(words[2], count > 3 ? words[3] : NULL, config, err);
    if (count == 3 && !strcmp(words[1], "in-cluster"))
        return kubeconfig_in_cluster(words[2], config, err);
    return error_set(err, ERROR_INVALID,
                     "usage: atoll-kube-probe kubeconfig FILE [CONTEXT] | in-cluster FOLDER");
}

int main(int count, char **words)
{
    struct kube_config config;
    struct error err;
    if (read_config(count, words, &config, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    uv_loop_init(&loop);
    buffer_init(&line, PROBE_LINE_MAX);
    http = http_client_create(&loop, "atoll-kube-probe", &err);
    client = http ? kube_client_create(&loop, http, &config, &clock_system, &random_system, &err) : NULL;
    kube_config_finish(&config);
    if (!client)
        abort();
    uv_pipe_init(&loop, &input, 0);
    if (uv_pipe_open(&input, STDIN_FILENO) || uv_read_start((uv_stream_t *)&input, on_room, on_input))
        abort();
    uv_run(&loop, UV_RUN_DEFAULT);
    buffer_finish(&line);
    return uv_loop_close(&loop) == 0 ? 0 : 3;
}
