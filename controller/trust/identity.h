/* Whom a certificate names: the organization says which group, the common name who (as in Kubernetes). Pure.
 * Whether that certificate still counts is asked of the records of what was issued: enrol.h. */
#ifndef ATOLL_CONTROLLER_TRUST_IDENTITY_H
#define ATOLL_CONTROLLER_TRUST_IDENTITY_H

#include "controller/trust/access.h"
#include "controller/trust/tls.h"

/* A group that we don't know, a name that can't be one, or a certificate that is out of its dates gives
 * NOBODY with the flaw. */
void caller_from_certificate(const struct tls_peer *peer, struct caller *out);

/* The group of a role's certificates; NULL for NOBODY and AGENT. */
const char *organization_of_role(enum caller_kind role);

#endif
