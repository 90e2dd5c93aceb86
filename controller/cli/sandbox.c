/* A sandbox as it lies on disk: see sandbox.h. */
#include "controller/cli/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "proto/base/json.h"

enum { LOCK_TRIES = 20, LOCK_PAUSE_US = 10000 };

int sandbox_path(char path[PATH_MAX], const char *dir, const char *name, struct error *err)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    if (length < 0 || length >= PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the path of the sandbox is longer than %d bytes",
                         PATH_MAX - 1);
    return 0;
}

/* realpath() for a path whose end need not exist. */
static int canonical(const char *given, char path[PATH_MAX], struct error *err)
{
    if (realpath(given, path))
        return 0;
    if (errno != ENOENT)
        return error_set_errno(err, errno, "looking at the directory %s", given);
    char parent[PATH_MAX], above[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", given);
    size_t length = strlen(parent);
    while (length > 1 && parent[length - 1] == '/')
        parent[--length] = '\0';
    char *slash = strrchr(parent, '/');
    const char *name = slash ? slash + 1 : parent;
    if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0 || !*name)
        return error_set(err, ERROR_INVALID, "the directory %s does not exist; name one without . and ..",
                         given);
    char last[NAME_MAX + 1];
    if (strlen(name) > NAME_MAX)
        return error_set(err, ERROR_INVALID, "the directory's name is longer than %d bytes", NAME_MAX);
    memcpy(last, name, strlen(name) + 1);
    if (slash)
        slash[slash == parent] = '\0';
    if (canonical(slash ? parent : ".", above, err))
        return -1;
    return sandbox_path(path, strcmp(above, "/") == 0 ? "" : above, last, err);
}

int sandbox_folder(const char *given, char path[PATH_MAX], struct error *err)
{
    char fallback[PATH_MAX];
    const char *env = getenv("ATOLL_SANDBOX_DIR"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const char *dir = given && *given ? given : env && *env ? env : NULL;
    if (!dir && state && *state == '/')
        snprintf(fallback, sizeof fallback, "%s/atoll/sandbox", state);
    else if (!dir && home && *home == '/')
        snprintf(fallback, sizeof fallback, "%s/.local/state/atoll/sandbox", home);
    else if (!dir)
        return error_set(err, ERROR_INVALID, "HOME is not set, so the sandbox has no place; give --dir DIR");
    dir = dir ? dir : fallback;
    if (strlen(dir) >= PATH_MAX)
        return error_set(err, ERROR_INVALID, "the directory's path is longer than %d bytes", PATH_MAX - 1);
    if (canonical(dir, path, err))
        return -1;
    if (strcmp(path, "/") == 0)
        return error_set(err, ERROR_INVALID, "/ can't be a sandbox's directory; give --dir DIR");
    return 0;
}

bool sandbox_exists(const char *dir)
{
    char path[PATH_MAX];
    return sandbox_path(path, dir, "sandbox.json", NULL) == 0 && access(path, F_OK) == 0;
}

bool sandbox_is_running(const char *dir)
{
    char path[PATH_MAX];
    if (sandbox_path(path, dir, "lock", NULL))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

/* One try. A lock whose file was removed meanwhile is none: `sandbox down` takes the file away with the rest.
 */
static int try_lock(const char *path, int *out)
{
    struct stat held, named;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
        held.st_ino == named.st_ino)
        return *out = fd, 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int sandbox_lock(const char *dir, int *fd, struct error *err)
{
    char path[PATH_MAX];
    if (sandbox_path(path, dir, "lock", err))
        return -1;
    /* Somebody who only looks whether it is held holds it for a moment: hence more than one try. */
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (try_lock(path, fd) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != ENOENT)
            return error_set_errno(err, errno, "locking %s", path);
        usleep(LOCK_PAUSE_US);
    }
    return error_set(err, ERROR_CONFLICT, "the sandbox in %s is locked by another process", dir);
}

static int read_zones(const struct json *json, struct sandbox *out, struct error *err)
{
    const struct json *zones;
    if (json_read_array(json, "zones", JSON_REQUIRED, SANDBOX_ZONES_MAX, &zones, err))
        return -1;
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone)) {
        const char *name = json_text(zone);
        if (!name || !*name || strlen(name) > NAME_LENGTH_MAX || strchr(name, '/') || *name == '.')
            return error_set(err, ERROR_INVALID, "zones has something that is no zone's name");
        snprintf(out->zones[out->zone_count++], NAME_LENGTH_MAX + 1, "%s", name);
    }
    return 0;
}

static int read_clusters(const struct json *json, struct sandbox *out, struct error *err)
{
    const struct json *clusters = json_get(json, "clusters");
    snprintf(out->id, sizeof out->id, "%s", json_get_text(json, "id", ""));
    for (const struct json *each = json_first(clusters); each; each = json_next(each)) {
        const char *zone = json_key(each), *path = json_text(each);
        if (!path || strlen(zone) > NAME_LENGTH_MAX || strlen(path) >= SANDBOX_KUBECONFIG_MAX ||
            out->cluster_count == SANDBOX_CLUSTERS_MAX)
            return error_set(err, ERROR_INVALID, "clusters has something that is no zone's kubeconfig");
        struct sandbox_cluster *cluster = &out->clusters[out->cluster_count++];
        snprintf(cluster->zone, sizeof cluster->zone, "%s", zone);
        snprintf(cluster->kubeconfig, sizeof cluster->kubeconfig, "%s", path);
    }
    return 0;
}

static int read_marker(const struct json *json, struct sandbox *out, struct error *err)
{
    int64_t listen_port = 0, read_port = 0;
    const char *mongod = json_get_text(json, "mongod", "");
    if (strcmp(json_get_text(json, "kind", ""), "Sandbox") != 0 || (*mongod && *mongod != '/') ||
        strlen(mongod) >= PATH_MAX)
        return error_set(err, ERROR_INVALID, "it is no sandbox's marker");
    if (json_read_int(json, "listenPort", JSON_OPTIONAL, 0, 65535, &listen_port, err) ||
        json_read_int(json, "readPort", JSON_OPTIONAL, 0, 65535, &read_port, err) ||
        read_zones(json, out, err))
        return -1;
    if (read_clusters(json, out, err))
        return -1;
    snprintf(out->mongod, sizeof out->mongod, "%s", mongod);
    out->listen_port = (int)listen_port;
    out->read_port = (int)read_port;
    return 0;
}

int sandbox_read(const char *dir, struct sandbox *out, struct error *err)
{
    char path[PATH_MAX];
    struct buffer text;
    if (sandbox_path(path, dir, "sandbox.json", err))
        return -1;
    *out = (struct sandbox){0};
    buffer_init(&text, 0);
    int result = file_read(path, SANDBOX_FILE_MAX, &text, err);
    struct json *json = result ? NULL : json_parse(buffer_text(&text), text.length, SANDBOX_FILE_MAX, err);
    result = json ? read_marker(json, out, err) : -1;
    json_destroy(json);
    buffer_finish(&text);
    return result ? error_wrap(err, "reading %s", path) : 0;
}

int sandbox_write(const char *dir, const struct sandbox *sandbox, struct error *err)
{
    char path[PATH_MAX];
    struct buffer text;
    if (sandbox_path(path, dir, "sandbox.json", err))
        return -1;
    struct json *json = json_object(), *zones = json_array();
    json_set_string(json, "apiVersion", "atoll/v1");
    json_set_string(json, "kind", "Sandbox");
    json_set_string(json, "mongod", sandbox->mongod);
    json_set_int(json, "listenPort", sandbox->listen_port);
    json_set_int(json, "readPort", sandbox->read_port);
    for (size_t i = 0; i < sandbox->zone_count; i++)
        json_append(zones, json_string(sandbox->zones[i]));
    json_set(json, "zones", zones);
    if (sandbox->cluster_count) {
        struct json *clusters = json_set(json, "clusters", json_object());
        json_set_string(json, "id", sandbox->id);
        for (size_t i = 0; i < sandbox->cluster_count; i++)
            json_set_string(clusters, sandbox->clusters[i].zone, sandbox->clusters[i].kubeconfig);
    }
    buffer_init(&text, 0);
    int result = json_print(json, JSON_PRETTY, &text, err);
    if (result == 0)
        result =
            buffer_append_text(&text, "\n") || file_replace(path, text.data, text.length, 0600, err) ? -1 : 0;
    json_destroy(json);
    buffer_finish(&text);
    return result;
}

int sandbox_url(const char *dir, char *url, size_t size, struct error *err)
{
    char path[PATH_MAX];
    struct buffer text;
    if (sandbox_path(path, dir, "controller/control-url", err))
        return -1;
    buffer_init(&text, 0);
    int result = file_read(path, 4096, &text, err);
    if (result == 0) {
        size_t length = strcspn(buffer_text(&text), "\r\n");
        if (length == 0 || length >= size)
            result = error_set(err, ERROR_NOT_FOUND, "%s holds no URL", path);
        else
            snprintf(url, size, "%.*s", (int)length, buffer_text(&text));
    }
    buffer_finish(&text);
    return result;
}

static bool is_ours(const char *name)
{
#define X(file)                                                                                              \
    if (strcmp(name, file) == 0)                                                                             \
        return true;
    SANDBOX_FILES(X)
#undef X
    return false;
}

static bool has_foreign_files(const char *dir)
{
    DIR *folder = opendir(dir);
    bool foreign = false;
    for (struct dirent *entry; folder && !foreign && (entry = readdir(folder));)
        foreign =
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !is_ours(entry->d_name);
    if (folder)
        closedir(folder);
    return foreign;
}

bool sandbox_is_foreign(const char *dir)
{
    DIR *folder = sandbox_exists(dir) ? NULL : opendir(dir);
    bool foreign = false;
    /* A lock alone is what a start leaves that was killed before it wrote its marker. */
    for (struct dirent *entry; folder && !foreign && (entry = readdir(folder));)
        foreign = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                  strcmp(entry->d_name, "lock") != 0;
    if (folder)
        closedir(folder);
    return foreign;
}

int sandbox_remove(const char *dir, size_t *removed, bool *foreign, struct error *err)
{
    static const char *const names[] = {
#define X(file) file,
        SANDBOX_FILES(X)
#undef X
    };
    char path[PATH_MAX];
    *removed = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sandbox_path(path, dir, names[i], err))
            return -1;
        struct stat st;
        *removed += lstat(path, &st) == 0;
        if (file_remove_tree(path, err))
            return error_wrap(err, "removing %s", path);
    }
    *foreign = has_foreign_files(dir);
    if (!*foreign && rmdir(dir) && errno != ENOENT)
        return error_set_errno(err, errno, "removing %s", dir);
    return 0;
}
