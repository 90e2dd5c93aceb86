/* The CA's life: made, sealed, exchanged. See ca.h; signing is in ca_sign.c. */
#include "controller/trust/ca.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdlib.h>
#include <string.h>

#include "controller/trust/ca_internal.h"

enum { SEAL_ROUNDS = 600000, SEAL_SALT = 16 };

static const char *const stage_names[] = {
    [CA_STEADY] = "steady", [CA_ANNOUNCED] = "announced", [CA_SWITCHED] = "switched"};

const char *ca_stage_name(enum ca_stage stage)
{
    return stage_names[stage];
}

static void generation_finish(struct ca_generation *generation)
{
    X509_free(generation->certificate);
    EVP_PKEY_free(generation->key);
    *generation = (struct ca_generation){0};
}

void ca_destroy(struct ca *ca)
{
    if (!ca)
        return;
    generation_finish(&ca->issuer);
    generation_finish(&ca->other);
    buffer_finish(&ca->bundle);
    free(ca);
}

const char *ca_bundle(const struct ca *ca)
{
    return buffer_text(&ca->bundle);
}

const struct pki_facts *ca_issuer(const struct ca *ca)
{
    return &ca->issuer.facts;
}

const struct pki_facts *ca_other(const struct ca *ca)
{
    return ca->other.certificate ? &ca->other.facts : NULL;
}

enum ca_stage ca_stage(const struct ca *ca)
{
    return ca->stage;
}

int64_t ca_changed_at_s(const struct ca *ca)
{
    return ca->changed_at_s;
}

static int append_certificate(X509 *certificate, struct buffer *out, struct error *err)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    long length = bio && PEM_write_bio_X509(bio, certificate) == 1 ? BIO_get_mem_data(bio, &text) : 0;
    int failed = length <= 0 || buffer_append(out, text, (size_t)length);
    BIO_free(bio);
    return failed ? error_set(err, ERROR_NO_MEMORY, "there is no memory for a CA's certificate") : 0;
}

/* Facts and bundle anew, after the generations have changed. */
static int settle(struct ca *ca, struct error *err)
{
    struct ca_generation *const both[] = {&ca->issuer, &ca->other};
    struct buffer bundle;
    int result = 0;
    buffer_init(&bundle, PKI_PEM_MAX);
    for (size_t i = 0; result == 0 && i < 2; i++) {
        size_t before = bundle.length;
        if (!both[i]->certificate)
            continue;
        result = append_certificate(both[i]->certificate, &bundle, err);
        if (result == 0)
            result = pki_certificate_facts(bundle.data + before, &both[i]->facts, err);
    }
    if (result) {
        buffer_finish(&bundle);
        return -1;
    }
    buffer_finish(&ca->bundle);
    ca->bundle = bundle;
    return 0;
}

int ca_create(int64_t now_s, struct ca **out, struct error *err)
{
    struct ca *ca = calloc(1, sizeof *ca);
    if (!ca)
        return error_set(err, ERROR_NO_MEMORY, "there is no memory for a CA");
    ca->changed_at_s = now_s;
    if (ca_make_generation(&ca->issuer, now_s, err) || settle(ca, err)) {
        ca_destroy(ca);
        return -1;
    }
    *out = ca;
    return 0;
}

/* ---- sealed: a line with the stage and since when, the issuer's certificate and key, the other's
 * certificate and, while it is announced, its key ---- */

static int seal_key(EVP_PKEY *key, const char *passphrase, BIO *out)
{
    unsigned char salt[SEAL_SALT];
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_SIG *sealed = NULL;
    if (plain && RAND_bytes(salt, sizeof salt) == 1)
        sealed = PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase, (int)strlen(passphrase), salt, sizeof salt,
                               SEAL_ROUNDS, plain);
    int done = sealed && PEM_write_bio_PKCS8(out, sealed) == 1;
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return done ? 0 : -1;
}

static int seal_generation(const struct ca_generation *generation, const char *passphrase, BIO *out)
{
    if (!generation->certificate)
        return 0;
    if (PEM_write_bio_X509(out, generation->certificate) != 1)
        return -1;
    return generation->key ? seal_key(generation->key, passphrase, out) : 0;
}

int ca_seal(const struct ca *ca, const char *passphrase, struct buffer *out, struct error *err)
{
    size_t length = strlen(passphrase);
    char *text = NULL;
    if (length < CA_PASSPHRASE_LEAST || length > CA_PASSPHRASE_MOST)
        return error_set(err, ERROR_INVALID, "the CA's passphrase has %zu bytes; it needs %d to %d", length,
                         CA_PASSPHRASE_LEAST, CA_PASSPHRASE_MOST);
    BIO *bio = BIO_new(BIO_s_mem());
    int failed =
        !bio ||
        BIO_printf(bio, "atoll-ca 1 %s %lld\n", ca_stage_name(ca->stage), (long long)ca->changed_at_s) <= 0 ||
        seal_generation(&ca->issuer, passphrase, bio) || seal_generation(&ca->other, passphrase, bio);
    long size = failed ? 0 : BIO_get_mem_data(bio, &text);
    failed = failed || size <= 0 || buffer_append(out, text, (size_t)size);
    BIO_free(bio);
    return failed ? error_set(err, ERROR_INTERNAL, "the CA can't be sealed") : 0;
}

static int unseal_key(BIO *in, const char *passphrase, EVP_PKEY **out, struct error *err)
{
    X509_SIG *sealed = PEM_read_bio_PKCS8(in, NULL, NULL, NULL);
    if (!sealed)
        return error_set(err, ERROR_INVALID, "the stored CA is damaged: a sealed key is missing");
    PKCS8_PRIV_KEY_INFO *plain = PKCS8_decrypt(sealed, passphrase, (int)strlen(passphrase));
    *out = plain ? EVP_PKCS82PKEY(plain) : NULL;
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(plain);
    ERR_clear_error();
    return *out ? 0 : error_set(err, ERROR_REFUSED, "the passphrase doesn't open the CA's key");
}

static int unseal_generation(struct ca_generation *generation, BIO *in, const char *passphrase, bool with_key,
                             struct error *err)
{
    generation->certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    if (!generation->certificate)
        return error_set(err, ERROR_INVALID, "the stored CA is damaged: a certificate is missing");
    if (!with_key)
        return 0;
    if (unseal_key(in, passphrase, &generation->key, err))
        return -1;
    if (X509_check_private_key(generation->certificate, generation->key) != 1)
        return error_set(err, ERROR_INVALID, "the stored CA is damaged: its key is not its certificate's");
    return 0;
}

static int read_stage(BIO *in, struct ca *out, struct error *err)
{
    char line[64] = "", stage[16] = "";
    long long changed_at_s = -1;
    int end = 0, length = BIO_gets(in, line, sizeof line);
    bool whole = length > 0 && sscanf(line, "atoll-ca 1 %15s %18lld\n%n", stage, &changed_at_s, &end) == 2 &&
                 end == length;
    for (size_t i = 0; whole && changed_at_s >= 0 && i < sizeof stage_names / sizeof *stage_names; i++)
        if (strcmp(stage, stage_names[i]) == 0) {
            out->stage = (enum ca_stage)i;
            out->changed_at_s = changed_at_s;
            return 0;
        }
    return error_set(err, ERROR_INVALID, "the stored CA is damaged, or of another version");
}

int ca_unseal(const char *sealed, const char *passphrase, struct ca **out, struct error *err)
{
    size_t length = strnlen(sealed, CA_SEALED_MAX + 1);
    struct ca *ca = calloc(1, sizeof *ca);
    BIO *bio = length > CA_SEALED_MAX ? NULL : BIO_new_mem_buf(sealed, (int)length);
    int result;
    if (!ca || !bio)
        result = error_set(err, ERROR_INVALID, "the stored CA is too large, or there is no memory for it");
    else
        result = read_stage(bio, ca, err) || unseal_generation(&ca->issuer, bio, passphrase, true, err) ||
                         (ca->stage != CA_STEADY &&
                          unseal_generation(&ca->other, bio, passphrase, ca->stage == CA_ANNOUNCED, err)) ||
                         settle(ca, err)
                     ? -1
                     : 0;
    BIO_free(bio);
    if (result)
        ca_destroy(ca);
    else
        *out = ca;
    return result;
}

/* ---- exchange ---- */

static int expect(const struct ca *ca, enum ca_stage stage, struct error *err)
{
    if (ca->stage == stage)
        return 0;
    return error_set(err, ERROR_CONFLICT, "the CA is %s, and has to be %s for this", ca_stage_name(ca->stage),
                     ca_stage_name(stage));
}

int ca_announce_next(struct ca *ca, int64_t now_s, struct error *err)
{
    if (expect(ca, CA_STEADY, err) || ca_make_generation(&ca->other, now_s, err))
        return -1;
    if (settle(ca, err)) {
        generation_finish(&ca->other);
        return -1;
    }
    ca->stage = CA_ANNOUNCED;
    ca->changed_at_s = now_s;
    return 0;
}

static void trade_places(struct ca *ca)
{
    struct ca_generation first = ca->issuer;
    ca->issuer = ca->other;
    ca->other = first;
}

int ca_switch(struct ca *ca, int64_t now_s, struct error *err)
{
    if (expect(ca, CA_ANNOUNCED, err))
        return -1;
    trade_places(ca);
    if (settle(ca, err)) {
        trade_places(ca);
        return -1;
    }
    EVP_PKEY_free(ca->other.key);
    ca->other.key = NULL;
    ca->stage = CA_SWITCHED;
    ca->changed_at_s = now_s;
    return 0;
}

int ca_drop_previous(struct ca *ca, int64_t now_s, struct error *err)
{
    if (expect(ca, CA_SWITCHED, err))
        return -1;
    struct ca_generation dropped = ca->other;
    ca->other = (struct ca_generation){0};
    if (settle(ca, err)) {
        ca->other = dropped;
        return -1;
    }
    generation_finish(&dropped);
    ca->stage = CA_STEADY;
    ca->changed_at_s = now_s;
    return 0;
}
