/* A PEM text that an agent, a person or a file hands us as a certificate, a request or a bundle of CAs: no
 * bytes may crash its readers, and the CA signs what it was asked to sign or says why not. Here the same text
 * is taken for each of them. */
#include <assert.h>
#include <string.h>

#include "controller/trust/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t tell_ms(void *context)
{
    (void)context;
    return INT64_C(1800000000000);
}

static const struct clock standing = {tell_ms, tell_ms, NULL};

static int remember(void *context, const struct trust_record *records, size_t count, struct error *err)
{
    (void)context, (void)records, (void)count, (void)err;
    return 0;
}

static struct trust *the_trust(void)
{
    static struct trust *trust;
    const struct trust_environment environment = {&standing, remember, NULL};
    int failed = !trust && (trust_create(&environment, &trust, NULL) ||
                            trust_open(trust, "a passphrase of the tests", NULL, NULL));
    assert(!failed);
    return trust;
}

static void check_facts(int result, const struct pki_facts *facts, const struct error *err)
{
    if (result) {
        assert(err->code != ERROR_NONE && *err->message);
        return;
    }
    assert(strlen(facts->hash) == 64 && strlen(facts->key_hash) == 64 && strlen(facts->name) <= PKI_NAME_MAX);
    for (const char *at = facts->name; *at; at++)
        assert((unsigned char)*at >= 0x20);
}

static void certify(const char *text)
{
    static const char *const names[] = {"10.0.0.1", "mongo-node1"};
    const struct trust_member members[] = {{.set = "mongo",
                                            .node = "mongo-node1",
                                            .request = text,
                                            .names = names,
                                            .name_count = 2,
                                            .present = ""},
                                           {.set = "mongo",
                                            .node = "mongo-node1",
                                            .request = text,
                                            .names = names,
                                            .name_count = 2,
                                            .present = text,
                                            .keep_foreign = true}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct buffer made;
        struct pki_facts facts = {.name = ""};
        struct error err = {.code = ERROR_NONE};
        buffer_init(&made, PKI_PEM_MAX);
        if (trust_certify_member(the_trust(), &members[i], &made, &facts, &err) == 0) {
            assert(strcmp(facts.name, "mongo-node1") == 0 &&
                   strcmp(facts.organization, CA_ORGANIZATION_MEMBERS) == 0);
            assert(pki_certificate_bears(made.data, "10.0.0.1", false) &&
                   !pki_certificate_bears(made.data, "10.0.0.2", false));
        } else {
            assert(err.code != ERROR_NONE);
        }
        buffer_finish(&made);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pki_facts facts;
    struct error err = {.code = ERROR_NONE};
    struct buffer text, picked;
    buffer_init(&text, 0);
    buffer_init(&picked, PKI_PEM_MAX);
    assert(buffer_append(&text, data, size) == 0);
    const char *pem = text.data;
    check_facts(pki_certificate_facts(pem, &facts, &err), &facts, &err);
    if (pki_certificate_facts(pem, &facts, NULL) == 0) {
        assert(pki_bundle_pick(pem, facts.hash, &picked, &err) == 0 && pki_bundles_share(pem, pem));
        pki_certificate_bears(pem, "10.0.0.1", false);
    }
    err.code = ERROR_NONE;
    check_facts(pki_request_facts(pem, &facts, &err), &facts, &err);
    pki_check_pair(pem, pem, NULL);
    pki_check_signed_by(pem, pem, NULL);
    pki_check_signed_by(pem, trust_bundle(the_trust()), NULL);
    pki_bundles_share(pem, trust_bundle(the_trust()));
    certify(pem);
    buffer_finish(&text);
    buffer_finish(&picked);
    return 0;
}
