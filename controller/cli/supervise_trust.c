/* A sandbox's agents enrol by themselves: the supervisor, with the admin's certificate that the controller
 * keeps for it, gets a join token for each agent that has no certificate yet, and puts it into a file that
 * this agent alone is told of. See supervise.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/remote.h"
#include "controller/cli/supervise.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "proto/base/json.h"
#include "proto/base/log.h"
#include "proto/base/pki.h"

enum { TOKEN_TIMEOUT_MS = 5000, TOKEN_RETRY_MS = 100, TOKEN_PATIENCE_MS = 5 * 60 * 1000 };

int supervisor_zone_path(const struct child *child, const char *name, char out[PATH_MAX], struct error *err)
{
    char below[NAME_LENGTH_MAX + 64];
    snprintf(below, sizeof below, "zones/%s/%s", child->zone, name);
    return sandbox_path(out, child->supervisor->dir, below, err);
}

static bool is_there(const struct child *child, const char *name)
{
    char path[PATH_MAX];
    return supervisor_zone_path(child, name, path, NULL) == 0 && access(path, F_OK) == 0;
}

static void remove_token(const struct child *child)
{
    char path[PATH_MAX];
    if (supervisor_zone_path(child, SANDBOX_JOIN_TOKEN_FILE, path, NULL) == 0)
        unlink(path);
}

static int read_ca(const struct child *child, struct buffer *out)
{
    char path[PATH_MAX];
    return sandbox_path(path, child->supervisor->dir, SANDBOX_CA_FILE, NULL) ||
                   file_read(path, PKI_PEM_MAX, out, NULL)
               ? -1
               : 0;
}

/* Whether its certificate is of the controller's CA: not after the controller's store was lost, with which it
 * made another CA. */
static bool has_enrolled(const struct child *child)
{
    char path[PATH_MAX];
    struct buffer identity, ca;
    buffer_init(&identity, 0);
    buffer_init(&ca, 0);
    bool has = supervisor_zone_path(child, SANDBOX_IDENTITY_FILE, path, NULL) == 0 &&
               file_read(path, PKI_PEM_MAX, &identity, NULL) == 0 && read_ca(child, &ca) == 0 &&
               pki_check_signed_by(buffer_text(&identity), buffer_text(&ca), NULL) == 0;
    pki_forget(&identity);
    buffer_finish(&ca);
    return has;
}

struct http_call *
supervisor_ask(struct supervisor *supervisor, const char *method, const char *path, const char *body,
               void (*done)(void *context, const struct http_answer *answer, const struct error *err),
               void *context, struct error *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[256], ca_path[PATH_MAX], own_path[PATH_MAX];
    struct buffer ca, own;
    struct http_call *call = NULL;
    buffer_init(&ca, 0);
    buffer_init(&own, 0);
    snprintf(url, sizeof url, "https://127.0.0.1:%d%s", supervisor->sandbox.listen_port, path);
    if (sandbox_path(ca_path, supervisor->dir, SANDBOX_CA_FILE, err) == 0 &&
        sandbox_path(own_path, supervisor->dir, SANDBOX_ADMIN_FILE, err) == 0 &&
        file_read(ca_path, PKI_PEM_MAX, &ca, err) == 0 && file_read(own_path, PKI_PEM_MAX, &own, err) == 0) {
        struct http_tls tls = {
            .ca = buffer_text(&ca), .certificate = buffer_text(&own), .key = buffer_text(&own)};
        struct http_call_options options = {.method = method,
                                            .url = url,
                                            .headers = body ? headers : NULL,
                                            .body = body,
                                            .body_length = body ? strlen(body) : 0,
                                            .timeout_ms = TOKEN_TIMEOUT_MS,
                                            .tls = &tls,
                                            .body_limit = REMOTE_BODY_MAX,
                                            .done = done,
                                            .context = context};
        call = http_client_start(supervisor->http, &options, err);
    }
    buffer_finish(&ca);
    pki_forget(&own);
    return call;
}

static int keep_token(const struct child *child, const struct http_answer *answer, struct error *err)
{
    char path[PATH_MAX];
    struct json *json = json_parse(answer->body, answer->length, REMOTE_BODY_MAX, err);
    const char *token = json_get_text(json, "token", NULL);
    int result = -1;
    if (json && !token)
        error_set(err, ERROR_PROTOCOL, "the controller answered %d, without a join token", answer->status);
    else if (json)
        result = supervisor_zone_path(child, SANDBOX_JOIN_TOKEN_FILE, path, err) ||
                         file_replace(path, token, strlen(token), 0600, err)
                     ? -1
                     : 0;
    json_destroy(json);
    return result;
}

static void on_token(void *context, const struct http_answer *answer, const struct error *err)
{
    struct child *child = context;
    struct error problem = {0};
    child->asking = false;
    if (child->supervisor->stopping)
        return;
    if (err || keep_token(child, answer, &problem)) {
        log_debug(child_name(child), "no join token yet: %s", err ? err->message : problem.message);
        child_start_after(child, TOKEN_RETRY_MS);
        return;
    }
    child->token_ms = clock_monotonic_ms(&clock_system);
    child_start(child);
}

static void ask_for_token(struct child *child)
{
    char path[64 + NAME_LENGTH_MAX];
    snprintf(path, sizeof path, "/v1/zones/%s/join-token", child->zone);
    if (!child->asking && child->supervisor->http)
        child->asking = supervisor_ask(child->supervisor, "POST", path, "{\"preApproved\":true}", on_token,
                                       child, NULL) != NULL;
}

bool supervisor_may_start(struct child *child)
{
    if (is_there(child, SANDBOX_IDENTITY_FILE) || is_there(child, SANDBOX_JOIN_TOKEN_FILE))
        return true;
    ask_for_token(child);
    if (!child->asking)
        child_start_after(child, TOKEN_RETRY_MS); /* the controller has not written its files yet */
    return false;
}

/* Whether its token names the controller's CA: not after the controller's store was lost. */
static bool names_ca(const struct child *child)
{
    char path[PATH_MAX];
    struct buffer token, ca;
    buffer_init(&token, 0);
    buffer_init(&ca, 0);
    const char *hash = supervisor_zone_path(child, SANDBOX_JOIN_TOKEN_FILE, path, NULL) == 0 &&
                               file_read(path, REMOTE_TOKEN_MAX, &token, NULL) == 0
                           ? strrchr(buffer_text(&token), '.')
                           : NULL;
    bool names =
        hash && read_ca(child, &ca) == 0 && pki_bundle_pick(buffer_text(&ca), hash + 1, NULL, NULL) == 0;
    pki_forget(&token);
    buffer_finish(&ca);
    return names;
}

/* Of one that a supervisor before this one left nobody knows what has become. */
static bool has_good_token(const struct child *child)
{
    return child->token_ms && clock_monotonic_ms(&clock_system) - child->token_ms < TOKEN_PATIENCE_MS &&
           names_ca(child);
}

void supervisor_look_at_identity(struct child *child)
{
    if (has_enrolled(child))
        remove_token(child); /* used up */
    else if (!has_good_token(child))
        ask_for_token(child); /* the agent looks for it */
}

void supervisor_enrol_anew(struct child *child)
{
    if (!is_there(child, SANDBOX_IDENTITY_FILE))
        remove_token(child); /* it may have expired, or be used: the next start gets another */
}
