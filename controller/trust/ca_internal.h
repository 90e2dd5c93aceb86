/* The CA's insides, shared by ca.c (its life) and ca_sign.c (what it signs). */
#ifndef ATOLL_CONTROLLER_TRUST_CA_INTERNAL_H
#define ATOLL_CONTROLLER_TRUST_CA_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "controller/trust/ca.h"

struct ca_generation {
    X509 *certificate; /* NULL: there is none */
    EVP_PKEY *key;     /* NULL of one that doesn't sign any more */
    struct pki_facts facts;
};

struct ca {
    enum ca_stage stage;
    int64_t changed_at_s;
    struct ca_generation issuer, other;
    struct buffer bundle;
};

/* A new key and its self-signed certificate; `out` is written only on success. */
int ca_make_generation(struct ca_generation *out, int64_t now_s, struct error *err);

#endif
