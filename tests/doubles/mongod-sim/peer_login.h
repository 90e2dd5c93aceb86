/* A member logs in at another one as __system with the keyfile's key, before anything else is said on a link.
 */
#ifndef SIM_PEER_LOGIN_H
#define SIM_PEER_LOGIN_H

#include "scram.h"

#include <bson/bson.h>
#include <stdbool.h>

struct sim;

struct peer_login {
    bool done;
    bool answered; /* the first exchange is over */
    bool checked;  /* the other side knows the key too */
    int attempt;   /* each key by each mechanism, the file's first key first */
    struct scram_client scram;
};

/* The first command. */
void peer_login_begin(struct sim *sim, struct peer_login *login, bson_t *command);
/* Takes an answer; then `login->done`, or `command` is the next one. -1: no key fits. */
int peer_login_next(struct sim *sim, struct peer_login *login, const bson_t *reply, bson_t *command,
                    struct error *err);

#endif
