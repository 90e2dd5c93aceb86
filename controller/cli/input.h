/* A file that a command reads whole; "-" is standard input. */
#ifndef ATOLL_CLI_INPUT_H
#define ATOLL_CLI_INPUT_H

#include "proto/base/buffer.h"
#include "proto/base/error.h"

/* Appends at most `most` bytes to `out`. *name is what messages call it. What can't be read is ERROR_INVALID,
 * a bad file. */
int input_read(const char *path, size_t most, struct buffer *out, const char **name, struct error *err);

#endif
