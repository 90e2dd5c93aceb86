/* What mongod's command line calls things, by the server's version. */
#ifndef ATOLL_PROTO_MONGOD_OPTIONS_H
#define ATOLL_PROTO_MONGOD_OPTIONS_H

/* https://www.mongodb.com/docs/manual/reference/program/mongod/#tls-options ; --ssl… until 4.0 */
struct mongod_tls_options {
    const char *mode, *required; /* an option and its value */
    const char *certificate, *ca, *disabled_protocols; /* options with a value */
    const char *without_certificate; /* a flag: clients need none */
};

#define MONGOD_TLS_DISABLED_PROTOCOLS "TLS1_0,TLS1_1"

/* `version` as a server or an image's tag says it ("4.0.3", "7.0", "7"); one that isn't known is taken for a new one. */
const struct mongod_tls_options *mongod_tls_options(const char *version);

#endif
