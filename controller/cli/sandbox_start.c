/* The steps of `atoll sandbox up` before there is a controller: see sandbox_start.h. */
#include "controller/cli/sandbox_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/sandbox_clusters.h"
#include "proto/base/file.h"
#include "proto/base/pki.h"

enum { LOCK_FD = 3 };

/* Three zones, as in the founding description: rod, jane and freddy. Elections after two seconds instead of
 * ten: nothing lies between these zones. */
static const char default_spec[] =
    "apiVersion: atoll/v1\n"
    "kind: Federation\n"
    "metadata: {name: sandbox}\n"
    "spec:\n"
    "  zones:\n"
    "    - {name: us-east1-b, driver: local}\n"
    "    - {name: us-central1-f, driver: local}\n"
    "    - {name: europe-west1-d, driver: local}\n"
    "  sets:\n"
    "    - name: mongo\n"
    "      image: mongo:7.0\n"
    "      storage: {size: 10Gi}\n"
    "      settings: {electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500}\n"
    "      members:\n"
    "        - {zone: us-east1-b, labels: {instance: rod}}\n"
    "        - {zone: us-central1-f, labels: {instance: jane}}\n"
    "        - {zone: europe-west1-d, labels: {instance: freddy}}\n";

int sandbox_prepare(const char *dir, int *lock_fd, bool *healthy_before, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    if (lstat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return error_set(err, ERROR_REFUSED, "%s is no directory; give another with --dir", dir);
    if (sandbox_is_foreign(dir))
        return error_set(err, ERROR_REFUSED,
                         "%s holds files that no sandbox made; give an empty or a new directory with --dir",
                         dir);
    if (file_make_folders(dir, 0700, err))
        return error_wrap(err, "making the sandbox's directory");
    if (stat(dir, &st) || st.st_uid != geteuid())
        return error_set(err, ERROR_REFUSED, "%s belongs to another user; give another directory with --dir",
                         dir);
    if (chmod(dir, 0700))
        return error_set_errno(err, errno, "making %s private", dir);
    if (sandbox_lock(dir, lock_fd, err))
        return -1;
    if (sandbox_path(path, dir, "healthy", err))
        return close(*lock_fd), -1;
    *healthy_before = access(path, F_OK) == 0;
    return 0;
}

/* Every zone of a sandbox is on this machine, but for clusters that were named. Those need no project: claims
 * of the cluster's default class do, and nobody has to pay for disks that a sandbox leaves. */
static void make_zone_local(struct spec_zone *zone, const struct sandbox *sandbox)
{
    bool cluster = *sandbox_kubeconfig(sandbox, zone->name);
    zone->driver = cluster ? "kubernetes" : "local";
    if (cluster) {
        zone->project = "";
        zone->namespace_ = SANDBOX_NAMESPACE;
    }
}

static int check_clusters(const struct spec *spec, const struct sandbox *sandbox, struct error *err)
{
    for (size_t i = 0; i < sandbox->cluster_count; i++)
        if (!spec_find_zone(spec, sandbox->clusters[i].zone))
            return error_set(err, ERROR_INVALID, "--kubeconfig names zone %s, which the spec doesn't have",
                             sandbox->clusters[i].zone);
    return 0;
}

int sandbox_fit_spec(const struct sandbox *sandbox, struct spec_files *files, struct error *err)
{
    struct spec_zone *zones = arena_array(&files->arena, files->spec.zone_count, sizeof *zones);
    size_t changed = 0;
    if (files->spec.zone_count && !zones)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %zu zones", files->spec.zone_count);
    for (size_t i = 0; i < files->spec.zone_count; i++) {
        zones[i] = files->spec.zones[i];
        make_zone_local(&zones[i], sandbox);
        changed += strcmp(zones[i].driver, files->spec.zones[i].driver) != 0;
    }
    files->spec.zones = zones;
    files->rewritten = changed || sandbox->cluster_count;
    if (sandbox->cluster_count)
        files->spec.name = sandbox->id;
    if (changed)
        console_say("The driver of %zu zone%s becomes local: a sandbox runs on this machine alone.", changed,
                    changed == 1 ? "" : "s");
    return check_clusters(&files->spec, sandbox, err);
}

static struct spec_files *fitted(struct spec_files *files, const struct sandbox *sandbox, struct error *err)
{
    if (!files || sandbox_fit_spec(sandbox, files, err) == 0)
        return files;
    spec_files_destroy(files);
    return NULL;
}

/* One member in each cluster. Whoever can reach a sandbox's Services may: it is for trying things out. */
static void write_cluster_spec(const struct sandbox *sandbox, struct buffer *out)
{
    buffer_printf(out, "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: %s}\nspec:\n  zones:\n",
                  sandbox->id);
    for (size_t i = 0; i < sandbox->cluster_count; i++)
        buffer_printf(out, "    - {name: %s, driver: kubernetes, namespace: %s}\n", sandbox->clusters[i].zone,
                      SANDBOX_NAMESPACE);
    buffer_append_text(out, "  sets:\n    - name: mongo\n      image: mongo:7.0\n      storage: {size: 1Gi}\n"
                            "      settings: {electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500}\n"
                            "      sourceRanges: [0.0.0.0/0]\n      members:\n");
    for (size_t i = 0; i < sandbox->cluster_count; i++)
        buffer_printf(out, "        - {zone: %s}\n", sandbox->clusters[i].zone);
}

struct spec_files *sandbox_spec(const char *file, const struct sandbox *sandbox, struct error *err)
{
    if (file)
        return fitted(spec_files_read_one(file, err), sandbox, err);
    if (!sandbox->cluster_count)
        return spec_files_from_text("the built-in spec", default_spec, err);
    struct buffer text;
    buffer_init(&text, 0);
    write_cluster_spec(sandbox, &text);
    struct spec_files *files = spec_files_from_text("the built-in spec", buffer_text(&text), err);
    buffer_finish(&text);
    return files;
}

static int add_zone(struct sandbox *sandbox, const char *name, struct error *err)
{
    for (size_t i = 0; i < sandbox->zone_count; i++)
        if (strcmp(sandbox->zones[i], name) == 0)
            return 0;
    if (sandbox->zone_count == SANDBOX_ZONES_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a sandbox has at most %d zones", SANDBOX_ZONES_MAX);
    snprintf(sandbox->zones[sandbox->zone_count++], NAME_LENGTH_MAX + 1, "%s", name);
    return 0;
}

/* A Unix socket's path has room for 107 bytes, and each zone has one. */
static int check_length(const char *dir, const struct sandbox *sandbox, struct error *err)
{
    for (size_t i = 0; i < sandbox->zone_count; i++) {
        size_t length = strlen(dir) + strlen("/zones/") + strlen(sandbox->zones[i]) + strlen("/control.sock");
        if (length >= sizeof((struct sockaddr_un *)0)->sun_path)
            return error_set(
                err, ERROR_INVALID,
                "the path of %s is too long for the control socket of zone %s; give a shorter --dir", dir,
                sandbox->zones[i]);
    }
    return 0;
}

static int make_folders(const char *dir, const struct sandbox *sandbox, struct error *err)
{
    char path[PATH_MAX], name[NAME_LENGTH_MAX + 8];
    if (sandbox_path(path, dir, "logs", err) || file_make_folders(path, 0700, err) ||
        sandbox_path(path, dir, "controller", err) || file_make_folders(path, 0700, err))
        return -1;
    for (size_t i = 0; i < sandbox->zone_count; i++) {
        snprintf(name, sizeof name, "zones/%s", sandbox->zones[i]);
        if (sandbox_path(path, dir, name, err) || file_make_folders(path, 0700, err))
            return -1;
    }
    return 0;
}

int sandbox_load(const char *dir, const struct invocation *invocation, struct sandbox *out, struct error *err)
{
    *out = (struct sandbox){.zone_count = 0};
    if (sandbox_exists(dir) && sandbox_read(dir, out, err))
        return -1;
    return sandbox_take_kubeconfigs(invocation, out, err);
}

/* What opens the CA's key; kept as long as the sandbox. */
static int make_passphrase(const char *dir, struct error *err)
{
    enum { PASSPHRASE_BYTES = 32 };
    char path[PATH_MAX], text[2 * PASSPHRASE_BYTES + 1];
    if (sandbox_path(path, dir, SANDBOX_PASSPHRASE_FILE, err) || pki_random_text(PASSPHRASE_BYTES, text, err))
        return -1;
    int result = access(path, F_OK) == 0 ? 0 : file_replace(path, text, strlen(text), 0600, err);
    explicit_bzero(text, sizeof text);
    return result;
}

int sandbox_plan(const char *dir, const char *mongod, const struct spec_files *spec, struct sandbox *sandbox,
                 struct error *err)
{
    char path[PATH_MAX];
    int result = 0;
    for (size_t i = 0; spec && result == 0 && i < spec->spec.zone_count; i++)
        result = add_zone(sandbox, spec->spec.zones[i].name, err);
    if (result == 0 && sandbox->cluster_count < sandbox->zone_count) /* a cluster's members run the image */
        result = sandbox_choose_mongod(mongod, sandbox->mongod, err);
    /* What a controller before this one wrote must not be taken for the new one's. */
    if (result == 0)
        result = check_length(dir, sandbox, err) || make_folders(dir, sandbox, err) ||
                         make_passphrase(dir, err) ||
                         sandbox_path(path, dir, "controller/control-url", err) ||
                         file_remove_tree(path, err) || sandbox_write(dir, sandbox, err)
                     ? -1
                     : 0;
    return result ? error_wrap(err, "preparing the sandbox in %s", dir) : 0;
}

/* In the child: nothing is left of the terminal and the caller's descriptors but the log and the lock. */
static void become_supervisor(const char *program, const char *dir, int log_fd, int lock_fd)
{
    char number[16];
    snprintf(number, sizeof number, "%d", LOCK_FD);
    const char *const arguments[] = {"atoll", "sandbox",   "supervise", "--dir",
                                     dir,     "--lock-fd", number,      NULL};
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number_of = 1; number_of < 32; number_of++)
        signal(number_of, SIG_DFL);
    setsid();
    umask(077);
    /* Out of the way of the numbers that they go to; dup2() clears close-on-exec. */
    log_fd = fcntl(log_fd, F_DUPFD, 10);
    lock_fd = fcntl(lock_fd, F_DUPFD, 10);
    if (null < 0 || chdir("/") || dup2(null, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 ||
        dup2(lock_fd, LOCK_FD) < 0)
        _exit(126);
    close_range(LOCK_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);  /* at the exec: who waits at the pipe hears of it */
    execv(program, (char *const *)(uintptr_t)arguments); /* execv() changes none of them */
    _exit(127);
}

/* Returns when the child is the supervisor by its command line: before, nobody who stops a sandbox's
 * processes finds it. */
static pid_t fork_supervisor(const char *program, const char *dir, int log_fd, int lock_fd)
{
    int ends[2];
    char nothing;
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become_supervisor(program, dir, log_fd, lock_fd);
    int saved = errno;
    close(ends[1]);
    while (pid > 0 && read(ends[0], &nothing, 1) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    errno = saved;
    return pid;
}

int sandbox_start_supervisor(const char *dir, int lock_fd, struct error *err)
{
    char program[PATH_MAX], path[PATH_MAX];
    if (sandbox_program("atoll-controller", program, err) ||
        sandbox_program("atoll-zone-agent", program, err) || sandbox_program("atoll", program, err) ||
        sandbox_path(path, dir, "supervisor.log", err))
        return -1;
    int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log_fd < 0)
        return error_set_errno(err, errno, "opening %s", path);
    pid_t pid = fork_supervisor(program, dir, log_fd, lock_fd);
    int saved = errno;
    close(log_fd);
    return pid < 0 ? error_set_errno(err, saved, "starting the sandbox's supervisor") : 0;
}
