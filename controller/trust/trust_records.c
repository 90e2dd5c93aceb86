/* The records of zones, join tokens and people, as JSON. See trust_internal.h. Strict: what can't be
 * understood is an error, for a zone whose removal is forgotten could speak again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/trust_internal.h"

void trust_record_name(struct trust_record *record, const char *kind, const char *name)
{
    snprintf(record->key, sizeof record->key, TRUST_RECORD_PREFIX "%s/%s", kind, name);
}

static int print(struct json *json, struct buffer *text, struct trust_record *out, struct error *err)
{
    buffer_init(text, TRUST_RECORD_MAX);
    int result = json_print(json, JSON_COMPACT, text, err);
    json_destroy(json);
    out->data = text->data;
    out->length = text->length;
    return result;
}

static int read_text(const struct json *json, const char *key, char *out, size_t size, struct error *err)
{
    const struct json *value = json_get(json, key);
    const char *text = json_text(value);
    if (!value)
        return 0;
    if (!text || strlen(text) >= size)
        return error_set(err, ERROR_INVALID, "\"%s\" in the store is no text of at most %zu bytes", key,
                         size - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_long_text(const struct json *json, const char *key, char **out, struct error *err)
{
    const struct json *value = json_get(json, key);
    if (!value)
        return 0;
    *out = json_text(value) ? strdup(json_text(value)) : NULL;
    return *out ? 0 : error_set(err, ERROR_INVALID, "\"%s\" in the store is no text", key);
}

static int read_time(const struct json *json, const char *key, int64_t *out, struct error *err)
{
    return json_read_int(json, key, JSON_OPTIONAL, 0, INT64_C(1) << 40, out, err);
}

static void write_issued(struct json *json, const char *key, const struct issued *issued)
{
    if (!*issued->serial)
        return;
    struct json *child = json_set(json, key, json_object());
    json_set_string(child, "serial", issued->serial);
    json_set_string(child, "keyHash", issued->key_hash);
    json_set_string(child, "issuer", issued->issuer);
    json_set_int(child, "issuedAt", issued->issued_at_s);
    json_set_int(child, "notAfter", issued->not_after_s);
}

static int read_issued(const struct json *json, const char *key, struct issued *out, struct error *err)
{
    const struct json *child = json_get(json, key);
    if (!child)
        return 0;
    return read_text(child, "serial", out->serial, sizeof out->serial, err) ||
                   read_text(child, "keyHash", out->key_hash, sizeof out->key_hash, err) ||
                   read_text(child, "issuer", out->issuer, sizeof out->issuer, err) ||
                   read_time(child, "issuedAt", &out->issued_at_s, err) ||
                   read_time(child, "notAfter", &out->not_after_s, err)
               ? -1
               : 0;
}

int zone_to_record(const struct trust_zone *zone, struct buffer *text, struct trust_record *out,
                   struct error *err)
{
    struct json *json = json_object();
    trust_record_name(out, "zone", zone->name);
    json_set_bool(json, "removed", zone->removed);
    json_set_int(json, "joinedAt", zone->joined_at_s);
    write_issued(json, "current", &zone->current);
    write_issued(json, "next", &zone->next);
    if (zone->request)
        json_set_string(json, "request", zone->request);
    if (zone->certificate)
        json_set_string(json, "certificate", zone->certificate);
    json_set_string(json, "waitingKey", zone->waiting_key);
    json_set_string(json, "waitingFrom", zone->waiting_from);
    json_set_int(json, "requestedAt", zone->requested_at_s);
    if (*zone->bundle)
        json_set_string(json, "bundle", zone->bundle);
    return print(json, text, out, err);
}

int zone_from_record(const struct json *json, const char *name, struct trust_zone *out, struct error *err)
{
    struct trust_zone zone = {0};
    if (!*name || strlen(name) > NAME_LENGTH_MAX)
        return error_set(err, ERROR_INVALID, "\"%.80s\" is no zone's name", name);
    memcpy(zone.name, name, strlen(name) + 1);
    if (json_read_bool(json, "removed", JSON_REQUIRED, &zone.removed, err) ||
        read_time(json, "joinedAt", &zone.joined_at_s, err) ||
        read_issued(json, "current", &zone.current, err) || read_issued(json, "next", &zone.next, err) ||
        read_long_text(json, "request", &zone.request, err) ||
        read_long_text(json, "certificate", &zone.certificate, err) ||
        read_text(json, "waitingKey", zone.waiting_key, sizeof zone.waiting_key, err) ||
        read_text(json, "waitingFrom", zone.waiting_from, sizeof zone.waiting_from, err) ||
        read_time(json, "requestedAt", &zone.requested_at_s, err) ||
        read_text(json, "bundle", zone.bundle, sizeof zone.bundle, err)) {
        zone_finish(&zone);
        return -1;
    }
    *out = zone;
    return 0;
}

int join_to_record(const struct trust_join *join, struct buffer *text, struct trust_record *out,
                   struct error *err)
{
    struct json *json = json_object();
    trust_record_name(out, "join", join->id);
    json_set_string(json, "zone", join->zone);
    json_set_string(json, "secretHash", join->secret_hash);
    json_set_string(json, "usedBy", join->used_by);
    json_set_bool(json, "preApproved", join->pre_approved);
    json_set_int(json, "expiresAt", join->expires_at_s);
    return print(json, text, out, err);
}

int join_from_record(const struct json *json, const char *id, struct trust_join *out, struct error *err)
{
    struct trust_join join = {0};
    snprintf(join.id, sizeof join.id, "%s", id);
    if (read_text(json, "zone", join.zone, sizeof join.zone, err) ||
        read_text(json, "secretHash", join.secret_hash, sizeof join.secret_hash, err) ||
        read_text(json, "usedBy", join.used_by, sizeof join.used_by, err) ||
        json_read_bool(json, "preApproved", JSON_REQUIRED, &join.pre_approved, err) ||
        read_time(json, "expiresAt", &join.expires_at_s, err))
        return -1;
    *out = join;
    return 0;
}

int person_to_record(const struct trust_person *person, struct buffer *text, struct trust_record *out,
                     struct error *err)
{
    struct json *json = json_object();
    trust_record_name(out, "person", person->issued.serial);
    json_set_string(json, "name", person->name);
    json_set_string(json, "role", caller_kind_name(person->role));
    write_issued(json, "certificate", &person->issued);
    return print(json, text, out, err);
}

int person_from_record(const struct json *json, const char *serial, struct trust_person *out,
                       struct error *err)
{
    struct trust_person person = {0};
    if (read_text(json, "name", person.name, sizeof person.name, err) ||
        read_issued(json, "certificate", &person.issued, err))
        return -1;
    if (strcmp(person.issued.serial, serial) != 0 ||
        !caller_role_from_name(json_get_text(json, "role", ""), &person.role))
        return error_set(err, ERROR_INVALID, "the record of the certificate %.48s can't be understood",
                         serial);
    *out = person;
    return 0;
}
