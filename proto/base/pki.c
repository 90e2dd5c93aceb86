/* Keys, requests and certificates with OpenSSL 3: see pki.h. */
#include "proto/base/pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RENEW_NUMERATOR = 2, RENEW_DENOMINATOR = 3, RANDOM_MAX = 64 };

void pki_forget(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_finish(buffer);
}

static void write_hex(const unsigned char *bytes, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void pki_hash(const void *data, size_t length, char out[PKI_HASH_TEXT_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    *out = 0;
    if (EVP_Digest(data, length, digest, &digest_length, EVP_sha256(), NULL) == 1)
        write_hex(digest, digest_length, out);
}

int pki_random_text(size_t length, char *out, struct error *err)
{
    unsigned char bytes[RANDOM_MAX];
    if (length > sizeof bytes || RAND_bytes(bytes, (int)length) != 1)
        return error_set(err, ERROR_INTERNAL, "the system gives no random numbers");
    write_hex(bytes, length, out);
    explicit_bzero(bytes, sizeof bytes);
    return 0;
}

int64_t pki_renew_at_s(const struct pki_facts *certificate)
{
    return certificate->not_before_s +
           (certificate->not_after_s - certificate->not_before_s) * RENEW_NUMERATOR / RENEW_DENOMINATOR;
}

/* ---- PEM ---- */

static BIO *open_text(const char *pem)
{
    size_t length = strnlen(pem, PKI_PEM_MAX + 1);
    return length > PKI_PEM_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
}

/* Appends what was written into `bio`; clears it there, as it may have been a key. */
static int take_text(BIO *bio, struct buffer *out, struct error *err)
{
    char *text = NULL;
    long length = BIO_get_mem_data(bio, &text);
    int failed = length <= 0 || buffer_append(out, text, (size_t)length);
    if (length > 0)
        explicit_bzero(text, (size_t)length);
    return failed ? error_set(err, ERROR_NO_MEMORY, "there is no memory for a PEM text") : 0;
}

static EVP_PKEY *read_key(const char *pem, struct error *err)
{
    BIO *bio = open_text(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
    BIO_free(bio);
    if (!key)
        error_set(err, ERROR_INVALID, "this is no private key in PEM form");
    return key;
}

static X509 *read_certificate(const char *pem, struct error *err)
{
    BIO *bio = open_text(pem);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!certificate)
        error_set(err, ERROR_INVALID, "this is no certificate in PEM form");
    return certificate;
}

/* ---- making ---- */

int pki_key_create(struct buffer *out, struct error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    int result = -1;
    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        error_set(err, ERROR_INTERNAL, "a private key can't be made");
    else
        result = take_text(bio, out, err);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return result;
}

static int add_name(X509_NAME *subject, const char *field, const char *value)
{
    return !value || X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, (const unsigned char *)value,
                                                -1, -1, 0) == 1;
}

static X509_REQ *make_request(EVP_PKEY *key, const char *organization, const char *unit, const char *name)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = request ? X509_REQ_get_subject_name(request) : NULL;
    if (subject && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
        add_name(subject, "O", organization) && add_name(subject, "OU", unit) &&
        add_name(subject, "CN", name) && X509_REQ_set_pubkey(request, key) &&
        X509_REQ_sign(request, key, EVP_sha256()))
        return request;
    X509_REQ_free(request);
    return NULL;
}

int pki_request_create(const char *key_pem, const char *organization, const char *unit, const char *name,
                       struct buffer *out, struct error *err)
{
    EVP_PKEY *key = read_key(key_pem, err);
    if (!key)
        return -1;
    X509_REQ *request = make_request(key, organization, unit, name);
    BIO *bio = BIO_new(BIO_s_mem());
    int result = -1;
    if (!request || !bio || PEM_write_bio_X509_REQ(bio, request) != 1)
        error_set(err, ERROR_INVALID,
                  "a certificate request for \"%.80s\" can't be made: a name has 1 to %d bytes", name,
                  PKI_NAME_MAX);
    else
        result = take_text(bio, out, err);
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return result;
}

/* ---- reading ---- */

/* One field of a subject; more than one of a kind, control characters and zero bytes are refused: what reads
 * a name in another way than we do must not exist. */
static int read_field(const X509_NAME *subject, int field, char out[PKI_NAME_MAX + 1], const char *what,
                      struct error *err)
{
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(subject, field, -1), result = 0;
    *out = 0;
    if (at < 0)
        return 0;
    if (X509_NAME_get_index_by_NID(subject, field, at) >= 0)
        return error_set(err, ERROR_INVALID, "its subject has more than one %s", what);
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (length < 0 || length > PKI_NAME_MAX)
        result = error_set(err, ERROR_INVALID, "its %s can't be read, or has more than %d bytes", what,
                           PKI_NAME_MAX);
    for (int i = 0; result == 0 && i < length; i++)
        if (text[i] < 0x20 || text[i] == 0x7f)
            result = error_set(err, ERROR_INVALID, "its %s has a control character", what);
    if (result == 0) {
        memcpy(out, text, (size_t)length);
        out[length] = 0;
    }
    OPENSSL_free(text);
    return result;
}

static int read_subject(const X509_NAME *subject, struct pki_facts *out, struct error *err)
{
    return read_field(subject, NID_commonName, out->name, "common name", err) ||
                   read_field(subject, NID_organizationName, out->organization, "organization", err) ||
                   read_field(subject, NID_organizationalUnitName, out->unit, "unit", err)
               ? -1
               : 0;
}

/* Hash of a DER that OpenSSL allocated; frees it. */
static int hash_der(unsigned char *der, int length, char out[PKI_HASH_TEXT_MAX], struct error *err)
{
    if (length <= 0)
        return error_set(err, ERROR_NO_MEMORY, "there is no memory to read a certificate");
    pki_hash(der, (size_t)length, out);
    OPENSSL_free(der);
    return 0;
}

static int hash_key(EVP_PKEY *key, char out[PKI_HASH_TEXT_MAX], struct error *err)
{
    unsigned char *der = NULL;
    if (!key)
        return error_set(err, ERROR_INVALID, "its public key can't be read");
    int length = i2d_PUBKEY(key, &der);
    return hash_der(der, length, out, err);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void write_serial(const X509 *certificate, char out[PKI_SERIAL_TEXT_MAX])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int length = ASN1_STRING_length(serial);
    *out = 0;
    if (2 * length < PKI_SERIAL_TEXT_MAX)
        write_hex(ASN1_STRING_get0_data(serial), (size_t)length, out);
}

static int facts_of(X509 *certificate, struct pki_facts *out, struct error *err)
{
    struct pki_facts facts = {0};
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    if (hash_der(der, length, facts.hash, err) ||
        hash_key(X509_get0_pubkey(certificate), facts.key_hash, err) ||
        read_subject(X509_get_subject_name(certificate), &facts, err))
        return -1;
    write_serial(certificate, facts.serial);
    facts.not_before_s = seconds_of(X509_get0_notBefore(certificate));
    facts.not_after_s = seconds_of(X509_get0_notAfter(certificate));
    *out = facts;
    return 0;
}

int pki_certificate_facts(const char *pem, struct pki_facts *out, struct error *err)
{
    X509 *certificate = read_certificate(pem, err);
    int result = certificate ? facts_of(certificate, out, err) : -1;
    X509_free(certificate);
    return result;
}

int pki_request_facts(const char *pem, struct pki_facts *out, struct error *err)
{
    BIO *bio = open_text(pem);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    struct pki_facts facts = {0};
    unsigned char *der = NULL;
    int result = 0;
    BIO_free(bio);
    if (!request)
        return error_set(err, ERROR_INVALID, "this is no certificate request in PEM form of at most %d bytes",
                         PKI_PEM_MAX);
    if (!key || X509_REQ_verify(request, key) != 1)
        result = error_set(err, ERROR_INVALID, "the certificate request is not signed by its own key");
    else if (hash_key(key, facts.key_hash, err) ||
             read_subject(X509_REQ_get_subject_name(request), &facts, err))
        result = -1;
    int length = result ? 0 : i2d_X509_REQ(request, &der);
    if (result == 0 && hash_der(der, length, facts.hash, err))
        result = -1;
    if (result == 0)
        *out = facts;
    X509_REQ_free(request);
    return result;
}

int pki_check_pair(const char *certificate_pem, const char *key_pem, struct error *err)
{
    X509 *certificate = read_certificate(certificate_pem, err);
    EVP_PKEY *key = certificate ? read_key(key_pem, err) : NULL;
    int result = key ? 0 : -1;
    if (key && X509_check_private_key(certificate, key) != 1)
        result = error_set(err, ERROR_INVALID, "the private key is not the certificate's");
    EVP_PKEY_free(key);
    X509_free(certificate);
    return result;
}

bool pki_certificate_bears(const char *certificate_pem, const char *name, bool as_name)
{
    X509 *certificate = read_certificate(certificate_pem, NULL);
    bool bears = certificate &&
                 ((!as_name && X509_check_ip_asc(certificate, name, 0) == 1) ||
                  X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1);
    X509_free(certificate);
    return bears;
}

/* ---- bundles ---- */

static int append_certificate(X509 *certificate, struct buffer *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int result = bio && PEM_write_bio_X509(bio, certificate) == 1
                     ? take_text(bio, out, err)
                     : error_set(err, ERROR_NO_MEMORY, "no memory for a certificate");
    BIO_free(bio);
    return result;
}

int pki_bundle_pick(const char *bundle_pem, const char *hash, struct buffer *out, struct error *err)
{
    BIO *bio = open_text(bundle_pem);
    X509 *certificate;
    int found = 0, result = 0;
    while (bio && !found && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        struct pki_facts facts;
        found = facts_of(certificate, &facts, NULL) == 0 && strcmp(facts.hash, hash) == 0;
        if (found && out)
            result = append_certificate(certificate, out, err);
        X509_free(certificate);
    }
    BIO_free(bio);
    return found ? result
                 : error_set(err, ERROR_NOT_FOUND, "no certificate there has the SHA-256 %.16s…", hash);
}

bool pki_bundles_share(const char *bundle_pem, const char *other_pem)
{
    BIO *bio = open_text(other_pem);
    X509 *certificate;
    bool found = false;
    while (bio && !found && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        struct pki_facts facts;
        found = facts_of(certificate, &facts, NULL) == 0 &&
                pki_bundle_pick(bundle_pem, facts.hash, NULL, NULL) == 0;
        X509_free(certificate);
    }
    BIO_free(bio);
    return found;
}

int pki_check_signed_by(const char *certificate_pem, const char *bundle_pem, struct error *err)
{
    X509 *certificate = read_certificate(certificate_pem, err), *issuer;
    if (!certificate)
        return -1;
    BIO *bio = open_text(bundle_pem);
    int found = 0;
    while (bio && !found && (issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        found = X509_check_issued(issuer, certificate) == X509_V_OK &&
                X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
        X509_free(issuer);
    }
    BIO_free(bio);
    X509_free(certificate);
    return found ? 0
                 : error_set(err, ERROR_REFUSED, "the certificate is signed by none of the federation's CAs");
}
