/* How zones come in and go: join tokens, enrolment, approval, renewal, removal. What counts is decided in
 * controller/trust; here it is read from requests and put into answers. */
#include <stdio.h>
#include <string.h>

#include "controller/serve/site.h"
#include "controller/trust/trust.h"

enum { BODY_MAX = 16 * 1024 };

struct trust *trust_of(struct exchange *exchange)
{
    if (!exchange->site->trust)
        http_respond_error(exchange->listener->server, exchange->request->id, 409, "conflict",
                           "this controller runs with --tls off: there are no certificates");
    return exchange->site->trust;
}

struct json *read_body(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct error err = {0};
    if (request->length == 0)
        return json_object();
    struct json *body = json_parse(request->body, request->length, BODY_MAX, &err);
    if (body && json_is_object(body))
        return body;
    if (body)
        error_set(&err, ERROR_INVALID, "the body is no JSON object");
    json_destroy(body);
    answer_error(exchange, &err);
    return NULL;
}

/* Takes `json`. */
void answer_and_end(struct exchange *exchange, int status, struct json *json)
{
    answer_json(exchange, status, json, NULL);
    json_destroy(json);
}

void serve_trust_bundle(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    if (!trust)
        return;
    const char *bundle = trust_bundle(trust);
    answer_text(exchange, 200, "application/x-pem-file", bundle, strlen(bundle));
    if (exchange->caller.kind == CALLER_AGENT)
        trust_bundle_was_sent(trust, exchange->caller.zone);
}

/* ---- zones, for people ---- */

static void write_zone(struct json *json, const struct trust_zone_view *zone)
{
    json_set_string(json, "name", zone->name);
    json_set_string(json, "state", trust_zone_state_name(zone->state));
    if (*zone->waiting_key) {
        json_set_string(json, "waitingKey", zone->waiting_key);
        json_set_string(json, "waitingFrom", zone->waiting_from);
        json_set_time(json, "requestedAt", zone->requested_at_s * 1000);
    }
    if (*zone->serial) {
        json_set_time(json, "joinedAt", zone->joined_at_s * 1000);
        json_set_time(json, "certificateExpiresAt", zone->expires_at_s * 1000);
        json_set_string(json, "certificateSerial", zone->serial);
        json_set_bool(json, "renewalWanted", zone->renewal_wanted);
        json_set_bool(json, "hasBundle", zone->has_bundle);
    }
}

static void append_unknown(struct json *zones, const struct federation_view *view, const struct trust *trust)
{
    struct trust_zone_view known;
    for (size_t i = 0; i < view->zone_count; i++) {
        const char *name = view->zones[i].zone->name;
        if (trust_zone_find(trust, name, &known))
            continue;
        struct trust_zone_view none = {.name = name, .waiting_key = "", .waiting_from = "", .serial = ""};
        write_zone(json_append(zones, json_object()), &none);
    }
}

void serve_zones_list(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct federation_view view;
    if (!trust)
        return;
    struct json *root = json_object(), *zones = json_set(root, "zones", json_array());
    exchange->site->backend.view(exchange->site->backend.context, &view);
    for (size_t i = 0; i < trust_zone_count(trust); i++) {
        struct trust_zone_view zone = trust_zone_at(trust, i);
        write_zone(json_append(zones, json_object()), &zone);
    }
    append_unknown(zones, &view, trust);
    answer_and_end(exchange, 200, root);
}

void serve_zone_join_token(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL;
    char token[TRUST_JOIN_TOKEN_MAX];
    int64_t expires_at_s = 0;
    struct error err = {0};
    if (!body)
        return;
    if (trust_make_join_token(trust, exchange->name, json_get_bool(body, "preApproved", false), token,
                              &expires_at_s, &err)) {
        answer_error(exchange, &err);
    } else {
        struct json *root = json_object();
        gate_note(exchange, "token %.16s%s", strchr(token, '.') + 1,
                  json_get_bool(body, "preApproved", false) ? ", pre-approved" : "");
        json_set_string(root, "token", token);
        json_set_time(root, "expiresAt", expires_at_s * 1000);
        answer_and_end(exchange, 201, root);
        explicit_bzero(token, sizeof token);
    }
    json_destroy(body);
}

static void answer_zone_state(struct exchange *exchange, struct trust *trust, int status)
{
    struct trust_zone_view zone;
    struct json *root = json_object();
    if (trust_zone_find(trust, exchange->name, &zone))
        write_zone(root, &zone);
    answer_and_end(exchange, status, root);
}

void serve_zone_approve(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL;
    struct error err = {0};
    if (!body)
        return;
    if (trust_approve(trust, exchange->name, json_get_text(body, "key", NULL), &err)) {
        gate_note(exchange, "%s", err.message);
        answer_error(exchange, &err);
    } else {
        site_status_changed(exchange->site);
        answer_zone_state(exchange, trust, 200);
    }
    json_destroy(body);
}

void serve_zone_remove(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct error err = {0};
    if (!trust)
        return;
    if (trust_remove_zone(trust, exchange->name, &err)) {
        answer_error(exchange, &err);
        return;
    }
    agents_cut(exchange->site, exchange->name);
    site_status_changed(exchange->site);
    answer_zone_state(exchange, trust, 200);
}

/* ---- for agents ---- */

static struct json *enrolment_of(struct trust *trust, const char *zone, const char *key_hash,
                                 struct error *err)
{
    const char *certificate = NULL;
    if (trust_enrolment(trust, zone, key_hash, &certificate, err))
        return NULL;
    struct json *root = json_object();
    json_set_string(root, "state", certificate ? "approved" : "waiting");
    json_set_string(root, "key", key_hash);
    if (certificate)
        json_set_string(root, "certificate", certificate);
    return root;
}

void serve_zone_enrol(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL, *answer = NULL;
    struct pki_facts facts;
    struct error err = {0};
    if (!body)
        return;
    const char *request = json_get_text(body, "request", "");
    if (trust_enrol(trust, exchange->name, json_get_text(body, "token", ""), request,
                    exchange->request->remote, &err) == 0 &&
        pki_request_facts(request, &facts, &err) == 0)
        answer = enrolment_of(trust, exchange->name, facts.key_hash, &err);
    gate_note(exchange, "%s%.64s", answer ? "key " : "", answer ? facts.key_hash : err.message);
    site_status_changed(exchange->site);
    if (answer)
        answer_and_end(exchange, 202, answer);
    else
        answer_error(exchange, &err);
    json_destroy(body);
}

void serve_zone_enrolment(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    const char *key = http_request_query(exchange->request, "key");
    struct error err = {0};
    if (!trust)
        return;
    struct json *answer = enrolment_of(trust, exchange->name, key ? key : "", &err);
    if (answer)
        answer_and_end(exchange, 200, answer);
    else
        answer_error(exchange, &err);
}

void serve_zone_renew(struct exchange *exchange)
{
    struct trust *trust = trust_of(exchange);
    struct json *body = trust ? read_body(exchange) : NULL;
    struct buffer certificate;
    struct error err = {0};
    if (!body)
        return;
    buffer_init(&certificate, CA_REQUEST_MAX);
    if (exchange->caller.proof != PROOF_CERTIFICATE)
        error_set(&err, ERROR_REFUSED, "a certificate is renewed over a connection that it made itself");
    else
        trust_renew(trust, exchange->name, exchange->caller.mark, json_get_text(body, "request", ""),
                    &certificate, &err);
    if (err.code) {
        answer_error(exchange, &err);
    } else {
        struct json *root = json_object();
        json_set_string(root, "certificate", certificate.data);
        answer_and_end(exchange, 200, root);
    }
    buffer_finish(&certificate);
    json_destroy(body);
}
