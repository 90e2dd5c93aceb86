/* Who the agent is to the controller: its key and certificate, and the CAs that it trusts, as files of its
 * folder.
 *
 *   identity.pem  the private key and the certificate, mode 0600; made here, the key never leaves
 *   ca.pem        the CAs that may have signed the controller's certificate
 *   enrol.pem     the key of a request that isn't granted yet, mode 0600 */
#ifndef ATOLL_ZONE_AGENT_IDENTITY_H
#define ATOLL_ZONE_AGENT_IDENTITY_H

#include <limits.h>

#include "proto/base/http_client.h"
#include "proto/base/pki.h"
#include "proto/model.h"

struct identity {
    char dir[PATH_MAX];
    char zone[NAME_LENGTH_MAX + 1];
    bool ready;        /* there is a certificate */
    struct buffer pem; /* key and certificate */
    struct buffer ca;  /* empty: nobody is trusted yet */
    char ca_hash[PKI_HASH_TEXT_MAX];
    struct pki_facts facts; /* of the certificate */
};

/* Reads what is there; that nothing is there is no error. A certificate for another zone, or one that doesn't
 * fit its key, is. */
int identity_open(struct identity *identity, const char *dir, const char *zone, struct error *err);
void identity_close(struct identity *identity); /* clears the key */

/* The key of a request under way: the one that is there, or a new one. The caller ends `key` with
 * pki_forget(). */
int identity_pending_key(const struct identity *identity, struct buffer *key, struct error *err);

/* Takes the CAs; kept over restarts. */
int identity_take_ca(struct identity *identity, const char *bundle_pem, struct error *err);

/* Takes a key and the certificate that was issued for it, after checking that they fit each other, the zone
 * and the CA. */
int identity_take(struct identity *identity, const char *key_pem, const char *certificate_pem,
                  struct error *err);

/* What a request to the controller shows and trusts. Valid until the identity changes. */
struct http_tls identity_tls(const struct identity *identity);

#endif
