/* Which logins may do what: built-in roles against what a command needs.
 * https://www.mongodb.com/docs/manual/reference/built-in-roles/ */
#ifndef SIM_ACCESS_H
#define SIM_ACCESS_H

#include <stdbool.h>

struct request;

/* What a command needs. */
enum access {
    ACCESS_OPEN,  /* no login: handshakes and the like */
    ACCESS_LOGIN, /* any login */
    ACCESS_READ,  /* of the database */
    ACCESS_WRITE,
    ACCESS_USERS,    /* of the database's users */
    ACCESS_STATUS,   /* clusterMonitor, or the localhost exception */
    ACCESS_MONITOR,  /* clusterMonitor */
    ACCESS_REPLSET,  /* clusterManager, or the localhost exception */
    ACCESS_MANAGE,   /* clusterManager */
    ACCESS_HOST,     /* hostManager */
    ACCESS_INTERNAL, /* other members */
};

/* False after error 13 has been answered. */
bool access_allows(struct request *request, enum access needed);
/* True for a name of a built-in role. */
bool access_role_exists(const char *role);
/* The client is 127.0.0.1 or ::1, and no user exists yet. */
bool access_localhost_exception(struct request *request);

#endif
