/* The paths of lists and watches. Pure. */
#ifndef ATOLL_KUBERNETES_WATCH_URL_H
#define ATOLL_KUBERNETES_WATCH_URL_H

#include "proto/base/buffer.h"

struct watch_query {
    const char *path;
    const char *label_selector, *field_selector; /* NULL: none */
    int limit;                                   /* of a list */
    const char *continue_token;                  /* of a list; NULL: its first page */
    const char *resource_version;                /* not NULL: a watch from there */
    int timeout_s;                               /* of a watch */
};

/* Appends path and query, all values percent-encoded. -1 when memory or the buffer's limit is reached. */
int watch_url_write(const struct watch_query *query, struct buffer *out);

#endif
