/* Disks of the local driver: folders with a mark. The mark stands beside the data (atoll-disk.json: whose
 * disk it is, whether it was used) and its id again within it (data/atoll-disk.id): when the inner one is
 * gone, the data is gone, and the disk gets another id, never silently the old one: a member that lost its
 * data must not come back with its vote. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/local/local_internal.h"

static const char OUTER_MARK[] = "atoll-disk.json", INNER_MARK[] = "atoll-disk.id";
enum { INNER_MARK_BYTES_MAX = 256, USAGE_DEPTH_MAX = 8 };

static int folder_path(const struct local_driver *driver, const char *name, char out[LOCAL_PATH_MAX],
                       struct error *err)
{
    return local_path(driver, out, "disks", name, "", err);
}

static int join(char out[LOCAL_PATH_MAX], const char *folder, const char *name, struct error *err)
{
    int length = snprintf(out, LOCAL_PATH_MAX, "%s/%s", folder, name);
    if (length < 0 || length >= LOCAL_PATH_MAX)
        return error_set(err, ERROR_TOO_LARGE, "the path %.100s… is longer than LOCAL_PATH_MAX (%d)", folder,
                         LOCAL_PATH_MAX);
    return 0;
}

int local_disk_data_path(const struct local_member *member, char out[LOCAL_PATH_MAX], struct error *err)
{
    char folder[LOCAL_PATH_MAX];
    if (folder_path(member->driver, member->disk.name, folder, err))
        return -1;
    return join(out, folder, "data", err);
}

/* The marks' paths and the data's. */
struct places {
    char folder[LOCAL_PATH_MAX], data[LOCAL_PATH_MAX], outer[LOCAL_PATH_MAX], inner[LOCAL_PATH_MAX];
};

static int find_places(const struct local_driver *driver, const char *name, struct places *out,
                       struct error *err)
{
    if (folder_path(driver, name, out->folder, err) || join(out->data, out->folder, "data", err) ||
        join(out->outer, out->folder, OUTER_MARK, err))
        return -1;
    return join(out->inner, out->data, INNER_MARK, err);
}

/* Our mark, or what a crash left of writing one (file_replace puts its temporary file beside it). */
static bool is_our_mark(const char *name)
{
    size_t length = sizeof INNER_MARK - 1;
    return strncmp(name, INNER_MARK, length) == 0 && (name[length] == 0 || name[length] == '.');
}

/* Is there anything in the data but our own mark? A folder that can't be read is not known to be empty. */
static bool holds_data(const char *data)
{
    DIR *folder = opendir(data);
    if (!folder)
        return errno != ENOENT;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder));)
        found = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && !is_our_mark(entry->d_name);
    closedir(folder);
    return found;
}

static int save_mark(struct local_member *member, const struct local_disk *disk, struct error *err)
{
    struct places at;
    struct buffer text;
    if (find_places(member->driver, disk->name, &at, err))
        return -1;
    struct json *json = json_object();
    json_set_string(json, "id", disk->id);
    json_set_string(json, "set", member->set);
    json_set_int(json, "ordinal", member->ordinal);
    json_set_string(json, "node", member->node);
    json_set_bool(json, "used", disk->used);
    json_set_bool(json, "filled", disk->filled);
    json_set_bool(json, "adopted", disk->adopted);
    json_set_string(json, "replicaSetId", disk->replica_set_id);
    json_set_int(json, "sizeBytes", disk->size_bytes);
    buffer_init(&text, LOCAL_STATE_BYTES_MAX);
    int result = json_print(json, JSON_PRETTY, &text, err);
    if (result == 0)
        result = file_replace(at.outer, text.data, text.length, 0644, err);
    buffer_finish(&text);
    json_destroy(json);
    return result;
}

/* A disk under a new id. The inner mark first: a crash in between leaves the old id outside, and then the two
 * differ again. */
static int give_id(struct local_member *member, struct local_disk *disk, struct error *err)
{
    struct places at;
    uuid_text(&member->driver->random, disk->id);
    if (find_places(member->driver, disk->name, &at, err) || file_make_folders(at.data, 0755, err) ||
        file_replace(at.inner, disk->id, strlen(disk->id), 0644, err))
        return -1;
    return save_mark(member, disk, err);
}

static bool has_inner_mark(const struct places *at, const char *id)
{
    struct buffer text;
    struct error ignored;
    buffer_init(&text, INNER_MARK_BYTES_MAX);
    bool same = file_read(at->inner, INNER_MARK_BYTES_MAX, &text, &ignored) == 0 &&
                strncmp(buffer_text(&text), id, strlen(id)) == 0;
    buffer_finish(&text);
    return same;
}

/* ---- looking ---- */

static int change(struct local_member *member, const struct local_disk *changed, struct error *err)
{
    if (save_mark(member, changed, err))
        return error_wrap(err, "disk %s can't be marked", changed->name);
    member->disk = *changed;
    return 0;
}

/* Remembers that the disk has held data; best effort, for it is said again. */
void local_disk_note_filled(struct local_member *member)
{
    char data[LOCAL_PATH_MAX];
    struct local_disk disk = member->disk;
    if (!disk.exists || !disk.used || disk.filled || local_disk_data_path(member, data, NULL) ||
        !holds_data(data))
        return;
    disk.filled = true;
    change(member, &disk, NULL);
}

static void disk_vanished(struct local_member *member)
{
    member->disk = (struct local_disk){.size_bytes = -1, .used_bytes = -1};
    local_changed(member->driver);
}

static void content_vanished(struct local_member *member, const struct places *at)
{
    struct error err = {0};
    struct local_disk disk = member->disk;
    disk.used = disk.filled = false;
    disk.adopted = holds_data(at->data);
    disk.replica_set_id[0] = 0;
    disk.used_bytes = -1;
    if (give_id(member, &disk, &err)) {
        local_problem(member, "disk", "disk %s lost its content and can't be marked anew: %s", disk.name,
                      err.message);
        disk.id[0] = 0; /* known to nobody: nothing is started on it */
    }
    member->disk = disk;
    local_changed(member->driver);
}

static int refuse_other_owner(const struct json *mark, const struct local_member *member, const char *name,
                              struct error *err)
{
    const char *set = json_get_text(mark, "set", "");
    int64_t ordinal = json_get_int(mark, "ordinal", 0);
    if (strcmp(set, member->set) == 0 && ordinal == member->ordinal)
        return 0;
    return error_set(
        err, ERROR_CONFLICT,
        "disk %s belongs to member %lld of set %s; give %s another disk, or move that folder away", name,
        (long long)ordinal, set, member->node);
}

static void read_mark(const struct json *mark, struct local_disk *out)
{
    local_copy(out->id, sizeof out->id, json_get_text(mark, "id", ""));
    local_copy(out->replica_set_id, sizeof out->replica_set_id, json_get_text(mark, "replicaSetId", ""));
    out->used = json_get_bool(mark, "used", true);
    out->filled = json_get_bool(mark, "filled", false);
    out->adopted = json_get_bool(mark, "adopted", true);
    out->size_bytes = json_get_int(mark, "sizeBytes", -1);
    out->used_bytes = -1;
    out->exists = true;
}

/* Another disk, whole under its own marks, lies where this one was: somebody put it there, or brought the
 * lost one back. It is what its marks say, and is never marked anew. Another member's is not ours at all. */
static bool another_disk_came(struct local_member *member, const struct places *at)
{
    struct error ignored;
    struct local_disk disk = member->disk;
    struct json *mark = local_load(at->outer, &ignored);
    const char *id = json_get_text(mark, "id", "");
    bool came = *id && strcmp(id, disk.id) != 0 && has_inner_mark(at, id);
    if (came && refuse_other_owner(mark, member, disk.name, &ignored)) {
        disk_vanished(member); /* making one says why that can't be */
    } else if (came) {
        read_mark(mark, &disk);
        member->disk = disk;
        local_changed(member->driver);
    }
    json_destroy(mark);
    return came;
}

void local_disk_look(struct local_member *member)
{
    struct places at;
    struct stat info;
    struct local_disk *disk = &member->disk;
    if (!disk->exists || find_places(member->driver, disk->name, &at, NULL))
        return;
    if (stat(at.folder, &info) && errno == ENOENT) {
        disk_vanished(member);
        return;
    }
    bool same = has_inner_mark(&at, disk->id);
    if (!same && another_disk_came(member, &at))
        return;
    if (same)
        local_disk_note_filled(member);
    bool lost_data = disk->filled && !holds_data(at.data); /* the mark alone was left */
    bool lost_mark = access(at.outer, F_OK) != 0 && errno == ENOENT;
    if (!same || lost_mark || lost_data)
        content_vanished(member, &at);
}

/* ---- steps ---- */

/* The folder is there with a mark, though it was not when the agent started. */
static int take_marked_disk(struct local_member *member, struct local_disk *disk, const char *mark_path,
                            struct error *err)
{
    struct json *mark = local_load(mark_path, err);
    if (!mark)
        return -1;
    int result = refuse_other_owner(mark, member, disk->name, err);
    if (result == 0) {
        read_mark(mark, disk);
        member->disk = *disk;
        local_disk_look(member);
    }
    json_destroy(mark);
    return result;
}

int local_disk_create(struct local_member *member, const struct intent_member *wanted, struct error *err)
{
    struct places at;
    struct local_disk disk = {.exists = true, .size_bytes = wanted->storage_bytes, .used_bytes = -1};
    local_copy(disk.name, sizeof disk.name, wanted->disk);
    if (find_places(member->driver, disk.name, &at, err))
        return -1;
    if (access(at.outer, F_OK) == 0)
        return take_marked_disk(member, &disk, at.outer, err);
    disk.adopted = holds_data(at.data);
    if (give_id(member, &disk, err))
        return error_wrap(err, "disk %s can't be created", disk.name);
    member->disk = disk;
    return 0;
}

int local_disk_load(struct local_driver *driver, const char *name, struct error *err)
{
    struct places at;
    if (!local_name_is_safe(name) || find_places(driver, name, &at, err))
        return 0; /* not ours */
    if (access(at.outer, F_OK))
        return 0; /* never became ours */
    struct json *mark = local_load(at.outer, err);
    if (!mark)
        return error_wrap(err, "the mark of disk %s can't be read; put it right, or move the folder away",
                          name);
    struct local_member *member =
        local_member_get(driver, json_get_text(mark, "set", ""), (int)json_get_int(mark, "ordinal", 0),
                         json_get_text(mark, "node", ""));
    if (member) {
        local_copy(member->disk.name, sizeof member->disk.name, name);
        read_mark(mark, &member->disk);
    }
    json_destroy(mark);
    return 0;
}

int local_disk_mark(struct local_member *member, const char *replica_set_id, struct error *err)
{
    struct local_disk disk = member->disk;
    if (!disk.exists)
        return error_set(err, ERROR_NOT_FOUND, "there is no disk of %s to mark", member->node);
    if (*disk.replica_set_id && strcmp(disk.replica_set_id, replica_set_id))
        return error_set(err, ERROR_CONFLICT, "disk %s is marked with replica set %s already", disk.name,
                         disk.replica_set_id);
    local_copy(disk.replica_set_id, sizeof disk.replica_set_id, replica_set_id);
    return change(member, &disk, err);
}

int local_disk_set_used(struct local_member *member, struct error *err)
{
    struct local_disk disk = member->disk;
    if (disk.used)
        return 0;
    disk.used = true;
    return change(member, &disk, err);
}

/* ---- usage ---- */

static int64_t usage_of(const char *path, int depth)
{
    int64_t bytes = 0;
    DIR *folder = depth < USAGE_DEPTH_MAX ? opendir(path) : NULL;
    if (!folder)
        return depth == 0 ? -1 : 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char inner[LOCAL_PATH_MAX];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW))
            continue; /* gone meanwhile */
        bytes += (int64_t)info.st_blocks * 512;
        if (S_ISDIR(info.st_mode) && join(inner, path, entry->d_name, NULL) == 0)
            bytes += usage_of(inner, depth + 1);
    }
    closedir(folder);
    return bytes;
}

int64_t local_disk_usage(const char *data_path)
{
    return usage_of(data_path, 0);
}
