/* What the files of this room share about kube_config: see kubeconfig.h. */
#ifndef ATOLL_KUBERNETES_KUBE_CONFIG_H
#define ATOLL_KUBERNETES_KUBE_CONFIG_H

#include "zone-agent/kubernetes/kubeconfig.h"

int kube_config_copy(const struct kube_config *from, struct kube_config *to, struct error *err);

/* Overwrites, then frees. NULL is tolerated. */
void kube_secret_free(char *text);

#endif
