/* Zones: join tokens, enrolment, approval, renewal, removal. See trust.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/trust_internal.h"

#define TOKEN_FORM "atj1"

static const char *const state_names[] = {"unknown", "waiting", "approved", "joined", "removed"};

const char *trust_zone_state_name(enum trust_zone_state state)
{
    return state_names[state];
}

void zone_finish(struct trust_zone *zone)
{
    free(zone->request);
    free(zone->certificate);
    zone->request = zone->certificate = NULL;
}

struct trust_zone *trust_zone(const struct trust *trust, const char *name)
{
    for (size_t i = 0; i < trust->zone_count; i++)
        if (strcmp(trust->zones[i]->name, name) == 0)
            return trust->zones[i];
    return NULL;
}

int trust_take_zone(struct trust *trust, const struct trust_zone *zone, struct error *err)
{
    struct trust_zone **grown = NULL, *copy = NULL;
    if (trust->zone_count < TRUST_ZONES_MAX) {
        grown = realloc(trust->zones, (trust->zone_count + 1) * sizeof(struct trust_zone *));
        if (grown)
            trust->zones = grown;
        copy = grown ? malloc(sizeof *copy) : NULL;
    }
    if (!copy) {
        struct trust_zone unused = *zone;
        zone_finish(&unused);
        return error_set(err, ERROR_TOO_LARGE,
                         "there are TRUST_ZONES_MAX (%d) zones, or there is no memory for another",
                         TRUST_ZONES_MAX);
    }
    *copy = *zone;
    trust->zones[trust->zone_count++] = copy;
    return 0;
}

/* ---- changes: a copy is changed and remembered, and only then taken ---- */

/* What a zone has of strings that the other has not. */
static void drop_strings(struct trust_zone *loser, const struct trust_zone *other)
{
    if (loser->request != other->request)
        free(loser->request);
    if (loser->certificate != other->certificate)
        free(loser->certificate);
}

/* In one write with `others`, so that a crash leaves all of it or nothing. What `changed` has other than
 * `zone` of strings is its own, and is freed on failure. */
static int remember_with(struct trust *trust, struct trust_zone *zone, struct trust_zone *changed,
                         const struct trust_record *others, size_t count, struct error *err)
{
    struct trust_record records[TRUST_RECORDS_MAX];
    struct buffer text;
    assert(count < TRUST_RECORDS_MAX);
    buffer_init(&text, 0);
    int result = zone_to_record(changed, &text, &records[0], err);
    for (size_t i = 0; i < count; i++)
        records[i + 1] = others[i];
    if (result == 0)
        result = trust->environment.remember(trust->environment.context, records, count + 1, err);
    buffer_finish(&text);
    if (result) {
        drop_strings(changed, zone);
        return error_wrap(err, "remembering zone %s", changed->name);
    }
    drop_strings(zone, changed);
    *zone = *changed;
    return 0;
}

static int remember(struct trust *trust, struct trust_zone *zone, struct trust_zone *changed,
                    struct error *err)
{
    return remember_with(trust, zone, changed, NULL, 0, err);
}

/* With the join token that is used up by the change. */
static int remember_used(struct trust *trust, struct trust_zone *zone, struct trust_zone *changed,
                         const struct trust_join *join, struct error *err)
{
    struct trust_record record;
    struct buffer text;
    int result = join_to_record(join, &text, &record, err);
    if (result)
        drop_strings(changed, zone);
    else
        result = remember_with(trust, zone, changed, &record, 1, err);
    buffer_finish(&text);
    return result;
}

/* ---- looking ---- */

static bool is_waiting(const struct trust *trust, const struct trust_zone *zone)
{
    return zone->request && trust_now_s(trust) < zone->requested_at_s + TRUST_WAITING_MOST_S;
}

size_t trust_zone_count(const struct trust *trust)
{
    return trust->zone_count;
}

static enum trust_zone_state state_of(const struct trust *trust, const struct trust_zone *zone)
{
    if (is_waiting(trust, zone))
        return TRUST_ZONE_WAITING;
    if (zone->removed)
        return TRUST_ZONE_REMOVED;
    if (*zone->current.serial)
        return TRUST_ZONE_JOINED;
    return *zone->next.serial ? TRUST_ZONE_APPROVED : TRUST_ZONE_NONE;
}

struct trust_zone_view trust_zone_at(const struct trust *trust, size_t index)
{
    const struct trust_zone *zone = trust->zones[index];
    const struct issued *counts = *zone->current.serial ? &zone->current : &zone->next;
    bool waits = is_waiting(trust, zone);
    return (struct trust_zone_view){
        .name = zone->name,
        .state = state_of(trust, zone),
        .waiting_key = waits ? zone->waiting_key : "",
        .waiting_from = waits ? zone->waiting_from : "",
        .requested_at_s = waits ? zone->requested_at_s : 0,
        .joined_at_s = zone->joined_at_s,
        .expires_at_s = counts->not_after_s,
        .serial = counts->serial,
        .renewal_wanted = *counts->serial && strcmp(counts->issuer, ca_issuer(trust->ca)->hash) != 0,
        .has_bundle = strcmp(zone->bundle, trust->bundle_hash) == 0,
    };
}

bool trust_zone_find(const struct trust *trust, const char *zone, struct trust_zone_view *out)
{
    for (size_t i = 0; i < trust->zone_count; i++)
        if (strcmp(trust->zones[i]->name, zone) == 0) {
            *out = trust_zone_at(trust, i);
            return true;
        }
    return false;
}

void trust_bundle_was_sent(struct trust *trust, const char *name)
{
    struct trust_zone *zone = trust_zone(trust, name), changed;
    if (!zone || strcmp(zone->bundle, trust->bundle_hash) == 0)
        return;
    changed = *zone;
    memcpy(changed.bundle, trust->bundle_hash, sizeof changed.bundle);
    if (remember(trust, zone, &changed, NULL)) /* then for this life alone */
        memcpy(zone->bundle, trust->bundle_hash, sizeof zone->bundle);
}

/* ---- join tokens: "atj1.ID.SECRET.HASH-OF-THE-CA" ---- */

static void forget_join(struct trust *trust, size_t index)
{
    struct trust_record record = {.data = NULL};
    trust_record_name(&record, "join", trust->joins[index].id);
    if (trust->environment.remember(trust->environment.context, &record, 1, NULL) == 0)
        trust->joins[index] = trust->joins[--trust->join_count];
}

static void forget_old_joins(struct trust *trust)
{
    for (size_t i = trust->join_count; i-- > 0;)
        if (trust->joins[i].expires_at_s + TRUST_JOIN_LIFETIME_S <
            trust_now_s(trust)) /* kept for a while, to say what was wrong with it */
            forget_join(trust, i);
}

static bool is_zone_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_LENGTH_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

int trust_make_join_token(struct trust *trust, const char *zone, bool pre_approved,
                          char out[TRUST_JOIN_TOKEN_MAX], int64_t *expires_at_s, struct error *err)
{
    struct trust_join join = {.pre_approved = pre_approved,
                              .expires_at_s = trust_now_s(trust) + TRUST_JOIN_LIFETIME_S};
    char secret[2 * JOIN_SECRET_BYTES + 1];
    struct trust_record record;
    struct buffer text;
    if (!is_zone_name(zone))
        return error_set(err, ERROR_INVALID,
                         "a zone's name has at most %d of a-z, 0-9 and -, unlike \"%.80s\"", NAME_LENGTH_MAX,
                         zone);
    forget_old_joins(trust);
    if (trust->join_count == TRUST_JOINS_MAX)
        return error_set(
            err, ERROR_TOO_LARGE,
            "TRUST_JOINS_MAX (%d) join tokens were made in the last minutes: wait until some have "
            "expired",
            TRUST_JOINS_MAX);
    if (pki_random_text(JOIN_ID_BYTES, join.id, err) || pki_random_text(JOIN_SECRET_BYTES, secret, err))
        return -1;
    pki_hash(secret, strlen(secret), join.secret_hash);
    snprintf(join.zone, sizeof join.zone, "%s", zone);
    int result = join_to_record(&join, &text, &record, err);
    if (result == 0)
        result = trust->environment.remember(trust->environment.context, &record, 1, err);
    buffer_finish(&text);
    if (result == 0) {
        trust->joins[trust->join_count++] = join;
        snprintf(out, TRUST_JOIN_TOKEN_MAX, TOKEN_FORM ".%s.%s.%s", join.id, secret,
                 ca_issuer(trust->ca)->hash);
        *expires_at_s = join.expires_at_s;
    }
    explicit_bzero(secret, sizeof secret);
    return result;
}

/* In a time that doesn't depend on where they differ. */
static bool same_hash(const char *a, const char *b)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < PKI_HASH_TEXT_MAX - 1; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static struct trust_join *find_join(struct trust *trust, const char *token)
{
    char id[2 * JOIN_ID_BYTES + 1] = "", secret[2 * JOIN_SECRET_BYTES + 1] = "", hash[PKI_HASH_TEXT_MAX];
    struct trust_join *found = NULL;
    if (sscanf(token, TOKEN_FORM ".%16[0-9a-f].%64[0-9a-f].", id, secret) != 2)
        return NULL;
    pki_hash(secret, strlen(secret), hash);
    for (size_t i = 0; i < trust->join_count; i++)
        if (strcmp(trust->joins[i].id, id) == 0 && same_hash(trust->joins[i].secret_hash, hash))
            found = &trust->joins[i];
    explicit_bzero(secret, sizeof secret);
    return found;
}

/* All but whose it is: so much is looked at before a request is read. */
static int check_join(const struct trust *trust, const struct trust_join *join, const char *zone,
                      struct error *err)
{
    if (!join)
        return error_set(err, ERROR_REFUSED,
                         "this join token is not known, or has long expired: make another with \"atoll zone "
                         "join-token %s\"",
                         zone);
    if (strcmp(join->zone, zone) != 0)
        return error_set(err, ERROR_REFUSED, "this join token is for another zone than %s", zone);
    if (!*join->used_by && join->expires_at_s <= trust_now_s(trust))
        return error_set(err, ERROR_REFUSED,
                         "this join token has expired: they live %d minutes; make another with \"atoll zone "
                         "join-token %s\"",
                         TRUST_JOIN_LIFETIME_S / 60, zone);
    return 0;
}

/* ---- enrolment ---- */

static int sign(struct trust *trust, const char *zone, const char *request_pem, struct buffer *certificate,
                struct issued *out, struct error *err)
{
    struct ca_identity agent = {.organization = CA_ORGANIZATION_AGENTS, .name = zone, .client = true};
    struct pki_facts facts;
    if (ca_sign(trust->ca, request_pem, &agent, trust_now_s(trust), CA_LEAF_LIFETIME_S, certificate, &facts,
                err))
        return -1;
    trust_note_issued(trust, &facts, out);
    return 0;
}

static int issue_waiting(struct trust *trust, struct trust_zone *zone, struct error *err)
{
    struct trust_zone changed = *zone;
    struct buffer certificate;
    buffer_init(&certificate, CA_REQUEST_MAX);
    int result = sign(trust, zone->name, zone->request, &certificate, &changed.next, err);
    if (result == 0) {
        changed.certificate = strdup(certificate.data);
        changed.request = NULL;
        changed.removed = false;
        result = changed.certificate ? remember(trust, zone, &changed, err)
                                     : error_set(err, ERROR_NO_MEMORY, "no memory");
    }
    buffer_finish(&certificate);
    return result;
}

/* The request is refused now, and not when somebody has come to approve it. */
static int check_request(struct trust *trust, const char *zone, const char *request_pem,
                         struct pki_facts *facts, struct error *err)
{
    struct buffer unused;
    struct issued nobody;
    if (strnlen(request_pem, CA_REQUEST_MAX + 1) > CA_REQUEST_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a certificate request has at most CA_REQUEST_MAX (%d) bytes",
                         CA_REQUEST_MAX);
    buffer_init(&unused, CA_REQUEST_MAX);
    int result =
        sign(trust, zone, request_pem, &unused, &nobody, err) || pki_request_facts(request_pem, facts, err)
            ? -1
            : 0;
    buffer_finish(&unused);
    return result;
}

static struct trust_zone *zone_for(struct trust *trust, const char *name, struct error *err)
{
    struct trust_zone fresh = {0}, *zone = trust_zone(trust, name);
    if (zone)
        return zone;
    snprintf(fresh.name, sizeof fresh.name, "%s", name);
    return trust_take_zone(trust, &fresh, err) ? NULL : trust->zones[trust->zone_count - 1];
}

static int repeat(struct trust *trust, struct trust_zone *zone, const struct trust_join *join,
                  const char *key_hash, struct error *err)
{
    if (strcmp(zone->waiting_key, key_hash) != 0)
        return error_set(err, ERROR_REFUSED,
                         "zone %s was enrolled anew, or removed, since this token was used", zone->name);
    return join->pre_approved && zone->request ? issue_waiting(trust, zone, err) : 0;
}

int trust_enrol(struct trust *trust, const char *name, const char *token, const char *request_pem,
                const char *from, struct error *err)
{
    struct trust_join *join = find_join(trust, token);
    struct pki_facts facts;
    if (!is_zone_name(name))
        return error_set(err, ERROR_INVALID, "\"%.80s\" is no zone's name", name);
    if (check_join(trust, join, name, err) || check_request(trust, name, request_pem, &facts, err))
        return -1;
    if (*join->used_by && strcmp(join->used_by, facts.key_hash) != 0)
        return error_set(err, ERROR_REFUSED,
                         "this join token was used already, by another key: if that was not this zone's "
                         "agent, \"atoll zone remove %s\"",
                         name);
    struct trust_zone *zone = zone_for(trust, name, err);
    if (!zone)
        return -1;
    if (*join->used_by) /* said once more */
        return repeat(trust, zone, join, facts.key_hash, err);
    struct trust_zone changed = *zone;
    struct trust_join used = *join;
    memcpy(used.used_by, facts.key_hash, sizeof used.used_by);
    memcpy(changed.waiting_key, facts.key_hash, sizeof changed.waiting_key);
    snprintf(changed.waiting_from, sizeof changed.waiting_from, "%s", from);
    changed.requested_at_s = trust_now_s(trust);
    changed.request = strdup(request_pem);
    if (!changed.request)
        return error_set(err, ERROR_NO_MEMORY, "there is no memory for a certificate request");
    if (remember_used(trust, zone, &changed, &used, err))
        return -1;
    *join = used;
    return join->pre_approved ? issue_waiting(trust, zone, err) : 0;
}

int trust_enrolment(struct trust *trust, const char *name, const char *key_hash, const char **certificate,
                    struct error *err)
{
    struct trust_zone *zone = trust_zone(trust, name);
    *certificate = NULL;
    if (!zone || !*key_hash || strcmp(zone->waiting_key, key_hash) != 0)
        return error_set(
            err, ERROR_NOT_FOUND,
            "no request of zone %.80s with this key is known: it was refused, or another has taken its place",
            name);
    if (is_waiting(trust, zone))
        return 0;
    if (zone->removed || zone->request || !zone->certificate)
        return error_set(
            err, ERROR_REFUSED,
            "the request of zone %s was refused, or has waited for too long: enrol with a new join token",
            name);
    *certificate = zone->certificate;
    return 0;
}

int trust_approve(struct trust *trust, const char *name, const char *key_prefix, struct error *err)
{
    struct trust_zone *zone = trust_zone(trust, name);
    if (!zone || !is_waiting(trust, zone))
        return error_set(err, ERROR_CONFLICT,
                         "no agent waits for approval in zone %.80s: \"atoll zone list\" shows who does",
                         name);
    if (key_prefix && strncmp(zone->waiting_key, key_prefix, strlen(key_prefix)) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "the key that waits in zone %s is %.16s…, not %.64s: nothing was approved", name,
                         zone->waiting_key, key_prefix);
    return issue_waiting(trust, zone, err);
}

/* With its join tokens, which would let it in again. */
int trust_remove_zone(struct trust *trust, const char *name, struct error *err)
{
    struct trust_record tokens[TRUST_JOINS_MAX];
    struct trust_zone changed = {.removed = true}, *zone = trust_zone(trust, name);
    size_t count = 0;
    if (!zone)
        return error_set(err, ERROR_NOT_FOUND, "no agent of zone %.80s has ever enrolled", name);
    memcpy(changed.name, zone->name, sizeof changed.name);
    for (size_t i = 0; i < trust->join_count; i++)
        if (strcmp(trust->joins[i].zone, name) == 0) {
            tokens[count] = (struct trust_record){.data = NULL};
            trust_record_name(&tokens[count++], "join", trust->joins[i].id);
        }
    if (remember_with(trust, zone, &changed, tokens, count, err))
        return -1;
    for (size_t i = trust->join_count; i-- > 0;)
        if (strcmp(trust->joins[i].zone, name) == 0)
            trust->joins[i] = trust->joins[--trust->join_count];
    return 0;
}

/* ---- with a certificate ---- */

static bool is(const struct issued *issued, const char *serial)
{
    return *issued->serial && strcmp(issued->serial, serial) == 0;
}

/* The newest one is used: from here on the one before it doesn't count. When that can't be remembered now,
 * the next request tries again. */
static void take_next(struct trust *trust, struct trust_zone *zone)
{
    struct trust_zone changed = *zone;
    if (!*zone->current.serial)
        changed.joined_at_s = trust_now_s(trust);
    changed.current = zone->next;
    changed.next = (struct issued){0};
    remember(trust, zone, &changed, NULL);
}

enum caller_flaw zone_flaw(struct trust *trust, const char *name, const char *serial)
{
    struct trust_zone *zone = trust_zone(trust, name);
    if (!zone || zone->removed || !(is(&zone->current, serial) || is(&zone->next, serial)))
        return FLAW_REVOKED;
    int64_t end_s = is(&zone->next, serial) ? zone->next.not_after_s : zone->current.not_after_s;
    if (end_s <= trust_now_s(trust))
        return FLAW_EXPIRED;
    if (is(&zone->next, serial))
        take_next(trust, zone);
    return FLAW_NONE;
}

int trust_renew(struct trust *trust, const char *name, const char *serial, const char *request_pem,
                struct buffer *certificate, struct error *err)
{
    struct trust_zone *zone = trust_zone(trust, name);
    if (!zone || zone_flaw(trust, name, serial) != FLAW_NONE)
        return error_set(err, ERROR_REFUSED, "only the certificate of zone %.80s that counts can renew it",
                         name);
    struct trust_zone changed = *zone;
    if (sign(trust, name, request_pem, certificate, &changed.next, err))
        return -1;
    changed.certificate = strdup(certificate->data);
    int result = changed.certificate ? remember(trust, zone, &changed, err)
                                     : error_set(err, ERROR_NO_MEMORY, "no memory");
    if (result)
        buffer_clear(certificate);
    return result;
}
