/* The controller's own credentials: it opens the CA with its passphrase, issues the listener's certificate
 * (which lives in memory alone, is made anew at each start and renewed at two thirds of its life), and keeps
 * two files in its folder: ca.pem, for whoever connects, and where it was asked for an admin's key and
 * certificate, by which the first person gets in. */
#ifndef ATOLL_CONTROLLER_CREDENTIALS_H
#define ATOLL_CONTROLLER_CREDENTIALS_H

#include "controller/act/store.h"
#include "controller/serve/view.h"
#include "controller/trust/tls.h"
#include "controller/trust/trust.h"

enum { CREDENTIALS_NAMES_MAX = 16 };

#define CREDENTIALS_CA_FILE "ca.pem" /* in the folder: the CAs that whoever connects may trust */

struct credentials;

struct credentials_options {
    struct store *store;
    const struct clock *clock;
    const char *dir;
    const char *passphrase_file; /* NULL: the systemd credential "ca-passphrase" */
    const char *listen;          /* the listener's address */
    const char *const *names;    /* further names and addresses by which this controller is reached */
    size_t name_count;
    const char *admin_file; /* NULL: none */
};

/* Everything in `options` outlives it. */
int credentials_open(const struct credentials_options *options, struct credentials **out, struct error *err);
void credentials_close(struct credentials *credentials); /* NULL is tolerated */

struct trust *credentials_trust(struct credentials *credentials);
struct tls_context *credentials_tls(struct credentials *credentials);

/* For the status. */
void credentials_describe(const struct credentials *credentials, struct trust_view *out);
void credentials_describe_zone(const struct credentials *credentials, const char *zone,
                               struct zone_enrolment *out);

/* Now and then: renews what is due. */
void credentials_tick(struct credentials *credentials);

/* The next step of an exchange of the CA: see trust_exchange_ca(). */
int credentials_exchange_ca(struct credentials *credentials, bool force, struct error *err);

#endif
