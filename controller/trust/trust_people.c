/* People's certificates on record. See trust.h. */
#include <stdio.h>
#include <string.h>

#include "controller/trust/identity.h"
#include "controller/trust/trust_internal.h"

static struct trust_person *find(struct trust *trust, const char *serial)
{
    for (size_t i = 0; i < trust->person_count; i++)
        if (strcmp(trust->people[i].issued.serial, serial) == 0)
            return &trust->people[i];
    return NULL;
}

enum caller_flaw person_flaw(const struct trust *trust, const struct caller *caller)
{
    for (size_t i = 0; i < trust->person_count; i++) {
        const struct trust_person *person = &trust->people[i];
        if (strcmp(person->issued.serial, caller->mark) == 0 && person->role == caller->kind &&
            strcmp(person->name, caller->name) == 0)
            return person->issued.not_after_s <= trust_now_s(trust) ? FLAW_EXPIRED : FLAW_NONE;
    }
    return FLAW_REVOKED;
}

static int forget(struct trust *trust, struct trust_person *person, struct error *err)
{
    struct trust_record record = {.data = NULL};
    trust_record_name(&record, "person", person->issued.serial);
    if (trust->environment.remember(trust->environment.context, &record, 1, err))
        return -1;
    *person = trust->people[--trust->person_count];
    return 0;
}

static void forget_expired(struct trust *trust)
{
    for (size_t i = trust->person_count; i-- > 0;)
        if (trust->people[i].issued.not_after_s <= trust_now_s(trust))
            forget(trust, &trust->people[i], NULL);
}

int trust_certify_person(struct trust *trust, enum caller_kind role, const char *name,
                         const char *request_pem, struct buffer *certificate, struct pki_facts *facts,
                         struct error *err)
{
    struct trust_person person = {.role = role};
    struct ca_identity identity = {.organization = organization_of_role(role), .name = name, .client = true};
    struct trust_record record;
    struct buffer text;
    if (!identity.organization || !caller_name_is_good(name))
        return error_set(err, ERROR_INVALID,
                         "a person's certificate needs a name of letters, digits and . _ @ - and a role");
    forget_expired(trust);
    if (trust->person_count == TRUST_PEOPLE_MAX)
        return error_set(err, ERROR_TOO_LARGE,
                         "there are TRUST_PEOPLE_MAX (%d) certificates of people: revoke some",
                         TRUST_PEOPLE_MAX);
    struct pki_facts signed_facts;
    if (ca_sign(trust->ca, request_pem, &identity, trust_now_s(trust), CA_LEAF_LIFETIME_S, certificate,
                &signed_facts, err))
        return -1;
    snprintf(person.name, sizeof person.name, "%s", name);
    trust_note_issued(trust, &signed_facts, &person.issued);
    int result = person_to_record(&person, &text, &record, err);
    if (result == 0)
        result = trust->environment.remember(trust->environment.context, &record, 1, err);
    buffer_finish(&text);
    if (result)
        return buffer_clear(certificate), -1;
    trust->people[trust->person_count++] = person;
    if (facts)
        *facts = signed_facts;
    return 0;
}

int trust_revoke_person(struct trust *trust, const char *serial, struct error *err)
{
    struct trust_person *person = find(trust, serial);
    if (!person)
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no person's certificate with the serial number %.48s", serial);
    return forget(trust, person, err);
}

size_t trust_person_count(const struct trust *trust)
{
    return trust->person_count;
}

struct trust_person_view trust_person_at(const struct trust *trust, size_t index)
{
    const struct trust_person *person = &trust->people[index];
    return (struct trust_person_view){person->name, caller_kind_name(person->role), person->issued.serial,
                                      person->issued.issued_at_s, person->issued.not_after_s};
}
