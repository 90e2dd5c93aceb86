/* saslStart and saslContinue with SCRAM; __system on `local` logs in with a key of the keyfile. */
#include "auth.h"

#include "sim.h"
#include "users.h"

#include <stdlib.h>
#include <string.h>

struct auth_conversation {
    int32_t id;
    struct scram_server scram;
    char db[AUTH_NAME_MAX];
    bool proven; /* one empty exchange is left */
    bool skip_empty;
};

static void conversation_end(struct auth_session *session)
{
    free(session->conversation);
    session->conversation = NULL;
}

void auth_session_finish(struct auth_session *session)
{
    conversation_end(session);
}

static bool is_system(const char *user, const char *db)
{
    return !strcmp(user, "__system") && !strcmp(db, "local");
}

bool auth_is_internal(const struct auth_session *session)
{
    for (int i = 0; i < session->count; i++)
        if (is_system(session->logins[i].user, session->logins[i].db))
            return true;
    return false;
}

/* 4.0 knows the keyfile's user by SCRAM-SHA-1 alone (recorded). */
static bool find_secrets(const struct sim *sim, const char *db, struct scram_server *s)
{
    if (is_system(s->user, db)) {
        if (!sim->auth_on || (sim_is_old(sim) && s->mechanism != SCRAM_SHA_1))
            return false;
        s->candidate_count = sim->keyfile.count;
        memcpy(s->candidates, sim->keyfile.secrets[s->mechanism], sizeof s->candidates);
        return true;
    }
    const bson_t *user = user_find(sim, s->user, db);
    s->candidate_count = 1;
    return user && user_secrets(user, s->mechanism, &s->candidates[0]);
}

void auth_put_mechanisms(struct sim *sim, const char *name, bson_t *out)
{
    struct scram_server s = {0};
    char db[AUTH_NAME_MAX];
    const char *dot = strchr(name, '.');
    bson_t array;
    int found = 0;
    if (!dot || (size_t)(dot - name) >= sizeof db || strlen(dot + 1) >= sizeof s.user)
        return;
    memcpy(db, name, (size_t)(dot - name));
    db[dot - name] = 0;
    strcpy(s.user, dot + 1);
    for (int pass = 0; pass < 2; pass++) {
        if (pass && found)
            bson_append_array_begin(out, "saslSupportedMechs", -1, &array);
        for (int m = 0, n = 0; m < SCRAM_MECHANISMS && (!pass || found); m++) {
            s.mechanism = (enum scram_mechanism)m;
            if (!find_secrets(sim, db, &s))
                continue;
            if (pass)
                bson_append_utf8(&array, n++ ? "1" : "0", 1, scram_name(s.mechanism), -1);
            else
                found++;
        }
        if (pass && found)
            bson_append_array_end(out, &array);
    }
}

static void put_answer(const struct auth_conversation *c, bool done, const char *payload, bson_t *out)
{
    bson_append_int32(out, "conversationId", -1, c->id);
    bson_append_bool(out, "done", -1, done);
    bson_append_binary(out, "payload", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
}

/* The payload as text. */
static int get_payload(const bson_t *body, char *out, size_t size)
{
    bson_iter_t it;
    uint32_t length;
    const uint8_t *bytes;
    if (!bson_iter_init_find(&it, body, "payload") || !BSON_ITER_HOLDS_BINARY(&it))
        return -1;
    bson_iter_binary(&it, NULL, &length, &bytes);
    if (length >= size || memchr(bytes, 0, length))
        return -1;
    memcpy(out, bytes, length);
    out[length] = 0;
    return 0;
}

/* Begins a conversation; the server's first message goes to `out`. */
static int begin(struct request *request, struct auth_session *session, const bson_t *body, const char *db,
                 bson_t *out)
{
    char payload[SCRAM_MESSAGE_MAX];
    bson_t options;
    int mechanism = scram_find(get_text(body, "mechanism", ""));
    conversation_end(session);
    if (mechanism < 0 || get_payload(body, payload, sizeof payload) || strlen(db) >= AUTH_NAME_MAX)
        return -1;
    struct auth_conversation *c = xcalloc(1, sizeof *c);
    struct error err = {0};
    session->conversation = c;
    c->scram.mechanism = (enum scram_mechanism)mechanism;
    c->id = ++session->next_conversation_id;
    strcpy(c->db, db);
    c->skip_empty = !sim_is_old(request->sim) && get_document(body, "options", &options) &&
                    get_bool(&options, "skipEmptyExchange", false);
    if (scram_server_read(&c->scram, payload, &err) || !find_secrets(request->sim, db, &c->scram)) {
        log_line("ACCESS", "%s authentication failed for %s@%s: %s", scram_name(c->scram.mechanism),
                 c->scram.user, db, *err.message ? err.message : "no such user, or not by this mechanism");
        conversation_end(session);
        return -1;
    }
    scram_server_challenge(&c->scram);
    put_answer(c, false, c->scram.server_first, out);
    return 0;
}

static void refuse(struct request *request)
{
    request_fail(request, CODE_AUTHENTICATION_FAILED, "Authentication failed.");
}

void sasl_start_command(struct request *request)
{
    struct auth_session *session = request_auth(request);
    bson_t out = BSON_INITIALIZER;
    if (!session || begin(request, session, &request->message.body, request->message.db, &out))
        refuse(request);
    else
        request_reply(request, &out);
    bson_destroy(&out);
}

void auth_speculate(struct request *request, const bson_t *start, bson_t *out)
{
    struct auth_session *session = request_auth(request);
    bson_t answer = BSON_INITIALIZER;
    if (session && !begin(request, session, start, get_text(start, "db", "admin"), &answer))
        bson_append_document(out, "speculativeAuthenticate", -1, &answer);
    bson_destroy(&answer);
}

static void log_in(struct auth_session *session, const struct auth_conversation *c)
{
    for (int i = 0; i < session->count; i++)
        if (!strcmp(session->logins[i].user, c->scram.user) && !strcmp(session->logins[i].db, c->db))
            return;
    if (session->count == AUTH_LOGINS_MAX)
        return;
    struct auth_login *l = &session->logins[session->count++];
    strcpy(l->user, c->scram.user);
    strcpy(l->db, c->db);
}

void sasl_continue_command(struct request *request)
{
    struct auth_session *session = request_auth(request);
    struct auth_conversation *c = session ? session->conversation : NULL;
    char payload[SCRAM_MESSAGE_MAX], answer[256] = "";
    struct error err = {0};
    if (!c || get_int(&request->message.body, "conversationId", -1) != c->id) {
        request_fail(request, CODE_PROTOCOL, "No SASL session state found");
        return;
    }
    if (get_payload(&request->message.body, payload, sizeof payload) ||
        (c->proven ? *payload != 0 : scram_server_check(&c->scram, payload, answer, sizeof answer, &err))) {
        log_line("ACCESS", "%s authentication failed for %s@%s", scram_name(c->scram.mechanism),
                 c->scram.user, c->db);
        conversation_end(session);
        refuse(request);
        return;
    }
    bool done = c->proven || c->skip_empty;
    bson_t out = BSON_INITIALIZER;
    c->proven = true;
    put_answer(c, done, answer, &out);
    if (done) {
        log_in(session, c);
        conversation_end(session);
    }
    request_reply(request, &out);
    bson_destroy(&out);
}

void logout_command(struct request *request)
{
    struct auth_session *session = request_auth(request);
    for (int i = 0; session && i < session->count;)
        if (!strcmp(session->logins[i].db, request->message.db))
            session->logins[i] = session->logins[--session->count];
        else
            i++;
    request_reply(request, NULL);
}

void connection_status_command(struct request *request)
{
    const struct auth_session *session = request_auth(request);
    bson_t out = BSON_INITIALIZER, child, array, one;
    bson_append_document_begin(&out, "authInfo", -1, &child);
    bson_append_array_begin(&child, "authenticatedUsers", -1, &array);
    for (int i = 0; session && i < session->count; i++) {
        char key[2] = {(char)('0' + i), 0};
        bson_append_document_begin(&array, key, -1, &one);
        bson_append_utf8(&one, "user", -1, session->logins[i].user, -1);
        bson_append_utf8(&one, "db", -1, session->logins[i].db, -1);
        bson_append_document_end(&array, &one);
    }
    bson_append_array_end(&child, &array);
    bson_append_array_begin(&child, "authenticatedUserRoles", -1, &array);
    for (int i = 0, n = 0; session && i < session->count; i++) {
        bson_iter_t it, role;
        const bson_t *user = user_find(request->sim, session->logins[i].user, session->logins[i].db);
        if (!user || !bson_iter_init_find(&it, user, "roles") || !bson_iter_recurse(&it, &role))
            continue;
        while (bson_iter_next(&role)) {
            char key[16];
            const char *text;
            bson_uint32_to_string((uint32_t)n++, &text, key, sizeof key);
            bson_append_iter(&array, text, -1, &role);
        }
    }
    bson_append_array_end(&child, &array);
    bson_append_document_end(&out, &child);
    request_reply(request, &out);
    bson_destroy(&out);
}
