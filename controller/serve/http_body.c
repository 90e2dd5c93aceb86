/* Large bodies are room in our memory: whose each is has to be known before it comes, and their sum has a
 * bound. */
#include "controller/serve/http_connection.h"

#include <stdio.h>

void http_body_free(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    *(connection->body_of_agent ? &server->agent_bodies : &server->bodies) -= connection->body_room;
    connection->body_room = 0;
}

static size_t bodies_of_owner(const struct http_server *server, uint64_t owner)
{
    size_t sum = 0;
    for (unsigned i = 0; i < server->options.connections_max; i++)
        if (server->slots[i] && server->slots[i]->body_room && server->slots[i]->body_owner == owner)
            sum += server->slots[i]->body_room;
    return sum;
}

static bool refuse(struct http_body_terms *terms, int status, const char *code, const char *message)
{
    terms->status = status;
    terms->code = code;
    snprintf(terms->message, sizeof terms->message, "%s", message);
    return false;
}

static bool refuse_for_room(struct http_connection *connection, struct http_body_terms *terms, bool full)
{
    connection->server->bodies_refused++;
    snprintf(terms->header, sizeof terms->header, "Retry-After: 5");
    return full ? refuse(
                      terms, 503, "too_large",
                      "as many bytes of bodies are on their way as can be (SITE_BODIES_MAX): try again later")
                : refuse(terms, 429, "too_many_requests",
                         "as many bytes of this caller's bodies are on their way as can be "
                         "(SITE_BODIES_OF_ONE_MAX): wait for the answers");
}

static bool keep_room(struct http_connection *connection, struct http_body_terms *terms, size_t length)
{
    struct http_server *server = connection->server;
    const struct http_server_options *options = &server->options;
    bool of_agent = terms->of == HTTP_AGENT;
    size_t *sum = of_agent ? &server->agent_bodies : &server->bodies;
    size_t most = of_agent ? options->agent_bodies_max : options->bodies_max;
    if (*sum > most || length > most - *sum)
        return refuse_for_room(connection, terms, true);
    if (terms->owner && length + bodies_of_owner(server, terms->owner) > options->owner_bodies_max)
        return refuse_for_room(connection, terms, false);
    *sum += length;
    connection->body_room = length;
    connection->body_owner = terms->owner;
    connection->body_of_agent = of_agent;
    return true;
}

bool http_body_take(struct http_connection *connection, struct http_request *head,
                    struct http_body_terms *terms)
{
    const struct http_server *server = connection->server;
    const struct http_handler *handler = &server->handler;
    uint64_t length = server->fields->content_length;
    if (length > server->options.body_max) {
        char message[64];
        snprintf(message, sizeof message, "a body may have at most %zu bytes", server->options.body_max);
        return refuse(terms, 413, "too_large", message);
    }
    if (length <= HTTP_BODY_SMALL || connection->body_room)
        return true;
    head->length = (size_t)length;
    return (!handler->takes_body || handler->takes_body(handler->context, head, terms)) &&
           keep_room(connection, terms, head->length);
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    return (struct http_server_counts){
        .body_bytes = {[HTTP_PERSON] = server->bodies, [HTTP_AGENT] = server->agent_bodies},
        .bodies_refused = server->bodies_refused,
        .handshakes_refused = server->handshakes_refused};
}
