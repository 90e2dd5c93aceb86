/* An exec plugin's process: see exec_plugin.h. It runs in a process group of its own, so that killing it
 * reaches what it started. It is over when it has exited and its pipes are at their end, or at the deadline.
 */
#include "zone-agent/kubernetes/exec_plugin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXEC_COMPLAINT_MAX = 200, /* bytes of what it wrote on standard error that go into a message */
    EXEC_ENVIRONMENT_MAX = 4096,
};

extern char **environ;

struct output {
    uv_pipe_t pipe;
    struct exec_plugin *plugin;
    struct buffer text;
    bool cut; /* more came than was kept */
};

struct exec_plugin {
    uv_loop_t *loop;
    uv_process_t process;
    uv_timer_t deadline;
    struct output out, complaint;
    const struct kube_config *config;
    void (*done)(void *context, struct exec_credential *credential, const struct error *err);
    void *context;
    char chunk[4096];
    int open_handles; /* until their close callbacks */
    int running;      /* the process and its two pipes */
    int64_t exit_status;
    int exit_signal;
    bool late;
    bool spawned; /* the process' handle is libuv's */
    bool alive;
    bool closing;
};

static void wipe(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_finish(buffer);
}

static void on_closed(uv_handle_t *handle)
{
    struct exec_plugin *plugin = handle->data;
    if (--plugin->open_handles > 0)
        return;
    wipe(&plugin->out.text);
    wipe(&plugin->complaint.text);
    explicit_bzero(plugin->chunk, sizeof plugin->chunk);
    free(plugin);
}

/* A process that still runs is closed at its end, or nobody would collect it. */
static void close_all(struct exec_plugin *plugin)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&plugin->deadline, (uv_handle_t *)&plugin->out.pipe,
                              (uv_handle_t *)&plugin->complaint.pipe};
    plugin->closing = true;
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        uv_close(handles[i], on_closed);
    if (plugin->spawned && !plugin->alive)
        uv_close((uv_handle_t *)&plugin->process, on_closed);
}

static void kill_group(struct exec_plugin *plugin)
{
    if (plugin->alive)
        kill(-plugin->process.pid, SIGKILL);
}

/* The end */

static void clean_complaint(const struct exec_plugin *plugin, char text[EXEC_COMPLAINT_MAX + 4])
{
    snprintf(text, EXEC_COMPLAINT_MAX + 4, "%s", buffer_text(&plugin->complaint.text));
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = ' ';
}

static int read_output(struct exec_plugin *plugin, struct exec_credential *credential, struct error *err)
{
    char complaint[EXEC_COMPLAINT_MAX + 4];
    clean_complaint(plugin, complaint);
    if (plugin->late)
        return error_set(err, ERROR_TIMEOUT, "it did not end within %d s", EXEC_PLUGIN_DEADLINE_MS / 1000);
    if (plugin->exit_signal)
        return error_set(err, ERROR_IO, "it was killed by signal %d: %s", plugin->exit_signal, complaint);
    if (plugin->exit_status)
        return error_set(err, ERROR_IO, "it failed with exit status %d: %s", (int)plugin->exit_status,
                         complaint);
    if (plugin->out.cut)
        return error_set(err, ERROR_TOO_LARGE, "it printed more than %d bytes", EXEC_CREDENTIAL_BYTES_MAX);
    return exec_credential_read(buffer_text(&plugin->out.text), plugin->out.text.length,
                                plugin->config->exec.api_version, credential, err);
}

static void finish(struct exec_plugin *plugin)
{
    struct exec_credential credential = {.token = NULL};
    struct error err = {.code = ERROR_NONE};
    int failed = read_output(plugin, &credential, &err);
    if (failed)
        error_wrap(&err, "%s: the exec plugin %s", plugin->config->source, plugin->config->exec.command);
    close_all(plugin);
    plugin->done(plugin->context, failed ? NULL : &credential, failed ? &err : NULL);
    exec_credential_finish(&credential);
}

static void one_ended(struct exec_plugin *plugin)
{
    if (--plugin->running == 0 && !plugin->closing)
        finish(plugin);
}

static void on_process_end(uv_process_t *process, int64_t status, int signal)
{
    struct exec_plugin *plugin = process->data;
    plugin->exit_status = status;
    plugin->exit_signal = signal;
    plugin->alive = false;
    if (plugin->closing)
        uv_close((uv_handle_t *)process, on_closed);
    else
        one_ended(plugin);
}

static void on_deadline(uv_timer_t *timer)
{
    struct exec_plugin *plugin = timer->data;
    plugin->late = true;
    kill_group(plugin); /* what left the group may hold the pipes for ever: they are not waited for */
    uv_read_stop((uv_stream_t *)&plugin->out.pipe);
    uv_read_stop((uv_stream_t *)&plugin->complaint.pipe);
    plugin->running = plugin->alive ? 1 : 0;
    if (!plugin->alive)
        finish(plugin);
}

/* Its output */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    struct exec_plugin *plugin = handle->data;
    (void)suggested;
    *room = uv_buf_init(plugin->chunk, sizeof plugin->chunk);
}

static void on_output(uv_stream_t *stream, ssize_t length, const uv_buf_t *data)
{
    struct exec_plugin *plugin = stream->data;
    struct output *output = stream == (uv_stream_t *)&plugin->out.pipe ? &plugin->out : &plugin->complaint;
    if (length < 0) {
        uv_read_stop(stream);
        one_ended(plugin);
        return;
    }
    size_t room = output->text.limit - output->text.length, got = (size_t)length;
    output->cut |= got > room;
    if (buffer_append(&output->text, data->base, got > room ? room : got))
        output->cut = true;
}

/* The start */

static bool is_replaced(const char *variable, char *const *own)
{
    size_t name = strcspn(variable, "=") + 1;
    if (strncmp(variable, "KUBERNETES_EXEC_INFO=", 21) == 0)
        return true;
    for (; *own; own++)
        if (strncmp(variable, *own, name) == 0)
            return true;
    return false;
}

/* Pointers into ours, the kubeconfig's and `info`. */
static char **make_environment(const struct kube_config *config, char *info)
{
    char **all = calloc(EXEC_ENVIRONMENT_MAX + KUBECONFIG_EXEC_VARIABLES_MAX + 2, sizeof *all);
    size_t count = 0;
    if (!all)
        return NULL;
    for (char **variable = environ; *variable && count < EXEC_ENVIRONMENT_MAX; variable++)
        if (!is_replaced(*variable, config->exec.variables))
            all[count++] = *variable;
    for (char **variable = config->exec.variables; *variable; variable++)
        all[count++] = *variable;
    all[count] = info;
    return all;
}

static int spawn(struct exec_plugin *plugin, char *info, struct error *err)
{
    const struct kube_exec *exec = &plugin->config->exec;
    char *arguments[KUBECONFIG_EXEC_ARGUMENTS_MAX + 2] = {exec->command};
    for (size_t i = 0; exec->arguments[i]; i++)
        arguments[i + 1] = exec->arguments[i];
    char **environment = make_environment(plugin->config, info);
    if (!environment)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    uv_stdio_container_t channels[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&plugin->out.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&plugin->complaint.pipe},
    };
    uv_process_options_t options = {.file = exec->command,
                                    .args = arguments,
                                    .env = environment,
                                    .exit_cb = on_process_end,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = channels,
                                    .stdio_count = 3};
    int failed = uv_spawn(plugin->loop, &plugin->process, &options);
    free(environment);
    plugin->spawned = true;
    plugin->open_handles++;
    plugin->alive = !failed;
    if (!failed)
        return 0;
    return error_set(err, failed == UV_ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                     "%s: the exec plugin %s can't be run: %s%s%.200s", plugin->config->source, exec->command,
                     uv_strerror(failed), exec->install_hint ? "; " : "",
                     exec->install_hint ? exec->install_hint : "");
}

static int start(struct exec_plugin *plugin, struct error *err)
{
    struct buffer info;
    buffer_init(&info, 0);
    int failed =
        buffer_append_text(&info, "KUBERNETES_EXEC_INFO=") || exec_info_write(plugin->config, &info, err);
    failed = failed || spawn(plugin, info.data, err);
    buffer_finish(&info);
    if (failed)
        return -1;
    plugin->running = 3;
    uv_timer_start(&plugin->deadline, on_deadline, EXEC_PLUGIN_DEADLINE_MS, 0);
    uv_read_start((uv_stream_t *)&plugin->out.pipe, on_room, on_output);
    uv_read_start((uv_stream_t *)&plugin->complaint.pipe, on_room, on_output);
    return 0;
}

struct exec_plugin *exec_plugin_run(uv_loop_t *loop, const struct kube_config *config,
                                    void (*done)(void *context, struct exec_credential *credential,
                                                 const struct error *err),
                                    void *context, struct error *err)
{
    struct exec_plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for an exec plugin");
        return NULL;
    }
    plugin->loop = loop;
    plugin->config = config;
    plugin->done = done;
    plugin->context = context;
    buffer_init(&plugin->out.text, EXEC_CREDENTIAL_BYTES_MAX);
    buffer_init(&plugin->complaint.text, EXEC_COMPLAINT_MAX);
    uv_timer_init(loop, &plugin->deadline);
    uv_pipe_init(loop, &plugin->out.pipe, 0);
    uv_pipe_init(loop, &plugin->complaint.pipe, 0);
    plugin->process.data = plugin->deadline.data = plugin->out.pipe.data = plugin->complaint.pipe.data =
        plugin;
    plugin->open_handles = 3;
    if (start(plugin, err)) {
        close_all(plugin);
        return NULL;
    }
    return plugin;
}

void exec_plugin_stop(struct exec_plugin *plugin)
{
    if (!plugin || plugin->closing)
        return;
    kill_group(plugin);
    close_all(plugin);
}
