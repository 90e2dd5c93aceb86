/* atoll connection-string: print what a driver or mongosh connects with. */
#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"

static int print(const struct json *set, const char *name)
{
    struct error err;
    const char *text = json_get_text(set, "connectionString", "");
    if (!*text) {
        error_set(&err, ERROR_NOT_FOUND, "set %s has no connection string yet: no member has an address", name);
        return console_fail(&err, "`atoll explain SET` says what it waits for");
    }
    struct buffer out;
    buffer_init(&out, 0);
    text_escape(text, &out);
    buffer_append_text(&out, "\n");
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

int command_connection_string(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    struct buffer path;
    const char *name = invocation_argument(invocation, 0);
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    buffer_init(&path, 0);
    buffer_append_text(&path, "/status/sets/");
    path_append(&path, name);
    struct json *set = remote_get(&remote, buffer_text(&path), &err);
    int status;
    if (set) {
        status = print(set, name);
    } else {
        error_wrap(&err, "asking for the connection string of %s", name);
        status = console_fail(&err, err.code == ERROR_NOT_FOUND ? "`atoll status` shows what there is" : NULL);
    }
    json_destroy(set);
    buffer_finish(&path);
    remote_close(&remote);
    return status;
}
