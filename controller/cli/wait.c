/* atoll wait: wait until a set has come to a condition. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/waiting.h"
#include "proto/model.h"

/* The phases of a set that the status document can have. */
static const char *const phases[] = {
    "Provisioning",  "Initiating", "Joining",  "Reconfiguring", "Healthy", "Degraded", "QuorumLost",
    "AddressesLost", "RollingOut", "Drilling", "Restoring",     "Removed", NULL};

static int read_condition(const char *text, struct condition *out, struct error *err)
{
    if (strcmp(text, "primary") == 0)
        out->primary = true;
    if (strncmp(text, "phase=", 6) != 0)
        return 0;
    for (size_t i = 0; phases[i]; i++)
        if (strcasecmp(phases[i], text + 6) == 0)
            return out->phase = phases[i], 0;
    return error_set(err, ERROR_INVALID,
                     "there is no phase \"%s\": it is Provisioning, Initiating, Joining, Reconfiguring, "
                     "Healthy, Degraded, QuorumLost, "
                     "AddressesLost, RollingOut, Drilling, Restoring or Removed",
                     text + 6);
}

int command_wait(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    const char *text = invocation_text(invocation, "for");
    struct condition condition = {.set = invocation_argument(invocation, 0)};
    int64_t timeout_ms = invocation_number(invocation, "timeout", WAIT_DEFAULT_SECS) * 1000;
    if (read_condition(text, &condition, &err) || context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    int status = EXIT_DONE;
    if (wait_for(&remote, &condition, timeout_ms, NULL, &err) == 0) {
        console_say("Set %s: %s.", condition.set, text);
    } else {
        bool over = err.code == ERROR_TIMEOUT;
        char next[NAME_LENGTH_MAX + 64];
        snprintf(next, sizeof next, "`atoll explain %.*s` says why", NAME_LENGTH_MAX, condition.set);
        error_wrap(&err, "waiting for %s of set %s", text, condition.set);
        status = console_fail(&err, over ? next : NULL);
        status = over ? EXIT_NEGATIVE : status;
    }
    remote_close(&remote);
    return status;
}
