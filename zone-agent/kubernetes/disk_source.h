/* What a member has from the Compute API in a zone with a project: its disk, the marks on it, and the address
 * of its Service. Zones without a project have claims of their cluster's default StorageClass and addresses
 * as they come, and never get here. */
#ifndef ATOLL_KUBERNETES_DISK_SOURCE_H
#define ATOLL_KUBERNETES_DISK_SOURCE_H

#include "zone-agent/kubernetes/steps_internal.h"

/* Each does what its name says, fills in what the job's next operations need to know of it, and goes on; or
 * fails the job. */
void disk_source_ensure(struct job *job);
void disk_source_grow(struct job *job);
void disk_source_mark(struct job *job);
void disk_source_address(struct job *job);

#endif
