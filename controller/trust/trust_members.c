/* Members' certificates: see trust.h. */
#include <string.h>

#include "controller/trust/trust_internal.h"

static bool bears_all(const struct trust_member *member)
{
    for (size_t i = 0; i < member->name_count; i++)
        if (!pki_certificate_bears(member->present, member->names[i], member->addresses_as_names))
            return false;
    return true;
}

static bool is_of_issuer(const struct trust *trust, const char *certificate_pem)
{
    struct buffer issuer;
    buffer_init(&issuer, PKI_PEM_MAX);
    bool result = pki_bundle_pick(trust_bundle(trust), ca_issuer(trust->ca)->hash, &issuer, NULL) == 0 &&
                  pki_check_signed_by(certificate_pem, issuer.data, NULL) == 0;
    buffer_finish(&issuer);
    return result;
}

static bool still_fits(const struct trust *trust, const struct trust_member *member, struct pki_facts *facts)
{
    struct pki_facts request;
    if (!*member->present || pki_certificate_facts(member->present, facts, NULL) ||
        pki_request_facts(member->request, &request, NULL))
        return false;
    return strcmp(facts->key_hash, request.key_hash) == 0 && strcmp(facts->name, member->node) == 0 &&
           strcmp(facts->organization, CA_ORGANIZATION_MEMBERS) == 0 &&
           strcmp(facts->unit, member->set) == 0 &&
           facts->not_before_s + CA_BACKDATED_S >= ca_changed_at_s(trust->ca) &&
           trust_now_s(trust) < pki_renew_at_s(facts) && bears_all(member) &&
           is_of_issuer(trust, member->present);
}

int trust_certify_member(struct trust *trust, const struct trust_member *member, struct buffer *out,
                         struct pki_facts *facts, struct error *err)
{
    const struct ca_identity identity = {.organization = CA_ORGANIZATION_MEMBERS,
                                         .unit = member->set,
                                         .name = member->node,
                                         .sans = member->names,
                                         .san_count = member->name_count,
                                         .server = true,
                                         .client = true,
                                         .addresses_as_names = member->addresses_as_names};
    struct pki_facts present;
    if (member->keep_foreign && *member->present &&
        pki_check_signed_by(member->present, trust_bundle(trust), NULL))
        return error_set(err, ERROR_CONFLICT,
                         "%s shows a certificate of another CA; it is exchanged when every zone of the set "
                         "has reported, since those with "
                         "the one don't believe those with the other",
                         member->node);
    if (!still_fits(trust, member, &present))
        return ca_sign(trust->ca, member->request, &identity, trust_now_s(trust), CA_LEAF_LIFETIME_S, out,
                       facts, err);
    if (buffer_append(out, member->present, strlen(member->present)))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the certificate of %s", member->node);
    *facts = present;
    return 0;
}
