/* The store in one SQLite file: for a controller on one machine. */
#ifndef ATOLL_CONTROLLER_ACT_STORE_SQLITE_H
#define ATOLL_CONTROLLER_ACT_STORE_SQLITE_H

#include "controller/act/store.h"

/* Opens the file or makes it, and checks it. The errors say what to do: ERROR_IO when it can't be opened or
 * written, ERROR_INVALID when it is damaged, is something else's, or was written by a newer version. Closed
 * by functions->close. The caller holds a lock that keeps a second controller out. */
int store_sqlite_open(const char *path, struct store **out, struct error *err);

#endif
