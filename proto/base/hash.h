/* FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): tells values apart where nobody wishes
 * them to collide. Pure; the same on every machine, since some of these numbers are stored. */
#ifndef ATOLL_BASE_HASH_H
#define ATOLL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Each goes on from the hash of what came before: from HASH_START at the beginning. */
static inline uint64_t hash_number(uint64_t hash, uint64_t number)
{
    return (hash ^ number) * UINT64_C(0x100000001b3);
}

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = hash_number(hash, bytes[i]);
    return hash;
}

static inline uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text));
}

#endif
