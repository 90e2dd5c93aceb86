/* What the Compute API says, as values: see operation.h. */
#include "zone-agent/gce/operation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_GB_MAX = 1 << 24, STATUS_MAX = 599 };

const char *compute_text(struct arena *arena, const char *text)
{
    size_t length = strnlen(text, COMPUTE_TEXT_MAX);
    while (length && text[length] && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--; /* no half character */
    char *copy = arena_alloc(arena, length + 1);
    if (!copy)
        return "";
    for (size_t i = 0; i < length; i++)
        copy[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    while (length && copy[length - 1] == ' ')
        copy[--length] = '\0';
    return copy;
}

/* The text under `key`, when it is one; "" else. */
static const char *text_under(const struct json *object, const char *key, struct arena *arena)
{
    return compute_text(arena, json_get_text(object, key, ""));
}

static void read_error(const struct json *error, struct arena *arena, struct operation *out)
{
    const struct json *first = json_first(json_get(error, "errors"));
    out->error_code = text_under(first, "code", arena);
    out->error_message = text_under(first, "message", arena);
    if (!*out->error_code) /* an error without a code is an error all the same */
        out->error_code = "UNKNOWN";
}

int operation_read(const struct json *json, struct arena *arena, struct operation *out, struct error *err)
{
    struct operation operation = {"", false, "", "", 0};
    const char *status = "";
    int64_t http_status = 0;
    const struct json *error = NULL;
    if (!json_is_object(json))
        return error_set(err, ERROR_PROTOCOL, "no operation came");
    if (json_read_string(json, "name", JSON_REQUIRED, arena, &operation.name, err) ||
        json_read_string(json, "status", JSON_REQUIRED, arena, &status, err) ||
        json_read_object(json, "error", JSON_OPTIONAL, &error, err) ||
        json_read_int(json, "httpErrorStatusCode", JSON_OPTIONAL, 0, STATUS_MAX, &http_status, err))
        return -1;
    if (!*operation.name || strlen(operation.name) > OPERATION_NAME_MAX ||
        operation.name[strspn(operation.name, "abcdefghijklmnopqrstuvwxyz0123456789-")])
        return error_set(err, ERROR_PROTOCOL, "an operation's name is none: \"%.40s\"", operation.name);
    operation.done = strcmp(status, "DONE") == 0;
    operation.error_status = (int)http_status;
    if (error)
        read_error(error, arena, &operation);
    *out = operation;
    return 0;
}

struct refusal refusal_read(const struct json *json, struct arena *arena)
{
    const struct json *error = json_get(json, "error"), *first = json_first(json_get(error, "errors"));
    struct refusal refusal = {text_under(first, "reason", arena), text_under(error, "message", arena)};
    if (!*refusal.message)
        refusal.message = text_under(first, "message", arena);
    if (!*refusal.reason)
        refusal.reason = text_under(error, "status", arena);
    return refusal;
}

/* ---- resources ---- */

/* "pd-ssd" of "https://…/diskTypes/pd-ssd". */
static const char *last_part(const char *url)
{
    const char *slash = strrchr(url, '/');
    return slash ? slash + 1 : url;
}

/* Google writes 64-bit numbers as strings. */
static int read_size(const struct json *json, int64_t *out, struct error *err)
{
    const char *text = json_get_text(json, "sizeGb", "");
    char *end;
    errno = 0;
    long long size_gb = strtoll(text, &end, 10);
    if (end == text || *end || errno || size_gb < 1 || size_gb > SIZE_GB_MAX)
        return error_set(err, ERROR_PROTOCOL, "a disk's sizeGb is \"%.20s\"", text);
    *out = (int64_t)size_gb << 30;
    return 0;
}

static int read_labels(const struct json *json, struct arena *arena, struct compute_disk *out,
                       struct error *err)
{
    const struct json *labels = NULL;
    if (json_read_object(json, "labels", JSON_OPTIONAL, &labels, err))
        return -1;
    if (json_count(labels) > COMPUTE_LABELS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a disk with more than %d labels", COMPUTE_LABELS_MAX);
    struct key_value *list = arena_array(arena, json_count(labels), sizeof *list);
    for (const struct json *label = json_first(labels); label && list; label = json_next(label)) {
        if (!json_is_string(label))
            return error_set(err, ERROR_PROTOCOL, "a disk's label is no text");
        list[out->label_count].key = arena_string(arena, json_key(label));
        list[out->label_count++].value = arena_string(arena, json_text(label));
    }
    out->labels = list;
    return 0;
}

/* Both kinds have these; `id` and `name` are needed. */
static int read_common(const struct json *json, struct arena *arena, const char **name, const char **id,
                       const char **status, struct error *err)
{
    if (!json_is_object(json))
        return error_set(err, ERROR_PROTOCOL, "no resource came");
    if (json_read_string(json, "name", JSON_REQUIRED, arena, name, err) ||
        json_read_string(json, "id", JSON_REQUIRED, arena, id, err) ||
        json_read_string(json, "status", JSON_REQUIRED, arena, status, err))
        return -1;
    return 0;
}

int compute_disk_read(const struct json *json, const char *project, const char *zone, struct arena *arena,
                      struct compute_disk *out, struct error *err)
{
    struct compute_disk disk = {.name = "", .id = "", .status = "", .type = ""};
    const struct json *users = NULL;
    const char *last_attach = "";
    if (read_common(json, arena, &disk.name, &disk.id, &disk.status, err) ||
        read_size(json, &disk.size_bytes, err) ||
        json_read_string(json, "type", JSON_REQUIRED, arena, &disk.type, err) ||
        json_read_array(json, "users", JSON_OPTIONAL, SIZE_GB_MAX, &users, err) ||
        json_read_string(json, "lastAttachTimestamp", JSON_OPTIONAL, arena, &last_attach, err) ||
        read_labels(json, arena, &disk, err))
        return -1;
    disk.type = last_part(disk.type);
    disk.attached = json_count(users) > 0;
    disk.ever_attached = disk.attached || *last_attach;
    disk.handle = arena_printf(arena, "projects/%s/zones/%s/disks/%s", project, zone, disk.name);
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a disk");
    *out = disk;
    return 0;
}

int compute_address_read(const struct json *json, struct arena *arena, struct compute_address *out,
                         const char **description, struct error *err)
{
    struct compute_address address = {"", "", "", ""};
    const char *kind = "EXTERNAL", *text = "";
    if (read_common(json, arena, &address.name, &address.id, &address.status, err) ||
        json_read_string(json, "address", JSON_OPTIONAL, arena, &address.address, err) ||
        json_read_string(json, "addressType", JSON_OPTIONAL, arena, &kind, err) ||
        json_read_string(json, "description", JSON_OPTIONAL, arena, &text, err))
        return -1;
    if (strcmp(kind, "EXTERNAL") != 0)
        return error_set(err, ERROR_REFUSED, "it is an address of type %.20s, not EXTERNAL", kind);
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "out of memory for an address");
    *description = text;
    *out = address;
    return 0;
}
