/* What to do with what the Compute API says: pure, as rows that are looked through in order. */
#ifndef ATOLL_GCE_DECIDE_H
#define ATOLL_GCE_DECIDE_H

#include "proto/base/arena.h"
#include "zone-agent/gce/compute.h"
#include "zone-agent/gce/operation.h"

/* What a task asks for; a task walks READ -> (INSERT, LABEL, GROW) -> POLL -> READ … until the READ is what
 * it wants. */
#define COMPUTE_ASKS(X)                                                                                      \
    X(ASK_READ, "read")                                                                                      \
    X(ASK_INSERT, "insert")                                                                                  \
    X(ASK_LABEL, "label")                                                                                    \
    X(ASK_GROW, "grow")                                                                                      \
    X(ASK_POLL, "poll")

enum compute_ask {
#define X(name, text) name,
    COMPUTE_ASKS(X)
#undef X
};

#define COMPUTE_NEXTS(X)                                                                                     \
    X(NEXT_TAKE, "take")     /* what was asked for came: the resource, or an operation */                    \
    X(NEXT_ABSENT, "absent") /* there is none */                                                             \
    X(NEXT_READ, "read")     /* it is not as we thought: look again at once */                               \
    X(NEXT_RETRY, "retry")   /* the same request again, with the same request id, later */                   \
    X(NEXT_ANEW,                                                                                             \
      "anew") /* look again later; what is asked for then is another attempt, with a fresh request id */     \
    X(NEXT_TOKEN, "token") /* the same request again with another token */                                   \
    X(NEXT_STOP, "stop")   /* trying again is no use before somebody has changed something */

enum compute_next {
#define X(name, text) name,
    COMPUTE_NEXTS(X)
#undef X
};

struct verdict {
    enum compute_next next;
    enum compute_problem_kind problem; /* of RETRY, ANEW, TOKEN, STOP */
};

/* Of an HTTP answer; `status` 0: nobody answered. `reason` as in struct refusal. */
struct verdict decide_reply(enum compute_ask ask, int status, const char *reason);

/* Of an operation's error; `status` 0 when not said. */
struct verdict decide_operation(const char *code, int status);

/* What to do about a disk or address that is there. */
#define COMPUTE_FITS(X)                                                                                      \
    X(FIT_TAKE, "take")                                                                                      \
    X(FIT_WAIT, "wait")   /* it is being made: look again later */                                           \
    X(FIT_LABEL, "label") /* give it the labels that it lacks */                                             \
    X(FIT_GROW, "grow")                                                                                      \
    X(FIT_REFUSE, "refuse")

enum compute_fit_kind {
#define X(name, text) name,
    COMPUTE_FITS(X)
#undef X
};

struct compute_fit {
    enum compute_fit_kind kind;
    enum compute_problem_kind problem; /* of REFUSE and WAIT */
    const char *why;                   /* a clause, of REFUSE and WAIT: "it belongs to …" */
    bool unmarked;                     /* it bears no mark of ours */
};

struct compute_fit decide_disk(const struct compute_task *task, const struct compute_disk *disk,
                               struct arena *arena);
struct compute_fit decide_address(const struct compute_task *task, const struct compute_address *address,
                                  const char *description, struct arena *arena);

/* All labels that the disk must bear: what it has, the owner's, the task's. `out` has room for
 * COMPUTE_LABELS_MAX; -1 (ERROR_TOO_LARGE) when that is not enough. */
int decide_labels(const struct compute_task *task, const struct compute_disk *disk, struct arena *arena,
                  struct key_value *out, size_t *count, struct error *err);

/* Whole GiB, rounded up. */
int64_t compute_size_gb(int64_t size_bytes);

/* An address' mark. */
const char *compute_description(const struct compute_owner *owner, struct arena *arena);

/* The sentence for people: what was being done, to what, what went wrong (`why`, a clause), what to do next.
 */
struct compute_problem compute_problem_make(const struct compute_task *task, enum compute_problem_kind kind,
                                            int status, const char *why, struct arena *arena);

bool compute_task_is_address(enum compute_task_kind kind);

#endif
