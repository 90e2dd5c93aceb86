/* A sandbox whose zones are clusters of the user's own: what it has there bears its id, and goes with it. */
#ifndef ATOLL_CLI_SANDBOX_CLUSTERS_H
#define ATOLL_CLI_SANDBOX_CLUSTERS_H

#include "controller/cli/command.h"
#include "controller/cli/sandbox.h"

/* Takes --kubeconfig ZONE=FILE… of the command line into the sandbox, whose id is made when it has none. */
int sandbox_take_kubeconfigs(const struct invocation *invocation, struct sandbox *sandbox, struct error *err);

/* The kubeconfig of a zone; "" for a zone of this machine. */
const char *sandbox_kubeconfig(const struct sandbox *sandbox, const char *zone);

/* Deletes from every cluster what bears the sandbox's id: controllers, Services and budgets; claims (that is
 * data) too when `disks`. *deleted counts, *kept counts claims that stay. Tries all clusters before it fails.
 */
int sandbox_clear_clusters(const struct sandbox *sandbox, bool disks, size_t *deleted, size_t *kept,
                           struct error *err);

#endif
