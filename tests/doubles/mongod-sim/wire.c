/* OP_MSG, and OP_QUERY with OP_REPLY, which older drivers use for the handshake. Compression is never
 * offered. https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ */
#include "wire.h"

#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013 };
enum { MSG_CHECKSUM = 1, MSG_MORE_TO_COME = 2, MSG_EXHAUST_ALLOWED = 1 << 16, MSG_REQUIRED_BITS = 0xffff };
enum { QUERY_SLAVE_OK = 4 };

static int32_t read_i32(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

static void write_i32(uint8_t *p, int32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)((uint32_t)value >> (8 * i));
}

int64_t wire_size(const uint8_t *data, size_t have)
{
    if (have < 4)
        return 0;
    int32_t size = read_i32(data);
    return size < WIRE_HEADER_SIZE || size > WIRE_MESSAGE_MAX ? -1 : size;
}

/* Takes one BSON document from [*p, end). */
static int take_document(const uint8_t **p, const uint8_t *end, bson_t *out, struct error *err)
{
    if (end - *p < 5)
        return error_set(err, ERROR_PROTOCOL, "a document is cut off");
    int32_t size = read_i32(*p);
    if (size < 5 || size > end - *p || !bson_init_static(out, *p, (size_t)size))
        return error_set(err, ERROR_PROTOCOL, "a document's length is wrong");
    if (!bson_validate(out, BSON_VALIDATE_NONE, NULL))
        return error_set(err, ERROR_PROTOCOL, "a document is not valid BSON");
    *p += size;
    return 0;
}

/* A section of kind 1 becomes an array in the body, as the server has it. */
static int take_sequence(const uint8_t **p, const uint8_t *end, bson_t *body, struct error *err)
{
    if (end - *p < 4)
        return error_set(err, ERROR_PROTOCOL, "a document sequence is cut off");
    int32_t size = read_i32(*p);
    if (size < 5 || size > end - *p)
        return error_set(err, ERROR_PROTOCOL, "a document sequence's length is wrong");
    const uint8_t *stop = *p + size, *q = *p + 4;
    const uint8_t *name_end = memchr(q, 0, (size_t)(stop - q));
    if (!name_end)
        return error_set(err, ERROR_PROTOCOL, "a document sequence's name has no end");
    bson_t array, item;
    bson_append_array_begin(body, (const char *)q, -1, &array);
    q = name_end + 1;
    for (uint32_t i = 0; q < stop; i++) {
        char buffer[16];
        const char *key;
        if (take_document(&q, stop, &item, err))
            return -1;
        bson_uint32_to_string(i, &key, buffer, sizeof buffer);
        bson_append_document(&array, key, -1, &item);
    }
    bson_append_array_end(body, &array);
    *p = stop;
    return 0;
}

static int read_msg(struct wire_message *m, const uint8_t *p, const uint8_t *end, struct error *err)
{
    if (end - p < 5)
        return error_set(err, ERROR_PROTOCOL, "an OP_MSG is too short");
    int32_t flags = read_i32(p);
    if (flags & MSG_REQUIRED_BITS & ~(MSG_CHECKSUM | MSG_MORE_TO_COME))
        return error_set(err, ERROR_PROTOCOL, "an OP_MSG has unknown required flags");
    m->more_to_come = flags & MSG_MORE_TO_COME;
    if (flags & MSG_CHECKSUM) /* optional to verify; TCP has one too */
        end -= 4;
    p += 4;
    const uint8_t *start = p;
    bool have_body = false;
    while (p < end) { /* first the body, wherever it is */
        uint8_t kind = *p++;
        bson_t doc;
        if (kind == 0 && !have_body) {
            if (take_document(&p, end, &doc, err))
                return -1;
            bson_concat(&m->body, &doc);
            have_body = true;
        } else if (kind == 1 && end - p >= 4 && read_i32(p) >= 5 && read_i32(p) <= end - p) {
            p += read_i32(p);
        } else {
            return error_set(err, ERROR_PROTOCOL, "an OP_MSG has a bad section");
        }
    }
    if (!have_body)
        return error_set(err, ERROR_PROTOCOL, "an OP_MSG has no body");
    for (p = start; p < end;) {
        if (*p++ == 0)
            p += read_i32(p);
        else if (take_sequence(&p, end, &m->body, err))
            return -1;
    }
    snprintf(m->db, sizeof m->db, "%s", get_text(&m->body, "$db", "admin"));
    return 0;
}

/* {$query: command, $readPreference: ...} is unwrapped; the read preference stays in the command. */
static void copy_query(struct wire_message *m, const bson_t *doc)
{
    bson_t query, preference;
    if (!get_document(doc, "$query", &query)) {
        bson_concat(&m->body, doc);
        return;
    }
    bson_concat(&m->body, &query);
    if (get_document(doc, "$readPreference", &preference))
        bson_append_document(&m->body, "$readPreference", -1, &preference);
}

static int read_query(struct wire_message *m, const uint8_t *p, const uint8_t *end, struct error *err)
{
    if (end - p < 4 + 2 + 8 + 5)
        return error_set(err, ERROR_PROTOCOL, "an OP_QUERY is too short");
    m->is_query = true;
    m->secondary_ok = read_i32(p) & QUERY_SLAVE_OK;
    p += 4;
    const uint8_t *name_end = memchr(p, 0, (size_t)(end - p));
    const char *suffix = name_end ? strstr((const char *)p, ".$cmd") : NULL;
    if (!suffix || suffix[5] || (size_t)(suffix - (const char *)p) >= sizeof m->db)
        return error_set(err, ERROR_PROTOCOL, "an OP_QUERY that is no command: OP_MSG is needed");
    memcpy(m->db, p, (size_t)(suffix - (const char *)p));
    p = name_end + 1;
    bson_t doc;
    if (end - p < 8 + 5)
        return error_set(err, ERROR_PROTOCOL, "an OP_QUERY is too short");
    p += 8;
    if (take_document(&p, end, &doc, err))
        return -1;
    copy_query(m, &doc);
    return 0;
}

int wire_read(struct wire_message *message, const uint8_t *data, size_t size, struct error *err)
{
    struct wire_message m = {0};
    bson_init(&m.body);
    m.request_id = read_i32(data + 4);
    m.response_to = read_i32(data + 8);
    int32_t opcode = read_i32(data + 12), rc;
    if (opcode == OP_MSG)
        rc = read_msg(&m, data + WIRE_HEADER_SIZE, data + size, err);
    else if (opcode == OP_QUERY)
        rc = read_query(&m, data + WIRE_HEADER_SIZE, data + size, err);
    else
        rc = error_set(err, ERROR_PROTOCOL, "opcode %d is not one that is played", opcode);
    if (rc == 0) {
        *message = m;
        /* bson_t may point into itself, so it is copied again at its place and not with the struct */
        bson_copy_to(&m.body, &message->body);
    }
    bson_destroy(&m.body);
    return rc;
}

void wire_message_finish(struct wire_message *message)
{
    bson_destroy(&message->body);
}

uint8_t *wire_write(const bson_t *body, int32_t request_id, int32_t response_to, bool as_reply, size_t *size)
{
    size_t before = WIRE_HEADER_SIZE + (as_reply ? 20 : 5);
    uint8_t *bytes = xcalloc(1, before + body->len);
    *size = before + body->len;
    write_i32(bytes, (int32_t)*size);
    write_i32(bytes + 4, request_id);
    write_i32(bytes + 8, response_to);
    write_i32(bytes + 12, as_reply ? OP_REPLY : OP_MSG);
    if (as_reply) {
        write_i32(bytes + 16, 8); /* AwaitCapable, as the server always sets it */
        write_i32(bytes + 32, 1); /* one document */
    }
    memcpy(bytes + before, bson_get_data(body), body->len);
    return bytes;
}
