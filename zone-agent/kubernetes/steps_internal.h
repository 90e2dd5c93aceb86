/* A step under way: the requests that it is made of, one after the other. Shared by steps.c (runs them),
 * step_plan.c (says which), foreign.c (what isn't ours), secret_looks.c and disk_source.c (those to the
 * Compute API). */
#ifndef ATOLL_KUBERNETES_STEPS_INTERNAL_H
#define ATOLL_KUBERNETES_STEPS_INTERNAL_H

#include "zone-agent/kubernetes/driver_internal.h"

enum { OPS_MAX = 8 };

enum op_kind {
    OP_DISK,      /* the Compute disk, before its PersistentVolume and claim */
    OP_DISK_GROW, /* one that is there: what is gone is a problem */
    OP_DISK_MARK,
    OP_ADDRESS, /* the reserved address, before its Service */
    OP_ENSURE,  /* looks, then applies if it is missing or ours */
    OP_MERGE,   /* a merge patch of what exists */
    OP_DELETE,
    OP_REMOVE, /* looks, then deletes what is ours: of a kind that isn't watched */
};

struct op {
    enum op_kind kind;
    enum object_kind object;
    bool shared;      /* by the set's members in this cluster */
    bool there;       /* amends what is there: what is gone is not made */
    bool again;       /* another look once what is under way is done */
    uint64_t version; /* of the object in the store when it was written */
    const char *name;
    const char *was; /* a Secret's resourceVersion before it was written; NULL: there was none */
    char path[OBJECT_PATH_MAX];
    struct json *body;
};

struct job {
    struct job *next;
    struct kube_driver *driver;
    uint64_t step_id, request;
    enum step_kind kind;
    struct arena arena;
    const struct intent_member *member; /* in the arena */
    const char *key, *ca;               /* of the step, as long as the job is planned */
    const char *what;                   /* "to create the Service of mongo-node1" */
    struct op ops[OPS_MAX];
    size_t op_count, at;
    char repair[SENTENCE_LENGTH_MAX]; /* what will have been undone of somebody's doing; "" */
    bool failed;
    struct error err;
};

/* step_plan.c: fills `ops` and `repair`. */
void job_plan(struct job *job, const struct scene *scene);

/* Goes on with the next operation; the last one ends the job. */
void job_next(struct job *job);
void job_fail(struct job *job, const struct error *err);
void job_end(struct job *job); /* with what is left of it undone */
/* What will have been undone of somebody's doing, for an event. */
void job_say_changed(struct job *job, enum object_kind kind, const char *name, const char *where);
void job_say_gone(struct job *job, enum object_kind kind, const char *name);

/* foreign.c */
void op_place(const struct op *op, const struct json *object,
              char out[256]); /* "Service default/mongo-svc-a" */
/* The step ends without an error: the conflict is a fact of the zone, which the rows and explain name. */
void job_tell_foreign(struct job *job, const struct op *op, const struct json *object);

/* secret_looks.c: `version` is the Secret's resourceVersion since it was written. */
void secrets_written(struct job *job, const struct op *op, const char *version);

#endif
