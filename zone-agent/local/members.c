/* What the parts of the local driver stand on: the list of members, safe names and paths, state files,
 * problems. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/file.h"
#include "zone-agent/local/local_internal.h"

void local_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* Names become file names: nothing that leads elsewhere. */
bool local_name_is_safe(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > LOCAL_NAME_MAX - 16 || !isalnum((unsigned char)*name))
        return false;
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
            return false;
    return true;
}

int local_path(const struct local_driver *driver, char out[LOCAL_PATH_MAX], const char *folder,
               const char *name, const char *suffix, struct error *err)
{
    if (!local_name_is_safe(name))
        return error_set(err, ERROR_INVALID, "\"%.80s\" can't be a name in %s: letters, digits, - _ . only",
                         name, folder);
    if (snprintf(out, LOCAL_PATH_MAX, "%s/%s/%s%s", driver->dir, folder, name, suffix) >= LOCAL_PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the path of %s %s is longer than LOCAL_PATH_MAX (%d)", folder,
                         name, LOCAL_PATH_MAX);
    return 0;
}

int local_save(const struct local_driver *driver, const char *folder, const char *name, struct json *json,
               struct error *err)
{
    char path[LOCAL_PATH_MAX];
    struct buffer text;
    buffer_init(&text, LOCAL_STATE_BYTES_MAX);
    int result = local_path(driver, path, folder, name, ".json", err);
    if (result == 0)
        result = json_print(json, JSON_PRETTY, &text, err);
    if (result == 0)
        result = file_replace(path, text.data, text.length, 0644, err);
    buffer_finish(&text);
    json_destroy(json);
    return result;
}

struct json *local_load(const char *path, struct error *err)
{
    struct buffer text;
    struct json *json = NULL;
    buffer_init(&text, LOCAL_STATE_BYTES_MAX);
    if (file_read(path, LOCAL_STATE_BYTES_MAX, &text, err) == 0)
        json = json_parse(buffer_text(&text), text.length, LOCAL_STATE_BYTES_MAX, err);
    if (!json)
        error_wrap(err, "%s", path);
    buffer_finish(&text);
    return json;
}

/* ---- members ---- */

struct local_member *local_member_find(struct local_driver *driver, const char *set, int ordinal)
{
    for (struct local_member *member = driver->members; member; member = member->next)
        if (member->ordinal == ordinal && strcmp(member->set, set) == 0)
            return member;
    return NULL;
}

struct local_member *local_member_get(struct local_driver *driver, const char *set, int ordinal,
                                      const char *node)
{
    struct local_member *member = local_member_find(driver, set, ordinal);
    bool is_valid = local_name_is_safe(set) && local_name_is_safe(node) && ordinal > 0;
    if (member || !is_valid || driver->member_count == LOCAL_MEMBERS_MAX)
        return member;
    member = calloc(1, sizeof *member);
    if (!member)
        return NULL;
    member->driver = driver;
    member->ordinal = ordinal;
    member->disk = (struct local_disk){.size_bytes = -1, .used_bytes = -1};
    member->problem = (struct problem){.code = "", .message = ""};
    local_copy(member->set, sizeof member->set, set);
    local_copy(member->node, sizeof member->node, node);
    local_pod_init(member);
    member->next = driver->members;
    driver->members = member;
    driver->member_count++;
    return member;
}

void local_problem(struct local_member *member, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(member->problem_text, sizeof member->problem_text, format, args);
    va_end(args);
    member->problem = (struct problem){code, member->problem_text, 0};
    local_changed(member->driver);
}

void local_problem_clear(struct local_member *member, const char *code)
{
    if (strcmp(member->problem.code, code) == 0)
        member->problem = (struct problem){.code = "", .message = ""};
}
