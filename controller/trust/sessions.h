/* Sessions of a browser: who has shown a token or certificate once gets a cookie, because neither an
 * EventSource nor a link can send a token. A session reads, whatever the role of whoever opened it
 * (access.c), lives in memory alone, and ends with what opened it. */
#ifndef ATOLL_CONTROLLER_TRUST_SESSIONS_H
#define ATOLL_CONTROLLER_TRUST_SESSIONS_H

#include <stdint.h>

#include "controller/trust/access.h"
#include "proto/base/error.h"

enum {
    SESSIONS_MAX = 256,
    SESSION_LIFETIME_S = 12 * 3600,
    SESSION_TEXT_MAX = 65, /* 256 random bits in hexadecimal, with the zero byte */
    SESSION_HASH_LENGTH = 32
};

struct session {
    unsigned char hash[SESSION_HASH_LENGTH]; /* of its text */
    int64_t expires_ms;                      /* wall; 0: a free place */
    struct caller caller;                    /* who opened it, and how */
};

struct sessions {
    struct session items[SESSIONS_MAX];
};

/* Opens one for a caller who has shown a token or certificate; of too many the one that ends first is ended.
 * `text` is what the cookie holds. */
int sessions_open(struct sessions *sessions, const struct caller *caller, int64_t now_ms,
                  char text[SESSION_TEXT_MAX], struct error *err);

/* Who opened it; NULL when there is none of this text, or it is over. */
const struct caller *sessions_find(const struct sessions *sessions, const char *text, int64_t now_ms);

void sessions_end(struct sessions *sessions, const char *text);

/* The session's part of a Cookie header ("a=b; __Host-atoll=…"); false when there is none. */
#define SESSION_COOKIE "__Host-atoll"
bool session_of_cookie(const char *header, char text[SESSION_TEXT_MAX]);

#endif
