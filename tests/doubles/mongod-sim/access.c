/* Authorization by roles. Only roles that come with the server exist here. */
#include "access.h"

#include "auth.h"
#include "sim.h"
#include "users.h"

#include <string.h>

#define BIT(need) (1u << (need))

enum {
    MONITOR = BIT(ACCESS_STATUS) | BIT(ACCESS_MONITOR),
    MANAGER = BIT(ACCESS_STATUS) | BIT(ACCESS_REPLSET) | BIT(ACCESS_MANAGE),
    ALL = ~BIT(ACCESS_INTERNAL),
};

/* On its own database, or for an `any` role, which stands on admin, on all but local and config. */
static const struct role {
    const char *name;
    unsigned own, any;
} roles[] = {
    {"read", BIT(ACCESS_READ), 0},
    {"readWrite", BIT(ACCESS_READ) | BIT(ACCESS_WRITE), 0},
    {"dbAdmin", 0, 0},
    {"userAdmin", BIT(ACCESS_USERS), 0},
    {"dbOwner", BIT(ACCESS_READ) | BIT(ACCESS_WRITE) | BIT(ACCESS_USERS), 0},
    {"clusterMonitor", 0, MONITOR},
    {"clusterManager", 0, MANAGER},
    {"hostManager", 0, BIT(ACCESS_HOST)},
    {"clusterAdmin", 0, MONITOR | MANAGER | BIT(ACCESS_HOST)},
    {"readAnyDatabase", 0, BIT(ACCESS_READ)},
    {"readWriteAnyDatabase", 0, BIT(ACCESS_READ) | BIT(ACCESS_WRITE)},
    {"userAdminAnyDatabase", 0, BIT(ACCESS_USERS)},
    {"dbAdminAnyDatabase", 0, 0},
    {"backup", 0, BIT(ACCESS_READ)},
    {"restore", 0, BIT(ACCESS_WRITE)},
    {"root", 0, ALL},
};

static const struct role *role_find(const char *name)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(roles[i].name, name))
            return &roles[i];
    return NULL;
}

bool access_role_exists(const char *role)
{
    return role_find(role) != NULL;
}

static bool role_gives(const bson_t *entry, enum access needed, const char *db)
{
    const struct role *role = role_find(get_text(entry, "role", ""));
    const char *role_db = get_text(entry, "db", "");
    bool closed = !strcmp(db, "local") || !strcmp(db, "config");
    if (!role)
        return false;
    if (!strcmp(role_db, db) && (role->own & BIT(needed)))
        return true;
    if (strcmp(role_db, "admin") != 0 || !(role->any & BIT(needed)))
        return false;
    return !closed || !strcmp(role->name, "root") || !strcmp(role->name, "backup") ||
           (needed != ACCESS_READ && needed != ACCESS_WRITE);
}

static bool user_may(const bson_t *user, enum access needed, const char *db)
{
    bson_iter_t it, child;
    bson_t entry;
    if (needed == ACCESS_LOGIN)
        return true;
    if (!user || !bson_iter_init_find(&it, user, "roles") || !bson_iter_recurse(&it, &child))
        return false;
    while (bson_iter_next(&child))
        if (iter_document(&child, &entry) && role_gives(&entry, needed, db))
            return true;
    return false;
}

bool access_localhost_exception(struct request *request)
{
    char peer[100];
    request_peer_name(request, peer, sizeof peer);
    return (!strncmp(peer, "127.0.0.1:", 10) || !strncmp(peer, "[::1]:", 6)) && !users_exist(request->sim);
}

/* The exception is enough to begin a set and to make the first user, on admin. */
static bool exception_gives(const struct request *request, enum access needed)
{
    return needed == ACCESS_STATUS || needed == ACCESS_REPLSET ||
           (needed == ACCESS_USERS && !strcmp(request->name, "createUser") &&
            !strcmp(request->message.db, "admin"));
}

static bool session_may(const struct request *request, const struct auth_session *session, enum access needed)
{
    for (int i = 0; i < session->count; i++) {
        const struct auth_login *l = &session->logins[i];
        if (user_may(user_find(request->sim, l->user, l->db), needed, request->message.db))
            return true;
    }
    return false;
}

/* Users are read and written by their own commands alone, as far as roles go. */
static bool names_users(const struct request *request)
{
    return !strcmp(request->message.db, "admin") &&
           !strcmp(get_text(&request->message.body, request->name, ""), "system.users");
}

bool access_allows(struct request *request, enum access needed)
{
    struct sim *sim = request->sim;
    const struct auth_session *session = request_auth(request);
    if (!sim->auth_on || needed == ACCESS_OPEN || !session || auth_is_internal(session))
        return true;
    bool local = access_localhost_exception(request);
    if (session->count == 0 && !local) {
        request_fail(request, CODE_UNAUTHORIZED, "%s %s requires authentication",
                     sim_is_old(sim) ? "command" : "Command", request->name);
        return false;
    }
    if (names_users(request))
        needed = needed == ACCESS_READ ? ACCESS_USERS : ACCESS_INTERNAL;
    if ((local && exception_gives(request, needed)) || session_may(request, session, needed))
        return true;
    request_fail(request, CODE_UNAUTHORIZED, "not authorized on %s to execute command { %s }",
                 request->message.db, request->name);
    return false;
}
