/* A binary heap of happenings: see queue.h. */
#include "tests/sim/queue.h"

#include <assert.h>
#include <stdlib.h>

static bool earlier(const struct happening *a, const struct happening *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct happening *a, struct happening *b)
{
    struct happening kept = *a;
    *a = *b;
    *b = kept;
}

void queue_push(struct queue *queue, const struct happening *happening)
{
    if (queue->count == queue->room) {
        queue->room = queue->room ? queue->room * 2 : 256;
        queue->heap = realloc(queue->heap, queue->room * sizeof *queue->heap);
        assert(queue->heap);
    }
    size_t at = queue->count++;
    queue->heap[at] = *happening;
    queue->heap[at].order = queue->next_order++;
    while (at > 0 && earlier(&queue->heap[at], &queue->heap[(at - 1) / 2])) {
        swap(&queue->heap[at], &queue->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool queue_pop(struct queue *queue, struct happening *out)
{
    if (queue->count == 0)
        return false;
    *out = queue->heap[0];
    queue->heap[0] = queue->heap[--queue->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue->count; child++)
            if (earlier(&queue->heap[child], &queue->heap[least]))
                least = child;
        if (least == at)
            return true;
        swap(&queue->heap[at], &queue->heap[least]);
        at = least;
    }
}

void queue_finish(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        free(queue->heap[i].text);
    free(queue->heap);
    *queue = (struct queue){0};
}
