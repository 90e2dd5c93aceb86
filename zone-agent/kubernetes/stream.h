/* Cuts objects out of a stream of JSON as its bytes come: the events of a watch (objects one behind the
 * other), or the items of a list (the elements of the outermost object's "items"). Keeps one object at a
 * time, and of a list what is around the items. Pure. */
#ifndef ATOLL_KUBERNETES_STREAM_H
#define ATOLL_KUBERNETES_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buffer.h"
#include "proto/base/error.h"

enum {
    KUBE_STREAM_FRAME_MAX = 64 * 1024, /* of a list without its items: it is a few hundred bytes */
    KUBE_STREAM_KEPT_MAX = 64 * 1024,  /* a buffer that grew above is given back after its object */
};

enum kube_stream_kind { KUBE_STREAM_WATCH, KUBE_STREAM_LIST };

struct kube_stream {
    enum kube_stream_kind kind;
    struct buffer object; /* what came of the object so far */
    struct buffer frame;  /* a list without its items */
    size_t object_bytes_max;
    int depth; /* of braces and brackets that are open, those of the object counted from 1 */
    int frame_depth;
    bool in_object, in_items, in_string, escaped, ended;
    /* A whole object's text. Non-zero ends the feeding. */
    int (*on_object)(void *context, const char *text, size_t length, struct error *err);
    void *context;
};

void kube_stream_init(struct kube_stream *stream, enum kube_stream_kind kind, size_t object_bytes_max,
                      int (*on_object)(void *context, const char *text, size_t length, struct error *err),
                      void *context);
void kube_stream_finish(struct kube_stream *stream);

/* -1: what on_object said; ERROR_TOO_LARGE; ERROR_PROTOCOL when this is no such stream. Then the stream can
 * only be finished. */
int kube_stream_feed(struct kube_stream *stream, const char *data, size_t length, struct error *err);

/* The stream is at its end: -1 (ERROR_UNREACHABLE) when it was cut within an object or list. Of a list,
 * stream->frame is then its text with "items":[] */
int kube_stream_end(const struct kube_stream *stream, struct error *err);

#endif
