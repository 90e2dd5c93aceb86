/* The journal file: `sim-journal` in the data directory. Record: 4 bytes length, 4 bytes CRC-32 of the rest,
 * BSON. */
#include "storage.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_HEADER = 8, RECORD_MAX = 48 << 20 };

/* mongod's way when its disk fails: say so and end, since nothing that was promised could be kept. */
static void disk_failed(const struct storage *s, const char *what)
{
    log_line("STORAGE", "fatal: can't %s %s: %s", what, s->path, strerror(errno));
    _exit(14);
}

static int take_lock(struct storage *s, const char *dir, struct error *err)
{
    char text[32];
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0)
        return error_set_errno(err, errno, "data directory %s", dir);
    s->lock_fd = openat(s->dir_fd, "mongod.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return error_set_errno(err, errno, "%s/mongod.lock", dir);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, ERROR_CONFLICT,
                         "DBPathInUse: unable to lock %s/mongod.lock: another mongod uses the directory",
                         dir);
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, text, (size_t)length, 0) != length)
        return error_set_errno(err, errno, "%s/mongod.lock", dir);
    return 0;
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Reads the next record into *buffer: its size, or 0 at the end or at a torn tail. */
static size_t read_record(FILE *file, uint8_t **buffer, size_t *capacity)
{
    uint8_t head[RECORD_HEADER];
    if (fread(head, 1, sizeof head, file) != sizeof head)
        return 0;
    uint32_t size = u32(head);
    if (size < 5 || size > RECORD_MAX)
        return 0;
    if (size > *capacity) {
        *buffer = xrealloc(*buffer, size);
        *capacity = size;
    }
    if (fread(*buffer, 1, size, file) != size || crc32_of(*buffer, size) != u32(head + 4))
        return 0;
    return size;
}

static int replay(struct storage *s, storage_record *each, void *context, struct error *err)
{
    FILE *file = fdopen(dup(s->fd), "rb");
    uint8_t *buffer = NULL;
    size_t capacity = 0, size;
    int rc = 0;
    if (!file)
        return error_set_errno(err, errno, "%s", s->path);
    while (rc == 0 && (size = read_record(file, &buffer, &capacity)) > 0) {
        bson_t record;
        if (!bson_init_static(&record, buffer, size))
            break;
        rc = each(context, &record, err);
        s->size += RECORD_HEADER + (int64_t)size;
    }
    fclose(file);
    free(buffer);
    if (rc)
        return -1;
    if (ftruncate(s->fd, s->size) < 0 || lseek(s->fd, s->size, SEEK_SET) < 0)
        return error_set_errno(err, errno, "%s", s->path);
    return 0;
}

int storage_open(struct storage *s, const char *dir, storage_record *each, void *context, struct error *err)
{
    *s = (struct storage){.dir_fd = -1, .lock_fd = -1, .fd = -1, .compact_at = STORAGE_COMPACT_BYTES};
    if ((size_t)snprintf(s->path, sizeof s->path, "%s/sim-journal", dir) >= sizeof s->path)
        return error_set(err, ERROR_INVALID, "--dbpath is too long");
    if (take_lock(s, dir, err))
        return -1;
    unlinkat(s->dir_fd, "sim-journal.new", 0);
    s->fd = openat(s->dir_fd, "sim-journal", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return error_set_errno(err, errno, "%s", s->path);
    if (fsync(s->dir_fd) < 0)
        return error_set_errno(err, errno, "%s", dir);
    return replay(s, each, context, err);
}

void storage_append(struct storage *s, const bson_t *record)
{
    size_t size = record->len, total = RECORD_HEADER + size, done = 0;
    uint8_t *bytes = xcalloc(1, total);
    const uint8_t *data = bson_get_data(record);
    uint32_t head[2] = {(uint32_t)size, crc32_of(data, size)};
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(head[i / 4] >> (8 * (i % 4)));
    memcpy(bytes + RECORD_HEADER, data, size);
    while (done < total) {
        ssize_t n = write(s->fd, bytes + done, total - done);
        if (n < 0 && errno != EINTR)
            disk_failed(s, "write to");
        done += n > 0 ? (size_t)n : 0;
    }
    free(bytes);
    s->size += (int64_t)total;
    s->dirty = true;
}

void storage_sync(struct storage *s)
{
    if (!s->dirty)
        return;
    if (fdatasync(s->fd) < 0)
        disk_failed(s, "sync");
    s->dirty = false;
}

void storage_rewrite_begin(struct storage *s)
{
    int fd = openat(s->dir_fd, "sim-journal.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        disk_failed(s, "rewrite");
    close(s->fd);
    s->fd = fd;
    s->size = 0;
}

void storage_rewrite_end(struct storage *s)
{
    if (fsync(s->fd) < 0 || renameat(s->dir_fd, "sim-journal.new", s->dir_fd, "sim-journal") < 0 ||
        fsync(s->dir_fd) < 0)
        disk_failed(s, "rewrite");
    s->dirty = false;
    s->compact_at = s->size * 2 > STORAGE_COMPACT_BYTES ? s->size * 2 : STORAGE_COMPACT_BYTES;
}

void storage_close(struct storage *s)
{
    if (s->fd >= 0) {
        storage_sync(s);
        close(s->fd);
    }
    if (s->lock_fd >= 0) {
        if (ftruncate(s->lock_fd, 0) < 0)
            log_line("STORAGE", "can't empty mongod.lock: %s", strerror(errno));
        close(s->lock_fd);
    }
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    s->fd = s->lock_fd = s->dir_fd = -1;
}
