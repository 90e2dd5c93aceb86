/* Showing the status; used by status and by the sandbox commands. */
#ifndef ATOLL_CLI_STATUS_H
#define ATOLL_CLI_STATUS_H

#include "controller/cli/remote.h"

/* Prints the status (of one set when `set` isn't NULL) in a format of -o, NULL being a table. Gives the exit
 * status; *healthy (may be NULL) says whether all that was shown is. */
int status_show(struct remote *remote, const char *set, const char *format, bool *healthy);

#endif
