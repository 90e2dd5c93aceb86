/* Who a connection has shown to be: logins by SCRAM, kept per connection.
 * https://www.mongodb.com/docs/manual/core/authentication/ */
#ifndef SIM_AUTH_H
#define SIM_AUTH_H

#include "keyfile.h"
#include "scram.h"

#include <bson/bson.h>
#include <stdbool.h>

struct sim;
struct request;
struct auth_conversation;

enum { AUTH_LOGINS_MAX = 8, AUTH_NAME_MAX = SCRAM_USER_MAX };

struct auth_login {
    char user[AUTH_NAME_MAX], db[AUTH_NAME_MAX];
};

/* One connection's logins, and the one under way. All zero is a fresh one. */
struct auth_session {
    struct auth_login logins[AUTH_LOGINS_MAX];
    int count;
    struct auth_conversation *conversation;
    int32_t next_conversation_id;
};

void auth_session_finish(struct auth_session *session);
/* True when it logged in as __system on local: another member, or who keeps the set. */
bool auth_is_internal(const struct auth_session *session);
/* The mechanisms with which "db.user" can log in, as hello tells them; nothing for one that does not exist.
 */
void auth_put_mechanisms(struct sim *sim, const char *name, bson_t *out);
/* hello's speculativeAuthenticate: a first saslStart without a round trip of its own (4.4+). */
void auth_speculate(struct request *request, const bson_t *start, bson_t *out);

void sasl_start_command(struct request *request);
void sasl_continue_command(struct request *request);
void logout_command(struct request *request);
void connection_status_command(struct request *request);

#endif
