/* The steps of `atoll sandbox up` before there is a controller to speak to. */
#ifndef ATOLL_CLI_SANDBOX_START_H
#define ATOLL_CLI_SANDBOX_START_H

#include "controller/cli/sandbox.h"
#include "controller/cli/spec_files.h"

/* Makes the directory, refuses somebody else's (ERROR_REFUSED), takes the lock. *healthy_before: it has been
 * up once. */
int sandbox_prepare(const char *dir, int *lock_fd, bool *healthy_before, struct error *err);

/* The spec to apply: the file's with every zone's driver local but for those that have a kubeconfig, or a
 * built-in one: of three local zones, or with a member in each of the clusters. A federation with clusters
 * bears the sandbox's id as its name. The caller destroys it. */
struct spec_files *sandbox_spec(const char *file, const struct sandbox *sandbox, struct error *err);

/* Makes a spec one for this sandbox, as above; says what it changes. */
int sandbox_fit_spec(const struct sandbox *sandbox, struct spec_files *files, struct error *err);

/* What members run, into `out`: a path, "sim" or, for NULL, what it ran before (`out`), what is in PATH, or
 * the simulated one. ERROR_INVALID when it is no mongod by its own word. */
int sandbox_choose_mongod(const char *given, char out[PATH_MAX], struct error *err);

/* What the marker says, with the kubeconfigs of the command line. */
int sandbox_load(const char *dir, const struct invocation *invocation, struct sandbox *out,
                 struct error *err);

/* Works out what runs (`mongod`: a path, "sim" or NULL) for the spec's zones (NULL: those that it had), and
 * writes it down. `sandbox` is as sandbox_load() gave it. */
int sandbox_plan(const char *dir, const char *mongod, const struct spec_files *spec, struct sandbox *sandbox,
                 struct error *err);

/* Starts the detached supervisor, which inherits the lock. */
int sandbox_start_supervisor(const char *dir, int lock_fd, struct error *err);

#endif
