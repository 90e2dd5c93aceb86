/* Runs an exec plugin of a kubeconfig: a program of the user's that prints a credential. It has a deadline,
 * its output a bound, and nobody at a keyboard. */
#ifndef ATOLL_KUBERNETES_EXEC_PLUGIN_H
#define ATOLL_KUBERNETES_EXEC_PLUGIN_H

#include <uv.h>

#include "zone-agent/kubernetes/exec_credential.h"

enum { EXEC_PLUGIN_DEADLINE_MS = 30000 };

struct exec_plugin;

/* `config` must live until `done`, which is called exactly once, never from within, with `credential` (its
 * texts may be taken over: set to NULL what was taken) or `err`. NULL when the program can't be started;
 * `done` is not called. */
struct exec_plugin *exec_plugin_run(uv_loop_t *loop, const struct kube_config *config,
                                    void (*done)(void *context, struct exec_credential *credential,
                                                 const struct error *err),
                                    void *context, struct error *err);

/* Kills the program and all that it started; `done` is not called any more. The loop frees the memory. */
void exec_plugin_stop(struct exec_plugin *plugin);

#endif
