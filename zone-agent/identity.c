/* The agent's key and certificate: see identity.h. */
#include "zone-agent/identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"

static void path_of(const struct identity *identity, const char *name, char out[PATH_MAX + 16])
{
    snprintf(out, PATH_MAX + 16, "%s/%s", identity->dir, name);
}

/* 1 when the file isn't there. */
static int read_file(const struct identity *identity, const char *name, struct buffer *out, struct error *err)
{
    char path[PATH_MAX + 16];
    struct error problem = {0};
    path_of(identity, name, path);
    if (file_read(path, PKI_PEM_MAX, out, &problem) == 0)
        return 0;
    if (problem.code == ERROR_NOT_FOUND)
        return 1;
    if (err)
        *err = problem;
    return -1;
}

static int write_file(const struct identity *identity, const char *name, const struct buffer *text,
                      mode_t mode, struct error *err)
{
    char path[PATH_MAX + 16];
    path_of(identity, name, path);
    return file_replace(path, text->data, text->length, mode, err);
}

static int check(const struct identity *identity, const char *pem, struct pki_facts *facts, struct error *err)
{
    if (pki_certificate_facts(pem, facts, err) || pki_check_pair(pem, pem, err))
        return -1;
    if (strcmp(facts->name, identity->zone) != 0)
        return error_set(err, ERROR_REFUSED, "the certificate is for zone %s, and this agent's zone is %s",
                         facts->name, identity->zone);
    return 0;
}

int identity_open(struct identity *identity, const char *dir, const char *zone, struct error *err)
{
    *identity = (struct identity){.ready = false};
    snprintf(identity->dir, sizeof identity->dir, "%s", dir);
    snprintf(identity->zone, sizeof identity->zone, "%s", zone);
    buffer_init(&identity->pem, PKI_PEM_MAX);
    buffer_init(&identity->ca, PKI_PEM_MAX);
    int no_ca = read_file(identity, "ca.pem", &identity->ca, err),
        none = no_ca < 0 ? -1 : read_file(identity, "identity.pem", &identity->pem, err);
    if (none < 0)
        return -1;
    pki_hash(buffer_text(&identity->ca), identity->ca.length, identity->ca_hash);
    if (none || no_ca)
        return 0;
    if (check(identity, identity->pem.data, &identity->facts, err))
        return error_wrap(err, "%s/identity.pem can't be used; remove it and enrol again", dir);
    identity->ready = true;
    return 0;
}

void identity_close(struct identity *identity)
{
    pki_forget(&identity->pem);
    buffer_finish(&identity->ca);
}

int identity_pending_key(const struct identity *identity, struct buffer *key, struct error *err)
{
    int none = read_file(identity, "enrol.pem", key, err);
    if (none <= 0)
        return none;
    if (pki_key_create(key, err) || write_file(identity, "enrol.pem", key, 0600, err))
        return error_wrap(err, "making the agent's key");
    return 0;
}

int identity_take_ca(struct identity *identity, const char *bundle_pem, struct error *err)
{
    struct buffer copy;
    buffer_init(&copy, PKI_PEM_MAX);
    if (buffer_append_text(&copy, bundle_pem) || write_file(identity, "ca.pem", &copy, 0644, err)) {
        buffer_finish(&copy);
        return error_wrap(err, "keeping the CA");
    }
    buffer_finish(&identity->ca);
    identity->ca = copy;
    pki_hash(copy.data, copy.length, identity->ca_hash);
    return 0;
}

int identity_take(struct identity *identity, const char *key_pem, const char *certificate_pem,
                  struct error *err)
{
    struct buffer both;
    struct pki_facts facts;
    char path[PATH_MAX + 16];
    buffer_init(&both, PKI_PEM_MAX);
    int result =
        buffer_append_text(&both, key_pem) || buffer_append_text(&both, certificate_pem)
            ? error_set(err, ERROR_TOO_LARGE, "the certificate that the controller gave is too large")
            : 0;
    if (result == 0)
        result = pki_check_signed_by(certificate_pem, buffer_text(&identity->ca), err) ||
                         check(identity, both.data, &facts, err) ||
                         write_file(identity, "identity.pem", &both, 0600, err)
                     ? -1
                     : 0;
    if (result) {
        pki_forget(&both);
        return error_wrap(err, "taking the certificate");
    }
    pki_forget(&identity->pem);
    identity->pem = both;
    identity->facts = facts;
    identity->ready = true;
    path_of(identity, "enrol.pem", path);
    unlink(path);
    return 0;
}

struct http_tls identity_tls(const struct identity *identity)
{
    const char *pem =
        identity->ready ? identity->pem.data : NULL; /* each of its parts is found by its kind */
    return (struct http_tls){
        .ca = identity->ca.length ? identity->ca.data : NULL, .certificate = pem, .key = pem};
}
