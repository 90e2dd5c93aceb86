/* The command line, mongod's as far as the stand-in has it. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "proto/base/error.h"
#include "tls.h"

#include <stdbool.h>
#include <stdint.h>

enum { BIND_ADDRESSES_MAX = 16 };

struct options {
    int port;             /* 27017 */
    const char *bind_ip;  /* comma-separated; "localhost" */
    const char *dbpath;   /* "/data/db" */
    const char *set_name; /* --replSet; NULL: no replication, which the stand-in refuses */
    const char *log_path; /* NULL: stdout */
    bool log_append;
    const char *key_file; /* NULL: no authentication */
    bool auth;            /* --auth: implied by --keyFile */
    struct tls_options tls;
    bool help;
    bool version;
    int server_version;  /* the major version that is played: 4 (4.0.3) or 7 (7.0.14) */
    int initial_sync_ms; /* the least time that an initial sync takes */
    uint64_t seed;       /* 0: from the clock and the process id */
};

/* Fills `options` from argv, whose strings it keeps pointing at. Any unknown option, missing or bad value is
 * an error. */
int options_parse(struct options *options, int argc, char **argv, struct error *err);

/* The text of --help, and the versions that the played server reports. */
extern const char options_help[];
const char *options_version_text(const struct options *options);

#endif
