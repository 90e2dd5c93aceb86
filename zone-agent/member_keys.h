/* The private keys of the zone's members, as files of the agent's folder: keys/NODE.pem, mode 0600, each with
 * the request for its certificate. A key is made once and never leaves the zone. Beside them keys/ca.pem:
 * whose certificates the members believe. */
#ifndef ATOLL_ZONE_AGENT_MEMBER_KEYS_H
#define ATOLL_ZONE_AGENT_MEMBER_KEYS_H

#include "zone-agent/agent.h"

#define MEMBER_KEYS_CA_FILE "keys/ca.pem"
#define MEMBER_KEYS_FORMER                                                                                   \
    "# of a former controller\n" /* in that file: what follows is no longer the intent's */

/* The member's key and request, made where there are none; and whether the intent's certificate ("": none) is
 * for it and signed by one of the CAs. */
int member_keys_identify(const char *dir, const struct intent_member *member, const char *ca,
                         struct arena *arena, struct member_identity *out, struct error *err);

/* That there is none is no error. */
void member_keys_forget(const char *dir, const char *node);

#endif
