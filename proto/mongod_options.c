/* Options by version: see mongod_options.h. */
#include "proto/mongod_options.h"

#include <stdio.h>

static const struct mongod_tls_options before_4_2 = {
    .mode = "--sslMode",
    .required = "requireSSL",
    .certificate = "--sslPEMKeyFile",
    .ca = "--sslCAFile",
    .disabled_protocols = "--sslDisabledProtocols",
    .without_certificate = "--sslAllowConnectionsWithoutCertificates",
};

static const struct mongod_tls_options since_4_2 = {
    .mode = "--tlsMode",
    .required = "requireTLS",
    .certificate = "--tlsCertificateKeyFile",
    .ca = "--tlsCAFile",
    .disabled_protocols = "--tlsDisabledProtocols",
    .without_certificate = "--tlsAllowConnectionsWithoutCertificates",
};

const struct mongod_tls_options *mongod_tls_options(const char *version)
{
    int major = 0, minor = 0, read = sscanf(version, "%d.%d", &major, &minor);
    return read == 2 && (major < 4 || (major == 4 && minor < 2)) ? &before_4_2 : &since_4_2;
}
