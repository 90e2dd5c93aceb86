/* The command line of atoll-zone-agent. */
#ifndef ATOLL_ZONE_AGENT_OPTIONS_H
#define ATOLL_ZONE_AGENT_OPTIONS_H

/* What was given; NULL what was not. Strings belong to argv. */
struct settings {
    const char *dir, *zone, *controller, *driver, *subnet, *mongod, *log_level, *kubeconfig, *context,
        *namespace_, *compute_url, *join_token_file;
};

/* -1: go on; else the exit code, when all is said (--help, --version, bad usage). The log level is set on the
 * way. */
int options_read(int argc, char **argv, struct settings *out);

#endif
