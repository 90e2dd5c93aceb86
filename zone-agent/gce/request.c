/* What is sent to the Compute API: addresses and bodies. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "zone-agent/gce/compute_internal.h"

enum { SIZE_GB_MAX = 65536 };

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* [a-z]([-a-z0-9]*[a-z0-9])?, 1 to 63 */
static bool is_name(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    return length >= 1 && length <= COMPUTE_NAME_MAX && strchr(LOWER, text[0]) && text[length - 1] != '-' &&
           !text[strspn(text, LOWER DIGITS "-")];
}

static bool is_project(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    return length >= 1 && length <= COMPUTE_PROJECT_MAX && !text[strspn(text, LOWER DIGITS "-.:")];
}

static bool is_label_value(const char *text)
{
    return text && strlen(text) <= 63 && !text[strspn(text, LOWER DIGITS "-_")];
}

static int check_labels(const struct compute_task *task, struct error *err)
{
    if (task->label_count > COMPUTE_LABELS_MAX - 3)
        return error_set(err, ERROR_TOO_LARGE, "disk %s: more than %d labels", task->name,
                         COMPUTE_LABELS_MAX - 3);
    for (size_t i = 0; i < task->label_count; i++) {
        const char *key = task->labels[i].key;
        if (!is_label_value(key) || !*key || !strchr(LOWER, key[0]) || !is_label_value(task->labels[i].value))
            return error_set(err, ERROR_INVALID,
                             "disk %s: label %.80s=%.80s: Google's labels have up to 63 lower-case letters, "
                             "digits, dashes and underscores",
                             task->name, key ? key : "", task->labels[i].value ? task->labels[i].value : "");
    }
    return 0;
}

static int check_owner(const struct compute_task *task, struct error *err)
{
    const struct compute_owner *owner = &task->owner;
    if (is_label_value(owner->federation) && *owner->federation && is_label_value(owner->set) &&
        *owner->set && owner->ordinal >= 1)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "%s: its federation and set must be of lower-case letters, digits, dashes and "
                     "underscores, as Google's labels are",
                     task->name);
}

static int check_disk(const struct compute_task *task, struct error *err)
{
    if (task->size_bytes < 0 || compute_size_gb(task->size_bytes) > SIZE_GB_MAX ||
        (task->kind == COMPUTE_DISK_ENSURE && task->size_bytes == 0))
        return error_set(err, ERROR_INVALID,
                         "disk %s: a size of %" PRId64 " bytes; Google's disks have 1 to %d GiB", task->name,
                         task->size_bytes, SIZE_GB_MAX);
    if (task->type && *task->type && !is_name(task->type))
        return error_set(err, ERROR_INVALID, "disk %s: \"%.80s\" is no disk type like pd-ssd", task->name,
                         task->type);
    return check_labels(task, err);
}

int request_check(const struct compute_task *task, struct error *err)
{
    char region[COMPUTE_NAME_MAX + 1];
    if (!is_name(task->name))
        return error_set(err, ERROR_INVALID,
                         "\"%.80s\" can't be a name in Google's cloud: 1 to %d lower-case letters, digits "
                         "and dashes, a letter first, no dash last",
                         task->name ? task->name : "", COMPUTE_NAME_MAX);
    if (!is_project(task->project))
        return error_set(err, ERROR_INVALID, "%s: \"%.80s\" is no project's id", task->name,
                         task->project ? task->project : "");
    if (!is_name(task->zone) || !compute_region(task->zone, region))
        return error_set(err, ERROR_INVALID, "%s: \"%.80s\" is no zone like us-east1-b", task->name,
                         task->zone ? task->zone : "");
    if (task->kind == COMPUTE_DISK_READ || task->kind == COMPUTE_ADDRESS_READ)
        return 0;
    if (check_owner(task, err))
        return -1;
    return task->kind == COMPUTE_ADDRESS_ENSURE ? 0 : check_disk(task, err);
}

const char *request_method(enum compute_ask ask)
{
    return ask == ASK_READ || ask == ASK_POLL ? "GET" : "POST";
}

/* Below "…/zones/us-east1-b/". */
static void request_path(const struct task *task, char *path, size_t size)
{
    const char *kind = compute_task_is_address(task->want.kind) ? "addresses" : "disks",
               *name = task->want.name;
    switch (task->ask) {
    case ASK_READ:
        snprintf(path, size, "%s/%s", kind, name);
        break;
    case ASK_INSERT:
        snprintf(path, size, "%s?requestId=%s", kind, task->request_id);
        break;
    case ASK_LABEL:
        snprintf(path, size, "%s/%s/setLabels?requestId=%s", kind, name, task->request_id);
        break;
    case ASK_GROW:
        snprintf(path, size, "%s/%s/resize?requestId=%s", kind, name, task->request_id);
        break;
    case ASK_POLL:
        snprintf(path, size, "operations/%s", task->operation);
        break;
    }
}

int request_url(const struct task *task, char url[REQUEST_URL_MAX], struct error *err)
{
    char region[COMPUTE_NAME_MAX + 1] = "", path[256];
    bool is_address = compute_task_is_address(task->want.kind);
    compute_region(task->want.zone, region);
    request_path(task, path, sizeof path);
    int length = snprintf(url, REQUEST_URL_MAX, "%s/compute/v1/projects/%s/%s/%s/%s", task->compute->url,
                          task->want.project, is_address ? "regions" : "zones",
                          is_address ? region : task->want.zone, path);
    if (length < 0 || length >= REQUEST_URL_MAX)
        return error_set(err, ERROR_TOO_LARGE, "%s: its URL is longer than %d bytes", task->want.name,
                         REQUEST_URL_MAX);
    return 0;
}

static int add_labels(const struct compute_task *task, const struct compute_disk *disk, struct json *body,
                      struct error *err)
{
    struct arena arena;
    struct key_value labels[COMPUTE_LABELS_MAX];
    size_t count;
    arena_init(&arena, 0);
    int result = decide_labels(task, disk, &arena, labels, &count, err);
    struct json *object = result == 0 ? json_set(body, "labels", json_object()) : NULL;
    for (size_t i = 0; object && i < count; i++)
        json_set_string(object, labels[i].key, labels[i].value);
    if (result == 0 && (!object || arena_failed(&arena)))
        result = error_set(err, ERROR_NO_MEMORY, "out of memory for labels");
    arena_finish(&arena);
    return result;
}

/* Google writes 64-bit numbers as strings. */
static void add_size(const struct compute_task *task, struct json *body)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, compute_size_gb(task->size_bytes));
    json_set_string(body, "sizeGb", text);
}

static int insert_disk(const struct compute_task *task, struct json *body, struct error *err)
{
    char type[512];
    snprintf(type, sizeof type, "projects/%s/zones/%s/diskTypes/%s", task->project, task->zone,
             *task->type ? task->type : "pd-balanced");
    json_set_string(body, "name", task->name);
    add_size(task, body);
    json_set_string(body, "type", type);
    return add_labels(task, NULL, body, err);
}

static int insert_address(const struct compute_task *task, struct json *body, struct error *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    json_set_string(body, "name", task->name);
    json_set_string(body, "addressType", "EXTERNAL");
    json_set_string(body, "networkTier", "PREMIUM");
    json_set_string(body, "description", compute_description(&task->owner, &arena));
    int result = arena_failed(&arena) ? error_set(err, ERROR_NO_MEMORY, "out of memory for a request") : 0;
    arena_finish(&arena);
    return result;
}

int request_body(const struct compute_task *task, enum compute_ask ask, const struct compute_disk *disk,
                 const char *fingerprint, struct buffer *out, struct error *err)
{
    struct json *body = json_object();
    int result = 0;
    if (ask == ASK_GROW) {
        add_size(task, body);
    } else if (ask == ASK_LABEL) {
        json_set_string(body, "labelFingerprint", fingerprint);
        result = add_labels(task, disk, body, err);
    } else {
        result = compute_task_is_address(task->kind) ? insert_address(task, body, err)
                                                     : insert_disk(task, body, err);
    }
    buffer_clear(out);
    if (result == 0)
        result = json_print(body, JSON_COMPACT, out, err);
    json_destroy(body);
    return result;
}
