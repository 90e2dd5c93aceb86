/* Which controller a command speaks to: see context.h. */
#include "controller/cli/context.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/yaml_tree.h"
#include "controller/cli/console.h"
#include "controller/cli/sandbox.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"

enum { SANDBOX_START_MS = 5000, SANDBOX_POLL_MS = 50 };

int context_dial_sandbox(const char *dir, const char *url, struct remote *remote, struct error *err)
{
    char ca[PATH_MAX], certificate[PATH_MAX];
    if (remote_open(remote, url, err))
        return -1;
    if (strncmp(url, "https://", 8) != 0 ||
        (sandbox_path(ca, dir, SANDBOX_CA_FILE, err) == 0 &&
         sandbox_path(certificate, dir, SANDBOX_ADMIN_FILE, err) == 0 && remote_trust(remote, ca, err) == 0 &&
         remote_show_certificate(remote, certificate, err) == 0))
        return 0;
    remote_close(remote);
    return -1;
}

int context_open_sandbox(const char *dir, struct remote *remote, struct error *err)
{
    char url[REMOTE_URL_MAX];
    if (!sandbox_is_running(dir)) {
        if (sandbox_exists(dir))
            return error_set(err, ERROR_UNREACHABLE,
                             "the sandbox in %s doesn't run; `atoll sandbox up` resumes it", dir);
        if (access(dir, X_OK) && errno == EACCES)
            return error_set(err, ERROR_REFUSED,
                             "%s belongs to another user; give another directory with --dir", dir);
        return error_set(err, ERROR_UNREACHABLE, "there is no sandbox in %s; `atoll sandbox up` makes one",
                         dir);
    }
    /* Its controller may be just being started again. */
    int64_t end_ms = clock_monotonic_ms(&clock_system) + SANDBOX_START_MS;
    while (sandbox_url(dir, url, sizeof url, err)) {
        if (clock_monotonic_ms(&clock_system) > end_ms) {
            error_set(err, ERROR_UNREACHABLE,
                      "the controller of the sandbox in %s has not started yet; %s/logs says more", dir, dir);
            return -1;
        }
        console_pause(SANDBOX_POLL_MS);
    }
    if (context_dial_sandbox(dir, url, remote, err))
        return -1;
    snprintf(remote->sandbox, sizeof remote->sandbox, "%s", dir);
    return 0;
}

static int config_path(char path[PATH_MAX])
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int length = -1;
    if (base && *base == '/')
        length = snprintf(path, PATH_MAX, "%s/atoll/config.yaml", base);
    else if (home && *home == '/')
        length = snprintf(path, PATH_MAX, "%s/.config/atoll/config.yaml", home);
    return length > 0 && length < PATH_MAX ? 0 : -1;
}

static int wrong(const struct spec_mark *mark, struct error *err, const char *message)
{
    return error_set(err, ERROR_INVALID, "%s:%d:%d: error: %s", mark->file, mark->line, mark->column,
                     message);
}

/* What the current context says; left empty where nothing is configured. */
struct configured {
    char url[REMOTE_URL_MAX], token_file[PATH_MAX], ca_file[PATH_MAX], certificate_file[PATH_MAX];
};

static void take_text(const struct tree_node *item, const char *key, char *out, size_t size)
{
    const struct tree_node *node = tree_get(item, key);
    if (node)
        snprintf(out, size, "%s", node->text);
}

static int find_context(const struct tree_node *root, struct configured *out, struct error *err)
{
    const struct tree_node *current = tree_get(root, "currentContext"),
                           *contexts = tree_get(root, "contexts");
    if (!current)
        return 0;
    for (const struct tree_node *item = contexts ? contexts->first : NULL; item; item = item->next) {
        const struct tree_node *name = tree_get(item, "name"), *controller = tree_get(item, "controller");
        if (!name || strcmp(name->text, current->text) != 0)
            continue;
        if (!controller || !*controller->text)
            return wrong(&item->mark, err, "the context has no controller; write `controller: URL`");
        take_text(item, "controller", out->url, sizeof out->url);
        take_text(item, "tokenFile", out->token_file, sizeof out->token_file);
        take_text(item, "caFile", out->ca_file, sizeof out->ca_file);
        take_text(item, "certificateFile", out->certificate_file, sizeof out->certificate_file);
        return 0;
    }
    if (strcmp(current->text, "sandbox") == 0)
        return 0; /* a running sandbox is a context of its own of this name */
    return wrong(&current->mark, err, "there is no context of this name under contexts");
}

static int read_config(struct configured *out, struct error *err)
{
    char path[PATH_MAX];
    struct buffer text;
    *out = (struct configured){.url = ""};
    buffer_init(&text, 0);
    if (config_path(path))
        return 0;
    int result = file_read(path, CONFIG_BYTES_MAX, &text, err);
    if (result) {
        buffer_finish(&text);
        return !err || err->code != ERROR_NOT_FOUND ? error_wrap(err, "reading the configured contexts") : 0;
    }
    struct arena arena;
    struct spec_problems *problems = calloc(1, sizeof *problems);
    struct spec_source source = {.name = path, .text = buffer_text(&text), .length = text.length};
    arena_init(&arena, 16 << 20);
    struct tree_node *root = problems ? tree_read(&source, &arena, problems) : NULL;
    if (problems && problems->errors)
        result = wrong(&problems->items[0].mark, err, problems->items[0].message);
    else if (root)
        result = find_context(root, out, err);
    arena_finish(&arena);
    free(problems);
    buffer_finish(&text);
    return result;
}

static int open_configured(struct remote *remote, const struct configured *configured, struct error *err)
{
    if (remote_open(remote, configured->url, err))
        return -1;
    if ((!*configured->token_file || remote_show_token(remote, configured->token_file, err) == 0) &&
        (!*configured->ca_file || remote_trust(remote, configured->ca_file, err) == 0) &&
        (!*configured->certificate_file ||
         remote_show_certificate(remote, configured->certificate_file, err) == 0))
        return 0;
    remote_close(remote);
    return -1;
}

static int open_default(struct remote *remote, struct error *err)
{
    struct configured configured;
    char dir[PATH_MAX];
    if (read_config(&configured, err))
        return -1;
    if (*configured.url)
        return open_configured(remote, &configured, err);
    if (sandbox_folder(NULL, dir, err) == 0 && sandbox_exists(dir))
        return context_open_sandbox(dir, remote, err);
    return error_set(
        err, ERROR_UNREACHABLE,
        "no controller is known: give --controller URL, set ATOLL_CONTROLLER, write a context into "
        "~/.config/atoll/config.yaml, or start a sandbox with `atoll sandbox up`");
}

static int open_meant(const struct invocation *invocation, struct remote *remote, struct error *err)
{
    const char *url = invocation_text(invocation, "controller"), *dir = invocation_text(invocation, "dir");
    const char *env_url = getenv("ATOLL_CONTROLLER"), *env_dir = getenv("ATOLL_SANDBOX_DIR");
    char folder[PATH_MAX];
    if (url && dir)
        return error_set(err, ERROR_INVALID,
                         "--controller and --dir both say which controller; give one of them");
    if (!url && !dir && env_url && *env_url)
        url = env_url;
    if (url)
        return remote_open(remote, url, err);
    if (!dir && !(env_dir && *env_dir))
        return open_default(remote, err);
    return sandbox_folder(dir, folder, err) ? -1 : context_open_sandbox(folder, remote, err);
}

/* An option, or else the environment; NULL when neither says anything. */
static const char *given(const struct invocation *invocation, const char *option, const char *variable)
{
    const char *text = invocation_text(invocation, option);
    if (!text)
        text = getenv(variable);
    return text && *text ? text : NULL;
}

/* Who asks, whom they trust, and what for. */
static int introduce(const struct invocation *invocation, struct remote *remote, struct error *err)
{
    const char *token_file = given(invocation, "token-file", "ATOLL_TOKEN_FILE"),
               *ca_file = given(invocation, "ca-file", "ATOLL_CA_FILE"),
               *certificate_file = given(invocation, "certificate-file", "ATOLL_CERTIFICATE_FILE");
    const char *why = command_option(invocation->command, "why") ? invocation_text(invocation, "why") : NULL;
    if ((token_file && remote_show_token(remote, token_file, err)) ||
        (ca_file && remote_trust(remote, ca_file, err)) ||
        (certificate_file && remote_show_certificate(remote, certificate_file, err)))
        return -1;
    return why && *why ? remote_say_why(remote, why, err) : 0;
}

int context_open(const struct invocation *invocation, struct remote *remote, struct error *err)
{
    if (open_meant(invocation, remote, err))
        return -1;
    if (introduce(invocation, remote, err) == 0)
        return 0;
    remote_close(remote);
    return -1;
}
