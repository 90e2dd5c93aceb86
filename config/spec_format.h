/* The forms that single texts of a spec may have. The check_* functions give NULL when a text is right, else
 * what would be right, to be put behind "must be ". All are pure. */
#ifndef ATOLL_CONFIG_SPEC_FORMAT_H
#define ATOLL_CONFIG_SPEC_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buffer.h"

const char *check_label(const char *text); /* RFC 1123 label: names of zones, namespaces, federations */
const char *check_letter_label(
    const char *text); /* RFC 1035 label, as Services and disks ask for: names of sets, disks */
const char *check_dns_name(const char *text);
const char *check_project(const char *text);
const char *check_image(const char *text);
const char *check_storage_type(const char *text);
const char *check_cidr(const char *text);
const char *check_cpu(const char *text);
const char *check_memory(const char *text);
const char *check_cron(const char *text);
const char *check_label_key(const char *text); /* Kubernetes' label keys and values */
const char *check_label_value(const char *text);
const char *check_tag(const char *text); /* MongoDB's tags, keys and values */
const char *check_argument(const char *text);

/* "200Gi", "1.5T", "1073741824" -> bytes (Kubernetes' suffixes k M G T P Ki Mi Gi Ti Pi); false when it is
 * none. */
bool parse_size(const char *text, int64_t *bytes);
/* "90s", "1h30m", "500ms", "7d" -> milliseconds; false when it is none. */
bool parse_duration(const char *text, int64_t *ms);
/* A number as YAML 1.2 and JSON write it, in decimals. */
bool parse_number(const char *text, double *number);

/* The shortest text that parse_* turns into exactly this. */
void print_size(int64_t bytes, struct buffer *out);
void print_duration(int64_t ms, struct buffer *out);

#endif
