/* Who else on this machine has which addresses, from /proc and the state files: see neighbours.h. */
#include "zone-agent/local/neighbours.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zone-agent/local/local_internal.h"

enum { COMMAND_LINE_BYTES_MAX = 16 * 1024 };

struct held {
    char host[LOCAL_HOST_MAX];
    int port;
    size_t folder;
};

struct neighbours {
    const char *dir, *subnet;
    char *folders[NEIGHBOURS_MAX];
    size_t folder_count;
    struct held *held;
    size_t held_count, held_room;
    char line[COMMAND_LINE_BYTES_MAX];
};

/* ---- whose process is it ---- */

static const char *value_of(const char *line, size_t length, const char *option)
{
    for (size_t at = 0; at < length; at += strlen(line + at) + 1) {
        size_t next = at + strlen(line + at) + 1;
        if (strcmp(line + at, option) == 0 && next < length)
            return line + next;
    }
    return NULL;
}

/* A member's: its disk is at ZONE/disks/NAME/data. */
static size_t zone_of_data(const char *data)
{
    const char *at = data + strlen(data);
    for (int slashes = 0; at > data;)
        if (*--at == '/' && ++slashes == 3)
            return strncmp(at, "/disks/", 7) == 0 && strcmp(strrchr(data, '/'), "/data") == 0
                       ? (size_t)(at - data)
                       : 0;
    return 0;
}

bool neighbour_folder(const char *line, size_t line_length, const char **start, size_t *length, bool *sandbox)
{
    if (line_length == 0 || line[line_length - 1] != '\0')
        return false;
    const char *slash = strrchr(line, '/'), *program = slash ? slash + 1 : line;
    const char *dir = value_of(line, line_length, "--dir"), *data = value_of(line, line_length, "--dbpath");
    bool agent = strcmp(program, "atoll-zone-agent") == 0;
    *sandbox = strcmp(program, "atoll") == 0 && value_of(line, line_length, "sandbox") &&
               strcmp(value_of(line, line_length, "sandbox"), "supervise") == 0;
    *start = agent || *sandbox ? dir : data;
    if (!*start || **start != '/')
        return false;
    *length = agent || *sandbox ? strlen(dir) : zone_of_data(data);
    return *length > 0;
}

/* ---- what a zone holds ---- */

static void hold(struct neighbours *neighbours, const char *host, int port)
{
    size_t subnet = strlen(neighbours->subnet);
    if (!host || strncmp(host, neighbours->subnet, subnet) != 0 || host[subnet] != '.' ||
        neighbours->held_count == NEIGHBOUR_ADDRESSES_MAX)
        return;
    if (neighbours->held_count == neighbours->held_room) {
        size_t room = neighbours->held_room ? neighbours->held_room * 2 : 16;
        struct held *more = reallocarray(neighbours->held, room, sizeof *more);
        if (!more)
            return;
        neighbours->held = more;
        neighbours->held_room = room;
    }
    struct held *held = &neighbours->held[neighbours->held_count++];
    local_copy(held->host, sizeof held->host, host);
    held->port = port;
    held->folder = neighbours->folder_count - 1;
}

static void read_state(struct neighbours *neighbours, const char *path)
{
    struct json *json = local_load(path, NULL);
    if (!json)
        return;
    int port = (int)json_get_int(json, "port", 0);
    hold(neighbours, json_get_text(json, "host", NULL), port);
    const struct json *former = json_get(json, "former");
    for (const struct json *each = json_first(former); each; each = json_next(each))
        hold(neighbours, json_text(each), port);
    json_destroy(json);
}

static void read_states(struct neighbours *neighbours, const char *zone, const char *below)
{
    char path[LOCAL_PATH_MAX + NAME_MAX];
    int length = snprintf(path, LOCAL_PATH_MAX, "%s/%s", zone, below);
    DIR *folder = length > 0 && length < LOCAL_PATH_MAX ? opendir(path) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t size = strlen(entry->d_name);
        if (size <= 5 || strcmp(entry->d_name + size - 5, ".json") != 0)
            continue;
        snprintf(path + length, sizeof path - (size_t)length, "/%s", entry->d_name);
        read_state(neighbours, path);
    }
    if (folder)
        closedir(folder);
}

static void add_zone(struct neighbours *neighbours, const char *path)
{
    char zone[PATH_MAX];
    if (neighbours->folder_count == NEIGHBOURS_MAX || !realpath(path, zone) ||
        strcmp(zone, neighbours->dir) == 0)
        return;
    for (size_t i = 0; i < neighbours->folder_count; i++)
        if (strcmp(neighbours->folders[i], zone) == 0)
            return;
    char *kept = strdup(zone);
    if (!kept)
        return;
    neighbours->folders[neighbours->folder_count++] = kept;
    read_states(neighbours, zone, "services");
    read_states(neighbours, zone, "pods");
}

static void add_sandbox(struct neighbours *neighbours, const char *dir)
{
    char path[LOCAL_PATH_MAX + NAME_MAX];
    int length = snprintf(path, LOCAL_PATH_MAX, "%s/zones", dir);
    DIR *folder = length > 0 && length < LOCAL_PATH_MAX ? opendir(path) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (*entry->d_name == '.')
            continue;
        snprintf(path + length, sizeof path - (size_t)length, "/%s", entry->d_name);
        add_zone(neighbours, path);
    }
    if (folder)
        closedir(folder);
}

/* ---- looking ---- */

/* Another network namespace has other loopback addresses. One that can't be asked is another user's. */
static bool is_beside_us(const char *pid)
{
    char path[64];
    struct stat ours, theirs;
    snprintf(path, sizeof path, "/proc/%.20s/ns/net", pid);
    return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

static size_t read_line(struct neighbours *neighbours, const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, neighbours->line, sizeof neighbours->line - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    neighbours->line[length] = '\0';
    return (size_t)length;
}

static void look_at(struct neighbours *neighbours, const char *pid)
{
    char path[PATH_MAX];
    const char *start;
    size_t length;
    bool sandbox;
    size_t line_length = read_line(neighbours, pid);
    if (!neighbour_folder(neighbours->line, line_length, &start, &length, &sandbox) ||
        length >= sizeof path || !is_beside_us(pid))
        return;
    memcpy(path, start, length);
    path[length] = '\0';
    if (sandbox)
        add_sandbox(neighbours, path);
    else
        add_zone(neighbours, path);
}

struct neighbours *neighbours_look(const char *dir, const char *subnet)
{
    struct neighbours *neighbours = calloc(1, sizeof *neighbours);
    DIR *proc = neighbours ? opendir("/proc") : NULL;
    if (!neighbours)
        return NULL;
    neighbours->dir = dir;
    neighbours->subnet = subnet;
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)*entry->d_name))
            look_at(neighbours, entry->d_name);
    if (proc)
        closedir(proc);
    return neighbours;
}

void neighbours_destroy(struct neighbours *neighbours)
{
    if (!neighbours)
        return;
    for (size_t i = 0; i < neighbours->folder_count; i++)
        free(neighbours->folders[i]);
    free(neighbours->held);
    free(neighbours);
}

const char *neighbours_holder(const struct neighbours *neighbours, const char *host, int port)
{
    for (size_t i = 0; neighbours && i < neighbours->held_count; i++)
        if (neighbours->held[i].port == port && strcmp(neighbours->held[i].host, host) == 0)
            return neighbours->folders[neighbours->held[i].folder];
    return NULL;
}
