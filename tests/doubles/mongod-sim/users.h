/* Users: documents of admin.system.users, replicated like all others, with SCRAM secrets instead of
 * passwords. https://www.mongodb.com/docs/manual/reference/system-users-collection/ */
#ifndef SIM_USERS_H
#define SIM_USERS_H

#include "scram.h"

#include <bson/bson.h>
#include <stdbool.h>

struct sim;
struct request;

#define USERS_NAMESPACE "admin.system.users"

/* The user's document, or NULL. It lives until the next write. */
const bson_t *user_find(const struct sim *sim, const char *user, const char *db);
bool users_exist(const struct sim *sim);
/* The secrets of the user for that mechanism; false when it has none. */
bool user_secrets(const bson_t *user, enum scram_mechanism mechanism, struct scram_secrets *out);

void create_user_command(struct request *request);
void update_user_command(struct request *request);
void drop_user_command(struct request *request);
void users_info_command(struct request *request);

#endif
