/* atoll journal: print the journal of a set, for `atoll replay`, for a colleague, or for tests/replay. */
#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/remote.h"

/* As it was served, a line an entry. */
static int fetch(struct remote *remote, const char *set, struct reply *reply, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/sets/");
    path_append(&path, set);
    buffer_append_text(&path, "/journal");
    int result = remote_call(remote, &(struct request){.path = buffer_text(&path)}, reply, err);
    buffer_finish(&path);
    if (result == 0 && reply_check(reply, err)) {
        reply_finish(reply);
        result = -1;
    }
    return result;
}

int command_journal(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    struct reply reply;
    const char *set = invocation_argument(invocation, 0);
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    int status;
    if (fetch(&remote, set, &reply, &err) == 0) {
        status = console_print(&reply.body);
        reply_finish(&reply);
    } else {
        error_wrap(&err, "reading the journal of %s", set);
        status =
            console_fail(&err, err.code == ERROR_NOT_FOUND ? "`atoll status` shows what there is" : NULL);
    }
    remote_close(&remote);
    return status;
}
