/* A server's TLS on memory: see tls.h. */
#include "controller/trust/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_CHUNK = 16384,  /* the most that one TLS record holds */
    CHAIN_DEPTH_MOST = 1 /* leafs are signed by the CA itself */
};

static const char ciphers_1_2[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";

struct tls_context {
    SSL_CTX *library; /* NULL until something was loaded */
};

struct tls_session {
    SSL *library;
    BIO *from_peer, *to_peer; /* owned by `library` */
    bool has_peer, expired;   /* `expired` is set while the chain is verified, before there is a peer */
    struct tls_peer peer;
    bool (*may)(void *context); /* go on with the handshake; NULL: all may */
    void *may_context;
};

/* The library's last reason, and its queue of errors emptied: it is the thread's, so that a leftover would be
 * taken for the next connection's. */
static int fail(struct error *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(err, ERROR_PROTOCOL, "%s: %s", what, reason ? reason : "no reason given");
}

/* ---- what is shown and trusted ---- */

int tls_context_create(struct tls_context **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : error_set(err, ERROR_NO_MEMORY, "there is no memory for TLS");
}

void tls_context_destroy(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->library);
    free(context);
}

/* Asked for each certificate of a chain. What is only out of its dates, and is the leaf, is let through and
 * marked. */
static int on_verify(int good, X509_STORE_CTX *chain)
{
    int error = X509_STORE_CTX_get_error(chain);
    if (good)
        return 1;
    if ((error != X509_V_ERR_CERT_HAS_EXPIRED && error != X509_V_ERR_CERT_NOT_YET_VALID) ||
        X509_STORE_CTX_get_error_depth(chain) != 0)
        return 0;
    SSL *library = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *session = SSL_get_app_data(library);
    session->expired = true;
    return 1;
}

/* Half a hello doesn't come here. */
static int on_hello(SSL *library, int *alert, void *context)
{
    const struct tls_session *session = SSL_get_app_data(library);
    (void)context;
    if (!session->may || session->may(session->may_context))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* HTTP/1.1 is all that is spoken. Who offers other protocols alone is told so; who offers none may speak it
 * as well. */
static int on_protocols(SSL *library, const unsigned char **out, unsigned char *out_length,
                        const unsigned char *in, unsigned in_length, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)library, (void)context;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours - 1, in, in_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int add_trusted(SSL_CTX *library, const char *bundle_pem, struct error *err)
{
    BIO *bio = BIO_new_mem_buf(bundle_pem, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(library);
    X509 *ca;
    size_t count = 0;
    while (bio && (ca = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        /* The list of names is what keeps browsers from asking people for certificates that wouldn't do. */
        bool added = X509_STORE_add_cert(store, ca) == 1 && SSL_CTX_add_client_CA(library, ca) == 1;
        X509_free(ca);
        if (!added)
            break;
        count++;
    }
    BIO_free(bio);
    ERR_clear_error();
    return count ? 0 : error_set(err, ERROR_INVALID, "there is no CA to trust");
}

static int show(SSL_CTX *library, const char *certificate_pem, const char *key_pem, struct error *err)
{
    BIO *certificate_bio = BIO_new_mem_buf(certificate_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *certificate = certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
    int result = 0;
    if (!certificate || !key || SSL_CTX_use_certificate(library, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(library, key) != 1 || SSL_CTX_check_private_key(library) != 1)
        result = fail(err, "the controller's certificate and key can't be used");
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    return result;
}

static int configure(SSL_CTX *library, struct error *err)
{
    SSL_CTX_set_options(library, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(library, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(library, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(library, 0);
    SSL_CTX_set_verify(library, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_verify_depth(library, CHAIN_DEPTH_MOST);
    SSL_CTX_set_alpn_select_cb(library, on_protocols, NULL);
    SSL_CTX_set_client_hello_cb(library, on_hello, NULL);
    if (SSL_CTX_set_min_proto_version(library, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(library, ciphers_1_2) != 1 ||
        SSL_CTX_set1_groups_list(library, "X25519:P-256:P-384") != 1)
        return fail(err, "TLS can't be set up");
    return 0;
}

int tls_context_load(struct tls_context *context, const char *certificate_pem, const char *key_pem,
                     const char *bundle_pem, struct error *err)
{
    SSL_CTX *library = SSL_CTX_new(TLS_server_method());
    if (!library)
        return fail(err, "TLS can't be set up");
    if (configure(library, err) || show(library, certificate_pem, key_pem, err) ||
        add_trusted(library, bundle_pem, err)) {
        SSL_CTX_free(library);
        return -1;
    }
    SSL_CTX_free(context->library);
    context->library = library;
    return 0;
}

/* ---- one connection ---- */

struct tls_session *tls_session_open(struct tls_context *context)
{
    struct tls_session *session = context->library ? calloc(1, sizeof *session) : NULL;
    if (!session)
        return NULL;
    session->library = SSL_new(context->library);
    session->from_peer = BIO_new(BIO_s_mem());
    session->to_peer = BIO_new(BIO_s_mem());
    if (!session->library || !session->from_peer || !session->to_peer) {
        SSL_free(session->library);
        BIO_free(session->from_peer);
        BIO_free(session->to_peer);
        free(session);
        return NULL;
    }
    SSL_set_bio(session->library, session->from_peer, session->to_peer);
    SSL_set_app_data(session->library, session);
    SSL_set_accept_state(session->library);
    return session;
}

void tls_session_ask(struct tls_session *session, bool (*may)(void *context), void *context)
{
    session->may = may;
    session->may_context = context;
}

void tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->library);
    free(session);
}

static int note_peer(struct tls_session *session, struct error *err)
{
    X509 *certificate = SSL_get0_peer_certificate(session->library);
    BIO *bio = certificate ? BIO_new(BIO_s_mem()) : NULL;
    char *pem = NULL;
    int result = 0;
    if (!certificate)
        return 0;
    if (!bio || PEM_write_bio_X509(bio, certificate) != 1 || BIO_write(bio, "", 1) != 1 ||
        BIO_get_mem_data(bio, &pem) <= 0)
        result = error_set(err, ERROR_NO_MEMORY, "there is no memory for a client's certificate");
    else
        result = pki_certificate_facts(pem, &session->peer.certificate, err);
    BIO_free(bio);
    session->peer.expired = session->expired;
    session->has_peer = result == 0;
    return result;
}

/* 1 when hands are shaken, 0 when more must come. */
static int shake_hands(struct tls_session *session, struct error *err)
{
    ERR_clear_error();
    int result = SSL_do_handshake(session->library);
    if (result == 1)
        return note_peer(session, err) ? -1 : 1;
    if (SSL_get_error(session->library, result) == SSL_ERROR_WANT_READ)
        return 0;
    return fail(err, "the TLS handshake failed");
}

static int read_plain(struct tls_session *session, struct buffer *plain, struct error *err)
{
    char chunk[READ_CHUNK];
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(session->library, chunk, sizeof chunk);
        if (got > 0) {
            int failed = buffer_append(plain, chunk, (size_t)got);
            explicit_bzero(chunk, (size_t)got); /* it may have been a token */
            if (failed)
                return error_set(err, ERROR_NO_MEMORY, "there is no memory for what a client sent");
            continue;
        }
        int why = SSL_get_error(session->library, got);
        if (why == SSL_ERROR_WANT_READ ||
            why == SSL_ERROR_ZERO_RETURN) /* the latter: it will say no more, but may listen */
            return 0;
        return fail(err, "TLS failed");
    }
}

int tls_session_receive(struct tls_session *session, const void *data, size_t length, struct buffer *plain,
                        struct error *err)
{
    if (length > INT32_MAX || (length && BIO_write(session->from_peer, data, (int)length) != (int)length))
        return error_set(err, ERROR_NO_MEMORY, "there is no memory for what a client sent");
    if (!SSL_is_init_finished(session->library)) {
        int result = shake_hands(session, err);
        if (result <= 0)
            return result;
    }
    return read_plain(session, plain, err);
}

bool tls_session_is_established(const struct tls_session *session)
{
    return SSL_is_init_finished(session->library);
}

const struct tls_peer *tls_session_peer(const struct tls_session *session)
{
    return session->has_peer ? &session->peer : NULL;
}

int tls_session_send(struct tls_session *session, const void *data, size_t length)
{
    const char *rest = data;
    while (length) {
        ERR_clear_error();
        int sealed = SSL_write(session->library, rest, (int)(length < READ_CHUNK ? length : READ_CHUNK));
        if (sealed <= 0) {
            ERR_clear_error();
            return -1;
        }
        rest += sealed;
        length -= (size_t)sealed;
    }
    return 0;
}

void tls_session_end(struct tls_session *session)
{
    if (SSL_is_init_finished(session->library))
        SSL_shutdown(session->library);
    ERR_clear_error();
}

size_t tls_session_take(struct tls_session *session, void *out, size_t size)
{
    int taken = BIO_read(session->to_peer, out, (int)(size < INT32_MAX ? size : INT32_MAX));
    return taken > 0 ? (size_t)taken : 0;
}

bool tls_session_has_output(const struct tls_session *session)
{
    return BIO_pending(session->to_peer) > 0;
}
