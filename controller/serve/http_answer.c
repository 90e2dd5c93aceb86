/* Answers and streams: see http.h. They put bytes into a connection's queue; http_connection.c sends them. */
#include "controller/serve/http_connection.h"

#include <stdio.h>

#include "proto/base/json.h"

/* What handlers ask of a request */

const char *http_request_query(const struct http_request *request, const char *name)
{
    return http_fields_query(request->fields, name);
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http_fields_header(request->fields, name);
}

/* Answers */

static struct http_reply_frame frame_of(const struct http_connection *connection)
{
    return (struct http_reply_frame){.server_name = connection->server->name,
                                     .close = !connection->keep_alive,
                                     .head_alone = connection->head_alone,
                                     .gzip = connection->gzip};
}

static int flush_answer(struct http_connection *connection)
{
    connection->id = 0;
    connection->state = STATE_FLUSHING;
    http_connection_set_deadline(connection, connection->server->options.write_timeout_ms);
    http_socket_want_write(connection);
    return 0;
}

/* Refusals of the server's own have no id, and nobody to be told. */
static void tell_answered(const struct http_connection *connection, int status)
{
    const struct http_server *server = connection->server;
    if (connection->id && server->handler.answered)
        server->handler.answered(server->handler.context, connection->id, status);
}

static int respond(struct http_connection *connection, const struct http_response *response)
{
    tell_answered(connection, response->status);
    struct http_reply_frame frame = frame_of(connection);
    if (http_reply_append(&connection->out, response, &frame, &connection->server->packed))
        return http_connection_kill(connection);
    return flush_answer(connection);
}

int http_respond(struct http_server *server, uint64_t id, const struct http_response *response)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_ANSWERING);
    if (!connection)
        return -1;
    return respond(connection, response);
}

static int print_error(const char *code, const char *message, struct buffer *out)
{
    struct json *document = json_object();
    struct json *error = json_set(document, "error", json_object());
    json_set_string(error, "code", code);
    json_set_string(error, "message", message);
    json_set(error, "details", json_array());
    int result = json_print(document, JSON_COMPACT, out, NULL);
    json_destroy(document);
    return result || buffer_append_text(out, "\n") ? -1 : 0;
}

int http_connection_respond_error(struct http_connection *connection, int status, const char *code,
                                  const char *message, const char *const *headers)
{
    struct buffer body;
    buffer_init(&body, 0);
    int result = print_error(code, message, &body);
    if (result)
        http_connection_kill(connection);
    else
        result = respond(connection, &(struct http_response){.status = status,
                                                             .content_type = "application/json",
                                                             .headers = headers,
                                                             .body = body.data,
                                                             .length = body.length});
    buffer_finish(&body);
    return result;
}

int http_respond_error_with(struct http_server *server, uint64_t id, int status, const char *code,
                            const char *message, const char *const *headers)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_ANSWERING);
    if (!connection)
        return -1;
    return http_connection_respond_error(connection, status, code, message, headers);
}

int http_respond_error(struct http_server *server, uint64_t id, int status, const char *code,
                       const char *message)
{
    return http_respond_error_with(server, id, status, code, message, NULL);
}

int http_respond_not_found(struct http_server *server, uint64_t id)
{
    return http_respond_error(server, id, 404, "not_found", "there is nothing at this path");
}

int http_respond_method_not_allowed(struct http_server *server, uint64_t id, const char *allowed)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_ANSWERING);
    if (!connection)
        return -1;
    char header[128], message[128];
    snprintf(header, sizeof header, "Allow: %s", allowed);
    snprintf(message, sizeof message, "this path takes %s", allowed);
    return http_connection_respond_error(connection, 405, "method_not_allowed", message,
                                         (const char *const[]){header, NULL});
}

/* Streams */

int http_stream_begin(struct http_server *server, uint64_t id, const char *content_type,
                      const char *const *headers)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_ANSWERING);
    if (!connection)
        return -1;
    tell_answered(connection, 200);
    if (connection->http_1_0)
        connection->keep_alive = false; /* its end is the connection's */
    struct http_reply_frame frame = frame_of(connection);
    frame.chunked = !connection->http_1_0;
    if (http_reply_append_stream_head(&connection->out, content_type, headers, &frame))
        return http_connection_kill(connection);
    if (connection->head_alone) {
        flush_answer(connection);
        return -1;
    }
    connection->state = STATE_STREAMING;
    http_connection_set_deadline(connection, server->options.write_timeout_ms);
    http_socket_want_write(connection);
    return 0;
}

int http_stream_write(struct http_server *server, uint64_t id, const void *data, size_t length)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_STREAMING);
    if (!connection)
        return -1;
    if (length == 0)
        return 0; /* as a chunk it would be the end */
    size_t waiting = connection->out.length - connection->sent, room = server->options.stream_queue_max;
    bool was_empty = waiting == 0 && !http_socket_is_blocked(connection);
    int failed = waiting > room || length > room - waiting;
    if (!failed && !connection->http_1_0)
        failed |= buffer_printf(&connection->out, "%zx\r\n", length);
    if (!failed)
        failed |= buffer_append(&connection->out, data, length);
    if (!failed && !connection->http_1_0)
        failed |= buffer_append_text(&connection->out, "\r\n");
    if (failed)
        return http_connection_kill(connection);
    if (was_empty) /* else the time since the client took something goes on */
        http_connection_set_deadline(connection, server->options.write_timeout_ms);
    http_socket_want_write(connection);
    return 0;
}

int http_stream_end(struct http_server *server, uint64_t id)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_STREAMING);
    if (!connection)
        return -1;
    if (!connection->http_1_0 && buffer_append_text(&connection->out, "0\r\n\r\n"))
        return http_connection_kill(connection);
    return flush_answer(connection);
}
