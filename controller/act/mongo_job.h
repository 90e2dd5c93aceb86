/* One action under way: between mongo_pool.c, which queues it, and mongo.c, which performs it. Internal to
 * these two. */
#ifndef ATOLL_CONTROLLER_ACT_MONGO_JOB_H
#define ATOLL_CONTROLLER_ACT_MONGO_JOB_H

#include "controller/act/mongo.h"
#include "proto/keyfile.h"

struct mongo_job {
    struct arena arena; /* of everything below */
    const char *set;
    struct action action;
    char password[KEYFILE_KEY_MAX], admin_password[KEYFILE_KEY_MAX]; /* "": none */
    const char *ca_file;                                             /* "": plain */
    int64_t queued_at_ms;                                            /* monotonic */
    bool began;                                                      /* the command itself was sent */
    struct error err;
    struct mongo_result result;
};

/* Does it, on any thread, and fills in the result; takes some 20 s at most. */
void mongo_perform(struct mongo_job *job);

/* Once for the process each. */
void mongo_driver_init(void);
void mongo_driver_finish(void);

#endif
