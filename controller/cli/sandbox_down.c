/* atoll sandbox down: stop a sandbox and remove every trace of it, whatever state a crash left it in. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/processes.h"
#include "controller/cli/sandbox.h"
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
    } order[] = {{PROCESS_SUPERVISOR, DAEMON_PATIENCE_MS}, {PROCESS_DAEMON, DAEMON_PATIENCE_MS}, {PROCESS_MEMBER, MEMBER_PATIENCE_MS}};
    size_t left = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct stopped some = processes_stop(dir, order[i].kind, order[i].patience_ms);
        ended->members += order[i].kind == PROCESS_MEMBER ? some.asked : 0;
        ended->any = ended->any || some.asked;
        left += some.left;
    }
    return left ? error_set(err, ERROR_INTERNAL, "%zu processes of the sandbox in %s could not be ended", left, dir) : 0;
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

static int remove_files(const char *dir, const struct ended *ended, struct error *err)
{
    size_t removed = 0;
    bool foreign = false;
    int lock_fd = -1;
    bool others = sandbox_is_foreign(dir); /* no sandbox, but somebody's files */
    if (!others && access(dir, F_OK) == 0 && (sandbox_lock(dir, &lock_fd, err) || sandbox_remove(dir, &removed, &foreign, err))) {
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
        printf("Stopped the sandbox and its %zu members, removed %s%s.\n", ended->members, foreign ? "its files from " : "", dir);
    if (foreign)
        console_say("%s stays: other files are in it.", dir);
    return 0;
}

int command_sandbox_down(const struct invocation *invocation)
{
    struct error err;
    char dir[PATH_MAX];
    struct ended ended = {0};
    if (sandbox_folder(invocation_text(invocation, "dir"), dir, &err) || stop_all(dir, &ended, &err) || remove_files(dir, &ended, &err)) {
        if (err.code == ERROR_CONFLICT)
            return console_fail(&err, "Another `atoll sandbox up` or `down` is at work there; try again when it has ended");
        return console_fail(&err, NULL);
    }
    return fflush(stdout) ? EXIT_NEGATIVE : EXIT_DONE;
}
