/* Giving the controller a spec; used by apply, diff and sandbox up. */
#ifndef ATOLL_CLI_APPLY_H
#define ATOLL_CLI_APPLY_H

#include "controller/cli/remote.h"
#include "controller/cli/spec_files.h"

/* Sends the spec and gives the controller's answer (the caller destroys it); what it refuses is said in
 * detail on standard error. NULL and `err` when it didn't take it. */
struct json *apply_send(struct remote *remote, const char *method, const char *path, struct spec_files *files,
                        struct error *err);
/* Makes the spec one for the sandbox that `remote` is of, as `sandbox up --spec` does; nothing when it is of
 * none. */
int apply_fit_sandbox(const struct remote *remote, struct spec_files *files, struct error *err);
/* The answer's warnings, on standard error, but for those that reading the files has said already. */
void apply_say_warnings(const struct json *answer, const struct spec_files *files);
/* The answer's diff, a line each. */
void apply_print_diff(const struct json *answer, bool colours, struct buffer *out);

#endif
