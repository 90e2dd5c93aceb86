/* Life, the CA, and whether a certificate counts. See trust.h. */
#include "controller/trust/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/trust_internal.h"

#define RECORD_CA TRUST_RECORD_PREFIX "ca"

/* ---- life ---- */

int trust_create(const struct trust_environment *environment, struct trust **out, struct error *err)
{
    struct trust *trust = calloc(1, sizeof *trust);
    if (!trust)
        return error_set(err, ERROR_NO_MEMORY, "there is no memory for the CA and its records");
    trust->environment = *environment;
    buffer_init(&trust->sealed, CA_SEALED_MAX);
    *out = trust;
    return 0;
}

void trust_destroy(struct trust *trust)
{
    if (!trust)
        return;
    for (size_t i = 0; i < trust->zone_count; i++) {
        zone_finish(trust->zones[i]);
        free(trust->zones[i]);
    }
    free(trust->zones);
    ca_destroy(trust->ca);
    buffer_finish(&trust->sealed);
    free(trust);
}

static int load_value(struct trust *trust, const char *kind, const struct json *json, struct error *err)
{
    const char *name = strchr(kind, '/');
    if (!name)
        return error_set(err, ERROR_INVALID, "this version doesn't know it: use a newer one");
    size_t length = (size_t)(name++ - kind);
    if (length == 4 && strncmp(kind, "zone", length) == 0) {
        struct trust_zone zone;
        return zone_from_record(json, name, &zone, err) ? -1 : trust_take_zone(trust, &zone, err);
    }
    if (length == 4 && strncmp(kind, "join", length) == 0 && trust->join_count < TRUST_JOINS_MAX)
        return join_from_record(json, name, &trust->joins[trust->join_count], err) ? -1
                                                                                   : (trust->join_count++, 0);
    if (length == 6 && strncmp(kind, "person", length) == 0 && trust->person_count < TRUST_PEOPLE_MAX)
        return person_from_record(json, name, &trust->people[trust->person_count], err)
                   ? -1
                   : (trust->person_count++, 0);
    return error_set(err, ERROR_INVALID, "this version doesn't know it, or there are too many of its kind");
}

int trust_load(struct trust *trust, const char *key, const void *data, size_t length, struct error *err)
{
    if (strcmp(key, RECORD_CA) == 0)
        return buffer_append(&trust->sealed, data, length)
                   ? error_set(err, ERROR_NO_MEMORY, "no memory for the CA")
                   : 0;
    struct json *json = json_parse(data, length, TRUST_RECORD_MAX, err);
    int result = json ? load_value(trust, key + strlen(TRUST_RECORD_PREFIX), json, err) : -1;
    json_destroy(json);
    return result ? error_wrap(err, "the store's record %.100s", key) : 0;
}

/* ---- the CA ---- */

static void settle(struct trust *trust)
{
    const char *bundle = ca_bundle(trust->ca);
    pki_hash(bundle, strlen(bundle), trust->bundle_hash);
}

static int remember_ca(struct trust *trust, const struct ca *ca, const char *passphrase, struct error *err)
{
    struct buffer sealed;
    struct trust_record record = {.key = RECORD_CA};
    buffer_init(&sealed, CA_SEALED_MAX);
    int result = ca_seal(ca, passphrase, &sealed, err);
    if (result == 0) {
        record.data = sealed.data;
        record.length = sealed.length;
        result = trust->environment.remember(trust->environment.context, &record, 1, err);
    }
    if (result == 0) {
        buffer_finish(&trust->sealed);
        trust->sealed = sealed;
        return 0;
    }
    buffer_finish(&sealed);
    return error_wrap(err, "remembering the CA");
}

int trust_open(struct trust *trust, const char *passphrase, bool *made, struct error *err)
{
    bool is_new = trust->sealed.length == 0;
    struct ca *ca = NULL;
    if (is_new ? ca_create(trust_now_s(trust), &ca, err) || remember_ca(trust, ca, passphrase, err)
               : ca_unseal(trust->sealed.data, passphrase, &ca, err)) {
        ca_destroy(is_new ? ca : NULL);
        return -1;
    }
    trust->ca = ca;
    settle(trust);
    if (made)
        *made = is_new;
    return 0;
}

const char *trust_bundle(const struct trust *trust)
{
    return ca_bundle(trust->ca);
}

const char *trust_bundle_hash(const struct trust *trust)
{
    return trust->bundle_hash;
}

const struct ca *trust_ca(const struct trust *trust)
{
    return trust->ca;
}

/* Zones that have not done what the next step relies on, by name. */
static int check_zones(const struct trust *trust, struct error *err)
{
    char names[256] = "";
    size_t late = 0;
    enum ca_stage stage = ca_stage(trust->ca);
    for (size_t i = 0; i < trust->zone_count && stage != CA_STEADY; i++) {
        struct trust_zone_view view = trust_zone_at(trust, i);
        if (view.state != TRUST_ZONE_JOINED ||
            (stage == CA_ANNOUNCED ? view.has_bundle : !view.renewal_wanted))
            continue;
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", late++ ? ", " : "", view.name);
    }
    if (late == 0)
        return 0;
    return error_set(
        err, ERROR_CONFLICT,
        stage == CA_ANNOUNCED
            ? "%zu zones have not fetched the new CA yet (%s): wait until their agents are connected, "
              "or --force, after which those that missed it have to enrol again"
            : "%zu zones still have a certificate of the previous CA (%s): wait until they have "
              "renewed, or --force, after which they have to enrol again",
        late, names);
}

static int take_step(struct ca *ca, int64_t now_s, struct error *err)
{
    switch (ca_stage(ca)) {
    case CA_STEADY:
        return ca_announce_next(ca, now_s, err);
    case CA_ANNOUNCED:
        return ca_switch(ca, now_s, err);
    default:
        return ca_drop_previous(ca, now_s, err);
    }
}

int trust_exchange_ca(struct trust *trust, const char *passphrase, bool force, struct error *err)
{
    struct ca *changed = NULL;
    struct buffer sealed;
    if (!force && check_zones(trust, err))
        return -1;
    buffer_init(&sealed, CA_SEALED_MAX);
    int result =
        ca_seal(trust->ca, passphrase, &sealed, err) || ca_unseal(sealed.data, passphrase, &changed, err) ? -1
                                                                                                          : 0;
    buffer_finish(&sealed);
    if (result)
        return -1;
    if (take_step(changed, trust_now_s(trust), err) || remember_ca(trust, changed, passphrase, err)) {
        ca_destroy(changed);
        return -1;
    }
    ca_destroy(trust->ca);
    trust->ca = changed;
    settle(trust);
    return 0;
}

void trust_note_issued(const struct trust *trust, const struct pki_facts *facts, struct issued *out)
{
    *out = (struct issued){.issued_at_s = trust_now_s(trust), .not_after_s = facts->not_after_s};
    memcpy(out->serial, facts->serial, sizeof out->serial);
    memcpy(out->key_hash, facts->key_hash, sizeof out->key_hash);
    memcpy(out->issuer, ca_issuer(trust->ca)->hash, sizeof out->issuer);
}

int trust_issue_own(struct trust *trust, const char *const *sans, size_t san_count, struct buffer *key,
                    struct buffer *certificate, struct pki_facts *facts, struct error *err)
{
    struct ca_identity own = {.organization = CA_ORGANIZATION_CONTROLLER,
                              .name = "controller",
                              .sans = sans,
                              .san_count = san_count,
                              .server = true,
                              .client = true};
    return ca_issue(trust->ca, &own, trust_now_s(trust), CA_LEAF_LIFETIME_S, key, certificate, facts, err);
}

/* ---- every request ---- */

void trust_check_caller(struct trust *trust, struct caller *caller)
{
    if (caller->proof != PROOF_CERTIFICATE || caller->kind == CALLER_NOBODY)
        return;
    enum caller_flaw flaw = caller->kind == CALLER_AGENT ? zone_flaw(trust, caller->zone, caller->mark)
                                                         : person_flaw(trust, caller);
    if (flaw == FLAW_NONE)
        return;
    caller->flaw = flaw;
    caller->kind = CALLER_NOBODY;
}
