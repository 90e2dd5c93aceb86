/* The controller's own credentials: see credentials.h. */
#include "controller/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "proto/base/log.h"

enum { PATH_TEXT_MAX = 4096, LOOK_MS = 10000 /* between two looks at what is due */, RETRY_S = 600 };

struct credentials {
    struct credentials_options options;
    struct trust *trust;
    struct tls_context *tls;
    struct pki_facts own;
    int64_t retry_at_s, look_at_ms;
};

/* ---- the passphrase ---- */

static int passphrase_path(const struct credentials *credentials, char out[PATH_TEXT_MAX], struct error *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY"); /* https://systemd.io/CREDENTIALS/ */
    if (credentials->options.passphrase_file)
        return snprintf(out, PATH_TEXT_MAX, "%s", credentials->options.passphrase_file), 0;
    if (folder && *folder)
        return snprintf(out, PATH_TEXT_MAX, "%s/ca-passphrase", folder), 0;
    return error_set(
        err, ERROR_INVALID,
        "the CA's key is kept under a passphrase: give --ca-passphrase-file FILE (a file that only this user "
        "may read, "
        "like one made by: umask 077; openssl rand -hex 32 > FILE), or the systemd credential ca-passphrase");
}

/* The first line of the file. The caller ends `out` with pki_forget(). */
static int read_passphrase(const struct credentials *credentials, struct buffer *out, struct error *err)
{
    char path[PATH_TEXT_MAX];
    struct stat about;
    if (passphrase_path(credentials, path, err))
        return -1;
    if (stat(path, &about) == 0 && about.st_mode & S_IROTH)
        return error_set(
            err, ERROR_REFUSED,
            "every user of this machine may read %s, which has the CA's passphrase: chmod 0600 %s", path,
            path);
    if (file_read(path, CA_PASSPHRASE_MOST + 2, out, err))
        return error_wrap(err, "reading the CA's passphrase");
    out->length = strcspn(buffer_text(out), "\r\n");
    if (out->data)
        out->data[out->length] = 0;
    return out->length
               ? 0
               : error_set(err, ERROR_INVALID, "%s is empty; the CA's passphrase is its first line", path);
}

/* ---- the store ---- */

static int remember(void *context, const struct trust_record *records, size_t count, struct error *err)
{
    const struct credentials *credentials = context;
    struct store_record copies[TRUST_RECORDS_MAX];
    if (count > sizeof copies / sizeof *copies)
        return error_set(err, ERROR_INTERNAL, "%zu records at once are too many", count);
    for (size_t i = 0; i < count; i++)
        copies[i] = (struct store_record){records[i].key, records[i].data, records[i].length};
    return store_write(credentials->options.store, copies, count, err);
}

static int load(struct credentials *credentials, struct error *err)
{
    struct arena arena;
    const struct store_record *records = NULL;
    size_t count = 0;
    arena_init(&arena, 0);
    int result = store_load(credentials->options.store, &arena, &records, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strncmp(records[i].key, TRUST_RECORD_PREFIX, strlen(TRUST_RECORD_PREFIX)) == 0)
            result = trust_load(credentials->trust, records[i].key, records[i].data, records[i].length, err);
    arena_finish(&arena);
    return result;
}

/* ---- the files ---- */

static int write_bundle(const struct credentials *credentials, struct error *err)
{
    char path[PATH_TEXT_MAX];
    const char *bundle = trust_bundle(credentials->trust);
    snprintf(path, sizeof path, "%s/" CREDENTIALS_CA_FILE, credentials->options.dir);
    return file_replace(path, bundle, strlen(bundle), 0644, err);
}

static int64_t now_s(const struct credentials *credentials)
{
    return clock_wall_ms(credentials->options.clock) / 1000;
}

/* Whether the file has a certificate that counts and needs no renewal. */
static bool admin_is_good(const struct credentials *credentials)
{
    struct buffer text, issuer;
    struct pki_facts facts;
    buffer_init(&text, 0);
    buffer_init(&issuer, 0);
    bool good = file_read(credentials->options.admin_file, PKI_PEM_MAX, &text, NULL) == 0 &&
                pki_certificate_facts(buffer_text(&text), &facts, NULL) == 0 &&
                now_s(credentials) < pki_renew_at_s(&facts) &&
                pki_bundle_pick(trust_bundle(credentials->trust),
                                ca_issuer(trust_ca(credentials->trust))->hash, &issuer, NULL) == 0 &&
                pki_check_signed_by(text.data, issuer.data, NULL) == 0;
    if (good) {
        struct caller caller = {.kind = CALLER_ADMIN, .proof = PROOF_CERTIFICATE};
        snprintf(caller.name, sizeof caller.name, "%s", facts.name);
        snprintf(caller.mark, sizeof caller.mark, "%s", facts.serial);
        trust_check_caller(credentials->trust, &caller);
        good = caller.kind == CALLER_ADMIN;
    }
    pki_forget(&text);
    buffer_finish(&issuer);
    return good;
}

static int make_admin(const struct credentials *credentials, struct error *err)
{
    struct buffer text, request, certificate;
    buffer_init(&text, PKI_PEM_MAX);
    buffer_init(&request, CA_REQUEST_MAX);
    buffer_init(&certificate, CA_REQUEST_MAX);
    int result = pki_key_create(&text, err) ||
                         pki_request_create(text.data, NULL, NULL, "local-admin", &request, err) ||
                         trust_certify_person(credentials->trust, CALLER_ADMIN, "local-admin", request.data,
                                              &certificate, NULL, err) ||
                         buffer_append(&text, certificate.data, certificate.length) ||
                         file_replace(credentials->options.admin_file, text.data, text.length, 0600, err)
                     ? -1
                     : 0;
    pki_forget(&text);
    buffer_finish(&request);
    buffer_finish(&certificate);
    if (result == 0)
        log_warning("trust", "%s has the key and certificate of an admin: whoever reads it may do everything",
                    credentials->options.admin_file);
    return result ? error_wrap(err, "making an admin's certificate") : 0;
}

/* ---- the listener's certificate ---- */

static size_t collect_names(const struct credentials *credentials, const char *out[], char *host,
                            size_t host_size)
{
    const struct credentials_options *options = &credentials->options;
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        out[count++] = always[i];
    if (strcmp(options->listen, "0.0.0.0") != 0 && strcmp(options->listen, "::") != 0)
        out[count++] = options->listen;
    if (gethostname(host, host_size) == 0 && *host &&
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == strlen(host))
        out[count++] = host;
    for (size_t i = 0; i < options->name_count; i++)
        out[count++] = options->names[i];
    return count;
}

static int renew_own(struct credentials *credentials, struct error *err)
{
    const char *names[CREDENTIALS_NAMES_MAX + 5];
    char host[65] = "";
    struct buffer key, certificate;
    struct pki_facts facts;
    buffer_init(&key, PKI_PEM_MAX);
    buffer_init(&certificate, PKI_PEM_MAX);
    size_t count = collect_names(credentials, names, host, sizeof host - 1);
    int result = trust_issue_own(credentials->trust, names, count, &key, &certificate, &facts, err) ||
                         tls_context_load(credentials->tls, certificate.data, key.data,
                                          trust_bundle(credentials->trust), err)
                     ? -1
                     : 0;
    pki_forget(&key);
    buffer_finish(&certificate);
    if (result)
        return error_wrap(err, "making the controller's certificate");
    credentials->own = facts;
    return 0;
}

/* After the CA has changed, and at the start. */
static int settle(struct credentials *credentials, struct error *err)
{
    if (renew_own(credentials, err) || write_bundle(credentials, err))
        return -1;
    return credentials->options.admin_file && !admin_is_good(credentials) ? make_admin(credentials, err) : 0;
}

void credentials_tick(struct credentials *credentials)
{
    int64_t monotonic_ms = clock_monotonic_ms(credentials->options.clock);
    struct error err = {0};
    if (monotonic_ms < credentials->look_at_ms)
        return;
    credentials->look_at_ms = monotonic_ms + LOOK_MS;
    if (now_s(credentials) < pki_renew_at_s(&credentials->own) ||
        now_s(credentials) < credentials->retry_at_s)
        return;
    if (settle(credentials, &err) == 0) {
        log_info("trust", "the controller's certificate was renewed");
        return;
    }
    credentials->retry_at_s = now_s(credentials) + RETRY_S;
    log_error("trust", "%s; tried again in %d minutes", err.message, RETRY_S / 60);
}

int credentials_exchange_ca(struct credentials *credentials, bool force, struct error *err)
{
    struct buffer passphrase;
    buffer_init(&passphrase, CA_PASSPHRASE_MOST + 2);
    int result = read_passphrase(credentials, &passphrase, err);
    if (result == 0)
        result = trust_exchange_ca(credentials->trust, passphrase.data, force, err);
    pki_forget(&passphrase);
    if (result)
        return -1;
    log_info("trust", "the CA is %s", ca_stage_name(ca_stage(trust_ca(credentials->trust))));
    return settle(credentials, err);
}

/* ---- life ---- */

static int open_trust(struct credentials *credentials, struct error *err)
{
    const struct trust_environment environment = {credentials->options.clock, remember, credentials};
    struct buffer passphrase;
    bool made = false;
    buffer_init(&passphrase, CA_PASSPHRASE_MOST + 2);
    int result = trust_create(&environment, &credentials->trust, err) || load(credentials, err) ||
                         read_passphrase(credentials, &passphrase, err) ||
                         trust_open(credentials->trust, passphrase.data, &made, err)
                     ? -1
                     : 0;
    pki_forget(&passphrase);
    if (result == 0)
        log_info("trust", "%s CA with the SHA-256 %s", made ? "made a" : "opened the",
                 ca_issuer(trust_ca(credentials->trust))->hash);
    return result;
}

int credentials_open(const struct credentials_options *options, struct credentials **out, struct error *err)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials)
        return error_set(err, ERROR_NO_MEMORY, "there is no memory for the credentials");
    credentials->options = *options;
    if (tls_context_create(&credentials->tls, err) || open_trust(credentials, err) ||
        settle(credentials, err)) {
        credentials_close(credentials);
        return -1;
    }
    *out = credentials;
    return 0;
}

void credentials_close(struct credentials *credentials)
{
    if (!credentials)
        return;
    trust_destroy(credentials->trust);
    tls_context_destroy(credentials->tls);
    free(credentials);
}

struct trust *credentials_trust(struct credentials *credentials)
{
    return credentials->trust;
}

struct tls_context *credentials_tls(struct credentials *credentials)
{
    return credentials->tls;
}

void credentials_describe(const struct credentials *credentials, struct trust_view *out)
{
    const struct ca *ca = trust_ca(credentials->trust);
    *out = (struct trust_view){.on = true,
                               .ca_expires_at_ms = ca_issuer(ca)->not_after_s * 1000,
                               .certificate_expires_at_ms = credentials->own.not_after_s * 1000,
                               .ca_stage = ca_stage_name(ca_stage(ca))};
}

void credentials_describe_zone(const struct credentials *credentials, const char *zone,
                               struct zone_enrolment *out)
{
    struct trust_zone_view view = {.waiting_key = ""};
    trust_zone_find(credentials->trust, zone, &view);
    *out = (struct zone_enrolment){.state = trust_zone_state_name(view.state),
                                   .waiting_key = view.waiting_key,
                                   .requested_at_ms = view.requested_at_s * 1000,
                                   .certificate_expires_at_ms = view.expires_at_s * 1000};
}
