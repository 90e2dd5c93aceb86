/* The sentences about the Compute API that people read: see decide.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "zone-agent/gce/decide.h"

static const struct {
    const char *disk, *address;
    bool lasting;
    const char *advice;
} problems[] = {
#define X(name, disk, address, lasting, advice) {disk, address, lasting, advice},
    COMPUTE_PROBLEMS(X)
#undef X
};

static const char *const doing[] = {
#define X(name, text) text,
    COMPUTE_TASKS(X)
#undef X
};

bool compute_task_is_address(enum compute_task_kind kind)
{
    return kind == COMPUTE_ADDRESS_READ || kind == COMPUTE_ADDRESS_ENSURE;
}

/* "creating disk mongodb-disk1 (200 GiB pd-ssd) in zone us-east1-b of project prod" */
static const char *subject(const struct compute_task *task, struct arena *arena)
{
    char region[COMPUTE_NAME_MAX + 1], size[64] = "";
    if (compute_task_is_address(task->kind))
        return arena_printf(arena, "%s %s in region %s of project %s", doing[task->kind], task->name,
                            compute_region(task->zone, region) ? region : task->zone, task->project);
    if (task->size_bytes > 0)
        snprintf(size, sizeof size, " (%" PRId64 " GiB%s%.40s)", compute_size_gb(task->size_bytes),
                 *task->type ? " " : "", task->type);
    return arena_printf(arena, "%s %s%s in zone %s of project %s", doing[task->kind], task->name, size,
                        task->zone, task->project);
}

struct compute_problem compute_problem_make(const struct compute_task *task, enum compute_problem_kind kind,
                                            int status, const char *why, struct arena *arena)
{
    struct compute_problem problem = {
        .kind = kind,
        .code = compute_task_is_address(task->kind) ? problems[kind].address : problems[kind].disk,
        .message = arena_printf(arena, "%s: %s; to do: %s", subject(task, arena), why, problems[kind].advice),
        .lasting = problems[kind].lasting,
        .status = status,
    };
    return problem;
}

bool compute_region(const char *zone, char region[COMPUTE_NAME_MAX + 1])
{
    const char *dash = strrchr(zone, '-');
    if (!dash || dash == zone || !dash[1] || dash - zone > COMPUTE_NAME_MAX)
        return false;
    memcpy(region, zone, (size_t)(dash - zone));
    region[dash - zone] = '\0';
    return true;
}
