/* The store in one SQLite file: for a controller on one machine. */
#ifndef ATOLL_CONTROLLER_ACT_STORE_SQLITE_H
#define ATOLL_CONTROLLER_ACT_STORE_SQLITE_H

#include "controller/act/store.h"

/* Opens the file, checks all of it, and brings an older format up to this one; makes an empty one (0600)
 * where there is none. The errors say what to do: ERROR_IO when it can't be opened or written, ERROR_INVALID
 * when it is damaged, is something else's, or was written by a newer version; what is refused so is left as
 * it was, byte for byte. Closed by functions->close. The caller holds a lock that keeps a second controller
 * out. */
int store_sqlite_open(const char *path, struct store **out, struct error *err);

/* Opens an image of a store, or a store that a controller is using, for reading alone, after the same checks.
 * Nothing is made, upgraded or locked. ERROR_NOT_FOUND when there is none; otherwise the errors of
 * store_sqlite_open(). */
int store_sqlite_open_image(const char *path, struct store **out, struct error *err);

/* Copies a store, also one that is being written, into `to`, an empty file that is there already: as it was
 * at one moment, checked, in one file without a log, durable. On an error `to` holds nothing that counts. */
int store_sqlite_copy(const char *from, const char *to, struct error *err);

/* Beside a store: it is there while a restore is under way, and no store is opened then. */
#define STORE_RESTORING ".restoring"

#endif
