/* atoll sandbox down: stop a sandbox and remove every trace of it, whatever state a crash left it in. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/processes.h"
#include "controller/cli/sandbox_clusters.h"
#include "proto/base/file.h"

/* Members need no time for a clean end: their data goes too. */
enum { DAEMON_PATIENCE_MS = 8000, MEMBER_PATIENCE_MS = 3000 };

struct ended {
    bool any;
    size_t members;
};

/* Who restarts others goes first. */
static int stop_all(const char *dir, struct ended *ended, struct error *err)
{
    static const struct {
        enum process_kind kind;
        int64_t patience_ms;
    } order[] = {{PROCESS_SUPERVISOR, DAEMON_PATIENCE_MS},
                 {PROCESS_DAEMON, DAEMON_PATIENCE_MS},
                 {PROCESS_MEMBER, MEMBER_PATIENCE_MS}};
    size_t left = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct stopped some = processes_stop(dir, order[i].kind, order[i].patience_ms);
        ended->members += order[i].kind == PROCESS_MEMBER ? some.asked : 0;
        ended->any = ended->any || some.asked;
        left += some.left;
    }
    return left ? error_set(err, ERROR_INTERNAL, "%zu processes of the sandbox in %s could not be ended",
                            left, dir)
                : 0;
}

/* The folder that only the default place has above it. */
static void remove_default_parent(const char *dir)
{
    char usual[PATH_MAX], parent[PATH_MAX];
    const char *given = getenv("ATOLL_SANDBOX_DIR");
    if ((given && *given) || sandbox_folder(NULL, usual, NULL) || strcmp(usual, dir) != 0)
        return;
    memcpy(parent, dir, strlen(dir) + 1);
    rmdir(dirname(parent)); /* stays when something else is in it */
}

/* Claims are data: somebody has to say so. */
static bool may_delete_disks(const struct invocation *invocation, const struct sandbox *sandbox)
{
    char answer[SANDBOX_ID_MAX + 2] = "";
    if (invocation_has(invocation, "yes"))
        return true;
    if (!console_is_terminal(STDIN_FILENO))
        return false;
    fprintf(stderr, "The claims of %s in %zu clusters, and their data, will be deleted. Type %s to confirm: ",
            sandbox->id, sandbox->cluster_count, sandbox->id);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    answer[strcspn(answer, "\n")] = 0;
    return strcmp(answer, sandbox->id) == 0;
}

static int clear_clusters(const char *dir, const struct invocation *invocation, struct error *err)
{
    size_t deleted, kept;
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    int result = 0;
    if (sandbox_exists(dir) && sandbox_read(dir, sandbox, NULL) == 0 && sandbox->cluster_count) {
        result = sandbox_clear_clusters(sandbox, may_delete_disks(invocation, sandbox), &deleted, &kept, err);
        console_say("Deleted %zu objects of %s from %zu clusters.", deleted, sandbox->id,
                    sandbox->cluster_count);
        if (kept)
            console_say("%zu claims are kept: kubectl delete pvc -l atoll.dev/federation=%s deletes them and "
                        "their data.",
                        kept, sandbox->id);
    }
    free(sandbox);
    return result;
}

static int remove_files(const char *dir, const struct ended *ended, struct error *err)
{
    size_t removed = 0;
    bool foreign = false;
    int lock_fd = -1;
    bool others = sandbox_is_foreign(dir); /* no sandbox, but somebody's files */
    if (!others && access(dir, F_OK) == 0 &&
        (sandbox_lock(dir, &lock_fd, err) || sandbox_remove(dir, &removed, &foreign, err))) {
        if (lock_fd >= 0)
            close(lock_fd);
        return -1;
    }
    if (lock_fd >= 0)
        close(lock_fd);
    remove_default_parent(dir);
    if (!ended->any && removed <= 1) /* the lock alone was made by this command itself */
        printf("There is no sandbox in %s; nothing to do.\n", dir);
    else
        printf("Stopped the sandbox and its %zu members, removed %s%s.\n", ended->members,
               foreign ? "its files from " : "", dir);
    if (foreign)
        console_say("%s stays: other files are in it.", dir);
    return 0;
}

/* Its processes are another user's too, and are left alone: without them going, neither may its files. */
static int check_owner(const char *dir, struct error *err)
{
    struct stat st;
    if (stat(dir, &st) == 0 && st.st_uid != geteuid() && (sandbox_exists(dir) || access(dir, R_OK | X_OK)))
        return error_set(err, ERROR_REFUSED,
                         "%s belongs to another user, who alone can take a sandbox there down", dir);
    return 0;
}

int command_sandbox_down(const struct invocation *invocation)
{
    struct error err;
    char dir[PATH_MAX];
    struct ended ended = {0};
    if (sandbox_folder(invocation_text(invocation, "dir"), dir, &err) || check_owner(dir, &err) ||
        stop_all(dir, &ended, &err) || clear_clusters(dir, invocation, &err) ||
        remove_files(dir, &ended, &err)) {
        if (err.code == ERROR_CONFLICT)
            return console_fail(
                &err, "Another `atoll sandbox up` or `down` is at work there; try again when it has ended");
        return console_fail(&err, NULL);
    }
    return fflush(stdout) ? EXIT_NEGATIVE : EXIT_DONE;
}
