/* Join tokens, enrolment, approval, renewal, removal, people; each also after a restart, and with a store
 * that takes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/trust.h"

enum { RECORDS_MAX = 64, DAY_S = 86400 };

static const char passphrase[] = "a passphrase of the tests";

/* A controller's life, with a store in memory and a clock that stands. */
static struct {
    int64_t now_ms;
    struct {
        char key[128];
        char *data;
        size_t length;
    } records[RECORDS_MAX];
    size_t count, writes;
    bool refuses;
    struct trust *trust;
} world;

static int64_t tell_ms(void *context)
{
    (void)context;
    return world.now_ms;
}

static const struct clock standing = {tell_ms, tell_ms, NULL};

static void put(const struct trust_record *record)
{
    size_t i = 0;
    while (i < world.count && strcmp(world.records[i].key, record->key) != 0)
        i++;
    if (i < world.count)
        free(world.records[i].data);
    if (!record->data) {
        if (i < world.count)
            world.records[i] = world.records[--world.count];
        return;
    }
    assert_true(i < RECORDS_MAX);
    if (i == world.count)
        world.count++;
    memcpy(world.records[i].key, record->key, sizeof record->key);
    world.records[i].data = malloc(record->length);
    world.records[i].length = record->length;
    memcpy(world.records[i].data, record->data, record->length);
}

static int remember(void *context, const struct trust_record *records, size_t count, struct error *err)
{
    (void)context;
    if (world.refuses)
        return error_set(err, ERROR_IO, "the disk is full");
    for (size_t i = 0; i < count; i++)
        put(&records[i]);
    world.writes++;
    return 0;
}

static void start(void)
{
    const struct trust_environment environment = {&standing, remember, NULL};
    struct error err = {0};
    assert_int_equal(trust_create(&environment, &world.trust, &err), 0);
    for (size_t i = 0; i < world.count; i++)
        if (trust_load(world.trust, world.records[i].key, world.records[i].data, world.records[i].length,
                       &err))
            fail_msg("%s", err.message);
    assert_int_equal(trust_open(world.trust, passphrase, NULL, &err), 0);
}

static void restart(void)
{
    trust_destroy(world.trust);
    start();
}

static int set_up(void **state)
{
    (void)state;
    world.now_ms = INT64_C(1795000000000);
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trust_destroy(world.trust);
    for (size_t i = 0; i < world.count; i++)
        free(world.records[i].data);
    memset(&world, 0, sizeof world);
    return 0;
}

/* ---- an agent ---- */

struct agent {
    struct buffer key, request;
    struct pki_facts facts;
};

static struct agent make_agent(const char *name)
{
    struct agent agent;
    struct error err = {0};
    buffer_init(&agent.key, 0);
    buffer_init(&agent.request, 0);
    assert_int_equal(pki_key_create(&agent.key, &err), 0);
    assert_int_equal(
        pki_request_create(agent.key.data, CA_ORGANIZATION_AGENTS, NULL, name, &agent.request, &err), 0);
    assert_int_equal(pki_request_facts(agent.request.data, &agent.facts, &err), 0);
    return agent;
}

static void end(struct agent *agent)
{
    pki_forget(&agent->key);
    buffer_finish(&agent->request);
}

static const char *make_token(const char *zone, bool pre_approved)
{
    static char token[TRUST_JOIN_TOKEN_MAX];
    int64_t expires_at_s = 0;
    struct error err = {0};
    assert_int_equal(trust_make_join_token(world.trust, zone, pre_approved, token, &expires_at_s, &err), 0);
    assert_int_equal(expires_at_s, world.now_ms / 1000 + 600);
    return token;
}

static int enrol(const struct agent *agent, const char *zone, const char *token, struct error *err)
{
    *err = (struct error){0};
    return trust_enrol(world.trust, zone, token, agent->request.data, "10.0.0.7:4000", err);
}

static void expect_refusal(const struct agent *agent, const char *zone, const char *token, const char *part)
{
    struct error err;
    assert_int_equal(enrol(agent, zone, token, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" doesn't say \"%s\"", err.message, part);
}

static enum trust_zone_state state_of(const char *zone)
{
    struct trust_zone_view view;
    return trust_zone_find(world.trust, zone, &view) ? view.state : TRUST_ZONE_NONE;
}

/* The serial of the certificate that the agent gets. */
static const char *take_certificate(const struct agent *agent, const char *zone)
{
    static struct pki_facts facts;
    const char *certificate = NULL;
    struct error err = {0};
    assert_int_equal(trust_enrolment(world.trust, zone, agent->facts.key_hash, &certificate, &err), 0);
    assert_non_null(certificate);
    assert_int_equal(pki_certificate_facts(certificate, &facts, &err), 0);
    assert_string_equal(facts.name, zone);
    assert_string_equal(facts.key_hash, agent->facts.key_hash);
    return facts.serial;
}

static enum caller_flaw come(const char *zone, const char *serial)
{
    struct caller caller = {.kind = CALLER_AGENT, .proof = PROOF_CERTIFICATE};
    snprintf(caller.zone, sizeof caller.zone, "%s", zone);
    snprintf(caller.mark, sizeof caller.mark, "%s", serial);
    trust_check_caller(world.trust, &caller);
    assert_int_equal(caller.kind, caller.flaw == FLAW_NONE ? CALLER_AGENT : CALLER_NOBODY);
    return caller.flaw;
}

static char *join_zone(struct agent *agent, const char *zone)
{
    struct error err;
    assert_int_equal(enrol(agent, zone, make_token(zone, true), &err), 0);
    char *serial = strdup(take_certificate(agent, zone));
    assert_int_equal(come(zone, serial), FLAW_NONE);
    return serial;
}

/* ---- tests ---- */

static void a_zone_waits_for_approval_and_joins(void **state)
{
    struct agent agent = make_agent("us-east1-b");
    const char *certificate;
    struct error err;
    (void)state;
    assert_int_equal(enrol(&agent, "us-east1-b", make_token("us-east1-b", false), &err), 0);
    restart();
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_WAITING);
    assert_int_equal(trust_enrolment(world.trust, "us-east1-b", agent.facts.key_hash, &certificate, &err), 0);
    assert_null(certificate);
    assert_int_equal(trust_approve(world.trust, "us-east1-b", "ffffffffffff00", &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(trust_approve(world.trust, "us-east1-b", NULL, &err), 0);
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_APPROVED);
    restart();
    const char *serial = take_certificate(&agent, "us-east1-b");
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    restart();
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_JOINED);
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    assert_int_equal(come("europe-west1-d", serial), FLAW_REVOKED);
    assert_int_equal(trust_approve(world.trust, "us-east1-b", NULL, &err), -1);
    end(&agent);
}

static void a_join_token_works_once_for_one_zone_and_ten_minutes(void **state)
{
    struct agent agent = make_agent("us-east1-b"), thief = make_agent("us-east1-b"),
                 other = make_agent("europe-west1-d");
    char token[TRUST_JOIN_TOKEN_MAX], wrong[TRUST_JOIN_TOKEN_MAX];
    struct error err;
    (void)state;
    snprintf(token, sizeof token, "%s", make_token("us-east1-b", false));
    snprintf(wrong, sizeof wrong, "%s", token);
    wrong[30] = wrong[30] == '0' ? '1' : '0';
    expect_refusal(&agent, "us-east1-b", wrong, "not known");
    expect_refusal(&agent, "us-east1-b", "", "not known");
    expect_refusal(&agent, "us-east1-b", "atj1...", "not known");
    expect_refusal(&other, "europe-west1-d", token, "for another zone");
    expect_refusal(&other, "us-east1-b", token, "is for \"europe-west1-d\", not for \"us-east1-b\"");
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_NONE);
    assert_int_equal(enrol(&agent, "us-east1-b", token, &err), 0);
    assert_int_equal(enrol(&agent, "us-east1-b", token, &err), 0); /* its answer was lost */
    expect_refusal(&thief, "us-east1-b", token, "used already");
    restart();
    expect_refusal(&thief, "us-east1-b", token, "used already");
    snprintf(token, sizeof token, "%s", make_token("us-east1-b", false));
    world.now_ms += 600 * 1000;
    expect_refusal(&thief, "us-east1-b", token, "expired");
    end(&agent), end(&thief), end(&other);
}

static void no_secret_is_stored(void **state)
{
    char token[TRUST_JOIN_TOKEN_MAX];
    (void)state;
    snprintf(token, sizeof token, "%s", make_token("us-east1-b", false));
    char *secret = token + strlen("atj1.") + 17;
    *strchr(secret, '.') = 0;
    assert_int_equal(strlen(secret), 64);
    for (size_t i = 0; i < world.count; i++) {
        assert_null(memmem(world.records[i].data, world.records[i].length, secret, strlen(secret)));
        assert_null(memmem(world.records[i].data, world.records[i].length, "BEGIN PRIVATE", 13));
    }
}

static void a_token_carries_the_hash_of_the_ca(void **state)
{
    const char *token = make_token("us-east1-b", false);
    (void)state;
    assert_string_equal(strrchr(token, '.') + 1, ca_issuer(trust_ca(world.trust))->hash);
}

/* The newest counts once it was used, and the one before it as long as the newest was not: whichever answer
 * is lost, the agent goes on. */
static void a_renewal_needs_the_certificate_that_counts(void **state)
{
    struct agent first = make_agent("us-east1-b"), second = make_agent("us-east1-b"),
                 other = make_agent("europe-west1-d"), forger = make_agent("us-east1-b");
    char *serial = join_zone(&first, "us-east1-b"), *others = join_zone(&other, "europe-west1-d");
    struct buffer certificate;
    struct pki_facts renewed;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    /* another zone's certificate forges nothing: neither in its own name nor in the other's (CVE-2026-4740)
     */
    assert_int_equal(trust_renew(world.trust, "us-east1-b", others, forger.request.data, &certificate, &err),
                     -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(
        trust_renew(world.trust, "europe-west1-d", others, forger.request.data, &certificate, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(certificate.length, 0);
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, second.request.data, &certificate, &err),
                     0);
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE); /* the answer was lost */
    buffer_clear(&certificate);
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, second.request.data, &certificate, &err),
                     0);
    assert_int_equal(pki_certificate_facts(certificate.data, &renewed, &err), 0);
    restart();
    assert_int_equal(come("us-east1-b", renewed.serial), FLAW_NONE);
    assert_int_equal(come("us-east1-b", serial), FLAW_REVOKED);
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, forger.request.data, &certificate, &err),
                     -1); /* an old copy */
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(come("us-east1-b", renewed.serial), FLAW_NONE);
    buffer_finish(&certificate);
    free(serial), free(others);
    end(&first), end(&second), end(&other), end(&forger);
}

static void a_removed_zone_is_out_at_once_and_for_good(void **state)
{
    struct agent agent = make_agent("us-east1-b"), again = make_agent("us-east1-b");
    char *serial = join_zone(&agent, "us-east1-b"), token[TRUST_JOIN_TOKEN_MAX];
    const char *certificate;
    struct buffer renewed;
    struct error err = {0};
    (void)state;
    buffer_init(&renewed, 0);
    make_token("us-central1-f", true);
    snprintf(token, sizeof token, "%s", make_token("us-east1-b", true));
    size_t writes = world.writes;
    assert_int_equal(trust_remove_zone(world.trust, "us-east1-b", &err), 0);
    /* A crash between two would leave tokens that let it in again. */
    assert_int_equal(world.writes, writes + 1);
    assert_int_equal(come("us-east1-b", serial), FLAW_REVOKED);
    restart();
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_REMOVED);
    assert_int_equal(come("us-east1-b", serial), FLAW_REVOKED);
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, again.request.data, &renewed, &err), -1);
    assert_int_equal(trust_enrolment(world.trust, "us-east1-b", agent.facts.key_hash, &certificate, &err),
                     -1);
    expect_refusal(&again, "us-east1-b", token, "not known"); /* tokens that were about went with it */
    free(serial);
    serial = join_zone(&again, "us-east1-b"); /* but a new one brings it back */
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    assert_int_equal(trust_remove_zone(world.trust, "nowhere", &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    buffer_finish(&renewed);
    free(serial);
    end(&agent), end(&again);
}

/* A zone whose disk was lost enrols again; the old certificate goes on until the new one is used. */
static void an_agent_that_lost_its_key_enrols_again(void **state)
{
    struct agent old = make_agent("us-east1-b"), fresh = make_agent("us-east1-b");
    char *serial = join_zone(&old, "us-east1-b");
    struct error err;
    (void)state;
    assert_int_equal(enrol(&fresh, "us-east1-b", make_token("us-east1-b", false), &err), 0);
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_WAITING);
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    assert_int_equal(trust_approve(world.trust, "us-east1-b", fresh.facts.key_hash, &err), 0);
    assert_int_equal(come("us-east1-b", take_certificate(&fresh, "us-east1-b")), FLAW_NONE);
    assert_int_equal(come("us-east1-b", serial), FLAW_REVOKED);
    free(serial);
    end(&old), end(&fresh);
}

static void a_request_that_nobody_approves_is_forgotten(void **state)
{
    struct agent old = make_agent("us-east1-b"), agent = make_agent("us-east1-b");
    char *serial = join_zone(&old, "us-east1-b");
    const char *certificate;
    struct error err;
    (void)state;
    assert_int_equal(enrol(&agent, "us-east1-b", make_token("us-east1-b", false), &err), 0);
    world.now_ms += INT64_C(1000) * TRUST_WAITING_MOST_S;
    assert_int_equal(state_of("us-east1-b"), TRUST_ZONE_JOINED);
    assert_int_equal(trust_approve(world.trust, "us-east1-b", NULL, &err), -1);
    assert_int_equal(trust_enrolment(world.trust, "us-east1-b", agent.facts.key_hash, &certificate, &err),
                     -1);
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    world.now_ms += INT64_C(1000) * CA_LEAF_LIFETIME_S;
    assert_int_equal(come("us-east1-b", serial), FLAW_EXPIRED);
    free(serial);
    end(&old), end(&agent);
}

static void what_can_not_be_remembered_is_not_done(void **state)
{
    struct agent agent = make_agent("us-east1-b");
    char token[TRUST_JOIN_TOKEN_MAX];
    int64_t expires_at_s;
    struct buffer certificate;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    snprintf(token, sizeof token, "%s", make_token("us-east1-b", false));
    world.refuses = true;
    assert_int_equal(enrol(&agent, "us-east1-b", token, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(trust_make_join_token(world.trust, "us-east1-b", false, token, &expires_at_s, &err), -1);
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), -1);
    assert_int_equal(ca_stage(trust_ca(world.trust)), CA_STEADY);
    world.refuses = false;
    char *serial = join_zone(&agent, "us-east1-b");
    world.refuses = true;
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, agent.request.data, &certificate, &err),
                     -1);
    assert_int_equal(certificate.length, 0);
    assert_int_equal(trust_remove_zone(world.trust, "us-east1-b", &err), -1);
    assert_int_equal(come("us-east1-b", serial), FLAW_NONE);
    buffer_finish(&certificate);
    free(serial);
    end(&agent);
}

/* The three steps wait for every zone that has joined; a restart in between loses none. */
static void an_exchange_of_the_ca_waits_for_the_zones(void **state)
{
    struct agent agent = make_agent("us-east1-b"), again = make_agent("us-east1-b");
    char *serial = join_zone(&agent, "us-east1-b"), hash[PKI_HASH_TEXT_MAX];
    struct buffer certificate;
    struct trust_zone_view view;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    snprintf(hash, sizeof hash, "%s", trust_bundle_hash(world.trust));
    assert_int_equal(trust_exchange_ca(world.trust, "too short", false, &err), -1);
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), 0);
    assert_string_not_equal(trust_bundle_hash(world.trust), hash);
    restart();
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "us-east1-b"));
    trust_bundle_was_sent(world.trust, "us-east1-b");
    restart(); /* an agent that has it never fetches it again, so that this must be remembered */
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), 0);
    assert_int_equal(ca_stage(trust_ca(world.trust)), CA_SWITCHED);
    assert_true(trust_zone_find(world.trust, "us-east1-b", &view) && view.renewal_wanted);
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), -1);
    assert_int_equal(trust_renew(world.trust, "us-east1-b", serial, again.request.data, &certificate, &err),
                     0);
    struct pki_facts facts;
    assert_int_equal(pki_certificate_facts(certificate.data, &facts, &err), 0);
    assert_int_equal(come("us-east1-b", facts.serial), FLAW_NONE);
    assert_int_equal(trust_exchange_ca(world.trust, passphrase, false, &err), 0);
    assert_int_equal(ca_stage(trust_ca(world.trust)), CA_STEADY);
    restart();
    assert_int_equal(come("us-east1-b", facts.serial), FLAW_NONE);
    buffer_finish(&certificate);
    free(serial);
    end(&agent), end(&again);
}

static void a_person_is_in_until_revoked(void **state)
{
    struct agent person = make_agent("freddy");
    struct buffer certificate, request;
    struct pki_facts facts;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    buffer_init(&request, 0);
    assert_int_equal(pki_request_create(person.key.data, NULL, NULL, "freddy", &request, &err), 0);
    assert_int_equal(
        trust_certify_person(world.trust, CALLER_AGENT, "freddy", request.data, &certificate, &facts, &err),
        -1);
    assert_int_equal(
        trust_certify_person(world.trust, CALLER_OPERATOR, "jane", request.data, &certificate, &facts, &err),
        -1);
    assert_int_equal(trust_certify_person(world.trust, CALLER_OPERATOR, "freddy", request.data, &certificate,
                                          &facts, &err),
                     0);
    assert_string_equal(facts.organization, CA_ORGANIZATION_OPERATORS);
    restart();
    struct caller caller = {.kind = CALLER_OPERATOR, .proof = PROOF_CERTIFICATE, .name = "freddy"}, copy;
    snprintf(caller.mark, sizeof caller.mark, "%s", facts.serial);
    copy = caller;
    trust_check_caller(world.trust, &copy);
    assert_int_equal(copy.kind, CALLER_OPERATOR);
    copy = caller, copy.kind = CALLER_ADMIN; /* the record says what it was issued for */
    trust_check_caller(world.trust, &copy);
    assert_int_equal(copy.kind, CALLER_NOBODY);
    assert_int_equal(trust_person_count(world.trust), 1);
    assert_string_equal(trust_person_at(world.trust, 0).role, "operator");
    assert_int_equal(trust_revoke_person(world.trust, "00", &err), -1);
    assert_int_equal(trust_revoke_person(world.trust, facts.serial, &err), 0);
    restart();
    copy = caller;
    trust_check_caller(world.trust, &copy);
    assert_int_equal(copy.kind, CALLER_NOBODY);
    assert_int_equal(copy.flaw, FLAW_REVOKED);
    buffer_finish(&certificate), buffer_finish(&request);
    end(&person);
}

static void a_damaged_record_is_an_error(void **state)
{
    static const struct {
        const char *key, *text;
    } rows[] = {{"trust/zone/us-east1-b", "{}"},
                {"trust/zone/us-east1-b", "nonsense"},
                {"trust/zone/", "{\"removed\":false}"},
                {"trust/person/00", "{\"role\":\"admin\"}"},
                {"trust/join/00", "{\"zone\":5}"},
                {"trust/unheard-of", "{}"},
                {"trust/unheard/of", "{}"},
                {"trust/zone/a", "{\"removed\":false,\"current\":{\"serial\":7}}"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        assert_int_equal(trust_load(world.trust, rows[i].key, rows[i].text, strlen(rows[i].text), &err), -1);
        assert_non_null(strstr(err.message, rows[i].key));
    }
}

static void an_exchange_may_change_the_passphrase(void **state)
{
    const struct trust_environment environment = {&standing, remember, NULL};
    struct error err = {0};
    (void)state;
    assert_int_equal(trust_exchange_ca(world.trust, "another passphrase of the tests", false, &err), 0);
    trust_destroy(world.trust);
    assert_int_equal(trust_create(&environment, &world.trust, &err), 0);
    for (size_t i = 0; i < world.count; i++)
        assert_int_equal(trust_load(world.trust, world.records[i].key, world.records[i].data,
                                    world.records[i].length, &err),
                         0);
    assert_int_equal(trust_open(world.trust, passphrase, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(trust_open(world.trust, "another passphrase of the tests", NULL, &err), 0);
    assert_int_equal(ca_stage(trust_ca(world.trust)), CA_ANNOUNCED);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        test(a_zone_waits_for_approval_and_joins),
        test(a_join_token_works_once_for_one_zone_and_ten_minutes),
        test(no_secret_is_stored),
        test(a_token_carries_the_hash_of_the_ca),
        test(a_renewal_needs_the_certificate_that_counts),
        test(a_removed_zone_is_out_at_once_and_for_good),
        test(an_agent_that_lost_its_key_enrols_again),
        test(a_request_that_nobody_approves_is_forgotten),
        test(what_can_not_be_remembered_is_not_done),
        test(an_exchange_of_the_ca_waits_for_the_zones),
        test(an_exchange_may_change_the_passphrase),
        test(a_person_is_in_until_revoked),
        test(a_damaged_record_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
