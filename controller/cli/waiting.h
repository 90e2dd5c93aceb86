/* Waiting for the federation to come to a condition, with progress for whoever looks on. */
#ifndef ATOLL_CLI_WAITING_H
#define ATOLL_CLI_WAITING_H

#include "controller/cli/remote.h"

enum {
    WAIT_DEFAULT_SECS = 300,
    WAIT_POLL_MS = 250,
    WAIT_UNKNOWN_SET_MS = 5000, /* a set that was applied this moment may not be in the status yet */
};

struct condition {
    const char *set;   /* NULL: every set and zone */
    const char *phase; /* a phase of the set; NULL: `primary` says what */
    bool primary;      /* the set has one; false: healthy */
    bool reached;      /* and every zone's agent has done what the newest intent asks for */
    int64_t revision;  /* of the spec: an older status doesn't count; 0: any */
    bool patient;      /* the controller is known to be there: one that does not answer (yet) is waited for */
};

/* Whether the document fulfils the condition. Pure. */
bool condition_holds(const struct condition *condition, const struct json *document);

/* Asks for the status until the condition holds (0). -1: ERROR_TIMEOUT when the time is over, with what is
 * still waited for; ERROR_NOT_FOUND when there is no such set; ERROR_UNREACHABLE when the controller does not
 * answer at first, unless `patient`; ERROR_CANCELED when *interrupted (may be NULL) became non-zero. */
int wait_for(struct remote *remote, const struct condition *condition, int64_t timeout_ms,
             const volatile int *interrupted, struct error *err);

#endif
