/* The command line of atoll-controller. */
#ifndef ATOLL_CONTROLLER_OPTIONS_H
#define ATOLL_CONTROLLER_OPTIONS_H

#include "controller/act/die_at.h"
#include "controller/credentials.h"
#include "proto/base/log.h"

enum { ADDRESS_MAX = 64, EGRESS_MAX = 16 };

struct endpoint {
    bool on;
    char address[ADDRESS_MAX];
    int port;
};

struct options {
    const char *dir, *backup, *restore; /* the latter two NULL: run */
    bool overwrite;
    struct endpoint listen, read_listen;
    enum log_level level;
    const char *egress[EGRESS_MAX];
    size_t egress_count;
    bool tls_off;
    const char *passphrase_file, *admin_file; /* NULL: not given */
    const char *names[CREDENTIALS_NAMES_MAX]; /* by which people and agents reach it */
    size_t name_count;
    struct die_at die_at; /* for tests alone, so it is not in `usage` */
};

/* Strings belong to argv. -1 after having said what is wrong; ends the program after --help and --version. */
int options_read(int argc, char **argv, struct options *out);

#endif
