/* The federation's CA: what it signs, what it refuses, how it is sealed and exchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/ca.h"

static const int64_t now_s = 1795000000; /* 2026-11-18 */
static const char passphrase[] = "a passphrase of the tests";

static struct ca *make_ca(void)
{
    struct ca *ca = NULL;
    struct error err = {0};
    assert_int_equal(ca_create(now_s, &ca, &err), 0);
    return ca;
}

static const struct ca_identity agent = {
    .organization = CA_ORGANIZATION_AGENTS, .name = "us-east1-b", .client = true};

struct pair {
    struct buffer key, request;
};

static struct pair make_request(const char *organization, const char *unit, const char *name)
{
    struct pair pair;
    struct error err = {0};
    buffer_init(&pair.key, 0);
    buffer_init(&pair.request, 0);
    assert_int_equal(pki_key_create(&pair.key, &err), 0);
    assert_int_equal(pki_request_create(pair.key.data, organization, unit, name, &pair.request, &err), 0);
    return pair;
}

static void end_pair(struct pair *pair)
{
    pki_forget(&pair->key);
    buffer_finish(&pair->request);
}

static X509 *read_x509(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(out);
    return out;
}

/* Verifies as a TLS server or client would, at a time. */
static int verify(const char *leaf_pem, const char *bundle_pem, int purpose, int64_t at_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    BIO *bio = BIO_new_mem_buf(bundle_pem, -1);
    X509 *leaf = read_x509(leaf_pem), *ca;
    while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        X509_STORE_add_cert(store, ca);
        X509_free(ca);
    }
    X509_STORE_CTX_init(context, store, leaf, NULL);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), (time_t)at_s);
    int result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    X509_free(leaf);
    BIO_free(bio);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}

static void an_agents_certificate_verifies_as_a_client_for_ninety_days(void **state)
{
    struct ca *ca = make_ca();
    struct pair pair = make_request(NULL, NULL, "us-east1-b");
    struct buffer certificate;
    struct pki_facts facts, request;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    assert_int_equal(
        ca_sign(ca, pair.request.data, &agent, now_s, CA_LEAF_LIFETIME_S, &certificate, &facts, &err), 0);
    assert_string_equal(facts.name, "us-east1-b");
    assert_string_equal(facts.organization, "atoll:agents");
    assert_string_equal(facts.unit, "");
    assert_int_equal(strlen(facts.serial), 32);
    assert_int_equal(facts.not_after_s, now_s + CA_LEAF_LIFETIME_S);
    assert_int_equal(pki_request_facts(pair.request.data, &request, &err), 0);
    assert_string_equal(facts.key_hash, request.key_hash);
    assert_int_equal(pki_check_pair(certificate.data, pair.key.data, &err), 0);
    assert_int_equal(pki_check_signed_by(certificate.data, ca_bundle(ca), &err), 0);
    assert_int_equal(verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_CLIENT, now_s), X509_V_OK);
    assert_int_equal(verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_SERVER, now_s),
                     X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(
        verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_CLIENT, now_s + CA_LEAF_LIFETIME_S + 1),
        X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_equal(pki_renew_at_s(&facts),
                     facts.not_before_s + (facts.not_after_s - facts.not_before_s) * 2 / 3);
    buffer_finish(&certificate);
    end_pair(&pair);
    ca_destroy(ca);
}

static void a_member_has_its_addresses_and_names(void **state)
{
    struct ca *ca = make_ca();
    struct pair pair = make_request("atoll:members", "mongo", "mongo-node1");
    const char *const sans[] = {"104.1.2.3", "::1", "mongo-svc-a.default.svc"};
    struct ca_identity member = {.organization = CA_ORGANIZATION_MEMBERS,
                                 .unit = "mongo",
                                 .name = "mongo-node1",
                                 .sans = sans,
                                 .san_count = 3,
                                 .server = true,
                                 .client = true};
    struct buffer certificate;
    struct error err = {0};
    (void)state;
    buffer_init(&certificate, 0);
    assert_int_equal(
        ca_sign(ca, pair.request.data, &member, now_s, CA_LEAF_LIFETIME_S, &certificate, NULL, &err), 0);
    X509 *leaf = read_x509(certificate.data);
    assert_int_equal(X509_check_ip_asc(leaf, "104.1.2.3", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "104.1.2.4", 0), 0);
    assert_int_equal(X509_check_host(leaf, "mongo-svc-a.default.svc", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(leaf, "104.1.2.3", 0, 0, NULL), 0);
    X509_free(leaf);
    assert_int_equal(verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_SERVER, now_s), X509_V_OK);
    assert_int_equal(verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_CLIENT, now_s), X509_V_OK);
    buffer_clear(&certificate);
    member.addresses_as_names = true;
    assert_int_equal(
        ca_sign(ca, pair.request.data, &member, now_s, CA_LEAF_LIFETIME_S, &certificate, NULL, &err), 0);
    leaf = read_x509(certificate.data);
    assert_int_equal(X509_check_host(leaf, "104.1.2.3", 0, 0, NULL), 1);
    X509_free(leaf);
    const char *const odd[] = {"*.example.com"};
    member.sans = odd, member.san_count = 1;
    assert_int_equal(
        ca_sign(ca, pair.request.data, &member, now_s, CA_LEAF_LIFETIME_S, &certificate, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    buffer_finish(&certificate);
    end_pair(&pair);
    ca_destroy(ca);
}

static void expect_refusal(struct ca *ca, const char *request, enum error_code code, const char *part)
{
    struct buffer certificate;
    struct error err = {0};
    buffer_init(&certificate, 0);
    assert_int_equal(ca_sign(ca, request, &agent, now_s, CA_LEAF_LIFETIME_S, &certificate, NULL, &err), -1);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.message, part));
    assert_int_equal(certificate.length, 0);
    buffer_finish(&certificate);
}

static void a_request_for_somebody_else_is_refused(void **state)
{
    struct ca *ca = make_ca();
    struct pair other = make_request(NULL, NULL, "europe-west1-d"),
                group = make_request("atoll:admins", NULL, "us-east1-b"),
                unit = make_request("atoll:agents", "mongo", "us-east1-b");
    (void)state;
    expect_refusal(ca, other.request.data, ERROR_REFUSED, "is for \"europe-west1-d\"");
    expect_refusal(ca, group.request.data, ERROR_REFUSED, "group \"atoll:admins\"");
    expect_refusal(ca, unit.request.data, ERROR_REFUSED, "unit \"mongo\"");
    end_pair(&other);
    end_pair(&group);
    end_pair(&unit);
    ca_destroy(ca);
}

/* A request whose subject has `count` common names, signed by `signer` for `key`. */
static char *odd_request(EVP_PKEY *key, EVP_PKEY *signer, size_t count)
{
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    for (size_t i = 0; i < count; i++)
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)"us-east1-b", -1, -1, 0);
    X509_REQ_set_pubkey(request, key);
    assert_true(X509_REQ_sign(request, signer, EVP_sha256()) > 0);
    PEM_write_bio_X509_REQ(bio, request);
    long length = BIO_get_mem_data(bio, &text);
    char *out = strndup(text, (size_t)length);
    BIO_free(bio);
    X509_REQ_free(request);
    return out;
}

static void a_request_that_is_not_whole_is_refused(void **state)
{
    struct ca *ca = make_ca();
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048),
             *odd = EVP_EC_gen("secp256k1");
    char *forged = odd_request(key, other, 1), *doubled = odd_request(key, key, 2),
         *nameless = odd_request(key, key, 0), *with_rsa = odd_request(rsa, rsa, 1),
         *with_odd = odd_request(odd, odd, 1);
    char *long_text = malloc(CA_REQUEST_MAX + 2);
    (void)state;
    memset(long_text, 'x', CA_REQUEST_MAX + 1);
    long_text[CA_REQUEST_MAX + 1] = 0;
    expect_refusal(ca, forged, ERROR_INVALID, "not signed by its own key");
    expect_refusal(ca, doubled, ERROR_INVALID, "more than one common name");
    expect_refusal(ca, nameless, ERROR_REFUSED, "is for \"\"");
    expect_refusal(ca, with_rsa, ERROR_REFUSED, "not ECDSA");
    expect_refusal(ca, with_odd, ERROR_REFUSED, "not ECDSA");
    expect_refusal(ca, "", ERROR_INVALID, "no certificate request");
    expect_refusal(ca, long_text, ERROR_TOO_LARGE, "CA_REQUEST_MAX");
    free(long_text), free(forged), free(doubled), free(nameless), free(with_rsa), free(with_odd);
    EVP_PKEY_free(key), EVP_PKEY_free(other), EVP_PKEY_free(rsa), EVP_PKEY_free(odd);
    ca_destroy(ca);
}

static void a_sealed_ca_opens_with_its_passphrase_alone(void **state)
{
    struct ca *ca = make_ca(), *again = NULL;
    struct buffer sealed;
    struct error err = {0};
    (void)state;
    buffer_init(&sealed, 0);
    assert_int_equal(ca_seal(ca, "short", &sealed, &err), -1);
    assert_int_equal(ca_seal(ca, passphrase, &sealed, &err), 0);
    assert_null(strstr(sealed.data, "BEGIN PRIVATE KEY"));
    assert_null(strstr(sealed.data, "BEGIN EC PRIVATE KEY"));
    assert_non_null(strstr(sealed.data, "BEGIN ENCRYPTED PRIVATE KEY"));
    assert_int_equal(ca_unseal(sealed.data, "another passphrase …", &again, &err), -1);
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_int_equal(ca_unseal(sealed.data, passphrase, &again, &err), 0);
    assert_string_equal(ca_issuer(again)->hash, ca_issuer(ca)->hash);
    assert_string_equal(ca_bundle(again), ca_bundle(ca));
    ca_destroy(again);
    sealed.data[sealed.length / 3] = 0;
    assert_int_equal(ca_unseal(sealed.data, passphrase, &again, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    buffer_finish(&sealed);
    ca_destroy(ca);
}

static void sign_agent(struct ca *ca, const char *request, struct buffer *out)
{
    struct error err = {0};
    buffer_init(out, 0);
    assert_int_equal(ca_sign(ca, request, &agent, now_s, CA_LEAF_LIFETIME_S, out, NULL, &err), 0);
}

static void assert_verifies(const struct buffer *certificate, const char *bundle, bool does)
{
    assert_int_equal(verify(certificate->data, bundle, X509_PURPOSE_SSL_CLIENT, now_s) == X509_V_OK, does);
}

/* Who still has the bundle of the step before can check what is signed in this one: at no step is anybody
 * shut out. */
static void an_exchange_overlaps(void **state)
{
    struct ca *ca = make_ca(), *restarted = NULL;
    struct pair pair = make_request(NULL, NULL, "us-east1-b");
    struct buffer first, second, third, sealed;
    struct error err = {0};
    char *steady = strdup(ca_bundle(ca)), *announced, *switched;
    (void)state;
    buffer_init(&sealed, 0);
    sign_agent(ca, pair.request.data, &first);
    assert_int_equal(ca_switch(ca, now_s, &err), -1);
    assert_int_equal(ca_announce_next(ca, now_s, &err), 0);
    announced = strdup(ca_bundle(ca));
    sign_agent(ca, pair.request.data, &second);
    assert_verifies(&second, steady, true); /* not everybody knows the new CA yet, so it doesn't sign */
    assert_int_equal(ca_seal(ca, passphrase, &sealed, &err), 0);
    assert_int_equal(ca_unseal(sealed.data, passphrase, &restarted, &err), 0);
    assert_int_equal(ca_stage(restarted), CA_ANNOUNCED);
    assert_int_equal(ca_switch(restarted, now_s, &err), 0);
    switched = strdup(ca_bundle(restarted));
    sign_agent(restarted, pair.request.data, &third);
    assert_verifies(&third, steady, false);
    assert_verifies(&third, announced, true);
    assert_verifies(&first, switched, true);
    buffer_clear(&sealed);
    ca_destroy(ca);
    ca = NULL;
    assert_int_equal(ca_seal(restarted, passphrase, &sealed, &err), 0);
    assert_int_equal(ca_unseal(sealed.data, passphrase, &ca, &err), 0);
    assert_int_equal(ca_stage(ca), CA_SWITCHED);
    assert_int_equal(ca_drop_previous(ca, now_s, &err), 0);
    assert_null(ca_other(ca));
    assert_verifies(&first, ca_bundle(ca), false);
    assert_verifies(&third, ca_bundle(ca), true);
    free(steady), free(announced), free(switched);
    buffer_finish(&first), buffer_finish(&second), buffer_finish(&third), buffer_finish(&sealed);
    end_pair(&pair);
    ca_destroy(ca), ca_destroy(restarted);
}

static void a_stranger_with_our_cas_name_signs_nothing_that_counts(void **state)
{
    struct ca *ca = make_ca(), *stranger = make_ca();
    struct pair pair = make_request(NULL, NULL, "us-east1-b");
    struct buffer certificate, picked;
    struct error err = {0};
    (void)state;
    buffer_init(&picked, 0);
    sign_agent(stranger, pair.request.data, &certificate);
    assert_verifies(&certificate, ca_bundle(ca), false);
    assert_int_equal(pki_check_signed_by(certificate.data, ca_bundle(ca), &err), -1);
    assert_int_equal(pki_bundle_pick(ca_bundle(stranger), ca_issuer(ca)->hash, &picked, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(pki_bundle_pick(ca_bundle(ca), ca_issuer(ca)->hash, &picked, &err), 0);
    assert_string_equal(picked.data, ca_bundle(ca));
    buffer_finish(&picked);
    buffer_finish(&certificate);
    end_pair(&pair);
    ca_destroy(ca), ca_destroy(stranger);
}

static void the_controllers_own_certificate_serves(void **state)
{
    struct ca *ca = make_ca();
    const char *const sans[] = {"127.0.0.1", "localhost"};
    struct ca_identity own = {.organization = CA_ORGANIZATION_CONTROLLER,
                              .name = "prod",
                              .sans = sans,
                              .san_count = 2,
                              .server = true,
                              .client = true};
    struct buffer key, certificate;
    struct pki_facts facts;
    struct error err = {0};
    (void)state;
    buffer_init(&key, 0);
    buffer_init(&certificate, 0);
    assert_int_equal(ca_issue(ca, &own, now_s, CA_LEAF_LIFETIME_S, &key, &certificate, &facts, &err), 0);
    assert_int_equal(pki_check_pair(certificate.data, key.data, &err), 0);
    assert_int_equal(verify(certificate.data, ca_bundle(ca), X509_PURPOSE_SSL_SERVER, now_s), X509_V_OK);
    /* Not beyond the CA's own end, and not after it. */
    buffer_clear(&certificate);
    int64_t late_s = ca_issuer(ca)->not_after_s - 86400;
    pki_forget(&key);
    assert_int_equal(ca_issue(ca, &own, late_s, CA_LEAF_LIFETIME_S, &key, &certificate, &facts, &err), 0);
    assert_int_equal(facts.not_after_s, ca_issuer(ca)->not_after_s);
    pki_forget(&key);
    assert_int_equal(ca_issue(ca, &own, late_s + 86400, CA_LEAF_LIFETIME_S, &key, &certificate, &facts, &err),
                     -1);
    pki_forget(&key);
    buffer_finish(&certificate);
    ca_destroy(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agents_certificate_verifies_as_a_client_for_ninety_days),
        cmocka_unit_test(a_member_has_its_addresses_and_names),
        cmocka_unit_test(a_request_for_somebody_else_is_refused),
        cmocka_unit_test(a_request_that_is_not_whole_is_refused),
        cmocka_unit_test(a_sealed_ca_opens_with_its_passphrase_alone),
        cmocka_unit_test(an_exchange_overlaps),
        cmocka_unit_test(a_stranger_with_our_cas_name_signs_nothing_that_counts),
        cmocka_unit_test(the_controllers_own_certificate_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
