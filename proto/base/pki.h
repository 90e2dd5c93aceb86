/* Keys, certificate requests and certificates, as PEM texts: what whoever has an identity needs (agent,
 * command line, member, controller). Signing is the controller's: controller/trust/ca.h. Errors never quote a
 * key. */
#ifndef ATOLL_BASE_PKI_H
#define ATOLL_BASE_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buffer.h"
#include "proto/base/error.h"

enum {
    PKI_PEM_MAX = 32 * 1024, /* bytes of one PEM text that is looked at: a bundle of CAs is the longest */
    PKI_NAME_MAX =
        64, /* of a common name: ub-common-name, https://www.rfc-editor.org/rfc/rfc5280#appendix-A.1 */
    PKI_HASH_TEXT_MAX = 65,   /* SHA-256 as lower case hex, and the zero */
    PKI_SERIAL_TEXT_MAX = 48, /* at most 20 octets as lower case hex */
};

/* What a certificate or a request says, and what it is known by. */
struct pki_facts {
    char name[PKI_NAME_MAX + 1];         /* CN */
    char organization[PKI_NAME_MAX + 1]; /* O, "" when there is none */
    char unit[PKI_NAME_MAX + 1];         /* OU, "" when there is none */
    char serial[PKI_SERIAL_TEXT_MAX];    /* "" of a request */
    int64_t not_before_s, not_after_s;   /* seconds since 1970; 0 of a request */
    char hash[PKI_HASH_TEXT_MAX];        /* of the whole DER */
    char key_hash[PKI_HASH_TEXT_MAX];    /* of the public key (SubjectPublicKeyInfo): the same in request and
                                            certificate */
};

/* A new ECDSA key on P-256, as PKCS #8 PEM, not encrypted: it goes into a file of mode 0600 (file_replace)
 * and nowhere else. The caller ends `out` with pki_forget(). */
int pki_key_create(struct buffer *out, struct error *err);

/* A request for a certificate with exactly this subject (organization and unit may be NULL), signed by the
 * key. */
int pki_request_create(const char *key_pem, const char *organization, const char *unit, const char *name,
                       struct buffer *out, struct error *err);

/* The first certificate of a PEM text. ERROR_INVALID when there is none, or its subject isn't one of ours
 * (two names, odd characters). */
int pki_certificate_facts(const char *pem, struct pki_facts *out, struct error *err);

/* A request: its signature is verified, so that whoever sent it holds the key. */
int pki_request_facts(const char *pem, struct pki_facts *out, struct error *err);

/* ERROR_INVALID unless the key is the certificate's. */
int pki_check_pair(const char *certificate_pem, const char *key_pem, struct error *err);

/* Appends the one certificate of the bundle whose hash it is; `out` NULL: only looks. ERROR_NOT_FOUND when
 * none is. */
int pki_bundle_pick(const char *bundle_pem, const char *hash, struct buffer *out, struct error *err);

/* Whether one certificate is in both. */
bool pki_bundles_share(const char *bundle_pem, const char *other_pem);

/* ERROR_REFUSED unless one of the bundle's CAs signed the certificate. Dates are not looked at. */
int pki_check_signed_by(const char *certificate_pem, const char *bundle_pem, struct error *err);

/* Whether the certificate bears this address or DNS name among its alternative names; `as_name`: among the
 * DNS names, whatever it is. */
bool pki_certificate_bears(const char *certificate_pem, const char *name, bool as_name);

struct pki_shown {
    char hash[PKI_HASH_TEXT_MAX]; /* SHA-256 of its DER, as pki_facts.hash */
    bool foreign;                 /* none of the bundle's CAs signed it */
};

/* The certificate that whoever listens at "host:port" shows in a TLS handshake, whoever signed it.
 * Blocks, for `timeout_ms` at most in each step: not for a loop. ERROR_UNREACHABLE when there is no
 * handshake. */
int pki_shown_certificate(const char *host_and_port, int timeout_ms, const char *bundle_pem,
                          struct pki_shown *out, struct error *err);

/* When a certificate is due to be renewed: after two thirds of its life. Seconds since 1970. */
int64_t pki_renew_at_s(const struct pki_facts *certificate);

/* SHA-256 of bytes, as lower case hex. */
void pki_hash(const void *data, size_t length, char out[PKI_HASH_TEXT_MAX]);

/* `length` random bytes as lower case hex: 2 * length + 1 bytes of text. From the operating system, never
 * guessable. */
int pki_random_text(size_t length, char *out, struct error *err);

/* buffer_finish() that first clears the memory. */
void pki_forget(struct buffer *buffer);

#endif
