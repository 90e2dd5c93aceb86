/* Addresses with a port, as people and MongoDB write them: "host:port", "[v6]:port". Pure. */
#ifndef ATOLL_BASE_ADDRESS_H
#define ATOLL_BASE_ADDRESS_H

#include <stddef.h>

#include "proto/base/error.h"

/* Cuts it apart. `host` gets what is before the last colon, without brackets; `*port` is the text behind that
 * colon. ERROR_INVALID when there is no port, no host, or no room for it. */
int address_split(const char *address, char *host, size_t size, const char **port, struct error *err);

#endif
