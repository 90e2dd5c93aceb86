/* The steps of `atoll sandbox up` before there is a controller to speak to. */
#ifndef ATOLL_CLI_SANDBOX_START_H
#define ATOLL_CLI_SANDBOX_START_H

#include "controller/cli/sandbox.h"
#include "controller/cli/spec_files.h"

/* Makes the directory, refuses somebody else's (ERROR_REFUSED), takes the lock. *healthy_before: it has been up once. */
int sandbox_prepare(const char *dir, int *lock_fd, bool *healthy_before, struct error *err);

/* The spec to apply: the file's with every zone's driver local, or the built-in one of three zones. The caller destroys it. */
struct spec_files *sandbox_spec(const char *file, struct error *err);

/* Works out what runs (`mongod`: a path, "sim" or NULL) for the spec's zones (NULL: those that it had), and writes it down. */
int sandbox_plan(const char *dir, const char *mongod, const struct spec_files *spec, struct sandbox *out, struct error *err);

/* Starts the detached supervisor, which inherits the lock. */
int sandbox_start_supervisor(const char *dir, int lock_fd, struct error *err);

#endif
