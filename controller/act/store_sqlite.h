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

#endif
