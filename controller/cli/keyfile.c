/* atoll keyfile rotate: exchange a set's keyfile. */
#include <stdio.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"

int command_keyfile_rotate(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    struct reply reply;
    struct buffer path;
    const char *name = invocation_argument(invocation, 0);
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/sets/");
    path_append(&path, name);
    buffer_append_text(&path, "/keyfile:rotate");
    int result =
        remote_call(&remote, &(struct request){.method = "POST", .path = buffer_text(&path)}, &reply, &err);
    if (result == 0) {
        result = reply_check(&reply, &err);
        reply_finish(&reply);
    }
    buffer_finish(&path);
    remote_close(&remote);
    if (result) {
        error_wrap(&err, "exchanging the keyfile of %s", name);
        return console_fail(&err, NULL);
    }
    console_say(
        "The keyfile of %s is exchanged, member by member; `atoll explain %s` says how far it is. If "
        "the keyfile may have been read by somebody, run it once more when this has ended: its second "
        "key was in the same file.",
        name, name);
    return 0;
}
