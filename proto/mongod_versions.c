/* Servers by their version: see mongod_versions.h. */
#include "proto/mongod_versions.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    long major, minor;
} since[] = {
#define X(name, major, minor, what) {major, minor},
#include "proto/mongod_versions.def"
#undef X
};

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

enum mongod_support mongod_has(const char *version, enum mongod_feature feature)
{
    char *end;
    if (!isdigit((unsigned char)*version))
        return MONGOD_UNSURE;
    long major = strtol(version, &end, 10);
    bool whole = *end == '.' && isdigit((unsigned char)end[1]);
    if (major != since[feature].major)
        return major > since[feature].major ? MONGOD_HAS : MONGOD_LACKS;
    if (!whole) /* "4" may be either */
        return since[feature].minor == 0 ? MONGOD_HAS : MONGOD_UNSURE;
    return strtol(end + 1, NULL, 10) >= since[feature].minor ? MONGOD_HAS : MONGOD_LACKS;
}

void mongod_version_of_image(const char *image, char out[MONGOD_VERSION_MAX])
{
    const char *name = strrchr(image, '/'), *tag = strchr(name ? name : image, ':'),
               *digest = strchr(image, '@');
    *out = 0;
    if (tag && (!digest || tag < digest))
        snprintf(out, MONGOD_VERSION_MAX, "%.*s", (int)strcspn(tag + 1, "@"), tag + 1);
}

const struct mongod_tls_options *mongod_tls_options(const char *version)
{
    return mongod_has(version, MONGOD_TLS_OPTIONS) == MONGOD_LACKS ? &before_4_2 : &since_4_2;
}
