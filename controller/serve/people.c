/* Who may come, for admins: tokens, and the audit log. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/serve/site.h"

enum { TOKEN_BODY_MAX = 4096, AUDIT_LIST_DEFAULT = 100 };

/* ---- tokens ---- */

void serve_tokens_list(struct exchange *exchange)
{
    const struct tokens *tokens = &exchange->site->gate.tokens;
    struct json *root = json_object();
    struct json *list = json_set(root, "tokens", json_array());
    for (size_t i = 0; i < tokens->count; i++)
        json_append(list, token_write(&tokens->items[i]));
    answer_json(exchange, 200, root, NULL);
    json_destroy(root);
}

struct token_wish {
    const char *name;
    enum caller_kind role;
    int64_t days;
};

static int read_wish(const struct http_request *request, struct arena *arena, struct token_wish *out,
                     struct error *err)
{
    const char *role = "";
    struct json *json = json_parse(request->body, request->length, TOKEN_BODY_MAX, err);
    if (!json)
        return error_wrap(err, "a token is asked for as JSON, {\"name\",\"role\",\"days\"}");
    out->days = TOKEN_DAYS_DEFAULT;
    int result = json_read_string(json, "name", JSON_REQUIRED, arena, &out->name, err) ||
                 json_read_string(json, "role", JSON_REQUIRED, arena, &role, err) ||
                 json_read_int(json, "days", JSON_OPTIONAL, 1, TOKEN_DAYS_MAX, &out->days, err);
    if (!result && !caller_role_from_name(role, &out->role))
        result = error_set(err, ERROR_INVALID, "role is viewer, operator or admin, not \"%.32s\"", role);
    json_destroy(json);
    return result ? -1 : 0;
}

static void answer_token(struct exchange *exchange, const struct token *token, char text[TOKEN_TEXT_MAX])
{
    static const char *const headers[] = {"Cache-Control: no-store", NULL};
    struct json *json = token_write(token);
    json_set_string(json, "token", text);
    gate_note(exchange, "token %s for %s, role %s", token->id, token->name, caller_kind_name(token->role));
    answer_json(exchange, 201, json, headers);
    json_destroy(json);
}

void serve_tokens_create(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct arena arena;
    struct token_wish wish;
    struct token token;
    struct error err = {0};
    char text[TOKEN_TEXT_MAX];
    arena_init(&arena, TOKEN_BODY_MAX);
    if (read_wish(exchange->request, &arena, &wish, &err) ||
        tokens_create(&site->gate.tokens, wish.name, wish.role, wish.days, clock_wall_ms(site->clock), text,
                      &token, &err))
        answer_error(exchange, &err);
    else
        answer_token(exchange, &token, text);
    explicit_bzero(text, sizeof text);
    arena_finish(&arena);
}

void serve_tokens_revoke(struct exchange *exchange)
{
    struct token token;
    struct error err = {0};
    if (tokens_revoke(&exchange->site->gate.tokens, exchange->name, &token, &err)) {
        answer_error(exchange, &err);
        return;
    }
    struct json *json = token_write(&token);
    gate_note(exchange, "token %s of %s", token.id, token.name);
    answer_json(exchange, 200, json, NULL);
    json_destroy(json);
    site_tick(exchange->site); /* ends the streams that were opened with it */
}

/* ---- sessions ---- */

static void answer_cookie(struct exchange *exchange, int status, const char *value, int lifetime_s)
{
    char cookie[sizeof SESSION_COOKIE + SESSION_TEXT_MAX + 96];
    const char *const headers[] = {cookie, "Cache-Control: no-store", NULL};
    struct json *json = json_object();
    snprintf(cookie, sizeof cookie,
             "Set-Cookie: " SESSION_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%d",
             value, lifetime_s);
    json_set_string(json, "name", exchange->caller.name);
    json_set_string(json, "role", caller_kind_name(CALLER_VIEWER));
    json_set_int(json, "seconds", lifetime_s);
    answer_json(exchange, status, json, headers);
    explicit_bzero(cookie, sizeof cookie);
    json_destroy(json);
}

void serve_session_open(struct exchange *exchange)
{
    struct site *site = exchange->site;
    char text[SESSION_TEXT_MAX];
    struct error err = {0};
    if (sessions_open(&site->gate.sessions, &exchange->caller, clock_wall_ms(site->clock), text, &err)) {
        answer_error(exchange, &err);
        return;
    }
    answer_cookie(exchange, 201, text, SESSION_LIFETIME_S);
    explicit_bzero(text, sizeof text);
}

void serve_session_end(struct exchange *exchange)
{
    char text[SESSION_TEXT_MAX];
    if (session_of_cookie(http_request_header(exchange->request, "Cookie"), text))
        sessions_end(&exchange->site->gate.sessions, text);
    answer_cookie(exchange, 200, "", 0);
}

/* ---- the audit log ---- */

static int query_number(const struct http_request *request, const char *name, int64_t least, int64_t most,
                        int64_t *out, struct error *err)
{
    const char *text = http_request_query(request, name);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        return error_set(err, ERROR_INVALID, "?%s=%.32s is not a whole number from %lld to %lld", name, text,
                         (long long)least, (long long)most);
    *out = value;
    return 0;
}

void serve_audit(struct exchange *exchange)
{
    int64_t limit = AUDIT_LIST_DEFAULT, before = 0;
    struct error err = {0};
    struct json *json = NULL;
    if (query_number(exchange->request, "limit", 1, STORE_LINES_READ_MAX, &limit, &err) == 0 &&
        query_number(exchange->request, "before", 0, INT64_C(1) << 53, &before, &err) == 0)
        json = audit_list(exchange->site->gate.store, before, (size_t)limit, &err);
    if (json)
        answer_json(exchange, 200, json, NULL);
    else
        answer_error(exchange, &err);
    json_destroy(json);
}
