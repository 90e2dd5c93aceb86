/* What to do with what the Compute API says: see decide.h. */
#include "zone-agent/gce/decide.h"

#include <inttypes.h>
#include <string.h>

enum { ANY = -1, ANY_5XX = -5 };

/* ---- answers ---- */

struct reply_row {
    int ask;            /* enum compute_ask, or ANY */
    int status;         /* of HTTP, ANY, or ANY_5XX */
    const char *reason; /* NULL: any */
    struct verdict verdict;
};

/* The first row that fits is taken. Some limits of rate come as 403, and a disk that is still being made as
 * 400. */
static const struct reply_row reply_rows[] = {
    {ANY, 0, NULL, {NEXT_RETRY, COMPUTE_UNREACHABLE}},
    {ANY, 200, NULL, {NEXT_TAKE, 0}},
    {ANY, 401, NULL, {NEXT_TOKEN, COMPUTE_NO_TOKEN}},
    {ASK_READ, 404, NULL, {NEXT_ABSENT, 0}},
    {ASK_INSERT, 404, NULL, {NEXT_STOP, COMPUTE_INVALID}}, /* the project or the zone */
    {ANY, 404, NULL, {NEXT_READ, 0}},            /* gone meanwhile, or an operation that is forgotten */
    {ASK_INSERT, 409, NULL, {NEXT_READ, 0}},     /* alreadyExists: to be compared */
    {ANY, 409, NULL, {NEXT_ANEW, COMPUTE_BUSY}}, /* another operation is at work on it */
    {ASK_LABEL, 412, NULL, {NEXT_READ, 0}},      /* labels changed since they were read */
    {ANY, 429, NULL, {NEXT_RETRY, COMPUTE_BUSY}},
    {ANY, 408, NULL, {NEXT_RETRY, COMPUTE_BUSY}},
    {ANY, 403, "rateLimitExceeded", {NEXT_RETRY, COMPUTE_BUSY}},
    {ANY, 403, "userRateLimitExceeded", {NEXT_RETRY, COMPUTE_BUSY}},
    {ANY, 403, "quotaExceeded", {NEXT_STOP, COMPUTE_QUOTA}},
    {ANY, 403, NULL, {NEXT_STOP, COMPUTE_DENIED}},
    {ANY, 400, "resourceNotReady", {NEXT_ANEW, COMPUTE_BUSY}},
    {ANY, 400, "quotaExceeded", {NEXT_STOP, COMPUTE_QUOTA}},
    {ANY, 400, NULL, {NEXT_STOP, COMPUTE_INVALID}},
    {ANY, 413, NULL, {NEXT_STOP, COMPUTE_INVALID}},
    {ANY, ANY_5XX, "ZONE_RESOURCE_POOL_EXHAUSTED", {NEXT_ANEW, COMPUTE_STOCKOUT}},
    {ANY, ANY_5XX, NULL, {NEXT_RETRY, COMPUTE_BUSY}},
    {ANY, ANY, NULL, {NEXT_RETRY, COMPUTE_PROTOCOL}},
};

struct verdict decide_reply(enum compute_ask ask, int status, const char *reason)
{
    const struct reply_row *row = reply_rows;
    for (;; row++) {
        bool fits =
            row->status == ANY || row->status == status || (row->status == ANY_5XX && status / 100 == 5);
        if (fits && (row->ask == ANY || row->ask == (int)ask) &&
            (!row->reason || strcmp(row->reason, reason) == 0))
            return row->verdict;
    }
}

struct operation_row {
    const char *code; /* NULL: any */
    int status;       /* as above */
    struct verdict verdict;
};

/* A request id that began an operation gives that very operation again, with its error: so what is tried
 * again is another attempt. */
static const struct operation_row operation_rows[] = {
    {"QUOTA_EXCEEDED", ANY, {NEXT_STOP, COMPUTE_QUOTA}},
    {"ZONE_RESOURCE_POOL_EXHAUSTED", ANY, {NEXT_ANEW, COMPUTE_STOCKOUT}},
    {"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", ANY, {NEXT_ANEW, COMPUTE_STOCKOUT}},
    {"STOCKOUT", ANY, {NEXT_ANEW, COMPUTE_STOCKOUT}},
    {"INTERNAL_ERROR", ANY, {NEXT_ANEW, COMPUTE_BUSY}},
    {"RESOURCE_ALREADY_EXISTS", ANY, {NEXT_READ, 0}},
    {"RESOURCE_NOT_READY", ANY, {NEXT_ANEW, COMPUTE_BUSY}},
    {"RESOURCE_OPERATION_RATE_EXCEEDED", ANY, {NEXT_ANEW, COMPUTE_BUSY}},
    {"RATE_LIMIT_EXCEEDED", ANY, {NEXT_ANEW, COMPUTE_BUSY}},
    {"PERMISSIONS_ERROR", ANY, {NEXT_STOP, COMPUTE_DENIED}},
    {NULL, 429, {NEXT_ANEW, COMPUTE_BUSY}},
    {NULL, 409, {NEXT_READ, 0}},
    {NULL, 412, {NEXT_READ, 0}},
    {NULL, 401, {NEXT_ANEW, COMPUTE_DENIED}},
    {NULL, 403, {NEXT_STOP, COMPUTE_DENIED}},
    {NULL, 404, {NEXT_READ, 0}},
    {NULL, 400, {NEXT_STOP, COMPUTE_INVALID}},
    {NULL, ANY_5XX, {NEXT_ANEW, COMPUTE_BUSY}},
    {NULL, ANY, {NEXT_ANEW, COMPUTE_PROTOCOL}},
};

struct verdict decide_operation(const char *code, int status)
{
    const struct operation_row *row = operation_rows;
    for (;; row++) {
        bool fits =
            row->status == ANY || row->status == status || (row->status == ANY_5XX && status / 100 == 5);
        if (fits && (!row->code || strcmp(row->code, code) == 0))
            return row->verdict;
    }
}

/* ---- what is there ---- */

int64_t compute_size_gb(int64_t size_bytes)
{
    return size_bytes <= 0 ? 0 : (size_bytes - 1) / ((int64_t)1 << 30) + 1;
}

static const char *label_of(const struct compute_disk *disk, const char *key)
{
    for (size_t i = 0; i < disk->label_count; i++)
        if (strcmp(disk->labels[i].key, key) == 0)
            return disk->labels[i].value;
    return "";
}

static bool bears(const struct compute_disk *disk, const char *key, const char *value)
{
    return strcmp(label_of(disk, key), value) == 0;
}

/* The three labels that say whose it is. */
static void owner_labels(const struct compute_owner *owner, struct arena *arena, struct key_value out[3])
{
    out[0] = (struct key_value){COMPUTE_LABEL_FEDERATION, owner->federation};
    out[1] = (struct key_value){COMPUTE_LABEL_SET, owner->set};
    out[2] = (struct key_value){COMPUTE_LABEL_ORDINAL, arena_printf(arena, "%d", owner->ordinal)};
}

/* Whose a disk is, when it is another's: a clause; or NULL. */
static const char *other_owner(const struct compute_task *task, const struct compute_disk *disk,
                               struct arena *arena, bool *unmarked)
{
    struct key_value own[3];
    bool same = true;
    *unmarked = true;
    owner_labels(&task->owner, arena, own);
    for (int i = 0; i < 3; i++) {
        const char *has = label_of(disk, own[i].key);
        *unmarked &= !*has;
        same &= !*has || strcmp(has, own[i].value) == 0; /* a missing one is put back */
    }
    if (!same)
        return arena_printf(arena,
                            "it belongs to member %.20s of set %.63s in federation %.63s, as its labels say",
                            label_of(disk, COMPUTE_LABEL_ORDINAL), label_of(disk, COMPUTE_LABEL_SET),
                            label_of(disk, COMPUTE_LABEL_FEDERATION));
    if (*unmarked && !task->adopt)
        return arena_printf(
            arena, "a disk of this name exists (made by somebody else: it bears none of our labels)");
    return NULL;
}

static bool lacks_labels(const struct compute_task *task, const struct compute_disk *disk,
                         struct arena *arena)
{
    struct key_value own[3];
    owner_labels(&task->owner, arena, own);
    for (int i = 0; i < 3; i++)
        if (!bears(disk, own[i].key, own[i].value))
            return true;
    for (size_t i = 0; i < task->label_count; i++)
        if (!bears(disk, task->labels[i].key, task->labels[i].value))
            return true;
    return false;
}

static struct compute_fit refuse(enum compute_problem_kind problem, const char *why)
{
    return (struct compute_fit){.kind = FIT_REFUSE, .problem = problem, .why = why};
}

/* https://cloud.google.com/compute/docs/reference/rest/v1/disks : status */
static struct compute_fit decide_status(const struct compute_disk *disk, struct arena *arena)
{
    if (strcmp(disk->status, "READY") == 0)
        return (struct compute_fit){.kind = FIT_TAKE};
    if (strcmp(disk->status, "FAILED") == 0)
        return refuse(COMPUTE_BROKEN, "its creation failed, as Google says");
    if (strcmp(disk->status, "DELETING") == 0)
        return refuse(COMPUTE_FOREIGN, "somebody is deleting it");
    return (struct compute_fit){
        .kind = FIT_WAIT, .problem = COMPUTE_BUSY, .why = arena_printf(arena, "it is %.30s", disk->status)};
}

struct compute_fit decide_disk(const struct compute_task *task, const struct compute_disk *disk,
                               struct arena *arena)
{
    if (task->kind == COMPUTE_DISK_READ)
        return (struct compute_fit){.kind = FIT_TAKE};
    bool unmarked;
    int64_t wants_gb = compute_size_gb(task->size_bytes), has_gb = disk->size_bytes >> 30;
    const char *other = other_owner(task, disk, arena, &unmarked);
    if (other)
        return refuse(COMPUTE_FOREIGN, other);
    if (*task->type && strcmp(task->type, disk->type) != 0)
        return refuse(
            COMPUTE_MISMATCH,
            arena_printf(
                arena,
                "a disk of this name exists and is a %.40s, not a %.40s; a disk's type can't be changed",
                disk->type, task->type));
    struct compute_fit fit = decide_status(disk, arena);
    if (fit.kind == FIT_TAKE && lacks_labels(task, disk, arena))
        fit.kind = FIT_LABEL; /* before all else: it is ours from then on */
    else if (fit.kind == FIT_TAKE && wants_gb > has_gb)
        fit.kind = FIT_GROW; /* up alone: Google can't shrink one, and nor should we */
    fit.unmarked = unmarked;
    return fit;
}

const char *compute_description(const struct compute_owner *owner, struct arena *arena)
{
    return arena_printf(arena, "atoll: federation %s, set %s, member %d", owner->federation, owner->set,
                        owner->ordinal);
}

struct compute_fit decide_address(const struct compute_task *task, const struct compute_address *address,
                                  const char *description, struct arena *arena)
{
    if (task->kind == COMPUTE_ADDRESS_READ)
        return (struct compute_fit){.kind = FIT_TAKE};
    bool marked = strncmp(description, "atoll: ", 7) == 0;
    if (marked && strcmp(description, compute_description(&task->owner, arena)) != 0)
        return refuse(COMPUTE_FOREIGN,
                      arena_printf(arena, "it belongs to \"%s\"", compute_text(arena, description)));
    if (!marked && !task->adopt)
        return refuse(
            COMPUTE_FOREIGN,
            "an address of this name exists (reserved by somebody else: its description is not ours)");
    if (strcmp(address->status, "RESERVING") == 0 || !*address->address)
        return (struct compute_fit){.kind = FIT_WAIT, .problem = COMPUTE_BUSY, .why = "it is being reserved"};
    return (struct compute_fit){.kind = FIT_TAKE, .unmarked = !marked};
}

static int put_label(struct key_value *labels, size_t *count, struct key_value label, struct error *err)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(labels[i].key, label.key) == 0) {
            labels[i].value = label.value;
            return 0;
        }
    if (*count == COMPUTE_LABELS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the disk would have more than %d labels", COMPUTE_LABELS_MAX);
    labels[(*count)++] = label;
    return 0;
}

int decide_labels(const struct compute_task *task, const struct compute_disk *disk, struct arena *arena,
                  struct key_value *out, size_t *count, struct error *err)
{
    struct key_value own[3];
    *count = 0;
    owner_labels(&task->owner, arena, own);
    for (size_t i = 0; disk && i < disk->label_count; i++)
        if (put_label(out, count, disk->labels[i], err))
            return -1;
    for (size_t i = 0; i < task->label_count; i++)
        if (put_label(out, count, task->labels[i], err))
            return -1;
    for (size_t i = 0; i < 3; i++)
        if (put_label(out, count, own[i], err))
            return -1;
    return 0;
}
