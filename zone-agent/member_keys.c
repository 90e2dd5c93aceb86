/* Keys as files: see member_keys.h. */
#include "zone-agent/member_keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "proto/base/pki.h"

static const char REQUEST_BEGINS[] = "-----BEGIN CERTIFICATE REQUEST-----", FORMER[] = MEMBER_KEYS_FORMER;

static int path_of(const char *dir, const char *node, char out[PATH_MAX], struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (!*node || *node == '.' || node[strspn(node, allowed)])
        return error_set(err, ERROR_INVALID, "\"%.80s\" can't be the name of a file", node);
    return snprintf(out, PATH_MAX, "%s/keys/%s.pem", dir, node) < PATH_MAX
               ? 0
               : error_set(err, ERROR_TOO_LARGE, "the path of the key of %.80s is too long", node);
}

static int make(const char *path, const char *node, struct buffer *out, struct error *err)
{
    struct buffer request;
    buffer_init(&request, PKI_PEM_MAX);
    buffer_clear(out);
    int result =
        pki_key_create(out, err) || pki_request_create(out->data, NULL, NULL, node, &request, err) ? -1 : 0;
    if (result == 0 && buffer_append(out, request.data, request.length))
        result = error_set(err, ERROR_NO_MEMORY, "no memory for a key");
    buffer_finish(&request);
    return result || file_replace(path, out->data, out->length, 0600, err) ? -1 : 0;
}

static int read_or_make(const char *path, const char *node, struct buffer *out, struct error *err)
{
    struct error problem = {0};
    if (file_read(path, PKI_PEM_MAX, out, &problem) == 0 && strstr(buffer_text(out), REQUEST_BEGINS))
        return 0;
    if (problem.code == ERROR_NONE) /* not whole, as no write of ours leaves it */
        return error_set(err, ERROR_INVALID,
                         "%s has no key with its request; move it away, and another is made", path);
    if (problem.code == ERROR_NOT_FOUND)
        return make(path, node, out, err);
    *err = problem;
    return -1;
}

static int make_folder(const char *dir, struct error *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/keys", dir);
    return file_make_folders(folder, 0700, err);
}

/* The CAs of two intents have one in common, unless the controller has lost its store and made another: then
 * the former ones are believed beside the new until the next change, so that the members that still show
 * their certificates are. */
static const char *take_ca(const char *dir, const char *ca, struct arena *arena, struct error *err)
{
    char path[PATH_MAX];
    struct buffer before;
    buffer_init(&before, 2 * PKI_PEM_MAX);
    snprintf(path, sizeof path, "%s/" MEMBER_KEYS_CA_FILE, dir);
    const char *known = file_read(path, PKI_PEM_MAX, &before, NULL) == 0 ? buffer_text(&before) : "";
    size_t length = strlen(ca);
    const char *result = arena_string(arena, known);
    bool same = strncmp(known, ca, length) == 0 &&
                (!known[length] || strncmp(known + length, FORMER, strlen(FORMER)) == 0);
    if (*ca && !same) {
        bool foreign =
            *known && !pki_bundles_share(ca, known) && length + strlen(known) + sizeof FORMER <= PKI_PEM_MAX;
        result = arena_printf(arena, "%s%s%s", ca, foreign ? FORMER : "", foreign ? known : "");
        if (file_replace(path, result, strlen(result), 0644, err))
            result = NULL;
    }
    buffer_finish(&before);
    return result;
}

int member_keys_identify(const char *dir, const struct intent_member *member, const char *ca,
                         struct arena *arena, struct member_identity *out, struct error *err)
{
    char path[PATH_MAX];
    struct buffer text;
    if (path_of(dir, member->node, path, err) || make_folder(dir, err))
        return -1;
    const char *trusted = take_ca(dir, ca, arena, err);
    if (!trusted)
        return -1;
    buffer_init(&text, PKI_PEM_MAX);
    int result = read_or_make(path, member->node, &text, err);
    if (result == 0) {
        const char *request = strstr(text.data, REQUEST_BEGINS);
        *out =
            (struct member_identity){.key = arena_string_n(arena, text.data, (size_t)(request - text.data)),
                                     .request = arena_string(arena, request),
                                     .ca = trusted};
        out->fits = *member->certificate && pki_check_pair(member->certificate, text.data, NULL) == 0 &&
                    pki_check_signed_by(member->certificate, ca, NULL) == 0;
    }
    pki_forget(&text);
    return result;
}

void member_keys_forget(const char *dir, const char *node)
{
    char path[PATH_MAX];
    if (path_of(dir, node, path, NULL) == 0)
        unlink(path);
}
