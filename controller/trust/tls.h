/* TLS of a server as bytes in and bytes out (OpenSSL on memory, no sockets): whoever holds the sockets feeds
 * it.
 *
 * TLS 1.2 at the least, forward secrecy and authenticated encryption alone, no renegotiation, no compression,
 * no resumption (https://wiki.mozilla.org/Security/Server_Side_TLS, "intermediate", but for ECDSA alone).
 * Client certificates are asked for and not required; one that our CAs did not sign ends the handshake. One
 * that has only expired is let through and marked, so that its owner can be told what is wrong in words. */
#ifndef ATOLL_CONTROLLER_TRUST_TLS_H
#define ATOLL_CONTROLLER_TRUST_TLS_H

#include "proto/base/pki.h"

struct tls_context; /* what a listener shows and trusts */
struct tls_session; /* one connection */

struct tls_peer {
    struct pki_facts certificate;
    bool expired; /* or not valid yet, at the time of the handshake */
};

int tls_context_create(struct tls_context **out, struct error *err);
void tls_context_destroy(struct tls_context *context); /* sessions that are open live on; NULL is tolerated */

/* Takes another certificate, key and bundle of CAs for the sessions from now on; the open ones keep what they
 * have. On failure nothing has changed. */
int tls_context_load(struct tls_context *context, const char *certificate_pem, const char *key_pem,
                     const char *bundle_pem, struct error *err);

/* NULL when memory is out, or nothing was loaded yet. */
struct tls_session *tls_session_open(struct tls_context *context);
/* Asks before a client's whole hello is answered, which is what costs: when `may` says no, the handshake
 * fails. */
void tls_session_ask(struct tls_session *session, bool (*may)(void *context), void *context);
void tls_session_free(struct tls_session *session); /* NULL is tolerated */

/* Takes bytes from the peer and appends what they say to `plain` (nothing while hands are shaken). -1: the
 * connection is over, after what tls_session_take() still gives (an alert) has been sent. */
int tls_session_receive(struct tls_session *session, const void *data, size_t length, struct buffer *plain,
                        struct error *err);

bool tls_session_is_established(const struct tls_session *session);
/* Who is at the other end; NULL when no certificate was shown. Valid as long as the session. */
const struct tls_peer *tls_session_peer(const struct tls_session *session);

/* Seals bytes for the peer, after the handshake. */
int tls_session_send(struct tls_session *session, const void *data, size_t length);
/* Says that nothing more will be sent. */
void tls_session_end(struct tls_session *session);

/* Takes up to `size` sealed bytes that are to go to the peer; 0 when there are none. */
size_t tls_session_take(struct tls_session *session, void *out, size_t size);
bool tls_session_has_output(const struct tls_session *session);

#endif
