/* A kubeconfig's text -> struct kube_config: see kubeconfig.h. Source:
 * kubernetes.io/docs/reference/config-api/kubeconfig.v1. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/yaml_tree.h"
#include "zone-agent/kubernetes/base64.h"
#include "zone-agent/kubernetes/kube_config.h"

enum {
    KUBECONFIG_ARENA_BYTES = 64 << 20, /* enough for whatever is within the tree's own bounds */
    KUBECONFIG_SERVER_MAX = 500,
};

struct reader {
    const char *source, *folder;
    struct kube_config config; /* what was read so far */
    struct error *err;
};

static int fail(struct reader *reader, const struct tree_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct reader *reader, const struct tree_node *at, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return error_set(reader->err, ERROR_INVALID, "%s:%d:%d: %s", reader->source, at->mark.line,
                     at->mark.column, text);
}

static int no_memory(struct reader *reader)
{
    return error_set(reader->err, ERROR_NO_MEMORY, "%s: out of memory", reader->source);
}

/* Getting at values. What is null or empty counts as not there, as for kubectl. */

static int get_text(struct reader *reader, const struct tree_node *map, const char *key, const char **out)
{
    const struct tree_node *node = tree_get(map, key);
    *out = NULL;
    if (!node || tree_is_null(node))
        return 0;
    if (node->kind != TREE_SCALAR)
        return fail(reader, node, "%s must be a text, not %s", key, tree_kind_name(node));
    *out = *node->text ? node->text : NULL;
    return 0;
}

static int take_text(struct reader *reader, const struct tree_node *map, const char *key, char **out)
{
    const char *text;
    if (get_text(reader, map, key, &text))
        return -1;
    *out = text ? strdup(text) : NULL;
    return text && !*out ? no_memory(reader) : 0;
}

/* A path, relative to the kubeconfig's folder. */
static int take_path(struct reader *reader, const struct tree_node *map, const char *key, char **out)
{
    const char *text;
    if (get_text(reader, map, key, &text))
        return -1;
    if (!text)
        return 0;
    int length = *text == '/' ? asprintf(out, "%s", text) : asprintf(out, "%s/%s", reader->folder, text);
    if (length < 0)
        *out = NULL;
    return length < 0 ? no_memory(reader) : 0;
}

static int take_pem(struct reader *reader, const struct tree_node *map, const char *key, const char *what,
                    char **out)
{
    const char *text;
    size_t length = 0;
    if (get_text(reader, map, key, &text))
        return -1;
    if (!text)
        return 0;
    const struct tree_node *node = tree_get(map, key);
    char *pem = base64_decode(text, &length);
    if (!pem)
        return fail(reader, node, "%s is not base64", key);
    *out = pem; /* given back, cleared, by kube_config_finish() */
    if (memchr(pem, 0, length) || !strstr(pem, "-----BEGIN ") || !strstr(pem, what))
        return fail(reader, node, "%s is not base64 of a PEM text with a %s", key, what);
    if (strstr(pem, "ENCRYPTED"))
        return fail(reader, node,
                    "%s is encrypted with a passphrase, which nobody is here to type; store it without", key);
    return 0;
}

/* Refuses what would change where we go or who we are, and isn't known here. */
static int refuse(struct reader *reader, const struct tree_node *map, const char *key, const char *instead)
{
    const struct tree_node *node = tree_get(map, key);
    if (!node || tree_is_null(node) || (node->kind == TREE_SCALAR && !*node->text) ||
        (node->kind != TREE_SCALAR && !node->count))
        return 0;
    return fail(reader, node, "%s is not supported: %s", key, instead);
}

/* Named entries */

/* The map under `inner` of the item that is called `name` in the list `list`. */
static int find_entry(struct reader *reader, const struct tree_node *root, const char *list,
                      const char *inner, const char *name, const struct tree_node **out)
{
    const struct tree_node *items = tree_get(root, list);
    if (!items || items->kind != TREE_LIST)
        return fail(reader, items ? items : root, "%s must be a list", list);
    if (items->count > KUBECONFIG_ENTRIES_MAX)
        return fail(reader, items, "more than %d %s", KUBECONFIG_ENTRIES_MAX, list);
    for (const struct tree_node *item = items->first; item; item = item->next) {
        const char *its_name;
        if (item->kind != TREE_MAP)
            return fail(reader, item, "an item of %s must be a map, not %s", list, tree_kind_name(item));
        if (get_text(reader, item, "name", &its_name))
            return -1;
        if (!its_name || strcmp(its_name, name))
            continue;
        *out = tree_get(item, inner);
        if (!*out || (*out)->kind != TREE_MAP)
            return fail(reader, *out ? *out : item, "the item \"%.100s\" of %s has no map \"%s\"", name, list,
                        inner);
        return 0;
    }
    return fail(reader, items, "there is no \"%.100s\" in %s", name, list);
}

/* Clusters */

static bool is_loopback(const char *host)
{
    static const char *const names[] = {"127.", "localhost:", "localhost/", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncasecmp(host, names[i], strlen(names[i])) == 0)
            return names[i][0] != '1' || strspn(host, "0123456789.") == strcspn(host, ":/");
    return strcasecmp(host, "localhost") == 0;
}

static int check_server(struct reader *reader, const struct tree_node *node, char *server)
{
    bool secure = strncasecmp(server, "https://", 8) == 0, plain = strncasecmp(server, "http://", 7) == 0;
    size_t length = strlen(server);
    if (!secure && !plain)
        return fail(reader, node, "server must begin with https://");
    if (plain && !is_loopback(server + 7))
        return fail(reader, node,
                    "server must begin with https:// (plain HTTP is for 127.0.0.1 alone: credentials would "
                    "travel in the clear)");
    if (length > KUBECONFIG_SERVER_MAX || strpbrk(server, "?#@ \t\r\n\\\"") || !server[secure ? 8 : 7] ||
        server[secure ? 8 : 7] == '/')
        return fail(reader, node, "server must look like https://10.0.0.1:6443, at most %d bytes",
                    KUBECONFIG_SERVER_MAX);
    while (server[length - 1] == '/')
        server[--length] = 0;
    return 0;
}

static int check_verified(struct reader *reader, const struct tree_node *cluster)
{
    const struct tree_node *node = tree_get(cluster, "insecure-skip-tls-verify");
    if (!node || tree_is_null(node) || (node->kind == TREE_SCALAR && strcasecmp(node->text, "false") == 0))
        return 0;
    return fail(reader, node,
                "insecure-skip-tls-verify is refused: whoever sits between could take the credentials; "
                "put the cluster's CA into certificate-authority-data instead");
}

static int read_cluster(struct reader *reader, const struct tree_node *cluster)
{
    struct kube_config *config = &reader->config;
    if (check_verified(reader, cluster) ||
        refuse(reader, cluster, "proxy-url", "the agent dials the server itself"))
        return -1;
    if (take_text(reader, cluster, "server", &config->server) ||
        take_text(reader, cluster, "tls-server-name", &config->tls_server_name) ||
        take_pem(reader, cluster, "certificate-authority-data", "CERTIFICATE", &config->ca) ||
        take_path(reader, cluster, "certificate-authority", &config->ca_file))
        return -1;
    if (!config->server)
        return fail(reader, cluster, "the cluster has no server");
    return check_server(reader, tree_get(cluster, "server"), config->server);
}

/* Users */

static int take_arguments(struct reader *reader, const struct tree_node *exec)
{
    const struct tree_node *list = tree_get(exec, "args");
    size_t count = 0;
    if (list && !tree_is_null(list) && list->kind != TREE_LIST)
        return fail(reader, list, "args must be a list");
    if (list && list->count > KUBECONFIG_EXEC_ARGUMENTS_MAX)
        return fail(reader, list, "more than %d args", KUBECONFIG_EXEC_ARGUMENTS_MAX);
    for (const struct tree_node *item = list ? list->first : NULL; item; item = item->next) {
        if (item->kind != TREE_SCALAR)
            return fail(reader, item, "an item of args must be a text, not %s", tree_kind_name(item));
        if (!(reader->config.exec.arguments[count++] = strdup(item->text)))
            return no_memory(reader);
    }
    return 0;
}

static int take_variables(struct reader *reader, const struct tree_node *exec)
{
    const struct tree_node *list = tree_get(exec, "env");
    size_t count = 0;
    if (list && !tree_is_null(list) && list->kind != TREE_LIST)
        return fail(reader, list, "env must be a list of name and value");
    if (list && list->count > KUBECONFIG_EXEC_VARIABLES_MAX)
        return fail(reader, list, "more than %d variables in env", KUBECONFIG_EXEC_VARIABLES_MAX);
    for (const struct tree_node *item = list ? list->first : NULL; item; item = item->next) {
        const char *name, *value;
        if (get_text(reader, item, "name", &name) || get_text(reader, item, "value", &value))
            return -1;
        if (!name || strchr(name, '='))
            return fail(reader, item, "an item of env needs a name (without \"=\") and a value");
        if (asprintf(&reader->config.exec.variables[count], "%s=%s", name, value ? value : "") < 0) {
            reader->config.exec.variables[count] = NULL;
            return no_memory(reader);
        }
        count++;
    }
    return 0;
}

static int take_command(struct reader *reader, const struct tree_node *exec)
{
    const char *command;
    if (get_text(reader, exec, "command", &command))
        return -1;
    if (!command)
        return fail(reader, exec, "exec has no command");
    if (strchr(command, '/')) /* relative to the file, as for kubectl */
        return take_path(reader, exec, "command", &reader->config.exec.command);
    return take_text(reader, exec, "command", &reader->config.exec.command);
}

static int check_exec(struct reader *reader, const struct tree_node *exec)
{
    const char *version, *mode;
    if (exec->kind != TREE_MAP)
        return fail(reader, exec, "exec must be a map, not %s", tree_kind_name(exec));
    if (get_text(reader, exec, "apiVersion", &version) || get_text(reader, exec, "interactiveMode", &mode))
        return -1;
    if (!version || (strcmp(version, "client.authentication.k8s.io/v1") &&
                     strcmp(version, "client.authentication.k8s.io/v1beta1")))
        return fail(reader, exec,
                    "the apiVersion of exec must be client.authentication.k8s.io/v1 or …/v1beta1");
    if (mode && strcmp(mode, "Always") == 0)
        return fail(reader, exec, "the interactiveMode of exec is Always, but nobody sits before an agent");
    return 0;
}

static int read_exec(struct reader *reader, const struct tree_node *exec)
{
    struct kube_exec *out = &reader->config.exec;
    const char *wants;
    if (check_exec(reader, exec) || get_text(reader, exec, "provideClusterInfo", &wants))
        return -1;
    out->wants_cluster = wants && strcasecmp(wants, "true") == 0;
    if (take_text(reader, exec, "apiVersion", &out->api_version) || take_command(reader, exec) ||
        take_text(reader, exec, "installHint", &out->install_hint) || take_arguments(reader, exec))
        return -1;
    return take_variables(reader, exec);
}

static int refuse_in_user(struct reader *reader, const struct tree_node *user)
{
    static const char *const keys[] = {"as", "as-uid", "as-groups", "as-user-extra"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (refuse(reader, user, keys[i], "the agent never acts as somebody else"))
            return -1;
    if (refuse(reader, user, "auth-provider",
               "Kubernetes 1.26 took it away; use an exec plugin (gke-gcloud-auth-plugin)"))
        return -1;
    if (refuse(reader, user, "username",
               "Kubernetes 1.19 took passwords away; use a token, a client certificate or exec"))
        return -1;
    return 0;
}

static int check_user(struct reader *reader, const struct tree_node *user)
{
    const struct kube_config *config = &reader->config;
    bool certificate = config->certificate || config->certificate_file, key = config->key || config->key_file;
    if (config->token && strpbrk(config->token, "\r\n \t"))
        return fail(reader, tree_get(user, "token"), "token must be one word");
    if (certificate != key)
        return fail(reader, user, "a client certificate and its key are needed together; here is only the %s",
                    key ? "key" : "certificate");
    if (config->exec.api_version && (config->token || config->token_file || certificate))
        return fail(reader, user, "exec beside a token or client certificate: keep the one that counts");
    return 0;
}

static int read_user(struct reader *reader, const struct tree_node *user)
{
    struct kube_config *config = &reader->config;
    const struct tree_node *exec = tree_get(user, "exec");
    if (refuse_in_user(reader, user) || take_text(reader, user, "token", &config->token) ||
        take_path(reader, user, "tokenFile", &config->token_file) ||
        take_pem(reader, user, "client-certificate-data", "CERTIFICATE", &config->certificate) ||
        take_path(reader, user, "client-certificate", &config->certificate_file) ||
        take_pem(reader, user, "client-key-data", "PRIVATE KEY", &config->key) ||
        take_path(reader, user, "client-key", &config->key_file))
        return -1;
    if (exec && !tree_is_null(exec) && read_exec(reader, exec))
        return -1;
    return check_user(reader, user);
}

/* The whole */

static int read_context(struct reader *reader, const struct tree_node *root, const char *name)
{
    const struct tree_node *context, *entry;
    const char *cluster, *user;
    if (find_entry(reader, root, "contexts", "context", name, &context) ||
        get_text(reader, context, "cluster", &cluster) || get_text(reader, context, "user", &user) ||
        take_text(reader, context, "namespace", &reader->config.namespace_name))
        return -1;
    if (!cluster)
        return fail(reader, context, "the context \"%.100s\" names no cluster", name);
    if (!reader->config.namespace_name && !(reader->config.namespace_name = strdup("default")))
        return no_memory(reader);
    if (find_entry(reader, root, "clusters", "cluster", cluster, &entry) || read_cluster(reader, entry))
        return -1;
    if (!user)
        return 0; /* nobody in particular: a proxy on loopback */
    return find_entry(reader, root, "users", "user", user, &entry) || read_user(reader, entry) ? -1 : 0;
}

static int read_root(struct reader *reader, const struct tree_node *root, const char *context)
{
    const char *kind, *current;
    struct kube_config *config = &reader->config;
    if (root->kind != TREE_MAP)
        return fail(reader, root, "a kubeconfig is a map with clusters, users and contexts, not %s",
                    tree_kind_name(root));
    if (get_text(reader, root, "kind", &kind) || get_text(reader, root, "current-context", &current))
        return -1;
    if (kind && strcmp(kind, "Config"))
        return fail(reader, tree_get(root, "kind"), "kind is \"%.60s\", but a kubeconfig's is Config", kind);
    context = context ? context : current;
    if (!context)
        return fail(reader, root, "there is no current-context; name one");
    config->source = strdup(reader->source);
    config->exec.arguments = calloc(KUBECONFIG_EXEC_ARGUMENTS_MAX + 1, sizeof(char *));
    config->exec.variables = calloc(KUBECONFIG_EXEC_VARIABLES_MAX + 1, sizeof(char *));
    if (!config->source || !config->exec.arguments || !config->exec.variables)
        return no_memory(reader);
    return read_context(reader, root, context);
}

/* The arena's copies of what may be secret. libyaml's own buffers are beyond our reach. */
static void forget(const struct tree_node *node)
{
    for (; node; node = node->next) {
        if (node->kind == TREE_SCALAR)
            explicit_bzero((char *)(uintptr_t)node->text, strlen(node->text));
        forget(node->first);
    }
}

static bool is_blank(const char *text, size_t length)
{
    bool comment = false;
    for (size_t i = 0; i < length; i++) {
        comment = text[i] == '#' || (comment && text[i] != '\n');
        if (!comment && !strchr(" \t\r\n", text[i]))
            return false;
    }
    return true;
}

int kubeconfig_parse(const char *text, size_t length, const char *source, const char *folder,
                     const char *context, struct kube_config *out, struct error *err)
{
    struct reader reader = {.source = source, .folder = folder, .err = err};
    struct spec_source file = {source, text, length};
    struct arena arena;
    if (length > KUBECONFIG_BYTES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "%s: more than %d bytes", source, KUBECONFIG_BYTES_MAX);
    if (is_blank(text, length))
        return error_set(err, ERROR_INVALID,
                         "%s:1:1: there is nothing in it; a kubeconfig has clusters, users and contexts",
                         source);
    struct spec_problems *problems = calloc(1, sizeof *problems);
    if (!problems)
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", source);
    arena_init(&arena, KUBECONFIG_ARENA_BYTES);
    struct tree_node *root = tree_read(&file, &arena, problems);
    int failed = -1;
    if (problems->count)
        error_set(err, ERROR_INVALID, "%s:%d:%d: %s", source, problems->items[0].mark.line,
                  problems->items[0].mark.column, problems->items[0].message);
    else if (root)
        failed = read_root(&reader, root, context);
    else
        error_set(err, ERROR_INVALID, "%s: no kubeconfig", source);
    forget(root);
    arena_finish(&arena);
    free(problems);
    if (failed)
        kube_config_finish(&reader.config);
    else
        *out = reader.config;
    return failed;
}
