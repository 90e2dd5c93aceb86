/* atoll sandbox status: like atoll status, for the sandbox. */
#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/sandbox.h"
#include "controller/cli/status.h"

int command_sandbox_status(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    char dir[PATH_MAX];
    if (sandbox_folder(invocation_text(invocation, "dir"), dir, &err) ||
        context_open_sandbox(dir, &remote, &err))
        return console_fail(&err, NULL);
    int status = status_show(&remote, NULL, invocation_text(invocation, "output"), NULL);
    remote_close(&remote);
    return status;
}
