/* Bearer tokens: for people's tools, dashboards and pipelines that can't show a certificate.
 *
 * A token is "atoll_ID_SECRET": ID (12 hexadecimal digits) finds it and may be seen by anybody; SECRET (64 of
 * them) is 256 random bits. It is shown once, when it is made; kept is the SHA-256 of the whole. That needs
 * no salt and no slow hash: nobody guesses 256 bits. */
#ifndef ATOLL_CONTROLLER_TRUST_TOKENS_H
#define ATOLL_CONTROLLER_TRUST_TOKENS_H

#include <stdint.h>

#include "controller/act/store.h"
#include "controller/trust/access.h"
#include "proto/base/json.h"

enum {
    TOKENS_MAX = 256,
    TOKEN_ID_LENGTH = 12,
    TOKEN_SECRET_LENGTH = 64,
    TOKEN_TEXT_MAX = 6 + TOKEN_ID_LENGTH + 1 + TOKEN_SECRET_LENGTH + 1, /* with its zero byte */
    TOKEN_HASH_LENGTH = 32,
    TOKEN_DAYS_DEFAULT = 90,
    TOKEN_DAYS_MAX = 366
};

struct token {
    char id[TOKEN_ID_LENGTH + 1];
    char name[CALLER_NAME_MAX + 1]; /* whose; unique */
    enum caller_kind role;
    unsigned char hash[TOKEN_HASH_LENGTH];
    int64_t created_ms, expires_ms; /* wall */
    int64_t used_ms;                /* wall; 0: not since this controller started */
};

struct tokens {
    struct store *store;
    struct token *items; /* TOKENS_MAX places, `count` filled */
    size_t count;
};

/* Reads those that are kept. A record that can't be understood is an error. */
int tokens_init(struct tokens *tokens, struct store *store, struct error *err);
void tokens_finish(struct tokens *tokens);

/* Makes one, durable before this returns; `text` is the token, which the caller shows once and then wipes.
 * ERROR_INVALID: name, role or days (1 to TOKEN_DAYS_MAX) won't do; ERROR_CONFLICT: the name has one that
 * counts; ERROR_TOO_LARGE: TOKENS_MAX. */
int tokens_create(struct tokens *tokens, const char *name, enum caller_kind role, int64_t days,
                  int64_t now_ms, char text[TOKEN_TEXT_MAX], struct token *out, struct error *err);

/* Takes one away, by its id or name. ERROR_NOT_FOUND. */
int tokens_revoke(struct tokens *tokens, const char *id_or_name, struct token *out, struct error *err);

/* Whose it is: proof PROOF_TOKEN, with a flaw when it is unknown or over. In time that doesn't depend on the
 * secret. */
void tokens_find(struct tokens *tokens, const char *text, int64_t now_ms, struct caller *out);

/* Whether it would still be found: for streams that were opened with it. */
bool tokens_counts(const struct tokens *tokens, const char *id, int64_t now_ms);

/* {"id","name","role","createdAt","expiresAt","lastUsedAt"}; never hash or secret. */
struct json *token_write(const struct token *token);

#endif
