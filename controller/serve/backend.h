/* What those who serve ask of the controller: a table of functions, so that they know none of its insides. */
#ifndef ATOLL_CONTROLLER_SERVE_BACKEND_H
#define ATOLL_CONTROLLER_SERVE_BACKEND_H

#include "config/spec_read.h"
#include "controller/serve/view.h"
#include "proto/keyfile.h"

struct spec_request {
    struct spec_source source;
    int64_t if_match; /* the revision that it was made on; -1: any */
    bool dry_run;
    bool keep_access; /* refuse a change of who may read or speak (tls, access, auth): those are an admin's */
};

struct spec_outcome {
    struct arena arena; /* of the problems */
    struct spec_problems problems;
    struct buffer diff; /* a line each */
    int64_t revision;   /* in force afterwards */
    bool changed;       /* or, in a dry run, would be */
};

void spec_outcome_init(struct spec_outcome *outcome);
void spec_outcome_finish(struct spec_outcome *outcome);

struct zone_answer {
    int64_t epoch;
    bool report_wanted;
    bool keys_wanted; /* the zone has keyfiles that this controller has lost */
};

/* See the functions of the same names in controller.h. */
struct backend {
    void *context;
    void (*view)(void *context, struct federation_view *out);
    int (*apply_spec)(void *context, const struct spec_request *request, struct spec_outcome *outcome,
                      struct error *err);
    int (*report)(void *context, const char *zone, const struct report *report, struct zone_answer *out,
                  struct error *err);
    int (*heartbeat)(void *context, const char *zone, const struct heartbeat *heartbeat,
                     struct zone_answer *out, struct error *err);
    int (*watch)(void *context, const char *zone, int64_t revision, const struct intent **out,
                 struct error *err);
    struct intent (*bookmark)(void *context, const char *zone);
    int (*journal)(void *context, const char *set, struct buffer *out, struct error *err);
    int (*rotate_keyfile)(void *context, const char *set, struct error *err);
    int (*admin)(void *context, const char *set, char password[KEYFILE_KEY_MAX], struct error *err);
};

#endif
