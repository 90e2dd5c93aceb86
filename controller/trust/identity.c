/* Certificate -> caller: see identity.h. */
#include "controller/trust/identity.h"

#include <stdio.h>
#include <string.h>

#include "controller/trust/ca.h"

static const struct {
    const char *organization;
    enum caller_kind kind;
} groups[] = {
    {CA_ORGANIZATION_AGENTS, CALLER_AGENT},
    {CA_ORGANIZATION_VIEWERS, CALLER_VIEWER},
    {CA_ORGANIZATION_OPERATORS, CALLER_OPERATOR},
    {CA_ORGANIZATION_ADMINS, CALLER_ADMIN},
};

static enum caller_kind kind_of(const char *organization)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(groups[i].organization, organization) == 0)
            return groups[i].kind;
    return CALLER_NOBODY;
}

const char *organization_of_role(enum caller_kind role)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (groups[i].kind == role && role != CALLER_AGENT)
            return groups[i].organization;
    return NULL;
}

void caller_from_certificate(const struct tls_peer *peer, struct caller *out)
{
    const struct pki_facts *certificate = &peer->certificate;
    enum caller_kind kind = kind_of(certificate->organization);
    bool fits = kind == CALLER_AGENT ? strlen(certificate->name) <= NAME_LENGTH_MAX && *certificate->name
                                     : caller_name_is_good(certificate->name);
    *out = (struct caller){.kind = fits ? kind : CALLER_NOBODY, .proof = PROOF_CERTIFICATE};
    snprintf(out->mark, sizeof out->mark, "%s", certificate->serial);
    if (fits)
        snprintf(kind == CALLER_AGENT ? out->zone : out->name, sizeof out->name, "%s", certificate->name);
    if (out->kind == CALLER_NOBODY)
        out->flaw = FLAW_UNKNOWN;
    else if (peer->expired)
        out->flaw = FLAW_EXPIRED, out->kind = CALLER_NOBODY;
}
