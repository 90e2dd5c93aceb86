/* TLS by memory BIOs. Names are checked like the server's: the host dialled against the certificate's
 * alternative names; before 4.1.4 addresses count only where they stand as a DNS name. */
#include "tls.h"

#include "util.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tls_link {
    SSL *ssl;
    BIO *in, *out;
    bool ready, dialling, dns_alone;
    char peer[300];
};

static int fail_ssl(struct error *err, const char *what, const char *file)
{
    char text[200] = "unknown error";
    unsigned long code = ERR_get_error();
    if (code)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return error_set(err, ERROR_INVALID, "%s %s: %s", what, file, text);
}

static SSL_CTX *context(const char *key_file, const struct tls_options *o, bool server, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    int rc = 0;
    if (key_file && (SSL_CTX_use_certificate_chain_file(ctx, key_file) != 1 ||
                     SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
                     SSL_CTX_check_private_key(ctx) != 1))
        rc = fail_ssl(err, "cannot read certificate and key from", key_file);
    if (rc == 0 && o->ca_file && SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL) != 1)
        rc = fail_ssl(err, "cannot read certificate authority file", o->ca_file);
    if (rc == 0 && server && o->ca_file)
        SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(o->ca_file));
    if (o->ca_file)
        SSL_CTX_set_verify(
            ctx,
            SSL_VERIFY_PEER | (server && !o->allow_without_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
            NULL);
    if (rc == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

int tls_load(struct tls *tls, const struct tls_options *o, struct error *err)
{
    const char *outgoing = o->cluster_file ? o->cluster_file : o->certificate_key_file;
    SSL_CTX *server = context(o->certificate_key_file, o, true, err);
    SSL_CTX *client = server ? context(outgoing, o, false, err) : NULL;
    if (!client) {
        SSL_CTX_free(server);
        return -1;
    }
    tls_finish(tls);
    *tls = (struct tls){server, client};
    return 0;
}

void tls_finish(struct tls *tls)
{
    SSL_CTX_free(tls->server);
    SSL_CTX_free(tls->client);
    *tls = (struct tls){0};
}

void tls_bytes_add(struct tls_bytes *bytes, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (bytes->capacity - bytes->size < size) {
        size_t doubled = 2 * bytes->capacity, needed = bytes->size + size;
        bytes->capacity = doubled > needed ? doubled : needed;
        bytes->data = xrealloc(bytes->data, bytes->capacity);
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

struct tls_link *tls_link_create(const struct tls *tls, const struct tls_options *options, const char *peer)
{
    struct tls_link *l = xcalloc(1, sizeof *l);
    l->ssl = SSL_new(peer ? tls->client : tls->server);
    l->in = BIO_new(BIO_s_mem());
    l->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(l->in, -1);
    SSL_set_bio(l->ssl, l->in, l->out);
    l->dialling = peer != NULL;
    l->dns_alone = options->names_by_dns_alone;
    if (!peer) {
        SSL_set_accept_state(l->ssl);
        return l;
    }
    strncpy(l->peer, peer, sizeof l->peer - 1);
    SSL_set_connect_state(l->ssl);
    struct in6_addr address;
    if (inet_pton(AF_INET, peer, &address) != 1 && inet_pton(AF_INET6, peer, &address) != 1)
        SSL_set_tlsext_host_name(l->ssl, peer);
    return l;
}

void tls_link_destroy(struct tls_link *link)
{
    if (!link)
        return;
    SSL_free(link->ssl);
    free(link);
}

static bool has_dns_name(X509 *certificate, const char *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);
        found = one->type == GEN_DNS && (size_t)ASN1_STRING_length(one->d.dNSName) == strlen(name) &&
                !strncasecmp((const char *)ASN1_STRING_get0_data(one->d.dNSName), name, strlen(name));
    }
    GENERAL_NAMES_free(names);
    return found;
}

static int check_name(const struct tls_link *l, struct error *err)
{
    X509 *certificate = SSL_get0_peer_certificate(l->ssl);
    struct in6_addr address;
    bool is_address =
        inet_pton(AF_INET, l->peer, &address) == 1 || inet_pton(AF_INET6, l->peer, &address) == 1;
    bool fits = certificate && (l->dns_alone ? has_dns_name(certificate, l->peer)
                                : is_address ? X509_check_ip_asc(certificate, l->peer, 0) == 1
                                             : X509_check_host(certificate, l->peer, 0, 0, NULL) == 1);
    if (fits)
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "The server certificate does not match the host name. Hostname: %s does not match",
                     l->peer);
}

/* Why the handshake failed, as a sentence. */
static int fail_handshake(const struct tls_link *l, struct error *err)
{
    long verified = SSL_get_verify_result(l->ssl);
    if (verified != X509_V_OK) {
        ERR_clear_error();
        return error_set(err, ERROR_REFUSED, "SSL peer certificate validation failed: %s",
                         X509_verify_cert_error_string(verified));
    }
    return fail_ssl(err, "SSL handshake", "failed");
}

static int shake_hands(struct tls_link *l, struct error *err)
{
    if (l->ready)
        return 0;
    int rc = SSL_do_handshake(l->ssl);
    if (rc == 1) {
        l->ready = true;
        return l->dialling ? check_name(l, err) : 0;
    }
    int why = SSL_get_error(l->ssl, rc);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : fail_handshake(l, err);
}

int tls_link_receive(struct tls_link *l, const void *data, size_t size, struct tls_bytes *plain,
                     struct error *err)
{
    uint8_t buffer[16384];
    if (BIO_write(l->in, data, (int)size) != (int)size)
        return error_set(err, ERROR_NO_MEMORY, "no room for TLS");
    if (shake_hands(l, err))
        return -1;
    while (l->ready) {
        int got = SSL_read(l->ssl, buffer, sizeof buffer);
        if (got > 0) {
            tls_bytes_add(plain, buffer, (size_t)got);
            continue;
        }
        int why = SSL_get_error(l->ssl, got);
        if (why == SSL_ERROR_WANT_READ)
            return 0;
        if (why == SSL_ERROR_ZERO_RETURN)
            return error_set(err, ERROR_UNREACHABLE, "Connection closed by peer");
        return fail_handshake(l, err);
    }
    return 0;
}

int tls_link_send(struct tls_link *l, const void *data, size_t size, struct error *err)
{
    if (shake_hands(l, err))
        return -1;
    const uint8_t *at = data;
    while (size > 0) {
        int chunk = size > 1 << 20 ? 1 << 20 : (int)size;
        int put = SSL_write(l->ssl, at, chunk);
        if (put <= 0)
            return fail_ssl(err, "TLS", "write");
        at += put;
        size -= (size_t)put;
    }
    return 0;
}

uint8_t *tls_link_take(struct tls_link *l, size_t *size)
{
    *size = BIO_ctrl_pending(l->out);
    if (*size == 0)
        return NULL;
    uint8_t *bytes = xcalloc(1, *size);
    BIO_read(l->out, bytes, (int)*size);
    return bytes;
}

bool tls_link_ready(const struct tls_link *link)
{
    return link->ready;
}
