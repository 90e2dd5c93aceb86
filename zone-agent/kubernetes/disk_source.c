/* The disk of a zone with a project: see disk_source.h. */
#include "zone-agent/kubernetes/disk_source.h"

void disk_source_ensure(struct job *job)
{
    struct error err;
    error_set(&err, ERROR_REFUSED, "zone %s has the project %s, but this agent was built without the Compute API",
              job->driver->zone, job->driver->project);
    job_fail(job, &err);
}
