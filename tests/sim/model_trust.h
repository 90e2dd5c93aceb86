/* Who shows what to whom: the model of certificates and keyfiles, without any cryptography. A CA is a number,
 * the set of those that are believed a set of bits; a certificate is a text that says whatever a real one
 * would. papers.c, authority.c */
#ifndef ATOLL_SIM_MODEL_TRUST_H
#define ATOLL_SIM_MODEL_TRUST_H

#include "controller/controller.h"
#include "tests/sim/limits.h"
#include "zone-agent/agent.h"

struct world;
struct brain;
struct site;
struct step;

/* The controller's CA, sealed in its store. It is exchanged in steps, as controller/trust/ca.h says. */
struct authority {
    int issuer, other; /* 0: none */
    bool announced;    /* `other` is believed already, and signs next; else it signed before */
    int64_t changed_ms;
};

/* What a process shows and believes. One mongod's: what was brought to it, and what it has loaded of that. */
struct papers {
    int serial; /* of its certificate; 0: none, it speaks no TLS */
    int issuer, key;
    uint32_t believes; /* CAs, as bits */
    int64_t made_ms, ends_ms;
    char hosts[2][HOST_MAX]; /* addresses that it bears */
    char key_id[KEYFILE_ID_MAX];
    uint64_t keys[KEYFILE_KEYS_MAX]; /* of its keyfile, or the one of a login; 0: none */
};

/* papers.c */
void papers_take(struct papers *papers, const struct step *step); /* what a step of the driver brings */
void papers_load(struct papers *loaded, const struct papers *brought, const char *version); /* at a start */
void papers_load_certificate(struct papers *loaded, const struct papers *brought);
bool papers_bear(const struct world *world, const struct papers *papers, const char *address);
/* Whether who dials `address` and who answers there have anything to say to each other. */
bool papers_agree(const struct world *world, const struct papers *dials, const struct papers *answers,
                  const char *address);
bool papers_let_in(const struct papers *answers, uint64_t key); /* a login with one key */
bool papers_read(const char *text, struct papers *out);         /* a certificate's text */
int papers_serial(const char *id);                              /* of a certificate's id; 0: none */
uint64_t papers_key(const char *keyfile);                       /* its first key; 0: none */
uint32_t papers_authorities(const char *text);

/* authority.c: the controller's part */
int authority_certify(void *brain, const struct certificate_wish *wish, struct certificate_made *out,
                      struct error *err);
const char *authority_trusted(void *brain);
int authority_random_text(size_t length, char *out, struct error *err);
void authority_begin(struct brain *brain); /* a controller without a CA makes one */
bool authority_exchange(
    struct world *world); /* a person goes as far with it as is allowed now: whether it is done */

/* host.c: the agent's part is identify() there */

#endif
