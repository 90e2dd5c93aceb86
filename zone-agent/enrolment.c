/* Enrolment and renewal: see enrolment.h. One step at a time, each a request, with backoff when it fails. */
#include "zone-agent/enrolment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/file.h"
#include "proto/base/json.h"

enum { URL_MAX = 1024, ANSWER_MAX = 64 * 1024 };

enum step {
    STEP_FIND_CA,  /* the CA that the token names */
    STEP_ASK,      /* for a certificate, with the token */
    STEP_POLL,     /* whether somebody has approved */
    STEP_FETCH_CA, /* the bundle in force, from a controller that is trusted */
    STEP_STEADY,   /* nothing to do but to look at the certificate's age */
    STEP_RENEW
};

struct enrolment {
    struct enrolment_options options;
    char url[URL_MAX], zone[NAME_LENGTH_MAX + 1], token_file[PATH_MAX];
    struct identity *identity;
    uv_timer_t timer;
    struct http_call *call;
    enum step step;
    unsigned failures;
    bool told_ready, told_waiting, closing;
    bool refused;          /* by the last answer, or its lack: who asks counts no more, or who answers */
    enum step interrupted; /* RENEW or FETCH_CA, while a token is tried instead; else STEADY */
    struct buffer key;     /* of the request under way */
    char key_hash[PKI_HASH_TEXT_MAX];
    char problem[ERROR_MESSAGE_MAX]; /* that was told last */
    char wanted_bundle[PKI_HASH_TEXT_MAX];
    bool renew_wanted;
    int open_handles;
};

static void on_timer(uv_timer_t *timer);

static void go(struct enrolment *self, enum step step, int64_t delay_ms)
{
    self->step = step;
    uv_timer_start(&self->timer, on_timer, (uint64_t)delay_ms, 0);
}

static void release(struct enrolment *self)
{
    if (--self->open_handles > 0)
        return;
    pki_forget(&self->key);
    free(self);
}

static void note(struct enrolment *self, bool is_problem, const char *sentence)
{
    self->options.events.note(self->options.events.context, is_problem, sentence);
}

static void succeed(struct enrolment *self, enum step next, int64_t delay_ms)
{
    self->failures = 0;
    *self->problem = 0;
    go(self, next, delay_ms);
}

/* ---- the token: "atj1.ID.SECRET.HASH-OF-THE-CA" ---- */

static int read_token(const struct enrolment *self, struct buffer *out, const char **ca_hash,
                      struct error *err)
{
    if (!*self->token_file)
        return error_set(err, ERROR_INVALID,
                         "this agent has no certificate: make a join token (atoll zone join-token %s), write "
                         "it into a file and give "
                         "that with --join-token-file",
                         self->zone);
    if (file_read(self->token_file, ENROLMENT_TOKEN_MAX, out, err))
        return error_wrap(err, "reading the join token");
    out->length = strcspn(buffer_text(out), "\r\n \t");
    if (out->data)
        out->data[out->length] = 0;
    const char *dot = out->data ? strrchr(out->data, '.') : NULL;
    if (!dot || strncmp(out->data, "atj1.", 5) != 0 || strlen(dot + 1) != PKI_HASH_TEXT_MAX - 1)
        return error_set(err, ERROR_INVALID, "%s has no join token; `atoll zone join-token %s` makes one",
                         self->token_file, self->zone);
    *ca_hash = dot + 1;
    return 0;
}

/* 1: the CA that the token names is trusted already; 0: not yet; -1: there is no token. */
static int trusts_token(const struct enrolment *self, struct error *err)
{
    struct buffer token;
    const char *hash;
    buffer_init(&token, 0);
    int result = read_token(self, &token, &hash, err);
    if (result == 0 && self->identity->ca.length)
        result = pki_bundle_pick(self->identity->ca.data, hash, NULL, NULL) == 0;
    pki_forget(&token);
    return result;
}

/* What is tried next. An enrolment begins anew when the token is another by now, for another CA. Where the
 * certificate or its CA counts no more a token is tried, and the step itself again when that doesn't help. */
static enum step next_try(struct enrolment *self)
{
    int trusted = trusts_token(self, NULL);
    enum step interrupted = self->interrupted;
    self->interrupted = STEP_STEADY;
    switch (self->step) {
    case STEP_RENEW:
    case STEP_FETCH_CA:
        if (!self->refused || trusted < 0)
            return self->step;
        self->interrupted = self->step;
        return STEP_FIND_CA;
    case STEP_FIND_CA:
    case STEP_ASK:
        if (interrupted != STEP_STEADY)
            return interrupted;
        return trusted == 0 ? STEP_FIND_CA : self->step;
    case STEP_POLL:
        return trusted == 0 ? STEP_FIND_CA : self->step;
    case STEP_STEADY:
        break;
    }
    return self->step;
}

/* Each problem is told once, and tried again with backoff. */
static void fail(struct enrolment *self, const struct error *err)
{
    if (strcmp(self->problem, err->message) != 0) {
        snprintf(self->problem, sizeof self->problem, "%s", err->message);
        note(self, true, err->message);
    }
    go(self, next_try(self),
       backoff_ms(self->failures++, ENROLMENT_RETRY_FIRST_MS, ENROLMENT_RETRY_MOST_MS, self->options.random));
}

/* ---- requests ---- */

static void on_done(void *context, const struct http_answer *answer, const struct error *err);

static int start(struct enrolment *self, const char *method, const char *path, const struct json *body,
                 const struct http_tls *tls, struct error *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[URL_MAX + 256];
    struct buffer text;
    buffer_init(&text, ANSWER_MAX);
    if (body && json_print(body, JSON_COMPACT, &text, err)) {
        buffer_finish(&text);
        return -1;
    }
    snprintf(url, sizeof url, "%s%s", self->url, path);
    struct http_call_options options = {.method = method,
                                        .url = url,
                                        .headers = body ? headers : NULL,
                                        .body = text.data,
                                        .body_length = text.length,
                                        .timeout_ms = ENROLMENT_CALL_MS,
                                        .tls = tls,
                                        .fresh_connection = tls->unverified,
                                        .body_limit = ANSWER_MAX,
                                        .done = on_done,
                                        .context = self};
    self->call = http_client_start(self->options.client, &options, err);
    pki_forget(&text); /* it may have the token */
    if (!self->call)
        return -1;
    self->open_handles++;
    return 0;
}

static int start_trusted(struct enrolment *self, const char *method, const char *path,
                         const struct json *body, struct error *err)
{
    struct http_tls tls = identity_tls(self->identity);
    return start(self, method, path, body, &tls, err);
}

/* To the controller that is trusted, as nobody: a certificate that there may be doesn't count any more. */
static int start_as_nobody(struct enrolment *self, const char *method, const char *path,
                           const struct json *body, struct error *err)
{
    struct http_tls tls = {.ca = identity_tls(self->identity).ca};
    return start(self, method, path, body, &tls, err);
}

/* The only request whose answerer isn't known: it sends nothing of ours, and the answer counts by its hash
 * alone. */
static int find_ca(struct enrolment *self, struct error *err)
{
    struct http_tls anybody = {.unverified = true};
    int trusted = trusts_token(self, err);
    if (trusted > 0)
        go(self, STEP_ASK, 0);
    return trusted == 0 ? start(self, "GET", "/v1/trust/ca", NULL, &anybody, err) : -(trusted < 0);
}

static int take_found_ca(struct enrolment *self, const char *bundle, struct error *err)
{
    struct buffer token, picked;
    const char *hash;
    buffer_init(&token, 0);
    buffer_init(&picked, 0);
    int result = read_token(self, &token, &hash, err);
    if (result == 0 && pki_bundle_pick(bundle, hash, &picked, err))
        result = error_set(err, ERROR_REFUSED,
                           "the controller at %s is not the one that the join token is for: its CA's SHA-256 "
                           "isn't %.16s…; nothing was sent to it",
                           self->url, hash);
    if (result == 0)
        result = identity_take_ca(self->identity, picked.data, err);
    pki_forget(&token);
    buffer_finish(&picked);
    return result;
}

static struct json *make_request(struct enrolment *self, struct error *err)
{
    struct buffer request;
    struct pki_facts facts;
    struct json *body = NULL;
    buffer_init(&request, PKI_PEM_MAX);
    if (pki_request_create(self->key.data, "atoll:agents", NULL, self->zone, &request, err) == 0 &&
        pki_request_facts(request.data, &facts, err) == 0) {
        memcpy(self->key_hash, facts.key_hash, sizeof self->key_hash);
        body = json_object();
        json_set_string(body, "request", request.data);
    }
    buffer_finish(&request);
    return body;
}

static int ask(struct enrolment *self, struct error *err)
{
    char path[160];
    struct buffer token;
    const char *hash;
    struct json *body = NULL;
    pki_forget(&self->key);
    buffer_init(&token, 0);
    if (read_token(self, &token, &hash, err) == 0 &&
        identity_pending_key(self->identity, &self->key, err) == 0 && (body = make_request(self, err)))
        json_set_string(body, "token", token.data);
    pki_forget(&token);
    snprintf(path, sizeof path, "/v1/zones/%s/enrol", self->zone);
    int result = body ? start_as_nobody(self, "POST", path, body, err) : -1;
    json_destroy(body);
    return result;
}

static int poll(struct enrolment *self, struct error *err)
{
    char path[256];
    snprintf(path, sizeof path, "/v1/zones/%s/enrol?key=%s", self->zone, self->key_hash);
    return start_as_nobody(self, "GET", path, NULL, err);
}

static int renew(struct enrolment *self, struct error *err)
{
    char path[160];
    pki_forget(&self->key);
    struct json *body = pki_key_create(&self->key, err) ? NULL : make_request(self, err);
    snprintf(path, sizeof path, "/v1/zones/%s/renew", self->zone);
    int result = body ? start_trusted(self, "POST", path, body, err) : -1;
    json_destroy(body);
    return result;
}

/* Certificate before CAs: a renewal needs no more than is trusted already. */
static void look(struct enrolment *self)
{
    int64_t now_s = clock_wall_ms(self->options.clock) / 1000;
    if (!self->told_ready) {
        self->told_ready = true;
        self->options.events.ready(self->options.events.context);
    }
    if (*self->wanted_bundle && strcmp(self->wanted_bundle, self->identity->ca_hash) != 0)
        go(self, STEP_FETCH_CA, 0);
    else if (self->renew_wanted || now_s >= pki_renew_at_s(&self->identity->facts))
        go(self, STEP_RENEW, 0);
    else
        go(self, STEP_STEADY, ENROLMENT_CHECK_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct enrolment *self = timer->data;
    struct error err = {0};
    int result = 0;
    if (self->call || self->closing)
        return;
    switch (self->step) {
    case STEP_FIND_CA:
        result = find_ca(self, &err);
        break;
    case STEP_ASK:
        result = ask(self, &err);
        break;
    case STEP_POLL:
        result = poll(self, &err);
        break;
    case STEP_FETCH_CA:
        result = start_trusted(self, "GET", "/v1/trust/ca", NULL, &err);
        break;
    case STEP_STEADY:
        look(self);
        break;
    case STEP_RENEW:
        result = renew(self, &err);
        break;
    }
    if (result)
        fail(self, &err);
}

/* ---- answers ---- */

static int take_certificate(struct enrolment *self, const struct json *json, struct error *err)
{
    const char *certificate = json_get_text(json, "certificate", NULL);
    if (!certificate)
        return error_set(err, ERROR_PROTOCOL, "the controller's answer has no certificate");
    if (identity_take(self->identity, self->key.data, certificate, err))
        return -1;
    pki_forget(&self->key);
    return 0;
}

/* An enrolment's answer: still waiting, or granted. */
static int take_enrolment(struct enrolment *self, const struct json *json, struct error *err)
{
    char sentence[256];
    if (strcmp(json_get_text(json, "state", ""), "approved") == 0) {
        if (take_certificate(self, json, err))
            return -1;
        self->interrupted = STEP_STEADY;
        note(self, false, "the zone is approved: the agent has its certificate");
        succeed(self, STEP_FETCH_CA, 0);
        return 0;
    }
    if (!self->told_waiting) {
        snprintf(sentence, sizeof sentence,
                 "waits until the zone is approved: atoll zone approve %s --key %.16s", self->zone,
                 self->key_hash);
        note(self, true, sentence);
    }
    self->told_waiting = true;
    succeed(self, STEP_POLL, ENROLMENT_POLL_MS);
    return 0;
}

static int take_renewal(struct enrolment *self, const struct json *json, struct error *err)
{
    if (take_certificate(self, json, err))
        return -1;
    self->renew_wanted = false;
    note(self, false, "the agent's certificate is renewed");
    self->options.events.changed(self->options.events.context);
    succeed(self, STEP_STEADY, 0);
    return 0;
}

static int take_bundle(struct enrolment *self, const char *bundle, struct error *err)
{
    if (!strstr(bundle, "BEGIN CERTIFICATE") || identity_take_ca(self->identity, bundle, err))
        return error_set(err, ERROR_PROTOCOL, "the controller's CAs can't be read or kept");
    memcpy(self->wanted_bundle, self->identity->ca_hash, sizeof self->wanted_bundle);
    if (self->told_ready)
        self->options.events.changed(self->options.events.context);
    succeed(self, STEP_STEADY, 0);
    return 0;
}

static int take_answer(struct enrolment *self, const struct http_answer *answer, struct error *err)
{
    if (self->step == STEP_FETCH_CA)
        return take_bundle(self, answer->body, err);
    if (self->step == STEP_FIND_CA) {
        if (take_found_ca(self, answer->body, err))
            return -1;
        succeed(self, STEP_ASK, 0);
        return 0;
    }
    struct json *json = json_parse(answer->body, answer->length, ANSWER_MAX, err);
    int result = !json                      ? -1
                 : self->step == STEP_RENEW ? take_renewal(self, json, err)
                                            : take_enrolment(self, json, err);
    json_destroy(json);
    return result;
}

static int refusal(struct enrolment *self, const struct http_answer *answer, struct error *err)
{
    struct json *json = json_parse(answer->body, answer->length, ANSWER_MAX, NULL);
    error_set(err, answer->status == 404 ? ERROR_NOT_FOUND : ERROR_REFUSED,
              "the controller refuses (%d): %.300s", answer->status,
              json_get_text(json_get(json, "error"), "message", answer->body));
    json_destroy(json);
    if (self->step ==
        STEP_POLL) /* it was refused, or forgotten: asked for anew, perhaps with another token */
        self->step = STEP_FIND_CA;
    return -1;
}

static void on_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct enrolment *self = context;
    struct error problem = {0};
    self->call = NULL;
    self->refused = err ? err->code == ERROR_REFUSED : answer->status == 401 || answer->status == 403;
    if (!self->closing) {
        int result = 0;
        if (err)
            problem = *err, result = -1;
        else
            result = answer->status / 100 == 2 ? take_answer(self, answer, &problem)
                                               : refusal(self, answer, &problem);
        if (result)
            fail(self, &problem);
    }
    release(self);
}

/* ---- life ---- */

void enrolment_refused(struct enrolment *self)
{
    if (*self->token_file && !self->call && self->step == STEP_STEADY)
        succeed(self, STEP_FIND_CA, 0);
}

void enrolment_accepted(struct enrolment *self)
{
    if (self->identity->ready && !self->call && (self->step == STEP_FIND_CA || self->step == STEP_ASK))
        succeed(self, STEP_STEADY, ENROLMENT_CHECK_MS);
}

void enrolment_told(struct enrolment *self, const char *bundle_hash, bool wants_renewal)
{
    if (*bundle_hash)
        snprintf(self->wanted_bundle, sizeof self->wanted_bundle, "%.64s", bundle_hash);
    self->renew_wanted = wants_renewal;
    bool news =
        wants_renewal || (*self->wanted_bundle && strcmp(self->wanted_bundle, self->identity->ca_hash) != 0);
    if (self->step == STEP_STEADY && news && !self->call &&
        uv_timer_get_due_in(&self->timer) > ENROLMENT_SPREAD_MS)
        go(self, STEP_STEADY,
           (int64_t)(self->options.random->next(self->options.random->context) % ENROLMENT_SPREAD_MS));
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void enrolment_destroy(struct enrolment *self)
{
    if (!self)
        return;
    self->closing = true;
    if (self->call)
        http_call_cancel(self->call);
    uv_close((uv_handle_t *)&self->timer, on_closed);
}

static int check(const struct enrolment *self, struct error *err)
{
    struct buffer token;
    const char *hash;
    buffer_init(&token, 0);
    if (strncmp(self->url, "https://", 8) != 0)
        return error_set(err, ERROR_INVALID, "%.200s is not https://: there is no certificate to get",
                         self->url);
    int result = self->identity->ready ? 0 : read_token(self, &token, &hash, err);
    pki_forget(&token);
    return result;
}

struct enrolment *enrolment_create(const struct enrolment_options *options, struct error *err)
{
    struct enrolment *self = calloc(1, sizeof *self);
    size_t length = strlen(options->url);
    if (!self || length >= sizeof self->url) {
        free(self);
        error_set(err, ERROR_INVALID, "the controller's URL is too long, or there is no memory");
        return NULL;
    }
    self->options = *options;
    self->interrupted = STEP_STEADY;
    self->identity = options->identity;
    memcpy(self->url, options->url, length);
    while (length && self->url[length - 1] == '/')
        self->url[--length] = 0;
    snprintf(self->zone, sizeof self->zone, "%s", options->zone);
    snprintf(self->token_file, sizeof self->token_file, "%s", options->token_file ? options->token_file : "");
    buffer_init(&self->key, PKI_PEM_MAX);
    if (check(self, err)) {
        free(self);
        return NULL;
    }
    self->open_handles = 1;
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    go(self, self->identity->ready ? STEP_STEADY : STEP_FIND_CA, 0);
    return self;
}
