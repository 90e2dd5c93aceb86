/* What the parts of trust share: trust.c (life, the CA), trust_records.c (to JSON and back), trust_zones.c,
 * trust_people.c. */
#ifndef ATOLL_CONTROLLER_TRUST_TRUST_INTERNAL_H
#define ATOLL_CONTROLLER_TRUST_TRUST_INTERNAL_H

#include "controller/trust/trust.h"
#include "proto/base/json.h"

enum { JOIN_ID_BYTES = 8, JOIN_SECRET_BYTES = 32, TRUST_RECORD_MAX = 64 * 1024 };

/* A certificate on record. */
struct issued {
    char serial[PKI_SERIAL_TEXT_MAX]; /* "": none */
    char key_hash[PKI_HASH_TEXT_MAX];
    char issuer[PKI_HASH_TEXT_MAX]; /* the CA that signed it */
    int64_t issued_at_s, not_after_s;
};

struct trust_zone {
    char name[NAME_LENGTH_MAX + 1];
    bool removed;
    int64_t joined_at_s;
    struct issued current, next; /* `next` becomes current when it is used first */
    char *request;               /* PEM that waits for approval, or NULL */
    char *certificate;           /* PEM that was issued last, or NULL */
    char waiting_key[PKI_HASH_TEXT_MAX], waiting_from[64];
    int64_t requested_at_s;
    char bundle[PKI_HASH_TEXT_MAX]; /* that it fetched last: it does so only once */
};

struct trust_join {
    char id[2 * JOIN_ID_BYTES + 1];
    char secret_hash[PKI_HASH_TEXT_MAX];
    char zone[NAME_LENGTH_MAX + 1];
    char used_by[PKI_HASH_TEXT_MAX]; /* the key of the request that it came with; "": not used */
    bool pre_approved;
    int64_t expires_at_s;
};

struct trust_person {
    char name[CALLER_NAME_MAX + 1];
    enum caller_kind role;
    struct issued issued;
};

struct trust {
    struct trust_environment environment;
    struct ca *ca;        /* NULL until it is open */
    struct buffer sealed; /* the record, until then */
    char bundle_hash[PKI_HASH_TEXT_MAX];
    struct trust_zone **zones;
    size_t zone_count;
    struct trust_join joins[TRUST_JOINS_MAX];
    size_t join_count;
    struct trust_person people[TRUST_PEOPLE_MAX];
    size_t person_count;
};

static inline int64_t trust_now_s(const struct trust *trust)
{
    return clock_wall_ms(trust->environment.clock) / 1000;
}

/* trust.c */
void trust_note_issued(const struct trust *trust, const struct pki_facts *facts, struct issued *out);

/* trust_records.c. Each makes a record out of a value, in `text`, which the caller ends; and reads it back.
 */
int zone_to_record(const struct trust_zone *zone, struct buffer *text, struct trust_record *out,
                   struct error *err);
int zone_from_record(const struct json *json, const char *name, struct trust_zone *out, struct error *err);
int join_to_record(const struct trust_join *join, struct buffer *text, struct trust_record *out,
                   struct error *err);
int join_from_record(const struct json *json, const char *id, struct trust_join *out, struct error *err);
int person_to_record(const struct trust_person *person, struct buffer *text, struct trust_record *out,
                     struct error *err);
int person_from_record(const struct json *json, const char *serial, struct trust_person *out,
                       struct error *err);
void trust_record_name(struct trust_record *record, const char *kind, const char *name);

/* trust_zones.c */
void zone_finish(struct trust_zone *zone);
int trust_take_zone(struct trust *trust, const struct trust_zone *zone,
                    struct error *err); /* its strings are taken */
struct trust_zone *trust_zone(const struct trust *trust, const char *name);
/* 0: the zone's certificate counts. */
enum caller_flaw zone_flaw(struct trust *trust, const char *zone, const char *serial);
enum caller_flaw person_flaw(const struct trust *trust, const struct caller *caller);

#endif
