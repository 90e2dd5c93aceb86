/* What is going to happen, by virtual time; what is due at one moment happens in the order in which it was
 * planned. */
#ifndef ATOLL_SIM_QUEUE_H
#define ATOLL_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct happening {
    int64_t at_ms;
    uint64_t order;
    int kind;          /* enum happening_kind of world.h */
    int who, other;    /* a zone, an ordinal, a fault: what the kind makes of them */
    uint64_t id, life; /* `life`: of whoever it is for; it is dropped when that one has died meanwhile */
    char *text;        /* owned; NULL: none */
    size_t length;
};

struct queue {
    struct happening *heap;
    size_t count, room;
    uint64_t next_order;
};

void queue_push(struct queue *queue, const struct happening *happening);
bool queue_pop(struct queue *queue, struct happening *out); /* false when nothing is left */
void queue_finish(struct queue *queue);

#endif
