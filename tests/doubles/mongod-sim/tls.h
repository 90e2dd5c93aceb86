/* TLS on both sides of the stand-in, with OpenSSL between socket and messages. Bytes go in and come out; the
 * sockets stay where they are. https://www.mongodb.com/docs/manual/tutorial/configure-ssl/ */
#ifndef SIM_TLS_H
#define SIM_TLS_H

#include "proto/base/error.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_mode { TLS_DISABLED, TLS_ALLOW, TLS_PREFER, TLS_REQUIRE };

struct tls_options {
    enum tls_mode mode;
    const char *certificate_key_file; /* PEM: certificate, chain, key */
    const char *ca_file;
    const char *cluster_file;       /* shown to other members; NULL: the one above */
    const char *disabled_protocols; /* below TLS 1.2 nothing is spoken anyway */
    bool allow_without_certificate;
    bool names_by_dns_alone; /* before 4.1.4 an address counts only as a DNS name */
};

struct tls {
    SSL_CTX *server, *client;
};

/* Reads the files; on an error what was loaded before stays. */
int tls_load(struct tls *tls, const struct tls_options *options, struct error *err);
void tls_finish(struct tls *tls);

/* A growing buffer of bytes that the owner frees. */
struct tls_bytes {
    uint8_t *data;
    size_t size, capacity;
};
void tls_bytes_add(struct tls_bytes *bytes, const void *data, size_t size);

/* One connection's. */
struct tls_link;
/* `peer` is the host dialled, whose name the certificate must bear; NULL on the listening side. */
struct tls_link *tls_link_create(const struct tls *tls, const struct tls_options *options, const char *peer);
void tls_link_destroy(struct tls_link *link);
/* Takes what came from the socket; plain bytes are added to `plain`. What is to be sent comes by
 * tls_link_take(). */
int tls_link_receive(struct tls_link *link, const void *data, size_t size, struct tls_bytes *plain,
                     struct error *err);
/* Begins the handshake on the dialling side, or encrypts. */
int tls_link_send(struct tls_link *link, const void *data, size_t size, struct error *err);
/* What is to be written to the socket now; malloc'ed, NULL when there is nothing. */
uint8_t *tls_link_take(struct tls_link *link, size_t *size);
bool tls_link_ready(const struct tls_link *link);

#endif
