/* A JSON value as YAML, for -o yaml: block style, every string that YAML could take for something else
 * quoted. */
#ifndef ATOLL_CLI_YAML_H
#define ATOLL_CLI_YAML_H

#include "proto/base/buffer.h"
#include "proto/base/json.h"

void yaml_write(const struct json *json, struct buffer *out);

#endif
