/* Credentials from files, from the kubeconfig's own text, from an exec plugin: see credentials.h. */
#include "zone-agent/kubernetes/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/file.h"
#include "zone-agent/kubernetes/exec_plugin.h"
#include "zone-agent/kubernetes/kube_config.h"

struct kube_credentials {
    uv_loop_t *loop;
    struct kube_config config;
    const struct clock *clock;
    void (*changed)(void *context);
    void *context;
    char *ca, *certificate, *key; /* what files said last */
    char *authorization;
    uint64_t version; /* 0: none yet */
    int64_t read_ms;  /* when the files were read */
    bool stale;       /* read them, or ask the plugin, again */
    struct exec_credential from_plugin;
    struct exec_plugin *plugin;
    struct error plugin_error;
    int64_t plugin_failed_ms, plugin_began_ms;
};

struct kube_credentials *kube_credentials_create(uv_loop_t *loop, const struct kube_config *config,
                                                 const struct clock *clock, void (*changed)(void *context),
                                                 void *context, struct error *err)
{
    struct kube_credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials) {
        error_set(err, ERROR_NO_MEMORY, "out of memory for credentials");
        return NULL;
    }
    if (kube_config_copy(config, &credentials->config, err)) {
        free(credentials);
        return NULL;
    }
    credentials->loop = loop;
    credentials->clock = clock;
    credentials->changed = changed;
    credentials->context = context;
    return credentials;
}

void kube_credentials_destroy(struct kube_credentials *credentials)
{
    if (!credentials)
        return;
    exec_plugin_stop(credentials->plugin);
    exec_credential_finish(&credentials->from_plugin);
    free(credentials->ca);
    free(credentials->certificate);
    kube_secret_free(credentials->key);
    kube_secret_free(credentials->authorization);
    kube_config_finish(&credentials->config);
    free(credentials);
}

const struct kube_config *kube_credentials_config(const struct kube_credentials *credentials)
{
    return &credentials->config;
}

/* Takes a new value for one of the texts; another one makes another version. */
static void take(struct kube_credentials *credentials, char **known, char *text)
{
    bool same = *known && text ? strcmp(*known, text) == 0 : *known == text;
    if (!same)
        credentials->version++;
    kube_secret_free(*known);
    *known = text;
}

static int take_token(struct kube_credentials *credentials, const char *token, struct error *err)
{
    char *line = NULL;
    if (token && asprintf(&line, "Authorization: Bearer %s", token) < 0)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for credentials");
    take(credentials, &credentials->authorization, line);
    return 0;
}

/* Files */

static int read_secret(const char *path, size_t limit, char **out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, 0);
    int failed = file_read(path, limit, &text, err);
    char *copy = failed ? NULL : strdup(buffer_text(&text));
    if (text.data)
        explicit_bzero(text.data, text.capacity);
    buffer_finish(&text);
    if (!failed && !copy)
        failed = error_set(err, ERROR_NO_MEMORY, "out of memory for %s", path);
    *out = copy;
    return failed;
}

static int read_pem(struct kube_credentials *credentials, const char *path, const char *what, char **known,
                    struct error *err)
{
    char *text;
    if (!path)
        return 0;
    if (read_secret(path, KUBE_PEM_BYTES_MAX, &text, err))
        return -1;
    if (!strstr(text, "-----BEGIN ") || !strstr(text, what) || strstr(text, "ENCRYPTED")) {
        kube_secret_free(text);
        return error_set(err, ERROR_INVALID, "%s is not PEM with a %s (without a passphrase)", path, what);
    }
    take(credentials, known, text);
    return 0;
}

static int read_token(struct kube_credentials *credentials, const char *path, struct error *err)
{
    char *text;
    if (read_secret(path, KUBE_TOKEN_BYTES_MAX, &text, err))
        return -1;
    size_t length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        text[--length] = 0;
    int failed = length == 0 || strpbrk(text, " \t\r\n")
                     ? error_set(err, ERROR_INVALID, "%s must hold one word, a token", path)
                     : take_token(credentials, text, err);
    kube_secret_free(text);
    return failed;
}

static int read_files(struct kube_credentials *credentials, struct error *err)
{
    const struct kube_config *config = &credentials->config;
    if (!config->ca && read_pem(credentials, config->ca_file, "CERTIFICATE", &credentials->ca, err))
        return -1;
    if (!config->certificate &&
        read_pem(credentials, config->certificate_file, "CERTIFICATE", &credentials->certificate, err))
        return -1;
    if (!config->key && read_pem(credentials, config->key_file, "PRIVATE KEY", &credentials->key, err))
        return -1;
    if (config->exec.api_version)
        return 0;
    if (config->token_file && !config->token)
        return read_token(credentials, config->token_file, err);
    return take_token(credentials, config->token, err);
}

/* What was read stays good when a later reading fails: a file that is being replaced must not stop us. */
static int refresh_files(struct kube_credentials *credentials, struct error *err)
{
    int64_t now_ms = clock_monotonic_ms(credentials->clock);
    bool first = credentials->version == 0;
    if (!first && !credentials->stale && now_ms - credentials->read_ms < KUBE_CREDENTIALS_REREAD_MS)
        return 0;
    struct error problem;
    if (read_files(credentials, &problem) == 0) {
        credentials->version += credentials->version == 0; /* nothing at all is a version too */
        credentials->read_ms = now_ms;
        credentials->stale = credentials->stale && credentials->config.exec.api_version;
        return 0;
    }
    if (!first)
        return 0;
    credentials->version = 0;
    *err = problem;
    return -1;
}

/* The plugin */

static void on_plugin_done(void *context, struct exec_credential *credential, const struct error *err)
{
    struct kube_credentials *credentials = context;
    struct error problem = {.code = ERROR_NONE};
    credentials->plugin = NULL;
    if (!err && credential->expires_wall_ms &&
        credential->expires_wall_ms <= clock_wall_ms(credentials->clock))
        error_set(&problem, ERROR_REFUSED,
                  "%s: the exec plugin %s gives a credential that has expired (are the clocks right?)",
                  credentials->config.source, credentials->config.exec.command);
    else if (!err)
        take_token(credentials, credential->token, &problem);
    if (problem.code != ERROR_NONE)
        err = &problem;
    if (err) {
        credentials->plugin_error = *err;
        credentials->plugin_failed_ms = clock_monotonic_ms(credentials->clock);
    } else {
        exec_credential_finish(&credentials->from_plugin);
        credentials->from_plugin = *credential;
        *credential = (struct exec_credential){.token = NULL};
        credentials->plugin_error.code = ERROR_NONE;
        credentials->stale = false;
        credentials->version++;
    }
    credentials->changed(credentials->context);
}

static bool has_plugin_credential(const struct kube_credentials *credentials, int64_t early_ms)
{
    const struct exec_credential *known = &credentials->from_plugin;
    if (!known->token && !known->certificate)
        return false;
    return !known->expires_wall_ms || clock_wall_ms(credentials->clock) + early_ms < known->expires_wall_ms;
}

static int start_plugin(struct kube_credentials *credentials, struct error *err)
{
    int64_t now_ms = clock_monotonic_ms(credentials->clock);
    if (credentials->plugin)
        return 1;
    if (credentials->plugin_error.code != ERROR_NONE &&
        now_ms - credentials->plugin_failed_ms < KUBE_CREDENTIALS_RETRY_MS) {
        *err = credentials->plugin_error;
        return -1;
    }
    credentials->plugin_began_ms = now_ms;
    credentials->plugin =
        exec_plugin_run(credentials->loop, &credentials->config, on_plugin_done, credentials, err);
    if (credentials->plugin)
        return 1;
    credentials->plugin_error = *err;
    credentials->plugin_failed_ms = now_ms;
    return -1;
}

/* An expiring credential is still used while its successor is asked for. */
static int refresh_plugin(struct kube_credentials *credentials, struct error *err)
{
    if (!credentials->stale && has_plugin_credential(credentials, KUBE_CREDENTIALS_EARLY_MS))
        return 0;
    struct error problem = {.code = ERROR_NONE};
    bool good = !credentials->stale && has_plugin_credential(credentials, 0);
    if (good &&
        clock_monotonic_ms(credentials->clock) - credentials->plugin_began_ms < KUBE_CREDENTIALS_RETRY_MS)
        return 0; /* it gives credentials of a short life: it need not run for each request */
    int result = start_plugin(credentials, &problem);
    if (good)
        return 0;
    if (result < 0)
        *err = problem;
    return result;
}

int kube_credentials_get(struct kube_credentials *credentials, struct kube_identity *out, struct error *err)
{
    const struct kube_config *config = &credentials->config;
    const struct exec_credential *plugin = &credentials->from_plugin;
    if (refresh_files(credentials, err))
        return error_wrap(err, "%s: no credentials", config->source);
    int result = config->exec.api_version ? refresh_plugin(credentials, err) : 0;
    if (result)
        return result;
    *out = (struct kube_identity){
        .authorization = credentials->authorization,
        .tls = {.ca = config->ca ? config->ca : credentials->ca, .server_name = config->tls_server_name},
        .version = credentials->version,
    };
    out->tls.certificate = plugin->certificate   ? plugin->certificate
                           : config->certificate ? config->certificate
                                                 : credentials->certificate;
    out->tls.key = plugin->key ? plugin->key : config->key ? config->key : credentials->key;
    return 0;
}

bool kube_credentials_refused(struct kube_credentials *credentials, uint64_t version)
{
    const struct kube_config *config = &credentials->config;
    if (version != credentials->version)
        return true; /* others are there already */
    if (!config->exec.api_version && !(config->token_file && !config->token) && !config->certificate_file)
        return false;
    credentials->stale = true;
    return true;
}
