/* Small files, read with a bound and replaced whole. */
#ifndef ATOLL_BASE_FILE_H
#define ATOLL_BASE_FILE_H

#include <sys/types.h>

#include "proto/base/buffer.h"
#include "proto/base/error.h"

/* Appends the file's content to `out`. ERROR_NOT_FOUND when there is none, ERROR_TOO_LARGE above `limit`
 * bytes. */
int file_read(const char *path, size_t limit, struct buffer *out, struct error *err);

/* Replaces the file so that a crash leaves the old or the new content, never a part: temporary file beside
 * it, fsync, rename, fsync of the folder. */
int file_replace(const char *path, const void *data, size_t length, mode_t mode, struct error *err);

/* Renames a file within its file system, durably; what had the new name is replaced. */
int file_rename(const char *from, const char *to, struct error *err);

/* mkdir -p; folders that are made are durable where the one above can be read. */
int file_make_folders(const char *path, mode_t mode, struct error *err);

/* rm -r; a path that is not there is no error. Never follows symbolic links, never leaves `path`'s file
 * system. */
int file_remove_tree(const char *path, struct error *err);

/* Takes the name away from the shared memory /NAME-PID that a library keeps counters in for this process, if
 * there is any: the library would do so at a clean end alone, and whoever is killed would leave it in
 * /dev/shm for good. */
void file_unname_shared_memory(const char *name);

#endif
