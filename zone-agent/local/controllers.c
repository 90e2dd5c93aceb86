/* The ReplicationController of the local driver: how many pods, of which template, on which disk; a small
 * durable file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zone-agent/local/local_internal.h"

static int save(struct local_member *member, const struct local_controller *controller, struct error *err)
{
    struct json *json = json_object();
    json_set_string(json, "set", member->set);
    json_set_int(json, "ordinal", member->ordinal);
    json_set_string(json, "name", controller->name);
    json_set_string(json, "node", member->node);
    json_set_int(json, "replicas", controller->replicas);
    json_set_string(json, "diskId", controller->disk_id);
    json_set_int(json, "port", controller->port);
    json_set_int(json, "storageBytes", controller->storage_bytes);
    json_set_string(json, "keyId", controller->key_id);
    json_set_string(json, "certificateId", controller->certificate_id);
    struct json *arguments = json_set(json, "arguments", json_array());
    for (size_t i = 0; i < controller->argument_count; i++)
        json_append(arguments, json_string(controller->arguments[i]));
    if (local_save(member->driver, "controllers", controller->name, json, err))
        return error_wrap(err, "%s can't be saved", controller->name);
    return 0;
}

static void free_arguments(struct local_controller *controller)
{
    for (size_t i = 0; i < controller->argument_count; i++)
        free(controller->arguments[i]);
    controller->argument_count = 0;
}

void local_controller_forget(struct local_member *member)
{
    free_arguments(&member->controller);
    member->controller = (struct local_controller){.exists = false};
}

static int add_argument(struct local_controller *controller, const char *text, struct error *err)
{
    if (controller->argument_count == MONGOD_ARGUMENTS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "more arguments for mongod than MONGOD_ARGUMENTS_MAX (%d)",
                         MONGOD_ARGUMENTS_MAX);
    char *copy = strdup(text);
    if (!copy)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the arguments of %s", controller->name);
    controller->arguments[controller->argument_count++] = copy;
    return 0;
}

/* Durable first, then true. On failure the old one stays. */
static int replace(struct local_member *member, struct local_controller *made, struct error *err)
{
    if (save(member, made, err)) {
        free_arguments(made);
        return -1;
    }
    free_arguments(&member->controller);
    member->controller = *made;
    return 0;
}

/* A pod may only be started on the disk that is there now, looked at now: the decision may be older than the
 * disk. */
static int bind_disk(struct local_member *member, const char *wanted_id, struct local_controller *controller,
                     struct error *err)
{
    if (!local_pod_exists(member))
        local_disk_look(member);
    if (!member->disk.exists || !*member->disk.id)
        return error_set(err, ERROR_CONFLICT, "%s can't run: its disk is gone", member->node);
    if (*wanted_id && strcmp(wanted_id, member->disk.id))
        return error_set(err, ERROR_CONFLICT, "%s can't run: disk %s is %s now, not %s", member->node,
                         member->disk.name, member->disk.id, wanted_id);
    if (!*wanted_id && (member->disk.used || member->disk.adopted))
        return error_set(err, ERROR_CONFLICT,
                         "%s can't run: disk %s may hold data that the intent does not name", member->node,
                         member->disk.name);
    local_copy(controller->disk_id, sizeof controller->disk_id, member->disk.id);
    return 0;
}

int local_controller_apply(struct local_member *member, const struct step *step, int replicas,
                           struct error *err)
{
    const struct intent_member *wanted = step->member;
    struct local_controller made = {
        .exists = true, .replicas = replicas, .port = wanted->port, .storage_bytes = wanted->storage_bytes};
    local_copy(made.name, sizeof made.name, wanted->controller);
    local_copy(made.key_id, sizeof made.key_id, wanted->key_id ? wanted->key_id : "");
    local_copy(made.certificate_id, sizeof made.certificate_id,
               *wanted->certificate_id ? wanted->certificate_id : member->controller.certificate_id);
    if (local_secrets_write(member, step, err))
        return -1;
    if (replicas && bind_disk(member, wanted->disk_id, &made, err))
        return -1;
    for (size_t i = 0; i < wanted->mongod_argument_count; i++)
        if (add_argument(&made, wanted->mongod_arguments[i], err)) {
            free_arguments(&made);
            return -1;
        }
    return replace(member, &made, err);
}

int local_controller_scale(struct local_member *member, int replicas, struct error *err)
{
    struct local_controller scaled = member->controller;
    if (!scaled.exists)
        return error_set(err, ERROR_NOT_FOUND, "%s has no ReplicationController", member->node);
    scaled.replicas = replicas;
    if (save(member, &scaled, err))
        return -1;
    member->controller = scaled;
    return 0;
}

int local_controller_delete(struct local_member *member, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    if (!member->controller.exists)
        return 0;
    if (local_pod_exists(member))
        return error_set(err, ERROR_CONFLICT, "%s still has a pod", member->controller.name);
    if (local_path(member->driver, path, "controllers", member->controller.name, ".json", err))
        return -1;
    if (unlink(path) && access(path, F_OK) == 0)
        return error_set(err, ERROR_IO, "%s can't be deleted", path);
    local_controller_forget(member);
    local_secrets_delete(member);
    return 0;
}

int local_controller_load(struct local_driver *driver, const char *name, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    struct local_controller made = {.exists = true};
    if (local_path(driver, path, "controllers", name, "", err))
        return -1;
    struct json *json = local_load(path, err);
    if (!json)
        return -1;
    local_copy(made.name, sizeof made.name, json_get_text(json, "name", ""));
    local_copy(made.disk_id, sizeof made.disk_id, json_get_text(json, "diskId", ""));
    local_copy(made.key_id, sizeof made.key_id, json_get_text(json, "keyId", ""));
    local_copy(made.certificate_id, sizeof made.certificate_id, json_get_text(json, "certificateId", ""));
    made.replicas = (int)json_get_int(json, "replicas", 0);
    made.port = (int)json_get_int(json, "port", 27017);
    made.storage_bytes = json_get_int(json, "storageBytes", 0);
    int result = 0;
    for (const struct json *at = json_first(json_get(json, "arguments")); at && result == 0;
         at = json_next(at))
        result = add_argument(&made, json_text(at) ? json_text(at) : "", err);
    struct local_member *member =
        local_member_get(driver, json_get_text(json, "set", ""), (int)json_get_int(json, "ordinal", 0),
                         json_get_text(json, "node", ""));
    json_destroy(json);
    if (result || !member) {
        free_arguments(&made);
        return result;
    }
    member->controller = made;
    return 0;
}
