/* atoll connection-string: print what a driver or mongosh connects with. */
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"

/* Its name and password go before the hosts. Both are letters, digits and dashes, so that nothing needs an
 * escape. */
static void append_with_admin(const char *text, const struct json *admin, struct buffer *out)
{
    static const char scheme[] = "mongodb://";
    if (!admin || strncmp(text, scheme, strlen(scheme)) != 0) {
        text_escape(text, out);
        return;
    }
    buffer_append_text(out, scheme);
    text_escape(json_get_text(admin, "user", ""), out);
    buffer_append_text(out, ":");
    text_escape(json_get_text(admin, "password", ""), out);
    buffer_append_text(out, "@");
    text_escape(text + strlen(scheme), out);
    buffer_append_text(out, "&authSource=admin");
}

/* Members' certificates are of the same CA as the controller's. */
static void append_trust(const struct remote *remote, const struct json *set, struct buffer *out)
{
    if (!json_get_bool(set, "tls", false) || !*remote->ca_file)
        return;
    buffer_append_text(out, "&tlsCAFile=");
    path_append(out, remote->ca_file);
}

static int print(const struct remote *remote, const struct json *set, const struct json *admin,
                 const char *name)
{
    struct error err;
    const char *text = json_get_text(set, "connectionString", "");
    if (!*text) {
        error_set(&err, ERROR_NOT_FOUND, "set %s has no connection string yet: no member has an address",
                  name);
        return console_fail(&err, "`atoll explain SET` says what it waits for");
    }
    struct buffer out;
    buffer_init(&out, 0);
    append_with_admin(text, admin, &out);
    append_trust(remote, set, &out);
    buffer_append_text(&out, "\n");
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

static struct json *ask_for_admin(struct remote *remote, const char *name, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/sets/");
    path_append(&path, name);
    buffer_append_text(&path, "/admin");
    struct json *admin = remote_get(remote, buffer_text(&path), err);
    buffer_finish(&path);
    return admin;
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
    bool with_password = invocation_has(invocation, "with-password");
    if (set && with_password && !json_get_bool(set, "auth", true)) {
        console_say("Set %s says auth: off: it has no users, and the connection string needs no password.",
                    name);
        with_password = false;
    }
    struct json *admin = set && with_password ? ask_for_admin(&remote, name, &err) : NULL;
    int status;
    if (set && (admin || !with_password)) {
        status = print(&remote, set, admin, name);
    } else {
        error_wrap(&err, "asking for the connection string of %s", name);
        status =
            console_fail(&err, err.code == ERROR_NOT_FOUND ? "`atoll status` shows what there is" : NULL);
    }
    json_destroy(set);
    json_destroy(admin);
    buffer_finish(&path);
    remote_close(&remote);
    return status;
}
