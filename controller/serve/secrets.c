/* What an administrator asks about a set's secrets: the exchange of its keyfile, and its first
 * administrator's password. */
#include <string.h>

#include "controller/serve/site.h"

void serve_keyfile_rotate(struct exchange *exchange)
{
    struct error err = {0};
    if (exchange->site->backend.rotate_keyfile(exchange->site->backend.context, exchange->name, &err)) {
        answer_error(exchange, &err);
        return;
    }
    struct json *root = json_object();
    json_set_string(root, "set", exchange->name);
    json_set_string(root, "message", "the keyfile is exchanged, member by member");
    answer_json(exchange, 202, root, NULL);
    json_destroy(root);
}

void serve_admin(struct exchange *exchange)
{
    struct error err = {0};
    char password[KEYFILE_KEY_MAX];
    static const char *const headers[] = {"Cache-Control: no-store", NULL};
    if (exchange->site->backend.admin(exchange->site->backend.context, exchange->name, password, &err)) {
        answer_error(exchange, &err);
        return;
    }
    struct json *root = json_object();
    json_set_string(root, "user", KEYFILE_ADMIN_USER);
    json_set_string(root, "password", password);
    json_set_string(root, "authSource", "admin");
    answer_json(exchange, 200, root, headers);
    json_destroy(root);
    explicit_bzero(password, sizeof password);
}
