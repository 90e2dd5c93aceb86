/* Where a member's disk comes from in a zone with a project: the Compute API. Zones without one have claims of their cluster's
 * default StorageClass and never come here. */
#ifndef ATOLL_KUBERNETES_DISK_SOURCE_H
#define ATOLL_KUBERNETES_DISK_SOURCE_H

#include "zone-agent/kubernetes/steps_internal.h"

/* Makes the job's disk exist, fills the bodies of its next operations by what is known of it, and goes on; or fails the job. */
void disk_source_ensure(struct job *job);

#endif
