/* Secrets of the local driver: what only a member's mongod may read. Files of mode 0600 in a folder of mode
 * 0700: mongod refuses a keyfile that others may read. */
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "proto/keyfile.h"
#include "zone-agent/local/local_internal.h"

static const char FOLDER[] = "secrets";

static int keyfile_path(const struct local_member *member, char out[LOCAL_PATH_MAX], struct error *err)
{
    return local_path(member->driver, out, FOLDER, member->node, ".key", err);
}

static int first_key_path(const struct local_member *member, char out[LOCAL_PATH_MAX], struct error *err)
{
    return local_path(member->driver, out, FOLDER, member->node, ".first.key", err);
}

/* Made anew at each start: the program may be of another version than at the start before. */
int local_secrets_keyfile(const struct local_member *member, const char *version, char out[LOCAL_PATH_MAX],
                          struct error *err)
{
    char first[KEYFILE_TEXT_MAX] = "";
    struct buffer text;
    buffer_init(&text, KEYFILE_LENGTH_MAX);
    int result = keyfile_path(member, out, err) || file_read(out, KEYFILE_LENGTH_MAX, &text, err) ? -1 : 0;
    if (result == 0 && keyfile_for_version(buffer_text(&text), version, first) == first &&
        (first_key_path(member, out, err) || file_replace(out, first, strlen(first), 0600, err)))
        result = -1;
    explicit_bzero(first, sizeof first);
    pki_forget(&text);
    return result ? error_wrap(err, "the keyfile of %s", member->node) : 0;
}

int local_secrets_certificate(const struct local_member *member, char pem[LOCAL_PATH_MAX],
                              char ca[LOCAL_PATH_MAX], struct error *err)
{
    return local_path(member->driver, pem, FOLDER, member->node, ".pem", err) ||
                   local_path(member->driver, ca, FOLDER, member->node, ".ca.pem", err)
               ? -1
               : 0;
}

static int write_keyfile(struct local_member *member, const char *keyfile, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    return keyfile_path(member, path, err) || file_replace(path, keyfile, strlen(keyfile), 0600, err)
               ? error_wrap(err, "the keyfile of %s can't be written", member->node)
               : 0;
}

/* The CAs first: whoever loads the certificate finds its CA there. */
static int write_certificate(struct local_member *member, const struct step *step, struct error *err)
{
    char pem[LOCAL_PATH_MAX], ca[LOCAL_PATH_MAX];
    const char *certificate = step->member->certificate;
    struct buffer both;
    buffer_init(&both, 2 * PKI_PEM_MAX);
    int result = local_secrets_certificate(member, pem, ca, err);
    if (result == 0 && (buffer_append(&both, certificate, strlen(certificate)) ||
                        buffer_append(&both, step->key, strlen(step->key))))
        result = error_set(err, ERROR_NO_MEMORY, "no memory");
    if (result == 0 && (file_replace(ca, step->ca, strlen(step->ca), 0600, err) ||
                        file_replace(pem, both.data, both.length, 0600, err)))
        result = -1;
    pki_forget(&both);
    return result ? error_wrap(err, "the certificate of %s can't be written", member->node) : 0;
}

int local_secrets_write(struct local_member *member, const struct step *step, struct error *err)
{
    char folder[LOCAL_PATH_MAX + 16];
    const struct intent_member *wanted = step->member;
    bool keyfile = wanted->keyfile && *wanted->keyfile, certificate = *wanted->certificate && *step->key;
    if (!keyfile && !certificate)
        return 0;
    snprintf(folder, sizeof folder, "%s/%s", member->driver->dir, FOLDER);
    if (file_make_folders(folder, 0700, err) || (keyfile && write_keyfile(member, wanted->keyfile, err)))
        return -1;
    return certificate ? write_certificate(member, step, err) : 0;
}

void local_secrets_delete(struct local_member *member)
{
    char key[LOCAL_PATH_MAX], pem[LOCAL_PATH_MAX], ca[LOCAL_PATH_MAX];
    if (keyfile_path(member, key, NULL) == 0)
        unlink(key);
    if (first_key_path(member, key, NULL) == 0)
        unlink(key);
    if (local_secrets_certificate(member, pem, ca, NULL))
        return;
    unlink(pem);
    unlink(ca);
}
