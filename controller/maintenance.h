/* What `atoll-controller` does to its store instead of running: an image of it while it is in use, and the
 * way back. */
#ifndef ATOLL_CONTROLLER_MAINTENANCE_H
#define ATOLL_CONTROLLER_MAINTENANCE_H

#include <stdbool.h>

#include "proto/base/error.h"

/* Below --dir. */
#define STORE_FILE "controller.db"

/* Writes an image of DIR's store to `file`, also while a controller runs on it: complete, checked, durable
 * and 0600, or not at all. ERROR_CONFLICT when the file exists and `overwrite` is false. Says on standard
 * output what it holds. */
int maintenance_backup(const char *dir, const char *file, bool overwrite, struct error *err);

/* Puts an image in the store's place; the caller holds DIR's lock. The image is looked at first, as a
 * starting controller would; what was there is kept beside it, under a name that is said. A crash in the
 * middle leaves the old store, the new one, or a folder on which no controller starts before the restore was
 * repeated; never an empty or a mixed one. */
int maintenance_restore(const char *dir, const char *file, struct error *err);

#endif
