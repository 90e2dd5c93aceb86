/* Asks a listener for its certificate: see pki.h. */
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/pki.h"

enum { HOST_TEXT_MAX = 320 };

static int look_up(const char *host_and_port, struct addrinfo **out, struct error *err)
{
    char host[HOST_TEXT_MAX];
    const char *port;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (address_split(host_and_port, host, sizeof host, &port, err))
        return -1;
    int code = getaddrinfo(host, port, &hints, out);
    return code ? error_set(err, ERROR_UNREACHABLE, "%.80s: %s", host_and_port, gai_strerror(code)) : 0;
}

/* On Linux the timeout for sending is one for connecting, too: socket(7). */
static int dial(const char *host_and_port, int timeout_ms, struct error *err)
{
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct addrinfo *address = NULL;
    if (look_up(host_and_port, &address, err))
        return -1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool failed = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) ||
                  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) ||
                  connect(fd, address->ai_addr, address->ai_addrlen);
    int problem = errno;
    freeaddrinfo(address);
    if (!failed)
        return fd;
    if (fd >= 0)
        close(fd);
    error_set_errno(err, problem, "%.80s can't be dialled", host_and_port);
    if (err)
        err->code = ERROR_UNREACHABLE;
    return -1;
}

static bool is_signed_by(X509 *certificate, const char *bundle_pem)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *pem = NULL;
    bool result = out && PEM_write_bio_X509(out, certificate) == 1 && BIO_write(out, "", 1) == 1 &&
                  BIO_get_mem_data(out, &pem) > 0 && pki_check_signed_by(pem, bundle_pem, NULL) == 0;
    BIO_free(out);
    return result;
}

static int look_at_peer(SSL *ssl, const char *bundle_pem, struct pki_shown *out)
{
    unsigned char *der = NULL;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    int length = certificate ? i2d_X509(certificate, &der) : 0;
    if (length > 0) {
        pki_hash(der, (size_t)length, out->hash);
        out->foreign = !is_signed_by(certificate, bundle_pem);
    }
    OPENSSL_free(der);
    X509_free(certificate);
    return length > 0 ? 0 : -1;
}

int pki_shown_certificate(const char *host_and_port, int timeout_ms, const char *bundle_pem,
                          struct pki_shown *out, struct error *err)
{
    int fd = dial(host_and_port, timeout_ms, err);
    if (fd < 0)
        return -1;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    int result = -1;
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1)
        result = look_at_peer(ssl, bundle_pem, out);
    if (result == 0)
        SSL_shutdown(ssl);
    else
        error_set(err, ERROR_UNREACHABLE, "%.80s shows no certificate", host_and_port);
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return result;
}
