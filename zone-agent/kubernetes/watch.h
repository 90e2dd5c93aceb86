/* What a cluster holds of one kind, as it changes: a list, page by page, then a watch from the list's
 * resourceVersion. A watch that ends goes on from the last version seen (bookmarks keep that fresh); 410
 * Gone, as an answer or in the stream, means list again; silence means the connection is dead. Objects are
 * read as their bytes are complete, one at a time, so a list of any length costs the memory of one object.
 * resourceVersion is opaque: it is handed back, never compared. Source:
 * kubernetes.io/docs/reference/using-api/api-concepts, "Efficient detection of changes". */
#ifndef ATOLL_KUBERNETES_WATCH_H
#define ATOLL_KUBERNETES_WATCH_H

#include "zone-agent/kubernetes/client.h"

enum {
    KUBE_WATCHES_MAX = 32,
    KUBE_PAGE_OBJECTS = 100,           /* of one page of a list */
    KUBE_OBJECT_BYTES_MAX = 512 << 10, /* of one object's text, where the watch names no other bound */
    KUBE_WATCH_SILENCE_MS = 150000,    /* bookmarks come about once a minute */
    KUBE_WATCH_SPAN_S = 300,           /* a watch ends itself after so long and up to twice of it */
    KUBE_WATCH_RETRY_FIRST_MS = 250,
    KUBE_WATCH_RETRY_MOST_MS = 15000,
};

enum kube_event { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };

struct kube_watch;

struct kube_watch_options {
    const char *path;           /* the collection: "/api/v1/namespaces/default/pods", without query */
    const char *label_selector; /* "atoll.dev/federation=x", encoded in here; NULL: all. Keep foreign objects
                                   out with it */
    const char *field_selector; /* NULL: all */
    size_t object_bytes_max;    /* 0: KUBE_OBJECT_BYTES_MAX. Above it the list or watch fails (nothing may be
                                   held for gone because    it could not be read): on_problem with
                                   ERROR_TOO_LARGE,    and again later */
    int page_objects;           /* 0: KUBE_PAGE_OBJECTS */
    int64_t silence_ms;         /* after which an open watch is held for dead; 0: KUBE_WATCH_SILENCE_MS */
    /* A list begins, also anew after a break: forget what was named before, but not yet the objects. May be
     * NULL. */
    void (*on_list_start)(void *context);
    /* `object` is valid during the call alone: copy the fields that are used. Objects of a list come as
     * KUBE_ADDED, whether they are known or not; so do those that begin to match the selector, and those that
     * no longer match as KUBE_DELETED. */
    void (*on_object)(void *context, enum kube_event event, const struct json *object);
    /* The list is complete: what on_object did not name since on_list_start is gone. */
    void (*on_listed)(void *context);
    /* It does not work, and is tried again; or NULL: it works again (the watch is open; on_listed was
     * before). Said once per change, not per attempt; not said when an open watch breaks and its successor
     * opens. May be NULL. */
    void (*on_problem)(void *context, const struct error *err);
    void *context;
};

/* Begins to list, from the loop. Strings are copied. NULL and `err` when it can't be started. */
struct kube_watch *kube_watch_start(struct kube_client *client, const struct kube_watch_options *options,
                                    struct error *err);

/* Nothing is called any more; allowed from within the watch's own callbacks. The loop frees the memory:
 * the pointer is dead. NULL is tolerated. */
void kube_watch_stop(struct kube_watch *watch);

#endif
