/* See watch_url.h. Source: kubernetes.io/docs/reference/using-api/api-concepts. */
#include "zone-agent/kubernetes/watch_url.h"

#include <string.h>

static int append_encoded(struct buffer *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    int failed = 0;
    for (; *text && !failed; text++)
        failed = strchr(plain, *text) ? buffer_append(out, text, 1)
                                      : buffer_printf(out, "%%%02X", (unsigned char)*text);
    return failed;
}

static int append_text(struct buffer *out, const char *name, const char *value)
{
    if (!value)
        return 0;
    return buffer_append_text(out, name) || append_encoded(out, value) ? -1 : 0;
}

int watch_url_write(const struct watch_query *query, struct buffer *out)
{
    int failed = buffer_append_text(out, query->path);
    if (query->resource_version)
        failed =
            failed ||
            buffer_printf(out, "?watch=true&allowWatchBookmarks=true&timeoutSeconds=%d", query->timeout_s) ||
            append_text(out, "&resourceVersion=", query->resource_version);
    else
        failed = failed || buffer_printf(out, "?limit=%d", query->limit) ||
                 append_text(out, "&continue=", query->continue_token);
    return failed || append_text(out, "&labelSelector=", query->label_selector) ||
                   append_text(out, "&fieldSelector=", query->field_selector)
               ? -1
               : 0;
}
