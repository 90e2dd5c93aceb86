/* A sandbox as it lies on disk: one directory with everything below it.
 *
 *   DIR/sandbox.json    the marker, and what must survive a restart: ports, mongod, zones in their order
 *   DIR/lock            flocked by the supervisor as long as the sandbox runs
 *   DIR/url             the reading listener's URL; DIR/control-url the main one's
 *   DIR/healthy         it has come up once, so its data may matter to someone
 *   DIR/supervisor.log  DIR/logs/  what supervisor and daemons said
 *   DIR/controller/     DIR/zones/ZONE/   the state of the daemons
 */
#ifndef ATOLL_CLI_SANDBOX_H
#define ATOLL_CLI_SANDBOX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"
#include "proto/model.h"

enum {
    SANDBOX_ZONES_MAX = 254, /* zone Z has the addresses 127.0.Z.N */
    SANDBOX_LISTEN_PORT = 7411,
    SANDBOX_READ_PORT = 7410,
    SANDBOX_FILE_MAX = 1 << 20,
    SANDBOX_CLUSTERS_MAX = 32,
    SANDBOX_KUBECONFIG_MAX = 1024,
    SANDBOX_ID_MAX = 32,
};

/* Below DIR: the CA that its controller's certificate is of, the key and certificate of its admin, what opens
 * the CA's key; and below a zone's folder the token that its agent enrols with, and the certificate by which
 * one sees that it has. */
#define SANDBOX_CA_FILE "controller/ca.pem"
#define SANDBOX_ADMIN_FILE "controller/admin.pem"
#define SANDBOX_PASSPHRASE_FILE "controller/ca-passphrase"
#define SANDBOX_JOIN_TOKEN_FILE "join-token"
#define SANDBOX_IDENTITY_FILE "identity.pem"

/* Where the members of a sandbox are in the user's own clusters. */
#define SANDBOX_NAMESPACE "default"

/* Names directly below DIR that a sandbox makes; nothing else is ever removed. */
#define SANDBOX_FILES(X)                                                                                     \
    X("controller")                                                                                          \
    X("zones")                                                                                               \
    X("logs")                                                                                                \
    X("control-url")                                                                                         \
    X("url")                                                                                                 \
    X("healthy")                                                                                             \
    X("supervisor.log")                                                                                      \
    X("supervisor.log.1")                                                                                    \
    X("sandbox.json")                                                                                        \
    X("lock")

/* A zone that is a cluster of the user's own. */
struct sandbox_cluster {
    char zone[NAME_LENGTH_MAX + 1];
    char kubeconfig[SANDBOX_KUBECONFIG_MAX]; /* absolute */
};

struct sandbox {
    char mongod[PATH_MAX];      /* absolute; "" where all zones are clusters, whose members run the image */
    int listen_port, read_port; /* 0: not chosen yet */
    char zones[SANDBOX_ZONES_MAX]
              [NAME_LENGTH_MAX + 1]; /* the place gives the zone's number; never reordered */
    size_t zone_count;
    struct sandbox_cluster clusters[SANDBOX_CLUSTERS_MAX];
    size_t cluster_count;
    char id[SANDBOX_ID_MAX]; /* with clusters: the federation's name, which all that is made there bears; else
                                "" */
};

/* The directory that is meant: `given`, $ATOLL_SANDBOX_DIR or the default; absolute, without links. Need not
 * exist. */
int sandbox_folder(const char *given, char path[PATH_MAX], struct error *err);
/* Appends to a directory's path; -1 when it gets too long. */
int sandbox_path(char path[PATH_MAX], const char *dir, const char *name, struct error *err);

bool sandbox_exists(const char *dir);     /* its marker is there */
bool sandbox_is_running(const char *dir); /* somebody holds its lock */

/* Takes the lock for this process and whoever inherits `*fd` (it is closed on exec). ERROR_CONFLICT when it
 * is held. */
int sandbox_lock(const char *dir, int *fd, struct error *err);

int sandbox_read(const char *dir, struct sandbox *out, struct error *err);
int sandbox_write(const char *dir, const struct sandbox *sandbox, struct error *err);

/* The running controller's main URL. ERROR_NOT_FOUND while it isn't known. */
int sandbox_url(const char *dir, char *url, size_t size, struct error *err);

/* Removes what a sandbox makes, and the directory when that leaves it empty; `removed` counts what was there.
 * With foreign files in it the directory stays, and *foreign is true. */
int sandbox_remove(const char *dir, size_t *removed, bool *foreign, struct error *err);
/* Whether the directory holds something and no sandbox. */
bool sandbox_is_foreign(const char *dir);

/* The program of this name beside the one that runs. */
int sandbox_program(const char *name, char path[PATH_MAX], struct error *err);

/* A loopback port that can be listened on: one of those that are wanted (0 is none), else any. 0 when there
 * is none. */
int sandbox_free_port(int wanted, int second, int not_this);

#endif
