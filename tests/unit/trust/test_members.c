/* Members' certificates: when the present one is kept, and when another is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "controller/trust/trust.h"

enum { DAY_S = 86400 };

static const char passphrase[] = "a passphrase of the tests";
static const char *const names[] = {"10.0.0.1", "mongo-node1", "localhost", "10.0.0.2"};

static struct {
    int64_t now_ms;
    struct trust *trust;
    struct buffer key, request, other_key, other_request, certificate;
    struct pki_facts facts;
    struct error err;
} world;

static int64_t tell_ms(void *context)
{
    (void)context;
    return world.now_ms;
}

static const struct clock standing = {tell_ms, tell_ms, NULL};

static int remember(void *context, const struct trust_record *records, size_t count, struct error *err)
{
    (void)context, (void)records, (void)count, (void)err;
    return 0;
}

static struct trust *new_trust(void)
{
    const struct trust_environment environment = {&standing, remember, NULL};
    struct trust *trust = NULL;
    assert_int_equal(trust_create(&environment, &trust, &world.err), 0);
    assert_int_equal(trust_open(trust, passphrase, NULL, &world.err), 0);
    return trust;
}

static void make_key(struct buffer *key, struct buffer *request)
{
    buffer_init(key, PKI_PEM_MAX);
    buffer_init(request, PKI_PEM_MAX);
    assert_int_equal(pki_key_create(key, &world.err), 0);
    assert_int_equal(pki_request_create(key->data, NULL, NULL, "mongo-node1", request, &world.err), 0);
}

static int setup(void **state)
{
    (void)state;
    world.now_ms = INT64_C(1800000000000);
    world.trust = new_trust();
    make_key(&world.key, &world.request);
    make_key(&world.other_key, &world.other_request);
    buffer_init(&world.certificate, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trust_destroy(world.trust);
    pki_forget(&world.key);
    pki_forget(&world.other_key);
    buffer_finish(&world.request);
    buffer_finish(&world.other_request);
    buffer_finish(&world.certificate);
    return 0;
}

/* Asks with so many of the names and what there is; `world` has the answer. */
static int ask(const char *request, size_t name_count, bool keep_foreign)
{
    struct buffer made;
    const struct trust_member member = {.set = "mongo",
                                        .node = "mongo-node1",
                                        .request = request,
                                        .names = names,
                                        .name_count = name_count,
                                        .present = buffer_text(&world.certificate),
                                        .keep_foreign = keep_foreign};
    buffer_init(&made, PKI_PEM_MAX);
    world.err = (struct error){0};
    if (trust_certify_member(world.trust, &member, &made, &world.facts, &world.err)) {
        buffer_finish(&made);
        return -1;
    }
    buffer_finish(&world.certificate);
    world.certificate = made;
    return 0;
}

/* Whether another one was signed than there was before. */
static bool signs_anew(const char *request, size_t name_count)
{
    char before[PKI_HASH_TEXT_MAX];
    memcpy(before, world.facts.hash, sizeof before);
    if (ask(request, name_count, false))
        fail_msg("%s", world.err.message);
    return strcmp(before, world.facts.hash) != 0;
}

static const char *request(void)
{
    return world.request.data;
}

static void it_bears_the_names_and_is_for_the_members_key(void **state)
{
    (void)state;
    assert_true(signs_anew(request(), 3));
    for (size_t i = 0; i < 3; i++)
        assert_true(pki_certificate_bears(world.certificate.data, names[i], false));
    assert_false(pki_certificate_bears(world.certificate.data, "10.0.0.2", false));
    assert_false(pki_certificate_bears(world.certificate.data, "10.0.0", false));
    assert_int_equal(pki_check_pair(world.certificate.data, world.key.data, &world.err), 0);
    assert_int_equal(pki_check_signed_by(world.certificate.data, trust_bundle(world.trust), &world.err), 0);
    assert_string_equal(world.facts.organization, "atoll:members");
    assert_string_equal(world.facts.unit, "mongo");
}

static void the_present_one_is_kept_while_it_fits(void **state)
{
    (void)state;
    signs_anew(request(), 3);
    assert_false(signs_anew(request(), 3));
    assert_false(signs_anew(request(), 2)); /* a name more does no harm */
    world.now_ms += INT64_C(59) * DAY_S * 1000;
    assert_false(signs_anew(request(), 3));
}

static void another_name_another_key_and_two_thirds_of_its_life_take_another(void **state)
{
    (void)state;
    signs_anew(request(), 3);
    assert_true(signs_anew(request(), 4));
    assert_true(signs_anew(world.other_request.data, 4));
    world.now_ms += INT64_C(61) * DAY_S * 1000;
    assert_true(signs_anew(world.other_request.data, 4));
}

static void an_old_server_takes_one_whose_addresses_are_names_too(void **state)
{
    (void)state;
    struct buffer made;
    signs_anew(request(), 3);
    assert_false(pki_certificate_bears(world.certificate.data, "10.0.0.1", true));
    struct trust_member member = {.set = "mongo",
                                  .node = "mongo-node1",
                                  .request = request(),
                                  .names = names,
                                  .name_count = 3,
                                  .present = world.certificate.data,
                                  .addresses_as_names = true};
    buffer_init(&made, PKI_PEM_MAX);
    assert_int_equal(trust_certify_member(world.trust, &member, &made, &world.facts, &world.err), 0);
    assert_true(pki_certificate_bears(made.data, "10.0.0.1", true));
    assert_true(pki_certificate_bears(made.data, "10.0.0.1", false));
    buffer_finish(&made);
}

/* So that whoever shows the newest one has loaded the newest CAs. */
static void each_step_of_an_exchange_of_the_ca_takes_another(void **state)
{
    (void)state;
    signs_anew(request(), 3);
    for (int step = 0; step < 3; step++) {
        world.now_ms += 1000;
        assert_int_equal(trust_exchange_ca(world.trust, passphrase, true, &world.err), 0);
        assert_true(signs_anew(request(), 3));
        assert_false(signs_anew(request(), 3));
        assert_int_equal(pki_check_signed_by(world.certificate.data, trust_bundle(world.trust), &world.err),
                         0);
    }
}

static void a_request_for_another_node_is_refused(void **state)
{
    (void)state;
    struct buffer foreign;
    buffer_init(&foreign, PKI_PEM_MAX);
    assert_int_equal(pki_request_create(world.key.data, NULL, NULL, "mongo-node2", &foreign, &world.err), 0);
    assert_int_equal(ask(foreign.data, 3, false), -1);
    assert_int_equal(world.err.code, ERROR_REFUSED);
    buffer_finish(&foreign);
    assert_int_equal(
        pki_request_create(world.key.data, "atoll:admins", NULL, "mongo-node1", &foreign, &world.err), 0);
    assert_int_equal(ask(foreign.data, 3, false), -1);
    buffer_finish(&foreign);
    assert_int_equal(ask("no request", 3, false), -1);
}

static void one_of_another_ca_is_replaced_only_when_that_is_meant(void **state)
{
    (void)state;
    signs_anew(request(), 3);
    trust_destroy(world.trust);
    world.trust = new_trust(); /* the store was lost */
    assert_int_equal(ask(request(), 3, true), -1);
    assert_int_equal(world.err.code, ERROR_CONFLICT);
    assert_true(signs_anew(request(), 3));
    assert_int_equal(ask(request(), 4, true), 0); /* its own it may replace at any time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_bears_the_names_and_is_for_the_members_key, setup, teardown),
        cmocka_unit_test_setup_teardown(the_present_one_is_kept_while_it_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(another_name_another_key_and_two_thirds_of_its_life_take_another,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_server_takes_one_whose_addresses_are_names_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(each_step_of_an_exchange_of_the_ca_takes_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_for_another_node_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_another_ca_is_replaced_only_when_that_is_meant, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
