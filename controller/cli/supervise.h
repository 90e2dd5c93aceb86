/* What the parts of the sandbox's supervisor share: sandbox_supervise.c (lifecycle), supervise_child.c (one
 * daemon). */
#ifndef ATOLL_CLI_SUPERVISE_H
#define ATOLL_CLI_SUPERVISE_H

#include <uv.h>

#include "controller/cli/sandbox.h"
#include "proto/base/http_client.h"

enum {
    RESTART_FIRST_MS = 250,
    RESTART_MOST_MS = 10000, /* the first restart is at once */
    STEADY_MS = 60 * 1000,   /* a daemon that ran so long is restarted at once again */
    STOP_PATIENCE_MS = 5000, /* from SIGTERM to SIGKILL */
    URL_POLL_MS = 50,        /* until the controller has written its URL */
    HOUSEKEEPING_MS = 2000,
    LOG_BYTES_MAX = 16 << 20, /* of one log; an older part of that size is kept beside it */
    CHILD_ARGUMENTS_MAX = 24,
};

struct supervisor;

/* A daemon that is kept running. */
struct child {
    struct supervisor *supervisor;
    const char *zone; /* NULL: the controller */
    int number;       /* of the zone, from 1 */
    uv_process_t process;
    uv_timer_t restart;
    bool running;
    bool asking;      /* for a join token */
    int64_t token_ms; /* when the join token that is there was got; 0: not by this supervisor */
    unsigned failures;
    int64_t started_ms;
};

struct supervisor {
    uv_loop_t loop;
    char dir[PATH_MAX];
    char controller_program[PATH_MAX], agent_program[PATH_MAX];
    struct sandbox sandbox;
    struct child controller;
    struct child *agents[SANDBOX_ZONES_MAX];
    size_t agent_count;
    uv_signal_t terminate, interrupt;
    uv_timer_t url_poll, housekeeping, kill;
    struct http_client *http;
    bool asking; /* for the spec, whose new zones get agents */
    bool stopping;
};

/* Names a child in the log. */
const char *child_name(const struct child *child);
/* Starts it; when that fails, or when it ends later, it is started again with backoff until the supervisor
 * stops. */
void child_start(struct child *child);
void child_start_after(struct child *child, int64_t delay_ms);
void child_stop(struct child *child, int signal_number);
/* Takes up a new child; it isn't started yet. */
void child_init(struct supervisor *supervisor, struct child *child, const char *zone, int number);

/* Called by a child. Before the controller is started: its ports must be free. After any has ended. */
void supervisor_settle_ports(struct supervisor *supervisor);
void supervisor_controller_started(struct supervisor *supervisor);
void supervisor_child_ended(struct supervisor *supervisor);

/* Keeps a log below LOG_BYTES_MAX: what is above goes to NAME.1. Works on a log that is being written (in
 * append mode). */
void log_bound(const char *path);
/* The log of a child: DIR/logs/NAME.log. */
int child_log_path(const struct child *child, char path[PATH_MAX], struct error *err);

/* Asks the controller as its admin. NULL while it can't be asked. In supervise_trust.c, as the rest of how
 * agents enrol. */
struct http_call *
supervisor_ask(struct supervisor *supervisor, const char *method, const char *path, const char *body,
               void (*done)(void *context, const struct http_answer *answer, const struct error *err),
               void *context, struct error *err);
int supervisor_zone_path(const struct child *child, const char *name, char out[PATH_MAX], struct error *err);
/* False when the agent has neither a certificate nor a token: then a token is got, and child_start() is
 * called again. */
bool supervisor_may_start(struct child *child);
void supervisor_enrol_anew(
    struct child *child); /* an agent ended: one that hasn't enrolled gets another token */
void supervisor_look_at_identity(struct child *child); /* a used token is removed; an agent without a
                                                          certificate of the CA gets another one */

/* Asks the controller for the spec, and starts agents for zones that are new in it. In supervise_zones.c. */
void supervisor_look_for_zones(struct supervisor *supervisor);
/* Adds an agent. In sandbox_supervise.c. */
int supervisor_add_zone(struct supervisor *supervisor, const char *zone, struct error *err);

#endif
