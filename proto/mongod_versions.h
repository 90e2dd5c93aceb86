/* What differs between servers, by their version, said once. */
#ifndef ATOLL_PROTO_MONGOD_VERSIONS_H
#define ATOLL_PROTO_MONGOD_VERSIONS_H

enum { MONGOD_VERSION_MAX = 32 }; /* bytes of a version's text, with the zero */

enum mongod_feature {
#define X(name, major, minor, what) name,
#include "proto/mongod_versions.def"
#undef X
};

enum mongod_support { MONGOD_UNSURE /* nobody knows the version */, MONGOD_LACKS, MONGOD_HAS };

/* `version` as a server or an image's tag says it: "4.0.3", "7.0", "8"; anything else is a version that
 * nobody knows. */
enum mongod_support mongod_has(const char *version, enum mongod_feature feature);

/* Of an image like "registry:5000/mongo:4.0.3@sha256:…" "4.0.3"; "" without a tag. */
void mongod_version_of_image(const char *image, char out[MONGOD_VERSION_MAX]);

/* https://www.mongodb.com/docs/manual/reference/program/mongod/#tls-options ; --ssl… until 4.0 */
struct mongod_tls_options {
    const char *mode, *required;                       /* an option and its value */
    const char *certificate, *ca, *disabled_protocols; /* options with a value */
    const char *without_certificate;                   /* a flag: clients need none */
};

#define MONGOD_TLS_DISABLED_PROTOCOLS "TLS1_0,TLS1_1"

/* Of a version that nobody knows, the newest. */
const struct mongod_tls_options *mongod_tls_options(const char *version);

#endif
