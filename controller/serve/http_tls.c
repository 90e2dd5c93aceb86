/* TLS between a socket and its connection: what comes is opened before http_connection.c sees it, what goes
 * is sealed. Nothing of a request is read before hands are shaken, and that has a deadline. */
#include "controller/serve/http_connection.h"

#include <string.h>

#include "controller/trust/identity.h"
#include "controller/trust/tls.h"

enum { ALERT_MS = 1000 };

static bool may_shake_hands(void *context)
{
    struct http_connection *connection = context;
    const struct http_handler *handler = &connection->server->handler;
    if (!handler->takes_handshake || handler->takes_handshake(handler->context, connection->remote))
        return true;
    connection->server->handshakes_refused++;
    connection->turned_away = true;
    return false;
}

int http_tls_open(struct http_connection *connection)
{
    if (!connection->server->options.tls)
        return 0;
    connection->tls = tls_session_open(connection->server->options.tls);
    if (!connection->tls)
        return -1;
    tls_session_ask(connection->tls, may_shake_hands, connection);
    http_connection_set_deadline(connection, connection->server->options.handshake_timeout_ms);
    return 0;
}

void http_tls_close(struct http_connection *connection)
{
    tls_session_free(connection->tls);
    connection->tls = NULL;
}

int http_tls_flush(struct http_connection *connection)
{
    char sealed[HTTP_CHUNK];
    size_t length;
    while (!http_socket_is_full(connection) &&
           (length = tls_session_take(connection->tls, sealed, sizeof sealed)))
        if (http_socket_put(connection, sealed, length))
            return -1;
    return 0;
}

bool http_tls_has_output(const struct http_connection *connection)
{
    return tls_session_has_output(connection->tls);
}

int http_tls_write(struct http_connection *connection, const void *data, size_t length)
{
    return tls_session_send(connection->tls, data, length) ? -1 : http_tls_flush(connection);
}

void http_tls_end(struct http_connection *connection)
{
    tls_session_end(connection->tls);
    http_tls_flush(connection);
}

/* The client is told why (an alert), and has a moment to read it; what it still sends is dropped. */
static int give_up(struct http_connection *connection)
{
    if (connection->state != STATE_READING || connection->turned_away)
        return -1;
    connection->state = STATE_LINGERING;
    if (http_tls_flush(connection))
        return -1;
    http_socket_shut_sending(connection);
    http_connection_set_deadline(connection, ALERT_MS);
    return 0;
}

static void note_peer(struct http_connection *connection)
{
    const struct tls_peer *peer = tls_session_peer(connection->tls);
    connection->has_peer = peer != NULL;
    if (peer)
        caller_from_certificate(peer, &connection->peer);
    /* Who has shown a certificate of ours is no stranger any more; where there is no room they stay one. */
    if (peer && connection->peer.kind != CALLER_NOBODY)
        http_pool_move(connection, connection->peer.kind == CALLER_AGENT ? HTTP_AGENT : HTTP_PERSON);
    http_connection_set_deadline(connection, connection->server->options.idle_timeout_ms);
}

int http_tls_on_bytes(struct http_connection *connection, const char *data, size_t length)
{
    struct buffer *plain = &connection->server->opened;
    bool established = tls_session_is_established(connection->tls);
    if (connection->state == STATE_LINGERING)
        return 0;
    buffer_clear(plain);
    int failed = tls_session_receive(connection->tls, data, length, plain, NULL);
    if (!established && tls_session_is_established(connection->tls))
        note_peer(connection);
    if (tls_session_has_output(connection->tls))
        http_socket_want_write(connection);
    int result = plain->length ? http_connection_on_bytes(connection, plain->data, plain->length) : 0;
    if (plain->data)
        explicit_bzero(plain->data, plain->length);
    return result || !failed ? result : give_up(connection);
}
