/* Which controller a command speaks to: --controller, --dir, ATOLL_CONTROLLER, ATOLL_SANDBOX_DIR, the current
 * context of
 * ~/.config/atoll/config.yaml, or the sandbox that runs; the first that is there. */
#ifndef ATOLL_CLI_CONTEXT_H
#define ATOLL_CLI_CONTEXT_H

#include "controller/cli/command.h"
#include "controller/cli/remote.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

/* Opens the controller that the command means. On success the caller closes it. ERROR_UNREACHABLE when none
 * is known. */
int context_open(const struct invocation *invocation, struct remote *remote, struct error *err);
/* The same for a sandbox's directory. */
int context_dial_sandbox(const char *dir, const char *url, struct remote *remote,
                         struct error *err); /* whose URL is known */
int context_open_sandbox(const char *dir, struct remote *remote, struct error *err);

#endif
