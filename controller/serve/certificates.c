/* The CA and people's certificates, for admins. */
#include <stdio.h>
#include <string.h>

#include "controller/serve/site.h"
#include "controller/trust/trust.h"

/* ---- the CA ---- */

static void write_ca(struct json *json, const struct pki_facts *facts)
{
    json_set_string(json, "name", facts->name);
    json_set_string(json, "sha256", facts->hash);
    json_set_time(json, "expiresAt", facts->not_after_s * 1000);
}

static struct json *describe(const struct trust *trust)
{
    const struct ca *ca = trust_ca(trust);
    struct json *root = json_object();
    size_t joined = 0, with_bundle = 0, renewed = 0;
    json_set_string(root, "stage", ca_stage_name(ca_stage(ca)));
    write_ca(json_set(root, "signs", json_object()), ca_issuer(ca));
    if (ca_other(ca))
        write_ca(json_set(root, ca_stage(ca) == CA_ANNOUNCED ? "next" : "previous", json_object()),
                 ca_other(ca));
    for (size_t i = 0; i < trust_zone_count(trust); i++) {
        struct trust_zone_view zone = trust_zone_at(trust, i);
        bool counts = zone.state == TRUST_ZONE_JOINED;
        joined += counts;
        with_bundle += counts && zone.has_bundle;
        renewed += counts && !zone.renewal_wanted;
    }
    struct json *zones = json_set(root, "zones", json_object());
    json_set_int(zones, "joined", (int64_t)joined);
    json_set_int(zones, "withBundle", (int64_t)with_bundle);
    json_set_int(zones, "renewed", (int64_t)renewed);
    return root;
}

void serve_ca_get(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    if (trust)
        answer_and_end(exchange, 200, describe(trust));
}

void serve_ca_exchange(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL;
    struct error err = {0};
    if (!body)
        return;
    if (site->exchange_ca(site->exchange_context, json_get_bool(body, "force", false), &err))
        answer_error(exchange, &err);
    else
        answer_and_end(exchange, 200, describe(trust));
    json_destroy(body);
}

/* ---- people ---- */

void serve_certificates_list(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    if (!trust)
        return;
    struct json *root = json_object(), *list = json_set(root, "certificates", json_array());
    for (size_t i = 0; i < trust_person_count(trust); i++) {
        struct trust_person_view person = trust_person_at(trust, i);
        struct json *json = json_append(list, json_object());
        json_set_string(json, "name", person.name);
        json_set_string(json, "role", person.role);
        json_set_string(json, "serial", person.serial);
        json_set_time(json, "issuedAt", person.issued_at_s * 1000);
        json_set_time(json, "expiresAt", person.expires_at_s * 1000);
    }
    answer_and_end(exchange, 200, root);
}

void serve_certificates_create(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL;
    enum caller_kind role;
    struct buffer certificate;
    struct pki_facts facts;
    struct error err = {0};
    if (!body)
        return;
    buffer_init(&certificate, CA_REQUEST_MAX);
    if (!caller_role_from_name(json_get_text(body, "role", ""), &role))
        error_set(&err, ERROR_INVALID, "role is viewer, operator or admin");
    else
        trust_certify_person(trust, role, json_get_text(body, "name", ""), json_get_text(body, "request", ""),
                             &certificate, &facts, &err);
    if (err.code) {
        answer_error(exchange, &err);
    } else {
        struct json *root = json_object();
        gate_note(exchange, "%s as %s, serial %s", facts.name, caller_kind_name(role), facts.serial);
        json_set_string(root, "certificate", certificate.data);
        json_set_string(root, "serial", facts.serial);
        json_set_time(root, "expiresAt", facts.not_after_s * 1000);
        json_set_string(root, "ca", trust_bundle(trust));
        answer_and_end(exchange, 201, root);
    }
    buffer_finish(&certificate);
    json_destroy(body);
}

void serve_certificate_revoke(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct error err = {0};
    if (!trust)
        return;
    if (trust_revoke_person(trust, exchange->name, &err))
        answer_error(exchange, &err);
    else
        http_respond(exchange->listener->server, exchange->request->id,
                     &(struct http_response){.status = 204});
}
