/* Small files: see file.h. */
#include "proto/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMOVE_DEPTH_MAX = 64, READ_CHUNK = 16384 };

static void truncate_to(struct buffer *buffer, size_t length)
{
    buffer->length = length;
    if (buffer->data)
        buffer->data[length] = 0;
}

static int read_all(int fd, const char *path, size_t limit, struct buffer *out, struct error *err)
{
    char chunk[READ_CHUNK];
    size_t total = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "cannot read %s", path);
        if (got == 0)
            return 0;
        total += (size_t)got;
        if (total > limit)
            return error_set(err, ERROR_TOO_LARGE, "%s is larger than %zu bytes", path, limit);
        if (buffer_append(out, chunk, (size_t)got))
            return error_set(err, ERROR_NO_MEMORY, "no memory for the content of %s", path);
    }
}

int file_read(const char *path, size_t limit, struct buffer *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int errnum = errno;
        error_set_errno(err, errnum, "cannot open %s", path);
        if (errnum == ENOENT && err)
            err->code = ERROR_NOT_FOUND;
        return -1;
    }
    size_t before = out->length;
    int result = read_all(fd, path, limit, out, err);
    if (result)
        truncate_to(out, before);
    close(fd);
    return result;
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t put = write(fd, data, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        length -= (size_t)put;
    }
    return 0;
}

static int sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        strcpy(folder, ".");
    else
        slash[slash == folder] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

int file_replace(const char *path, const void *data, size_t length, mode_t mode, struct error *err)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return error_set(err, ERROR_TOO_LARGE, "the path %.200s… is too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot create a file beside %s", path);
    int failed = write_all(fd, data, length) || fchmod(fd, mode) || fsync(fd);
    int errnum = errno;
    if (close(fd) && !failed) {
        failed = 1;
        errnum = errno;
    }
    if (!failed && rename(temporary, path)) {
        failed = 1;
        errnum = errno;
    }
    if (failed) {
        unlink(temporary);
        return error_set_errno(err, errnum, "cannot write %s", path);
    }
    return sync_folder_of(path) ? error_set_errno(err, errno, "cannot make %s durable", path) : 0;
}

void file_unname_shared_memory(const char *name)
{
    char path[NAME_MAX];
    snprintf(path, sizeof path, "/%s-%u", name, (unsigned)getpid());
    shm_unlink(path); /* where there is none, none is left */
}

int file_rename(const char *from, const char *to, struct error *err)
{
    if (rename(from, to))
        return error_set_errno(err, errno, "cannot rename %s to %s", from, to);
    return sync_folder_of(to) ? error_set_errno(err, errno, "cannot make %s durable", to) : 0;
}

static int make_folder(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0) {
        (void)sync_folder_of(path); /* as well as can be: the folder above need not be readable */
        return 0;
    }
    int errnum = errno;
    struct stat about;
    if (stat(path, &about) == 0) { /* also where mkdir says EROFS or EACCES of a folder that exists */
        if (S_ISDIR(about.st_mode))
            return 0;
        errnum = ENOTDIR;
    }
    return error_set_errno(err, errnum, "cannot make the folder %s", path);
}

int file_make_folders(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return error_set(err, ERROR_TOO_LARGE, "the path %.200s… is too long", path);
    for (char *slash = strchr(part + 1, '/'); *part && slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (make_folder(part, mode, err))
            return -1;
        *slash = '/';
    }
    return make_folder(part, mode, err);
}

static int remove_at(int folder, const char *name, dev_t device, int depth);

static int remove_entries(int fd, dev_t device, int depth)
{
    DIR *entries = fdopendir(fd); /* owns fd from here on */
    if (!entries) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (errno = 0, entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = remove_at(dirfd(entries), entry->d_name, device, depth + 1);
    int errnum = errno;
    closedir(entries);
    errno = errnum;
    return result || errnum ? -1 : 0;
}

static int remove_folder(int folder, const char *name, dev_t device, int depth)
{
    if (depth > REMOVE_DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat about;
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    if (fstat(fd, &about) || about.st_dev != device) {
        close(fd);
        errno = EXDEV;
        return -1;
    }
    if (remove_entries(fd, device, depth))
        return -1;
    return unlinkat(folder, name, AT_REMOVEDIR) && errno != ENOENT ? -1 : 0;
}

static int remove_at(int folder, const char *name, dev_t device, int depth)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) {
        errno = 0;
        return 0;
    }
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int result = remove_folder(folder, name, device, depth);
    if (result == 0)
        errno = 0;
    return result;
}

int file_remove_tree(const char *path, struct error *err)
{
    struct stat about;
    if (lstat(path, &about))
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "cannot remove %s", path);
    return remove_at(AT_FDCWD, path, about.st_dev, 0) ? error_set_errno(err, errno, "cannot remove %s", path)
                                                      : 0;
}
