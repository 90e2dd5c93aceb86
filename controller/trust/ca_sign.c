/* What the CA signs: itself, requests, the controller's own certificate. See ca.h. */
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/ca_internal.h"

enum {
    SERIAL_BYTES = 16,
    NAME_SUFFIX = 4 /* random bytes in a CA's name: two CAs of an overlap are told apart by their names */
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "a certificate can't be made");
}

static bool add_name(X509_NAME *subject, const char *field, const char *value)
{
    return !value || X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, (const unsigned char *)value,
                                                -1, -1, 0) == 1;
}

/* Random, positive, never zero, 128 bits at the most. */
static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return done;
}

static bool set_dates(X509 *certificate, int64_t from_s, int64_t until_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from_s) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until_s);
}

static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool done = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

int ca_make_generation(struct ca_generation *out, int64_t now_s, struct error *err)
{
    char suffix[2 * NAME_SUFFIX + 1], name[PKI_NAME_MAX];
    struct ca_generation made = {.certificate = X509_new(), .key = EVP_EC_gen("P-384")};
    X509 *certificate = made.certificate;
    if (pki_random_text(NAME_SUFFIX, suffix, err) == 0 && certificate && made.key) {
        snprintf(name, sizeof name, "atoll CA %s", suffix);
        X509_NAME *subject = X509_get_subject_name(certificate);
        if (X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
            set_dates(certificate, now_s - CA_BACKDATED_S, now_s + CA_LIFETIME_S) &&
            add_name(subject, "O", "atoll:ca") && add_name(subject, "CN", name) &&
            X509_set_issuer_name(certificate, subject) && X509_set_pubkey(certificate, made.key) &&
            add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
            add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
            add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
            X509_sign(certificate, made.key, EVP_sha384())) {
            *out = made;
            return 0;
        }
    }
    X509_free(made.certificate);
    EVP_PKEY_free(made.key);
    return out_of_memory(err);
}

/* ---- names ---- */

static bool is_dns_name(const char *text)
{
    size_t length = strlen(text);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return length > 0 && length <= 253 && strspn(text, allowed) == length && text[0] != '.' && text[0] != '-';
}

static bool push_name(GENERAL_NAMES *names, int kind, ASN1_STRING *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (!name || !value || !sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, kind, value);
    return true;
}

static ASN1_STRING *text_value(const char *text)
{
    ASN1_STRING *value = ASN1_IA5STRING_new();
    if (value && ASN1_STRING_set(value, text, -1) == 1)
        return value;
    ASN1_STRING_free(value);
    return NULL;
}

static int add_san(GENERAL_NAMES *names, const char *text, bool addresses_as_names, struct error *err)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    bool done;
    if (!address && !is_dns_name(text))
        return error_set(err, ERROR_INVALID,
                         "\"%.100s\" is neither an IP address nor a DNS name for a certificate", text);
    if (address)
        done = push_name(names, GEN_IPADD, address) &&
               (!addresses_as_names || push_name(names, GEN_DNS, text_value(text)));
    else
        done = push_name(names, GEN_DNS, text_value(text));
    return done ? 0 : out_of_memory(err);
}

static int add_sans(X509 *certificate, const struct ca_identity *identity, struct error *err)
{
    if (identity->san_count == 0)
        return 0;
    if (identity->san_count > CA_SANS_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a certificate has at most %d names, not %zu", CA_SANS_MAX,
                         identity->san_count);
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int result = names ? 0 : out_of_memory(err);
    for (size_t i = 0; result == 0 && i < identity->san_count; i++)
        result = add_san(names, identity->sans[i], identity->addresses_as_names, err);
    if (result == 0 &&
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        result = out_of_memory(err);
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return result;
}

/* ---- leafs ---- */

static const char *usage_of(const struct ca_identity *identity)
{
    return identity->server && identity->client ? "serverAuth,clientAuth"
           : identity->server                   ? "serverAuth"
                                                : "clientAuth";
}

static int fill_leaf(X509 *leaf, const struct ca *ca, EVP_PKEY *key, const struct ca_identity *identity,
                     int64_t now_s, int64_t lifetime_s, struct error *err)
{
    X509 *issuer = ca->issuer.certificate;
    X509_NAME *subject = X509_get_subject_name(leaf);
    int64_t end_s =
        now_s + lifetime_s < ca->issuer.facts.not_after_s ? now_s + lifetime_s : ca->issuer.facts.not_after_s;
    if (now_s >= ca->issuer.facts.not_after_s)
        return error_set(err, ERROR_REFUSED,
                         "the federation's CA has expired: exchange it with \"atoll ca rotate\"");
    if (!*identity->name || strlen(identity->name) > PKI_NAME_MAX)
        return error_set(err, ERROR_INVALID,
                         "the name \"%.80s\" can't be in a certificate: it needs 1 to %d bytes",
                         identity->name, PKI_NAME_MAX);
    if (!X509_set_version(leaf, X509_VERSION_3) || !set_serial(leaf) ||
        !set_dates(leaf, now_s - CA_BACKDATED_S, end_s) || !add_name(subject, "O", identity->organization) ||
        !add_name(subject, "OU", identity->unit) || !add_name(subject, "CN", identity->name) ||
        !X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) || !X509_set_pubkey(leaf, key) ||
        !add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(leaf, issuer, NID_ext_key_usage, usage_of(identity)) ||
        !add_extension(leaf, issuer, NID_subject_key_identifier, "hash") ||
        !add_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always"))
        return out_of_memory(err);
    return add_sans(leaf, identity, err);
}

static int write_leaf(X509 *leaf, struct buffer *out, struct pki_facts *facts, struct error *err)
{
    struct pki_facts written;
    char *text = NULL;
    size_t before = out->length;
    BIO *bio = BIO_new(BIO_s_mem());
    long length = bio && PEM_write_bio_X509(bio, leaf) == 1 ? BIO_get_mem_data(bio, &text) : 0;
    int result = length <= 0 || buffer_append(out, text, (size_t)length) ? out_of_memory(err) : 0;
    BIO_free(bio);
    if (result == 0)
        result = pki_certificate_facts(out->data + before, &written, err);
    if (result == 0 && facts)
        *facts = written;
    return result;
}

static int sign_key(struct ca *ca, EVP_PKEY *key, const struct ca_identity *identity, int64_t now_s,
                    int64_t lifetime_s, struct buffer *out, struct pki_facts *facts, struct error *err)
{
    X509 *leaf = X509_new();
    int result = leaf ? fill_leaf(leaf, ca, key, identity, now_s, lifetime_s, err) : out_of_memory(err);
    if (result == 0 && !X509_sign(leaf, ca->issuer.key, EVP_sha384()))
        result = out_of_memory(err);
    if (result == 0)
        result = write_leaf(leaf, out, facts, err);
    X509_free(leaf);
    return result;
}

static bool is_allowed_key(EVP_PKEY *key)
{
    char group[32] = "";
    return key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0);
}

static int check_subject(const struct pki_facts *request, const struct ca_identity *identity,
                         struct error *err)
{
    if (strcmp(request->name, identity->name) != 0)
        return error_set(err, ERROR_REFUSED, "the certificate request is for \"%s\", not for \"%s\"",
                         request->name, identity->name);
    if (*request->organization && strcmp(request->organization, identity->organization) != 0)
        return error_set(err, ERROR_REFUSED,
                         "the certificate request is for the group \"%s\", not for \"%s\"",
                         request->organization, identity->organization);
    if (*request->unit && (!identity->unit || strcmp(request->unit, identity->unit) != 0))
        return error_set(err, ERROR_REFUSED, "the certificate request is for the unit \"%s\", not for \"%s\"",
                         request->unit, identity->unit ? identity->unit : "none");
    return 0;
}

int ca_sign(struct ca *ca, const char *request_pem, const struct ca_identity *identity, int64_t now_s,
            int64_t lifetime_s, struct buffer *out, struct pki_facts *facts, struct error *err)
{
    struct pki_facts wanted;
    size_t length = strnlen(request_pem, CA_REQUEST_MAX + 1);
    if (length > CA_REQUEST_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a certificate request has at most CA_REQUEST_MAX (%d) bytes",
                         CA_REQUEST_MAX);
    if (pki_request_facts(request_pem, &wanted, err) || check_subject(&wanted, identity, err))
        return -1;
    BIO *bio = BIO_new_mem_buf(request_pem, (int)length);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    int result =
        is_allowed_key(key)
            ? sign_key(ca, key, identity, now_s, lifetime_s, out, facts, err)
            : error_set(err, ERROR_REFUSED, "the certificate request's key is not ECDSA on P-256 or P-384");
    X509_REQ_free(request);
    BIO_free(bio);
    return result;
}

int ca_issue(struct ca *ca, const struct ca_identity *identity, int64_t now_s, int64_t lifetime_s,
             struct buffer *key, struct buffer *certificate, struct pki_facts *facts, struct error *err)
{
    struct buffer request;
    buffer_init(&request, CA_REQUEST_MAX);
    int result = pki_key_create(key, err) ||
                         pki_request_create(key->data, identity->organization, identity->unit, identity->name,
                                            &request, err) ||
                         ca_sign(ca, request.data, identity, now_s, lifetime_s, certificate, facts, err)
                     ? -1
                     : 0;
    buffer_finish(&request);
    return result;
}
