/* MongoDB's wire protocol: messages to and from bytes. Pure: no socket here. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "proto/base/error.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER_SIZE = 16,
    WIRE_MESSAGE_MAX = 48000000, /* the server's maxMessageSizeBytes */
    WIRE_NAME_MAX = 128,
};

struct wire_message {
    int32_t request_id;
    int32_t response_to;
    bool is_query;     /* came as OP_QUERY, so the answer is an OP_REPLY */
    bool more_to_come; /* no answer is wanted */
    bool secondary_ok; /* OP_QUERY's flag */
    char db[WIRE_NAME_MAX];
    bson_t body; /* owned; document sequences are in it as arrays */
};

/* The whole size of the message that begins at `data`: 0 when fewer than 4 bytes are there, -1 when no
 * message may be so long or short. */
int64_t wire_size(const uint8_t *data, size_t have);

/* Reads one whole message of `size` bytes. On success the caller finishes it with wire_message_finish(). */
int wire_read(struct wire_message *message, const uint8_t *data, size_t size, struct error *err);
void wire_message_finish(struct wire_message *message);

/* Bytes of an OP_MSG, or of an OP_REPLY with one document; malloc'ed, for the caller to free. */
uint8_t *wire_write(const bson_t *body, int32_t request_id, int32_t response_to, bool as_reply, size_t *size);

#endif
