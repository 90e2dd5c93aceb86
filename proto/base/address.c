/* Addresses with a port: see address.h. */
#include "proto/base/address.h"

#include <string.h>

int address_split(const char *address, char *host, size_t size, const char **port, struct error *err)
{
    const char *begin = address, *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (*address == '[') {
        length = length > 2 && colon[-1] == ']' ? length - 2 : 0;
        begin++;
    }
    if (!length)
        return error_set(err, ERROR_INVALID, "an address and a port are needed (ADDRESS:PORT), not %.80s",
                         address);
    if (length >= size)
        return error_set(err, ERROR_INVALID, "the address %.80s… is longer than %zu characters", address,
                         size - 1);
    memcpy(host, begin, length);
    host[length] = 0;
    *port = colon + 1;
    return 0;
}
