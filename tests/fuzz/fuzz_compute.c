/* What the agent reads from the Compute API and the metadata server. The first byte chooses: o an operation,
 * d a disk, a an address, t a token, anything else an HTTP answer whose status is the next three digits. No
 * body may crash it; whatever comes, something is decided, and the sentence about it is one printable line.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/gce/decide.h"
#include "zone-agent/gce/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct compute_task task = {
    .kind = COMPUTE_DISK_ENSURE,
    .project = "p",
    .zone = "us-east1-b",
    .name = "mongodb-disk1",
    .owner = {"prod", "mongo", 1},
    .size_bytes = (int64_t)200 << 30,
    .type = "pd-ssd",
    .adopt = true,
};

static void check_words(enum compute_problem_kind kind, const char *why, struct arena *arena)
{
    struct compute_problem problem = compute_problem_make(&task, kind, 0, why, arena);
    assert(strlen(problem.message) <= SENTENCE_LENGTH_MAX);
    for (const char *c = problem.message; *c; c++)
        assert((unsigned char)*c >= ' ');
}

static void try_disk(const struct json *json, struct arena *arena)
{
    struct compute_disk disk;
    struct error err;
    struct key_value labels[COMPUTE_LABELS_MAX];
    size_t count;
    if (compute_disk_read(json, "p", "us-east1-b", arena, &disk, &err))
        return;
    assert(disk.size_bytes > 0 && disk.label_count <= COMPUTE_LABELS_MAX);
    struct compute_fit fit = decide_disk(&task, &disk, arena);
    if (fit.kind == FIT_GROW) /* never smaller */
        assert(disk.size_bytes < task.size_bytes);
    if (fit.kind == FIT_REFUSE || fit.kind == FIT_WAIT)
        check_words(fit.problem, compute_text(arena, fit.why), arena);
    if (decide_labels(&task, &disk, arena, labels, &count, &err) == 0)
        assert(count >= 3 && count <= COMPUTE_LABELS_MAX);
}

static void try_address(const struct json *json, struct arena *arena)
{
    struct compute_address address;
    const char *description;
    struct error err;
    if (compute_address_read(json, arena, &address, &description, &err) == 0) {
        struct compute_fit fit = decide_address(&task, &address, description, arena);
        if (fit.kind == FIT_REFUSE)
            check_words(fit.problem, fit.why, arena);
    }
}

static void try_operation(const struct json *json, struct arena *arena)
{
    struct operation operation;
    struct error err;
    if (operation_read(json, arena, &operation, &err))
        return;
    assert(*operation.name && strlen(operation.name) <= OPERATION_NAME_MAX && !strchr(operation.name, '/'));
    if (*operation.error_code) {
        struct verdict verdict = decide_operation(operation.error_code, operation.error_status);
        assert(verdict.next != NEXT_TAKE); /* a failure is never taken for success */
        check_words(verdict.problem, operation.error_message, arena);
    }
}

static void try_reply(const char *text, size_t size, struct arena *arena)
{
    struct error err;
    char digits[4] = "";
    if (size < 3)
        return;
    memcpy(digits, text, 3);
    int status = atoi(digits);
    struct json *json = json_parse(text + 3, size - 3, COMPUTE_ANSWER_BYTES_MAX, &err);
    struct refusal refusal = refusal_read(json, arena);
    for (int ask = ASK_READ; ask <= ASK_POLL; ask++) {
        struct verdict verdict = decide_reply((enum compute_ask)ask, status, refusal.reason);
        assert(verdict.next != NEXT_TAKE || status == 200);
        check_words(verdict.problem, refusal.message, arena);
    }
    json_destroy(json);
}

static void try_token(const char *text, size_t size)
{
    char token[METADATA_TOKEN_MAX + 1];
    int64_t life_ms;
    struct error err;
    if (metadata_read(text, size, token, &life_ms, &err) == 0) {
        assert(*token && life_ms >= 1000);
        assert(!strpbrk(token, "\r\n ")); /* it becomes a header */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err;
    const char *text = (const char *)data + 1;
    if (size == 0)
        return 0;
    if (data[0] == 't') {
        try_token(text, size - 1);
        return 0;
    }
    arena_init(&arena, 16 << 20);
    struct json *json =
        strchr("oda", data[0]) ? json_parse(text, size - 1, COMPUTE_ANSWER_BYTES_MAX, &err) : NULL;
    if (json && data[0] == 'o')
        try_operation(json, &arena);
    else if (json && data[0] == 'd')
        try_disk(json, &arena);
    else if (json)
        try_address(json, &arena);
    else
        try_reply(text, size - 1, &arena);
    json_destroy(json);
    arena_finish(&arena);
    return 0;
}
